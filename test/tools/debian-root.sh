#!/bin/bash
# Another major version of PostgreSQL, in a Debian chroot that is kept below
# FOLDER.  For check-all.sh; as root.
#
#   debian-root.sh prepare FOLDER VERSION
#       makes the chroot, unless it is there
#   debian-root.sh check FOLDER VERSION [NAME=VALUE...]
#       "make check" in it with these settings, under a layer that is thrown
#       away; RESULTS names a folder outside
#
# Settings in the environment: MIRROR (of Debian; default: this machine's, if it
# runs Debian) and STALE_DAYS (accept the signed index of sid and experimental up
# to that age, for mirrors that lag behind; default 400).
#
# If the version cannot be had, the last line on stderr says why.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh

[ $# -ge 3 ] || die "usage: debian-root.sh prepare|check FOLDER VERSION [NAME=VALUE...]"
action=$1 cache=$2 v=$3
shift 3
old=   # the version that stands beside it, for tests of pg_upgrade
case $v in
	15) suites=bookworm ;;
	17) suites=trixie ;;
	18) suites=sid ;;
	19) suites="sid experimental" old=18 ;;
	*) die "no Debian suite is known for PostgreSQL $v" ;;
esac

# ---- preparation

required="gcc libc6-dev make perl libipc-run-perl libxxhash-dev libpq-dev libkrb5-dev"
# for tests that leave out what is not there
optional="pgbouncer nodejs node-pg"

# A change of what a chroot is made of makes another one.
chroot_of() { echo "$cache/pg$1-$({ declare -f base_system install_server; echo "$required $optional"; } | cksum | cut -d ' ' -f 1)"; }

default_mirror() {
	# shellcheck source=/dev/null
	[ "$(. /etc/os-release && echo "$ID")" = debian ] || return 0
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '/^https?:/ && !/security/ && !n++'
}

# base_system NEW SUITE
base_system() {
	local new=$1
	# shellcheck disable=SC2046
	debootstrap --variant=minbase --include=ca-certificates "$2" "$new" ${MIRROR:-$(default_mirror)}
	echo 'APT::Install-Recommends "false";' > "$new/etc/apt/apt.conf.d/90minimal"
	printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' > "$new/etc/dpkg/dpkg.cfg.d/90minimal"
	printf '#!/bin/sh\nexit 101\n' > "$new/usr/sbin/policy-rc.d"   # start no services
	chmod +x "$new/usr/sbin/policy-rc.d"
}

# install_server NEW SUITE...
install_server() {
	local new=$1 mirror opt="" suite package
	shift
	mirror=$(awk '{ sub(/\[[^]]*\] */, "") } $1 == "deb" && !n++ { print $2 }' "$new/etc/apt/sources.list")
	case "$*" in *sid*) opt="[valid-until-min=$((${STALE_DAYS:-400} * 86400))]" ;; esac
	for suite; do echo "deb $opt $mirror $suite main"; done > "$new/etc/apt/sources.list"
	printf '%s\n' "Package: postgresql-*$v* libpq*" "Pin: release a=experimental" "Pin-Priority: 900" > "$new/etc/apt/preferences.d/postgresql"
	mount -t proc proc "$new/proc"
	chroot "$new" apt-get -q update
	# before the server's package, which would make a cluster
	chroot "$new" apt-get -qy install postgresql-common
	sed -i '/^create_main_cluster/d' "$new/etc/postgresql-common/createcluster.conf"
	echo 'create_main_cluster = false' >> "$new/etc/postgresql-common/createcluster.conf"
	# shellcheck disable=SC2086
	chroot "$new" apt-get -qy install "postgresql-$v" $required
	# the server's headers without clang and llvm, on which their package depends
	chroot "$new" sh -ec "cd /tmp; apt-get -q -o APT::Sandbox::User=root download postgresql-server-dev-$v
		dpkg-deb -x postgresql-server-dev-*.deb /; rm postgresql-server-dev-*.deb"
	for package in $optional; do
		chroot "$new" apt-get -qy install "$package" || echo "going on without $package"
	done
	chroot "$new" apt-get clean
	rm -rf "$new"/var/lib/apt/lists/*
	umount "$new/proc"
}

make_chroot() {
	if [ -n "$old" ]; then cp -a --reflink=auto "$(chroot_of "$old")" "$1"
	else base_system "$1" "$suites"; fi
	# shellcheck disable=SC2086
	install_server "$1" $suites
}

# In a private mount namespace.  The chroot is made under another name, so that
# it is always complete.
prepare() {
	local chroot
	chroot=$(chroot_of "$v")
	[ ! -d "$chroot" ] || return 0
	[ -z "$old" ] || "$root/test/tools/debian-root.sh" prepare "$cache" "$old"
	need chroot
	rm -rf --one-file-system "$cache/new-pg$v" "$cache/pg$v"-*
	trap 'rm -rf --one-file-system "$cache/new-pg$v"' EXIT
	make_chroot "$cache/new-pg$v" >&2
	mv "$cache/new-pg$v" "$chroot"
}

# ---- tests

# In namespaces of their own, so that mounts, processes and shared memory end
# with it, whatever happens.
check_isolated() {
	local chroot=$1 layer=$cache/layer
	shift
	mount -t tmpfs tmpfs "$layer"
	mkdir "$layer/up" "$layer/work" "$layer/root"
	mount -t overlay overlay -o "lowerdir=$chroot,upperdir=$layer/up,workdir=$layer/work" "$layer/root"
	mount -t proc proc "$layer/root/proc"
	mount -t tmpfs -o mode=1777 tmpfs "$layer/root/dev/shm"
	copy_tree "$layer/root/build"
	chown -R root: "$layer/root/build"
	if [ -n "$RESULTS" ]; then
		mkdir -p "$RESULTS" "$layer/root$RESULTS"
		mount --bind "$RESULTS" "$layer/root$RESULTS"
	fi
	[ -z "$old" ] || set -- "$@" "OLD_PG_CONFIG=/usr/lib/postgresql/$old/bin/pg_config"
	chroot "$layer/root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		make --no-print-directory -C /build check "PG_CONFIG=/usr/lib/postgresql/$v/bin/pg_config" "$@"
}

# ----

if [ "$action" = isolated ]; then   # within "check" and "prepare"
	"$@"
	exit
fi

isolate() {
	unshare --mount --pid --ipc --fork --kill-child --propagation private \
		"$root/test/tools/debian-root.sh" isolated "$cache" "$v" "$@" &
	trap 'kill -KILL $!' INT TERM   # which ends every process of the namespaces
	wait $!
}

RESULTS=
for setting; do case $setting in RESULTS=?*) RESULTS=${setting#*=} ;; esac; done
export RESULTS
[ "$(id -u)" = 0 ] || die "a chroot needs root"
have unshare || die "a chroot needs unshare"
unshare --mount --pid --ipc --fork --propagation private mount -t tmpfs tmpfs /mnt 2> /dev/null ||
	die "this machine allows no namespaces and mounts, which a chroot needs"
mkdir -p "$cache/layer"
cache=$(cd "$cache" && pwd)
exec 9> "$cache/pg$v.lock"

case $action in
	prepare)
		flock 9
		isolate prepare 9>&- ;;
	check)
		flock --shared 9   # another tree may want to make another chroot
		isolate check_isolated "$(chroot_of "$v")" "$@" 9>&- ;;
	*) die "no such action: $action" ;;
esac
