#!/bin/bash
# A throw-away server: own data directory, unix socket only, no TCP port, run
# by an unprivileged user.  Sourced by check.sh, coverage.sh and demo.sh; for
# other uses it is a command:
#
#   private-server.sh start            build, install, start; prints its folder
#   private-server.sh env FOLDER       prints settings for a shell's eval
#   private-server.sh stop FOLDER      stops it and removes the folder
#
# Settings in the environment: VIBEPIPER_TMP (parent of the folder, default
# /tmp; keep it short, a socket's path has at most 107 characters) and
# SERVER_CONF (a file of more settings for postgresql.conf).

[ "${BASH_SOURCE[0]}" != "$0" ] || set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

server_dir=

# The server refuses to run as root.
server_user() {
	if [ "$(id -u)" != 0 ]; then id -un
	elif id postgres > /dev/null 2>&1; then echo postgres
	else echo nobody; fi
}

as_server_user() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u "$(server_user)" -- env HOME="$server_dir" "$@"
	else
		env HOME="$server_dir" "$@"
	fi
}

give_to_server_user() { [ "$(id -u)" != 0 ] || chown -R "$(server_user):" "$@"; }

# Make the folder that holds everything: data, socket, log, copies of tests.
server_prepare() {
	server_dir=$(mktemp -d "${VIBEPIPER_TMP:-/tmp}/vibepiper.XXXXXX")
	mkdir "$server_dir/socket" "$server_dir/tmp"
	give_to_server_user "$server_dir"
	as_server_user test -x "$server_dir" ||
		die "user $(server_user) cannot enter $server_dir: set VIBEPIPER_TMP to another folder"
	cd "$server_dir"
	export TMPDIR="$server_dir/tmp"
}

# server_start [FILE...]: with the settings in these files, too.
server_start() {
	local bin
	bin=$("$PG_CONFIG" --bindir)
	quietly as_server_user "$bin/initdb" -D "$server_dir/data" -U postgres -A trust -N -E UTF8 --no-locale ||
		die "initdb failed"
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$server_dir/socket'"
		cat "$root/test/tools/server.conf" "$@"
		[ -z "${SERVER_CONF:-}" ] || cat "$SERVER_CONF"
	} >> "$server_dir/data/postgresql.conf"
	as_server_user "$bin/pg_ctl" -s -w -D "$server_dir/data" -l "$server_dir/server.log" start > /dev/null ||
		{ cat "$server_dir/server.log" >&2; die "the server did not start"; }
	eval "$(server_env)"
}

server_env() {
	echo "export PGHOST='$server_dir/socket' PGPORT=5432 PGUSER=postgres PGDATABASE=postgres"
	echo "export PATH='$("$PG_CONFIG" --bindir)':\"\$PATH\" PSQLRC=/dev/null PGCLIENTENCODING=UTF8"
	echo "unset PGSERVICE PGOPTIONS PGPASSWORD PGHOSTADDR"
}

# server_stop [MODE]: true if the server ended in time.
server_stop() {
	[ -f "$server_dir/data/postmaster.pid" ] || return 0
	as_server_user "$("$PG_CONFIG" --bindir)/pg_ctl" -s -w -t 60 -D "$server_dir/data" -m "${1:-fast}" stop
}

# End every server under the folder, those of TAP tests included, and remove it.
server_remove() {
	local pidfile
	[ -n "$server_dir" ] && [ -d "$server_dir" ] || return 0
	cd /
	find "$server_dir" -name postmaster.pid 2> /dev/null | while read -r pidfile; do
		as_server_user "$("$PG_CONFIG" --bindir)/pg_ctl" -s -w -D "$(dirname "$pidfile")" -m immediate stop ||
			kill -KILL "$(head -n 1 "$pidfile")"
	done > /dev/null 2>&1 || true
	rm -rf "$server_dir" || { sleep 1; rm -rf "$server_dir"; }
	server_dir=
}

# in_group LOG COMMAND...: run in a process group of its own and wait, so that a
# signal to this script is handled at once and ends the command too.  LOG "-"
# leaves the output where it is.
group=
in_group() {
	local log=$1 rc=0
	shift
	set -m
	if [ "$log" = - ]; then "$@" < /dev/null &
	else "$@" < /dev/null > "$log" 2>&1 & fi
	group=$!
	set +m
	wait "$group" || rc=$?
	group=
	return $rc
}

end_group() {
	[ -n "$group" ] || return 0
	kill -TERM -- "-$group" 2> /dev/null || true
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 -- "-$group" 2> /dev/null || break
		sleep 0.5
	done
	kill -KILL -- "-$group" 2> /dev/null || true
	group=
}

[ "${BASH_SOURCE[0]}" = "$0" ] || return 0

server_dir=${2:-}
case ${1:-} in
	start)
		need build
		build_and_install "$root" >&2
		server_prepare
		trap '[ $? = 0 ] || server_remove' EXIT
		server_start
		echo "$server_dir" ;;
	env) [ -d "$server_dir/data" ] || die "no server in: $server_dir"; server_env ;;
	stop) [ -d "$server_dir/data" ] || die "no server in: $server_dir"; server_stop || true; server_remove ;;
	*) die "usage: private-server.sh start | env FOLDER | stop FOLDER" ;;
esac
