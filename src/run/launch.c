/*
 * launch.c
 *	  Parallel runs as their callers see them: start one, wait, get its result.
 *
 * A caller holds a reference to the run while it waits, and counts among its
 * waiters.  If it goes away, by an error, a cancellation or the end of its
 * session, and it was the last of those for whose sake the run goes on, the
 * run is cancelled.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "common/extension.h"
#include "common/point.h"
#include "compat/compat.h"
#include "run/blocked.h"
#include "run/board.h"
#include "run/launch.h"
#include "run/live.h"
#include "run/own.h"
#include "run/tasks.h"

/* Its header wants others, which need not be installed. */
extern bool pq_check_connection(void);

#define FREE_PROCESS_POLL_MS 50
#define BIRTH_POLL_MS 100

static int	max_workers = 4;
static int	worker_wait = 60000;
static bool progress = true;

/* A caller's view of a run. */
typedef struct Waiter
{
	int			index;
	VpLiveRun  *run;
	bool		counted;		/* among the waiters */
	bool		watches;		/* says what happens */
	BackgroundWorkerHandle *handle; /* of the leader, if it was started here */
	VpBoardMap	map;
	int			nboards;
	uint32		seen;			/* entries of the board's log */
} Waiter;

/* ----- starting ----- */

BackgroundWorkerHandle *
vp_launch_process(const VpLaunch *launch, const char *function, const char *type,
				  const char *name)
{
	BackgroundWorker process = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_notify_pid = MyProcPid
	};
	BackgroundWorkerHandle *handle;

	strlcpy(process.bgw_library_name, "vibepiper", sizeof(process.bgw_library_name));
	strlcpy(process.bgw_function_name, function, sizeof(process.bgw_function_name));
	strlcpy(process.bgw_type, type, sizeof(process.bgw_type));
	strlcpy(process.bgw_name, name, sizeof(process.bgw_name));
	memcpy(process.bgw_extra, launch, sizeof(*launch));
	return RegisterDynamicBackgroundWorker(&process, &handle) ? handle : NULL;
}

static void
nap(long milliseconds)
{
	CHECK_FOR_INTERRUPTS();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

pg_noreturn static void
raise_no_process(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker is free to run the pipeline"),
			 errdetail("Waited for %d ms (vibepiper.worker_wait).", worker_wait),
			 errhint("Raise max_worker_processes (now %d), or use parallel => false.",
					 max_worker_processes)));
}

/*
 * A free entry in shared memory: there are as many as processes.  Or
 * VP_LIVE_BUSY, for a run that is to be the only one of its pipeline's.
 */
static int
claim_run(const VpPipeline *pipeline, bool only, TimestampTz start, VpLiveId *other)
{
	int			index;

	while ((index = vp_live_claim(pipeline->id, only, other)) == VP_LIVE_NONE_FREE)
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), worker_wait))
			raise_no_process();
		nap(FREE_PROCESS_POLL_MS);
	}
	return index;
}

static void
start_leader(Waiter *waiter, TimestampTz start)
{
	VpLaunch	launch = {
		.index = waiter->index,.serial = waiter->run->serial,.worker = -1
	};
	char	   *name = psprintf("vibepiper leader, pipeline %s", waiter->run->pipeline);
	bool		said = false;

	while ((waiter->handle = vp_launch_process(&launch, "vp_leader_main",
											   "vibepiper leader", name)) == NULL)
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), worker_wait))
			raise_no_process();
		if (!said)
			ereport(NOTICE, (errmsg("waiting for a free background worker")));
		said = true;
		nap(FREE_PROCESS_POLL_MS);
	}
}

static dsm_segment *
write_request(const VpRunOptions *options)
{
	const char *selection = options->selection != NULL ? options->selection : "";
	dsm_segment *segment = dsm_create(sizeof(VpRunRequest) + strlen(selection) + 1, 0);
	VpRunRequest *request = dsm_segment_address(segment);

	request->role = OidIsValid(options->user) ? options->user : GetUserId();
	request->force = options->force;
	request->fail_fast = options->fail_fast;
	request->consistent = options->consistent;
	request->refuse = options->refuse;
	request->max_workers = options->max_workers;
	request->default_workers = max_workers;
	request->worker_wait = worker_wait;
	request->timeout = options->timeout;
	request->rebuild = options->rebuild;
	request->retry_of = options->retry_of;
	request->has_selection = options->selection != NULL;
	strcpy(request->selection, selection);
	return segment;
}

static void
describe_run(VpLiveRun *run, const VpPipeline *pipeline, const VpRunOptions *options,
			 dsm_segment *request)
{
	vp_live_lock();
	run->user = OidIsValid(options->user) ? options->user : GetSessionUserId();
	strlcpy(run->pipeline, pipeline->name, sizeof(run->pipeline));
	run->request = dsm_segment_handle(request);
	strlcpy(run->debug_point, vp_point_armed != NULL ? vp_point_armed : "",
			sizeof(run->debug_point));
	run->waiters = 1;
	vp_live_unlock();
}

/* ----- waiting ----- */

/* The caller doesn't wait any more. */
static void
leave(Waiter *waiter, const char *cancel_because)
{
	VpLiveRun  *run = waiter->run;

	vp_board_unmap(&waiter->map);
	vp_live_lock();
	if (waiter->counted && --run->waiters == 0 && cancel_because != NULL &&
		!run->detached && run->phase < VP_LIVE_ENDED)
	{
		strlcpy(run->error, cancel_because, sizeof(run->error));
		vp_live_cancel(run);
	}
	vp_live_unlock();
	vp_live_let_go(waiter->index);
}

static void
leave_on_error(int code, Datum arg)
{
	Waiter	   *waiter = (Waiter *) DatumGetPointer(arg);

	ConditionVariableCancelSleep();
	vp_live_wait_for(0);

	/* the resource owner unmaps it */
	waiter->map.segment = NULL;
	leave(waiter, "its caller was cancelled or has gone");
}

static const char *
describe_task(const VpTaskRecord *task)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s %s", task->asset, vp_task_status_name(task->status));
	if (task->status == VP_TASK_FAILED)
		appendStringInfo(&buf, ": %s", task->error->message);
	else if (task->rows >= 0)
		appendStringInfo(&buf, ", " INT64_FORMAT " %s in %.3f s", task->rows,
						 task->rows == 1 ? "row" : "rows", task->elapsed / 1e6);
	return buf.data;
}

/* Say which tasks were finished since the last look. */
static void
report_finished(Waiter *waiter)
{
	VpBoard    *board = waiter->map.board;
	uint32		n;

	if (board == NULL || !progress || !waiter->watches)
		return;
	n = pg_atomic_read_u32(&board->nlog);
	pg_read_barrier();
	for (; waiter->seen < n; waiter->seen++)
	{
		VpTaskRecord task;

		vp_board_read_record(board, vp_board_logged(board, waiter->seen), &task);
		if (task.status != VP_TASK_CANCELLED)
			ereport(NOTICE,
					(errmsg("%s", describe_task(&task))));
	}
}

static void
look_at_board(Waiter *waiter, int nboards, dsm_handle handle)
{
	if (nboards == waiter->nboards)
		return;
	if (waiter->nboards > 0 && progress && waiter->watches)
		ereport(NOTICE,
				(errmsg("a source was rewritten: the run begins again with a new snapshot")));
	vp_board_unmap(&waiter->map);
	waiter->map = vp_board_map(handle, false);
	waiter->nboards = waiter->map.board != NULL ? nboards : 0;
	waiter->seen = 0;
}

/*
 * The processes of the run; or of all of the pipeline, one of which it may wait
 * for.  Returns how many.
 */
static int
pids_of_run(const VpLiveRun *run, bool all, int *pids)
{
	int			n = 0;

	vp_live_lock();
	for (int i = 0; i < vp_live_room(); i++)
	{
		const VpLiveRun *other = vp_live_run(i);

		if (other->serial == 0 || other->database != run->database ||
			other->pipeline_id != run->pipeline_id || other->leader_pid == 0 ||
			other->phase == VP_LIVE_ENDED || (other != run && !all))
			continue;
		pids[n++] = other->leader_pid;
		for (int w = 0; w < vp_live_room(); w++)
			if (vp_live_worker(w)->serial == other->serial && vp_live_worker(w)->pid != 0)
				pids[n++] = vp_live_worker(w)->pid;
	}
	vp_live_unlock();
	return n;
}

/*
 * Does the run, or one that it waits for, wait for a lock of this very
 * transaction?
 */
static void
check_deadlock(const VpLiveRun *run, VpLivePhase awaited)
{
	int		   *pids = palloc(sizeof(int) * 2 * vp_live_room());
	int			n = pids_of_run(run, awaited > VP_LIVE_WAITING, pids);

	for (int i = 0; i < n; i++)
	{
		char	   *lock = vp_blocked_by_me(pids[i]);

		/* what it waits for may have come by now */
		if (lock != NULL && run->phase < awaited)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
					 errmsg("deadlock detected: the run waits for a lock of its own caller"),
					 errdetail("A process of the run waits for %s, and in the end for this transaction.",
							   lock),
					 errhint("COMMIT first, or use parallel => false, which runs in this transaction.")));
	}
	pfree(pids);
}

/* Has the leader ended before it could say that it is there? */
static void
check_birth(const Waiter *waiter)
{
	pid_t		pid;

	if (waiter->handle != NULL && waiter->run->leader_pid == 0 &&
		GetBackgroundWorkerPid(waiter->handle, &pid) == BGWH_STOPPED &&
		waiter->run->leader_pid == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a background worker to lead the run"),
				 errhint("See the server's log.")));
}

static long
milliseconds_left(TimestampTz until)
{
	return until == DT_NOEND ? LONG_MAX :
		TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
}

/*
 * Nobody wants the result if the client is gone.  PostgreSQL looks for that
 * only if client_connection_check_interval says so.
 */
static void
check_client(void)
{
	if (MyProcPort == NULL || whereToSendOutput != DestRemote ||
		!WaitEventSetCanReportClosed() || pq_check_connection())
		return;
	ClientConnectionLost = true;
	InterruptPending = true;
	CHECK_FOR_INTERRUPTS();
}

/* Wait for the phase; false if it is too late. */
static bool
wait_for_phase(Waiter *waiter, VpLivePhase phase, TimestampTz until)
{
	VpLiveRun  *run = waiter->run;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "vibepiper wait",
												  ALLOCSET_DEFAULT_SIZES);

	vp_live_wait_for(run->serial);
	for (;;)
	{
		VpLivePhase now;
		int			nboards;
		dsm_handle	board;
		long		timeout;
		bool		last;

		vp_live_lock();
		now = run->phase;
		nboards = run->nboards;
		board = run->board;
		timeout = run->leader_pid == 0 ? BIRTH_POLL_MS : DeadlockTimeout;
		vp_live_unlock();
		look_at_board(waiter, nboards, board);
		MemoryContextSwitchTo(context);
		report_finished(waiter);
		MemoryContextSwitchTo(caller);
		if (now >= phase || milliseconds_left(until) <= 0)
		{
			ConditionVariableCancelSleep();
			vp_live_wait_for(0);
			MemoryContextDelete(context);
			return now >= phase;
		}
		last = milliseconds_left(until) <= timeout;
		timeout = Min(timeout, milliseconds_left(until));
		if (ConditionVariableTimedSleep(&run->changed, timeout, PG_WAIT_EXTENSION) && !last)
		{
			MemoryContextSwitchTo(context);
			check_birth(waiter);
			check_client();
			check_deadlock(run, phase);
			MemoryContextSwitchTo(caller);
		}
		MemoryContextReset(context);
	}
}

/* ----- the result ----- */

static VpRunResult *
read_result(Waiter *waiter)
{
	VpRunResult *result = palloc0(sizeof(VpRunResult));
	VpLiveRun  *run = palloc0(sizeof(VpLiveRun));
	VpBoard    *board;

	vp_live_lock();
	memcpy(run, waiter->run, offsetof(VpLiveRun, changed));
	vp_live_unlock();
	board = run->board != DSM_HANDLE_INVALID ? waiter->map.board : NULL;
	result->run.id = run->run_id;
	result->run.pipeline_id = run->pipeline_id;
	result->run.pipeline = pstrdup(run->pipeline);
	result->run.status = run->phase < VP_LIVE_ENDED ? "running" :
		run->cancelled ? "cancelled" : run->failed ? "failed" : "succeeded";
	result->run.error = run->error[0] != '\0' ? pstrdup(run->error) : NULL;
	result->sqlerrcode = run->sqlerrcode;
	if (board == NULL)
		return result;
	result->ntasks = board->ntasks;
	result->tasks = palloc0(sizeof(VpTaskRecord) * Max(board->ntasks, 1));
	for (int k = 0; k < board->ntasks; k++)
		vp_board_read_record(board, vp_board_order(board, k), &result->tasks[k]);
	return result;
}

static void
raise_outcome(const VpRunResult *result, bool error_on_failure)
{
	bool		by_tasks = result->sqlerrcode == 0;

	if (strcmp(result->run.status, "running") == 0 ||
		strcmp(result->run.status, "succeeded") == 0 ||
		(!error_on_failure && result->ntasks > 0))
		return;
	if (by_tasks)
		vp_run_raise_failure(result);
	ereport(ERROR,
			(errcode(result->sqlerrcode),
			 errmsg(strcmp(result->run.status, "cancelled") == 0 ?
					"run of pipeline \"%s\" was cancelled" :
					"run of pipeline \"%s\" failed", result->run.pipeline),
			 result->run.id != 0 ?
			 errdetail("Run " INT64_FORMAT ": %s.", result->run.id,
					   result->run.error != NULL ? result->run.error : "?") :
			 errdetail("The run has not begun: %s.",
					   result->run.error != NULL ? result->run.error : "?"),
			 result->sqlerrcode == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED ?
			 errhint("Raise max_worker_processes (now %d), or use parallel => false.",
					 max_worker_processes) :
			 result->sqlerrcode == ERRCODE_CONNECTION_FAILURE ?
			 errhint("See the server's log.") : 0));
}

/* ----- one run at a time ----- */

/*
 * May a run begin now?  Else wait for that, if asked to; meanwhile the pipeline
 * may be dropped.
 */
static bool
pass_gate(const VpPipeline *pipeline, bool wait)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, vp_extension()->pipeline, pipeline->id, 0);
	if (wait)
	{
		vp_pipeline_let_go(pipeline);
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
	else if (!vp_pipeline_lock_or_refuse(pipeline->id, false))
		return false;
	LockRelease(&tag, ExclusiveLock, false);
	return true;
}

pg_noreturn static void
raise_refusal(const VpPipeline *pipeline, bool starting)
{
	int			index;
	int64		run_id = 0;

	vp_live_lock();
	index = vp_live_find_pipeline(pipeline->id, false);
	if (index >= 0)
		run_id = vp_live_run(index)->run_id;
	vp_live_unlock();
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 run_id != 0 ?
			 errmsg("run " INT64_FORMAT " of pipeline \"%s\" is in progress", run_id,
					pipeline->name) :
			 starting ?
			 errmsg("a run of pipeline \"%s\" is being started", pipeline->name) :
			 errmsg("pipeline \"%s\" is locked by another transaction", pipeline->name),
			 errhint("With overlap => 'wait' the run begins after it, with 'join' its result is this call's.")));
}

/*
 * Nothing is to be done, so no process is needed: the run is a row of this
 * transaction.  NULL if that isn't so.
 */
static VpRunResult *
run_nothing(VpPipeline *pipeline, const VpRunOptions *options)
{
	VpTasks    *tasks;
	VpRunRecord record;

	PushActiveSnapshot(GetLatestSnapshot());
	tasks = vp_tasks_create(pipeline, options);
	PopActiveSnapshot();
	if (tasks->to_build > 0)
		return NULL;
	record = vp_tasks_new_run(pipeline, options, GetUserId());
	record.parallel = true;
	vp_run_insert(&record);
	vp_tasks_begin(tasks, &record);
	vp_tasks_take_decisions(tasks);
	vp_tasks_count(tasks);
	tasks->result->run.status = "succeeded";
	vp_run_finish(&tasks->result->run);
	return tasks->result;
}

/*
 * The run that is in progress, as another waiter; false if there is none, or it
 * was asked to stop: the caller wants a result.
 */
static bool
join(Waiter *waiter, const VpPipeline *pipeline)
{
	vp_live_lock();
	waiter->index = vp_live_find_pipeline(pipeline->id, true);
	if (waiter->index >= 0)
	{
		waiter->run = vp_live_run(waiter->index);
		waiter->run->refs++;
		waiter->run->waiters++;
		waiter->counted = true;
	}
	vp_live_unlock();
	return waiter->index >= 0;
}

static VpRunResult *
wait_for_result(Waiter *waiter, bool wait)
{
	VpRunResult *result = NULL;

	PG_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(waiter));
	{
		(void) wait_for_phase(waiter, wait ? VP_LIVE_ENDED : VP_LIVE_WAITING, DT_NOEND);
		result = read_result(waiter);
		if (!wait)
		{
			vp_live_lock();
			waiter->run->detached = true;
			vp_live_unlock();
		}
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(waiter));
	leave(waiter, NULL);
	return result;
}

/* NULL: it was to be the pipeline's only run, and there is another one. */
static VpRunResult *
start_and_wait(VpPipeline *pipeline, const VpRunOptions *options, bool only, bool wait,
			   VpLiveId *other)
{
	TimestampTz start = GetCurrentTimestamp();
	dsm_segment *request = write_request(options);
	Waiter		waiter = {.watches = true};
	VpRunResult *result;

	waiter.index = claim_run(pipeline, only, start, other);
	if (waiter.index == VP_LIVE_BUSY)
	{
		dsm_detach(request);
		return NULL;
	}
	waiter.run = vp_live_run(waiter.index);
	waiter.counted = true;
	describe_run(waiter.run, pipeline, options, request);
	PG_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(&waiter));
	{
		start_leader(&waiter, start);
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(&waiter));
	result = wait_for_result(&waiter, wait);
	dsm_detach(request);
	return result;
}

/*
 * A run that is being started, as another waiter; false if nothing comes of
 * it.  Once it is held, it can't end unnoticed.
 */
static bool
join_starting(Waiter *waiter, const VpLiveId *id)
{
	bool		begun = false;
	bool		gone = false;

	if (!vp_live_hold(id->index, id->serial))
		return false;
	waiter->index = id->index;
	waiter->run = vp_live_run(id->index);
	PG_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(waiter));
	{
		while (!begun && !gone)
		{
			vp_live_lock();
			gone = waiter->run->cancel ||
				(waiter->run->phase == VP_LIVE_CLAIMED && waiter->run->waiters == 0);
			begun = !gone && waiter->run->phase > VP_LIVE_CLAIMED;
			waiter->run->waiters += begun;
			vp_live_unlock();
			waiter->counted = begun;
			if (!begun)
				nap(FREE_PROCESS_POLL_MS);
		}
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(waiter));
	if (!begun)
		vp_live_let_go(waiter->index);
	return begun;
}

/*
 * The run is the pipeline's next one, or does nothing; NULL: another one was
 * faster, and the caller doesn't want to run after it.
 */
static VpRunResult *
launch(VpPipeline *pipeline, const VpRunOptions *options, VpOverlap overlap, bool wait,
	   VpLiveId *other)
{
	bool		free = pass_gate(pipeline, false);
	VpRunResult *result = NULL;

	if (!free && overlap == VP_OVERLAP_REFUSE)
		raise_refusal(pipeline, false);
	if (!free && wait)
	{
		free = pass_gate(pipeline, true);
		pipeline = vp_pipeline_by_name(pipeline->name);
		vp_pipeline_check_owner(pipeline);
	}
	/* else there is something to do, and the leader will see what */
	if (free && (options->selection != NULL ||
				 (!options->force && options->retry_of == 0 && !options->rebuild)))
		result = run_nothing(pipeline, options);
	if (result == NULL)
		result = start_and_wait(pipeline, options, overlap != VP_OVERLAP_WAIT, wait, other);
	return result;
}

VpRunResult *
vp_launch(VpPipeline *pipeline, const VpRunOptions *options, VpOverlap overlap, bool wait)
{
	Waiter		joined = {.watches = true};
	VpRunResult *result = NULL;
	VpLiveId	other;

	vp_own_check(pipeline);
	while (result == NULL)
	{
		if (overlap == VP_OVERLAP_JOIN && join(&joined, pipeline))
			result = wait_for_result(&joined, wait);
		else
			result = launch(pipeline, options, overlap, wait, &other);
		if (result != NULL)
			break;
		if (overlap == VP_OVERLAP_REFUSE)
			raise_refusal(pipeline, true);
		if (join_starting(&joined, &other))
			result = wait_for_result(&joined, wait);
	}

	/* who doesn't wait gets the run's number, however soon it failed */
	if (wait || result->run.id == 0)
		raise_outcome(result, options->error_on_failure);
	return result;
}

bool
vp_launch_wait(int64 run_id, int64 timeout)
{
	Waiter		waiter = {0};
	bool		ended = true;

	vp_live_lock();
	waiter.index = vp_live_find(run_id);
	if (waiter.index >= 0)
	{
		waiter.run = vp_live_run(waiter.index);
		waiter.run->refs++;
	}
	vp_live_unlock();
	if (waiter.index < 0)
		return true;
	PG_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(&waiter));
	{
		ended = wait_for_phase(&waiter, VP_LIVE_ENDED,
							   timeout < 0 ? DT_NOEND : GetCurrentTimestamp() + timeout);
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(&waiter));
	leave(&waiter, NULL);
	return ended;
}

bool
vp_launch_cancel(int64 run_id, const char *reason)
{
	VpLiveRun  *run = NULL;
	int			index;

	vp_live_lock();
	index = vp_live_find(run_id);
	if (index >= 0 && vp_live_run(index)->phase < VP_LIVE_ENDED)
	{
		run = vp_live_run(index);
		strlcpy(run->error, reason, sizeof(run->error));
		vp_live_cancel(run);
	}
	vp_live_unlock();
	return run != NULL;
}

void
vp_launch_init(void)
{
	DefineCustomIntVariable("vibepiper.max_workers",
							"Workers of a parallel run, unless the run or its pipeline says otherwise.",
							NULL, &max_workers, 4, 1, 1024, PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("vibepiper.worker_wait",
							"How long a run waits for its first free background worker.",
							NULL, &worker_wait, 60000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("vibepiper.progress",
							 "Does a run that is waited for say which assets are done?",
							 NULL, &progress, true, PGC_USERSET, 0, NULL, NULL, NULL);
}
