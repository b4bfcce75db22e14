/*
 * rebuild.c
 *	  When an asset's columns change: new views, for all that read it too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "catalog/pipeline.h"
#include "common/spi.h"
#include "define/blockers.h"
#include "define/canonical.h"
#include "define/decoration.h"
#include "define/define.h"
#include "define/rebuild.h"
#include "define/views.h"
#include "store/guard.h"
#include "store/publish.h"

/* What a follower meant before the first of its upstreams was set aside. */
typedef struct FollowerText
{
	int32		id;
	char	   *text;
} FollowerText;

/* Ids of the assets whose definitions depend on the relation or its row type. */
static List *
followers_of(Oid relid)
{
	static VpStatement statement = {
		"WITH o(classid, objid) AS (SELECT 'pg_class'::regclass, $1"
		" UNION ALL SELECT 'pg_type'::regclass, unnest(ARRAY[t.oid, t.typarray])"
		" FROM pg_type t WHERE t.typrelid = $1)"
		" SELECT DISTINCT a.asset_id FROM o"
		" JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid"
		" JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
		" JOIN vibepiper.asset a ON a.def = r.ev_class WHERE d.deptype = 'n' ORDER BY 1",
		1, {OIDOID}
	};
	VpSpi		spi;
	Datum		value = ObjectIdGetDatum(relid);
	List	   *ids = NIL;
	uint64		n;
	MemoryContext old;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &value, NULL, false);
	old = MemoryContextSwitchTo(spi.caller);
	for (uint64 i = 0; i < n; i++)
		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
	MemoryContextSwitchTo(old);
	vp_spi_close(&spi);
	return ids;
}

static FollowerText *
find_text(const VpRebuild *rebuild, int32 id)
{
	ListCell   *lc;

	foreach(lc, rebuild->texts)
		if (((FollowerText *) lfirst(lc))->id == id)
		return lfirst(lc);
	return NULL;
}

/*
 * The readers of a stub that will be set aside: afterwards their definitions
 * name that one, so keep what they mean now.
 */
static void
note_followers(VpRebuild *rebuild, Oid stub)
{
	ListCell   *lc;

	foreach(lc, followers_of(stub))
	{
		FollowerText *entry;

		if (!bms_is_member(lfirst_int(lc), rebuild->doomed))
			rebuild->waiting = bms_add_member(rebuild->waiting, lfirst_int(lc));
		if (find_text(rebuild, lfirst_int(lc)) != NULL)
			continue;
		entry = palloc(sizeof(FollowerText));
		entry->id = lfirst_int(lc);
		entry->text = vp_present_text(vp_asset_by_id(entry->id));
		rebuild->texts = lappend(rebuild->texts, entry);
	}
}

void
vp_rebuild_analyzed(VpRebuild *rebuild, int32 id)
{
	FollowerText *text = find_text(rebuild, id);

	rebuild->waiting = bms_del_member(rebuild->waiting, id);
	if (text != NULL)
		rebuild->texts = list_delete_ptr(rebuild->texts, text);
}

void
vp_rebuild_views(VpRebuild *rebuild, VpAsset *asset, const VpAnalyzed *analyzed)
{
	Oid			stub = asset->stub;
	Oid			def = asset->def;

	vp_blockers_refuse(asset, rebuild->asides);
	note_followers(rebuild, stub);
	vp_views_set_aside(asset);
	rebuild->asides = lappend_oid(rebuild->asides, stub);
	rebuild->asides = lappend_oid(rebuild->asides, def);
	vp_views_create(asset, analyzed);
	vp_decoration_copy(stub, asset->stub);
	vp_publish(def, asset->id, 0, NIL); /* the new one means nothing yet */
}

static void
follower_error_callback(void *arg)
{
	errcontext("columns change, so asset %s, which reads them, is defined again",
			   (const char *) arg);
}

static void
rebuild_follower(VpRebuild *rebuild, int32 id)
{
	VpAsset    *old = vp_asset_by_id(id);
	VpAsset    *asset = palloc(sizeof(VpAsset));
	char	   *text = find_text(rebuild, id)->text;
	ErrorContextCallback callback = {
		.callback = follower_error_callback,
		.arg = old->display,
		.previous = error_context_stack
	};

	*asset = *old;
	error_context_stack = &callback;
	vp_pipeline_lock(old->pipeline_id);
	rebuild->waiting = bms_del_member(rebuild->waiting, id);
	vp_redefine(rebuild, old, asset, text);
	error_context_stack = callback.previous;
	rebuild->changes = lappend(rebuild->changes,
							   vp_change(old->display, "rebuilt", NULL));
}

/* The first of the waiting ones in topological order. */
static int
next_follower(const VpRebuild *rebuild, const int *positions)
{
	int			first = -1;
	int			id = -1;

	while ((id = bms_next_member(rebuild->waiting, id)) >= 0)
		if (first < 0 || positions[id] < positions[first])
			first = id;
	return first;
}

/* Each is done when all that it reads is, so mostly once. */
static void
rebuild_followers(VpRebuild *rebuild)
{
	VpGraph    *graph;
	int		   *order;
	int		   *positions;
	int32		max_id = 0;
	int			id;

	if (bms_is_empty(rebuild->waiting))
		return;
	graph = vp_define_graph();
	order = palloc(sizeof(int) * Max(graph->n, 1));
	if (!vp_graph_topological_order(graph, order, NULL))
		elog(ERROR, "assets depend on each other in a circle");
	for (int i = 0; i < graph->n; i++)
		max_id = Max(max_id, graph->nodes[i].id);
	positions = palloc0(sizeof(int) * (max_id + 1));
	for (int k = 0; k < graph->n; k++)
		positions[graph->nodes[order[k]].id] = k;
	while ((id = next_follower(rebuild, positions)) >= 0)
	{
		CHECK_FOR_INTERRUPTS();
		rebuild_follower(rebuild, id);
	}
}

static void
drop_asides(const VpRebuild *rebuild)
{
	ObjectAddresses *doomed = new_object_addresses();
	ListCell   *lc;

	foreach(lc, rebuild->asides)
	{
		ObjectAddress object;

		ObjectAddressSet(object, RelationRelationId, lfirst_oid(lc));
		add_exact_object_address(&object, doomed);
	}
	vp_guard_open();
	performMultipleDeletions(doomed, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	vp_guard_close();
	free_object_addresses(doomed);
	CommandCounterIncrement();
}

void
vp_rebuild_finish(VpRebuild *rebuild)
{
	if (rebuild->asides == NIL)
		return;
	rebuild_followers(rebuild);
	drop_asides(rebuild);
}
