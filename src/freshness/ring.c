/*
 * ring.c
 *	  The table of rings: finding, starting and freeing them; and watches.
 *
 * A ring is started for an object that somebody wants to track, or for one that
 * is written while its database is watched.  It is filled by record.c and read
 * by mark.c.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat/compat.h"
#include "freshness/ring_private.h"

/* What this backend knows of the table, while its generation stays. */
typedef struct KnownRing
{
	RingKey		key;
	int			ring;			/* -1: not tracked */
	char		status;			/* simplehash's */
} KnownRing;

#define SH_PREFIX known
#define SH_ELEMENT_TYPE KnownRing
#define SH_KEY_TYPE RingKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) murmurhash32((key).objid ^ (key).classid)
#define SH_EQUAL(table, a, b) same_key(&(a), &(b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static struct known_hash *known = NULL;
static uint64 known_generation = 0;
static bool watching = false;
static bool watching_transaction = false;

/* With the ring's mutex held. */
static void
append(Ring *ring, RingEntry entry)
{
	RingEntry  *place = &ring->entries[ring->position % VP_RING_SIZE];

	if (ring->position >= VP_RING_SIZE)
		ring->lost = Max(ring->lost, *place >> 1);
	*place = entry;
	ring->position++;
}

bool
vp_ring_append_if(Ring *ring, const RingKey *key, RingEntry entry)
{
	bool		same;

	SpinLockAcquire(&ring->mutex);
	same = same_key(&ring->key, key);
	if (same)
		append(ring, entry);
	SpinLockRelease(&ring->mutex);
	return same;
}

static int
look_up(const RingKey *key)
{
	RingTableEntry *entry;
	int			ring;

	LWLockAcquire(vp_rings->lock, LW_SHARED);
	entry = hash_search(vp_ring_table, key, HASH_FIND, NULL);
	ring = entry == NULL ? -1 : entry->ring;
	LWLockRelease(vp_rings->lock);
	return ring;
}

void
vp_ring_refresh_known(void)
{
	uint64		generation = pg_atomic_read_u64(&vp_rings->generation);

	if (known != NULL && known_generation == generation &&
		known->members < 4 * (uint32) vp_rings->room)
		return;
	if (known != NULL)
		known_destroy(known);
	known = NULL;
	known = known_create(TopMemoryContext, 64, NULL);
	known_generation = generation;
}

int
vp_ring_find_known(const RingKey *key)
{
	bool		found;
	KnownRing  *entry = known_insert(known, *key, &found);

	if (!found)
	{
		entry->ring = -1;
		entry->ring = look_up(key);
	}
	return entry->ring;
}

/* Its place in the table, which it may have lost by now; or NULL. */
static Ring *
place_of(const RingKey *key)
{
	int			i;

	vp_ring_refresh_known();
	i = vp_ring_find_known(key);
	return i < 0 ? NULL : &vp_rings->rings[i];
}

bool
vp_ring_copy(Oid classid, Oid objid, Ring *copy)
{
	RingKey		key = key_of(classid, objid);
	Ring	   *ring = place_of(&key);

	if (ring == NULL)
		return false;
	SpinLockAcquire(&ring->mutex);
	*copy = *ring;
	SpinLockRelease(&ring->mutex);
	return same_key(&copy->key, &key) && copy->complete;
}

bool
vp_ring_is_at(const VpMark *mark)
{
	RingKey		key = key_of(mark->classid, mark->objid);
	Ring	   *ring = place_of(&key);
	bool		is;

	if (ring == NULL)
		return false;
	SpinLockAcquire(&ring->mutex);
	is = same_key(&ring->key, &key) && ring->complete && ring->serial == mark->serial &&
		ring->position == mark->position;
	SpinLockRelease(&ring->mutex);
	return is;
}

Watch *
vp_ring_find_watch(Oid database)
{
	for (int i = 0; i < MAX_WATCHES; i++)
		if (vp_rings->watches[i].database == database)
			return &vp_rings->watches[i];
	return NULL;
}

static Ring *
free_ring(void)
{
	for (int i = vp_rings->free_hint; i < vp_rings->room; i++)
		if (!OidIsValid(vp_rings->rings[i].key.database))
		{
			vp_rings->free_hint = i + 1;
			return &vp_rings->rings[i];
		}
	return NULL;
}

static Ring *
new_ring(const RingKey *key)
{
	Ring	   *ring = free_ring();
	RingTableEntry *entry;
	bool		found;

	if (ring == NULL)
		return NULL;
	entry = hash_search(vp_ring_table, key, HASH_ENTER_NULL, &found);
	if (entry == NULL)
		return NULL;
	entry->ring = ring - vp_rings->rings;
	SpinLockAcquire(&ring->mutex);
	ring->key = *key;
	ring->complete = false;
	ring->wanted = false;
	ring->by_locks = false;
	ring->position = 0;
	ring->lost = 0;
	ring->serial = vp_rings->next_serial++;
	SpinLockRelease(&ring->mutex);
	vp_rings->used++;
	return ring;
}

static void
free_ring_of(RingTableEntry *entry)
{
	Ring	   *ring = &vp_rings->rings[entry->ring];
	RingKey		key = entry->key;

	SpinLockAcquire(&ring->mutex);
	memset(&ring->key, 0, sizeof(ring->key));
	SpinLockRelease(&ring->mutex);
	vp_rings->nby_locks -= ring->by_locks;
	vp_rings->free_hint = Min(vp_rings->free_hint, entry->ring);
	vp_rings->used--;
	hash_search(vp_ring_table, &key, HASH_REMOVE, NULL);
}

/* Put those into the ring that may have looked for it too early. */
static void
append_endings(Ring *ring)
{
	FullTransactionId *prepared;
	int			nprepared;

	for (int i = 0; i < MaxBackends; i++)
	{
		uint64		xid = pg_atomic_read_u64(&vp_ring_endings[i].xid);

		if (xid != 0)
			vp_ring_append_if(ring, &ring->key,
							  make_entry(FullTransactionIdFromU64(xid), VP_CHANGE_WRITTEN));
	}
	nprepared = vp_ring_prepared_writers(ring->key.classid, ring->key.objid, &prepared);
	for (int i = 0; i < nprepared; i++)
		vp_ring_append_if(ring, &ring->key, make_entry(prepared[i], VP_CHANGE_WRITTEN));
}

/* The same, for a ring that counts from the start of a watch. */
static void
append_pending(Ring *ring, const Watch *watch)
{
	for (int i = 0; i < watch->npending; i++)
	{
		FullTransactionId xid = FullTransactionIdFromU64(watch->pending[i]);

		if (vp_ring_may_have_written(xid, ring->key.classid, ring->key.objid))
			vp_ring_append_if(ring, &ring->key, make_entry(xid, VP_CHANGE_WRITTEN));
	}
}

/* A watch that knows all since its start, for an object of this kind. */
static Watch *
complete_watch(const RingKey *key)
{
	Watch	   *watch = key->classid == RelationRelationId ? vp_ring_find_watch(key->database) : NULL;

	return watch == NULL || watch->full ? NULL : watch;
}

/*
 * From the new generation on, writers find the ring.  Those who looked before
 * are among the endings.
 */
static void
start_ring(Ring *ring, Watch *watch)
{
	uint64		tick;
	uint64		start;

	pg_atomic_fetch_add_u64(&vp_rings->generation, 1);
	pg_memory_barrier();
	if (watch != NULL)
	{
		append_pending(ring, watch);
		tick = watch->tick;
		start = watch->start;
	}
	else
	{
		append_endings(ring);
		start = U64FromFullTransactionId(ReadNextFullTransactionId());
		tick = pg_atomic_add_fetch_u64(&vp_rings->tick, 1);
	}
	SpinLockAcquire(&ring->mutex);
	ring->start = start;
	ring->tick = tick;
	ring->complete = true;
	SpinLockRelease(&ring->mutex);
}

Ring *
vp_ring_open(const RingKey *key)
{
	RingTableEntry *entry = hash_search(vp_ring_table, key, HASH_FIND, NULL);
	Ring	   *ring = entry != NULL ? &vp_rings->rings[entry->ring] : new_ring(key);

	if (ring != NULL && !ring->complete)
		start_ring(ring, complete_watch(key));
	return ring;
}

/* Make room: a watch, of whatever database, loses a ring. */
static void
free_any_unwanted(void)
{
	for (int i = 0; i < vp_rings->room; i++)
	{
		RingTableEntry *entry;
		Watch	   *watch;

		if (vp_rings->rings[i].wanted)
			continue;
		watch = vp_ring_find_watch(vp_rings->rings[i].key.database);
		if (watch != NULL)
			watch->full = true;
		entry = hash_search(vp_ring_table, &vp_rings->rings[i].key, HASH_FIND, NULL);
		free_ring_of(entry);
		pg_atomic_fetch_add_u64(&vp_rings->generation, 1);
		return;
	}
}

bool
vp_ring_track(Oid classid, Oid objid)
{
	RingKey		key = key_of(classid, objid);
	Ring	   *ring;

	LWLockAcquire(vp_rings->lock, LW_EXCLUSIVE);
	if (vp_rings->used == vp_rings->room)
		free_any_unwanted();
	ring = vp_ring_open(&key);
	if (ring != NULL)
		ring->wanted = true;
	LWLockRelease(vp_rings->lock);
	return ring != NULL;
}

void
vp_ring_track_by_locks(Oid relid)
{
	RingKey		key = key_of(RelationRelationId, relid);
	RingTableEntry *entry;

	LWLockAcquire(vp_rings->lock, LW_EXCLUSIVE);
	entry = hash_search(vp_ring_table, &key, HASH_FIND, NULL);
	if (entry != NULL && !vp_rings->rings[entry->ring].by_locks)
	{
		/* a watch didn't look at locks */
		vp_rings->rings[entry->ring].by_locks = true;
		vp_rings->nby_locks++;
		pg_memory_barrier();
		start_ring(&vp_rings->rings[entry->ring], NULL);
	}
	LWLockRelease(vp_rings->lock);
}

bool
vp_ring_is_told_by_locks(const VpMark *mark)
{
	RingKey		key = key_of(mark->classid, mark->objid);
	Ring	   *ring = vp_rings->nby_locks == 0 ? NULL : place_of(&key);
	bool		is;

	if (ring == NULL)
		return vp_rings->nby_locks > 0;
	SpinLockAcquire(&ring->mutex);
	is = !same_key(&ring->key, &key) || ring->by_locks;
	SpinLockRelease(&ring->mutex);
	return is;
}

static void
untrack(const RingKey *key)
{
	RingTableEntry *entry;

	LWLockAcquire(vp_rings->lock, LW_EXCLUSIVE);
	entry = hash_search(vp_ring_table, key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		free_ring_of(entry);
		pg_atomic_fetch_add_u64(&vp_rings->generation, 1);
	}
	LWLockRelease(vp_rings->lock);
}

/* Who creates it has it locked until it can be seen. */
static bool
is_unknown(Oid relid)
{
	bool		unknown;

	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) ||
		!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	unknown = !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
	UnlockRelationOid(relid, AccessShareLock);
	return unknown;
}

static bool
is_dropped(const RingKey *key)
{
	if (key->database != MyDatabaseId)
		return !SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(key->database));
	return key->classid == RelationRelationId && is_unknown(key->objid);
}

/*
 * Not while there is a watch: that a relation has no ring would mean that nobody
 * wrote it.
 */
static void
untrack_unwatched(const RingKey *key)
{
	RingTableEntry *entry;

	LWLockAcquire(vp_rings->lock, LW_EXCLUSIVE);
	entry = hash_search(vp_ring_table, key, HASH_FIND, NULL);
	if (entry != NULL && vp_ring_find_watch(key->database) == NULL)
	{
		free_ring_of(entry);
		pg_atomic_fetch_add_u64(&vp_rings->generation, 1);
	}
	LWLockRelease(vp_rings->lock);
}

bool
vp_ring_room_is_short(void)
{
	return vp_rings->used >= vp_rings->room / 2;
}

void
vp_ring_keep_only(List *relids)
{
	Oid		   *oids = palloc(sizeof(Oid) * Max(list_length(relids), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, relids)
		oids[n++] = lfirst_oid(lc);
	for (int i = 0; i < vp_rings->room; i++)
	{
		RingKey		key;

		CHECK_FOR_INTERRUPTS();
		LWLockAcquire(vp_rings->lock, LW_SHARED);
		key = vp_rings->rings[i].key;
		LWLockRelease(vp_rings->lock);
		if (key.database == MyDatabaseId && key.classid == RelationRelationId &&
			bsearch(&key.objid, oids, n, sizeof(Oid), oid_cmp) == NULL)
			untrack_unwatched(&key);
	}
	pfree(oids);
}

int
vp_ring_sweep(void)
{
	RingKey    *keys = palloc(vp_rings->room * sizeof(RingKey));
	int			n = 0;
	int			freed = 0;

	LWLockAcquire(vp_rings->lock, LW_SHARED);
	for (int i = 0; i < vp_rings->room; i++)
		if (OidIsValid(vp_rings->rings[i].key.database))
			keys[n++] = vp_rings->rings[i].key;
	LWLockRelease(vp_rings->lock);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_dropped(&keys[i]))
			continue;
		untrack(&keys[i]);
		freed++;
	}
	pfree(keys);
	return freed;
}

uint64
vp_ring_tick(void)
{
	return pg_atomic_read_u64(&vp_rings->tick);
}

/* Those that are ending or prepared, of which a watch can't know what they wrote. */
static void
note_pending(Watch *watch)
{
	FullTransactionId next = ReadNextFullTransactionId();

	watch->npending = 0;
	for (int i = 0; i < MaxBackends + max_prepared_xacts; i++)
	{
		TransactionId xid = InvalidTransactionId;
		uint64		full;

		if (i >= MaxBackends)
			xid = vp_prepared_xid(i - MaxBackends);
		full = i < MaxBackends ? pg_atomic_read_u64(&vp_ring_endings[i].xid) :
			!TransactionIdIsValid(xid) ? 0 :
			U64FromFullTransactionId(vp_full_xid(xid, next));
		if (full == 0)
			continue;
		if (watch->npending == MAX_PENDING)
		{
			watch->full = true;
			return;
		}
		watch->pending[watch->npending++] = full;
	}
}

static void
start_watch(Watch *watch)
{
	watch->database = MyDatabaseId;
	watch->holders = 0;
	watch->full = false;
	vp_rings->nwatches++;
	pg_memory_barrier();
	note_pending(watch);
	watch->start = U64FromFullTransactionId(ReadNextFullTransactionId());
	watch->tick = pg_atomic_add_fetch_u64(&vp_rings->tick, 1);
}

static void
end_watch_at_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* older minor releases don't before us */
	vp_ring_watch_end();
}

void
vp_ring_watch_begin(bool of_transaction)
{
	static bool registered = false;
	Watch	   *watch;

	if (!registered)
		before_shmem_exit(end_watch_at_exit, (Datum) 0);
	registered = true;
	vp_ring_watch_end();
	LWLockAcquire(vp_rings->lock, LW_EXCLUSIVE);
	watch = vp_ring_find_watch(MyDatabaseId);
	if (watch == NULL)
	{
		watch = vp_ring_find_watch(InvalidOid);
		if (watch != NULL)
			start_watch(watch);
	}
	if (watch != NULL)
	{
		watch->holders++;
		watching = true;
		watching_transaction = of_transaction;
	}
	LWLockRelease(vp_rings->lock);
}

/* Rings that only the watch wanted. */
static void
free_unwanted(Oid database)
{
	HASH_SEQ_STATUS seq;
	RingTableEntry *entry;

	hash_seq_init(&seq, vp_ring_table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (entry->key.database == database && !vp_rings->rings[entry->ring].wanted)
			free_ring_of(entry);
	pg_atomic_fetch_add_u64(&vp_rings->generation, 1);
}

void
vp_ring_watch_end(void)
{
	Watch	   *watch;

	if (!watching)
		return;
	LWLockAcquire(vp_rings->lock, LW_EXCLUSIVE);
	watching = false;
	watch = vp_ring_find_watch(MyDatabaseId);
	if (--watch->holders == 0)
	{
		watch->database = InvalidOid;
		vp_rings->nwatches--;
		free_unwanted(MyDatabaseId);
	}
	LWLockRelease(vp_rings->lock);
}

void
vp_ring_watch_end_of_transaction(void)
{
	if (watching_transaction)
		vp_ring_watch_end();
	watching_transaction = false;
}
