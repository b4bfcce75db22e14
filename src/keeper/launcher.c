/*
 * launcher.c
 *	  The one process of the server that starts keepers when they are due.
 */
#include "postgres.h"

#include <limits.h>

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/wanted.h"
#include "compat/compat.h"
#include "keeper/keeper.h"
#include "keeper/launcher.h"

/*
 * Keepers that run at a time, in the whole server: each may rebuild, and of the
 * processes that the default max_worker_processes allows these runs need some.
 */
#define MAX_KEEPERS 2

typedef struct Keeper
{
	Oid			database;		/* 0: none */
	BackgroundWorkerHandle *handle;
} Keeper;

static Keeper keepers[MAX_KEEPERS];

static void
start_transaction(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
}

/* Ask for the keeper of each database that can be connected to; or of this one only. */
static bool
look_at_databases(Oid only)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	start_transaction();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (!form->datallowconn || vp_database_is_invalid(form))
			continue;
		found |= form->oid == only;
		if (!OidIsValid(only))
			vp_wanted_add(form->oid);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	commit_transaction();
	return found;
}

static bool
start_keeper(Keeper *keeper, Oid database)
{
	BackgroundWorker process = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_main_arg = ObjectIdGetDatum(database),
		.bgw_notify_pid = MyProcPid
	};

	strlcpy(process.bgw_library_name, "vibepiper", sizeof(process.bgw_library_name));
	strlcpy(process.bgw_function_name, "vp_keeper_main", sizeof(process.bgw_function_name));
	strlcpy(process.bgw_type, "vibepiper keeper", sizeof(process.bgw_type));
	snprintf(process.bgw_name, sizeof(process.bgw_name), "vibepiper keeper of database %u", database);
	if (!RegisterDynamicBackgroundWorker(&process, &keeper->handle))
		return false;
	keeper->database = database;
	return true;
}

/* Returns whether there is room for one more. */
static bool
collect_keepers(void)
{
	bool		room = false;

	for (int i = 0; i < MAX_KEEPERS; i++)
	{
		Keeper	   *keeper = &keepers[i];
		pid_t		pid;

		if (OidIsValid(keeper->database) &&
			GetBackgroundWorkerPid(keeper->handle, &pid) == BGWH_STOPPED)
		{
			pfree(keeper->handle);
			vp_wanted_ended(keeper->database);
			keeper->database = InvalidOid;
		}
		room |= !OidIsValid(keeper->database);
	}
	return room;
}

static Keeper *
free_keeper(void)
{
	for (int i = 0; i < MAX_KEEPERS; i++)
		if (!OidIsValid(keepers[i].database))
			return &keepers[i];
	return NULL;
}

/* Start what is due; returns when something will be. */
static TimestampTz
start_keepers(void)
{
	TimestampTz next = DT_NOEND;
	Oid			database;

	while (collect_keepers() && vp_keeper_enabled && OidIsValid(database = vp_wanted_take(&next)))
	{
		CHECK_FOR_INTERRUPTS();
		if (!look_at_databases(database))
			vp_wanted_remove(database);
		else if (!start_keeper(free_keeper(), database))
			vp_wanted_ended(database);	/* no free process: later */
	}
	return next;
}

static long
milliseconds_until(TimestampTz when)
{
	return when == DT_NOEND ? -1 :
		Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), when), 1);
}

void
vp_launcher_main(Datum arg)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	vp_wanted_attach();
	(void) look_at_databases(InvalidOid);
	for (;;)
	{
		long		timeout;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		timeout = milliseconds_until(start_keepers());
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (timeout < 0 ? 0 : WL_TIMEOUT), timeout, PG_WAIT_EXTENSION);
	}
}

void
vp_launcher_init(void)
{
	BackgroundWorker process = {
		.bgw_name = "vibepiper launcher",
		.bgw_type = "vibepiper launcher",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = 5,
		.bgw_library_name = "vibepiper",
		.bgw_function_name = "vp_launcher_main"
	};

	/* it would be in the way of pg_upgrade */
	if (!IsBinaryUpgrade)
		RegisterBackgroundWorker(&process);
}
