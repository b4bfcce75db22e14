#!/bin/bash
# Queries that read no asset: instructions per statement that the extension adds (about six minutes).
#
# A stand-alone backend under valgrind's callgrind executes a statement N and 2N
# times; the difference over N is a statement's instructions, start-up not
# counted.  That is done with and without the library, in a database with the
# extension and in one without it.  Instructions are repeatable to some hundreds
# (addresses differ, and hash tables with them), so there is nothing to repeat.
# Wanted: at most 1,000 more per statement.
#
# N=200: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$root/test/tools/private-server.sh"
: "${N:=200}"
have valgrind || die "this benchmark needs valgrind"

bench_start
sql -c 'CREATE DATABASE without'
for database in bench without; do
	PGDATABASE=$database sql <<-'SQL'
		CREATE SCHEMA tab;
		CREATE TABLE tab.a AS SELECT i AS id, i % 10 AS b, i % 7 AS c FROM generate_series(1, 1000) i;
		CREATE TABLE tab.b AS SELECT i AS id, 'b' || i AS name FROM generate_series(0, 9) i;
		CREATE TABLE tab.c AS SELECT i AS id, 'c' || i AS name FROM generate_series(0, 6) i;
		CREATE TABLE tab.sink (id int, name text);
		CREATE UNIQUE INDEX ON tab.a (id);
		CREATE UNIQUE INDEX ON tab.b (id);
		CREATE UNIQUE INDEX ON tab.c (id);
		CREATE VIEW tab.v AS SELECT a.id, b.name FROM tab.a JOIN tab.b ON b.id = a.b;
		VACUUM ANALYZE;
	SQL
done
server_dir=$folder
server_stop

statements=(
	"select by key|SELECT * FROM tab.a WHERE id = 77"
	"join of three|SELECT b.name, c.name FROM tab.a JOIN tab.b ON b.id = a.b JOIN tab.c ON c.id = a.c WHERE a.id = 77"
	"view, CTE and sub-query|WITH x AS MATERIALIZED (SELECT * FROM tab.v WHERE id < 3) SELECT (SELECT max(name) FROM tab.c) FROM x WHERE id IN (SELECT id FROM tab.b)"
	"function in FROM|SELECT * FROM generate_series(1, 3) i"
	"insert|INSERT INTO tab.sink VALUES (1, 'one')"
	"update by key|UPDATE tab.a SET c = c WHERE id = 78"
)

# count LIBRARIES DATABASE STATEMENT TIMES: instructions of a whole process
count() {
	local i input=$folder/tmp/input
	for ((i = 0; i < $4; i++)); do echo "$3"; done > "$input"
	chmod a+r "$input"
	as_server_user valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$("$PG_CONFIG" --bindir)/postgres" --single -D "$folder/data" \
		-c "shared_preload_libraries=$1" -c shared_buffers=16MB -c ignore_system_indexes=off \
		"$2" < "$input" 2>&1 > /dev/null | sed -n 's/.*Collected : //p'
}

# each LIBRARIES DATABASE STATEMENT: instructions of one
each() {
	local once twice
	once=$(count "$1" "$2" "$3" "$N")
	twice=$(count "$1" "$2" "$3" $((2 * N)))
	[ -n "$once" ] && [ -n "$twice" ] || die "callgrind did not count"
	echo $(((twice - once) / N))
}

# compare NAME DATABASE STATEMENT
compare() {
	local without with verdict=met
	without=$(each "" "$2" "$3")
	with=$(each vibepiper "$2" "$3")
	[ $((with - without)) -le 1000 ] || verdict=MISSED
	printf '%-26s %-10s %10d %10d  %+d  wanted <= +1000: %s\n' "$1" "$2" "$without" "$with" \
		$((with - without)) "$verdict"
}

printf '%-26s %-10s %10s %10s\n' "instructions per statement" "database" "without" "with it"
for entry in "${statements[@]}"; do
	compare "${entry%%|*}" bench "${entry#*|}"
	compare "${entry%%|*}" without "${entry#*|}"
done
