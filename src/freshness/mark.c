/*
 * mark.c
 *	  Marks of rings: made for a version, and compared with what a ring has since.
 *
 * Both work on a copy of the ring, unless nothing was entered.  A transaction that the ring doesn't have,
 * but may have forgotten or never known, is a candidate; each is asked after.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "storage/procarray.h"

#include "freshness/ring_private.h"

/*
 * Candidates for "might have changed it, nobody knows" beyond so many are not
 * looked at one by one.
 */
#define MAX_CANDIDATES 1000

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
			vp_ring_may_have_written(xid, mark->classid, mark->objid))
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
	if (instant->recovery || !vp_ring_copy(classid, objid, &ring))
		return;
	mark->own_entries = classid == RelationRelationId ? vp_ring_note_own_mark(objid) : 0;
	if (mark->own_entries > 0)
		mark->own_xid = GetTopFullTransactionId();
	mark->position = ring.position;
	mark->unseen = palloc(VP_RING_SIZE * sizeof(FullTransactionId));
	for (int64 p = first_kept(&ring); p < ring.position; p++)
	{
		FullTransactionId xid = entry_xid(entry_at(&ring, p));

		if (!vp_instant_sees(instant, xid) ||
			(classid == VP_RING_CODE && vp_ring_is_settling(xid)))
			mark->unseen[mark->nunseen++] = xid;
	}
	if (FullTransactionIdPrecedes(FullTransactionIdFromU64(ring.lost), instant->xmax) &&
		mark_unknown(&ring, instant, mark))
		mark->serial = ring.serial;
	qsort(mark->unseen, mark->nunseen, sizeof(FullTransactionId), vp_compare_full_xids);
}

/* Does the instant see one that the mark didn't, of those before its position? */
static bool
sees_unseen(const VpMark *mark, const VpInstant *instant)
{
	int			next = 0;

	for (int i = 0; i < mark->nunseen; i++)
		if (vp_instant_sees_next(instant, mark->unseen[i], &next) &&
			vp_xid_committed(mark->unseen[i]))
			return true;
	return false;
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
	return sees_unseen(mark, instant) ? VP_CHANGE_WRITTEN : change;
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

	if (mark->serial == 0 || instant->recovery)
		return VP_CHANGE_UNKNOWN;
	/* as a rule: without copying the ring */
	if (vp_instant_is_later(instant, made_xmax) && vp_ring_is_at(mark))
		return sees_unseen(mark, instant) ? VP_CHANGE_WRITTEN : VP_CHANGE_NONE;
	if (!vp_ring_copy(mark->classid, mark->objid, &ring) || ring.serial != mark->serial ||
		mark->position < first_kept(&ring))
		return VP_CHANGE_UNKNOWN;
	change = newly_seen(&ring, mark, instant);
	if (change < VP_CHANGE_UNKNOWN && !vp_instant_is_later(instant, made_xmax))
		change = Max(change, no_longer_seen(&ring, mark, instant));
	return change;
}

bool
vp_ring_code_is_settling(void)
{
	Ring		ring;

	if (!vp_ring_copy(VP_RING_CODE, InvalidOid, &ring))
		return false;
	for (int64 p = first_kept(&ring); p < ring.position; p++)
	{
		FullTransactionId xid = entry_xid(entry_at(&ring, p));

		if (!TransactionIdIsInProgress(XidFromFullTransactionId(xid)) &&
			vp_ring_is_settling(xid))
			return true;
	}
	return false;
}
