/*
 * live.c
 *	  Parallel runs in progress, in shared memory.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/snapmgr.h"

#include "run/live.h"

/* A backend that waits for a run. */
typedef struct VpLiveWait
{
	int			pid;			/* 0: free */
	int64		serial;			/* of the run */
} VpLiveWait;

typedef struct VpLive
{
	LWLock	   *lock;
	int			room;
	int64		last_serial;
	VpLiveRun	runs[FLEXIBLE_ARRAY_MEMBER];
	/* VpLiveWorker workers[room] */
	/* VpLiveWait waits[MaxBackends] */
} VpLive;

static VpLive *live = NULL;
static VpLiveWorker *workers = NULL;
static VpLiveWait *waits = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size
runs_size(void)
{
	return MAXALIGN(add_size(offsetof(VpLive, runs),
							 mul_size(max_worker_processes, sizeof(VpLiveRun))));
}

static Size
workers_size(void)
{
	return MAXALIGN(mul_size(max_worker_processes, sizeof(VpLiveWorker)));
}

static Size
live_size(void)
{
	return add_size(add_size(runs_size(), workers_size()),
					mul_size(MaxBackends, sizeof(VpLiveWait)));
}

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(live_size());
	RequestNamedLWLockTranche("vibepiper", 1);
}

static void
startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	live = ShmemInitStruct("vibepiper runs", live_size(), &found);
	workers = (VpLiveWorker *) ((char *) live + runs_size());
	waits = (VpLiveWait *) ((char *) workers + workers_size());
	if (!found)
	{
		memset(live, 0, live_size());
		live->lock = &GetNamedLWLockTranche("vibepiper")->lock;
		live->room = max_worker_processes;
		for (int i = 0; i < live->room; i++)
		{
			ConditionVariableInit(&live->runs[i].changed);
			pg_atomic_init_u32(&workers[i].progress.phase, VP_PHASE_IDLE);
			pg_atomic_init_u64(&workers[i].progress.rows, 0);
			pg_atomic_init_u64(&workers[i].progress.bytes, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
vp_live_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}

void
vp_live_lock(void)
{
	LWLockAcquire(live->lock, LW_EXCLUSIVE);
}

void
vp_live_unlock(void)
{
	LWLockRelease(live->lock);
}

int
vp_live_room(void)
{
	return live->room;
}

VpLiveRun *
vp_live_run(int index)
{
	Assert(index >= 0 && index < live->room);
	return &live->runs[index];
}

VpLiveWorker *
vp_live_worker(int index)
{
	Assert(index >= 0 && index < live->room);
	return &workers[index];
}

int
vp_live_find(int64 run_id)
{
	for (int i = 0; i < live->room; i++)
		if (live->runs[i].serial != 0 && live->runs[i].database == MyDatabaseId &&
			live->runs[i].run_id == run_id)
			return i;
	return -1;
}

int
vp_live_find_pipeline(int32 pipeline_id, bool to_join)
{
	int			waiting = -1;

	for (int i = 0; i < live->room; i++)
	{
		const VpLiveRun *run = &live->runs[i];

		if (run->serial == 0 || run->database != MyDatabaseId ||
			run->pipeline_id != pipeline_id || run->phase < VP_LIVE_WAITING ||
			run->phase >= VP_LIVE_ENDED || (to_join && run->cancel))
			continue;
		if (run->phase > VP_LIVE_WAITING)
			return i;
		waiting = i;
	}
	return waiting;
}

/* All but what must stay as it is for those who look at the variable. */
static void
reset_run(VpLiveRun *run)
{
	memset(run, 0, offsetof(VpLiveRun, changed));
	run->remaining = -1;
}

int
vp_live_claim(int32 pipeline_id, bool only, VpLiveId *other)
{
	int			found = VP_LIVE_NONE_FREE;

	vp_live_lock();
	for (int i = 0; i < live->room && found != VP_LIVE_BUSY; i++)
	{
		const VpLiveRun *run = &live->runs[i];

		if (run->serial == 0)
			found = found == VP_LIVE_NONE_FREE ? i : found;
		else if (only && run->pipeline_id == pipeline_id &&
				 run->database == MyDatabaseId && run->phase < VP_LIVE_ENDED &&
				 !run->cancel)
		{
			found = VP_LIVE_BUSY;
			other->index = i;
			other->serial = run->serial;
		}
	}
	if (found >= 0)
	{
		VpLiveRun  *run = &live->runs[found];

		reset_run(run);
		run->serial = ++live->last_serial;
		run->refs = 1;
		run->database = MyDatabaseId;
		run->pipeline_id = pipeline_id;
	}
	vp_live_unlock();
	return found;
}

bool
vp_live_hold(int index, int64 serial)
{
	VpLiveRun  *run = vp_live_run(index);
	bool		same;

	vp_live_lock();
	same = run->serial == serial;
	if (same)
		run->refs++;
	vp_live_unlock();
	return same;
}

void
vp_live_let_go(int index)
{
	VpLiveRun  *run = vp_live_run(index);
	dsm_handle	board = DSM_HANDLE_INVALID;

	vp_live_lock();
	Assert(run->refs > 0);
	if (--run->refs == 0)
	{
		board = run->board;
		reset_run(run);
	}
	vp_live_unlock();
	if (board != DSM_HANDLE_INVALID)
		dsm_unpin_segment(board);
}

void
vp_live_announce(VpLiveRun *run)
{
	ConditionVariableBroadcast(&run->changed);
}

void
vp_live_cancel(VpLiveRun *run)
{
	bool		again = run->cancel;

	run->cancel = true;
	if (run->leader_latch == NULL)
		return;
	SetLatch(run->leader_latch);

	/* it may wait for a lock; while there are tasks it looks by itself */
	if (!again && run->phase != VP_LIVE_RUNNING)
		(void) kill(run->leader_pid, SIGINT);
}

int
vp_live_claim_worker(int64 serial)
{
	int			found = -1;

	vp_live_lock();
	for (int i = 0; i < live->room && found < 0; i++)
		if (workers[i].serial == 0)
			found = i;
	if (found >= 0)
	{
		memset(&workers[found], 0, offsetof(VpLiveWorker, progress));
		workers[found].serial = serial;
		workers[found].state = VP_WORKER_STARTING;
	}
	vp_live_unlock();
	return found;
}

void
vp_live_wait_for(int64 serial)
{
	int			pid = serial != 0 ? 0 : MyProcPid;

	vp_live_lock();
	for (int i = 0; i < MaxBackends; i++)
	{
		if (waits[i].pid != pid)
			continue;
		waits[i].pid = serial != 0 ? MyProcPid : 0;
		waits[i].serial = serial;
		break;
	}
	vp_live_unlock();
}

List *
vp_live_awaited_by(int pid)
{
	int		   *pids = palloc(sizeof(int) * (live->room + 1));
	int64		serial = 0;
	List	   *list = NIL;
	int			n = 0;

	vp_live_lock();
	for (int i = 0; i < MaxBackends && serial == 0; i++)
		if (waits[i].pid == pid)
			serial = waits[i].serial;
	for (int i = 0; i < live->room; i++)
	{
		const VpLiveRun *run = &live->runs[i];

		if (run->serial == 0 || run->phase == VP_LIVE_ENDED || run->leader_pid == 0)
			continue;
		if (run->serial == serial && run->leader_pid != MyProcPid)
			pids[n++] = run->leader_pid;
		for (int w = 0; run->leader_pid == pid && w < live->room; w++)
			if (workers[w].serial == run->serial && workers[w].pid != 0)
				pids[n++] = workers[w].pid;
	}
	vp_live_unlock();
	for (int i = 0; i < n; i++)
		list = lappend_int(list, pids[i]);
	return list;
}

bool
vp_live_has_process(int pid)
{
	bool		has = false;

	vp_live_lock();
	for (int i = 0; i < live->room; i++)
		has |= (live->runs[i].serial != 0 && live->runs[i].leader_pid == pid) ||
			(workers[i].serial != 0 && workers[i].pid == pid);
	vp_live_unlock();
	return has;
}

/*
 * A run has its number here before its row can be seen, and until its row says
 * how it ended: so the rows are to be read first.
 */
void
vp_live_bury(int32 pipeline_id)
{
	List	   *dead = NIL;
	List	   *running;
	ListCell   *lc;

	PushActiveSnapshot(GetLatestSnapshot());
	running = vp_runs_running(pipeline_id);
	PopActiveSnapshot();
	foreach(lc, running)
		if (!vp_live_is_running(*(int64 *) lfirst(lc)))
		dead = lappend(dead, lfirst(lc));
	if (dead != NIL)
		vp_runs_bury(dead);
}

bool
vp_live_is_running(int64 run_id)
{
	int			index;
	bool		running;

	vp_live_lock();
	index = vp_live_find(run_id);
	running = index >= 0 && live->runs[index].phase < VP_LIVE_ENDED;
	vp_live_unlock();
	return running;
}

Bitmapset *
vp_live_building(void)
{
	int32	   *ids = palloc(sizeof(int32) * live->room);
	Bitmapset  *set = NULL;
	int			n = 0;

	vp_live_lock();
	for (int i = 0; i < live->room; i++)
		if (workers[i].serial != 0 && workers[i].state == VP_WORKER_ASSIGNED &&
			workers[i].database == MyDatabaseId)
			ids[n++] = workers[i].asset_id;
	vp_live_unlock();
	for (int i = 0; i < n; i++)
		set = bms_add_member(set, ids[i]);
	return set;
}

const char *
vp_live_phase_name(VpLivePhase phase)
{
	switch (phase)
	{
		case VP_LIVE_CLAIMED:
			return "starting";
		case VP_LIVE_WAITING:
			return "waiting";
		case VP_LIVE_LOADING:
			return "loading";
		case VP_LIVE_RUNNING:
			return "running";
		case VP_LIVE_ENDING:
			return "publishing";
		case VP_LIVE_ENDED:
			return "ended";
	}
	return NULL;
}
