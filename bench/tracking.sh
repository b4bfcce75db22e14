#!/bin/bash
# What the tracking of changes costs writers (about 45 minutes).
#
# pgbench's TPC-B, each of its four tables read by an asset ("tracked") and in
# another database not ("untracked").  Beside them what those do who track by
# triggers, the table's and the transaction's numbers noted once per statement
# and table: by a function in C ("c_trigger"), which only fills a hash table of
# its process, and by one in PL/pgSQL ("plpgsql").  Rounds of ABBA; the triggers
# are measured in the first ones only.
# Wanted: transactions tracked/untracked >= 0.99, lower bound 0.97.
#
# Then the same by counting: what a process executes for a transaction, in user
# mode, with the server under valgrind.  Two counts of different length,
# subtracted, so that the start doesn't count; the same accounts in the same
# order on all sides.
# Wanted: instructions tracked/untracked <= 1.01.
#
# LENGTH=20 (seconds) ROUNDS=30 TRIGGER_ROUNDS=5 SCALE=20 CLIENTS=2, and
# COUNTS=3 COUNTED=2000 (transactions): fewer give a quick look, 0 ROUNDS or
# COUNTS leave that part out.
set -euo pipefail
. "$(dirname "$0")/common.bash"
. "$root/test/tools/private-server.sh"
: "${LENGTH:=20}" "${ROUNDS:=30}" "${TRIGGER_ROUNDS:=5}" "${SCALE:=20}" "${CLIENTS:=2}" "${COUNTS:=3}" "${COUNTED:=2000}"
sides='untracked tracked c_trigger plpgsql'
[ "$COUNTS" = 0 ] || have valgrind || { note "valgrind is not there: instructions are not counted"; COUNTS=0; }

bench_start "synchronous_commit = off" "log_connections = on"
for side in $sides; do
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
PGDATABASE=c_trigger bench_library noting
PGDATABASE=plpgsql sql <<-'SQL'
	CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM set_config('noting.r' || TG_RELID, pg_current_xact_id()::text, true);
		RETURN NULL;
	END $$;
SQL
for side in c_trigger plpgsql; do
	PGDATABASE=$side sql <<-'SQL'
		SELECT format('CREATE TRIGGER noting AFTER INSERT OR UPDATE OR DELETE ON pgbench_%s EXECUTE FUNCTION noting()', t)
			FROM unnest('{accounts,branches,tellers,history}'::text[]) t \gexec
	SQL
done

changes_are_noticed() {
	local n
	n=$(PGDATABASE=tracked sql -c "SELECT count(*) FROM vibepiper.plan('p') WHERE action = 'build'")
	[ "$n" = 4 ] || die "the changes were not noticed: $n of 4"
}

# ---- time

# measure ROUND SIDE
measure() {
	pgbench -n -M prepared -c "$CLIENTS" -j "$CLIENTS" -T "$LENGTH" "$2" > "$folder/out" 2> "$folder/err" || die "$(cat "$folder/err")"
	echo "$1 $2 $(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$folder/out")"
}

tidy() {
	PGDATABASE=$1 sql -c 'VACUUM pgbench_branches, pgbench_tellers, pgbench_history' -c 'TRUNCATE pgbench_history'
}

if [ "$ROUNDS" -gt 0 ]; then
	for side in $sides; do measure 0 "$side" > /dev/null; done
	for ((round = 1; round <= ROUNDS; round++)); do
		for side in tracked untracked untracked tracked; do measure "$round" "$side"; done
		[ "$round" -gt "$TRIGGER_ROUNDS" ] || for side in c_trigger plpgsql; do measure "$round" "$side"; done
		for side in $sides; do tidy "$side"; done
	done > "$folder/times"
	changes_are_noticed
	triggers=
	[ "$TRIGGER_ROUNDS" = 0 ] || triggers='c_trigger/untracked plpgsql/untracked'
	# shellcheck disable=SC2086
	stats --unit tps tracked untracked 'tracked/untracked>=0.99,0.97' $triggers < "$folder/times"
fi

# ---- instructions

[ "$COUNTS" -gt 0 ] || exit 0

server_dir=$folder
under_valgrind() {
	as_server_user mkdir -p "$folder/counts"
	cat > "$folder/postgres" <<-SH
		#!/bin/sh
		exec valgrind -q --tool=callgrind --callgrind-out-file=$folder/counts/%p "$("$PG_CONFIG" --bindir)/postgres" "\$@"
	SH
	chmod a+rx "$folder/postgres"
	server_stop
	as_server_user "$("$PG_CONFIG" --bindir)/pg_ctl" -s -w -t 600 -D "$folder/data" -l "$folder/server.log" -p "$folder/postgres" start
}

# One client, with the round's seed.
transactions() {
	quietly env PGAPPNAME="counted.$1.$2.$3" pgbench -n -M prepared --random-seed "$1" -t "$3" "$2"
}

# What all processes of that name executed.
executed() {
	local pid
	for pid in $(sed -n "s/.*\[\([0-9]*\)\].*connection authorized:.*application_name=counted.$1.$2.$3\$/\1/p" "$folder/server.log"); do
		sed -n 's/^\(summary\|totals\): //p' "$folder/counts/$pid" | head -n 1
	done | awk '{ n += $1 } END { printf "%.0f\n", n }'
}

for side in $sides; do
	PGDATABASE=$side quietly pgbench -i -I g -s "$SCALE"
	PGDATABASE=$side sql -c 'VACUUM ANALYZE' -c CHECKPOINT
done
under_valgrind
for ((round = 1; round <= COUNTS; round++)); do
	for side in $sides; do
		transactions "$round" "$side" 100
		transactions "$round" "$side" $((COUNTED + 100))
		tidy "$side"
	done
done
changes_are_noticed
server_stop
for ((round = 1; round <= COUNTS; round++)); do
	for side in $sides; do
		echo "$round $side" $(($(executed "$round" "$side" $((COUNTED + 100))) - $(executed "$round" "$side" 100)))
	done
done | awk -v n="$COUNTED" '{ print $1, $2, $3 / n }' > "$folder/counted"
stats --unit instructions tracked untracked 'tracked/untracked<=1.01' c_trigger/untracked plpgsql/untracked < "$folder/counted"
