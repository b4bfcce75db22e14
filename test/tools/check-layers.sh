#!/bin/bash
# Each folder of src/ includes only headers of its own and of folders before it,
# and only src/compat/ asks for the server's version.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$root/src"

order=(compat common catalog graph store freshness define run keeper)
bad=0
complain() { echo "src/$*"; bad=1; }

# Rank of a folder, or nothing if it is not in the list.
rank() {
	local i
	for i in "${!order[@]}"; do
		[ "${order[i]}" != "$1" ] || echo "$i"
	done
}

# check_include FILE LINE HEADER
check_include() {
	local own=${1%%/*} other=${3%%/*}
	# PostgreSQL has folders of the same names: only a file that exists is ours.
	[ -f "$3" ] && [ "$other" != "$3" ] || return 0
	[ "$(rank "$other")" -le "$(rank "$own")" ] ||
		complain "$1:$2: $own/ may not include $3: $other/ is a later layer"
}

for folder in */; do
	[ -d "$folder" ] || continue
	[ -n "$(rank "${folder%/}")" ] || complain "$folder: not in the list of layers (test/tools/check-layers.sh)"
done
for file in *.[ch]; do
	[ ! -e "$file" ] || [ "$file" = vibepiper.c ] || complain "$file: only vibepiper.c stands outside the layers"
done
[ $bad = 0 ] || exit 1

while IFS=: read -r file line text; do
	header=$(sed -E 's/.*"([^"]*)".*/\1/' <<< "$text")
	case $header in
		../*) complain "$file:$line: name headers from src/ on: $header" ;;
		*/*) check_include "$file" "$line" "$header" ;;
	esac
done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' */*.[ch] /dev/null 2> /dev/null)

while IFS=: read -r file line _; do
	case $file in compat/*) ;; *) complain "$file:$line: PG_VERSION_NUM belongs in src/compat/" ;; esac
done < <(grep -rn 'PG_VERSION_NUM' --include='*.[ch]' .  2> /dev/null | sed 's|^\./||')

# A header of ours must not hide one of the server's.
server=$("$PG_CONFIG" --includedir-server 2> /dev/null || true)
for header in */*.h; do
	[ -z "$server" ] || [ ! -f "$server/$header" ] || complain "$header: hides PostgreSQL's header of the same name"
done
exit $bad
