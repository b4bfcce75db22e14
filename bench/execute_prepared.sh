#!/bin/bash
# Executing a prepared read of an asset, against the table itself (about a minute).
#
# Generic plans, 10^6 executions for each query and form in one process, taking
# turns (see plan_read.sh for the forms).  Wanted: asset - table <= 2 us.
# Then the same plans after a publication, when the asset's rows are in another
# slot than the plan was made for.  That, and pgbench -M prepared as a
# cross-check, are only reported.
#
# ROUNDS=100 CALLS=10000 SECONDS_EACH=2: fewer give a quick look.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${ROUNDS:=100}" "${CALLS:=10000}" "${SECONDS_EACH:=2}" "${PGBENCH_ROUNDS:=5}"

bench_start
bench_library planbench
sql -f "$bench/reads.sql"

# measure NAME CALLS KEYS QUERY
measure() {
	local out=$folder/times
	sql -F ' ' -v table="${4//FORM/tab}" -v view="${4//FORM/vie}" -v asset="${4//FORM/shop}" \
		-v rounds="$ROUNDS" -v calls="$2" -v keys="$3" > "$out" <<-'SQL'
		SET plan_cache_mode = force_generic_plan;
		SELECT bench_prepare(ARRAY[:'table', :'view', :'asset']) \g /dev/null
		SELECT count(*) FROM bench_execute(2, 10, :keys) \g /dev/null
		SELECT 'same ' || round, (ARRAY['table', 'view', 'asset'])[query], us FROM bench_execute(:rounds, :calls, :keys);
		UPDATE tab.orders SET amount = amount + 1 WHERE id = 1;
		SELECT count(*) FROM vibepiper.run('shop', 'orders', parallel => false, force => true) \g /dev/null
		SELECT 'other ' || round, (ARRAY['table', 'view', 'asset'])[query], us FROM bench_execute(:rounds, :calls, :keys);
	SQL
	echo "$1:"
	sed -n 's/^same //p' "$out" | stats --unit us table view-table 'asset-table<=2'
	echo "$1, after a publication:"
	sed -n 's/^other //p' "$out" | stats --unit us table asset-table
}

measure "point, by a unique index" "$CALLS" 100000 \
	'SELECT amount FROM FORM.orders WHERE id = $1'
measure "aggregate of 100 rows" "$((CALLS / 10 + 1))" 1000 \
	'SELECT count(*), sum(amount) FROM FORM.orders WHERE customer = $1'
measure "join of three, one row" "$CALLS" 100000 \
	'SELECT c.name, p.name, o.amount FROM FORM.orders o JOIN FORM.customers c ON c.id = o.customer
		JOIN FORM.products p ON p.id = o.product WHERE o.id = $1'

# pgbench sides take turns too; a client, so the round trip is in it
echo "pgbench -M prepared, one client, point read:"
for form in tab shop; do
	printf '%s\n' '\set id random(1, 100000)' "SELECT amount FROM $form.orders WHERE id = :id;" > "$folder/$form.pgbench"
done
for round in $(seq "$PGBENCH_ROUNDS"); do
	for form in tab shop shop tab; do
		side=table
		[ $form = tab ] || side=asset
		latency=$(pgbench -n -M prepared -T "$SECONDS_EACH" -f "$folder/$form.pgbench" 2> /dev/null |
			sed -n 's/^latency average = \([0-9.]*\) ms/\1/p')
		echo "$round $side $(awk "BEGIN { print $latency * 1000 }")"
	done
done | stats --unit us table asset-table
