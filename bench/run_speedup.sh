#!/bin/bash
# Eight equal, CPU-bound assets on two workers, against two sessions that do the same (about five minutes).
#
#   run2       run(max_workers => 2)
#   sessions   two psql at once, each four times CREATE UNLOGGED TABLE AS of the
#              same queries
#   run1       run(max_workers => 1)
#   serial     run(parallel => false)
#
# All is measured from the start of psql to its end.  Wanted, of two free
# processors: 0.95 of the sessions' throughput, and 1.9 x serial.
#
# TASK_SECONDS=2 ROUNDS=5: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${TASK_SECONDS:=2}" "${ROUNDS:=5}"

bench_start
[ "$(nproc)" -ge 2 ] || die "it takes two processors"

# query LOOPS NUMBER: the rows differ from run to run
query() {
	echo "SELECT $2 AS asset, now() AS made, count(*) FILTER (WHERE sqrt(i::float8 * j) > 1000) AS n
		FROM generate_series(1, 1000) i, generate_series(1, $1) j"
}
calibrate() {
	sql -c "SET jit = off" -c "$(query 1000 0)" > /dev/null
	echo "$(query 2000 0);" | clocked
}
ms=$(calibrate)
loops=$(awk "BEGIN { printf \"%d\", 2000 * $TASK_SECONDS * 1000 / $ms + 1 }")

sql -c "CREATE SCHEMA tab" -c "SELECT vibepiper.define_pipeline('eight', keep_versions => 1)" > /dev/null
for k in {1..8}; do
	sql -c "SELECT vibepiper.define_asset('eight.a$k', \$\$$(query "$loops" "$k")\$\$)" > /dev/null
done

run() { sql -c "SELECT 1 / (count(*) FILTER (WHERE status = 'built') = 8)::int FROM vibepiper.run('eight', force => true, $1)" > /dev/null; }
session() {
	local k
	for k; do echo "CREATE UNLOGGED TABLE tab.a$k AS $(query "$loops" "$k");"; done | sql
}
side_run2() { run 'max_workers => 2'; }
side_run1() { run 'max_workers => 1'; }
side_serial() { run 'parallel => false'; }
side_sessions() {
	local other
	session 1 3 5 7 &
	other=$!
	session 2 4 6 8
	wait "$other"
}

# measure ROUND SIDE
measure() {
	local start
	sql -c "DROP TABLE IF EXISTS $(printf 'tab.a%s, ' {1..7}) tab.a8"
	start=$(date +%s%N)
	"side_$2"
	echo "$1 $2 $((($(date +%s%N) - start) / 1000))e-3"
}

# two rounds of runs make both slots of each asset
for round in 0 0; do
	for side in run2 sessions; do measure "$round" "$side"; done
done > /dev/null
for round in $(seq "$ROUNDS"); do
	order='run2 sessions serial run1'
	[ $((round % 2)) = 0 ] || order='run1 serial sessions run2'
	for side in $order; do measure "$round" "$side"; done
done > "$folder/times"
echo "8 assets of $TASK_SECONDS s:"
stats --unit ms run2 sessions run1 serial 'sessions/run2>=0.95' 'serial/run2>=1.9' run1/run2 < "$folder/times"
