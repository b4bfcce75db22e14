/*
 * ring.c
 *	  Who changed what: for each tracked object, the last transactions that did.
 *
 * Shared memory holds the rings, a table that finds the ring of an object, and
 * for each process the transaction that is between PRE_COMMIT and its end: who
 * starts a ring enters those, since they may have looked for it too early.
 * Both sides first write, then read, with a full barrier in between.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pgstat_internal.h"
#include "utils/syscache.h"

#include "common/carry.h"
#include "common/extension.h"
#include "common/point.h"
#include "common/uncounted.h"
#include "compat/compat.h"
#include "freshness/ring.h"

/*
 * Candidates for "might have changed it, nobody knows" beyond so many are not
 * looked at one by one.
 */
#define MAX_CANDIDATES 1000

/* Databases that are watched at a time, and what each watch can start with. */
#define MAX_WATCHES 64
#define MAX_PENDING 256

typedef struct RingKey
{
	Oid			database;
	Oid			classid;
	Oid			objid;
} RingKey;

/* A transaction, and in the lowest bit whether it only altered. */
typedef uint64 RingEntry;

typedef struct Ring
{
	slock_t		mutex;
	RingKey		key;			/* database 0: free */
	bool		complete;		/* else its start was interrupted */
	bool		wanted;			/* else only because of a watch */
	bool		by_locks;		/* who may have written it is told by locks */
	int64		serial;
	uint64		tick;			/* of its start */
	uint64		start;			/* first transaction id after its start */
	uint64		lost;			/* newest that fell out; 0: none */
	int64		position;		/* entries ever made */
	RingEntry	entries[VP_RING_SIZE];
} Ring;

/*
 * A watch of a database, with those that were ending or prepared when it began:
 * these it doesn't tell apart.
 */
typedef struct Watch
{
	Oid			database;		/* 0: free */
	int			holders;
	bool		full;			/* there was no room for a ring */
	uint64		tick;
	uint64		start;
	int			npending;
	uint64		pending[MAX_PENDING];
} Watch;

typedef struct RingTableEntry
{
	RingKey		key;
	int			ring;
} RingTableEntry;

typedef struct Rings
{
	LWLock	   *lock;			/* for the table and for starting rings */
	int			room;
	int			used;
	int			free_hint;		/* all before it are used */
	int64		next_serial;
	pg_atomic_uint64 tick;
	pg_atomic_uint64 generation;	/* of the table */
	int			nby_locks;
	int			nwatches;
	Watch		watches[MAX_WATCHES];
	Ring		rings[FLEXIBLE_ARRAY_MEMBER];
} Rings;

/* The transaction that a process is ending, on a cache line of its own. */
typedef union Ending
{
	pg_atomic_uint64 xid;		/* 0: none */
	char		pad[PG_CACHE_LINE_SIZE];
} Ending;

/* What this backend knows of the table, while its generation stays. */
typedef struct KnownRing
{
	RingKey		key;
	int			ring;			/* -1: not tracked */
} KnownRing;

/* What the running transaction had written of a relation, so far. */
typedef struct Written
{
	PgStat_Counter inserted;
	PgStat_Counter updated;
	PgStat_Counter deleted;
	bool		truncated;
	uint64		truncations;	/* how many there had been by then */
} Written;

/* That was so when a mark was made. */
typedef struct OwnMark
{
	Oid			relid;
	Written		written;
	int			entries;		/* that will stand for it */
	int			level;			/* of the subtransaction */
} OwnMark;

/* What the running transaction did that statistics don't tell. */
typedef struct Noted
{
	Oid			classid;
	Oid			objid;
	VpChange	change;
	int			level;			/* of the subtransaction */
} Noted;

static Rings *rings = NULL;
static Ending *endings = NULL;
static HTAB *table = NULL;
static int	max_tracked = 4096;
static HTAB *known = NULL;
static uint64 known_generation = 0;
static List *noted = NIL;		/* of Noted *, in TopTransactionContext */
static uint64 truncations = 0;	/* by this process */
static List *own_marks = NIL;	/* of OwnMark *, in TopTransactionContext */
static bool watching = false;
static bool watching_transaction = false;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static inline RingEntry
make_entry(FullTransactionId xid, VpChange change)
{
	return U64FromFullTransactionId(xid) << 1 | (change == VP_CHANGE_ALTERED);
}

static inline FullTransactionId
entry_xid(RingEntry entry)
{
	return FullTransactionIdFromU64(entry >> 1);
}

static inline VpChange
entry_change(RingEntry entry)
{
	return (entry & 1) ? VP_CHANGE_ALTERED : VP_CHANGE_WRITTEN;
}

static inline bool
same_key(const RingKey *a, const RingKey *b)
{
	return a->objid == b->objid && a->classid == b->classid &&
		a->database == b->database;
}

static inline RingKey
key_of(Oid classid, Oid objid)
{
	RingKey		key = {MyDatabaseId, classid, objid};

	return key;
}

/* The first position that the ring still has. */
static inline int64
first_kept(const Ring *ring)
{
	return Max(ring->position - VP_RING_SIZE, 0);
}

static inline RingEntry
entry_at(const Ring *ring, int64 position)
{
	return ring->entries[position % VP_RING_SIZE];
}

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

/* False: it is another object's ring by now. */
static bool
append_if(Ring *ring, const RingKey *key, RingEntry entry)
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

	LWLockAcquire(rings->lock, LW_SHARED);
	entry = hash_search(table, key, HASH_FIND, NULL);
	ring = entry == NULL ? -1 : entry->ring;
	LWLockRelease(rings->lock);
	return ring;
}

/* Forget what was known if the table changed since, or if it is too much. */
static void
refresh_known(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(RingKey),
		.entrysize = sizeof(KnownRing)
	};
	uint64		generation = pg_atomic_read_u64(&rings->generation);

	if (known != NULL && known_generation == generation &&
		hash_get_num_entries(known) < 4 * rings->room)
		return;
	if (known != NULL)
		hash_destroy(known);
	known = hash_create("vibepiper tracked objects", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	known_generation = generation;
}

/* The ring of an object, or -1; after refresh_known(). */
static int
find_known(const RingKey *key)
{
	bool		found;
	KnownRing  *entry = hash_search(known, key, HASH_ENTER, &found);

	if (!found)
	{
		entry->ring = -1;
		entry->ring = look_up(key);
	}
	return entry->ring;
}

/* NULL: none.  To rely on it takes the lock, in any mode. */
static Watch *
find_watch(Oid database)
{
	for (int i = 0; i < MAX_WATCHES; i++)
		if (rings->watches[i].database == database)
			return &rings->watches[i];
	return NULL;
}

/* All that are prepared in this database. */
static int
prepared_transactions(FullTransactionId next, FullTransactionId **xids)
{
	int			n = 0;

	*xids = palloc(max_prepared_xacts * sizeof(FullTransactionId));
	for (int i = 0; i < max_prepared_xacts; i++)
	{
		TransactionId xid = vp_prepared_xid(i);

		if (TransactionIdIsValid(xid))
			(*xids)[n++] = vp_full_xid(xid, next);
	}
	return n;
}

/*
 * Prepared transactions that hold a lock on the relation which a writer needs:
 * they may have written it, and their end isn't recorded.  Who altered what
 * isn't a relation holds no such lock.  Returns how many.
 */
static int
prepared_writers(Oid classid, Oid objid, FullTransactionId **xids)
{
	FullTransactionId next = ReadNextFullTransactionId();
	LOCKTAG		tag;
	VirtualTransactionId *holders;
	int			nholders;
	int			n = 0;

	*xids = NULL;
	if (max_prepared_xacts == 0)
		return 0;
	if (classid != RelationRelationId)
		return prepared_transactions(next, xids);
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, objid);
	holders = GetLockConflicts(&tag, ShareLock, &nholders);
	*xids = palloc((nholders + 1) * sizeof(FullTransactionId));
	for (int i = 0; i < nholders; i++)
	{
		bool		more;
		TransactionId xid = TwoPhaseGetXidByVirtualXID(holders[i], &more);

		if (TransactionIdIsValid(xid))
			(*xids)[n++] = vp_full_xid(xid, next);
	}
	return n;
}

static bool
contains(const FullTransactionId *xids, int n, FullTransactionId xid)
{
	for (int i = 0; i < n; i++)
		if (FullTransactionIdEquals(xids[i], xid))
			return true;
	return false;
}

/* Is it between PRE_COMMIT and its end? */
static bool
is_ending(FullTransactionId xid)
{
	for (int i = 0; i < MaxBackends; i++)
		if (pg_atomic_read_u64(&endings[i].xid) == U64FromFullTransactionId(xid))
			return true;
	return false;
}

/* Might it have written the object, though the ring doesn't say so? */
static bool
may_have_written(FullTransactionId xid, Oid classid, Oid objid)
{
	FullTransactionId *prepared;
	int			nprepared;

	if (!TransactionIdIsInProgress(XidFromFullTransactionId(xid)))
		return vp_xid_committed(xid);
	if (is_ending(xid))
		return true;
	nprepared = prepared_writers(classid, objid, &prepared);
	return contains(prepared, nprepared, xid);
}

static Ring *
free_ring(void)
{
	for (int i = rings->free_hint; i < rings->room; i++)
		if (!OidIsValid(rings->rings[i].key.database))
		{
			rings->free_hint = i + 1;
			return &rings->rings[i];
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
	entry = hash_search(table, key, HASH_ENTER_NULL, &found);
	if (entry == NULL)
		return NULL;
	entry->ring = ring - rings->rings;
	SpinLockAcquire(&ring->mutex);
	ring->key = *key;
	ring->complete = false;
	ring->wanted = false;
	ring->by_locks = false;
	ring->position = 0;
	ring->lost = 0;
	ring->serial = rings->next_serial++;
	SpinLockRelease(&ring->mutex);
	rings->used++;
	return ring;
}

static void
free_ring_of(RingTableEntry *entry)
{
	Ring	   *ring = &rings->rings[entry->ring];
	RingKey		key = entry->key;

	SpinLockAcquire(&ring->mutex);
	memset(&ring->key, 0, sizeof(ring->key));
	SpinLockRelease(&ring->mutex);
	rings->nby_locks -= ring->by_locks;
	rings->free_hint = Min(rings->free_hint, entry->ring);
	rings->used--;
	hash_search(table, &key, HASH_REMOVE, NULL);
}

/* Put those into the ring that may have looked for it too early. */
static void
append_endings(Ring *ring)
{
	FullTransactionId *prepared;
	int			nprepared;

	for (int i = 0; i < MaxBackends; i++)
	{
		uint64		xid = pg_atomic_read_u64(&endings[i].xid);

		if (xid != 0)
			append_if(ring, &ring->key,
					  make_entry(FullTransactionIdFromU64(xid), VP_CHANGE_WRITTEN));
	}
	nprepared = prepared_writers(ring->key.classid, ring->key.objid, &prepared);
	for (int i = 0; i < nprepared; i++)
		append_if(ring, &ring->key, make_entry(prepared[i], VP_CHANGE_WRITTEN));
}

/* The same, for a ring that counts from the start of a watch. */
static void
append_pending(Ring *ring, const Watch *watch)
{
	for (int i = 0; i < watch->npending; i++)
	{
		FullTransactionId xid = FullTransactionIdFromU64(watch->pending[i]);

		if (may_have_written(xid, ring->key.classid, ring->key.objid))
			append_if(ring, &ring->key, make_entry(xid, VP_CHANGE_WRITTEN));
	}
}

/* A watch that knows all since its start, for an object of this kind. */
static Watch *
complete_watch(const RingKey *key)
{
	Watch	   *watch = key->classid == RelationRelationId ? find_watch(key->database) : NULL;

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

	pg_atomic_fetch_add_u64(&rings->generation, 1);
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
		tick = pg_atomic_add_fetch_u64(&rings->tick, 1);
	}
	SpinLockAcquire(&ring->mutex);
	ring->start = start;
	ring->tick = tick;
	ring->complete = true;
	SpinLockRelease(&ring->mutex);
}

/* The object's ring, made if need be; NULL: no room.  With the lock held. */
static Ring *
open_ring(const RingKey *key)
{
	RingTableEntry *entry = hash_search(table, key, HASH_FIND, NULL);
	Ring	   *ring = entry != NULL ? &rings->rings[entry->ring] : new_ring(key);

	if (ring != NULL && !ring->complete)
		start_ring(ring, complete_watch(key));
	return ring;
}

/* Make room: a watch, of whatever database, loses a ring. */
static void
free_any_unwanted(void)
{
	for (int i = 0; i < rings->room; i++)
	{
		RingTableEntry *entry;
		Watch	   *watch;

		if (rings->rings[i].wanted)
			continue;
		watch = find_watch(rings->rings[i].key.database);
		if (watch != NULL)
			watch->full = true;
		entry = hash_search(table, &rings->rings[i].key, HASH_FIND, NULL);
		free_ring_of(entry);
		pg_atomic_fetch_add_u64(&rings->generation, 1);
		return;
	}
}

bool
vp_ring_track(Oid classid, Oid objid)
{
	RingKey		key = key_of(classid, objid);
	Ring	   *ring;

	LWLockAcquire(rings->lock, LW_EXCLUSIVE);
	if (rings->used == rings->room)
		free_any_unwanted();
	ring = open_ring(&key);
	if (ring != NULL)
		ring->wanted = true;
	LWLockRelease(rings->lock);
	return ring != NULL;
}

void
vp_ring_track_by_locks(Oid relid)
{
	RingKey		key = key_of(RelationRelationId, relid);
	RingTableEntry *entry;

	LWLockAcquire(rings->lock, LW_EXCLUSIVE);
	entry = hash_search(table, &key, HASH_FIND, NULL);
	if (entry != NULL && !rings->rings[entry->ring].by_locks)
	{
		/* a watch didn't look at locks */
		rings->rings[entry->ring].by_locks = true;
		rings->nby_locks++;
		pg_memory_barrier();
		start_ring(&rings->rings[entry->ring], NULL);
	}
	LWLockRelease(rings->lock);
}

static void
untrack(const RingKey *key)
{
	RingTableEntry *entry;

	LWLockAcquire(rings->lock, LW_EXCLUSIVE);
	entry = hash_search(table, key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		free_ring_of(entry);
		pg_atomic_fetch_add_u64(&rings->generation, 1);
	}
	LWLockRelease(rings->lock);
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
		full = i < MaxBackends ? pg_atomic_read_u64(&endings[i].xid) :
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
	rings->nwatches++;
	pg_memory_barrier();
	note_pending(watch);
	watch->start = U64FromFullTransactionId(ReadNextFullTransactionId());
	watch->tick = pg_atomic_add_fetch_u64(&rings->tick, 1);
}

static void
end_watch_at_exit(int code, Datum arg)
{
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
	LWLockAcquire(rings->lock, LW_EXCLUSIVE);
	watch = find_watch(MyDatabaseId);
	if (watch == NULL)
	{
		watch = find_watch(InvalidOid);
		if (watch != NULL)
			start_watch(watch);
	}
	if (watch != NULL)
	{
		watch->holders++;
		watching = true;
		watching_transaction = of_transaction;
	}
	LWLockRelease(rings->lock);
}

/* Rings that only the watch wanted. */
static void
free_unwanted(Oid database)
{
	HASH_SEQ_STATUS seq;
	RingTableEntry *entry;

	hash_seq_init(&seq, table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (entry->key.database == database && !rings->rings[entry->ring].wanted)
			free_ring_of(entry);
	pg_atomic_fetch_add_u64(&rings->generation, 1);
}

void
vp_ring_watch_end(void)
{
	Watch	   *watch;

	if (!watching)
		return;
	LWLockAcquire(rings->lock, LW_EXCLUSIVE);
	watching = false;
	watch = find_watch(MyDatabaseId);
	if (--watch->holders == 0)
	{
		watch->database = InvalidOid;
		rings->nwatches--;
		free_unwanted(MyDatabaseId);
	}
	LWLockRelease(rings->lock);
}

/*
 * Does anybody want to know what is written in the database, and can he still?
 * Without a lock: who begins a watch looks for those who are ending, as we are.
 */
static bool
is_watched(Oid database)
{
	const Watch *watch = rings->nwatches > 0 ? find_watch(database) : NULL;

	return watch != NULL && !watch->full;
}

/* Slots and our own tables are nobody's sources. */
static bool
may_be_source(Oid relid)
{
	Oid			schema = relid < FirstNormalObjectId ? InvalidOid :
	get_rel_namespace(relid);
	const VpExtension *ext = vp_extension();

	return OidIsValid(schema) && schema != ext->store_schema && schema != ext->schema &&
		get_rel_relkind(relid) != RELKIND_INDEX;
}

/* A relation that isn't tracked was written: a watch wants to know. */
static void
record_watched(const RingKey *key, RingEntry entry)
{
	Watch	   *watch;
	Ring	   *ring = NULL;

	if (key->classid != RelationRelationId || !may_be_source(key->objid))
		return;
	LWLockAcquire(rings->lock, LW_EXCLUSIVE);
	watch = find_watch(key->database);
	if (watch != NULL)
	{
		ring = open_ring(key);
		watch->full |= ring == NULL;
	}
	LWLockRelease(rings->lock);
	if (ring != NULL)
		append_if(ring, key, entry);
}

static void
record(Oid classid, Oid objid, RingEntry entry)
{
	RingKey		key = key_of(classid, objid);
	int			ring = find_known(&key);

	if (ring >= 0)
		append_if(&rings->rings[ring], &key, entry);
	else if (is_watched(key.database))
		record_watched(&key, entry);
}

static void
add_written(Written *sum, const PgStat_TableXactStatus *counts)
{
	sum->inserted += counts->tuples_inserted;
	sum->updated += counts->tuples_updated;
	sum->deleted += counts->tuples_deleted;
	sum->truncated |= counts->truncdropped;
	sum->truncations = truncations;
}

static bool
is_write(const Written *written)
{
	return written->inserted > 0 || written->updated > 0 || written->deleted > 0 ||
		written->truncated;
}

/* Counts begin anew with TRUNCATE. */
static bool
wrote_since(const Written *then, const Written *now)
{
	return then->truncated != now->truncated ||
		(now->truncated && then->truncations != now->truncations) ||
		then->inserted != now->inserted ||
		then->updated != now->updated || then->deleted != now->deleted;
}

/* In all subtransactions that go on; what was before a TRUNCATE is forgotten. */
static Written
written_so_far(Oid relid)
{
	Written		sum = {0};

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return sum;
	for (PgStat_SubXactStatus *level = pgstat_get_xact_stack_level(GetCurrentTransactionNestLevel());
		 level != NULL && !sum.truncated; level = level->prev)
		for (PgStat_TableXactStatus *counts = level->first; counts != NULL; counts = counts->next)
			if (vp_stat_relation(counts->parent) == relid)
				add_written(&sum, counts);
	return sum;
}

static const OwnMark *
last_own_mark(Oid relid)
{
	for (int i = list_length(own_marks) - 1; i >= 0; i--)
	{
		const OwnMark *own = list_nth(own_marks, i);

		if (own->relid == relid)
			return own;
	}
	return NULL;
}

/* How many entries stand for what was written by now. */
static int
entries_for(Oid relid, const Written *written)
{
	const OwnMark *own = last_own_mark(relid);

	if (!is_write(written))
		return 0;
	if (own == NULL)
		return 1;
	return own->entries + wrote_since(&own->written, written);
}

/*
 * A mark is made of what this transaction has written.  It is kept when the
 * task's subtransaction is rolled back because the rows were the same, so it
 * belongs to the one above.
 */
static int
note_own_mark(Oid relid)
{
	Written		written = written_so_far(relid);
	int			entries = entries_for(relid, &written);
	const OwnMark *last = last_own_mark(relid);
	MemoryContext old;
	OwnMark    *own;

	if (entries == 0 || (last != NULL && last->entries == entries))
		return entries;
	old = MemoryContextSwitchTo(TopTransactionContext);
	own = palloc(sizeof(OwnMark));
	own->relid = relid;
	own->written = written;
	own->entries = entries;
	own->level = Max(GetCurrentTransactionNestLevel() - 1, 1);
	own_marks = lappend(own_marks, own);
	MemoryContextSwitchTo(old);
	return entries;
}

/* Does this transaction hold a lock that writers of rows take, or who replaces them all? */
static bool
holds_writers_lock(Oid relid)
{
	static const LOCKMODE modes[] = {RowExclusiveLock, ExclusiveLock, AccessExclusiveLock};
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	for (int i = 0; i < (int) lengthof(modes); i++)
		if (vp_lock_held_by_me(&tag, modes[i]))
			return true;
	return false;
}

/*
 * Whatever the transaction may have written; or only what nothing else tells.
 * Of what isn't tracked a watch can't know then.
 */
static void
record_locked(FullTransactionId xid, bool all)
{
	Watch	   *watch;

	LWLockAcquire(rings->lock, LW_SHARED);
	for (int i = 0; i < rings->room; i++)
	{
		Ring	   *ring = &rings->rings[i];
		RingKey		key = ring->key;

		if (key.database == MyDatabaseId && key.classid == RelationRelationId &&
			(all || ring->by_locks) && holds_writers_lock(key.objid))
			append_if(ring, &key, make_entry(xid, VP_CHANGE_WRITTEN));
	}
	watch = find_watch(MyDatabaseId);
	if (all && watch != NULL)
		watch->full = true;
	LWLockRelease(rings->lock);
}

/*
 * Before this transaction can be seen: write it into the rings of what it
 * changed.  The statistics of the outermost level hold what its
 * subtransactions did, unless they were rolled back.
 */
static void
record_transaction(void)
{
	FullTransactionId xid = GetTopFullTransactionIdIfAny();
	PgStat_SubXactStatus *level;
	ListCell   *lc;

	if (!FullTransactionIdIsValid(xid))
		return;
	pg_atomic_write_u64(&endings[VP_MY_PROC_NUMBER].xid, U64FromFullTransactionId(xid));
	pg_memory_barrier();
	if (rings->used == 0 && rings->nwatches == 0)
		return;
	refresh_known();
	level = pgstat_get_xact_stack_level(1);
	for (PgStat_TableXactStatus *counts = level->first; counts != NULL; counts = counts->next)
	{
		Oid			relid = vp_stat_relation(counts->parent);
		Written		written = {0};
		int			entries;

		if (vp_stat_is_shared(counts->parent))
			continue;
		add_written(&written, counts);
		entries = entries_for(relid, &written);
		for (int i = 0; i < entries; i++)
			record(RelationRelationId, relid, make_entry(xid, VP_CHANGE_WRITTEN));
	}
	if (vp_uncounted() || rings->nby_locks > 0)
		record_locked(xid, vp_uncounted());
	foreach(lc, noted)
	{
		Noted	   *note = lfirst(lc);

		record(note->classid, note->objid, make_entry(xid, note->change));
	}
	VP_POINT("ring.recorded");
}

static void
forget_transaction(void)
{
	noted = NIL;
	own_marks = NIL;
	pg_atomic_write_u64(&endings[VP_MY_PROC_NUMBER].xid, 0);
	if (watching_transaction)
		vp_ring_watch_end();
	watching_transaction = false;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			record_transaction();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_transaction();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
				 void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	foreach(lc, noted)
	{
		Noted	   *note = lfirst(lc);

		if (note->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			note->level = level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			noted = foreach_delete_current(noted, lc);
	}
	foreach(lc, own_marks)
	{
		OwnMark    *own = lfirst(lc);

		if (own->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			own->level = level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			own_marks = foreach_delete_current(own_marks, lc);
	}
}

void
vp_ring_note(Oid classid, Oid objid, VpChange change)
{
	MemoryContext old;
	Noted	   *note;
	ListCell   *lc;

	foreach(lc, noted)
	{
		const Noted *other = lfirst(lc);

		if (other->objid == objid && other->classid == classid &&
			other->change == change && other->level <= GetCurrentTransactionNestLevel())
			return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	note = palloc(sizeof(Noted));
	note->classid = classid;
	note->objid = objid;
	note->change = change;
	note->level = GetCurrentTransactionNestLevel();
	noted = lappend(noted, note);
	MemoryContextSwitchTo(old);
}

void
vp_ring_note_truncate(void)
{
	truncations++;
}

VpChange
vp_ring_own_change(const VpMark *mark)
{
	VpChange	change = VP_CHANGE_NONE;
	Written		written;
	int			seen;
	ListCell   *lc;

	foreach(lc, noted)
	{
		const Noted *note = lfirst(lc);

		if (note->objid == mark->objid && note->classid == mark->classid)
			change = Max(change, note->change);
	}
	if (mark->classid != RelationRelationId ||
		!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return change;
	written = written_so_far(mark->objid);
	seen = FullTransactionIdEquals(mark->own_xid, GetTopFullTransactionIdIfAny()) ?
		mark->own_entries : 0;
	if (entries_for(mark->objid, &written) > seen ||
		((vp_uncounted() || rings->nby_locks > 0) && holds_writers_lock(mark->objid)))
		change = VP_CHANGE_WRITTEN;
	return change;
}

uint64
vp_ring_tick(void)
{
	return pg_atomic_read_u64(&rings->tick);
}

static bool
is_dropped(const RingKey *key)
{
	if (key->database != MyDatabaseId)
		return !SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(key->database));
	return key->classid == RelationRelationId &&
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(key->objid));
}

int
vp_ring_sweep(void)
{
	RingKey    *keys = palloc(rings->room * sizeof(RingKey));
	int			n = 0;
	int			freed = 0;

	LWLockAcquire(rings->lock, LW_SHARED);
	for (int i = 0; i < rings->room; i++)
		if (OidIsValid(rings->rings[i].key.database))
			keys[n++] = rings->rings[i].key;
	LWLockRelease(rings->lock);
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

/* The ring's content as it is now; false: the object has none. */
static bool
copy_ring(Oid classid, Oid objid, Ring *copy)
{
	RingKey		key = key_of(classid, objid);
	bool		same;
	int			i;

	refresh_known();
	i = find_known(&key);
	if (i < 0)
		return false;
	SpinLockAcquire(&rings->rings[i].mutex);
	*copy = rings->rings[i];
	SpinLockRelease(&rings->rings[i].mutex);
	same = same_key(&copy->key, &key);
	return same && copy->complete;
}

/*
 * Transactions up to the returned id may have changed the object without being
 * in the ring, as far as somebody with this snapshot is concerned.
 */
static FullTransactionId
unknown_until(const Ring *ring, const VpInstant *instant)
{
	uint64		bound = ring->lost;

	if (instant->tick < ring->tick)
		bound = Max(bound, ring->start - 1);
	return FullTransactionIdFromU64(bound);
}

/*
 * The transactions up to `bound` that the snapshot doesn't see: those in
 * progress then, and those from its end on.  False: too many.
 */
static bool
unseen_until(const VpInstant *instant, FullTransactionId bound,
			 FullTransactionId *xids, int *n)
{
	*n = 0;
	for (int i = 0; i < instant->nxip; i++)
	{
		if (FullTransactionIdFollows(instant->xip[i], bound))
			break;
		if (*n == MAX_CANDIDATES)
			return false;
		xids[(*n)++] = instant->xip[i];
	}
	for (FullTransactionId xid = instant->xmax;
		 FullTransactionIdPrecedesOrEquals(xid, bound);
		 FullTransactionIdAdvance(&xid))
	{
		if (*n == MAX_CANDIDATES)
			return false;
		xids[(*n)++] = xid;
	}
	return true;
}

/*
 * Add those that aren't in the ring but may have changed the object, unseen by
 * the snapshot.  One that is in progress has done so only if it is past
 * PRE_COMMIT.  False: more than can be told.
 */
static bool
mark_unknown(const Ring *ring, const VpInstant *instant, VpMark *mark)
{
	FullTransactionId candidates[MAX_CANDIDATES];
	int			n;

	if (!unseen_until(instant, unknown_until(ring, instant), candidates, &n))
		return false;
	if (n == 0)
		return true;
	mark->unseen = repalloc(mark->unseen,
							(mark->nunseen + n) * sizeof(FullTransactionId));
	for (int i = 0; i < n; i++)
	{
		FullTransactionId xid = candidates[i];

		if (!contains(mark->unseen, mark->nunseen, xid) &&
			may_have_written(xid, mark->classid, mark->objid))
			mark->unseen[mark->nunseen++] = xid;
	}
	return true;
}

void
vp_ring_mark(Oid classid, Oid objid, const VpInstant *instant, VpMark *mark)
{
	Ring		ring;

	memset(mark, 0, sizeof(*mark));
	mark->classid = classid;
	mark->objid = objid;
	if (instant->recovery || !copy_ring(classid, objid, &ring))
		return;
	mark->own_entries = classid == RelationRelationId ? note_own_mark(objid) : 0;
	if (mark->own_entries > 0)
		mark->own_xid = GetTopFullTransactionId();
	mark->position = ring.position;
	mark->unseen = palloc(VP_RING_SIZE * sizeof(FullTransactionId));
	for (int64 p = first_kept(&ring); p < ring.position; p++)
	{
		FullTransactionId xid = entry_xid(entry_at(&ring, p));

		if (!vp_instant_sees(instant, xid))
			mark->unseen[mark->nunseen++] = xid;
	}
	if (FullTransactionIdPrecedes(FullTransactionIdFromU64(ring.lost), instant->xmax) &&
		mark_unknown(&ring, instant, mark))
		mark->serial = ring.serial;
}

/* What the instant sees of what the mark didn't. */
static VpChange
newly_seen(const Ring *ring, const VpMark *mark, const VpInstant *instant)
{
	VpChange	change = VP_CHANGE_NONE;
	int			own = 0;

	for (int64 p = mark->position; p < ring->position; p++)
	{
		RingEntry	entry = entry_at(ring, p);
		FullTransactionId xid = entry_xid(entry);

		if (FullTransactionIdEquals(xid, mark->own_xid) &&
			entry_change(entry) == VP_CHANGE_WRITTEN && own++ < mark->own_entries)
			continue;
		if (entry_change(entry) > change && vp_instant_sees(instant, xid) &&
			vp_xid_committed(xid))
			change = entry_change(entry);
	}
	for (int i = 0; i < mark->nunseen; i++)
		if (vp_instant_sees(instant, mark->unseen[i]) && vp_xid_committed(mark->unseen[i]))
			return VP_CHANGE_WRITTEN;
	return change;
}

/* What the mark saw and the instant, an older one, doesn't. */
static VpChange
no_longer_seen(const Ring *ring, const VpMark *mark, const VpInstant *instant)
{
	VpChange	change = VP_CHANGE_NONE;
	FullTransactionId candidates[MAX_CANDIDATES];
	int			n;

	for (int64 p = first_kept(ring); p < mark->position; p++)
	{
		RingEntry	entry = entry_at(ring, p);
		FullTransactionId xid = entry_xid(entry);

		if (entry_change(entry) > change && !vp_instant_sees(instant, xid) &&
			!contains(mark->unseen, mark->nunseen, xid) && vp_xid_committed(xid))
			change = entry_change(entry);
	}
	if (change == VP_CHANGE_WRITTEN)
		return change;
	if (!unseen_until(instant, unknown_until(ring, instant), candidates, &n))
		return VP_CHANGE_UNKNOWN;
	for (int i = 0; i < n; i++)
		if (!contains(mark->unseen, mark->nunseen, candidates[i]) &&
			!TransactionIdIsInProgress(XidFromFullTransactionId(candidates[i])) &&
			vp_xid_committed(candidates[i]))
			return VP_CHANGE_UNKNOWN;
	return change;
}

VpChange
vp_ring_change(const VpMark *mark, FullTransactionId made_xmax,
			   const VpInstant *instant)
{
	Ring		ring;
	VpChange	change;

	if (mark->serial == 0 || instant->recovery ||
		!copy_ring(mark->classid, mark->objid, &ring) || ring.serial != mark->serial ||
		mark->position < first_kept(&ring))
		return VP_CHANGE_UNKNOWN;
	if (ring.position == mark->position && mark->nunseen == 0)
		change = VP_CHANGE_NONE;
	else
		change = newly_seen(&ring, mark, instant);
	if (change < VP_CHANGE_UNKNOWN && !vp_instant_is_later(instant, made_xmax))
		change = Max(change, no_longer_seen(&ring, mark, instant));
	return change;
}

void
vp_ring_usage(int *used, int *room)
{
	*used = rings->used;
	*room = rings->room;
}

static Size
rings_size(void)
{
	return MAXALIGN(add_size(offsetof(Rings, rings), mul_size(max_tracked, sizeof(Ring))));
}

static Size
endings_size(void)
{
	return mul_size(MaxBackends, sizeof(Ending));
}

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(rings_size());
	RequestAddinShmemSpace(endings_size());
	RequestAddinShmemSpace(hash_estimate_size(max_tracked, sizeof(RingTableEntry)));
	RequestNamedLWLockTranche("vibepiper rings", 1);
}

/* What is carried over a shutdown: this, then the rings in use. */
typedef struct CarriedRings
{
	uint32		magic;
	uint32		ring_size;
	int64		next_serial;
	uint64		tick;
	int64		n;
} CarriedRings;

#define CARRIED_MAGIC 0x76700001	/* of this layout */

#define CARRIED_FILE "pg_stat/vibepiper.rings"

static void
save_at_exit(int code, Datum arg)
{
	CarriedRings carried;
	StringInfoData buf;

	if (code != 0 || rings == NULL)
		return;
	memset(&carried, 0, sizeof(carried));
	carried.magic = CARRIED_MAGIC;
	carried.ring_size = sizeof(Ring);
	carried.next_serial = rings->next_serial;
	carried.tick = pg_atomic_read_u64(&rings->tick);
	carried.n = rings->used;
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (char *) &carried, sizeof(carried));
	for (int i = 0; i < rings->room; i++)
		if (OidIsValid(rings->rings[i].key.database))
			appendBinaryStringInfo(&buf, (char *) &rings->rings[i], sizeof(Ring));
	vp_carry_save(CARRIED_FILE, buf.data, buf.len);
}

/* A ring as it was, in the next free place. */
static void
restore_ring(const Ring *saved)
{
	Ring	   *ring = &rings->rings[rings->used];
	RingTableEntry *entry;
	bool		found;

	if (!saved->complete || !saved->wanted || rings->used == rings->room)
		return;
	entry = hash_search(table, &saved->key, HASH_ENTER_NULL, &found);
	if (entry == NULL || found)
		return;
	entry->ring = rings->used++;
	*ring = *saved;
	SpinLockInit(&ring->mutex);
	rings->nby_locks += ring->by_locks;
}

static void
restore_rings(void)
{
	CarriedRings carried;
	Size		size;
	char	   *bytes = vp_carry_load(CARRIED_FILE, &size);

	if (bytes == NULL)
		return;
	if (size >= sizeof(carried))
	{
		memcpy(&carried, bytes, sizeof(carried));
		if (carried.magic == CARRIED_MAGIC && carried.ring_size == sizeof(Ring) &&
			size == sizeof(carried) + carried.n * sizeof(Ring))
		{
			rings->next_serial = carried.next_serial;
			pg_atomic_write_u64(&rings->tick, carried.tick);
			for (int i = 0; i < carried.n; i++)
			{
				Ring		ring;

				memcpy(&ring, bytes + sizeof(carried) + i * sizeof(Ring), sizeof(Ring));
				restore_ring(&ring);
			}
		}
	}
	pfree(bytes);
}

static void
start_empty(void)
{
	rings->lock = &GetNamedLWLockTranche("vibepiper rings")->lock;
	rings->room = max_tracked;
	rings->used = 0;
	rings->free_hint = 0;
	rings->nwatches = 0;
	rings->nby_locks = 0;
	memset(rings->watches, 0, sizeof(rings->watches));
	if (!pg_strong_random(&rings->next_serial, sizeof(int64)))
		elog(ERROR, "could not generate random number");
	/* positive, and with room to count */
	rings->next_serial = (rings->next_serial & (PG_INT64_MAX >> 1)) + 1;
	pg_atomic_init_u64(&rings->tick, 1);
	pg_atomic_init_u64(&rings->generation, 1);
	for (int i = 0; i < rings->room; i++)
	{
		memset(&rings->rings[i], 0, sizeof(Ring));
		SpinLockInit(&rings->rings[i].mutex);
	}
	for (int i = 0; i < MaxBackends; i++)
		pg_atomic_init_u64(&endings[i].xid, 0);
}

static void
startup(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(RingKey),
		.entrysize = sizeof(RingTableEntry)
	};
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	rings = ShmemInitStruct("vibepiper rings", rings_size(), &found);
	endings = ShmemInitStruct("vibepiper endings", endings_size(), &found);
	if (!found)
		start_empty();
	table = vp_shmem_hash("vibepiper tracked objects", max_tracked, &ctl,
						  HASH_ELEM | HASH_BLOBS);
	if (!found)
		restore_rings();
	LWLockRelease(AddinShmemInitLock);
	if (!IsUnderPostmaster)
		on_shmem_exit(save_at_exit, (Datum) 0);
}

void
vp_ring_init(void)
{
	DefineCustomIntVariable("vibepiper.max_tracked",
							"Number of tables and other objects, in all databases, whose changes are tracked.",
							"An asset that reads others besides these is computed by each run.",
							&max_tracked, 4096, 64, 1000000, PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
