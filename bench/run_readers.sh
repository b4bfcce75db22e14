#!/bin/bash
# Does publishing disturb readers?  The 99th percentile of their latency (about 13 minutes).
#
# A pipeline of 16 assets is run once a second, for 60 s, while pgbench reads 15
# of them by their unique index.  In "publish" all 15 get new versions each time; in
# "withheld" the same is computed, but the sixteenth fails, so that nothing of
# the run is published.  Both take turns, with pgbench -M prepared and -M simple.
# Wanted: 99th percentile, publish/withheld <= 1.2; the others are reported.
#
# LENGTH=60 (seconds) ROUNDS=3 CLIENTS=1 RATE=0 (transactions a second; 0: as
# many as possible): fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${LENGTH:=60}" "${ROUNDS:=3}" "${CLIENTS:=1}" "${RATE:=0}"

bench_start "shared_buffers = '128MB'"
sql > /dev/null <<-'SQL'
	CREATE SCHEMA raw;
	CREATE TABLE raw.numbers AS SELECT i AS id, i % 97 AS n FROM generate_series(1, 1000) i;
	CREATE TABLE raw.gate AS SELECT 1 AS open;
	VACUUM ANALYZE;
	SELECT vibepiper.define_pipeline('shown', keep_versions => 1);
	SELECT count(*) FROM generate_series(1, 15) k,
		vibepiper.define_asset('shown.a' || k, format('SELECT id, n + %s AS n, now() AS made FROM raw.numbers', k), indexes => '{UNIQUE (id)}');
	SELECT vibepiper.define_asset('shown.gate', 'SELECT 1 / open AS x, now() AS made FROM raw.gate');
	SELECT vibepiper.run('shown');
SQL
for k in {1..15}; do
	printf '%s\n' '\set id random(1, 1000)' "SELECT n, made FROM shown.a$k WHERE id = :id;" > "$folder/a$k.pgbench"
done

# A run at each full second of the slice.
runs() {
	local k
	echo 'SELECT clock_timestamp() AS began \gset'
	for ((k = 0; k < LENGTH; k++)); do
		echo "SELECT pg_sleep_until(:'began'::timestamptz + '$k s'::interval);"
		echo "SELECT count(*) FROM vibepiper.run('shown', force => true, max_workers => 2, on_failure => 'report');"
	done
}

ended() { sql -c "SELECT count(*) FROM vibepiper.runs WHERE status = '$1' AND (built, failed) IN ((16, 0), (15, 1))"; }

# slice SIDE MODE: pgbench's log goes to $folder/log.*
slice() {
	local status before pid
	rm -f "$folder"/log.*
	case $1 in
		publish) sql -c "UPDATE raw.gate SET open = 1"; status=succeeded ;;
		withheld) sql -c "UPDATE raw.gate SET open = 0"; status=failed ;;
	esac
	before=$(ended "$status")
	runs > "$folder/runs.sql"
	sql -f "$folder/runs.sql" > "$folder/runs.out" &
	pid=$!
	# shellcheck disable=SC2046
	(cd "$folder" && pgbench -n -M "$2" -c "$CLIENTS" -T "$LENGTH" -l --log-prefix=log \
		$([ "$RATE" = 0 ] || echo "-R $RATE") $(printf -- '-f a%s.pgbench ' {1..15})) > "$folder/pgbench.out" 2>&1 ||
		{ cat "$folder/pgbench.out" >&2; die "pgbench failed"; }
	wait "$pid"
	[ $(($(ended "$status") - before)) = "$LENGTH" ] || die "there should have been $LENGTH $status runs"
}

# "client transaction latency ..."
percentile() { cut -d' ' -f3 "$folder"/log.* | sort -n | awk -v q="$1" '{ v[NR] = $1 } END { i = int(q * (NR - 1)) + 1; print v[i] }'; }

measure() {
	local side mode=$2 order=$3 q
	for side in $order; do
		slice "$side" "$mode"
		for q in 0.5 0.99 0.999 1; do
			echo "$1 ${side}_$mode.$q $(percentile $q)"
		done
		echo "$1 ${side}_$mode.count $(cat "$folder"/log.* | wc -l)"
	done
}

for ((round = 1; round <= ROUNDS; round++)); do
	order='publish withheld'
	[ $((round % 2)) = 0 ] || order='withheld publish'
	for mode in prepared simple; do measure "$round" "$mode" "$order"; done
done > "$folder/times"
for mode in prepared simple; do
	echo "pgbench -M $mode, $CLIENTS client(s), $LENGTH s each:"
	for side in publish withheld; do
		stats --unit "transactions" "${side}_$mode.count" < "$folder/times"
		stats --unit us "${side}_$mode".{0.5,0.99,0.999,1} < "$folder/times"
	done
	stats "publish_$mode.0.99/withheld_$mode.0.99<=1.2" "publish_$mode".{0.5/withheld_"$mode".0.5,0.999/withheld_"$mode".0.999,1/withheld_"$mode".1} < "$folder/times"
done
