/*
 * blocked.c
 *	  Waits that the server's deadlock detector can't see.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "common/names.h"
#include "run/blocked.h"
#include "run/live.h"

/* Milliseconds; shorter waits pass. */
#define LONG_WAIT 1000

static List *
blockers_of(int pid)
{
	Datum		array = DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid));
	List	   *pids = NIL;
	Datum	   *values;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), INT4OID, 4, true, TYPALIGN_INT,
					  &values, NULL, &n);
	for (int i = 0; i < n; i++)
		pids = list_append_unique_int(pids, DatumGetInt32(values[i]));
	return pids;
}

static bool
waits_for_me(int pid)
{
	List	   *pids = list_make1_int(pid);

	/* the list grows while it is walked */
	for (int i = 0; i < list_length(pids); i++)
	{
		CHECK_FOR_INTERRUPTS();
		pids = list_concat_unique_int(pids, blockers_of(list_nth_int(pids, i)));
		pids = list_concat_unique_int(pids, vp_live_awaited_by(list_nth_int(pids, i)));
		if (list_member_int(pids, MyProcPid))
			return true;
	}
	return false;
}

/* Read without a lock: if it is wrong, the next look will be right. */
static bool
waits_long(int pid)
{
	PGPROC	   *proc = BackendPidGetProc(pid);
	TimestampTz since = proc == NULL ? 0 : (TimestampTz) pg_atomic_read_u64(&proc->waitStart);

	return proc != NULL && proc->waitLock != NULL && since != 0 &&
		TimestampDifferenceExceeds(since, GetCurrentTimestamp(), LONG_WAIT);
}

bool
vp_held_up(int pid)
{
	List	   *pids = list_make1_int(pid);

	/* the list grows while it is walked */
	for (int i = 0; i < list_length(pids); i++)
	{
		int			waiter = list_nth_int(pids, i);
		List	   *blockers = waits_long(waiter) ? blockers_of(waiter) : NIL;
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		foreach(lc, blockers)
			if (!vp_live_has_process(lfirst_int(lc)))
			return true;
		pids = list_concat_unique_int(pids, blockers);
		pids = list_concat_unique_int(pids, vp_live_awaited_by(waiter));
	}
	return false;
}

/* What the process waits for. */
static char *
describe_wait(int pid)
{
	LockData   *data = GetLockStatusData();

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];
		StringInfoData buf;

		if (lock->pid != pid || lock->waitLockMode == NoLock)
			continue;
		initStringInfo(&buf);
		appendStringInfo(&buf, "%s on ", GetLockmodeName(lock->locktag.locktag_lockmethodid,
														 lock->waitLockMode));
		if (lock->locktag.locktag_type == LOCKTAG_RELATION &&
			get_rel_name(lock->locktag.locktag_field2) != NULL)
			appendStringInfo(&buf, "relation %s",
							 vp_relation_name(lock->locktag.locktag_field2));
		else
			DescribeLockTag(&buf, &lock->locktag);
		return buf.data;
	}
	return NULL;
}

char *
vp_blocked_by_me(int pid)
{
	PGPROC	   *proc = BackendPidGetProc(pid);

	/* read without a lock: if it is wrong, the next look will be right */
	if (proc == NULL || proc->waitLock == NULL || !waits_for_me(pid))
		return NULL;
	return describe_wait(pid);
}
