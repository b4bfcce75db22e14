#!/bin/bash
# How well a run of a real graph uses its workers: 1,196 assets of nominal cost (about eleven minutes).
#
# The graph of data/tuva.json; each asset sleeps for its cost, lognormal with a
# mean of 200 ms and the same in every run.  The bound is what no schedule can
# do better: max(longest path, total / workers) of the nominal costs.  "first"
# is the first run, without history: it knows no durations.  It is also the
# warm-up for the forced runs that follow.
# Wanted of these, on 2, 4 and 8 workers: call to result <= 1.10 x the bound.
#
# MEAN_MS=200 ROUNDS=2 WORKERS="2 4 8" SEED=4.  A quick look: MEAN_MS=40 ROUNDS=1,
# of which more is overhead, or COUNT=200, so many of the assets.
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${MEAN_MS:=200}" "${ROUNDS:=2}" "${WORKERS:=2 4 8}" "${SEED:=4}" "${COUNT:=1196}"

# shared_buffers is the default: see run_overhead.sh
bench_start "shared_buffers = '128MB'" "max_worker_processes = 16" "max_locks_per_transaction = 1000"
graph() { python3 "$bench/makespan.py" "$1" "$bench/data/tuva.json" "$MEAN_MS" "$SEED" "$COUNT" "${@:2}"; }

graph define > "$folder/assets.json"
define() {
	sql <<-SQL
		\\set assets \`cat $folder/assets.json\`
		SELECT vibepiper.drop_pipeline('tuva', cascade => true) FROM vibepiper.pipelines WHERE pipeline = 'tuva' \\g /dev/null
		SELECT vibepiper.define_pipeline('tuva', keep_versions => 1) \\g /dev/null
		SELECT count(*) FROM vibepiper.define_assets('tuva', :'assets') \\g /dev/null
	SQL
	sql -c VACUUM
}

# run WORKERS FORCE: milliseconds
run() {
	clocked <<-SQL
		SELECT 1 / (count(*) FILTER (WHERE status = 'built') = $COUNT)::int
		FROM vibepiper.run('tuva', max_workers => $1, force => $2);
	SQL
}

record() {
	local ms bound
	ms=$(run "$3" "$4")
	bound=$(graph bound "$3")
	printf '%s %s\n' "$1" "$2_$3 $ms" "$1" "bound_$3 $bound"
}

for workers in $WORKERS; do
	define
	record 0 first "$workers" false
done > "$folder/first"
for ((round = 1; round <= ROUNDS; round++)); do
	for workers in $WORKERS; do record "$round" run "$workers" true; done
done > "$folder/times"
for workers in $WORKERS; do
	echo "$workers workers:"
	stats --unit ms "first_$workers" "first_$workers/bound_$workers" < "$folder/first"
	stats --unit ms "run_$workers" "bound_$workers" "run_$workers/bound_$workers<=1.10" < "$folder/times"
done
