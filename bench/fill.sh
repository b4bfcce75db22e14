#!/bin/bash
# Materializing five million narrow rows, against CREATE UNLOGGED TABLE AS (about five minutes).
#
# Both sides compute the same query by the same plan, from a source in cache,
# without and with parallel workers; the time is the statement's at the client,
# so from start to commit.  The asset's rows are hashed; its ANALYZE is left to
# sample 300 rows (some milliseconds, printed), it has no indexes.
#
#   new      a new slot, against a new table.  What is left of earlier ones is
#            dropped before, outside the time.
#            Wanted: median ratio <= 1.00, upper bound <= 1.05.
#   refill   a slot that is filled again, against DROP and CREATE in one
#            transaction: letting go of the old file is in the time.  Reported.
#
# ROWS=5000000 PAIRS=15 REFILL_PAIRS=5: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${ROWS:=5000000}" "${PAIRS:=15}" "${REFILL_PAIRS:=5}"

bench_start "max_parallel_workers = 2"
sql -v rows="$ROWS" <<-'SQL'
	CREATE SCHEMA raw;
	CREATE TABLE raw.orders AS
		SELECT i AS id, i % 10007 AS customer, date '2026-01-01' + i % 365 AS day, i % 997 * 0.25::float8 AS amount,
			'item ' || i % 100 AS item
		FROM generate_series(1, :rows) i;
	VACUUM (ANALYZE, FREEZE) raw.orders;
	CREATE EXTENSION pg_prewarm;
	SELECT pg_prewarm('raw.orders') \g /dev/null
	SELECT vibepiper.define_pipeline('bench', keep_versions => 1);
SQL

# The rows differ from round to round, so that no run finds them unchanged.
query() { echo "SELECT id, customer + $1 AS customer, day, amount, item FROM raw.orders"; }

# One session for everything, so that none starts cold.  A marked statement's
# time is that of the \timing line which follows.
session() {
	local workers=$1 kind=$2 pairs=$3 round side
	echo "SET max_parallel_workers_per_gather = $workers;"
	# else no plan of a query that returns every row is parallel
	echo "SET parallel_tuple_cost = 0; SET parallel_setup_cost = 0;"
	echo "EXPLAIN (COSTS OFF) $(query 0);"
	for round in $(seq 0 "$pairs"); do
		for side in $([ $((round % 2)) = 0 ] && echo asset table || echo table asset); do
			"${kind}_$side" "$round"
		done
	done
}

timed() {
	echo "\\echo $1 $2"
	echo '\timing on'
	echo "$3"
	echo '\timing off'
}

# ANALYZE's sample is part of a run, and small here
asset() {
	echo "SELECT vibepiper.define_asset('bench.orders', '$(query "$1")', settings => '{default_statistics_target=1}') \\g /dev/null"
	timed "$1" asset "SELECT count(*) FROM vibepiper.run('bench', parallel => false) WHERE status = 'built';"
}
analyze_time() {
	echo "SELECT 'ANALYZE vibepiper_store.' || quote_ident(relname) AS analyze FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r' ORDER BY oid DESC LIMIT 1 \\gset"
	echo "SET default_statistics_target = 1;"
	timed "$1" analyze ":analyze;"
	echo "RESET default_statistics_target;"
}
new_asset() {
	echo "SELECT vibepiper.drop_asset('bench.orders') WHERE to_regclass('bench.orders') IS NOT NULL \\g /dev/null"
	asset "$1"
	analyze_time "$1"
}
new_table() {
	echo "DROP TABLE IF EXISTS raw.copy;"
	timed "$1" table "CREATE UNLOGGED TABLE raw.copy AS $(query "$1");"
}
refill_asset() {
	asset "$1"
}
refill_table() {
	timed "$1" table "BEGIN\\; DROP TABLE IF EXISTS raw.copy\\; CREATE UNLOGGED TABLE raw.copy AS $(query "$1")\\; COMMIT;"
}

# "\echo ROUND SIDE", the statement's output, "Time: 1234.567 ms (00:01.235)"
times() { awk '/^[0-9]+ (asset|table|analyze)$/ { mark = $0 } /^Time:/ { print mark, $2 }'; }

measure() {
	local name=$1 workers=$2 kind=$3 pairs=$4
	shift 4
	session "$workers" "$kind" "$pairs" > "$folder/session.sql"
	sql -f "$folder/session.sql" > "$folder/out"
	echo "$name ($(grep -c Gather "$folder/out" || true) Gather in the plan):"
	# round 0 warms up
	times < "$folder/out" | grep -v '^0 ' > "$folder/times"
	stats --unit ms "$@" < "$folder/times"
}

for workers in 0 2; do
	measure "new slot, $workers parallel workers" $workers new "$PAIRS" 'asset/table<=1.00,1.05' asset table analyze
done
measure "refill, 0 parallel workers" 0 refill "$REFILL_PAIRS" asset/table asset table
