#!/bin/bash
# make check: everything from an empty machine to the line "N passed, N failed".
# OLD_PG_CONFIG names an older version's pg_config, for tests of pg_upgrade;
# WERROR=yes makes warnings errors; BRIEF=yes leaves out what has nothing to do
# with the server's version: checks of the sources, and the test with the most
# assets.
set -euo pipefail
[ -z "${RESULTS:-}" ] || { mkdir -p "$RESULTS"; RESULTS=$(cd "$RESULTS" && pwd); }
cd "$(dirname "$0")"
. ./private-server.sh
. ./suites.sh

finish() {
	local rc=$?
	trap - EXIT
	end_group
	server_remove
	summary $rc || exit 1
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

copt=
case ${CI:-},${WERROR:-} in true,* | *,yes) copt=-Werror ;; esac

# pg_bsd_indent has no package in some releases; only CI insists.
if [ "${BRIEF:-}" = yes ]; then
	need build tap
elif have pg_bsd_indent || [ "${CI:-}" = true ] || apt-cache show pg-bsd-indent > /dev/null 2>&1; then
	need build tap indent
else
	need build tap
fi
if [ -n "${OLD_PG_CONFIG:-}" ]; then PG_CONFIG=$OLD_PG_CONFIG build_and_install "$root" COPT="$copt"; fi
build_and_install "$root" COPT="$copt"
note "testing $("$PG_CONFIG" --version)"
server_prepare
server_start "$root/test/tools/regress.conf"

if [ -z "${TESTS:-}" ]; then
	check "lists in the Makefile" lists_match_files
fi
if [ -z "${TESTS:-}" ] && [ "${BRIEF:-}" != yes ]; then
	check "layers" "$root/test/tools/check-layers.sh"
	check "examples" "$root/test/tools/check-examples.sh"
	if have pg_bsd_indent; then check "indentation" "$root/test/tools/indent.sh" --check
	else echo "skipped   indentation: pg_bsd_indent is not installed"; fi
fi
run_suites
