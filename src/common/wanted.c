/*
 * wanted.c
 *	  Which databases want their keeper, and when.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "common/wanted.h"

#define MAX_DATABASES 1024

/* "Some time" is after so many pauses; so is the longest wait after failures. */
#define LATER 60

/* A keeper that is due is there after so many milliseconds, or there is no room for it. */
#define STARTED_WITHIN 10000

typedef struct WantedDatabase
{
	Oid			database;		/* 0: free */
	bool		running;
	int			pid;			/* of the keeper; 0: it isn't there yet */
	bool		done;			/* the keeper said so */
	bool		knows_lost;
	int32		pipeline;		/* whose lock it has or tries to take; or 0 */
	int			failures;		/* in a row */
	TimestampTz started;
	TimestampTz due;			/* DT_NOEND: not */
} WantedDatabase;

typedef struct Wanted
{
	slock_t		mutex;
	PGPROC	   *launcher;
	ConditionVariable published;
	WantedDatabase databases[MAX_DATABASES];
} Wanted;

bool		vp_keeper_enabled = true;
int			vp_keeper_pause = 10000;

static Wanted *wanted = NULL;
static bool requested = false;	/* by this transaction ... */
static bool requested_soon = false; /* ... and at once */
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static TimestampTz
after_pauses(TimestampTz from, int n)
{
	return TimestampTzPlusMilliseconds(from, (int64) n * vp_keeper_pause);
}

/* With the mutex held; NULL: there is none, or no room for one. */
static WantedDatabase *
find(Oid database, bool make)
{
	WantedDatabase *unused = NULL;

	for (int i = 0; i < MAX_DATABASES; i++)
	{
		WantedDatabase *entry = &wanted->databases[i];

		if (entry->database == database)
			return entry;
		if (unused == NULL && !OidIsValid(entry->database))
			unused = entry;
	}
	if (!make || unused == NULL)
		return NULL;
	memset(unused, 0, sizeof(*unused));
	unused->database = database;
	unused->due = DT_NOEND;
	return unused;
}

static void
want(Oid database, bool soon)
{
	TimestampTz now = GetCurrentTimestamp();
	WantedDatabase *entry;
	PGPROC	   *launcher = NULL;
	TimestampTz due;

	SpinLockAcquire(&wanted->mutex);
	entry = find(database, true);
	if (entry != NULL)
	{
		due = soon ? Max(now, after_pauses(entry->started, Max(entry->failures, 1))) : after_pauses(now, LATER);
		if (due < entry->due)
		{
			entry->due = due;
			launcher = wanted->launcher;
		}
	}
	SpinLockRelease(&wanted->mutex);
	if (launcher != NULL)
		SetLatch(&launcher->procLatch);
}

static void
wake_sleepers(void)
{
	ConditionVariableBroadcast(&wanted->published);
}

void
vp_wanted_sleep(long timeout)
{
	(void) ConditionVariableTimedSleep(&wanted->published, timeout, PG_WAIT_EXTENSION);
}

void
vp_wanted_end_sleep(void)
{
	ConditionVariableCancelSleep();
}

void
vp_wanted_request(bool soon)
{
	requested = true;
	requested_soon |= soon;
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (requested_soon && event != XACT_EVENT_ABORT)
		wake_sleepers();
	if (requested && event != XACT_EVENT_ABORT)
		want(MyDatabaseId, requested_soon && event == XACT_EVENT_COMMIT);
	requested = false;
	requested_soon = false;
}

static void
detach(int code, Datum arg)
{
	SpinLockAcquire(&wanted->mutex);
	if (wanted->launcher == MyProc)
		wanted->launcher = NULL;
	SpinLockRelease(&wanted->mutex);
}

/* What an earlier launcher had running isn't known any more. */
void
vp_wanted_attach(void)
{
	TimestampTz due = after_pauses(GetCurrentTimestamp(), 1);

	SpinLockAcquire(&wanted->mutex);
	wanted->launcher = MyProc;
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (wanted->databases[i].running)
			wanted->databases[i].due = due;
		wanted->databases[i].running = false;
	}
	SpinLockRelease(&wanted->mutex);
	before_shmem_exit(detach, (Datum) 0);
}

void
vp_wanted_add(Oid database)
{
	want(database, true);
}

void
vp_wanted_remove(Oid database)
{
	WantedDatabase *entry;

	SpinLockAcquire(&wanted->mutex);
	entry = find(database, false);
	if (entry != NULL)
		entry->database = InvalidOid;
	SpinLockRelease(&wanted->mutex);
}

Oid
vp_wanted_take(TimestampTz *next)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid			database = InvalidOid;

	*next = DT_NOEND;
	SpinLockAcquire(&wanted->mutex);
	for (int i = 0; i < MAX_DATABASES && !OidIsValid(database); i++)
	{
		WantedDatabase *entry = &wanted->databases[i];

		if (!OidIsValid(entry->database) || entry->running || entry->due == DT_NOEND)
			continue;
		if (entry->due > now)
		{
			*next = Min(*next, entry->due);
			continue;
		}
		entry->running = true;
		entry->pid = 0;
		entry->done = false;
		entry->started = now;
		entry->due = DT_NOEND;
		database = entry->database;
	}
	SpinLockRelease(&wanted->mutex);
	return database;
}

void
vp_wanted_ended(Oid database)
{
	TimestampTz now = GetCurrentTimestamp();
	WantedDatabase *entry;

	SpinLockAcquire(&wanted->mutex);
	entry = find(database, false);
	if (entry != NULL)
	{
		entry->running = false;
		entry->pid = 0;
		entry->pipeline = 0;
		entry->failures = entry->done ? 0 : Min(entry->failures + 1, LATER);
		if (!entry->done)
			entry->due = Min(entry->due, after_pauses(now, entry->failures));
		else if (!entry->knows_lost && entry->due == DT_NOEND)
			entry->database = InvalidOid;	/* without the extension: free it */
	}
	SpinLockRelease(&wanted->mutex);
	wake_sleepers();
}

/* The process ends, and has no lock any more; there may be no launcher to see that. */
static void
let_go(int code, Datum arg)
{
	vp_wanted_set_pipeline(0);
}

void
vp_wanted_begin(void)
{
	WantedDatabase *entry;

	SpinLockAcquire(&wanted->mutex);
	entry = find(MyDatabaseId, false);
	if (entry != NULL)
		entry->pid = MyProcPid;
	SpinLockRelease(&wanted->mutex);
	on_shmem_exit(let_go, (Datum) 0);
}

void
vp_wanted_done(TimestampTz due)
{
	WantedDatabase *entry;

	SpinLockAcquire(&wanted->mutex);
	entry = find(MyDatabaseId, false);
	if (entry != NULL)
	{
		entry->done = true;
		entry->due = Min(entry->due, due);
	}
	SpinLockRelease(&wanted->mutex);
}

bool
vp_wanted_knows_lost(void)
{
	const WantedDatabase *entry;
	bool		knows;

	SpinLockAcquire(&wanted->mutex);
	entry = find(MyDatabaseId, false);
	knows = entry != NULL && entry->knows_lost;
	SpinLockRelease(&wanted->mutex);
	return knows;
}

/* Not if it couldn't, or isn't started though it is time: then nobody should wait for it. */
bool
vp_wanted_rebuilds(int *keeper)
{
	TimestampTz since = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), -STARTED_WITHIN);
	const WantedDatabase *entry;
	bool		rebuilds;

	SpinLockAcquire(&wanted->mutex);
	entry = find(MyDatabaseId, false);
	rebuilds = vp_keeper_enabled && wanted->launcher != NULL && entry != NULL && !entry->knows_lost &&
		entry->failures == 0 &&
		(entry->running || (entry->due != DT_NOEND && entry->due > since));
	*keeper = rebuilds ? entry->pid : 0;
	SpinLockRelease(&wanted->mutex);
	return rebuilds;
}

void
vp_wanted_set_knows_lost(void)
{
	WantedDatabase *entry;

	SpinLockAcquire(&wanted->mutex);
	entry = find(MyDatabaseId, false);
	if (entry != NULL)
		entry->knows_lost = true;
	SpinLockRelease(&wanted->mutex);
	wake_sleepers();
}

void
vp_wanted_set_pipeline(int32 pipeline)
{
	WantedDatabase *entry;

	SpinLockAcquire(&wanted->mutex);
	entry = find(MyDatabaseId, false);
	if (entry != NULL)
		entry->pipeline = pipeline;
	SpinLockRelease(&wanted->mutex);
}

bool
vp_wanted_has_pipeline(int32 pipeline)
{
	const WantedDatabase *entry;
	bool		has;

	SpinLockAcquire(&wanted->mutex);
	entry = find(MyDatabaseId, false);
	has = entry != NULL && entry->pipeline == pipeline;
	SpinLockRelease(&wanted->mutex);
	return has;
}

static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(sizeof(Wanted));
}

static void
shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	wanted = ShmemInitStruct("vibepiper wanted keepers", sizeof(Wanted), &found);
	if (found)
		return;
	memset(wanted, 0, sizeof(Wanted));
	SpinLockInit(&wanted->mutex);
	ConditionVariableInit(&wanted->published);
}

void
vp_wanted_init(void)
{
	DefineCustomIntVariable("vibepiper.keeper_pause",
							"The least time between two passes of a database's keeper.",
							"Slots that were not refilled for sixty pauses are dropped.",
							&vp_keeper_pause, 10000, 1, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("vibepiper.keeper",
							 "Is there a background worker that keeps house, in databases where it is wanted?",
							 "Without it somebody has to call purge(), and a run rebuilds what a crash took.",
							 &vp_keeper_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	RegisterXactCallback(xact_callback, NULL);
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}
