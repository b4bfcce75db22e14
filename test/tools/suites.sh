# The test suites and their counts.  To be sourced after private-server.sh,
# with a private server running; REGRESS, ISOLATION and TEST_DB_OPTS come from
# the Makefile.  TESTS="name..." runs only those.

passed=0
failed=0
failures=()

pass() { passed=$((passed + 1)); echo "ok        $1"; }
fail() { failed=$((failed + 1)); failures+=("$1"); echo "NOT OK    $1"; }

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

# regress_suite KIND PROGRAM DATABASE NAME...
regress_suite() {
	local kind=$1 program=$2 database=$3 tree=$server_dir/tree out log rc=0 results result name
	shift 3
	[ $# -gt 0 ] || return 0
	out=$server_dir/results/$kind
	log=$out/output.log
	as_server_user mkdir -p "$out"
	# shellcheck disable=SC2086
	in_group "$log" as_server_user "$program" --inputdir="$tree/test" --outputdir="$out" \
		--bindir="$("$PG_CONFIG" --bindir)" --dbname="$database" ${TEST_DB_OPTS:-} "$@" || rc=$?
	results=$(regress_results "$log")
	for name; do
		result=$(grep -E "^(ok|no) $name\$" <<< "$results") || result="no result"
		case $result in
			"ok $name") pass "$kind/$name" ;;
			"no $name") fail "$kind/$name" ;;
			*) fail "$kind/$name (did not run)"; rc=2 ;;
		esac
	done
	[ $rc = 0 ] || show_failure "$out" $rc
}

show_failure() {
	local out=$1 rc=$2
	if [ -s "$out/regression.diffs" ]; then cat "$out/regression.diffs"
	else cat "$out/output.log"; fi
	[ "$rc" -lt 2 ] || { echo "-- end of the server's log:"; tail -n 40 "$server_dir/server.log"; }
}

# tap_suite NAME...: a file counts as one test.  They wait more than they
# compute, so two run at a time, each with servers of its own.
tap_suite() {
	local pgxs name rc log
	[ $# -gt 0 ] || return 0
	pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
	for name; do as_server_user mkdir -p "$server_dir/results/tap/$name"; done
	cd "$server_dir/tree/test"
	# shellcheck disable=SC2016
	in_group - as_server_user env TAP_RESULTS="$server_dir/results/tap" TAP_LIB="$pgxs/src/test/perl" \
		PG_REGRESS="$pgxs/src/test/regress/pg_regress" PGPORT=65432 sh -c '
			printf "%s\n" "$@" | xargs -P 2 -I NAME sh -c "
				out=\$TAP_RESULTS/NAME rc=0
				export TESTDIR=\$out TESTDATADIR=\$out/tmp_check TESTLOGDIR=\$out/tmp_check/log
				prove -I \"\$TAP_LIB\" t/NAME.pl > \$out/output.log 2>&1 || rc=\$?
				echo \$rc > \$out/rc
				echo \"-- tap/NAME has ended\""' sh "$@" || true
	cd "$server_dir"
	for name; do
		log=$server_dir/results/tap/$name/output.log
		rc=$(cat "$server_dir/results/tap/$name/rc" 2> /dev/null || echo 1)
		if [ "$rc" != 0 ]; then
			fail "tap/$name"
			cat "$log"
			tail -n 15 "$server_dir/results/tap/$name"/tmp_check/log/regress_log_* 2> /dev/null || true
		elif grep -q 'skipped:' "$log"; then
			echo "skipped   tap/$name: $(sed -n 's/.*skipped: *//p' "$log" | head -n 1)"
		else
			pass "tap/$name"
			sed -n "s/^# not run: /skipped   of tap\/$name: /p" "$log"
		fi
	done
}

# All suites, against a copy of the tree that the server's user can read.
run_suites() {
	local pgxs tap=() file
	pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
	[ -d "$server_dir/tree" ] || copy_tree "$server_dir/tree"
	mkdir "$server_dir/results"
	give_to_server_user "$server_dir/tree" "$server_dir/results"
	for file in "$root"/test/t/*.pl; do
		[ ! -e "$file" ] || tap+=("$(basename "$file" .pl)")
	done
	# shellcheck disable=SC2046,SC2086
	{
		regress_suite regress "$pgxs/src/test/regress/pg_regress" contrib_regression $(wanted ${REGRESS:-})
		regress_suite isolation "$pgxs/src/test/isolation/pg_isolation_regress" isolation_regression $(wanted ${ISOLATION:-})
		tap_suite $(wanted ${tap[@]+"${tap[@]}"})
	}
	check "server stops in time" server_stop fast
	crash_report
	save_results
}

# A crash shows here even if no test noticed it.
crash_report() {
	! grep -E 'PANIC:|TRAP: |was terminated by signal' "$server_dir/server.log" || echo "-- above: crashes in the server's log"
}

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
	elif [ $failed -gt 0 ]; then printf '%s\n' "failed:" "${failures[@]/#/    }"; fi
	echo "$passed passed, $failed failed"
	[ $failed = 0 ] && [ $passed -gt 0 ]
}
