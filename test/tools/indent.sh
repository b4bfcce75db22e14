#!/bin/bash
# Format src/ as pgindent does; with --check only show what would change.
set -euo pipefail
. "$(dirname "$0")/common.sh"
have pg_bsd_indent || need indent
cd "$root"

options=(-bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# formatted FILE: what it should be, on standard output.
formatted() {
	cp "$1" "$work/in.c"
	pg_bsd_indent "${options[@]}" -Usrc/typedefs.list "$work/in.c" "$work/out.c" > "$work/messages" 2>&1 ||
		{ sed "s|^|$1: |" "$work/messages" >&2; return 1; }
	# One blank before the star of a function's return type.
	sed -E 's/^([A-Za-z_][^[:space:]]*)[[:space:]]+\*$/\1 */' "$work/out.c"
}

[ "${1:-}" = --check ] || test/tools/typedefs.sh
rc=0
for file in src/*.[ch] src/*/*.[ch]; do
	[ -e "$file" ] || continue
	formatted "$file" > "$work/result" || { rc=1; continue; }
	cmp -s "$file" "$work/result" && continue
	if [ "${1:-}" = --check ]; then
		diff -u --label "$file" --label "$file (as make indent writes it)" "$file" "$work/result" || rc=1
	else
		cat "$work/result" > "$file"
		echo "formatted $file"
	fi
done
exit $rc
