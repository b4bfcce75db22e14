/*
 * session.c
 *	  The session of a run's background worker.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "compat/compat.h"
#include "run/session.h"

VpLaunch
vp_session_begin(void)
{
	VpLaunch	launch;

	memcpy(&launch, MyBgworkerEntry->bgw_extra, sizeof(launch));
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	return launch;
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SET,
							 true, 0, false);
}

void
vp_session_connect(Oid database, Oid user, const char *name)
{
	BackgroundWorkerInitializeConnectionByOid(database, user, VP_WORKER_FLAGS);
	set("application_name", name);
	set("statement_timeout", "0");
	set("lock_timeout", "0");
	set("idle_in_transaction_session_timeout", "0");
#ifdef VP_HAS_TRANSACTION_TIMEOUT
	set("transaction_timeout", "0");
#endif
	set("default_transaction_read_only", "off");
}

void
vp_session_set_lock_timeout(int milliseconds)
{
	char		value[12];

	snprintf(value, sizeof(value), "%d", milliseconds);
	set("lock_timeout", value);
}

void
vp_session_set_point(const char *point)
{
	if (*point != '\0')
		set("vibepiper.debug_point", point);
}

/*
 * A transaction's now() is the time of its first statement, which only
 * parallel workers may set.
 */
static void
set_statement_time(TimestampTz now)
{
	int			number = ParallelWorkerNumber;

	ParallelWorkerNumber = 0;
	SetParallelStartTimestamps(now, now);
	ParallelWorkerNumber = number;
}

void
vp_session_start(int isolation, TimestampTz now)
{
	if (now == 0)
		SetCurrentStatementStartTimestamp();
	else
		set_statement_time(now);
	StartTransactionCommand();
	XactIsoLevel = isolation;
	XactReadOnly = false;
	XactDeferrable = false;
}

void
vp_session_commit_asynchronously(void)
{
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

void
vp_session_start_bookkeeping(bool durable)
{
	vp_session_start(XACT_READ_COMMITTED, 0);
	if (!durable)
		vp_session_commit_asynchronously();
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
vp_session_commit(void)
{
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
}

void
vp_session_reload(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}
