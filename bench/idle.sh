#!/bin/bash
# What the launcher costs when there is nothing to do (about 10 minutes): its
# processor time while a database has the extension and a pipeline that isn't
# run, and its keeper has done what there was.
# Wanted: at most 0.1 s in 10 minutes.
#
# MINUTES=10
set -euo pipefail
. "$(dirname "$0")/common.bash"
: "${MINUTES:=10}"

# clock ticks in user and system mode; the name before them may have spaces
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

[ -r /proc/self/stat ] || die "needs /proc"
bench_start "vibepiper.keeper_pause = 1s"
sql > /dev/null <<-'SQL'
	CREATE TABLE t AS SELECT 1 AS n;
	SELECT vibepiper.define_pipeline('p'), vibepiper.define_asset('p.a', 'SELECT n FROM t');
	SELECT vibepiper.run('p');
SQL
for _ in $(seq 120); do
	[ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'")" != 0 ] || break
	sleep 1
done
launcher=$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'vibepiper launcher'")
before=$(ticks "$launcher")
sleep $((MINUTES * 60))
after=$(ticks "$launcher")
echo "launcher: $((after - before)) of $(getconf CLK_TCK) ticks per second, in $MINUTES minutes;" \
	"wanted at most $(($(getconf CLK_TCK) / 10)) in 10"
