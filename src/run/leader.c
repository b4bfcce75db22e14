/*
 * leader.c
 *	  The leader of a parallel run.
 *
 * It holds the pipeline's lock for its session, so that nobody defines, runs,
 * rolls back or purges meanwhile, and goes through these transactions:
 *
 *	  1. insert the run's row, as running
 *	  2. take the snapshot, load and decide, and stay in this transaction while
 *		 workers build under its snapshot; it writes nothing
 *	  3. publish all and finish the run's row, in one commit
 *
 * If a source was rewritten under the snapshot, 2 is repeated with a new one.
 * Without `consistent` there is no snapshot to hold: then 2 holds none, and
 * each task takes its own.
 *
 * Whatever ends the process, end_session() and at_exit() leave no worker, no
 * lock and no running row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/asset.h"
#include "catalog/version.h"
#include "common/deadline.h"
#include "common/extension.h"
#include "common/point.h"
#include "freshness/ring.h"
#include "compat/compat.h"
#include "run/crew.h"
#include "run/estimate.h"
#include "run/leader.h"
#include "run/retry.h"
#include "run/session.h"

#define MAX_SNAPSHOTS 5
#define TIMED_OUT "the run exceeded its timeout"

static Leader leader;

static void
set_phase(VpLivePhase phase)
{
	vp_live_lock();
	leader.run->phase = phase;
	vp_live_unlock();
	vp_live_announce(leader.run);
}

/*
 * The same where it may wait for locks of others: who cancels it now sends a
 * signal, but who did so before has left no more than a note.
 */
static void
enter_phase(VpLivePhase phase)
{
	set_phase(phase);
	if (leader.run->cancel)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("the run was cancelled")));
}

/* ----- the end ----- */

static void
set_outcome(const char *status, int sqlerrcode, const char *error)
{
	if (leader.recorded)
		return;					/* it ended before */
	leader.record.status = status;
	leader.record.error = error == NULL ? NULL :
		MemoryContextStrdup(TopMemoryContext, error);
	leader.sqlerrcode = sqlerrcode;
}

/* Everybody who waits may go on; the run's row is written. */
static void
announce_end(void)
{
	vp_live_lock();
	leader.run->phase = VP_LIVE_ENDED;
	leader.run->failed = strcmp(leader.record.status, "failed") == 0;
	leader.run->cancelled = strcmp(leader.record.status, "cancelled") == 0;
	leader.run->sqlerrcode = leader.sqlerrcode;
	if (leader.record.error != NULL)
	{
		int			length = pg_mbcliplen(leader.record.error, strlen(leader.record.error),
										  sizeof(leader.run->error) - 1);

		memcpy(leader.run->error, leader.record.error, length);
		leader.run->error[length] = '\0';
	}
	leader.run->leader_latch = NULL;
	leader.run->running = 0;
	vp_live_unlock();
	vp_live_announce(leader.run);
	leader.ended = true;
}

/* The run's row, when nothing is published. */
static void
write_end(void)
{
	if (leader.record.id == 0 || leader.recorded)
		return;
	vp_session_start_bookkeeping(true);
	if (leader.tasks != NULL)
	{
		vp_tasks_count(leader.tasks);
		memcpy(leader.record.counts, leader.tasks->result->run.counts,
			   sizeof(leader.record.counts));
		vp_tasks_record(leader.tasks);
	}
	vp_run_finish(&leader.record);
	vp_session_commit();
	leader.recorded = true;
}

/*
 * The end of a transaction doesn't release the lock of a session, but its
 * abort does.
 */
static void
unlock_pipeline(void)
{
	LOCKTAG		tag;

	if (!leader.locked)
		return;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, leader.lock_class, leader.pipeline_id, 0);
	if (vp_lock_held_by_me(&tag, ExclusiveLock))
		LockRelease(&tag, ExclusiveLock, true);
	leader.locked = false;
}

/*
 * The session ends before the run has: by a FATAL error, or since that was
 * asked for.  Workers go first, since the abort gives up the pipeline's lock.
 */
static void
end_session(int code, Datum arg)
{
	if (leader.ended)
		return;
	LWLockReleaseAll();
	vp_crew_dismiss(&leader);
	AbortOutOfAnyTransaction();
	if (!leader.recorded && PostmasterIsAlive())
	{
		set_outcome("cancelled", ERRCODE_ADMIN_SHUTDOWN,
					"the process that led the run was terminated");
		vp_leader_cancel_tasks(&leader, leader.record.error);
		write_end();
	}
	unlock_pipeline();
}

/* The process ends, whatever could be done before. */
static void
at_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	vp_crew_dismiss(&leader);
	if (!leader.ended)
	{
		if (!leader.recorded && leader.connected)
			set_outcome("cancelled", ERRCODE_ADMIN_SHUTDOWN,
						"the process that led the run was terminated");
		else if (!leader.recorded)
			set_outcome("failed", ERRCODE_CONNECTION_FAILURE,
						"the process that was to lead it ended before it was connected to the database");
		announce_end();
	}
	vp_crew_free(&leader);
	vp_live_let_go(leader.index);
}

/* Has its worker ended the task, and nobody has looked yet? */
static bool
take_result(Leader *l, int node)
{
	VpTaskRecord *task = l->tasks->task_of[node];
	const char *reason = task->reason;

	if (task->status != VP_TASK_WAITING || l->map.board == NULL ||
		vp_board_task(l->map.board, node)->status == VP_TASK_WAITING ||
		vp_board_task(l->map.board, node)->status == VP_TASK_CANCELLED)
		return false;
	vp_board_read_record(l->map.board, node, task);
	task->reason = reason;
	vp_live_lock();
	l->run->counts[VP_TASK_WAITING]--;
	l->run->counts[task->status]++;
	vp_live_unlock();
	return true;
}

/* Tasks that were not begun, or not ended, won't be. */
void
vp_leader_cancel_tasks(Leader *l, const char *reason)
{
	if (l->tasks == NULL)
		return;
	for (int i = 0; i < l->tasks->state->ntotal; i++)
	{
		VpTaskRecord *task = l->tasks->task_of[i];

		if (task == NULL || take_result(l, i))
			continue;
		if (task->status == VP_TASK_WAITING)
		{
			task->status = VP_TASK_CANCELLED;
			task->reason = reason;
		}
		else if (task->status == VP_TASK_CANCELLED && !task->stored)
			task->reason = reason;
		if (l->map.board != NULL)
			vp_leader_show_task(l, i);
	}
}

/* ----- the beginning ----- */

static bool
attach(const VpLaunch *launch)
{
	if (!vp_live_hold(launch->index, launch->serial))
		return false;
	leader.index = launch->index;
	leader.serial = launch->serial;
	leader.run = vp_live_run(launch->index);
	leader.context = AllocSetContextCreate(TopMemoryContext, "vibepiper leader",
										   ALLOCSET_DEFAULT_SIZES);
	leader.attempt_context = AllocSetContextCreate(leader.context, "vibepiper attempt",
												   ALLOCSET_DEFAULT_SIZES);
	before_shmem_exit(at_exit, (Datum) 0);
	vp_live_lock();
	leader.run->leader_pid = MyProcPid;
	leader.run->leader_latch = MyLatch;
	leader.pipeline_id = leader.run->pipeline_id;
	vp_live_unlock();
	return true;
}

/* What the caller asks for; the segment is the caller's. */
static void
read_request(void)
{
	dsm_segment *segment = dsm_attach(leader.run->request);
	const VpRunRequest *request;

	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("the caller of the run has gone")));
	request = dsm_segment_address(segment);
	leader.role = request->role;
	leader.options.force = request->force;
	leader.options.fail_fast = request->fail_fast;
	leader.options.consistent = request->consistent;
	leader.options.refuse = request->refuse;
	leader.options.timeout = request->timeout;
	leader.options.rebuild = request->rebuild;
	leader.options.retry_of = request->retry_of;
	leader.options.max_workers = request->max_workers;
	leader.default_workers = request->default_workers;
	leader.worker_wait = request->worker_wait;
	if (request->has_selection)
		leader.options.selection = MemoryContextStrdup(leader.context, request->selection);
	dsm_detach(segment);
}

static void
lock_pipeline(void)
{
	LOCKTAG		tag;

	leader.lock_class = vp_extension_required()->pipeline;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, leader.lock_class, leader.pipeline_id, 0);

	if (!leader.options.refuse)
		(void) LockAcquire(&tag, ExclusiveLock, true, false);
	else if (!vp_pipeline_lock_or_refuse(leader.pipeline_id, true))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another run of the pipeline was faster")));
	leader.locked = true;
}

/* The pipeline as it is now, in the leader's memory. */
static void
read_pipeline(void)
{
	MemoryContext old = MemoryContextSwitchTo(leader.context);

	leader.pipeline = vp_pipeline_by_id(leader.pipeline_id);
	if (leader.pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" was dropped before the run began",
						leader.run->pipeline)));
	if (leader.options.rebuild)
		leader.pipeline->publish = "asset";
	MemoryContextSwitchTo(old);
}

/*
 * From now on the run has a number, and whoever started it may go on.  Others
 * know the number before they can see the row: they don't think that nobody
 * leads it.
 */
static void
insert_run(void)
{
	vp_session_start_bookkeeping(false);
	read_pipeline();
	leader.record = vp_tasks_new_run(leader.pipeline, &leader.options, leader.role);
	leader.record.parallel = true;
	vp_run_insert(&leader.record);
	leader.build.run_id = leader.record.id;
	vp_live_lock();
	leader.run->run_id = leader.record.id;
	vp_live_unlock();
	vp_session_commit();

	vp_live_lock();
	leader.run->started_at = leader.record.started_at;
	vp_live_unlock();
	enter_phase(VP_LIVE_WAITING);
	pgstat_report_activity(STATE_RUNNING,
						   psprintf("run " INT64_FORMAT " of pipeline %s",
									leader.record.id, leader.run->pipeline));
	VP_POINT("leader.inserted");
}

/* Wait for the pipeline's lock: it is ours until the run has ended. */
static void
begin_run(void)
{
	vp_session_start_bookkeeping(false);
	lock_pipeline();
	vp_live_bury(leader.pipeline_id);
	read_pipeline();
	leader.build.pipeline = leader.pipeline;
	leader.build.hash_seed = vp_hash_seed();
	leader.record.started_at = GetCurrentTimestamp();
	vp_run_restart_clock(&leader.record);
	leader.deadline = leader.options.timeout == 0 ? DT_NOEND :
		leader.record.started_at + leader.options.timeout;
	leader.max_workers = leader.options.max_workers > 0 ? leader.options.max_workers :
		leader.pipeline->max_workers > 0 ? leader.pipeline->max_workers :
		leader.default_workers;
	vp_session_commit();

	vp_live_lock();
	leader.run->started_at = leader.record.started_at;
	vp_live_unlock();
	enter_phase(VP_LIVE_LOADING);
	VP_POINT("leader.locked");
}

/* ----- one snapshot's work ----- */

/* Others are to see the task as it is now. */
void
vp_leader_show_task(Leader *l, int node)
{
	VpBoardTask *shown = vp_board_task(l->map.board, node);
	const VpTaskRecord *task = l->tasks->task_of[node];

	vp_live_lock();
	l->run->counts[shown->status]--;
	shown->status = task->status;
	l->run->counts[shown->status]++;
	vp_live_unlock();
	shown->input_hash = l->tasks->state->nodes[node].input_hash;
	shown->task_rows = task->rows;
	if (task->reason != NULL)
		shown->reason = vp_board_put_text(l->map.board, task->reason);
}

/* Decide all nodes that can be decided; what is to be built gets queued. */
static void
decide_free(void)
{
	int			i;

	while ((i = vp_ready_free(leader.ready)) >= 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (vp_tasks_decide(leader.tasks, i))
		{
			vp_ready_queue(leader.ready, i);
			vp_board_task(leader.map.board, i)->reason =
				vp_board_put_text(leader.map.board, leader.tasks->task_of[i]->reason);
			continue;
		}
		if (leader.tasks->task_of[i] != NULL)
			vp_leader_show_task(&leader, i);
		if (leader.tasks->staged[i] != NULL)
		{
			vp_board_write_record(leader.map.board, i, leader.tasks->task_of[i],
								  leader.tasks->staged[i]);
			vp_board_log(leader.map.board, i);
		}
		vp_board_task(leader.map.board, i)->input_hash =
			leader.tasks->state->nodes[i].input_hash;
		leader.remaining -= leader.cost[i];
		vp_ready_done(leader.ready, i);
	}
}

/* Is the failed task to be tried again?  Then when; else 0. */
static TimestampTz
next_attempt(const VpTaskRecord *task)
{
	VpAsset    *asset;

	if (!vp_retry_may_help(task->error->sqlerrcode))
		return 0;
	PushActiveSnapshot(GetTransactionSnapshot());
	asset = vp_asset_by_id(task->asset_id);
	PopActiveSnapshot();
	if (asset == NULL || task->attempts > asset->options.retries)
		return 0;
	return vp_retry_at(asset->options.retry_delay, task->attempts);
}

/* A worker is done with the task, or died of it. */
static void
task_ended(int i)
{
	VpTaskRecord *task = leader.tasks->task_of[i];
	VpBoardTask *shown = vp_board_task(leader.map.board, i);
	const char *reason = task->reason;
	TimestampTz again = 0;

	if (shown->misfit)
		leader.stop = Max(leader.stop, STOP_MISFIT);
	vp_board_read_record(leader.map.board, i, task);
	task->reason = reason;
	if (task->status == VP_TASK_FAILED && leader.stop == GO_ON)
		again = next_attempt(task);
	if (again != 0)
	{
		task->status = shown->status = VP_TASK_WAITING;
		shown->sqlerrcode = 0;
		leader.again_at[i] = again;
		leader.nagain++;
		return;
	}
	vp_tasks_done(leader.tasks, i, vp_board_version(leader.map.board, i));
	shown->input_hash = leader.tasks->state->nodes[i].input_hash;
	vp_live_lock();
	leader.run->counts[VP_TASK_WAITING]--;
	leader.run->counts[task->status]++;
	vp_live_unlock();
	vp_board_log(leader.map.board, i);
	leader.remaining -= leader.cost[i];
	vp_ready_done(leader.ready, i);
	if (task->status == VP_TASK_FAILED && leader.options.fail_fast)
		leader.stop = Max(leader.stop, STOP_FAILED);
}

/* Queue again what is due; returns when the next one is. */
static TimestampTz
queue_due(void)
{
	TimestampTz next = DT_NOEND;
	TimestampTz now = GetCurrentTimestamp();

	if (leader.nagain == 0)
		return next;
	for (int i = 0; i < leader.tasks->state->ntotal; i++)
	{
		if (leader.again_at[i] == 0)
			continue;
		if (leader.again_at[i] > now)
		{
			next = Min(next, leader.again_at[i]);
			continue;
		}
		leader.again_at[i] = 0;
		leader.nagain--;
		vp_ready_queue(leader.ready, i);
	}
	return next;
}

/* Give out tasks while there is somebody to take them. */
static void
dispatch(void)
{
	int			i;

	while ((i = vp_ready_first(leader.ready)) >= 0)
	{
		bool		alone = !leader.tasks->state->nodes[i].parallel;

		if (leader.alone || (alone && leader.running > 0))
			break;
		if (!vp_crew_assign(&leader, i))
			break;
		(void) vp_ready_take(leader.ready);
		leader.alone = alone;
	}
}

static void
look_for_reasons_to_stop(void)
{
	if (leader.run->cancel)
		leader.stop = Max(leader.stop, STOP_CANCELLED);
	else if (GetCurrentTimestamp() >= leader.deadline)
		leader.stop = Max(leader.stop, STOP_TIMEOUT);
}

/* What a user wants to know while he waits. */
static void
show_estimate(void)
{
	int			first = vp_ready_first(leader.ready);
	double		longest = first < 0 ? 0 : vp_ready_rank(leader.ready, first);
	double		remaining;

	for (int w = 0; w < leader.ncrew; w++)
		if (leader.crew[w].node >= 0)
			longest = Max(longest, vp_ready_rank(leader.ready, leader.crew[w].node));
	remaining = Max(longest, leader.remaining / Max(leader.max_workers, 1));
	vp_live_lock();
	leader.run->remaining = (int64) Max(remaining, 0);
	leader.run->remaining_at = GetCurrentTimestamp();
	leader.run->running = leader.running;
	vp_live_unlock();
	vp_live_announce(leader.run);
}

static long
milliseconds_until(TimestampTz when)
{
	return when == DT_NOEND ? INT_MAX :
		Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), when), 1);
}

static bool
everything_is_done(void)
{
	return leader.running == 0 && leader.nagain == 0 &&
		vp_ready_queued(leader.ready) == 0;
}

static void
work(void)
{
	for (;;)
	{
		TimestampTz next = DT_NOEND;
		long		timeout;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		vp_session_reload();
		vp_crew_collect(&leader, task_ended);
		look_for_reasons_to_stop();
		if (leader.stop == GO_ON)
		{
			decide_free();
			next = queue_due();
			vp_crew_hire(&leader);
			dispatch();
		}
		else
			vp_crew_stop_tasks(&leader);
		show_estimate();
		if (leader.running == 0 && (leader.stop != GO_ON || everything_is_done()))
			break;
		timeout = Min(milliseconds_until(next), milliseconds_until(leader.deadline));
		timeout = Min(timeout, vp_crew_patience(&leader));

		/* a snapshot of the catalogs would hold back vacuum for the whole run */
		InvalidateCatalogSnapshotConditionally();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 timeout, PG_WAIT_EXTENSION);
		vp_crew_look_for_deadlock(&leader);
	}
}

/* Others see the board from now on. */
static void
show_board(void)
{
	dsm_pin_segment(leader.map.segment);
	vp_live_lock();
	leader.run->board = dsm_segment_handle(leader.map.segment);
	leader.run->nboards++;
	leader.run->ntasks = leader.map.board->ntasks;
	memset(leader.run->counts, 0, sizeof(leader.run->counts));
	leader.run->counts[VP_TASK_WAITING] = leader.map.board->ntasks;
	leader.run->phase = VP_LIVE_RUNNING;
	vp_live_unlock();
}

/* The tasks that it shows are no more. */
static void
hide_board(void)
{
	dsm_handle	old;

	vp_live_lock();
	old = leader.run->board;
	leader.run->board = DSM_HANDLE_INVALID;
	leader.run->ntasks = 0;
	leader.run->remaining = -1;
	memset(leader.run->counts, 0, sizeof(leader.run->counts));
	vp_live_unlock();
	dsm_unpin_segment(old);
}

static void
prepare_attempt(uint64 tick)
{
	int			ntotal;

	MemoryContextReset(leader.attempt_context);
	MemoryContextSwitchTo(leader.attempt_context);
	leader.stop = GO_ON;
	leader.build.as_of = GetCurrentTransactionStartTimestamp();
	leader.build.snapshot = GetActiveSnapshot();
	leader.build.instant = vp_instant(leader.build.snapshot, tick);
	leader.tasks = vp_tasks_create(leader.pipeline, &leader.options);
	vp_tasks_begin(leader.tasks, &leader.record);
	ntotal = leader.tasks->state->ntotal;
	leader.cost = vp_estimate_costs(leader.tasks->state);
	leader.ready = vp_ready_create(leader.tasks->state->graph, leader.tasks->state->order,
								   leader.options.rebuild ?
								   vp_estimate_reads(leader.tasks->state) : leader.cost);
	leader.again_at = palloc0(sizeof(TimestampTz) * Max(ntotal, 1));
	leader.nagain = 0;
	leader.remaining = 0;
	for (int i = 0; i < ntotal; i++)
		leader.remaining += leader.cost[i];
	leader.map = vp_board_create(leader.tasks, &leader.build, leader.options.consistent);
	show_board();
}

/* Returns why it stopped, or GO_ON: everything is done. */
static Stop
attempt(void)
{
	uint64		tick = vp_ring_tick();

	vp_session_start(leader.options.consistent ? XACT_REPEATABLE_READ : XACT_READ_COMMITTED,
					 0);
	vp_session_commit_asynchronously();
	PushActiveSnapshot(GetTransactionSnapshot());
	VP_POINT("leader.snapshot");
	vp_deadline_set(leader.deadline);
	prepare_attempt(tick);
	vp_deadline_clear();
	if (!leader.options.consistent)
		PopActiveSnapshot();
	VP_POINT("leader.loaded");
	work();
	VP_POINT("leader.computed");
	vp_session_commit();
	MemoryContextSwitchTo(leader.attempt_context);
	return leader.stop;
}

/* ----- publication ----- */

/* And not by a worker, when it had built it. */
static bool
is_published_here(int i)
{
	VpTaskStatus status = leader.tasks->task_of[i]->status;

	if (status == VP_TASK_CACHED)
		return leader.tasks->staged[i] != NULL;
	return !vp_tasks_publishes_each(leader.tasks) &&
		(status == VP_TASK_BUILT || status == VP_TASK_UNCHANGED);
}

/*
 * Nobody can drop what is published before it is.  An asset that was dropped
 * with a schema or a source, without asking for the pipeline's lock, has
 * failed.
 */
static void
lock_assets(void)
{
	for (int i = 0; i < leader.tasks->state->n; i++)
	{
		const VpNode *node = &leader.tasks->state->nodes[i];
		VpTaskRecord *task = leader.tasks->task_of[i];
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		if (task == NULL || !is_published_here(i))
			continue;
		LockRelationOid(node->stub, AccessShareLock);
		if (get_rel_relkind(node->stub) != '\0')
			continue;
		error = palloc0(sizeof(ErrorData));
		error->sqlerrcode = ERRCODE_UNDEFINED_OBJECT;
		error->message = psprintf("asset %s was dropped during the run",
								  leader.tasks->state->graph->nodes[i].display);
		task->error = error;
		task->status = VP_TASK_FAILED;
		task->stored = false;
		leader.tasks->failed = true;
		leader.tasks->staged[i] = NULL;
		vp_board_write_record(leader.map.board, i, task, NULL);
		vp_leader_show_task(&leader, i);
	}
}

/* For the administrator: perhaps nobody waits for the result. */
static void
log_failures(void)
{
	for (int i = 0; i < leader.tasks->result->ntasks; i++)
	{
		const VpTaskRecord *task = &leader.tasks->result->tasks[i];

		if (task->status == VP_TASK_FAILED)
			ereport(LOG,
					(errcode(task->error->sqlerrcode),
					 errmsg("run " INT64_FORMAT " of pipeline \"%s\": asset %s failed: %s",
							leader.record.id, leader.pipeline->name, task->asset,
							task->error->message)));
	}
}

static void
publish(void)
{
	enter_phase(VP_LIVE_ENDING);
	vp_deadline_set(leader.deadline);
	vp_session_start_bookkeeping(true);
	MemoryContextSwitchTo(leader.attempt_context);
	VP_POINT("leader.publishing");
	lock_assets();
	vp_tasks_publish_all(leader.tasks, &leader.build);
	VP_POINT("leader.published");
	vp_tasks_count(leader.tasks);
	memcpy(leader.record.counts, leader.tasks->result->run.counts,
		   sizeof(leader.record.counts));
	leader.record.reused = leader.tasks->result->run.reused;
	leader.record.saved = leader.tasks->result->run.saved;
	vp_tasks_record(leader.tasks);
	set_outcome(leader.tasks->failed ? "failed" : "succeeded", 0, NULL);
	vp_run_finish(&leader.record);
	CHECK_FOR_INTERRUPTS();
	vp_session_commit();
	vp_deadline_clear();
	leader.recorded = true;
	log_failures();
	VP_POINT("leader.committed");
}

static void
end_without_publication(const char *status, int sqlerrcode, const char *error)
{
	set_phase(VP_LIVE_ENDING);
	vp_leader_cancel_tasks(&leader, error);
	set_outcome(status, sqlerrcode, error);
	write_end();
	if (leader.pipeline != NULL)
		ereport(LOG,
				(errmsg("run " INT64_FORMAT " of pipeline \"%s\" %s: %s", leader.record.id,
						leader.pipeline->name, leader.record.status, leader.record.error)));
}

/*
 * What the last attempt recorded isn't true for the next one, and what it
 * published is of another instant.  A run that ends before its tasks are known
 * again has none.
 */
static void
forget_tasks(void)
{
	MemoryContext old;

	enter_phase(VP_LIVE_LOADING);
	old = MemoryContextSwitchTo(leader.context);
	for (int i = 0; i < leader.tasks->state->n; i++)
	{
		const VpTaskRecord *task = leader.tasks->task_of[i];

		if (task != NULL && vp_tasks_publishes_each(leader.tasks) &&
			(task->status == VP_TASK_BUILT || task->status == VP_TASK_UNCHANGED))
			leader.options.again = bms_add_member(leader.options.again, task->asset_id);
	}
	MemoryContextSwitchTo(old);
	vp_session_start_bookkeeping(false);
	vp_tasks_delete(leader.record.id);
	vp_session_commit();
	leader.tasks = NULL;
	vp_board_unmap(&leader.map);
	hide_board();
}

static const char *
who_cancelled(void)
{
	return leader.run->error[0] != '\0' ? pstrdup(leader.run->error) : "cancelled";
}

static void
lead(void)
{
	Stop		stop;
	int			snapshots = 0;

	vp_ring_watch_begin(false);
	read_request();
	insert_run();
	begin_run();
	while ((stop = attempt()) == STOP_MISFIT && ++snapshots < MAX_SNAPSHOTS)
		forget_tasks();
	switch (stop)
	{
		case GO_ON:
			publish();
			break;
		case STOP_FAILED:
			vp_leader_cancel_tasks(&leader, "an asset failed and fail_fast is on");
			publish();
			break;
		case STOP_MISFIT:
			end_without_publication("failed", ERRCODE_T_R_SERIALIZATION_FAILURE,
									"sources were rewritten under each of its snapshots");
			break;
		case STOP_TIMEOUT:
			end_without_publication("failed", ERRCODE_QUERY_CANCELED, TIMED_OUT);
			break;
		case STOP_NO_WORKER:
			end_without_publication("failed", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
									"there was no free background worker for it");
			break;
		case STOP_CANCELLED:
			end_without_publication("cancelled", ERRCODE_QUERY_CANCELED, who_cancelled());
			break;
	}
}

/* An error outside the tasks. */
static void
end_with_error(void)
{
	bool		timed_out = vp_deadline_passed();
	ErrorData  *error;

	MemoryContextSwitchTo(leader.context);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	LWLockReleaseAll();

	/*
	 * A cancellation, perhaps the very one, has nothing left to do.  Workers
	 * go before the abort gives up the pipeline's lock.
	 */
	HOLD_CANCEL_INTERRUPTS();
	vp_deadline_clear();
	vp_crew_dismiss(&leader);
	AbortCurrentTransaction();
	if (leader.recorded)
		return;
	if (leader.run->cancel)
		end_without_publication("cancelled", error->sqlerrcode, who_cancelled());
	else if (timed_out)
		end_without_publication("failed", ERRCODE_QUERY_CANCELED, TIMED_OUT);
	else
		end_without_publication(error->sqlerrcode == ERRCODE_QUERY_CANCELED ?
								"cancelled" : "failed", error->sqlerrcode, error->message);
}

void
vp_leader_main(Datum arg)
{
	VpLaunch	launch = vp_session_begin();

	if (!attach(&launch))
		return;
	vp_crew_hire_first(&leader);
	vp_session_connect(leader.run->database, leader.run->user, MyBgworkerEntry->bgw_name);
	leader.connected = true;
	before_shmem_exit(end_session, (Datum) 0);	/* before it is shut down */
	vp_session_set_point(leader.run->debug_point);
	PG_TRY();
	{
		lead();
	}
	PG_CATCH();
	{
		end_with_error();
	}
	PG_END_TRY();
	vp_crew_release(&leader);
	unlock_pipeline();
	announce_end();
	pgstat_report_stat(true);
}
