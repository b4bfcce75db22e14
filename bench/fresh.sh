#!/bin/bash
# A run that finds 1,000 assets fresh, and what one of them costs (about a minute).
#
# Each asset reads three tables of 100.  "run" is run() in one session, again
# and again; "first" the first one of a new session.  "validity" is what the
# look at one asset with ten sources costs: a run of a pipeline of 101 such
# assets minus one of 1, divided by 100; the ten rings are full.
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
	SELECT vibepiper.define_pipeline('one');
	SELECT vibepiper.define_pipeline('hundred');
	SELECT count(*) FROM generate_series(0, 100) i, vibepiper.define_asset(CASE i WHEN 0 THEN 'one' ELSE 'hundred' END || '.a' || i,
		'SELECT 1 AS n FROM ' || (SELECT string_agg('raw.t' || j, ', ') FROM generate_series(0, 9) j));
	DO \$\$ BEGIN FOR i IN 1 .. 70 LOOP FOR j IN 0 .. 9 LOOP EXECUTE format('UPDATE raw.t%s SET n = 1', j); END LOOP; COMMIT; END LOOP; END \$\$;
	SELECT vibepiper.run('many');
	SELECT vibepiper.run('one');
	SELECT vibepiper.run('hundred');
	VACUUM ANALYZE;
SQL

started() { grep -c 'starting background worker process "vibepiper' "$folder/server.log" || true; }
timed() {
	echo '\timing on'
	for ((k = 0; k < $2; k++)); do
		echo "SELECT 1 / (bool_and(status = 'cached'))::int FROM vibepiper.run('$1');"
	done
}
before=$(started)
{
	for ((k = 1; k <= RUNS / 10; k++)); do
		timed many 11 | sql | awk -v k="$k" '/^Time:/ { n++; print k, n == 1 ? "first" : "run", $2 }'
		timed one 11 | sql | awk -v k="$k" '/^Time:/ && n++ { print k, "one", $2 }'
		timed hundred 11 | sql | awk -v k="$k" '/^Time:/ && n++ { print k, "hundred", $2 }'
		sql -c VACUUM
	done
} > "$folder/times"
echo "$ASSETS assets, all fresh:"
stats --unit ms 'run<=20' first < "$folder/times"
echo "processes started: $(($(started) - before))  wanted 0: $([ "$(started)" = "$before" ] && echo met || echo MISSED)"
echo "100 assets of ten sources each, and one:"
stats --unit ms 'hundred-one' < "$folder/times"
