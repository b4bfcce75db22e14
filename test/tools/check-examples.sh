#!/bin/bash
# doc/examples.sql, which a test runs, holds the examples of doc/reference.md.
set -euo pipefail
cd "$(dirname "$0")/../.."

diff <(awk '/^```sql$/ { on = 1; next } /^```/ { on = 0 } on' doc/reference.md) \
	<(tail -n +3 doc/examples.sql) ||
	{ echo "doc/examples.sql differs from the examples of doc/reference.md" >&2; exit 1; }
