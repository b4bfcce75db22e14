/*
 * slot.c
 *	  Slots: relations in vibepiper_store, each holding one version.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/toasting.h"
#include "commands/tablecmds.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "storage/standby.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/slots.h"
#include "catalog/version.h"
#include "common/extension.h"
#include "common/point.h"
#include "common/trial.h"
#include "compat/compat.h"
#include "store/clause.h"
#include "store/compute.h"
#include "store/guard.h"
#include "store/slot.h"
#include "store/unlogged.h"

static Datum
no_autovacuum(void)
{
	List	   *options = list_make1(makeDefElem("autovacuum_enabled",
												 (Node *) makeString("false"), -1));

	return transformRelOptions((Datum) 0, options, NULL, NULL, false, false);
}

static char *
slot_name(const VpAsset *asset)
{
	Oid			schema = vp_extension()->store_schema;

	for (int i = 1;; i++)
	{
		char	   *name = makeObjectName(asset->name, NULL,
										  psprintf("%d_%d", asset->id, i));

		if (!OidIsValid(get_relname_relid(name, schema)))
			return name;
	}
}

static Oid
create_slot(const VpAsset *asset, char persistence)
{
	const VpExtension *ext = vp_extension();
	Relation	def = relation_open(asset->def, AccessShareLock);
	TupleDesc	desc = CreateTupleDescCopy(RelationGetDescr(def));
	Datum		options = no_autovacuum();
	ObjectAddress slot;
	ObjectAddress extension;
	VpSlot		row = {0};

	relation_close(def, NoLock);
	row.oid = heap_create_with_catalog(slot_name(asset), ext->store_schema,
									   InvalidOid, InvalidOid, InvalidOid,
									   InvalidOid, asset->owner, HEAP_TABLE_AM_OID,
									   desc, NIL, RELKIND_RELATION, persistence,
									   false, false, ONCOMMIT_NOOP, options, false,
									   true, true, InvalidOid, NULL);
	CommandCounterIncrement();
	NewRelationCreateToastTable(row.oid, options);
	ObjectAddressSet(slot, RelationRelationId, row.oid);
	ObjectAddressSet(extension, ExtensionRelationId, ext->extension);
	recordDependencyOn(&slot, &extension, DEPENDENCY_EXTENSION);
	CommandCounterIncrement();
	LockRelationOid(row.oid, ShareUpdateExclusiveLock);

	row.asset_id = asset->id;
	row.signature = asset->signature;
	row.persistence = persistence;
	vp_slot_insert(&row);
	return row.oid;
}

static void
empty_toast(Oid toast, char persistence)
{
	Relation	rel = table_open(toast, NoLock);

	vp_new_filenode(rel, persistence);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	vp_reindex_relation(toast);
}

/*
 * Our own readers need no lock to be kept off the old file; those of a standby
 * do, since no horizon tells of them.
 */
static void
lock_on_standbys(Oid relid, char persistence)
{
	if (persistence != RELPERSISTENCE_PERMANENT || !XLogStandbyInfoActive())
		return;
	LogAccessExclusiveLockPrepare();
	LogAccessExclusiveLock(MyDatabaseId, relid);
}

/* Give the slot a new, empty relation file. */
static void
empty_slot(const VpSlot *slot)
{
	Relation	rel = table_open(slot->oid, NoLock);
	Oid			toast = rel->rd_rel->reltoastrelid;

	vp_new_filenode(rel, slot->persistence);
	pgstat_count_truncate(rel);
	lock_on_standbys(slot->oid, slot->persistence);
	table_close(rel, NoLock);
	if (OidIsValid(toast))
		empty_toast(toast, slot->persistence);
	CommandCounterIncrement();
}

/* Transactions from here on may be unknown to some snapshot. */
static FullTransactionId
snapshot_horizon(void)
{
	Relation	mapping = table_open(vp_extension()->mapping, AccessShareLock);
	TransactionId xid = GetOldestNonRemovableTransactionId(mapping);
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	table_close(mapping, AccessShareLock);
	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, xid);
}

static void
forget_version(const VpSlot *slot)
{
	if (slot->version_id == 0)
		return;
	vp_version_delete(slot->version_id);
	vp_slot_set_version(slot->oid, 0);
}

static bool
fits(const VpSlot *slot, const VpAsset *asset, char persistence)
{
	return slot->persistence == persistence &&
		vp_hash_equal(slot->signature, asset->signature);
}

static bool
lock_indexes(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	List	   *indexes;
	ListCell   *lc;

	if (rel == NULL)
		return false;
	indexes = RelationGetIndexList(rel);
	relation_close(rel, NoLock);
	foreach(lc, indexes)
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessExclusiveLock))
		return false;
	return true;
}

/*
 * Take what refilling needs without waiting: a transaction that once scanned
 * an index of the slot keeps it locked to its end, and then another slot
 * serves.
 */
static bool
lock_for_refill(Oid slot)
{
	Relation	rel;
	Oid			toast;

	if (!ConditionalLockRelationOid(slot, ShareUpdateExclusiveLock))
		return false;
	rel = try_relation_open(slot, NoLock);
	if (rel == NULL)
		return false;
	toast = rel->rd_rel->reltoastrelid;
	relation_close(rel, NoLock);
	if (OidIsValid(toast) &&
		(!ConditionalLockRelationOid(toast, ShareUpdateExclusiveLock) ||
		 !lock_indexes(toast)))
		return false;
	return lock_indexes(slot);
}

Oid
vp_slot_acquire(const VpAsset *asset, char persistence, const VpKeep *keep,
				int64 run_id, List **unfit)
{
	ListCell   *lc;
	Oid			slot = InvalidOid;

	if (persistence == RELPERSISTENCE_UNLOGGED)
		vp_unlogged_made();
	vp_guard_open();
	foreach(lc, vp_slots_reusable(asset->id, snapshot_horizon(), keep, run_id))
	{
		const VpSlot *candidate = lfirst(lc);

		if (!fits(candidate, asset, persistence))
			*unfit = lappend_oid(*unfit, candidate->oid);
		else if (!OidIsValid(slot) && lock_for_refill(candidate->oid))
		{
			VP_POINT("slot.locked");
			forget_version(candidate);
			empty_slot(candidate);
			slot = candidate->oid;
			VP_POINT("slot.emptied");
		}
	}
	if (!OidIsValid(slot))
	{
		slot = create_slot(asset, persistence);
		VP_POINT("slot.created");
	}
	vp_guard_close();
	return slot;
}

/* "<asset>_<id>_<number>_i_<n>", where the slot is "<asset>_<id>_<number>" */
static char *
index_name(const VpAsset *asset, const char *slot, int n)
{
	const char *suffix = strrchr(slot, '_');

	do
		suffix--;
	while (suffix > slot && *suffix != '_');
	return makeObjectName(asset->name, NULL, psprintf("%s_i_%d", suffix + 1, n));
}

/* resolved: the clauses' meaning; NIL: what their names mean now */
static void
create_indexes(Oid slot, const VpAsset *asset, List *resolved)
{
	char	   *name = get_rel_name(slot);

	for (int n = 0; n < list_length(asset->options.indexes); n++)
	{
		vp_clause_create(slot, index_name(asset, name, n + 1), asset->owner,
						 list_nth(asset->options.indexes, n),
						 resolved == NIL ? NULL : list_nth(resolved, n));
		CommandCounterIncrement();
	}
}

void
vp_slot_index(Oid slot, const VpAsset *asset)
{
	Relation	rel;
	bool		has_indexes;

	if (asset->options.indexes == NIL)
		return;
	rel = table_open(slot, AccessShareLock);
	has_indexes = RelationGetIndexList(rel) != NIL;
	table_close(rel, AccessShareLock);
	vp_guard_open();
	if (has_indexes)
		vp_reindex_relation(slot);
	else
		create_indexes(slot, asset, asset->index_clauses);
	vp_guard_close();
}

void
vp_slot_analyze(Oid slot)
{
	vp_analyze_relation(slot);
	CommandCounterIncrement();
}

typedef struct IndexTrial
{
	const VpAsset *asset;
	List	   *pipeline_settings;
	List	   *clauses;		/* resolved */
} IndexTrial;

static void
try_indexes(void *arg)
{
	IndexTrial *trial = arg;
	const VpAsset *asset = trial->asset;
	VpIdentity	identity;
	Oid			slot;
	char	   *name;

	vp_guard_open();
	slot = create_slot(asset, RELPERSISTENCE_PERMANENT);
	name = get_rel_name(slot);
	vp_identity_enter(&identity, asset, trial->pipeline_settings);
	create_indexes(slot, asset, NIL);
	for (int n = 1; n <= list_length(asset->options.indexes); n++)
		trial->clauses = lappend(trial->clauses,
								 vp_clause_of(slot, index_name(asset, name, n)));
	vp_identity_leave(&identity);
	vp_guard_close();
}

/* What could be wrong with a clause is best found by trying it. */
void
vp_slot_resolve_indexes(VpAsset *asset, List *pipeline_settings)
{
	IndexTrial	trial = {asset, pipeline_settings};

	if (asset->options.indexes != NIL)
		vp_trial(try_indexes, &trial);
	asset->index_clauses = trial.clauses;
}

Oid
vp_slot_file(Oid slot)
{
	Relation	rel = try_relation_open(slot, AccessShareLock);
	Oid			file;

	if (rel == NULL)
		return InvalidOid;
	file = rel->rd_rel->relfilenode;
	relation_close(rel, AccessShareLock);
	return file;
}

int64
vp_slot_size(Oid slot)
{
	return DatumGetInt64(DirectFunctionCall1(pg_total_relation_size,
											 ObjectIdGetDatum(slot)));
}

bool
vp_slot_is_lost(Oid slot)
{
	Relation	rel = try_relation_open(slot, AccessShareLock);
	bool		lost = true;

	if (rel == NULL)
		return true;
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_UNLOGGED)
		lost = false;
	else if (!RecoveryInProgress())
		lost = RelationGetNumberOfBlocks(rel) == 0;
	relation_close(rel, AccessShareLock);
	return lost;
}

void
vp_slot_drop(Oid slot)
{
	ObjectAddress object;

	vp_slot_delete(slot);
	if (!OidIsValid(get_rel_namespace(slot)))
		return;
	ObjectAddressSet(object, RelationRelationId, slot);
	vp_guard_open();
	performDeletion(&object, DROP_CASCADE,
					PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY |
					PERFORM_DELETION_SKIP_EXTENSIONS);
	vp_guard_close();
}

bool
vp_slot_discard(Oid slot)
{
	if (!ConditionalLockRelationOid(slot, AccessExclusiveLock))
		return false;
	vp_version_delete_in_slot(slot);
	VP_POINT("slot.forgotten");
	vp_slot_drop(slot);
	VP_POINT("slot.dropped");
	return true;
}

List *
vp_slots_trim(const VpAsset *asset, const VpKeep *keep, int most)
{
	List	   *dropped = NIL;
	ListCell   *lc;

	foreach(lc, vp_slots_reusable(asset->id, snapshot_horizon(), keep, 0))
	{
		VpSlot	   *slot = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (list_length(dropped) == most)
			break;
		if (vp_slot_discard(slot->oid))
			dropped = lappend(dropped, &slot->version_id);
	}
	return dropped;
}
