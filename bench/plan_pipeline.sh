#!/bin/bash
# plan() of pipelines whose assets are all fresh: 100, 1,000 and 10,000 of them (about four minutes).
#
# Each asset reads one to five of the thirty before it.  They are defined in
# batches, run once, and then planned 15 times, each pipeline alone in its
# database.  Wanted: 1,000 in 20 ms, 10,000 in 250 ms, growing linearly.  Then
# the smaller ones again, beside the largest in one database: only reported.
#
# SIZES="100 1000 10000" ROUNDS=15
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${SIZES:=100 1000 10000}" "${ROUNDS:=15}" "${BATCH:=1000}"

bench_start "max_locks_per_transaction = 4000"
prepare() {
	sql -d "$1" <<-'SQL'
	CREATE EXTENSION IF NOT EXISTS vibepiper;
	CREATE SCHEMA tab;
	CREATE TABLE tab.base AS SELECT i AS x FROM generate_series(1, 3) i;

	CREATE FUNCTION tab.query(pipeline text, k int) RETURNS text LANGUAGE sql AS $$
		SELECT CASE WHEN k <= 10 THEN format('SELECT sum(x) + %s AS x FROM tab.base', k)
			ELSE (SELECT format('SELECT (sum(x) + %s) %% 1000 AS x FROM (%s) u', k,
					string_agg(format('SELECT x FROM %I.a%s', pipeline, u), ' UNION ALL ' ORDER BY u))
				FROM (SELECT DISTINCT k - 1 - (k * 7 + j * 11) % least(k - 1, 30) AS u
					FROM generate_series(1, k * 31 % 5 + 1) j) s) END $$;

	CREATE FUNCTION tab.batch(pipeline text, first int, last int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_agg(jsonb_build_object('name', 'a' || k, 'query', tab.query(pipeline, k)))
		FROM generate_series(first, last) k $$;
SQL
}

seconds() { awk "BEGIN { printf \"%.1f\", $(date +%s.%N) - $1 }"; }

# pipeline DATABASE SIZE: define and run one
pipeline() {
	local database=$1 size=$2 first last start
	start=$(date +%s.%N)
	sql -d "$database" -c "SELECT vibepiper.define_pipeline('p$size')" > /dev/null
	for ((first = 1; first <= size; first += BATCH)); do
		last=$((first + BATCH - 1 < size ? first + BATCH - 1 : size))
		sql -d "$database" -c "SELECT count(*) FROM vibepiper.define_assets('p$size', tab.batch('p$size', $first, $last))" > /dev/null
	done
	note "$size assets defined in $(seconds "$start") s"
	start=$(date +%s.%N)
	sql -d "$database" -c "SELECT count(*) FROM vibepiper.run('p$size', parallel => false)" > /dev/null
	note "$size assets run in $(seconds "$start") s"
	sql -d "$database" -c 'VACUUM ANALYZE'
}

# measure DATABASE SIZE [LIMIT]: \timing prints "Time: 12.345 ms"; round 0 warms up
measure() {
	local round
	{
		echo '\timing on'
		for round in $(seq 0 "$ROUNDS"); do
			echo "SELECT '$round ' || count(*) FILTER (WHERE action = 'cached') FROM vibepiper.plan('p$2');"
		done
	} | sql -d "$1" > "$folder/out"
	awk -v size="$2" '/^Time:/ { if (round > 0) print round, "n" size, $2; next } { round = $1; if ($2 != size) exit 1 }' \
		"$folder/out" > "$folder/times" || die "not everything was fresh"
	stats --unit ms "n$2${3:+<=$3}" < "$folder/times"
	awk -v size="$2" '{ print $1, "each", $3 * 1000 / size }' "$folder/times" | stats --unit "us an asset" each
}

limit() { case $1 in 1000) echo 20 ;; 10000) echo 250 ;; esac; }

for size in $SIZES; do
	sql -c "CREATE DATABASE alone$size"
	prepare "alone$size"
	pipeline "alone$size" "$size"
	measure "alone$size" "$size" "$(limit "$size")"
	largest=$size
done
for size in $SIZES; do
	[ "$size" != "$largest" ] || continue
	pipeline "alone$largest" "$size"
	echo "beside $largest others:"
	measure "alone$largest" "$size"
done
