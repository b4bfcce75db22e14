#!/bin/bash
# A run that finds 1,000 assets fresh (about a minute).
#
# Each asset reads three tables of 100, whose rings are full.  "run" is run() in
# one session, again and again; "first" the first one of a new session; "plan"
# the same without a run.  What the sources of an asset cost: validity.sh.
# Wanted: run <= 20 ms, without a process.
#
# ASSETS=1000 RUNS=50: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${ASSETS:=1000}" "${RUNS:=50}"

bench_start "log_min_messages = debug1"
sql > /dev/null <<-SQL
	CREATE SCHEMA raw;
	DO \$\$ BEGIN FOR i IN 0 .. 99 LOOP EXECUTE format('CREATE TABLE raw.t%s AS SELECT 1 AS n', i); END LOOP; END \$\$;
	SELECT vibepiper.define_pipeline('many');
	SELECT count(*) FROM vibepiper.define_assets('many', (SELECT jsonb_agg(jsonb_build_object('name', 'many.a' || i, 'query',
		format('SELECT a.n + b.n + c.n AS n FROM raw.t%s a, raw.t%s b, raw.t%s c', i % 100, (i + 1) % 100, (i + 2) % 100))) FROM generate_series(1, $ASSETS) i));
	DO \$\$ BEGIN FOR i IN 1 .. 70 LOOP FOR j IN 0 .. 99 LOOP EXECUTE format('UPDATE raw.t%s SET n = 1', j); END LOOP; COMMIT; END LOOP; END \$\$;
	SELECT vibepiper.run('many');
	VACUUM ANALYZE;
SQL

started() { grep -c 'starting background worker process "vibepiper' "$folder/server.log" || true; }
timed() {
	local k
	echo '\timing on'
	for ((k = 0; k < $3; k++)); do
		echo "SELECT 1 / (bool_and($2 = 'cached'))::int FROM vibepiper.$1('many');"
	done
}
before=$(started)
{
	for ((k = 1; k <= RUNS / 10; k++)); do
		timed run status 11 | sql | awk -v k="$k" '/^Time:/ { n++; print k, n == 1 ? "first" : "run", $2 }'
		timed plan action 11 | sql | awk -v k="$k" '/^Time:/ && n++ { print k, "plan", $2 }'
		sql -c VACUUM
	done
} > "$folder/times"
echo "$ASSETS assets, all fresh:"
stats --unit ms 'run<=20' first plan run-plan < "$folder/times"
echo "processes started: $(($(started) - before))  wanted 0: $([ "$(started)" = "$before" ] && echo met || echo MISSED)"
