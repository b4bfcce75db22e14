/*
 * reads.c
 *	  What the statements of this backend read while an asset is computed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "common/spi.h"
#include "store/marker.h"
#include "store/reads.h"

typedef struct ReadRelation
{
	Oid			relid;			/* hash key */
	bool		children;
	bool		by_function;
} ReadRelation;

static MemoryContext context = NULL;
static HTAB *relations = NULL;
static HTAB *functions = NULL;
static HTAB *plan_functions = NULL;
static HTAB *assets = NULL;

static HTAB *
create_set(const char *name, Size entry_size)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = entry_size,
		.hcxt = context
	};

	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
forget(void)
{
	context = NULL;
	relations = NULL;
	functions = NULL;
	plan_functions = NULL;
	assets = NULL;
}

void
vp_reads_begin(void)
{
	vp_reads_end();
	context = AllocSetContextCreate(TopTransactionContext, "vibepiper reads",
									ALLOCSET_SMALL_SIZES);
	relations = create_set("vibepiper relations read", sizeof(ReadRelation));
	functions = create_set("vibepiper functions called", sizeof(Oid));
	plan_functions = create_set("vibepiper functions of plans", sizeof(uint32));
	assets = create_set("vibepiper assets read", sizeof(VpReadAsset));
}

void
vp_reads_end(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	forget();
}

static List *
members(HTAB *set)
{
	HASH_SEQ_STATUS seq;
	List	   *oids = NIL;
	Oid		   *oid;			/* what each entry begins with */

	hash_seq_init(&seq, set);
	while ((oid = hash_seq_search(&seq)) != NULL)
		oids = lappend_oid(oids, *oid);
	list_sort(oids, list_oid_cmp);
	return oids;
}

List *
vp_reads_relations(void)
{
	return members(relations);
}

bool
vp_reads_children(Oid relid)
{
	const ReadRelation *entry = hash_search(relations, &relid, HASH_FIND, NULL);

	return entry != NULL && entry->children;
}

bool
vp_reads_by_function(Oid relid)
{
	const ReadRelation *entry = hash_search(relations, &relid, HASH_FIND, NULL);

	return entry != NULL && entry->by_function;
}

List *
vp_reads_functions(void)
{
	return members(functions);
}

List *
vp_reads_plan_functions(void)
{
	HASH_SEQ_STATUS seq;
	List	   *hashes = NIL;
	uint32	   *hash;

	hash_seq_init(&seq, plan_functions);
	while ((hash = hash_seq_search(&seq)) != NULL)
		hashes = lappend_int(hashes, (int) *hash);
	return hashes;
}

/* Children stand in the plan as well: they go with their root. */
void
vp_reads_note_plan(const PlannedStmt *plan, bool own)
{
	ListCell   *lc;

	if (context == NULL || vp_spi_runs())
		return;
	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		VpMarker	marker;
		ReadRelation *entry;
		bool		found;

		/* a view is a sub-query with its Oid since 16 */
		if (!OidIsValid(rte->relid) ||
			!(rte->rtekind == RTE_SUBQUERY ||
			  (rte->rtekind == RTE_RELATION && !vp_marker_read(rte, &marker))))
			continue;
		entry = hash_search(relations, &rte->relid, HASH_ENTER, &found);
		entry->children = rte->inh || (found && entry->children);
		entry->by_function = !own || (found && entry->by_function);
	}
	foreach(lc, plan->invalItems)
	{
		PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

		if (item->cacheId == PROCOID)
			(void) hash_search(plan_functions, &item->hashValue, HASH_ENTER, NULL);
	}
}

void
vp_reads_note_function(Oid function)
{
	if (context != NULL && !vp_spi_runs())
		(void) hash_search(functions, &function, HASH_ENTER, NULL);
}

static int
compare_assets(const ListCell *a, const ListCell *b)
{
	Oid			x = ((VpReadAsset *) lfirst(a))->def;
	Oid			y = ((VpReadAsset *) lfirst(b))->def;

	return x < y ? -1 : x > y;
}

List *
vp_reads_assets(void)
{
	HASH_SEQ_STATUS seq;
	List	   *found = NIL;
	VpReadAsset *asset;

	hash_seq_init(&seq, assets);
	while ((asset = hash_seq_search(&seq)) != NULL)
		found = lappend(found, asset);
	list_sort(found, compare_assets);
	return found;
}

void
vp_reads_note_asset(Oid def, bool by_name, bool in_place)
{
	VpReadAsset *asset;
	bool		found;

	if (context == NULL)
		return;
	asset = hash_search(assets, &def, HASH_ENTER, &found);
	asset->by_name = by_name || (found && asset->by_name);
	asset->in_place = in_place || (found && asset->in_place);
}

static void
xact_callback(XactEvent event, void *arg)
{
	/* the memory goes with the transaction */
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT ||
		event == XACT_EVENT_PREPARE)
		forget();
}

void
vp_reads_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
}
