# What every script of the project needs: where it is, which PostgreSQL it
# uses, and the packages that must be there.  To be sourced.

export LC_ALL=C
unset MAKEFLAGS MAKELEVEL MFLAGS

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}

die() { echo "error: $*" >&2; exit 1; }
note() { echo "-- $*" >&2; }
have() { command -v "$1" > /dev/null; }

# Run as root: directly, or by a sudo that asks nothing.
may_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2> /dev/null; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Run a command that is of interest only if it fails.
quietly() {
	local log rc=0
	log=$(mktemp)
	("$@") > "$log" 2>&1 || { rc=$?; cat "$log" >&2; }
	rm -f "$log"
	return $rc
}

# ---- packages

# a pg_config may come with client libraries alone
pg_config_works() { have "$PG_CONFIG" && "$PG_CONFIG" --version > /dev/null 2>&1; }
pg_server_works() {
	pg_config_works && [ -x "$("$PG_CONFIG" --bindir)/initdb" ] && [ -f "$("$PG_CONFIG" --pgxs)" ] &&
		[ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ]
}

# The Debian packages of the server: of the version that is partly there, else
# of the distribution's own.
postgresql_packages() {
	local v
	if pg_config_works; then
		v=$("$PG_CONFIG" --version | grep -oE '[0-9]+' | head -n 1)
	else
		v=$(apt-cache depends postgresql 2> /dev/null | grep -oE 'postgresql-[0-9]+' | head -n 1 | grep -oE '[0-9]+') || v=
	fi
	if [ -n "$v" ]; then echo "postgresql-$v postgresql-server-dev-$v"
	else echo "postgresql postgresql-server-dev-all"; fi
}

# Print the packages that are missing for the features asked for.
missing_packages() {
	local feature tool
	for feature; do
		case $feature in
			build)
				have gcc && echo '#include <stdio.h>' | gcc -E - > /dev/null 2>&1 || echo gcc libc6-dev
				have make || echo make
				[ -f /usr/include/xxhash.h ] || echo '#include <xxhash.h>' | gcc -E - > /dev/null 2>&1 || echo libxxhash-dev
				pg_server_works || postgresql_packages ;;
			tap) perl -MIPC::Run -MTest::More -e 1 2> /dev/null && have prove || echo perl libipc-run-perl ;;
			indent) have pg_bsd_indent || echo pg-bsd-indent ;;
			chroot)
				have debootstrap || echo debootstrap
				[ -f /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring ;;
			source) for tool in bison flex bzip2 xz; do have $tool || echo "${tool/#xz/xz-utils}"; done ;;
		esac
	done
}

# need FEATURE...: install what is missing, or say how to and stop.
need() {
	local packages
	if [ "$PG_CONFIG" != pg_config ] && ! pg_server_works; then
		die "PG_CONFIG=$PG_CONFIG names no PostgreSQL with server, development files and initdb"
	fi
	packages=$(missing_packages "$@" | xargs)
	[ -n "$packages" ] || return 0
	have apt-get || die "missing on this system (by their Debian names): $packages"
	may_be_root || die "packages are missing; run:
    sudo apt-get install --no-install-recommends $packages"
	note "installing packages: $packages"
	quietly as_root apt-get -q update || note "apt-get update failed; going on with the lists that are there"
	packages=$(missing_packages "$@" | xargs)
	# shellcheck disable=SC2086
	quietly as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qy install --no-install-recommends $packages || die "could not install: $packages"
}

# ---- build

jobs() { nproc 2> /dev/null || echo 2; }

# build_and_install TREE [make argument...]
build_and_install() {
	local tree=$1; shift
	set -- "PG_CONFIG=$PG_CONFIG" with_llvm=no "$@"
	note "building for $("$PG_CONFIG" --version)"
	quietly make -C "$tree" -j"$(jobs)" "$@" all || die "the build failed"
	if [ -w "$("$PG_CONFIG" --pkglibdir)" ] && [ -w "$("$PG_CONFIG" --sharedir)/extension" ]; then
		quietly make -C "$tree" "$@" install || die "the installation failed"
	elif may_be_root; then
		quietly as_root make -C "$tree" "$@" install || die "the installation failed"
	else
		die "no right to write to $("$PG_CONFIG" --pkglibdir); run:
    sudo make install PG_CONFIG=$PG_CONFIG with_llvm=no"
	fi
}

# copy_tree TO: the project without history, build products and results.
copy_tree() {
	mkdir -p "$1"
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
		--exclude=./tmp_check --exclude=./output_iso --exclude=./.build-flavor -cf - . | tar -C "$1" -xf -
}
