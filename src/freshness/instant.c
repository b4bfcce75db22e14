/*
 * instant.c
 *	  A snapshot in 64 bit transaction ids: which transactions it sees.
 */
#include "postgres.h"

#include "storage/lwlock.h"

#include "compat/compat.h"
#include "freshness/instant.h"

FullTransactionId
vp_full_xid(TransactionId xid, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);

	if (!TransactionIdIsNormal(xid))
		return FullTransactionIdFromEpochAndXid(0, xid);
	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, xid);
}

int
vp_compare_full_xids(const void *a, const void *b)
{
	FullTransactionId x = *(const FullTransactionId *) a;
	FullTransactionId y = *(const FullTransactionId *) b;

	return FullTransactionIdPrecedes(x, y) ? -1 : FullTransactionIdPrecedes(y, x);
}

VpInstant *
vp_instant(Snapshot snapshot, uint64 tick)
{
	FullTransactionId next = ReadNextFullTransactionId();
	VpInstant  *instant = palloc(offsetof(VpInstant, xip) +
								 snapshot->xcnt * sizeof(FullTransactionId));

	instant->tick = tick;
	instant->xmin = vp_full_xid(snapshot->xmin, next);
	instant->xmax = vp_full_xid(snapshot->xmax, next);
	instant->recovery = snapshot->takenDuringRecovery;
	instant->nxip = snapshot->xcnt;
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		instant->xip[i] = vp_full_xid(snapshot->xip[i], next);
	qsort(instant->xip, instant->nxip, sizeof(FullTransactionId), vp_compare_full_xids);
	return instant;
}

bool
vp_instant_sees(const VpInstant *instant, FullTransactionId xid)
{
	if (FullTransactionIdPrecedes(xid, instant->xmin))
		return true;
	if (FullTransactionIdFollowsOrEquals(xid, instant->xmax))
		return false;
	return bsearch(&xid, instant->xip, instant->nxip, sizeof(FullTransactionId),
				   vp_compare_full_xids) == NULL;
}

bool
vp_instant_sees_next(const VpInstant *instant, FullTransactionId xid, int *next)
{
	if (FullTransactionIdPrecedes(xid, instant->xmin))
		return true;
	if (FullTransactionIdFollowsOrEquals(xid, instant->xmax))
		return false;
	if (*next > 0 && !FullTransactionIdPrecedes(instant->xip[*next - 1], xid))
		*next = 0;				/* out of order */
	while (*next < instant->nxip && FullTransactionIdPrecedes(instant->xip[*next], xid))
		(*next)++;
	return *next == instant->nxip || !FullTransactionIdEquals(instant->xip[*next], xid);
}

/*
 * The end of a snapshot is the newest transaction that had ended, so it tells
 * in which order two were taken, unless nothing newer ended in between.
 */
bool
vp_instant_is_later(const VpInstant *instant, FullTransactionId xmax_before)
{
	return FullTransactionIdFollows(instant->xmax, xmax_before);
}

bool
vp_xid_committed(FullTransactionId xid)
{
	bool		committed = true;
	FullTransactionId oldest;

	/* so that what is asked for isn't cut off meanwhile */
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	oldest = vp_full_xid(VP_TRANSAM->oldestClogXid, ReadNextFullTransactionId());
	if (FullTransactionIdFollowsOrEquals(xid, oldest))
		committed = TransactionIdDidCommit(XidFromFullTransactionId(xid));
	LWLockRelease(XactTruncationLock);
	return committed;
}
