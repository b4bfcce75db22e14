/*
 * instant.h
 *	  A snapshot in 64 bit transaction ids: which transactions it sees.
 *
 * Only top-level transactions are asked for, and only whether the snapshot
 * sees them if they committed; the transaction that asks isn't seen, whatever
 * it did (see vp_ring_own_change() in freshness/ring.h).  The same instant can be asked in
 * another process than the one that took the snapshot.
 */
#ifndef VP_INSTANT_H
#define VP_INSTANT_H

#include "postgres.h"

#include "access/transam.h"
#include "utils/snapshot.h"

typedef struct VpInstant
{
	/*
	 * All that ended before this tick of the rings' clock is seen: it was
	 * read before the snapshot was taken.  0: not known.
	 */
	uint64		tick;
	FullTransactionId xmin;		/* all before it are seen, if they committed */
	FullTransactionId xmax;		/* it and all after it aren't */
	bool		recovery;		/* taken on a standby: sees nobody knows what */
	int			nxip;
	FullTransactionId xip[FLEXIBLE_ARRAY_MEMBER];	/* in progress, in order */
} VpInstant;

/* palloc'd */
extern VpInstant *vp_instant(Snapshot snapshot, uint64 tick);

extern bool vp_instant_sees(const VpInstant *instant, FullTransactionId xid);

/* The same for many, of which most are in ascending order: next is 0 at first. */
extern bool vp_instant_sees_next(const VpInstant *instant, FullTransactionId xid, int *next);

/* For qsort() */
extern int	vp_compare_full_xids(const void *a, const void *b);

/* Is everything that `before` sees surely seen by `instant` as well? */
extern bool vp_instant_is_later(const VpInstant *instant, FullTransactionId xmax_before);

/* The id of a transaction that is neither in the future nor 2^31 old. */
extern FullTransactionId vp_full_xid(TransactionId xid, FullTransactionId next);

/* Has it committed?  What is too old to be known has. */
extern bool vp_xid_committed(FullTransactionId xid);

#endif							/* VP_INSTANT_H */
