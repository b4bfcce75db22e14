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
#include "common/names.h"
#include "common/shmem.h"
#include "common/spi.h"
#include "freshness/meaning.h"
#include "freshness/nodes.h"
#include "freshness/state.h"
#include "graph/selection.h"
#include "store/resolve.h"
#include "store/slot.h"

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

typedef struct Edge
{
	int32		upstream;		/* asset ids */
	int32		downstream;
} Edge;

typedef struct Edges
{
	Edge	   *edges;
	uint64		n;
} Edges;

static void
load_edges(Edges *edges, VpStatement *statement, Datum key)
{
	VpSpi		spi;
	uint64		n;
	Edge	   *edge;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, &key, NULL, true);
	edges->edges = edges->edges == NULL ?
		MemoryContextAllocHuge(spi.caller, Max(n, 1) * sizeof(Edge)) :
		repalloc_huge(edges->edges, (edges->n + n + 1) * sizeof(Edge));
	edge = edges->edges + edges->n;
	for (uint64 row = 0; row < n; row++, edge++)
	{
		edge->downstream = vp_col_int32(row, 1, 0);
		edge->upstream = vp_col_int32(row, 2, 0);
	}
	edges->n += n;
	vp_spi_close(&spi);
}

static void
load_own_edges(VpState *state, Edges *edges)
{
	static VpStatement statement = {
		"SELECT d.asset_id, d.upstream_id FROM vibepiper.dependency d"
		" JOIN vibepiper.asset a ON a.asset_id = d.asset_id"
		" WHERE a.pipeline_id = $1 AND d.upstream_id IS NOT NULL", 1, {INT4OID}
	};

	load_edges(edges, &statement, Int32GetDatum(state->pipeline->id));
}

/* Those to the nodes from this one on that are computed where they are read. */
static bool
load_edges_in_place(VpState *state, Edges *edges, int first)
{
	static VpStatement statement = {
		"SELECT asset_id, upstream_id FROM vibepiper.dependency"
		" WHERE asset_id = ANY ($1) AND upstream_id IS NOT NULL", 1, {INT4ARRAYOID}
	};
	List	   *ids = NIL;

	for (int i = first; i < state->ntotal; i++)
		if (state->nodes[i].in_place)
			ids = lappend_int(ids, state->nodes[i].id);
	if (ids != NIL)
		load_edges(edges, &statement, vp_ids_datum(ids));
	return ids != NIL;
}

/* Upstreams that are not among the nodes, each once. */
static List *
missing_ids(HTAB *index, const Edges *edges, uint64 first)
{
	Bitmapset  *seen = NULL;
	List	   *ids = NIL;

	for (uint64 i = first; i < edges->n; i++)
	{
		int32		id = edges->edges[i].upstream;

		if (vp_nodes_find(index, id) >= 0 || bms_is_member(id, seen))
			continue;
		seen = bms_add_member(seen, id);
		ids = lappend_int(ids, id);
	}
	return ids;
}

/*
 * The upstreams of other pipelines; and theirs, as far as these are computed by
 * who reads them.
 */
static void
load_others(VpState *state, HTAB *index, Edges *edges)
{
	uint64		first_edge = 0;
	int			first;

	do
	{
		first = state->ntotal;
		vp_nodes_load_others(state, index, missing_ids(index, edges, first_edge));
		first_edge = edges->n;
	} while (load_edges_in_place(state, edges, first));
}

static void
add_edges(VpState *state, HTAB *index, const Edges *edges)
{
	for (uint64 i = 0; i < edges->n; i++)
	{
		int			down = vp_nodes_find(index, edges->edges[i].downstream);
		int			up = vp_nodes_find(index, edges->edges[i].upstream);

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
		int			node = vp_nodes_find(index, vp_col_int32(row, 1, 0));
		char	   *name = vp_col_text(&spi, row, 2);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		if (node >= 0)
			state->own->nodes[node].sources =
				lappend(state->own->nodes[node].sources, name);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
}

typedef struct OtherAsset
{
	struct
	{
		VpMeaningKind kind;
		Oid			id;
	}			key;
	bool		found;
	VpHash		hash;
} OtherAsset;

/* Of an asset that is no node, once. */
static bool
meaning_of_other(const VpState *state, VpMeaning *meaning)
{
	OtherAsset	wanted = {.key = {meaning->kind, meaning->objid}};
	OtherAsset *other;
	bool		known;

	other = hash_search(state->other_assets, &wanted.key, HASH_FIND, NULL);
	if (other == NULL)
	{
		wanted.found = vp_meaning_of(meaning, NIL);
		wanted.hash = meaning->hash;
		other = hash_search(state->other_assets, &wanted.key, HASH_ENTER, &known);
		*other = wanted;
	}
	meaning->hash = other->hash;
	return other->found;
}

/* What an asset is, or will be when the run that is going on is published. */
static bool
meaning_of_asset(const void *arg, VpMeaning *meaning)
{
	const VpState *state = arg;
	int			i = vp_nodes_find(state->index, (int32) meaning->objid);
	const VpNode *node;

	if (i < 0)
		return meaning_of_other(state, meaning);
	node = &state->nodes[i];
	if (meaning->kind == VP_MEANING_COLUMNS)
		return vp_meaning_columns(node->stub, &meaning->hash);
	meaning->hash = node->in_place ? node->code_in_place : node->data_hash;
	return true;
}

static HTAB *
create_other_assets(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(((OtherAsset *) NULL)->key),
		.entrysize = sizeof(OtherAsset),
		.hcxt = CurrentMemoryContext
	};

	return hash_create("vibepiper other assets", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

VpState *
vp_state_load(VpPipeline *pipeline, bool with_selection_data)
{
	VpState    *state = palloc0(sizeof(VpState));
	HTAB	   *index = vp_nodes_create_index();
	Edges		edges = {0};
	List	   *cycle;

	state->pipeline = pipeline;
	state->asking.instant = vp_instant(GetActiveSnapshot(), 0);
	state->asking.asset = meaning_of_asset;
	state->asking.arg = state;
	state->asking.latest = vp_instant(GetLatestSnapshot(), 0);
	state->index = index;
	state->other_assets = create_other_assets();
	vp_nodes_load_own(state, index, with_selection_data);
	load_own_edges(state, &edges);
	load_others(state, index, &edges);
	create_graphs(state);
	add_edges(state, index, &edges);
	if (with_selection_data)
		load_sources(state, index);
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
static VpHash
input_hash(const VpState *state, int i)
{
	const VpNode *node = &state->nodes[i];
	const VpGraphNode *graph_node = &state->graph->nodes[i];
	VpHash		both[2] = {node->code_in_place, {0, 0}};

	if (node->action == VP_ACTION_REUSE)
		return node->reuse->data_hash;
	if (!node->in_place)
		return node->data_hash;
	for (int u = 0; u < graph_node->nup; u++)
	{
		const VpNode *up = &state->nodes[graph_node->up[u]];

		/* a sum, since which comes first is by chance */
		vp_hash_add(&both[1], vp_hash_bytes(&up->input_hash, sizeof(VpHash), up->id));
	}
	return vp_hash_bytes(both, sizeof(both), 0);
}

static bool
is_pending(const VpNode *node)
{
	return node->action == VP_ACTION_BUILD || node->action == VP_ACTION_MAYBE;
}

/* Itself; or, if reading computes it, what that needs. */
static const char *
waits_for(const VpState *state, int i)
{
	const VpGraphNode *graph_node = &state->graph->nodes[i];

	if (is_pending(&state->nodes[i]))
		return graph_node->display;
	for (int u = 0; state->nodes[i].in_place && u < graph_node->nup; u++)
		if (state->nodes[graph_node->up[u]].waits_for != NULL)
			return state->nodes[graph_node->up[u]].waits_for;
	return NULL;
}

void
vp_state_settle(VpState *state, int i)
{
	state->nodes[i].input_hash = input_hash(state, i);
	state->nodes[i].waits_for = waits_for(state, i);
}

static bool
is_lost(int64 rows, int64 incarnation, Oid slot)
{
	return rows > 0 && incarnation != vp_incarnation() && vp_slot_is_lost(slot);
}

Bitmapset *
vp_state_lost(const VpState *state)
{
	Bitmapset  *lost = NULL;

	for (int i = 0; i < state->n; i++)
	{
		const VpNode *node = &state->nodes[i];

		if (node->version_id != 0 && !node->lazy &&
			is_lost(node->rows, node->incarnation, node->slot))
			lost = bms_add_member(lost, i);
	}
	return lost;
}

static const VpHash *
hash_it_was_computed_from(List *upstreams, List *hashes, int32 upstream)
{
	ListCell   *i;
	ListCell   *h;

	forboth(i, upstreams, h, hashes)
		if (lfirst_int(i) == upstream)
		return lfirst(h);
	return NULL;
}

/*
 * Display name of an upstream whose rows aren't those that a version of the
 * node was computed from; or NULL.
 */
static const char *
changed_upstream(const VpState *state, int i, List *upstreams, List *hashes,
				 bool *pending)
{
	const VpGraphNode *graph_node = &state->graph->nodes[i];
	const char *waiting = NULL;

	for (int u = 0; u < graph_node->nup; u++)
	{
		int			up = graph_node->up[u];
		const VpHash *then = hash_it_was_computed_from(upstreams, hashes,
													   state->nodes[up].id);

		if (state->nodes[up].waits_for != NULL)
			waiting = waiting ? waiting : state->nodes[up].waits_for;
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

/* What it reads has changed, or may, but it is too young for that to count. */
static void
tolerate(VpNode *node)
{
	if (!node->young || (node->action != VP_ACTION_BUILD && node->action != VP_ACTION_MAYBE))
		return;
	set(node, VP_ACTION_CACHED, psprintf("within max_staleness, though %s", node->reason));
	node->tolerated = true;
}

static void
decide_by_inputs(VpState *state, int i)
{
	VpNode	   *node = &state->nodes[i];
	bool		pending;
	const char *upstream = changed_upstream(state, i, node->upstreams,
											node->upstream_hashes, &pending);
	const char *difference;

	if (upstream != NULL && !pending)
	{
		set(node, VP_ACTION_BUILD, psprintf("upstream %s changed", upstream));
		return;
	}
	difference = node->sources == NULL ? "its sources are not known" :
		vp_sources_difference(node->sources, &state->asking);
	if (difference == NULL && !node->has_ttl)
		difference = vp_sources_unsteady(node->sources);
	if (difference != NULL)
		set(node, VP_ACTION_BUILD, pstrdup(difference));
	else if (upstream != NULL)
		set(node, VP_ACTION_MAYBE, psprintf("upstream %s is rebuilt first", upstream));
	else
		set(node, VP_ACTION_CACHED, "fresh");
}

/* Is a stored version what computing the node would give? */
static bool
is_right(VpState *state, int i, const VpVersion *version)
{
	const VpNode *node = &state->nodes[i];
	bool		pending;

	return vp_hash_equal(version->code_hash, node->code_hash) && version->same_signature &&
		!version->invalidated && !version->expired && version->sources != NULL &&
		changed_upstream(state, i, version->upstreams, version->upstream_hashes,
						 &pending) == NULL &&
		vp_sources_owner(version->sources) == vp_relation_owner(node->def) &&
		vp_sources_difference(version->sources, &state->asking) == NULL &&
		(node->has_ttl || vp_sources_unsteady(version->sources) == NULL) &&
		!is_lost(version->rows, version->incarnation, version->slot) &&
		get_rel_persistence(version->slot) == node->persistence &&
		vp_slot_file(version->slot) == version->filenode &&
		vp_columns_match(node->def, version->slot);
}

/* It is to be built: or has it been, some time ago? */
static void
look_for_stored(VpState *state, int i)
{
	VpNode	   *node = &state->nodes[i];
	ListCell   *lc;

	if (!state->stored_loaded)
		state->stored = list_concat(vp_versions_stored(state->pipeline->id, 0),
									vp_versions_other_inputs(state->pipeline->id));
	state->stored_loaded = true;
	foreach(lc, state->stored)
	{
		const VpVersion *version = lfirst(lc);

		if (version->asset_id != node->id || !is_right(state, i, version))
			continue;
		node->reuse = version;
		set(node, VP_ACTION_REUSE,
			psprintf("%s; an earlier version is right again", node->reason));
		return;
	}
}

void
vp_state_decide(VpState *state, int i, bool force)
{
	VpNode	   *node = &state->nodes[i];

	node->reuse = NULL;
	node->tolerated = false;
	if (node->lazy)
		set(node, VP_ACTION_DEFERRED, "lazy: computed when read");
	else if (force)
		set(node, VP_ACTION_BUILD, "forced");
	else if (node->version_id == 0)
		set(node, VP_ACTION_BUILD, "never built");
	else if (is_lost(node->rows, node->incarnation, node->slot))
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
	else if (node->sources != NULL &&
			 vp_sources_owner(node->sources) != vp_relation_owner(node->def))
		set(node, VP_ACTION_BUILD, "its owner changed");
	else
	{
		decide_by_inputs(state, i);
		tolerate(node);
	}
	if (node->action == VP_ACTION_BUILD && !force && node->cache && !node->invalidated)
		look_for_stored(state, i);
	vp_state_settle(state, i);
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
			vp_state_settle(state, i);
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
		case VP_ACTION_REUSE:
			return "reuse";
		case VP_ACTION_CACHED:
			return "cached";
		case VP_ACTION_DEFERRED:
			return "deferred";
	}
	return NULL;
}
