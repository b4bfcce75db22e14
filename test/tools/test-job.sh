#!/bin/sh
# One job of a test run, begun by suites.sh: "suites", pg_regress and then
# pg_isolation_regress against the private server; or a TAP file's name.  It
# leaves output.log and rc in each result's folder.
# Set: RESULTS_DIR, TREE, PGXS_DIR, BINDIR, DB_OPTS, REGRESS_WANTED, ISOLATION_WANTED.

# suite KIND PROGRAM DATABASE NAME...
suite() {
	kind=$1 program=$2 database=$3 out=$RESULTS_DIR/$1 rc=0
	shift 3
	[ $# -gt 0 ] || return 0
	mkdir -p "$out"
	# shellcheck disable=SC2086
	timeout --foreground -k 60 2400 "$program" --inputdir="$TREE/test" --outputdir="$out" --bindir="$BINDIR" --dbname="$database" \
		$DB_OPTS "$@" > "$out/output.log" 2>&1 || rc=$?
	echo $rc > "$out/rc"
	echo "-- $kind has ended"
}

tap() {
	out=$RESULTS_DIR/tap/$1 rc=0
	mkdir -p "$out"
	export TESTDIR="$out" TESTDATADIR="$out/tmp_check" TESTLOGDIR="$out/tmp_check/log"
	export PGPORT=65432 PG_REGRESS="$PGXS_DIR/src/test/regress/pg_regress"
	cd "$TREE/test" || exit 1
	# far beyond what any takes: one that hangs is a failure
	timeout --foreground -k 60 1200 prove -I "$PGXS_DIR/src/test/perl" "t/$1.pl" > "$out/output.log" 2>&1 || rc=$?
	echo $rc > "$out/rc"
	echo "-- tap/$1 has ended"
}

if [ "$1" = suites ]; then
	# shellcheck disable=SC2086
	suite regress "$PGXS_DIR/src/test/regress/pg_regress" contrib_regression $REGRESS_WANTED
	# shellcheck disable=SC2086
	suite isolation "$PGXS_DIR/src/test/isolation/pg_isolation_regress" isolation_regression $ISOLATION_WANTED
else
	tap "$1"
fi
