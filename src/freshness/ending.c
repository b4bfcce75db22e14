/*
 * ending.c
 *	  Who may have written an object though its ring doesn't say so: those that
 *	  are between PRE_COMMIT and their end, and those that are prepared.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/procarray.h"

#include "compat/compat.h"
#include "freshness/ring_private.h"

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

int
vp_ring_prepared_writers(Oid classid, Oid objid, FullTransactionId **xids)
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

/* Is it between PRE_COMMIT and its end? */
static bool
is_ending(FullTransactionId xid)
{
	for (int i = 0; i < MaxBackends; i++)
		if (pg_atomic_read_u64(&vp_ring_endings[i].xid) == U64FromFullTransactionId(xid))
			return true;
	return false;
}

bool
vp_ring_is_settling(FullTransactionId xid)
{
	return pg_atomic_read_u32(&vp_rings->nsettling) > 0 || is_ending(xid);
}

bool
vp_ring_may_have_written(FullTransactionId xid, Oid classid, Oid objid)
{
	FullTransactionId *prepared;
	int			nprepared;

	if (!TransactionIdIsInProgress(XidFromFullTransactionId(xid)))
		return vp_xid_committed(xid);
	if (is_ending(xid))
		return true;
	nprepared = vp_ring_prepared_writers(classid, objid, &prepared);
	return contains(prepared, nprepared, xid);
}
