/*
 * state.c
 *	  A pipeline's assets with what is stored of them, and whether that is fresh.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/version.h"
#include "common/shmem.h"
#include "common/spi.h"
#include "freshness/state.h"
#include "graph/selection.h"
#include "store/resolve.h"
#include "store/slot.h"

typedef struct IdEntry
{
	int32		id;				/* hash key */
	int			node;
} IdEntry;

/*
 * One row per part of an asset's published version, or one without.  The
 * pipeline's own assets are loaded first, then those of others that they read,
 * if any.
 */
#define STATE_QUERY \
	"SELECT a.asset_id, a.def, a.pipeline_id <> $1, a.cache, a.lazy, a.pinned_run," \
	" a.code_hash, n.nspname::text, s.relname::text," \
	" CASE WHEN $2 THEN a.tags END, v.version_id, v.slot, v.rows, v.code_hash," \
	" v.data_hash, v.upstreams, v.upstream_hashes, v.incarnation, v.invalidated," \
	" a.cache_ttl IS NOT NULL AND (v.as_of + least(a.cache_ttl, interval '100000 years')" \
	" <= clock_timestamp() OR v.as_of > clock_timestamp())," \
	" v.signature = a.signature, a.stub, a.parallel," \
	" (extract(epoch FROM v.elapsed) * 1000000)::bigint, v.sources" \
	" FROM vibepiper.asset a" \
	" JOIN pg_class s ON s.oid = a.stub" \
	" JOIN pg_namespace n ON n.oid = s.relnamespace" \
	" LEFT JOIN vibepiper.mapping m ON m.def = a.def" \
	" LEFT JOIN vibepiper.version v ON v.version_id = m.version_id"

static void
read_version(VpSpi *spi, VpNode *node, uint64 row)
{
	VpHash		data_hash = vp_col_hash(row, 15);
	Datum		sources;
	bool		isnull;
	MemoryContext old;

	if (node->version_id != 0)	/* another part */
	{
		vp_hash_add(&node->data_hash, data_hash);
		node->rows += vp_col_int64(row, 13);
		return;
	}
	node->version_id = vp_col_int64(row, 11);
	node->slot = vp_col_oid(row, 12);
	node->rows = vp_col_int64(row, 13);
	node->version_code = vp_col_hash(row, 14);
	node->data_hash = data_hash;
	old = MemoryContextSwitchTo(spi->caller);
	node->upstreams = vp_ids_from_datum(vp_col_datum(spi, row, 16, &isnull));
	node->upstream_hashes = vp_hashes_from_datum(vp_col_datum(spi, row, 17, &isnull));
	MemoryContextSwitchTo(old);
	node->incarnation = vp_col_int64(row, 18);
	node->invalidated = vp_col_bool(row, 19);
	node->expired = vp_col_bool(row, 20);
	node->same_signature = vp_col_bool(row, 21);
	node->elapsed = vp_col_int64(row, 24);
	old = MemoryContextSwitchTo(spi->caller);
	sources = vp_col_datum(spi, row, 25, &isnull);
	node->sources = isnull ? NULL : DatumGetByteaPCopy(sources);
	MemoryContextSwitchTo(old);
}

static void
read_asset(VpSpi *spi, VpNode *node, VpGraphNode *graph_node, uint64 row)
{
	MemoryContext old;

	node->id = vp_col_int32(row, 1, 0);
	node->def = vp_col_oid(row, 2);
	node->stub = vp_col_oid(row, 22);
	node->parallel = vp_col_bool(row, 23);
	node->external = vp_col_bool(row, 3);
	node->cache = vp_col_bool(row, 4);
	node->lazy = vp_col_bool(row, 5);
	node->pinned_run = vp_col_int64(row, 6);
	node->code_hash = vp_col_hash(row, 7);
	graph_node->schema = vp_col_text(spi, row, 8);
	graph_node->name = vp_col_text(spi, row, 9);
	graph_node->tags = vp_col_texts(spi, row, 10);
	old = MemoryContextSwitchTo(spi->caller);
	graph_node->display = quote_qualified_identifier(graph_node->schema,
													 graph_node->name);
	MemoryContextSwitchTo(old);
}

static HTAB *
create_index(MemoryContext context, int n)
{
	HASHCTL		ctl = {
		.keysize = sizeof(int32),
		.entrysize = sizeof(IdEntry),
		.hcxt = context
	};

	return hash_create("vibepiper nodes by id", Max(n, 16), &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Make room for so many more nodes. */
static void
reserve_nodes(VpState *state, uint64 more)
{
	Size		n = state->ntotal + more + 1;

	if (state->nodes == NULL)
	{
		state->nodes = palloc_extended(n * sizeof(VpNode), MCXT_ALLOC_HUGE);
		state->graph_nodes = palloc_extended(n * sizeof(VpGraphNode), MCXT_ALLOC_HUGE);
		return;
	}
	state->nodes = repalloc_huge(state->nodes, n * sizeof(VpNode));
	state->graph_nodes = repalloc_huge(state->graph_nodes, n * sizeof(VpGraphNode));
}

static void
read_nodes(VpState *state, VpSpi *spi, HTAB *index, uint64 nrows)
{
	for (uint64 row = 0; row < nrows; row++)
	{
		int32		id = vp_col_int32(row, 1, 0);
		bool		found;
		IdEntry    *entry = hash_search(index, &id, HASH_ENTER, &found);
		VpNode	   *node;

		if (!found)
		{
			entry->node = state->ntotal++;
			node = &state->nodes[entry->node];
			memset(node, 0, sizeof(*node));
			memset(&state->graph_nodes[entry->node], 0, sizeof(VpGraphNode));
			read_asset(spi, node, &state->graph_nodes[entry->node], row);
			if (!node->external)
				state->n++;
		}
		node = &state->nodes[entry->node];
		if (!vp_col_null(row, 11))
			read_version(spi, node, row);
	}
}

/* Append the nodes that the statement finds. */
static void
append_nodes(VpState *state, HTAB *index, VpStatement *statement,
			 const Datum *values)
{
	MemoryContext caller = CurrentMemoryContext;
	VpSpi		spi;
	uint64		nrows;

	vp_spi_open(&spi);
	nrows = vp_spi_run(statement, values, NULL, true);
	MemoryContextSwitchTo(caller);
	reserve_nodes(state, nrows);
	read_nodes(state, &spi, index, nrows);
	vp_spi_close(&spi);
}

static void
load_own_nodes(VpState *state, HTAB *index, bool with_tags)
{
	static VpStatement statement = {
		STATE_QUERY " WHERE a.pipeline_id = $1 ORDER BY a.asset_id, m.part",
		2, {INT4OID, BOOLOID}
	};
	Datum		values[2] = {
		Int32GetDatum(state->pipeline->id), BoolGetDatum(with_tags)
	};

	append_nodes(state, index, &statement, values);
}

static void
load_external_nodes(VpState *state, HTAB *index, List *ids)
{
	static VpStatement statement = {
		STATE_QUERY " WHERE a.asset_id = ANY ($3) ORDER BY a.asset_id, m.part",
		3, {INT4OID, BOOLOID, INT4ARRAYOID}
	};
	Datum		values[3] = {
		Int32GetDatum(state->pipeline->id), BoolGetDatum(false), vp_ids_datum(ids)
	};

	if (ids != NIL)
		append_nodes(state, index, &statement, values);
}

static void
create_graphs(VpState *state)
{
	state->graph = vp_graph_create(state->ntotal);
	state->own = vp_graph_create(state->n);
	for (int i = 0; i < state->ntotal; i++)
	{
		state->graph->nodes[i] = state->graph_nodes[i];
		if (i < state->n)
			state->own->nodes[i] = state->graph_nodes[i];
	}
}

static int
node_of(HTAB *index, int32 id)
{
	IdEntry    *entry = hash_search(index, &id, HASH_FIND, NULL);

	return entry == NULL ? -1 : entry->node;
}

typedef struct Edge
{
	int32		upstream;		/* asset ids */
	int32		downstream;
} Edge;

static Edge *
load_edges(VpState *state, uint64 *nedges)
{
	static VpStatement statement = {
		"SELECT d.asset_id, d.upstream_id FROM vibepiper.dependency d"
		" JOIN vibepiper.asset a ON a.asset_id = d.asset_id"
		" WHERE a.pipeline_id = $1 AND d.upstream_id IS NOT NULL", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(state->pipeline->id);
	MemoryContext caller = CurrentMemoryContext;
	VpSpi		spi;
	Edge	   *edges;

	vp_spi_open(&spi);
	*nedges = vp_spi_run(&statement, &key, NULL, true);
	edges = MemoryContextAllocHuge(caller, Max(*nedges, 1) * sizeof(Edge));
	for (uint64 row = 0; row < *nedges; row++)
	{
		edges[row].downstream = vp_col_int32(row, 1, 0);
		edges[row].upstream = vp_col_int32(row, 2, 0);
	}
	vp_spi_close(&spi);
	return edges;
}

/* Upstreams that are not among the pipeline's own assets, each once. */
static List *
external_ids(HTAB *index, const Edge *edges, uint64 nedges)
{
	Bitmapset  *seen = NULL;
	List	   *ids = NIL;

	for (uint64 i = 0; i < nedges; i++)
	{
		int32		id = edges[i].upstream;

		if (node_of(index, id) >= 0 || bms_is_member(id, seen))
			continue;
		seen = bms_add_member(seen, id);
		ids = lappend_int(ids, id);
	}
	return ids;
}

static void
add_edges(VpState *state, HTAB *index, const Edge *edges, uint64 nedges)
{
	for (uint64 i = 0; i < nedges; i++)
	{
		int			down = node_of(index, edges[i].downstream);
		int			up = node_of(index, edges[i].upstream);

		if (down < 0 || up < 0)
			continue;
		vp_graph_add_edge(state->graph, up, down);
		if (up < state->n && down < state->n)
			vp_graph_add_edge(state->own, up, down);
	}
}

static void
load_sources(VpState *state, HTAB *index)
{
	static VpStatement statement = {
		"SELECT d.asset_id, n.nspname || '.' || c.relname"
		" FROM vibepiper.dependency d"
		" JOIN vibepiper.asset a ON a.asset_id = d.asset_id"
		" JOIN pg_class c ON c.oid = d.source"
		" JOIN pg_namespace n ON n.oid = c.relnamespace"
		" WHERE a.pipeline_id = $1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(state->pipeline->id);
	VpSpi		spi;
	uint64		nrows;

	vp_spi_open(&spi);
	nrows = vp_spi_run(&statement, &key, NULL, true);
	for (uint64 row = 0; row < nrows; row++)
	{
		int			node = node_of(index, vp_col_int32(row, 1, 0));
		char	   *name = vp_col_text(&spi, row, 2);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		if (node >= 0)
			state->own->nodes[node].sources =
				lappend(state->own->nodes[node].sources, name);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
}

VpState *
vp_state_load(VpPipeline *pipeline, bool with_selection_data)
{
	VpState    *state = palloc0(sizeof(VpState));
	HTAB	   *index = create_index(CurrentMemoryContext, 64);
	Edge	   *edges;
	uint64		nedges;
	List	   *cycle;

	state->pipeline = pipeline;
	state->asking.instant = vp_instant(GetActiveSnapshot(), 0);
	state->asking.latest = vp_instant(GetLatestSnapshot(), 0);
	load_own_nodes(state, index, with_selection_data);
	edges = load_edges(state, &nedges);
	load_external_nodes(state, index, external_ids(index, edges, nedges));
	create_graphs(state);
	add_edges(state, index, edges, nedges);
	if (with_selection_data)
		load_sources(state, index);
	hash_destroy(index);
	vp_graph_finish(state->graph);
	vp_graph_finish(state->own);
	state->order = palloc(sizeof(int) * Max(state->ntotal, 1));
	if (!vp_graph_topological_order(state->graph, state->order, &cycle))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_RECURSION),
				 errmsg("assets of pipeline \"%s\" depend on each other in a circle",
						pipeline->name),
				 errdetail("%s", vp_graph_cycle_path(state->graph, cycle))));
	return state;
}

static Bitmapset *
all_nodes(const VpState *state)
{
	return state->n == 0 ? NULL : bms_add_range(NULL, 0, state->n - 1);
}

Bitmapset *
vp_state_select(VpState *state, const char *selection)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	if (selection == NULL)
		return all_nodes(state);
	foreach(lc, state->pipeline->schemas)
	{
		char	   *name = get_namespace_name(lfirst_oid(lc));

		if (name != NULL)
			schemas = lappend(schemas, name);
	}
	return vp_graph_select(state->own, schemas, selection);
}

/*
 * What a reader of the node gets, as a hash: the rows of its version, or, if
 * reading computes them, code and inputs.
 */
VpHash
vp_state_input_hash(const VpState *state, int i)
{
	const VpNode *node = &state->nodes[i];
	const VpGraphNode *graph_node = &state->graph->nodes[i];
	VpHash		hash = node->code_hash;

	if (node->version_id != 0 && !node->lazy)
		return node->data_hash;
	for (int u = 0; u < graph_node->nup; u++)
	{
		VpHash		pair[2] = {hash, state->nodes[graph_node->up[u]].input_hash};

		hash = vp_hash_bytes(pair, sizeof(pair), 0);
	}
	return hash;
}

static bool
is_lost(const VpNode *node)
{
	return node->rows > 0 && node->incarnation != vp_incarnation() &&
		vp_slot_is_lost(node->slot);
}

static bool
is_pending(const VpNode *node)
{
	return node->action == VP_ACTION_BUILD || node->action == VP_ACTION_MAYBE;
}

static const VpHash *
hash_it_was_computed_from(const VpNode *node, int32 upstream)
{
	ListCell   *i;
	ListCell   *h;

	forboth(i, node->upstreams, h, node->upstream_hashes)
		if (lfirst_int(i) == upstream)
		return lfirst(h);
	return NULL;
}

/* Display name of an upstream whose rows aren't those that were read; or NULL. */
static const char *
changed_upstream(const VpState *state, int i, bool *pending)
{
	const VpNode *node = &state->nodes[i];
	const VpGraphNode *graph_node = &state->graph->nodes[i];
	const char *waiting = NULL;

	for (int u = 0; u < graph_node->nup; u++)
	{
		int			up = graph_node->up[u];
		const VpHash *then = hash_it_was_computed_from(node, state->nodes[up].id);

		if (is_pending(&state->nodes[up]))
			waiting = state->graph->nodes[up].display;
		else if (then == NULL || !vp_hash_equal(*then, state->nodes[up].input_hash))
		{
			*pending = false;
			return state->graph->nodes[up].display;
		}
	}
	*pending = waiting != NULL;
	return waiting;
}

static void
set(VpNode *node, VpAction action, char *reason)
{
	node->action = action;
	node->reason = reason;
}

static void
decide_by_inputs(VpState *state, int i)
{
	VpNode	   *node = &state->nodes[i];
	bool		pending;
	const char *upstream = changed_upstream(state, i, &pending);
	const char *difference = NULL;

	if (upstream != NULL && !pending)
	{
		set(node, VP_ACTION_BUILD, psprintf("upstream %s changed", upstream));
		return;
	}
	if (node->sources != NULL)
		difference = vp_sources_difference(node->sources, &state->asking);
	if (difference != NULL)
		set(node, VP_ACTION_BUILD, pstrdup(difference));
	else if (upstream != NULL)
		set(node, VP_ACTION_MAYBE, psprintf("upstream %s is rebuilt first", upstream));
	else
		set(node, VP_ACTION_CACHED, "fresh");
}

void
vp_state_decide(VpState *state, int i, bool force)
{
	VpNode	   *node = &state->nodes[i];

	if (node->lazy)
		set(node, VP_ACTION_DEFERRED, "lazy: computed when read");
	else if (force)
		set(node, VP_ACTION_BUILD, "forced");
	else if (node->version_id == 0)
		set(node, VP_ACTION_BUILD, "never built");
	else if (is_lost(node))
		set(node, VP_ACTION_BUILD, "lost");
	else if (node->pinned_run != 0)
		set(node, VP_ACTION_CACHED,
			psprintf("pinned to run " INT64_FORMAT, node->pinned_run));
	else if (!vp_hash_equal(node->version_code, node->code_hash))
		set(node, VP_ACTION_BUILD, "code changed");
	else if (node->invalidated)
		set(node, VP_ACTION_BUILD, "invalidated");
	else if (!node->cache)
		set(node, VP_ACTION_BUILD, "cache is off");
	else if (node->expired)
		set(node, VP_ACTION_BUILD, "cache_ttl passed");
	else
		decide_by_inputs(state, i);
	node->input_hash = vp_state_input_hash(state, i);
}

void
vp_state_decide_all(VpState *state, Bitmapset *selected, bool force)
{
	for (int k = 0; k < state->ntotal; k++)
	{
		int			i = state->order[k];

		CHECK_FOR_INTERRUPTS();
		if (bms_is_member(i, selected))
			vp_state_decide(state, i, force);
		else
		{
			state->nodes[i].action = VP_ACTION_NONE;
			state->nodes[i].input_hash = vp_state_input_hash(state, i);
		}
	}
}

const char *
vp_action_name(VpAction action)
{
	switch (action)
	{
		case VP_ACTION_NONE:
			return "none";
		case VP_ACTION_BUILD:
			return "build";
		case VP_ACTION_MAYBE:
			return "maybe";
		case VP_ACTION_CACHED:
			return "cached";
		case VP_ACTION_DEFERRED:
			return "deferred";
	}
	return NULL;
}
