# What every benchmark needs.  To be sourced.

# shellcheck source=../test/tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../test/tools/common.sh"

bench=$root/bench
folder=
conf=

bench_end() {
	[ -z "$folder" ] || "$root/test/tools/private-server.sh" stop "$folder"
	[ -z "$conf" ] || rm -f "$conf"
	folder=
	conf=
}

# bench_start [SETTING...]: build, install, start a private server with these
# settings more ("name = value"), and connect to a new database with the
# extension.  The server ends with the script.
bench_start() {
	trap bench_end EXIT
	trap 'exit 130' INT TERM HUP
	conf=$(mktemp)
	printf '%s\n' "shared_buffers = '2GB'" "max_wal_size = '16GB'" "checkpoint_timeout = '1h'" \
		"autovacuum = off" "jit = off" "$@" > "$conf"
	folder=$(SERVER_CONF=$conf "$root/test/tools/private-server.sh" start)
	eval "$("$root/test/tools/private-server.sh" env "$folder")"
	export PGOPTIONS='-c client_min_messages=warning'
	sql -c 'CREATE DATABASE bench'
	export PGDATABASE=bench
	sql -c 'CREATE EXTENSION vibepiper'
	machine >&2
}

machine() {
	echo "-- $("$PG_CONFIG" --version), $(nproc) processors," \
		"$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2> /dev/null | head -n 1)," \
		"load $(cut -d' ' -f1 /proc/loadavg 2> /dev/null)"
}

# sql [psql argument...]: quiet, unaligned, stops at an error.
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

# Execute stdin in one session and print how many milliseconds that took, the
# session's start and end not counted.
clocked() {
	{
		echo '\o /dev/null'
		echo 'SELECT clock_timestamp() AS began \gset'
		cat
		echo "SELECT round(extract(epoch FROM clock_timestamp() - :'began'::timestamptz) * 1000, 3) AS ms \\gset"
		echo '\o'
		echo '\echo :ms'
	} | sql
}

# bench_library NAME: build a folder of C for this server, and declare its
# functions in the database.
bench_library() {
	[ -d "$folder/$1" ] || {
		mkdir "$folder/$1"
		cp "$bench/$1"/* "$folder/$1/"
		quietly make -C "$folder/$1" "PG_CONFIG=$PG_CONFIG" with_llvm=no || die "$1 does not build"
		chmod -R a+rX "$folder/$1"
	}
	sql -v library="$folder/$1/$1" -f "$bench/$1/$1.sql"
}

stats() { python3 "$bench/stats.py" "$@"; }
