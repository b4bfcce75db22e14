/*
 * explain.c
 *	  The state of an asset, in a word and in sentences.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/pipeline.h"
#include "common/spi.h"
#include "run/explain.h"

/* Also if an earlier version is right. */
static bool
is_lost(const VpNode *node)
{
	return strcmp(node->reason, "lost") == 0 || strncmp(node->reason, "lost;", 5) == 0;
}

const char *
vp_explain_state(const VpNode *node)
{
	if (node->tolerated)
		return "stale";
	if (node->action == VP_ACTION_DEFERRED || node->action == VP_ACTION_CACHED)
		return "fresh";
	if (node->version_id == 0)
		return "never_built";
	return is_lost(node) ? "lost" : "stale";
}

static int
node_of(const VpState *state, int32 id)
{
	for (int i = 0; i < state->n; i++)
		if (state->nodes[i].id == id)
			return i;
	elog(ERROR, "asset %d is not in its pipeline", id);
}

/* An upstream that is to be rebuilt first; or -1. */
static int
pending_upstream(const VpState *state, int node)
{
	const VpGraphNode *graph_node = &state->graph->nodes[node];

	for (int u = 0; u < graph_node->nup; u++)
	{
		VpAction	action = state->nodes[graph_node->up[u]].action;

		if (action == VP_ACTION_BUILD || action == VP_ACTION_MAYBE)
			return graph_node->up[u];
	}
	return -1;
}

/* The deepest upstream that is to be rebuilt for a reason of its own. */
static int
deepest_cause(const VpState *state, int node)
{
	while (state->nodes[node].action == VP_ACTION_MAYBE)
		node = pending_upstream(state, node);
	return node;
}

static void
explain_version(StringInfo buf, const VpAsset *asset, const VpNode *node)
{
	static VpStatement statement = {
		"SELECT format('Readers get the version that run %s built at %s: %s %s, %s, computed in %s.',"
		" run_id, to_char(built_at, 'YYYY-MM-DD HH24:MI:SS'), rows,"
		" CASE rows WHEN 1 THEN 'row' ELSE 'rows' END, pg_size_pretty(bytes), elapsed)"
		" || CASE WHEN as_of > built_at THEN format(' It was found unchanged at %s.',"
		" to_char(as_of, 'YYYY-MM-DD HH24:MI:SS')) ELSE '' END"
		" FROM vibepiper.version WHERE version_id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(node->version_id);
	VpSpi		spi;

	if (node->version_id == 0 || node->lazy || is_lost(node))
	{
		appendStringInfoString(buf, asset->detached || (asset->error_on_miss && !node->lazy) ?
							   "Reading it is an error.\n" :
							   "Readers get rows that are computed when they read.\n");
		return;
	}
	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, false) > 0)
		appendStringInfo(buf, "%s\n", vp_col_text(&spi, 0, 1));
	vp_spi_close(&spi);
}

static void
explain_last_task(StringInfo buf, const VpAsset *asset)
{
	static VpStatement statement = {
		"SELECT format('The last task of %s, in run %s at %s, %s.', t.asset, t.run_id,"
		" to_char(coalesce(t.started_at, r.started_at), 'YYYY-MM-DD HH24:MI:SS'),"
		" CASE t.status WHEN 'built' THEN 'built a new version'"
		" WHEN 'unchanged' THEN 'computed the same rows again'"
		" WHEN 'failed' THEN 'failed: ' || t.error_message || ' (' || t.error_sqlstate || ')'"
		" ELSE 'was ' || t.status || ': ' || t.reason END)"
		" FROM vibepiper.task t JOIN vibepiper.run r USING (run_id)"
		" WHERE t.asset_id = $1 ORDER BY t.run_id DESC LIMIT 1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(asset->id);
	VpSpi		spi;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, false) > 0)
		appendStringInfo(buf, "%s\n", vp_col_text(&spi, 0, 1));
	vp_spi_close(&spi);
}

static void
explain_cause(StringInfo buf, const VpState *state, int i)
{
	int			cause = deepest_cause(state, i);
	VpAsset    *asset;

	if (cause == i)
		return;
	appendStringInfo(buf, "The cause is upstream: %s is to be rebuilt: %s.\n",
					 state->graph->nodes[cause].display, state->nodes[cause].reason);
	asset = vp_asset_by_id(state->nodes[cause].id);
	/* an error may tell of rows that are not the caller's to see */
	if (asset != NULL && has_privs_of_role(GetUserId(), asset->owner))
		explain_last_task(buf, asset);
}

/* "Asset a is stale: invalidated."; no reason where the state says it all */
static void
explain_head(StringInfo buf, const VpAsset *asset, const VpNode *node)
{
	const char *state = vp_explain_state(node);
	bool		plain = strcmp(node->reason, "fresh") == 0 ||
	is_lost(node) || strcmp(node->reason, "never built") == 0;

	if (strcmp(state, "never_built") == 0)
		state = "not built yet";
	appendStringInfo(buf, "Asset %s is %s%s%s.\n", asset->display, state,
					 plain ? "" : ": ", plain ? "" : node->reason);
}

char *
vp_explain_asset(const VpAsset *asset)
{
	VpState    *state = vp_state_load(vp_pipeline_by_id(asset->pipeline_id), false);
	int			i = node_of(state, asset->id);
	const VpNode *node = &state->nodes[i];
	StringInfoData buf;

	vp_state_decide_all(state, vp_state_select(state, NULL), false);
	initStringInfo(&buf);
	explain_head(&buf, asset, node);
	if (asset->detached)
		appendStringInfo(&buf, "It is detached from %s, and can't be computed before vibepiper.attach_source() is called.\n",
						 (char *) linitial(asset->detached_sources));
	explain_cause(&buf, state, i);
	explain_version(&buf, asset, node);
	explain_last_task(&buf, asset);
	buf.data[buf.len - 1] = '\0';	/* the last line's end */
	return buf.data;
}
