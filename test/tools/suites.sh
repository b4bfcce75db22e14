# The test suites and their counts.  To be sourced after private-server.sh,
# with a private server running; REGRESS, ISOLATION and TEST_DB_OPTS come from
# the Makefile.  TESTS="name..." runs only those.

passed=0
failed=0
failures=()

# TAP tests of minutes; begun first.
longest=(020_many_assets 023_run_deaths 009_crash_points)

pass() { passed=$((passed + 1)); echo "ok        $1"; }

# fail NAME [WHY]: WHY is said once more at the end, where it isn't overlooked.
fail() { failed=$((failed + 1)); failures+=("    $1${2:+$'\n'$(head -n 30 <<< "$2" | sed 's/^/        /')}"); echo "NOT OK    $1"; }

# check NAME COMMAND...: a check that is one command.
check() {
	local name=$1; shift
	if "$@"; then pass "$name"; else fail "$name"; fi
}

# Every test file is listed in the Makefile, and every listed test has a file.
lists_match_files() {
	local rc=0
	match_list REGRESS "${REGRESS:-}" test/sql sql || rc=1
	match_list ISOLATION "${ISOLATION:-}" test/specs spec || rc=1
	return $rc
}

match_list() {
	local variable=$1 list=$2 folder=$3 suffix=$4 rc=0 name file
	for name in $list; do
		[ -f "$root/$folder/$name.$suffix" ] || { echo "$variable in the Makefile lists $name, but there is no $folder/$name.$suffix"; rc=1; }
	done
	for file in "$root/$folder"/*."$suffix"; do
		[ -e "$file" ] || continue
		name=$(basename "$file" ".$suffix")
		case " $list " in
			*" $name "*) ;;
			*) echo "$folder/$name.$suffix is not listed in $variable in the Makefile"; rc=1 ;;
		esac
	done
	return $rc
}

# wanted NAME...: those that TESTS asks for.
wanted() {
	local name
	for name; do
		[ -z "${TESTS:-}" ] || case " $TESTS " in *" $name "*) ;; *) continue ;; esac
		echo "$name"
	done
}

# Lines of pg_regress, before version 16 ("test NAME ... ok") and since then
# ("not ok 3 - NAME"), as "ok NAME" and "no NAME".
regress_results() {
	awk '$1 == "test" && $3 == "..." { print ($4 == "ok" ? "ok" : "no"), $2 }
		$1 == "ok" && $2 ~ /^[0-9]+$/ { print "ok", $4 }
		$1 == "not" && $2 == "ok" { print "no", $5 }' "$1"
}

# report_suite KIND NAME...: how pg_regress or pg_isolation_regress went.
report_suite() {
	local kind=$1 out=$server_dir/results/$1 results result name rc
	shift
	[ $# -gt 0 ] || return 0
	rc=$(cat "$out/rc" 2> /dev/null || echo 2)
	results=$(regress_results "$out/output.log") || results=
	for name; do
		result=$(grep -E "^(ok|no) $name\$" <<< "$results") || result="no result"
		case $result in
			"ok $name") pass "$kind/$name" ;;
			"no $name") fail "$kind/$name" "$(awk -v file="/$name.out" '/^diff / { on = index($0, file) } on' "$out/regression.diffs")" ;;
			*) fail "$kind/$name (did not run)"; rc=2 ;;
		esac
	done
	[ "$rc" = 0 ] || show_failure "$out" "$rc"
}

show_failure() {
	local out=$1 rc=$2
	if [ -s "$out/regression.diffs" ]; then cat "$out/regression.diffs"
	else cat "$out/output.log" 2> /dev/null || echo "(it was not begun)"; fi
	[ "$rc" -lt 2 ] || { echo "-- end of the server's log:"; tail -n 40 "$server_dir/server.log"; }
}

# report_tap NAME...: a file counts as one test.
report_tap() {
	local name rc log
	for name; do
		log=$server_dir/results/tap/$name/output.log
		rc=$(cat "$server_dir/results/tap/$name/rc" 2> /dev/null || echo 1)
		if [ "$rc" != 0 ]; then
			fail "tap/$name" "$(grep '^#' "$log" 2> /dev/null)"
			cat "$log" 2> /dev/null || echo "(it was not begun)"
			tail -n 15 "$server_dir/results/tap/$name"/tmp_check/log/regress_log_* 2> /dev/null || true
		elif grep -q 'skipped:' "$log"; then
			echo "skipped   tap/$name: $(sed -n 's/.*skipped: *//p' "$log" | head -n 1)"
		else
			pass "tap/$name"
			sed -n "s/^# not run: /skipped   of tap\/$name: /p" "$log"
		fi
	done
}

# is_listed NAME NAME...: among the others?
is_listed() {
	local name=$1 other
	shift
	for other; do [ "$other" != "$name" ] || return 0; done
	return 1
}

# Has it nothing to do with the server's version, and only that is asked for?
is_left_out() { [ "${BRIEF:-}" = yes ] && [ -z "${TESTS:-}" ] && [ "$1" = 020_many_assets ]; }

# All suites, against a copy of the tree that the server's user can read.
# pg_regress's go on beside TAP tests, each of which has servers of its own:
# three at a time keep two processors busy.
run_suites() {
	local jobs=() tap=() file name regress isolation
	[ -d "$server_dir/tree" ] || copy_tree "$server_dir/tree"
	mkdir "$server_dir/results"
	give_to_server_user "$server_dir/tree" "$server_dir/results"
	for file in "${longest[@]}" "$root"/test/t/*.pl; do
		name=$(basename "$file" .pl)
		is_listed "$name" ${tap[@]+"${tap[@]}"} || is_left_out "$name" || tap+=("$name")
	done
	# shellcheck disable=SC2046,SC2086
	{
		regress=$(wanted ${REGRESS:-} | xargs)
		isolation=$(wanted ${ISOLATION:-} | xargs)
		read -r -a tap <<< "$(wanted ${tap[@]+"${tap[@]}"} | xargs)"
	}
	[ -z "$regress$isolation" ] || jobs+=(suites)
	jobs+=(${tap[@]+"${tap[@]}"})
	[ ${#jobs[@]} -gt 0 ] || { echo "TESTS names no test"; return 0; }
	# shellcheck disable=SC2016
	in_group - as_server_user env RESULTS_DIR="$server_dir/results" TREE="$server_dir/tree" \
		PGXS_DIR="$(dirname "$("$PG_CONFIG" --pgxs)")/../.." BINDIR="$("$PG_CONFIG" --bindir)" \
		DB_OPTS="${TEST_DB_OPTS:-}" REGRESS_WANTED="$regress" ISOLATION_WANTED="$isolation" \
		sh -c 'printf "%s\n" "$@" | xargs -P 3 -I NAME "$TREE/test/tools/test-job.sh" NAME' sh ${jobs[@]+"${jobs[@]}"} || true
	# shellcheck disable=SC2086
	{
		report_suite regress $regress
		report_suite isolation $isolation
		report_tap ${tap[@]+"${tap[@]}"}
	}
	check "server stops in time" server_stop fast
	check "no crash in the server's log" no_crash
	save_results
}

# A crash is a failure even if no test noticed it.
no_crash() { [ -f "$server_dir/server.log" ] && ! grep -E 'PANIC:|TRAP: |was terminated by signal' "$server_dir/server.log"; }

# RESULTS=folder keeps what the tests wrote, to compare or to accept.
save_results() {
	[ -n "${RESULTS:-}" ] || return 0
	mkdir -p "$RESULTS"
	tar -C "$server_dir" --exclude=pgdata -cf - results server.log | tar -C "$RESULTS" -xf - --no-same-owner
	note "results are in $RESULTS"
}

# The last line, and the exit status.
summary() {
	[ "${1:-0}" -lt 128 ] || echo "interrupted"
	if [ $((passed + failed)) = 0 ]; then echo "no test ran"
	elif [ $failed -gt 0 ]; then printf '%s\n' "failed:" "${failures[@]}"; fi
	echo "$passed passed, $failed failed"
	[ $failed = 0 ] && [ $passed -gt 0 ]
}
