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

/* Ids of the assets whose definitions depend on one of these relations. */
static List *
followers_of(List *relids)
{
	static VpStatement statement = {
		"SELECT DISTINCT a.asset_id FROM pg_depend d"
		" JOIN pg_rewrite r ON r.oid = d.objid"
		" JOIN vibepiper.asset a ON a.def = r.ev_class"
		" WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
		" AND d.refobjid = $1 AND d.deptype = 'n' ORDER BY 1", 1, {OIDOID}
	};
	VpSpi		spi;
	List	   *ids = NIL;
	ListCell   *lc;

	vp_spi_open(&spi);
	foreach(lc, relids)
	{
		Datum		value = ObjectIdGetDatum(lfirst_oid(lc));
		uint64		n = vp_spi_run(&statement, &value, NULL, false);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		for (uint64 i = 0; i < n; i++)
			ids = list_append_unique_int(ids, vp_col_int32(i, 1, 0));
		MemoryContextSwitchTo(old);
	}
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

/* Afterwards their definitions name a stub that is set aside. */
static void
remember_texts(VpRebuild *rebuild, Oid stub)
{
	ListCell   *lc;

	foreach(lc, followers_of(list_make1_oid(stub)))
	{
		FollowerText *entry;

		if (find_text(rebuild, lfirst_int(lc)) != NULL)
			continue;
		entry = palloc(sizeof(FollowerText));
		entry->id = lfirst_int(lc);
		entry->text = vp_present_text(vp_asset_by_id(entry->id));
		rebuild->texts = lappend(rebuild->texts, entry);
	}
}

void
vp_rebuild_forget_text(VpRebuild *rebuild, int32 id)
{
	FollowerText *text = find_text(rebuild, id);

	if (text != NULL)
		rebuild->texts = list_delete_ptr(rebuild->texts, text);
}

void
vp_rebuild_views(VpRebuild *rebuild, VpAsset *asset, const VpAnalyzed *analyzed)
{
	Oid			stub = asset->stub;
	Oid			def = asset->def;

	vp_blockers_refuse(asset, rebuild->asides);
	remember_texts(rebuild, stub);
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
	FollowerText *text = find_text(rebuild, id);
	ErrorContextCallback callback = {
		.callback = follower_error_callback,
		.arg = old->display,
		.previous = error_context_stack
	};

	*asset = *old;
	error_context_stack = &callback;
	vp_pipeline_lock(old->pipeline_id);
	vp_redefine(rebuild, old, asset, text->text);
	error_context_stack = callback.previous;
	rebuild->changes = lappend(rebuild->changes,
							   vp_change(old->display, "rebuilt", NULL));
}

/* Followers that have not been analyzed since, as positions in the order. */
static Bitmapset *
waiting_followers(const VpRebuild *rebuild, const int *positions, int32 max_id)
{
	Bitmapset  *waiting = NULL;
	ListCell   *lc;

	foreach(lc, followers_of(rebuild->asides))
		if (lfirst_int(lc) <= max_id && !bms_is_member(lfirst_int(lc), rebuild->doomed))
		waiting = bms_add_member(waiting, positions[lfirst_int(lc)]);
	return waiting;
}

/* In topological order, so that each is done once. */
static void
rebuild_followers(VpRebuild *rebuild)
{
	VpGraph    *graph;
	int		   *order;
	int		   *positions;
	int32		max_id = 0;
	int			next = -1;

	if (followers_of(rebuild->asides) == NIL)
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
	while ((next = bms_next_member(waiting_followers(rebuild, positions, max_id), next)) >= 0)
	{
		CHECK_FOR_INTERRUPTS();
		rebuild_follower(rebuild, graph->nodes[order[next]].id);
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
