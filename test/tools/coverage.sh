#!/bin/bash
# make coverage: build a copy with --coverage, run all tests, and print how many
# lines of each file of src/ they reach.  COVERAGE_MIN=90 fails under 90 %.
set -euo pipefail
cd "$(dirname "$0")"
. ./private-server.sh
. ./suites.sh

library=
saved=

finish() {
	local rc=$?
	trap - EXIT
	end_group
	[ -z "$library" ] || restore_library
	server_remove
	exit "$rc"
}

# The measured library takes the place of the installed one meanwhile.
restore_library() {
	as_root_if_needed rm -f "$library"
	[ ! -f "$saved" ] || as_root_if_needed cp -p "$saved" "$library"
}
as_root_if_needed() { if [ -w "$(dirname "$library")" ]; then "$@"; else as_root "$@"; fi; }

# Lines of each source file: "executed total file", from gcov's own summary.
line_counts() {
	local object
	cd "$server_dir/tree"
	find src -name '*.o' | sort | while read -r object; do
		# gcov names the source on one line and its numbers on the next
		gcov -n -s "$server_dir/tree" -o "$object" "${object%.o}.c" 2> /dev/null |
			awk -v want="${object%.o}.c" '/^File / { file = $2; gsub(/\047/, "", file) }
				/^Lines executed:/ && file == want { split($2, p, /[:%]/); print p[2], $NF, want; exit }'
	done
}

report() {
	awk -v min="${COVERAGE_MIN:-0}" '
		{ n = int($1 * $2 / 100 + 0.5); hit += n; all += $2
		  printf "%6.1f %%  %5d of %5d  %s\n", $1, n, $2, $3 }
		END { if (!all) { print "no line was measured"; exit 1 }
		  printf "%6.1f %%  %5d of %5d  total\n", 100 * hit / all, hit, all
		  if (100 * hit / all < min) { printf "coverage is under %s %%\n", min; exit 1 } }'
}

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

need build tap
have gcov || die "gcov is missing (it comes with gcc)"
server_prepare
copy_tree "$server_dir/tree"
library=$("$PG_CONFIG" --pkglibdir)/vibepiper.so
saved=$server_dir/vibepiper.so.saved
[ ! -f "$library" ] || cp -p "$library" "$saved"
build_and_install "$server_dir/tree" COPT="-O0 --coverage" SHLIB_LINK=--coverage
give_to_server_user "$server_dir/tree"
server_start "$root/test/tools/regress.conf"
run_suites
counts=$(summary) || { echo "$counts"; die "coverage counts only if the tests pass"; }
echo "$counts"
line_counts > "$server_dir/lines"
report < "$server_dir/lines"
