/*
 * ring_private.h
 *	  What the files behind ring.h share, and nobody else includes.
 *
 * - ring_shmem.c: shared memory, and carrying it over a shutdown.
 * - ring.c: the table of rings; watches.
 * - ending.c: who may have written though a ring doesn't say so.
 * - record.c: what the running transaction did goes into the rings.
 * - mark.c: marks, and what happened since.
 *
 * Invariants
 *
 * 1. A transaction that changed a tracked object is in its ring before any
 *	  snapshot can see it (PRE_COMMIT, PRE_PREPARE), at a position that never
 *	  changes; positions are counted from the ring's start.
 * 2. A ring begins complete: those that were past that point when it began,
 *	  and those that are prepared, are put in it at its start.
 *	  So what isn't in the ring had ended before its start, or fell out.
 * 3. Of what fell out the newest id is known (`lost`).
 * 4. A ring has a serial number that no other ring of this installation has.
 *	  Whoever holds another one than the ring has knows nothing.
 *
 * For the second one, shared memory holds for each process the transaction that
 * is between PRE_COMMIT and its end: who starts a ring enters those, since they
 * may have looked for it too early.  Both sides first write, then read, with a
 * full barrier in between.
 *
 * Locks: one LWLock for the table of rings, for starting and freeing them, and
 * for the watches; a spinlock per ring for its content, taken last.  Writers
 * take the first one only for objects that they have not met since the last
 * change of the table, for what is watched, and where locks stand in for
 * statistics.
 */
#ifndef VP_RING_PRIVATE_H
#define VP_RING_PRIVATE_H

#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/hsearch.h"

#include "freshness/instant.h"
#include "freshness/ring.h"

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
	pg_atomic_uint32 nsettling; /* COMMIT PREPARED of who altered something */
	int			nby_locks;
	int			nwatches;
	Watch		watches[MAX_WATCHES];
	Ring		rings[FLEXIBLE_ARRAY_MEMBER];
} Rings;

/*
 * The transaction that a process is ending, on a cache line of its own: from
 * PRE_COMMIT until others have been told to read the catalogs anew, which is
 * after they can see it.
 */
typedef union Ending
{
	pg_atomic_uint64 xid;		/* 0: none */
	char		pad[PG_CACHE_LINE_SIZE];
} Ending;

extern Rings *vp_rings;
extern Ending *vp_ring_endings; /* by process */
extern HTAB *vp_ring_table;		/* of RingTableEntry */

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

static inline bool
contains(const FullTransactionId *xids, int n, FullTransactionId xid)
{
	for (int i = 0; i < n; i++)
		if (FullTransactionIdEquals(xids[i], xid))
			return true;
	return false;
}

/* ring.c */

/* Forget what was known if the table changed since, or if it is too much. */
extern void vp_ring_refresh_known(void);

/* The ring of an object, or -1; after vp_ring_refresh_known(). */
extern int	vp_ring_find_known(const RingKey *key);

/* Do only locks tell who wrote it?  Perhaps, of what has no ring. */
extern bool vp_ring_is_told_by_locks(const VpMark *mark);

/* The object's ring, made if need be; NULL: no room.  With the lock held. */
extern Ring *vp_ring_open(const RingKey *key);

/* False: it is another object's ring by now. */
extern bool vp_ring_append_if(Ring *ring, const RingKey *key, RingEntry entry);

/* The ring's content as it is now; false: the object has none. */
extern bool vp_ring_copy(Oid classid, Oid objid, Ring *copy);

/* Has nothing been entered since the mark was made? */
extern bool vp_ring_is_at(const VpMark *mark);

/* NULL: none.  To rely on it takes the lock, in any mode. */
extern Watch *vp_ring_find_watch(Oid database);

/* The transaction has ended, and with it a watch that was its own. */
extern void vp_ring_watch_end_of_transaction(void);

/* ending.c */

/*
 * Prepared transactions that hold a lock on the relation which a writer needs:
 * they may have written it, and their end isn't recorded.  Who altered what
 * isn't a relation holds no such lock.  Returns how many.
 */
extern int	vp_ring_prepared_writers(Oid classid, Oid objid, FullTransactionId **xids);

/* Might it have written the object, though the ring doesn't say so? */
extern bool vp_ring_may_have_written(FullTransactionId xid, Oid classid, Oid objid);

/*
 * Of one that altered something: have those who see it perhaps not been told
 * yet to read the catalogs anew?
 */
extern bool vp_ring_is_settling(FullTransactionId xid);

/* record.c */

/*
 * A mark is made of what this transaction has written.  How many entries will
 * stand for that.
 */
extern int	vp_ring_note_own_mark(Oid relid);

extern void vp_ring_record_init(void);

#endif							/* VP_RING_PRIVATE_H */
