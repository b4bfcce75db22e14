/*
 * ring.h
 *	  Who changed what: for each tracked object, the last transactions that did.
 *
 * The question is whether a version that was computed under one snapshot is
 * right under another, without a trigger on its sources and without reading
 * them.  It is, if no transaction that changed a source is seen by one of the
 * two snapshots and not by the other.  So transactions write their id down:
 * per tracked object there is a ring of the last VP_RING_SIZE ids, in shared
 * memory.
 *
 * A version holds a VpMark per source: the position up to which the ring was
 * known when the version was made, and those before it that its snapshot
 * doesn't see.  All before the position but these it sees, all after it doesn't.
 * So no long-running transaction makes a version doubtful, as it would if only
 * ids were compared.
 *
 * What an asset reads through functions is known only when it was computed, so
 * after its snapshot was taken.  Therefore a run watches: from before its
 * snapshot until its end, rings are made for all that is written in the
 * database.  A ring that is made during a watch counts from the watch's start;
 * so a relation without ring wasn't written since then.
 *
 * Whatever isn't known counts as a change (VP_CHANGE_UNKNOWN): never wrong,
 * sometimes a needless computation.
 *
 * What must hold of the rings, and who locks what: ring_private.h.
 */
#ifndef VP_RING_H
#define VP_RING_H

#include "postgres.h"

#include "access/transam.h"
#include "nodes/pg_list.h"

#include "freshness/instant.h"

#define VP_RING_SIZE 64

/* The classid of the ring of statements that alter something; its objid is 0. */
#define VP_RING_CODE InvalidOid

/* What happened, or may have happened; the greater, the surer. */
typedef enum VpChange
{
	VP_CHANGE_NONE,
	VP_CHANGE_ALTERED,			/* DDL: whoever asks has to look himself */
	VP_CHANGE_UNKNOWN,			/* the ring doesn't know any more */
	VP_CHANGE_WRITTEN			/* rows, or what counts as such */
} VpChange;

typedef struct VpMark
{
	Oid			classid;		/* catalog of the object */
	Oid			objid;
	int64		serial;			/* of the ring; 0: not known at all */
	int64		position;
	int			nunseen;
	FullTransactionId *unseen;	/* before the position, not seen */

	/*
	 * The transaction that made the mark, if it had written the object itself
	 * by then, and how many of its entries stand for that.
	 */
	FullTransactionId own_xid;
	int			own_entries;
} VpMark;

/* The clock of the rings: to be read before a snapshot is taken. */
extern uint64 vp_ring_tick(void);

/*
 * Watch what is written in this database, until vp_ring_watch_end() or the end
 * of the process or, if so wanted, of the transaction.  A process has one watch.
 */
extern void vp_ring_watch_begin(bool of_transaction);
extern void vp_ring_watch_end(void);

/*
 * Track an object of this database, unless it is already.  False: there is no
 * room for it.  Its changes are known to snapshots taken from now on, or since
 * the start of a watch.
 */
extern bool vp_ring_track(Oid classid, Oid objid);

/* The relation's table access method counts no rows: locks tell who wrote it. */
extern void vp_ring_track_by_locks(Oid relid);

/* What a version computed under the snapshot of this instant remembers. */
extern void vp_ring_mark(Oid classid, Oid objid, const VpInstant *instant, VpMark *mark);

/*
 * What happened to the object between the mark, made under a snapshot with
 * this xmax, and the other instant, earlier or later?  The asking transaction's
 * own changes don't count here.
 */
extern VpChange vp_ring_change(const VpMark *mark, FullTransactionId made_xmax,
							   const VpInstant *instant);

/* What did the running transaction itself do to the object since the mark? */
extern VpChange vp_ring_own_change(const VpMark *mark);

/*
 * The running transaction altered an object, or wrote it in a way that
 * statistics don't count.  Without a transaction id at its end it did not.
 */
extern void vp_ring_note(Oid classid, Oid objid, VpChange change);

/*
 * Something that was altered can be seen, but those who see it have perhaps not
 * been told yet to read the catalogs anew: what these say can be old.
 */
extern bool vp_ring_code_is_settling(void);

/* A prepared transaction is going to be committed by this statement. */
extern void vp_ring_note_commit_prepared(void);

/* It truncates a table: counts of before mean nothing any more. */
extern void vp_ring_note_truncate(void);

/*
 * Free the rings of relations of this database, and of databases, that were
 * dropped.  Returns how many.
 */
extern int	vp_ring_sweep(void);

/* Is less than half of the room for rings free? */
extern bool vp_ring_room_is_short(void);

/*
 * Free those of relations of this database but these (sorted Oids).  Who was
 * about to rely on one finds another one, or none.
 */
extern void vp_ring_keep_only(List *relids);

extern void vp_ring_init(void);

#endif							/* VP_RING_H */
