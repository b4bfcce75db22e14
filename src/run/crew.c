/*
 * crew.c
 *	  The workers of a run: hire, give tasks, collect results, dismiss.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/memutils.h"

#include "run/blocked.h"
#include "run/crew.h"

/* Wait so long before asking again for a process, or for a task to stop. */
#define ASK_AGAIN_MS 100
#define STOP_AGAIN_MS 1000
#define MAX_STILLBORN 3

/* Ask for one; false if there is no free process. */
static bool
hire(Leader *leader)
{
	VpLaunch	launch = {
		.index = leader->index,
		.serial = leader->serial,
		.worker = vp_live_claim_worker(leader->serial)
	};
	BackgroundWorkerHandle *handle = NULL;
	MemoryContext old = MemoryContextSwitchTo(leader->context);
	VpLiveWorker *worker;

	if (launch.worker >= 0)
	{
		worker = vp_live_worker(launch.worker);
		worker->database = leader->run->database;
		handle = vp_launch_process(&launch, "vp_worker_main", "vibepiper worker",
								   psprintf("vibepiper worker, pipeline %s",
											leader->run->pipeline));
		if (handle == NULL)
		{
			vp_live_lock();
			worker->serial = 0;
			vp_live_unlock();
		}
	}
	if (handle != NULL)
	{
		if (leader->crew == NULL)
			leader->crew = palloc(sizeof(CrewMember) * vp_live_room());
		leader->crew[leader->ncrew++] = (CrewMember)
		{
			.handle = handle,.index = launch.worker,.node = -1
		};
	}
	MemoryContextSwitchTo(old);
	return handle != NULL;
}

void
vp_crew_hire_first(Leader *leader)
{
	(void) hire(leader);
}

void
vp_crew_hire(Leader *leader)
{
	TimestampTz now;
	int			wanted = Min(leader->max_workers,
							 leader->running + vp_ready_queued(leader->ready));

	if (vp_ready_queued(leader->ready) == 0 || leader->alone)
		return;
	while (leader->ncrew < wanted && hire(leader))
		continue;
	if (leader->ncrew > 0)
	{
		leader->short_since = 0;
		return;
	}

	/* there is none at all: wait, but not for ever */
	now = GetCurrentTimestamp();
	if (leader->short_since == 0)
		leader->short_since = now;
	else if (TimestampDifferenceExceeds(leader->short_since, now, leader->worker_wait))
		leader->stop = Max(leader->stop, STOP_NO_WORKER);
}

bool
vp_crew_assign(Leader *leader, int node)
{
	bool		assigned = false;

	for (int w = 0; w < leader->ncrew && !assigned; w++)
	{
		CrewMember *member = &leader->crew[w];
		VpLiveWorker *worker = vp_live_worker(member->index);

		if (member->node >= 0)
			continue;
		vp_live_lock();
		assigned = worker->state == VP_WORKER_IDLE;
		if (assigned)
		{
			worker->node = node;
			worker->asset_id = leader->tasks->state->nodes[node].id;
			strlcpy(worker->asset, leader->tasks->state->graph->nodes[node].display,
					sizeof(worker->asset));
			worker->since = GetCurrentTimestamp();
			pg_atomic_write_u32(&worker->progress.phase, VP_PHASE_QUEUED);
			pg_atomic_write_u64(&worker->progress.rows, 0);
			pg_atomic_write_u64(&worker->progress.bytes, 0);
			worker->state = VP_WORKER_ASSIGNED;
			SetLatch(worker->latch);
			member->node = node;
		}
		vp_live_unlock();
	}
	leader->running += assigned;
	return assigned;
}

/* A worker ended with its task undone: so the task failed. */
static void
note_lost_task(Leader *leader, int node)
{
	VpBoardTask *shown = vp_board_task(leader->map.board, node);
	VpTaskRecord task;
	ErrorData	error = {
		.sqlerrcode = ERRCODE_ADMIN_SHUTDOWN,
		.message = "the background worker that computed it was terminated"
	};

	vp_board_read_record(leader->map.board, node, &task);
	task.attempts = shown->attempts + 1;
	task.status = leader->stop == GO_ON ? VP_TASK_FAILED : VP_TASK_CANCELLED;
	task.error = leader->stop == GO_ON ? &error : NULL;
	task.stored = false;
	vp_board_write_record(leader->map.board, node, &task, NULL);
}

/* A worker ended before it could begin its task: another one may do it. */
static void
give_back(Leader *leader, int node)
{
	vp_ready_queue(leader->ready, node);
	leader->running--;
	leader->alone = false;
}

/* It is gone; its place is free. */
static void
bury(Leader *leader, int w)
{
	VpLiveWorker *worker = vp_live_worker(leader->crew[w].index);

	vp_live_lock();
	if (worker->serial == leader->serial)
		worker->serial = 0;
	vp_live_unlock();
	leader->crew[w] = leader->crew[--leader->ncrew];
}

/* Has a worker ended before it could say that it is there? */
static bool
never_came(const Leader *leader, int w)
{
	pid_t		pid;

	return vp_live_worker(leader->crew[w].index)->state == VP_WORKER_STARTING &&
		GetBackgroundWorkerPid(leader->crew[w].handle, &pid) == BGWH_STOPPED &&
		vp_live_worker(leader->crew[w].index)->state == VP_WORKER_STARTING;
}

/*
 * Several in a row were not connected to the database.  Those that are go on
 * alone.
 */
static void
note_stillborn(Leader *leader)
{
	int			connected = 0;

	if (++leader->stillborn < MAX_STILLBORN)
		return;
	for (int w = 0; w < leader->ncrew; w++)
	{
		const VpLiveWorker *worker = vp_live_worker(leader->crew[w].index);

		connected += worker->connected && worker->state != VP_WORKER_GONE;
	}
	if (connected == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("background workers of the run end before they are connected to the database"),
				 errhint("See the server's log.")));
	leader->max_workers = Min(leader->max_workers, connected);
}

void
vp_crew_collect(Leader *leader, void (*ended) (int node))
{
	for (int w = leader->ncrew - 1; w >= 0; w--)
	{
		CrewMember *member = &leader->crew[w];
		VpLiveWorker *worker = vp_live_worker(member->index);
		int			node = member->node;
		VpWorkerState state;
		bool		gone;

		vp_live_lock();
		state = worker->state;
		if (state == VP_WORKER_DONE)
			worker->state = VP_WORKER_IDLE;
		vp_live_unlock();
		gone = state == VP_WORKER_GONE || never_came(leader, w);
		if (gone && !worker->connected)
		{
			if (node >= 0)
				give_back(leader, node);
			node = -1;
			if (leader->stop == GO_ON)	/* else it may be our doing */
				note_stillborn(leader);
		}
		if (gone && node >= 0 &&
			vp_board_task(leader->map.board, node)->status == VP_TASK_WAITING)
			note_lost_task(leader, node);
		if (gone)
			bury(leader, w);
		if (node < 0 || (!gone && state != VP_WORKER_DONE))
			continue;
		if (!gone)
		{
			member->node = -1;
			leader->stillborn = 0;
		}
		leader->running--;
		leader->alone = false;
		ended(node);
	}
}

void
vp_crew_stop_tasks(Leader *leader)
{
	TimestampTz now = GetCurrentTimestamp();

	if (leader->map.board == NULL || leader->running == 0)
		return;
	if (pg_atomic_read_u32(&leader->map.board->stopping) != 0 &&
		!TimestampDifferenceExceeds(leader->stopped_at, now, STOP_AGAIN_MS))
		return;
	leader->stopped_at = now;
	pg_atomic_write_u32(&leader->map.board->stopping, 1);
	pg_memory_barrier();
	for (int w = 0; w < leader->ncrew; w++)
	{
		VpLiveWorker *worker = vp_live_worker(leader->crew[w].index);

		vp_live_lock();
		if (worker->state == VP_WORKER_ASSIGNED)
			(void) kill(worker->pid, SIGINT);
		vp_live_unlock();
	}
}

static void
fail_deadlocked(Leader *leader, const CrewMember *member, const char *lock)
{
	VpBoardTask *shown = vp_board_task(leader->map.board, member->node);

	shown->message = vp_board_put_text(leader->map.board,
									   psprintf("deadlock detected: asset %s waits for %s, and who holds it for this run",
												vp_live_worker(member->index)->asset, lock));
	shown->sqlerrcode = ERRCODE_T_R_DEADLOCK_DETECTED;
	pg_memory_barrier();
	vp_live_lock();
	if (vp_live_worker(member->index)->state == VP_WORKER_ASSIGNED)
		(void) kill(vp_live_worker(member->index)->pid, SIGINT);
	vp_live_unlock();
}

void
vp_crew_look_for_deadlock(Leader *leader)
{
	TimestampTz now = GetCurrentTimestamp();

	if (leader->stop != GO_ON || leader->running == 0 ||
		!TimestampDifferenceExceeds(leader->looked_at, now, DeadlockTimeout))
		return;
	leader->looked_at = now;
	for (int w = 0; w < leader->ncrew; w++)
	{
		CrewMember *member = &leader->crew[w];
		char	   *lock = NULL;

		if (member->node >= 0)
			lock = vp_blocked_by_me(vp_live_worker(member->index)->pid);
		if (lock != NULL)
			fail_deadlocked(leader, member, lock);
	}
}

long
vp_crew_patience(const Leader *leader)
{
	if (leader->stop != GO_ON)
		return STOP_AGAIN_MS;
	if (leader->short_since != 0)
		return ASK_AGAIN_MS;
	if (leader->ncrew < leader->max_workers && vp_ready_queued(leader->ready) > 0)
		return STOP_AGAIN_MS;	/* more processes may be free by then */
	return leader->running > 0 ? DeadlockTimeout : INT_MAX;
}

void
vp_crew_release(Leader *leader)
{
	for (int w = 0; w < leader->ncrew; w++)
	{
		VpLiveWorker *worker = vp_live_worker(leader->crew[w].index);

		vp_live_lock();
		if (worker->serial == leader->serial)	/* else it is another run's by
												 * now */
		{
			worker->stop = true;
			if (worker->latch != NULL && worker->state != VP_WORKER_GONE)
				SetLatch(worker->latch);
		}
		vp_live_unlock();
	}
}

void
vp_crew_dismiss(Leader *leader)
{
	vp_crew_release(leader);
	if (!leader->ended)
		for (int w = 0; w < leader->ncrew; w++)
			TerminateBackgroundWorker(leader->crew[w].handle);
	for (int w = 0; w < leader->ncrew; w++)
		(void) WaitForBackgroundWorkerShutdown(leader->crew[w].handle);
	leader->running = 0;
}

void
vp_crew_free(Leader *leader)
{
	while (leader->ncrew > 0)
		bury(leader, leader->ncrew - 1);
}
