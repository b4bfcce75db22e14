/*
 * keeper.c
 *	  A background worker that does what nobody waits for, of one database.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/extension.h"
#include "common/wanted.h"
#include "freshness/ring.h"
#include "freshness/sources.h"
#include "keeper/keeper.h"
#include "run/session.h"

/* So long it waits for a lock; in milliseconds. */
#define MAX_LOCK_WAIT 100

static TimestampTz due = DT_NOEND;
static bool failed = false;
static MemoryContext context = NULL;	/* of a step */

/* DROP DATABASE and CREATE DATABASE ... TEMPLATE hold locks that keep others off. */
bool
vp_keeper_is_unwelcome(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, RowExclusiveLock, false);
	return false;
}

void
vp_keeper_start(void)
{
	vp_session_start_bookkeeping(false);
	if (vp_extension()->installed)
		LockDatabaseObject(ExtensionRelationId, vp_extension()->extension, 0, AccessShareLock);
	if (vp_extension()->installed)
		return;
	vp_session_commit();
	vp_wanted_done(DT_NOEND);
	proc_exit(0);
}

static void
keep_reads(void *arg)
{
	vp_keep_reads();
}

static void
sweep_rings(void *arg)
{
	vp_keeper_start();
	(void) vp_ring_sweep();
	if (vp_ring_room_is_short())
		vp_ring_keep_only(vp_sources_of_versions(0));
	vp_session_commit();
}

static void
keep_versions(void *arg)
{
	failed |= !vp_keep_versions(&due);
}

static void
keep_history(void *arg)
{
	vp_keep_history();
}

static void
keep_lost(void *arg)
{
	failed |= !vp_keep_lost();
}

void
vp_keeper_give_way(void)
{
	if (!vp_keeper_is_unwelcome())
		return;
	vp_session_commit();
	proc_exit(0);
}

static void
give_way(void *arg)
{
	vp_keeper_start();
	vp_keeper_give_way();
	vp_session_commit();
}

/* Others have a lock, which is no error of anybody. */
static bool
is_in_the_way(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

bool
vp_keeper_try(void (*what) (void *arg), void *arg)
{
	volatile bool good = true;

	CHECK_FOR_INTERRUPTS();
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		what(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		HOLD_INTERRUPTS();
		if (!is_in_the_way(geterrcode()))
			EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
		good = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return good;
}

/* If it fails, it is tried again in a later pass. */
static void
step(void (*what) (void *arg))
{
	failed |= !vp_keeper_try(what, NULL);
	MemoryContextReset(context);
	pgstat_report_stat(true);
}

static void
pass(void)
{
	static void (*const steps[]) (void *arg) = {
		keep_reads, keep_lost, keep_versions, keep_history, sweep_rings
	};

	for (int i = 0; i < (int) lengthof(steps); i++)
	{
		step(give_way);
		step(steps[i]);
	}
	if (!failed)
		vp_wanted_done(due);
}

void
vp_keeper_main(Datum arg)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	vp_session_connect(DatumGetObjectId(arg), InvalidOid, "vibepiper keeper");
	vp_session_set_lock_timeout(Max(1, Min(MAX_LOCK_WAIT, DeadlockTimeout / 2)));
	vp_wanted_begin();
	pgstat_report_activity(STATE_RUNNING, "keeping house");
	context = AllocSetContextCreate(TopMemoryContext, "vibepiper keeper",
									ALLOCSET_DEFAULT_SIZES);
	pass();
}
