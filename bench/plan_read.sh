#!/bin/bash
# Planning a read of an asset, against the table itself and a plain view of it (about half a minute).
#
# 10^5 planner calls for each query and form, in one process, taking turns:
# "table" reads tables, "view" plain views of them, "asset" assets that were
# built from them and have the same rows, indexes and statistics.  The query is
# analyzed and rewritten once.  Wanted: asset - table <= 25 us for each read of
# an asset; a query that reads several is also divided by their number.
#
# ROUNDS=100 CALLS=1000: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${ROUNDS:=100}" "${CALLS:=1000}"

bench_start
bench_library planbench
sql -f "$bench/reads.sql"

# measure NAME READS QUERY: the query says FORM where the schema of a form stands.
measure() {
	local out=$folder/times reads=$2
	set -- "$1" "$3"
	echo "$1:"
	sql -F ' ' -v table="${2//FORM/tab}" -v view="${2//FORM/vie}" -v asset="${2//FORM/shop}" \
		-v rounds="$ROUNDS" -v calls="$CALLS" <<< "
		SELECT round, (ARRAY['table', 'view', 'asset'])[query], us
		FROM bench_plan(ARRAY[:'table', :'view', :'asset'], :rounds, :calls)" > "$out"
	if [ "$reads" = 1 ]; then
		stats --unit us table view-table asset-view 'asset-table<=25' < "$out"
	else
		stats --unit us table view-table asset-view asset-table < "$out"
		awk -v n="$reads" '{ print $1, $2 "_each", $3 / n }' "$out" |
			stats --unit us 'asset_each-table_each<=25'
	fi
}

measure "point, by a unique index" 1 \
	"SELECT * FROM FORM.orders WHERE id = 4711"
measure "aggregate" 1 \
	"SELECT day, count(*), sum(amount) FROM FORM.orders WHERE customer < 100 GROUP BY day"
measure "join of three" 3 \
	"SELECT c.name, p.name, o.amount FROM FORM.orders o JOIN FORM.customers c ON c.id = o.customer
		JOIN FORM.products p ON p.id = o.product WHERE o.id BETWEEN 10 AND 20"
