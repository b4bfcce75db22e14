#!/bin/bash
# Queries that read no asset: instructions per statement that the extension adds (about six minutes).
#
# A stand-alone backend under valgrind's callgrind executes a statement N and 2N
# times; the difference over N is a statement's instructions, start-up not
# counted.  That is done with and without the library, in a database that has the
# extension.  Counts are repeatable but for the addresses of memory, on which
# hash tables depend, some hundreds of instructions: so each is the median over
# several layouts.  Wanted: at most 1,000 more per statement.
#
# N=60 LAYOUTS=5: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
. "$root/test/tools/private-server.sh"
: "${N:=60}" "${LAYOUTS:=5}"
have valgrind || die "this benchmark needs valgrind"

bench_start
sql <<-'SQL'
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
server_dir=$folder
server_stop

statements=(
	"select by key|SELECT * FROM tab.a WHERE id = 77"
	"join of three|SELECT b.name, c.name FROM tab.a JOIN tab.b ON b.id = a.b JOIN tab.c ON c.id = a.c WHERE a.id = 77"
	"view, CTE and sub-query|WITH x AS MATERIALIZED (SELECT * FROM tab.v WHERE id < 3) SELECT (SELECT max(name) FROM tab.c) FROM x WHERE id IN (SELECT id FROM tab.b)"
	"function in FROM|SELECT * FROM generate_series(1, 3) i"
	"insert|INSERT INTO tab.sink VALUES (1, 'one')"
	"update that finds nothing|UPDATE tab.a SET c = c WHERE id = -1"
)

# count LIBRARIES STATEMENT TIMES LAYOUT: instructions of a whole process
count() {
	local i input=$folder/tmp/input
	for ((i = 0; i < $3; i++)); do echo "$2"; done > "$input"
	chmod a+r "$input"
	# a setting's length moves what is allocated after it
	as_server_user valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$("$PG_CONFIG" --bindir)/postgres" --single -D "$folder/data" \
		-c "shared_preload_libraries=$1" -c shared_buffers=16MB \
		-c "log_line_prefix=$(printf "%$(($4 * 1000 + 1))s" x)" \
		bench < "$input" 2>&1 > /dev/null | sed -n 's/.*Collected : //p'
}

# each LIBRARIES STATEMENT: instructions of one
each() {
	local once twice layout
	for layout in $(seq "$LAYOUTS"); do
		once=$(count "$1" "$2" "$N" "$layout")
		twice=$(count "$1" "$2" $((2 * N)) "$layout")
		[ -n "$once" ] && [ -n "$twice" ] || die "callgrind did not count"
		echo $(((twice - once) / N))
	done | sort -n | sed -n "$(((LAYOUTS + 1) / 2))p"
}

# compare NAME STATEMENT
compare() {
	local without with verdict=met
	without=$(each "" "$2")
	with=$(each vibepiper "$2")
	[ $((with - without)) -le 1000 ] || verdict=MISSED
	printf '%-26s %10d %10d  %+d  wanted <= +1000: %s\n' "$1" "$without" "$with" \
		$((with - without)) "$verdict"
}

printf '%-26s %10s %10s\n' "instructions per statement" "without" "with it"
for entry in "${statements[@]}"; do
	compare "${entry%%|*}" "${entry#*|}"
done
