#!/bin/bash
# From the call of run() to the first asset being computed (about three minutes).
#
# A pipeline of 15 assets of the demo's shape over small tables; every run
# computes all of them.  The time is that of tasks.started_at minus
# clock_timestamp() before the call.
#
#   session   one session, run after run
#   new       each time the first call of a new session
#   serial    as "session", but run(parallel => false): what needs no process
# Wanted, for session and new: p50 <= 15 ms, p99 <= 40 ms.
#
# Then runs that find nothing to do: they are to start no process.  The
# postmaster's log is the witness, and a run that has something to do shows that
# it can be believed.
#
# RUNS=300 (of each, in blocks of BLOCK=20 that take turns)
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${RUNS:=300}" "${BLOCK:=20}"

bench_start "shared_buffers = '128MB'"
sql -f "$bench/fifteen.sql" > /dev/null

# the way to the client and back, between the two statements, is in it
one() {
	cat <<-SQL
		SELECT clock_timestamp() AS t0 \\gset
		SELECT run_id FROM vibepiper.run('fifteen', force => true$1) LIMIT 1 \\gset
		SELECT extract(epoch FROM min(started_at) - :'t0'::timestamptz) * 1000 FROM vibepiper.tasks WHERE run_id = :run_id;
	SQL
}
block_session() { for ((k = 0; k < BLOCK; k++)); do one ''; done | sql; }
block_serial() { for ((k = 0; k < BLOCK; k++)); do one ', parallel => false'; done | sql; }
block_new() { for ((k = 0; k < BLOCK; k++)); do one '' | sql; done; }

for ((block = 0; block * BLOCK < RUNS + BLOCK; block++)); do
	for side in session new serial; do
		"block_$side" > "$folder/out"
		# block 0 warms up
		[ "$block" = 0 ] || awk -v b="$block" -v side="$side" '{ print b "." NR, side, $1 }' "$folder/out" >> "$folder/times"
	done
	sql -c VACUUM
done
echo "from the call to the first asset:"
stats --unit ms 'session<=15' 'p99:session<=40' 'new<=15' 'p99:new<=40' serial p99:serial < "$folder/times"

sql -c "ALTER SYSTEM SET log_min_messages = debug1" -c "SELECT pg_reload_conf()" > /dev/null
started() { grep -c 'starting background worker process "vibepiper' "$folder/server.log" || true; }
processes() {
	local before
	before=$(started)
	cat > "$folder/script"
	sql -f "$folder/script" > "$folder/out"
	echo $(($(started) - before))
}
n=$(processes <<< "SELECT vibepiper.run('fifteen', force => true, max_workers => 2);")
[ "$n" -ge 2 ] || die "a run with something to do should have started processes: $n"
n=$({
	printf '%s\n' '\timing on'
	for ((k = 0; k < BLOCK; k++)); do
		echo "SELECT 1 / (bool_and(status = 'cached'))::int FROM vibepiper.run('fifteen');"
	done
} | processes)
echo "processes started by $BLOCK runs with nothing to do: $n  wanted 0: $([ "$n" = 0 ] && echo met || echo MISSED)"
awk '/^Time:/ { print ++n, "nothing", $2 }' "$folder/out" | stats --unit ms nothing
