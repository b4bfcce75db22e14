#!/bin/bash
# What a parallel run adds to each asset, against a loop of bare CREATE UNLOGGED TABLE AS (about ten minutes).
#
# A chain of 1,000 assets on one worker and a fan of as many on two, each asset
# a row of one column.  "new" is the first run.  The second one is not measured:
# it makes the second slots; from the third one on they are filled again, since
# the rows differ from run to run: "refill".  "loop" is one session that
# executes, each in a transaction of its own,
#     CREATE UNLOGGED TABLE ... AS SELECT 1 AS x
# as many times; "redo" also drops the table of before in that transaction.
# Wanted: each of the four <= 2 x the loop, with synchronous_commit on and off.
# chain_refill/redo and fan_refill/redo are reported.
#
# Beside them, only reported, in the same units: the loop through one psql per
# statement, through dblink_exec() on one connection, and as jobs of pg_cron
# that are all due in one minute, two at a time in background workers.  (No
# chain: pg_cron's jobs don't wait for one another.)
#
# A transaction that lets go of a file looks through all of shared_buffers for
# its pages: so do "redo" and "refill", and "loop" doesn't.
#
# ASSETS=1000 ROUNDS=3 REFILLS=2 PEER_STATEMENTS=200: fewer give a quick look.
# FSYNC=on SHARED_BUFFERS=128MB.  PG_CRON=no leaves that out; its jobs are
# measured in the first round alone, for they begin at a full minute.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${ASSETS:=1000}" "${ROUNDS:=3}" "${REFILLS:=2}" "${PEER_STATEMENTS:=200}" "${PG_CRON:=yes}"
: "${FSYNC:=on}" "${SHARED_BUFFERS:=128MB}"

extension_exists() { [ -f "$("$PG_CONFIG" --sharedir)/extension/$1.control" ]; }

libraries=vibepiper
if [ "$PG_CRON" = yes ]; then
	if extension_exists pg_cron; then libraries+=', pg_cron'; else PG_CRON=no; note "pg_cron is not there"; fi
fi
# pg_cron's settings mean nothing without it
bench_start "fsync = $FSYNC" "shared_buffers = '$SHARED_BUFFERS'" "max_locks_per_transaction = 1000" "shared_preload_libraries = '$libraries'" \
	"cron.database_name = 'bench'" "cron.use_background_workers = on" "cron.max_running_jobs = 2"
sql <<-'SQL'
	CREATE SCHEMA tab;
	CREATE FUNCTION tab.assets(kind text, n int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_agg(jsonb_build_object('name', 'a' || k, 'query',
				CASE WHEN kind = 'fan' OR k = 1 THEN 'SELECT now() AS x'
					ELSE format('SELECT x FROM %I.a%s', kind, k - 1) END))
		FROM generate_series(1, n) k $$;
SQL
peers=psql
if extension_exists dblink; then sql -c 'CREATE EXTENSION dblink'; peers+=' dblink'; else note "dblink is not there"; fi
if [ "$PG_CRON" = yes ]; then sql -c 'CREATE EXTENSION pg_cron'; peers+=' pg_cron'; fi

create() { echo "CREATE UNLOGGED TABLE tab.t$1 AS SELECT 1 AS x;"; }
each() { local k; for ((k = 1; k <= $1; k++)); do "$2" "$k"; done; }
drop() { echo "DROP TABLE IF EXISTS tab.t$1;"; }
redo() { echo "BEGIN; DROP TABLE tab.t$1; CREATE UNLOGGED TABLE tab.t$1 AS SELECT 1 AS x; COMMIT;"; }
loop() { each "$1" create | clocked; }
drop_tables() { each "$ASSETS" drop | sql; }

# run KIND WORKERS [force]: milliseconds
run() {
	clocked <<-SQL
		SELECT 1 / (count(*) FILTER (WHERE status = 'built') = $ASSETS)::int
		FROM vibepiper.run('$1', max_workers => $2, force => ${3:-false});
	SQL
}

define() {
	sql <<-SQL
		SELECT vibepiper.define_pipeline('$1', keep_versions => 1) \\g /dev/null
		SELECT count(*) FROM vibepiper.define_assets('$1', tab.assets('$1', $ASSETS)) \\g /dev/null
	SQL
}

# record SIDE COMMAND...: what it prints is the milliseconds of so many.
record() {
	local side=$1 ms
	shift
	ms=$("$@")
	awk "BEGIN { print $round, \"$side\", $ms * 1000 / ${count:-$ASSETS} }"
}

graph() {
	local kind=$1 workers=$2 k
	sql -c "SELECT vibepiper.drop_pipeline('$kind', cascade => true) FROM vibepiper.pipelines WHERE pipeline = '$kind'" > /dev/null
	define "$kind"
	record "${kind}_new" run "$kind" "$workers"
	run "$kind" "$workers" true > /dev/null
	for ((k = 1; k <= REFILLS; k++)); do
		record "${kind}_refill" run "$kind" "$workers" true
	done
}

peer_psql() {
	local start k
	start=$(date +%s%N)
	for ((k = 1; k <= PEER_STATEMENTS; k++)); do
		sql -c "$(create "$k")"
	done
	echo $((($(date +%s%N) - start) / 1000))e-3
}

peer_dblink() {
	clocked <<-SQL
		SELECT dblink_connect('peer', 'host=$PGHOST port=$PGPORT user=$PGUSER dbname=bench');
		SELECT dblink_exec('peer', format('CREATE UNLOGGED TABLE tab.t%s AS SELECT 1 AS x', k))
		FROM generate_series(1, $PEER_STATEMENTS) k;
	SQL
}

# From the first job's start to the last one's end.
peer_pg_cron() {
	local done=0
	sql -c "TRUNCATE cron.job_run_details" -c "SELECT cron.schedule('t' || k, '* * * * *',
			format('CREATE UNLOGGED TABLE tab.t%s AS SELECT 1 AS x', k)) FROM generate_series(1, $PEER_STATEMENTS) k" > /dev/null
	while [ "$done" -lt "$PEER_STATEMENTS" ]; do
		sleep 1
		done=$(sql -c "SELECT count(DISTINCT jobid) FROM cron.job_run_details WHERE end_time IS NOT NULL")
	done
	sql -c "SELECT count(cron.unschedule(jobid)) FROM cron.job" > /dev/null
	sql -c "SELECT extract(epoch FROM max(end_time) - min(start_time)) * 1000
		FROM (SELECT DISTINCT ON (jobid) * FROM cron.job_run_details WHERE status = 'succeeded' ORDER BY jobid, runid) d
		HAVING count(*) = $PEER_STATEMENTS"
}

redo_loop() { each "$ASSETS" redo | clocked; }

round_of() {
	local peer
	record loop loop "$ASSETS"
	record redo redo_loop
	drop_tables
	graph chain 1
	record loop loop "$ASSETS"
	drop_tables
	graph fan 2
	for peer in $peers; do
		[ "$peer" != pg_cron ] || [ "$round" = 1 ] || continue
		count=$PEER_STATEMENTS record "$peer" "peer_$peer"
		drop_tables
	done
	sql -c VACUUM
}

for commit in on off; do
	: > "$folder/times.$commit"
done
# round 0 warms up
for ((round = 0; round <= ROUNDS; round++)); do
	for commit in on off; do
		sql -c "ALTER DATABASE bench SET synchronous_commit = $commit"
		round_of > "$folder/round"
		[ "$round" = 0 ] || cat "$folder/round" >> "$folder/times.$commit"
	done
done
for commit in on off; do
	echo "synchronous_commit = $commit, per asset or statement:"
	# shellcheck disable=SC2046,SC2086
	stats --unit us loop redo chain_new chain_refill fan_new fan_refill $peers \
		'chain_new/loop<=2' 'chain_refill/loop<=2' 'fan_new/loop<=2' 'fan_refill/loop<=2' \
		chain_refill/redo fan_refill/redo $(printf '%s/loop ' $peers) < "$folder/times.$commit"
done
