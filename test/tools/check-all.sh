#!/bin/bash
# make check-all: "make check", warnings as errors, on this machine's PostgreSQL,
# on every other version, and on a build with assertions enabled.  Says of each
# how it went; the last line is "N passed, N failed" for all together.
#
# Settings: ON="17 assert" takes only those; REQUIRED="15 17" makes it a failure
# if those cannot be run; TESTS and RESULTS as for "make check"; VIBEPIPER_CACHE
# is the folder that keeps what takes long to make.
set -euo pipefail
[ -z "${RESULTS:-}" ] || { mkdir -p "$RESULTS"; RESULTS=$(cd "$RESULTS" && pwd); }
cd "$(dirname "$0")"
. ./private-server.sh

# 16 is in no Debian release
versions="15 17 18 19"
cache=${VIBEPIPER_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/vibepiper}

work=
ahead=
lines=()
all_passed=0
all_failed=0

finish() {
	local rc=$? running
	trap - EXIT
	end_group
	running=$(builtin jobs -rp)   # common.sh has another
	if is_in "${ahead:-none}" "$(xargs <<< "$running")"; then
		group=$ahead
		end_group
	fi
	[ -z "$work" ] || rm -rf "$work"
	printf '%s\n' "" "PostgreSQL" ${lines[@]+"${lines[@]}"}
	[ $rc -lt 128 ] || echo "interrupted"
	# a member that broke, or nothing at all
	[ $rc = 0 ] && [ $((all_passed + all_failed)) -gt 0 ] || [ $all_failed -gt 0 ] || all_failed=1
	echo "$all_passed passed, $all_failed failed"
	[ $all_failed = 0 ] || exit 1
}

is_in() { case " $2 " in *" $1 "*) ;; *) return 1 ;; esac; }

# result MEMBER TEXT: a line of the matrix.
result() { lines+=("$(printf '    %-24s %s' "$1" "$2")"); }

# not_run MEMBER REASON
not_run() {
	if is_in "${1%% *}" "${REQUIRED:-}"; then
		all_failed=$((all_failed + 1))
		result "$1" "NOT OK, could not be run: $2"
	else
		result "$1" "not run: $2"
	fi
}

minutes() { printf '%d:%02d min' $(($1 / 60)) $(($1 % 60)); }

# Run a command for its last line, which it prints or which says what is missing.
last_line=
prepare() {
	local rc=0
	in_group "$work/prepare.log" "$@" || rc=$?
	last_line=$(grep -v '^make' "$work/prepare.log" | tail -n 1)
	[ $rc = 0 ] || cat "$work/prepare.log"
	return $rc
}

# How to prepare MEMBER, as a command line.
preparation() {
	if [ "$1" = assert ]; then command=(./assert-build.sh "$cache")
	else command=(as_root env MIRROR="${MIRROR:-}" STALE_DAYS="${STALE_DAYS:-400}" ./debian-root.sh prepare "$cache" "$1"); fi
}

# What takes long to make is made while other members are tested.  Whoever needs
# it waits for the lock, and tries again what failed.
prepare_ahead() {
	local member
	renice -n 10 "$BASHPID"
	for member; do
		preparation "$member"
		"${command[@]}" || true
	done
}

# shown COMMAND...: its output goes to the log too.  (tee ends with its input, not by signals.)
shown() { { "$@" 2>&1 || echo $? > "$work/status"; } | { trap '' INT TERM; exec tee "$work/check.log"; }; }

# check MEMBER PREPARED COMMAND...: PREPARED is the time in seconds that this took.
check() {
	local member=$1 prepared=$2 start=$SECONDS counts passed failed version
	shift 2
	rm -f "$work/status"
	in_group - shown "$@"
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/check.log" | tail -n 1) || counts=
	read -r passed _ failed _ <<< "${counts:-0 passed, 0 failed}"
	# it may have ended early, whatever was counted until then
	[ ! -f "$work/status" ] && [ -n "$counts" ] || [ "$failed" -gt 0 ] || failed=1
	all_passed=$((all_passed + passed))
	all_failed=$((all_failed + failed))
	version=$(sed -n 's/^-- testing PostgreSQL \([^ ]*\).*/\1/p' "$work/check.log" | tail -n 1)
	result "$member${version:+ ($version)}" "$(printf '%3d passed, %d failed' "$passed" "$failed")  $(minutes $((SECONDS - start)))$(
		[ "$prepared" -lt 5 ] || echo ", after $(minutes "$prepared") of preparation")"
}

results_of() { [ -z "${RESULTS:-}" ] || echo "$RESULTS/$1"; }

on_this_machine() {
	check "$own" 0 env WERROR=yes RESULTS="$(results_of "$own")" ./check.sh
}

in_chroot() {
	local v=$1 start=$SECONDS
	may_be_root || { not_run "$v" "a chroot needs root, or sudo without a password"; return; }
	note "preparing a chroot with PostgreSQL $v, unless it is there; this can take some minutes"
	preparation "$v"
	prepare "${command[@]}" ||
		{ not_run "$v" "$last_line"; return; }
	check "$v" $((SECONDS - start)) as_root ./debian-root.sh check "$cache" "$v" \
		WERROR=yes BRIEF=yes TESTS="${TESTS:-}" RESULTS="$(results_of "$v")"
}

with_assertions() {
	local start=$SECONDS rc=0 prefix=$work/assert
	note "preparing a build with assertions enabled, unless it is there; this can take some minutes"
	preparation assert
	prepare "${command[@]}" || rc=$?
	case $rc in
		0) ;;
		3) not_run assert "$last_line"; return ;;
		*) all_failed=$((all_failed + 1)); result assert "NOT OK: $last_line"; return ;;
	esac
	# A copy, because the server's user may not be able to enter the cache, and
	# because of the installation.
	cp -R "$last_line" "$prefix"
	copy_tree "$work/tree"
	check assert $((SECONDS - start)) env WERROR=yes BRIEF=yes RESULTS="$(results_of assert)" \
		PG_CONFIG="$prefix/bin/pg_config" LD_LIBRARY_PATH="$prefix/lib" "$work/tree/test/tools/check.sh"
	rm -rf "$prefix" "$work/tree"
}

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

need build tap
own=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
members=$own
for v in $versions; do [ "$v" = "$own" ] || members+=" $v"; done
members+=" assert"
for member in ${ON:-}; do is_in "$member" "$members" || die "ON=$member is none of: $members"; done

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
work=$(mktemp -d "${VIBEPIPER_TMP:-/tmp}/vibepiper-all.XXXXXX")
chmod 755 "$work"
if may_be_root; then
	# now, since apt-get runs only once at a time
	(need chroot source) || note "going on without"
	set -m
	# shellcheck disable=SC2046
	prepare_ahead $(for member in ${ON:-$members}; do [ "$member" = "$own" ] || echo "$member"; done) < /dev/null > "$work/ahead.log" 2>&1 &
	ahead=$!
	set +m
fi
for member in $members; do
	if ! is_in "$member" "${ON:-$members}"; then not_run "$member" "not in ON"; continue; fi
	case $member in
		"$own") on_this_machine ;;
		assert) with_assertions ;;
		*) in_chroot "$member" ;;
	esac
done
