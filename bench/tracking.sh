#!/bin/bash
# What the tracking of changes costs writers (about 42 minutes).
#
# pgbench's TPC-B, each of its four tables read by an asset ("tracked") and in
# another database not ("untracked"); beside them the same with a statement
# trigger per table that counts in PL/pgSQL ("trigger"), as those do who track
# by triggers.  Rounds of ABBA; "trigger" is measured in the first ones only.
# Wanted: transactions tracked/untracked >= 0.99, lower bound 0.97.
#
# LENGTH=20 (seconds) ROUNDS=30 TRIGGER_ROUNDS=5 SCALE=20 CLIENTS=2: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${LENGTH:=20}" "${ROUNDS:=30}" "${TRIGGER_ROUNDS:=5}" "${SCALE:=20}" "${CLIENTS:=2}"

bench_start "synchronous_commit = off"
for side in tracked untracked trigger; do
	sql -c "CREATE DATABASE $side"
	PGDATABASE=$side sql -c 'CREATE EXTENSION vibepiper'
	quietly pgbench -i -q -s "$SCALE" "$side"
done
PGDATABASE=tracked sql > /dev/null <<-'SQL'
	SELECT vibepiper.define_pipeline('p');
	SELECT count(*) FROM unnest('{accounts,branches,tellers,history}'::text[]) t,
		vibepiper.define_asset('p.' || t, format('SELECT count(*) AS n FROM public.pgbench_%s', t));
	SELECT count(*) FROM vibepiper.run('p');
SQL
PGDATABASE=trigger sql > /dev/null <<-'SQL'
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('note.' || TG_TABLE_NAME, txid_current()::text, true); RETURN NULL; END $$;
	SELECT format('CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON pgbench_%s EXECUTE FUNCTION note()', t)
		FROM unnest('{accounts,branches,tellers,history}'::text[]) t \gexec
SQL

# measure ROUND SIDE
measure() {
	local tps
	tps=$(pgbench -n -M prepared -c "$CLIENTS" -j "$CLIENTS" -T "$LENGTH" "$2" 2> /dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p')
	echo "$1 $2 $tps"
}
for side in tracked untracked trigger; do measure 0 "$side" > /dev/null; done
for round in $(seq "$ROUNDS"); do
	for side in tracked untracked untracked tracked; do measure "$round" "$side"; done
	[ "$round" -gt "$TRIGGER_ROUNDS" ] || measure "$round" trigger
	for side in tracked untracked trigger; do PGDATABASE=$side sql -c 'VACUUM pgbench_branches, pgbench_tellers, pgbench_history' -c 'TRUNCATE pgbench_history'; done
done > "$folder/times"
n=$(PGDATABASE=tracked sql -c "SELECT count(*) FROM vibepiper.plan('p') WHERE action = 'build'")
[ "$n" = 4 ] || die "the changes were not noticed: $n of 4"
stats --unit tps tracked untracked 'tracked/untracked>=0.99,0.97' trigger/untracked < "$folder/times"
