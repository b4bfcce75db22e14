/*
 * files.c
 *	  Does a snapshot still fit the files of what is read under it?
 *
 * What the catalogs say under the snapshot doesn't change, and is kept by
 * relation.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/extension.h"
#include "common/names.h"
#include "common/point.h"
#include "store/files.h"

/* A relation as it was under the snapshot. */
typedef struct Then
{
	Oid			relid;			/* hash key */
	bool		existed;
	Oid			file;
	bool		has_children;
	List	   *children;		/* of Oid */
	bool		passes;			/* it didn't exist, and has only newer rows */
} Then;

static Snapshot then_snapshot = InvalidSnapshot;
static HTAB *then = NULL;		/* lives in `context` */
static MemoryContext context = NULL;
static int	begin_level = 0;
static char *misfit = NULL;		/* name of what did not fit; in `context` */

static void
forget(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	then = NULL;
	misfit = NULL;
	then_snapshot = InvalidSnapshot;
}

void
vp_files_begin(Snapshot snapshot)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(Then)
	};

	forget();
	context = AllocSetContextCreate(TopTransactionContext, "vibepiper files",
									ALLOCSET_SMALL_SIZES);
	ctl.hcxt = context;
	then = hash_create("vibepiper files", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	then_snapshot = snapshot;
	begin_level = GetCurrentTransactionNestLevel();
}

void
vp_files_end(void)
{
	forget();
}

bool
vp_files_misfit(void)
{
	return misfit != NULL;
}

static List *
children_of(Oid parent, Snapshot snapshot)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	List	   *children = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhparent, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(parent));
	scan = systable_beginscan(rel, InheritsParentIndexId, true, snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		children = lappend_oid(children, ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return children;
}

static void
read_class(Then *entry)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(entry->relid));
	scan = systable_beginscan(rel, ClassOidIndexId, true, then_snapshot, 1, &key);
	tuple = systable_getnext(scan);
	entry->existed = HeapTupleIsValid(tuple);
	if (entry->existed)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		entry->file = form->relfilenode;
		entry->has_children = form->relhassubclass;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static Then *
relation_then(Oid relid)
{
	bool		found;
	Then	   *entry = hash_search(then, &relid, HASH_ENTER, &found);
	MemoryContext old;

	if (found)
		return entry;
	memset((char *) entry + sizeof(Oid), 0, sizeof(Then) - sizeof(Oid));
	old = MemoryContextSwitchTo(context);
	read_class(entry);
	if (entry->has_children)
		entry->children = children_of(relid, then_snapshot);
	MemoryContextSwitchTo(old);
	return entry;
}

/*
 * VACUUM doesn't freeze what is newer than a snapshot that is held, and
 * nothing can freeze rows while we hold a lock.
 */
static bool
has_frozen_rows(Relation rel)
{
	TableScanDesc scan = table_beginscan_strat(rel, SnapshotAny, 0, NULL, true, true);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		found = HeapTupleHeaderXminFrozen(tuple->t_data);
	}
	table_endscan(scan);
	return found;
}

/* A child that is newer than the snapshot: are all its rows, too? */
static bool
new_child_passes(Then *entry)
{
	Relation	rel;

	if (entry->passes)
		return true;
	rel = try_relation_open(entry->relid, AccessShareLock);
	if (rel == NULL)
		return false;
	entry->passes = rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		!rel->rd_rel->relhassubclass && has_superclass(entry->relid) &&
		!has_frozen_rows(rel);
	relation_close(rel, NoLock);
	return entry->passes;
}

/* The same children, but for those that are new? */
static bool
same_children(const Then *entry)
{
	List	   *now = children_of(entry->relid, NULL);
	ListCell   *lc;

	foreach(lc, entry->children)
		if (!list_member_oid(now, lfirst_oid(lc)))
		return false;
	foreach(lc, now)
	{
		Then	   *child;

		if (list_member_oid(entry->children, lfirst_oid(lc)))
			continue;
		child = relation_then(lfirst_oid(lc));
		if (child->existed || !new_child_passes(child))
			return false;
	}
	return true;
}

static void
raise_misfit(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("%s was rewritten after the run's snapshot was taken", misfit),
			 errdetail("Under that snapshot its rows can't be read any more.")));
}

static void
check_relation(const RangeTblEntry *rte)
{
	Then	   *entry = relation_then(rte->relid);
	Relation	rel;
	bool		fits;

	LockRelationOid(rte->relid, AccessShareLock);
	rel = try_relation_open(rte->relid, NoLock);
	if (rel == NULL)
		return;
	if (!entry->existed)
		fits = RelationGetNamespace(rel) == vp_extension()->store_schema ||
			new_child_passes(entry);
	else
		fits = (rel->rd_rel->relfilenode == entry->file ||
				RelationGetNamespace(rel) == vp_extension()->store_schema) &&
			(!(entry->has_children || rel->rd_rel->relhassubclass) || same_children(entry));
	relation_close(rel, NoLock);
	if (fits)
		return;
	misfit = MemoryContextStrdup(context, vp_relation_name(rte->relid));
	raise_misfit();
}

void
vp_files_check_plan(const PlannedStmt *plan)
{
	ListCell   *lc;

	if (then == NULL)
		return;
	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION &&
			(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_MATVIEW ||
			 rte->relkind == RELKIND_PARTITIONED_TABLE))
			check_relation(rte);
	}
}

void
vp_files_check_caught(void)
{
	if (misfit != NULL)
		raise_misfit();
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT ||
		event == XACT_EVENT_PREPARE)
	{
		/* the memory goes with the transaction */
		context = NULL;
		forget();
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mine,
				 SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && then != NULL &&
		GetCurrentTransactionNestLevel() <= begin_level)
		forget();
}

void
vp_files_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
