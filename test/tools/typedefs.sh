#!/bin/bash
# Write src/typedefs.list for pg_bsd_indent: the type names that occur in src/,
# from the server's headers, xxhash.h, a few of the system's, and our own.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$root"
pg_server_works || need build

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=$(find src -name '*.[ch]')
[ -n "$sources" ] || { : > src/typedefs.list; exit 0; }

# Names that a typedef declares, of the files on standard input.
declared() {
	xargs -d '\n' cat | perl -ne '
		$open = 1 if /^\s*typedef\b[^;]*$/;
		if (/^typedef\b.*?\(\s*\*\s*(\w+)\s*\)/) { print "$1\n"; $open = 0 }	# pointer to function
		elsif (/^typedef\b[^(]*?\b(\w+)\s*\(/) { print "$1\n"; $open = 0 }	# function
		elsif (/^typedef\b[^{}]*?\b(\w+)\s*(\[[^]]*\])*\s*;/) { print "$1\n"; $open = 0 }	# name
		elsif ($open and /^\}\s*(?:\w+\([^)]*\)\s*)?\*?(\w+)\s*;/) { print "$1\n"; $open = 0 }	# struct, union, enum'
}

{
	{ echo "$sources"; find "$("$PG_CONFIG" --includedir-server)" -name '*.h'; ls /usr/include/xxhash.h; } | declared
	# C types that need no declaration of PostgreSQL's
	printf '%s\n' FILE bool int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t \
		intptr_t uintptr_t off_t pid_t sig_atomic_t size_t ssize_t time_t uid_t va_list
} | sort -u > "$work/all"
# Words that are also ordinary names of variables and members, or no type names at all
printf '%s\n' char cost date int interval iterator list other pointer reference sizeof string text timestamp type > "$work/not"

# The words of the sources, without comments and strings
# shellcheck disable=SC2086
cat $sources | perl -0pe 's{/\*.*?\*/|"(?:\\.|[^"\\\n])*"}{ }gs' | grep -oE '[A-Za-z_][A-Za-z_0-9]*' | sort -u |
	comm -12 - "$work/all" | grep -vxFf "$work/not" > "$work/new" || true
cmp -s "$work/new" src/typedefs.list || cat "$work/new" > src/typedefs.list
