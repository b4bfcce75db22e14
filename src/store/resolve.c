/*
 * resolve.c
 *	  What an asset's name means for a snapshot.
 *
 * The mapping is an ordinary table; reading it for every execution would cost
 * some microseconds (and 50 when a row has many dead versions).  So a backend
 * remembers the newest mapping of an asset, and uses it for a snapshot if
 *
 * (1) no publication began or ended since it was read: the generation in
 *	   shared memory is the same and not "in flux", so what is remembered is
 *	   still the newest; and
 * (2) the transaction that wrote it is visible to the snapshot.
 *
 * A publication that isn't visible to the snapshot but ended before the entry
 * was read is the entry's own writer, since each publication of an asset
 * rewrites all of its rows; (2) catches it.  Transaction ids are compared as
 * raw 32-bit numbers: a wrapped-around one can only look invisible, and then
 * the table is read.  The transaction's own publications, and a standby, whose
 * publications no callback announces, always read the table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/version.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/point.h"
#include "common/shmem.h"
#include "compat/compat.h"
#include "store/marker.h"
#include "store/resolve.h"
#include "store/staged.h"

/* columns of vibepiper.asset that are read here */
enum
{
	ASSET_ID = 1, ASSET_DEF, ASSET_STUB, ASSET_PIPELINE, ASSET_LAZY,
	ASSET_ERROR_ON_MISS, ASSET_DETACHED
};

/* What the mapping says, checked against the slots. */
typedef struct Mapped
{
	bool		hit;
	int			nparts;
	Oid			slot;
	List	   *slots;			/* when there are several */
	char	   *indexes;		/* of the slot; NULL: not known */
	char		signature[33];
} Mapped;

typedef struct Entry
{
	Oid			def;			/* hash key */
	bool		info_valid;
	VpAssetInfo info;
	uint64		generation;		/* 0: no mapping remembered */
	TransactionId xmin;
	Mapped		mapped;
} Entry;

/* Which definition's entry names this slot?  May be out of date. */
typedef struct SlotEntry
{
	Oid			slot;			/* hash key */
	Oid			def;
} SlotEntry;

static HTAB *entries = NULL;
static HTAB *slot_entries = NULL;
static MemoryContext cache_context = NULL;
static uint64 invalidations = 0;

VpLostHook	vp_lost_hook = NULL;

static void
forget(Entry *entry)
{
	if (entry == NULL)
		return;
	entry->info_valid = false;
	entry->generation = 0;
}

/* A definition changed, or a slot (its indexes, that is); or anything. */
static void
relcache_callback(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	Entry	   *entry;
	SlotEntry  *slot;

	invalidations++;
	if (OidIsValid(relid))
	{
		forget(hash_search(entries, &relid, HASH_FIND, NULL));
		slot = hash_search(slot_entries, &relid, HASH_FIND, NULL);
		if (slot != NULL)
			forget(hash_search(entries, &slot->def, HASH_FIND, NULL));
		return;
	}
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
		forget(entry);
}

static HTAB *
create_hash(const char *name, Size entrysize)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = entrysize,
		.hcxt = cache_context
	};

	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
create_entries(void)
{
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "vibepiper mapping cache",
											  ALLOCSET_DEFAULT_SIZES);
	if (slot_entries == NULL)
		slot_entries = create_hash("vibepiper mapping cache by slot", sizeof(SlotEntry));
	entries = create_hash("vibepiper mapping cache", sizeof(Entry));
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

/* Read the asset's row, as it is now. */
static bool
read_info(Oid def, VpAssetInfo *info)
{
	const VpExtension *ext = vp_extension();
	Relation	rel = table_open(ext->asset, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, ASSET_DEF, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(def));
	scan = systable_beginscan(rel, ext->asset_def_key, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;

		info->id = DatumGetInt32(heap_getattr(tuple, ASSET_ID, desc, &isnull));
		info->stub = DatumGetObjectId(heap_getattr(tuple, ASSET_STUB, desc, &isnull));
		info->lazy = DatumGetBool(heap_getattr(tuple, ASSET_LAZY, desc, &isnull));
		info->error_on_miss = DatumGetBool(heap_getattr(tuple, ASSET_ERROR_ON_MISS,
														desc, &isnull));
		info->detached = DatumGetBool(heap_getattr(tuple, ASSET_DETACHED, desc, &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The entry with valid info, or NULL if no asset has this definition. */
static Entry *
entry_for(Oid def)
{
	Entry	   *entry;
	VpAssetInfo info;
	uint64		seen;
	bool		found;

	if (entries == NULL)
		create_entries();
	entry = hash_search(entries, &def, HASH_FIND, NULL);
	if (entry != NULL && entry->info_valid)
		return entry;

	do
	{
		seen = invalidations;
		if (!read_info(def, &info))
			return NULL;
		info.owner = vp_relation_owner(def);
		if (!OidIsValid(info.owner))
			return NULL;
	} while (seen != invalidations);
	entry = hash_search(entries, &def, HASH_ENTER, &found);
	if (!found)
		memset((char *) entry + sizeof(Oid), 0, sizeof(Entry) - sizeof(Oid));
	entry->info = info;
	entry->info_valid = true;
	return entry;
}

static bool
same_columns(TupleDesc a, TupleDesc b)
{
	if (a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		Form_pg_attribute x = TupleDescAttr(a, i);
		Form_pg_attribute y = TupleDescAttr(b, i);

		if (x->atttypid != y->atttypid || x->atttypmod != y->atttypmod ||
			x->attcollation != y->attcollation || x->attisdropped != y->attisdropped)
			return false;
	}
	return true;
}

bool
vp_columns_match(Oid def, Oid relation)
{
	Relation	a = try_relation_open(def, AccessShareLock);
	Relation	b = try_relation_open(relation, AccessShareLock);
	bool		match = a != NULL && b != NULL &&
	same_columns(RelationGetDescr(a), RelationGetDescr(b));

	if (b != NULL)
		relation_close(b, NoLock);
	if (a != NULL)
		relation_close(a, NoLock);
	return match;
}

/*
 * Lock the slot, then look again: is it still the version that the mapping
 * named, can its rows be read here, have they survived the last crash?
 */
static bool
part_is_there(const VpPart *part)
{
	Relation	rel;
	bool		there;

	VP_POINT("read.mapped");
	LockRelationOid(part->slot, AccessShareLock);
	rel = try_relation_open(part->slot, NoLock);
	if (rel == NULL)
		return false;
	there = rel->rd_rel->relfilenode == part->filenode;
	if (there && rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
	{
		if (RecoveryInProgress())
			there = false;
		else if (part->nonempty && part->incarnation != vp_incarnation())
			there = RelationGetNumberOfBlocks(rel) > 0;
	}
	relation_close(rel, NoLock);
	return there;
}

static Mapped
check_parts(List *parts)
{
	Mapped		m = {0};
	ListCell   *lc;

	foreach(lc, parts)
	{
		const VpPart *part = lfirst(lc);

		if (!part_is_there(part))
			return m;
		m.slots = lappend_oid(m.slots, part->slot);
	}
	if (parts == NIL)
		return m;
	m.hit = true;
	m.nparts = list_length(parts);
	m.slot = linitial_oid(m.slots);
	if (m.nparts == 1)
		m.slots = NIL;
	vp_hash_hex(((VpPart *) linitial(parts))->signature, m.signature);
	return m;
}

static void
keep(Entry *entry, const Mapped *mapped, const char *indexes)
{
	MemoryContext old = MemoryContextSwitchTo(cache_context);
	Oid			slot = mapped->slot;

	list_free(entry->mapped.slots);
	if (entry->mapped.indexes != NULL)
		pfree(entry->mapped.indexes);
	entry->mapped = *mapped;
	entry->mapped.slots = list_copy(mapped->slots);
	entry->mapped.indexes = indexes ? pstrdup(indexes) : NULL;
	if (OidIsValid(slot))
		((SlotEntry *) hash_search(slot_entries, &slot, HASH_ENTER, NULL))->def = entry->def;
	MemoryContextSwitchTo(old);
}

/* Remember the newest mapping, if it is certain which one that is. */
static void
remember(Entry *entry, uint64 generation)
{
	uint64		seen = invalidations;
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	List	   *parts = vp_mapping_read(entry->def, latest);
	Mapped		mapped = check_parts(parts);
	const char *indexes = NULL;

	UnregisterSnapshot(latest);
	if (mapped.hit && mapped.nparts == 1)
		indexes = vp_marker_list(vp_slot_indexes(mapped.slot));
	if (parts == NIL || seen != invalidations ||
		vp_publication_generation() != generation)
		return;
	keep(entry, &mapped, indexes);
	entry->xmin = ((VpPart *) linitial(parts))->xmin;
	entry->generation = generation;
}

static void
answer(VpResolution *result, const Mapped *mapped)
{
	result->hit = mapped->hit;
	result->nparts = mapped->nparts;
	result->slot = mapped->slot;
	result->slots = list_copy(mapped->slots);
	result->indexes = mapped->indexes;
	memcpy(result->signature, mapped->signature, sizeof(result->signature));
}

static void
lock_slots(const VpResolution *result)
{
	ListCell   *lc;

	if (result->hit && result->slots == NIL)
		LockRelationOid(result->slot, AccessShareLock);
	foreach(lc, result->slots)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
}

static bool
resolve_remembered(Entry *entry, Snapshot snapshot, VpResolution *result)
{
	uint64		generation = vp_publication_generation();

	if (generation == 0 || vp_publication_noted() || IsInParallelMode() ||
		RecoveryInProgress() || !IsMVCCSnapshot(snapshot))
		return false;
	if (entry->generation != generation)
		remember(entry, generation);
	if (entry->generation != generation ||
		XidInMVCCSnapshot(entry->xmin, snapshot))
		return false;
	answer(result, &entry->mapped);
	lock_slots(result);

	/* locking may have told us of a change, and then it isn't known any more */
	return entry->generation == generation;
}

/* Who drops things by hand may have dropped what another worker staged. */
static void
resolve_staged(const VpStaged *staged, VpResolution *result)
{
	LockRelationOid(staged->slot, AccessShareLock);
	if (get_rel_relkind(staged->slot) == '\0')
		return;
	result->hit = true;
	result->nparts = 1;
	result->slot = staged->slot;
	vp_hash_hex(staged->signature, result->signature);
}

static bool
resolve(Oid def, Snapshot snapshot, VpLostHook hook, VpResolution *result)
{
	Entry	   *entry = entry_for(def);
	const VpStaged *staged;
	Mapped		mapped;

	memset(result, 0, sizeof(*result));
	result->def = def;
	if (entry == NULL)
		return false;
	result->info = entry->info;
	staged = vp_staged_find(def);
	if (staged != NULL)
		resolve_staged(staged, result);
	else if (!entry->info.lazy)
	{
		bool		published = resolve_remembered(entry, snapshot, result);

		if (!published)
		{
			List	   *parts = vp_mapping_read(def, snapshot);

			mapped = check_parts(parts);
			answer(result, &mapped);
			published = parts != NIL;
		}
		if (published && !result->hit && hook != NULL && !RecoveryInProgress())
			hook(snapshot, result);
	}
	return true;
}

bool
vp_resolve(Oid def, Snapshot snapshot, VpResolution *result)
{
	return resolve(def, snapshot, vp_lost_hook, result);
}

bool
vp_resolve_at_once(Oid def, Snapshot snapshot, VpResolution *result)
{
	return resolve(def, snapshot, NULL, result);
}

bool
vp_resolve_latest(VpResolution *result)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	Mapped		mapped = check_parts(vp_mapping_read(result->def, latest));

	UnregisterSnapshot(latest);
	answer(result, &mapped);
	return result->hit;
}

static int
compare_index_names(const ListCell *a, const ListCell *b)
{
	char	   *x = get_rel_name(lfirst_oid(a));
	char	   *y = get_rel_name(lfirst_oid(b));
	char	   *i = x ? strrchr(x, '_') : NULL;
	char	   *j = y ? strrchr(y, '_') : NULL;
	int			m = i ? atoi(i + 1) : 0;
	int			n = j ? atoi(j + 1) : 0;

	return m < n ? -1 : m > n;
}

List *
vp_slot_indexes(Oid slot)
{
	Relation	rel = relation_open(slot, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);

	relation_close(rel, NoLock);
	if (list_length(indexes) > 1)
		list_sort(indexes, compare_index_names);
	return indexes;
}
