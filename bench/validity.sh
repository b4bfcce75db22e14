#!/bin/bash
# What the look at an asset's ten sources costs (about two minutes).
#
# plan() of a pipeline of 500 assets that read the same ten tables, minus plan()
# of one of 500 that read none, in turn in one session, divided by 500.  So it
# holds all that the sources cost: carrying what the version remembers of them
# from the table to vp_sources_difference(), and that.  The ten rings are full:
# 70 transactions wrote each table since the last of those in progress began.
#
#   quiet     no other transaction is in progress
#   sessions  100 sessions are, with an id: they wrote another table
#   prepared  100 that wrote another table are prepared
#   writers   100 that wrote all ten tables are prepared, so the version
#             remembers of each table that it didn't see these
#
# Wanted: at most 5 microseconds with "sessions" and with "prepared".
#
# ASSETS=500 PAIRS=100: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${ASSETS:=500}" "${PAIRS:=100}"
holders=100

bench_start "max_connections = $((holders + 20))" "max_prepared_transactions = $holders"
sql > /dev/null <<-SQL
	CREATE SCHEMA raw;
	CREATE TABLE raw.other AS SELECT 1 AS n;
	DO \$\$ BEGIN FOR j IN 0 .. 9 LOOP EXECUTE format('CREATE TABLE raw.t%s AS SELECT 1 AS n', j); END LOOP; END \$\$;
	SELECT vibepiper.define_pipeline('none'), vibepiper.define_pipeline('ten');
	SELECT count(*) FROM vibepiper.define_assets('none', (SELECT jsonb_agg(jsonb_build_object('name', 'none.a' || i, 'query', 'SELECT 1 AS n')) FROM generate_series(1, $ASSETS) i));
	SELECT count(*) FROM vibepiper.define_assets('ten', (SELECT jsonb_agg(jsonb_build_object('name', 'ten.a' || i, 'query',
		'SELECT t0.n FROM ' || (SELECT string_agg('raw.t' || j, ', ') FROM generate_series(0, 9) j))) FROM generate_series(1, $ASSETS) i));
	SELECT vibepiper.run('none');
	SELECT vibepiper.run('ten');
SQL

others() { echo 'INSERT INTO raw.other VALUES (2);'; }
sources() { for j in 0 1 2 3 4 5 6 7 8 9; do echo "INSERT INTO raw.t$j VALUES (2);"; done; }

# Sessions that stay until their input ends, which is when the last one who can write to it closes it.
mkfifo "$folder/hold"
hold_sessions() {
	local i
	for ((i = 0; i < holders; i++)); do
		{ echo 'BEGIN;'; others; cat "$folder/hold"; } | sql > /dev/null 2>&1 &
	done
	exec 9> "$folder/hold"
	in_progress "$holders"
}
let_sessions_go() { exec 9>&-; wait; }

# prepare NAME STATEMENTS
prepare() {
	local i
	for ((i = 0; i < holders; i++)); do
		echo 'BEGIN;'; "$2"; echo "PREPARE TRANSACTION '$1$i';"
	done | sql
	in_progress "$holders"
}
forget_prepared() {
	echo "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts \\gexec" | sql
}

in_progress() {
	local n
	while :; do
		n=$(sql -c "SELECT count(*) FROM (SELECT transaction FROM pg_prepared_xacts UNION ALL SELECT backend_xid FROM pg_stat_activity WHERE backend_xid IS NOT NULL) x")
		[ "$n" -lt "$1" ] || break
		sleep 0.1
	done
	[ "$n" = "$1" ] || die "$n transactions are in progress, not $1"
}

fill_rings() {
	sql <<-'SQL'
		DO $$ BEGIN FOR i IN 1 .. 70 LOOP FOR j IN 0 .. 9 LOOP EXECUTE format('INSERT INTO raw.t%s SELECT 1 WHERE false', j); EXECUTE format('UPDATE raw.t%s SET n = 1', j); END LOOP; COMMIT; END LOOP; END $$;
		SELECT 1 / (count(*) FILTER (WHERE status IN ('built', 'unchanged')) > 0)::int FROM vibepiper.run('ten') \g /dev/null
		VACUUM ANALYZE;
	SQL
}

# plans SITUATION
plans() {
	local pair side
	{
		for ((pair = 0; pair <= PAIRS; pair++)); do
			for side in $([ $((pair % 2)) = 0 ] && echo ten none || echo none ten); do
				printf '%s\n' "\\echo $pair $side" '\timing on' \
					"SELECT 1 / (count(*) FILTER (WHERE action = 'cached') = $ASSETS)::int FROM vibepiper.plan('$side') \\g /dev/null" '\timing off'
			done
		done
	} > "$folder/plans.sql"
	sql -f "$folder/plans.sql" | awk -v n="$ASSETS" '/^[0-9]+ (ten|none)$/ { mark = $0 } /^Time:/ { print mark, $2 * 1000 / n }' |
		grep -v '^0 ' > "$folder/times"
	echo "$1:"
	stats --unit us none ten "$2" < "$folder/times"
}

fill_rings
plans quiet ten-none
hold_sessions
fill_rings
plans sessions 'ten-none<=5'
let_sessions_go
prepare other others
fill_rings
plans prepared 'ten-none<=5'
forget_prepared
prepare source sources
fill_rings
plans writers ten-none
forget_prepared
