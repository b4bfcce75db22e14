#!/bin/bash
# make bench: say which benchmarks there are; each explains itself at its top.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$root"

found=
for script in bench/*.sh; do
	[ -e "$script" ] || continue
	found=yes
	printf '%-32s %s\n' "$script" "$(sed -n '2s/^# *//p' "$script")"
done
[ -n "$found" ] || echo "there are no benchmarks yet (bench/*.sh)"
