#!/bin/bash
# PostgreSQL with assertions enabled, from the source package of the server
# that PG_CONFIG names, kept below FOLDER.  For check-all.sh.
#
#   assert-build.sh FOLDER      prints the folder of the installation
#
# Exit status 3: the source cannot be had; the last line on stderr says why.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh

[ $# = 1 ] || die "usage: assert-build.sh FOLDER"

unavailable() { echo "error: $*" >&2; exit 3; }

# apt with lists of its own: the machine's repositories, their sources only.
private_apt() {
	local program=$1; shift
	"$program" -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/parts" -o "Dir::State::Lists=$work/lists" \
		-o "Dir::Cache=$work/cache" -o APT::Sandbox::User= "$@"
}

prepare_apt() {
	local file
	have apt-get || unavailable "without apt-get there is no packaged source"
	mkdir -p "$work"/{parts,lists/partial,cache/archives/partial}
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$file" ] || sed -n 's/^ *deb /deb-src /p' "$file" > "$work/parts/$(basename "$file" .list).list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$file" ] || ! grep -qE '^Types:(.* )?deb( |$)' "$file" ||
			sed 's/^Types:.*/Types: deb-src/' "$file" > "$work/parts/$(basename "$file")"
	done
	quietly private_apt apt-get update || note "some package lists could not be read"
}

# Versions of the source package: the installed one, then others of its major.
package_versions() {
	private_apt apt-cache madison "postgresql-$major" |
		awk -F ' *[|] *' -v want="$version-" 'index($2, want) == 1 { print 1, $2; next } { print 2, $2 }' |
		sort -s -k 1,1 | awk '!seen[$2]++ { print $2 }'
}

# fetch: download the source into the current folder; sets version.
fetch() {
	local package
	for package in $(package_versions); do
		version=$(tr -d '~' <<< "${package%-*}")
		[ ! -d "$(kept)" ] || return 0
		note "fetching the source package $package"
		! quietly private_apt apt-get source --download-only "postgresql-$major=$package" || return 0
	done
	return 1
}

# Where a build of this version by this script is kept.
kept() { echo "$cache/assert-$version-$recipe"; }

# Without a source, an older build will do.
kept_version() {
	version=$(cd "$cache" && ls -d "assert-$major"[!0-9]*"-$recipe" 2> /dev/null | sed -n "1s/^assert-\(.*\)-$recipe\$/\1/p")
	[ -n "$version" ]
}

# build SOURCE PREFIX: no more than the tests need.
build() {
	local folder
	cd "$1"
	# what a recent compiler says about older sources is not of interest
	quietly ./configure --prefix="$2" --enable-cassert --enable-debug --enable-tap-tests \
		--without-readline --without-zlib --without-icu CFLAGS="-O1 -w"
	quietly make -s -j"$(jobs)" all
	for folder in . src/test/regress src/test/isolation src/test/perl contrib/file_fdw contrib/postgres_fdw; do
		quietly make -s -j"$(jobs)" -C "$folder" install DESTDIR="$work/installed"
	done
}

need build tap > /dev/null
recipe=$(cksum < assert-build.sh | cut -d ' ' -f 1)
version=$("$PG_CONFIG" --version | awk '{ print $2 }')
major=${version%%[!0-9]*}
mkdir -p "$1"
cache=$(cd "$1" && pwd)
exec 9> "$cache/assert.lock"
flock 9
if [ ! -d "$(kept)" ]; then
	need source
	work=$cache/new-assert
	rm -rf "$work"
	trap 'rm -rf "$work"' EXIT
	trap 'exit 143' INT TERM
	mkdir -p "$work/source"
	cd "$work/source"
	prepare_apt
	fetch || kept_version || unavailable "no repository of this machine has the source of PostgreSQL $major"
fi
if [ ! -d "$(kept)" ]; then
	note "compiling PostgreSQL $version with assertions enabled"
	tar -xf postgresql-*.orig.tar.*[2z]
	build "$(echo "$work"/source/postgresql-*/)" "$(kept)" 9>&-
	rm -rf "$cache"/assert-[0-9]*
	mv "$work/installed/$(kept)" "$(kept)"
fi
kept
