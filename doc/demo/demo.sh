#!/bin/bash
# make demo: a private server, a year of real flights, and a pipeline over them.
# KEEP=1 leaves the server running and says how to connect and how to stop it.
set -euo pipefail
cd "$(dirname "$0")"
. ../../test/tools/private-server.sh

finish() {
	local rc=$?
	trap - EXIT
	end_group
	[ -n "${kept:-}" ] || server_remove
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# demo_psql FILE...: run files at the top of the tree, stop at the first error.
demo_psql() {
	local file files=()
	for file; do files+=(-f "$root/doc/demo/$file"); done
	in_group - env -C "$root" psql -Xq -v ON_ERROR_STOP=1 "${files[@]}" ||
		{ echo "-- end of the server's log:"; tail -n 20 "$server_dir/server.log"; die "the demo failed"; } >&2
}

need build
build_and_install "$root"
server_prepare
server_start
createdb demo
export PGDATABASE=demo
psql -Xqc 'CREATE EXTENSION vibepiper'

note "loading 336,776 flights, 26,130 hours of weather, airlines, airports and planes into schema raw"
demo_psql load.sql
note "defining the pipeline (doc/demo/pipeline.sql)"
demo_psql pipeline.sql > /dev/null
demo_psql walk.sql

if [ -n "${KEEP:-}" ] && [ "$KEEP" != 0 ]; then
	kept=yes
	cat <<END

The server keeps running.
    connect: $("$PG_CONFIG" --bindir)/psql -h $server_dir/socket -U postgres demo
    stop:    $root/test/tools/private-server.sh stop $server_dir
END
fi
