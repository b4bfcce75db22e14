/*
 * worker.c
 *	  A worker of a parallel run: one task after the other.
 *
 * Each task is a transaction under the run's snapshot.  What was committed
 * since (versions that other workers staged, rows of our tables) it gets from
 * the board, or reads with a newer snapshot (vp_spi_see_latest).
 *
 * A task is reported only after its commit, so that nothing that happens at
 * commit can turn a success into a lie.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/pipeline.h"
#include "common/point.h"
#include "common/spi.h"
#include "run/board.h"
#include "run/live.h"
#include "run/session.h"
#include "store/files.h"
#include "store/publish.h"
#include "store/slot.h"
#include "store/staged.h"

#define MAX_SNAPSHOTS 5			/* of a task that has its own */

typedef struct Worker
{
	int			index;			/* of the run */
	int64		serial;
	VpLiveRun  *run;
	VpLiveWorker *self;
	int			nboards;		/* which of them is mapped */
	VpBoardMap	map;
	uint32		seen;			/* entries of the board's log */
	MemoryContext task_context;
	VpPipeline *pipeline;		/* as when the board was mapped */
	MemoryContext board_context;
} Worker;

static Worker worker;

/* The process ends, for whatever reason. */
static void
at_exit(int code, Datum arg)
{
	vp_progress = NULL;
	vp_live_lock();
	if (worker.self->serial == worker.serial)
	{
		worker.self->state = VP_WORKER_GONE;
		if (worker.run->leader_latch != NULL)
			SetLatch(worker.run->leader_latch);
		else
			worker.self->serial = 0;	/* nobody else will free it */
	}
	vp_live_unlock();
	vp_live_let_go(worker.index);
}

static bool
attach(const VpLaunch *launch)
{
	bool		wanted;

	if (!vp_live_hold(launch->index, launch->serial))
		return false;
	worker.index = launch->index;
	worker.run = vp_live_run(launch->index);
	worker.self = vp_live_worker(launch->worker);
	worker.serial = launch->serial;
	vp_live_lock();
	wanted = worker.self->serial == launch->serial && worker.run->leader_latch != NULL;
	if (wanted)
	{
		worker.self->pid = MyProcPid;
		worker.self->latch = MyLatch;
		worker.self->state = VP_WORKER_IDLE;
		SetLatch(worker.run->leader_latch);
	}
	vp_live_unlock();
	if (!wanted)
	{
		vp_live_let_go(worker.index);
		return false;
	}
	vp_progress = &worker.self->progress;
	before_shmem_exit(at_exit, (Datum) 0);
	return true;
}

/* The pipeline as it is now. */
static void
read_pipeline(void)
{
	MemoryContext old;

	MemoryContextReset(worker.board_context);
	vp_session_start_bookkeeping(true);
	old = MemoryContextSwitchTo(worker.board_context);
	worker.pipeline = vp_pipeline_by_id(worker.run->pipeline_id);
	MemoryContextSwitchTo(old);
	vp_session_commit();
}

/* Is the board that is mapped the newest?  Else map that. */
static void
look_at_board(void)
{
	dsm_handle	handle;
	int			nboards;

	vp_live_lock();
	handle = worker.run->board;
	nboards = worker.run->nboards;
	vp_live_unlock();
	if (nboards == worker.nboards)
		return;
	vp_board_unmap(&worker.map);
	worker.map = vp_board_map(handle, true);
	if (worker.map.board == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map the tasks of the run")));
	worker.nboards = nboards;
	worker.seen = 0;
	vp_staged_end();
	vp_staged_begin(true);

	read_pipeline();
	if (worker.pipeline == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the pipeline of the run was dropped")));
}

/* What other workers staged meanwhile. */
static void
learn_staged(void)
{
	VpBoard    *board = worker.map.board;
	uint32		n = pg_atomic_read_u32(&board->nlog);

	pg_read_barrier();
	for (; worker.seen < n; worker.seen++)
	{
		const VpBoardTask *task = vp_board_task(board,
												vp_board_logged(board, worker.seen));

		if (task->new_version != 0)
			vp_staged_set(task->def, task->new_slot, task->new_signature);
	}
}

static void
enter_snapshot(VpBoard *board)
{
	PGPROC	   *leader = BackendPidGetProc(worker.run->leader_pid);

	if (leader == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("the leader of the run is gone")));
	if (board->consistent)
		RestoreTransactionSnapshot(RestoreSnapshot((char *) board + board->snapshot),
								   leader);
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* Publish it at once, or not. */
static void
publish(const VpBuild *build, const VpBuildTarget *target, const VpBoardTask *board_task,
		const VpTaskRecord *task, VpVersion *version)
{
	if (version != NULL)
		vp_publish(board_task->def, target->asset_id, build->run_id,
				   list_make1(version));
	else if (task->status == VP_TASK_UNCHANGED)
		vp_build_confirm(build, target, task);
}

/* Slots that no longer fit their asset. */
static void
discard_slots(List *slots)
{
	ListCell   *lc;

	foreach(lc, slots)
	{
		vp_session_start_bookkeeping(false);
		(void) vp_slot_discard(lfirst_oid(lc));
		vp_session_commit();
	}
}

/* What came of the task: it counts, whatever happens to this process. */
static void
hand_over(int node, const VpTaskRecord *task, const VpVersion *version, bool misfit)
{
	vp_board_task(worker.map.board, node)->misfit = misfit;
	vp_board_write_record(worker.map.board, node, task, version);
}

/*
 * The task's transaction.  Errors of the asset end up in the record.  If the
 * snapshot did not fit and the task may be repeated, nothing is recorded.
 */
static void
execute(int node, VpTaskRecord *task, bool may_repeat, bool *misfit)
{
	VpBoard    *board = worker.map.board;
	VpBuildTarget target = vp_board_target(board, node);
	VpBuild		build = {
		.pipeline = worker.pipeline,
		.run_id = board->run_id,
		.as_of = board->consistent ? board->as_of : GetCurrentTimestamp(),
		.deadline = DT_NOEND,
		.hash_seed = board->hash_seed
	};
	VpVersion  *version;

	vp_session_start(XACT_REPEATABLE_READ, build.as_of);
	if (!board->publish_each)
		vp_session_commit_asynchronously();
	MemoryContextSwitchTo(worker.task_context);
	enter_snapshot(board);
	build.snapshot = GetActiveSnapshot();
	build.instant = vp_instant(build.snapshot, board->tick);
	vp_files_begin(build.snapshot);
	VP_POINT("worker.begun");
	version = vp_build(&build, &target, task);
	*misfit = vp_files_misfit();
	vp_files_end();
	if (*misfit && may_repeat)
	{
		AbortCurrentTransaction();
		return;
	}
	if (board->publish_each)
	{
		vp_progress_phase(VP_PHASE_PUBLISHING);
		publish(&build, &target, vp_board_task(board, node), task, version);
	}
	vp_task_insert(task);
	VP_POINT("worker.recorded");
	vp_session_commit();
	task->stored = true;
	hand_over(node, task, version, *misfit);
	MemoryContextSwitchTo(worker.task_context);
	VP_POINT("worker.committed");
	discard_slots(build.unfit_slots);
}

/* An error that ended the task's transaction: cancellation, or at its end. */
static void
note_failure(VpTaskRecord *task, const VpBoardTask *board_task)
{
	ErrorData  *error;

	MemoryContextSwitchTo(worker.task_context);
	error = CopyErrorData();
	if (task->stored)
		EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(worker.task_context);
	if (task->stored)
		return;					/* it was committed; what failed came after */
	task->rows = task->bytes = -1;
	task->version_id = 0;
	if (pg_atomic_read_u32(&worker.map.board->stopping) != 0 &&
		error->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		task->status = VP_TASK_CANCELLED;
		task->error = NULL;
		return;
	}
	task->status = VP_TASK_FAILED;
	task->error = error;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && board_task->sqlerrcode != 0)
	{
		/* the leader says why */
		error->sqlerrcode = board_task->sqlerrcode;
		if (board_task->message != 0)
			error->message = pstrdup(vp_board_text(worker.map.board,
												   board_task->message));
	}
}

/* Store the record of a task whose own transaction was rolled back. */
static void
store_record(VpTaskRecord *task)
{
	vp_session_start_bookkeeping(false);
	MemoryContextSwitchTo(worker.task_context);
	vp_task_insert(task);
	vp_session_commit();
	task->stored = true;
}

static void
run_task(int node, VpTaskRecord *task, bool may_repeat, bool *misfit)
{
	PG_TRY();
	{
		execute(node, task, may_repeat, misfit);
	}
	PG_CATCH();
	{
		note_failure(task, vp_board_task(worker.map.board, node));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(worker.task_context);
	if (task->stored || (*misfit && may_repeat))
		return;
	if (task->status != VP_TASK_CANCELLED)
	{
		/* a wish to stop comes too late for a task that has failed */
		HOLD_CANCEL_INTERRUPTS();
		store_record(task);
		RESUME_CANCEL_INTERRUPTS();
	}
	hand_over(node, task, NULL, *misfit);
}

/*
 * Without a snapshot for all tasks, one that doesn't fit is no other task's
 * matter.
 */
static void
run_task_under_own_snapshots(int node, VpTaskRecord *task)
{
	const VpTaskRecord given = *task;
	bool		misfit = true;

	for (int i = 1; misfit && i <= MAX_SNAPSHOTS; i++)
	{
		*task = given;
		misfit = false;
		run_task(node, task, i < MAX_SNAPSHOTS, &misfit);
	}
	vp_board_task(worker.map.board, node)->misfit = false;
}

static void
do_task(int node)
{
	VpTaskRecord task;
	bool		misfit = false;

	MemoryContextReset(worker.task_context);
	look_at_board();
	MemoryContextSwitchTo(worker.task_context);
	vp_board_read_record(worker.map.board, node, &task);
	task.stored = false;
	task.error = NULL;
	QueryCancelPending = false;
	pg_memory_barrier();
	if (pg_atomic_read_u32(&worker.map.board->stopping) != 0)
	{
		task.status = VP_TASK_CANCELLED;
		hand_over(node, &task, NULL, false);
	}
	else
	{
		learn_staged();
		if (worker.map.board->consistent)
			run_task(node, &task, false, &misfit);
		else
			run_task_under_own_snapshots(node, &task);
	}

	/* an asset's functions may have taken such locks */
	LockReleaseSession(USER_LOCKMETHOD);
	vp_progress_phase(VP_PHASE_IDLE);
	VP_POINT("worker.done");
	vp_live_lock();
	worker.self->state = VP_WORKER_DONE;
	if (worker.run->leader_latch != NULL)
		SetLatch(worker.run->leader_latch);
	vp_live_unlock();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Returns the node that is assigned; -1 at the end. */
static int
wait_for_task(void)
{
	for (;;)
	{
		bool		stop;
		int			node = -1;

		ResetLatch(MyLatch);
		QueryCancelPending = false; /* there is nothing to cancel */
		CHECK_FOR_INTERRUPTS();
		vp_session_reload();
		vp_live_lock();
		stop = worker.self->stop || worker.run->leader_latch == NULL;
		if (worker.self->state == VP_WORKER_ASSIGNED)
			node = worker.self->node;
		vp_live_unlock();
		if (stop || node >= 0)
			return stop ? -1 : node;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0,
						 PG_WAIT_EXTENSION);
	}
}

void
vp_worker_main(Datum arg)
{
	VpLaunch	launch = vp_session_begin();
	int			node;

	if (!attach(&launch))
		return;
	vp_session_connect(worker.run->database, worker.run->user, MyBgworkerEntry->bgw_name);
	vp_spi_see_latest();
	worker.task_context = AllocSetContextCreate(TopMemoryContext, "vibepiper task",
												ALLOCSET_DEFAULT_SIZES);
	worker.board_context = AllocSetContextCreate(TopMemoryContext, "vibepiper board",
												 ALLOCSET_DEFAULT_SIZES);
	vp_session_set_point(worker.run->debug_point);

	vp_live_lock();
	worker.self->connected = true;
	vp_live_unlock();

	/* for the caches: the leader is still busy, and has no task yet */
	read_pipeline();
	pgstat_report_activity(STATE_IDLE, NULL);
	while ((node = wait_for_task()) >= 0)
		do_task(node);
	pgstat_report_stat(true);
}
