/*
 * live.h
 *	  Parallel runs in progress: shared memory, bounded by
 *	  max_worker_processes, of which each run needs at least one.
 *
 * A VpLiveRun is claimed by who starts a run, then used by its leader, its
 * workers and all who wait for it; a VpLiveWorker is a process of a run.
 * vp_live_lock() guards every field but the atomic ones; nobody holds it for
 * long, and nothing that can fail or wait is done under it.
 *
 * References: each process that uses the run holds one (vp_live_claim,
 * vp_live_join, vp_live_lead).  The last to let go frees it and, with it, the
 * board of its tasks (see board.h).  Processes that die let go in exit
 * callbacks; a crash of one ends them all.
 *
 *	  claimed -> waiting	its row is there, it waits for the pipeline's lock
 *	  waiting -> loading	it has it: reads the state, takes the snapshot
 *	  loading -> running	tasks
 *	  running -> loading	again, with a new snapshot
 *	  running -> ending		no task is started any more; it publishes
 *	  any     -> ended		the leader is done, or gone
 */
#ifndef VP_LIVE_H
#define VP_LIVE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "storage/condition_variable.h"
#include "storage/dsm_impl.h"
#include "storage/latch.h"

#include "catalog/history.h"
#include "store/progress.h"

#define VP_LIVE_NAME 264		/* a quoted qualified name */

typedef enum VpLivePhase
{
	VP_LIVE_CLAIMED,
	VP_LIVE_WAITING,
	VP_LIVE_LOADING,
	VP_LIVE_RUNNING,
	VP_LIVE_ENDING,
	VP_LIVE_ENDED
} VpLivePhase;

typedef struct VpLiveRun
{
	int64		serial;			/* of this use; 0: free */
	int			refs;
	int			waiters;		/* callers for whose sake it runs */
	bool		detached;		/* it goes on without them */
	bool		cancel;			/* somebody wants it to stop */

	/* who starts it says: */
	Oid			database;
	Oid			user;			/* of the sessions of leader and workers */
	int32		pipeline_id;
	char		pipeline[NAMEDATALEN];
	dsm_handle	request;		/* see launch.h */
	char		debug_point[80];	/* see common/point.h */

	/* the leader says: */
	int			leader_pid;
	Latch	   *leader_latch;
	VpLivePhase phase;
	int64		run_id;			/* 0: not known yet */
	TimestampTz started_at;
	int			ntasks;
	int			counts[VP_TASK_STATUSES];
	int			running;		/* among the waiting ones */
	int64		remaining;		/* estimate in microseconds, -1: none; ... */
	TimestampTz remaining_at;	/* ... made then */
	dsm_handle	board;
	int			nboards;		/* how many there were so far */

	/* when it has ended: */
	bool		failed;
	bool		cancelled;
	int			sqlerrcode;		/* 0: its tasks tell all */
	char		error[512];

	ConditionVariable changed;	/* any of the above */
} VpLiveRun;

typedef enum VpWorkerState
{
	VP_WORKER_STARTING,
	VP_WORKER_IDLE,
	VP_WORKER_ASSIGNED,			/* has a task */
	VP_WORKER_DONE,				/* it is done, the leader hasn't looked yet */
	VP_WORKER_GONE
} VpWorkerState;

typedef struct VpLiveWorker
{
	int64		serial;			/* of the run; 0: free */
	VpWorkerState state;
	int			pid;			/* 0: not there yet */
	Latch	   *latch;
	int			node;			/* its task */
	bool		connected;		/* to the database */
	bool		stop;			/* it is to end */
	Oid			database;
	int32		asset_id;
	char		asset[VP_LIVE_NAME];
	TimestampTz since;
	VpProgress	progress;
} VpLiveWorker;

extern void vp_live_init(void);

extern void vp_live_lock(void);
extern void vp_live_unlock(void);

/* How many runs, and workers, there is room for. */
extern int	vp_live_room(void);
extern VpLiveRun *vp_live_run(int index);
extern VpLiveWorker *vp_live_worker(int index);

/*
 * Index of the run, or -1; under the lock.  Of a pipeline's, the one that has
 * begun, or else one that waits for that; to join, one that nobody has asked to
 * stop.
 */
extern int	vp_live_find(int64 run_id);
extern int	vp_live_find_pipeline(int32 pipeline_id, bool to_join);

/*
 * Claim a free one for a run of the pipeline: initialized, with one reference
 * and a serial.  If it is to be the only one of the pipeline's, none may have
 * been claimed that hasn't ended, nor been asked to stop: else `other` says which.  Returns its index,
 * or one of these:
 */
#define VP_LIVE_NONE_FREE	(-1)
#define VP_LIVE_BUSY		(-2)

typedef struct VpLiveId
{
	int			index;
	int64		serial;
} VpLiveId;

extern int	vp_live_claim(int32 pipeline_id, bool only, VpLiveId *other);

/* Take a reference; false if it isn't that one any more. */
extern bool vp_live_hold(int index, int64 serial);
extern void vp_live_let_go(int index);

/* Wake up everybody who waits for a change; not under the lock. */
extern void vp_live_announce(VpLiveRun *run);

/* Ask the run to stop; under the lock. */
extern void vp_live_cancel(VpLiveRun *run);

/* Claim a free worker for the run, STARTING; -1 if there is none. */
extern int	vp_live_claim_worker(int64 serial);

/*
 * This backend waits for the run, until it says so with 0: who looks for
 * deadlocks wants to know.
 */
extern void vp_live_wait_for(int64 serial);

/*
 * Pids of whom the process waits for without a lock: a caller for the leader
 * of its run, a leader for its workers.  Of callers that wait for this very
 * process nothing is said: they look by themselves.
 */
extern List *vp_live_awaited_by(int pid);

/* Is it a leader or a worker? */
extern bool vp_live_has_process(int pid);

/*
 * Runs of the pipeline that are still called running though nobody leads them:
 * write down that they failed.
 */
extern void vp_live_bury(int32 pipeline_id);

/* Is this run in progress in this database? */
extern bool vp_live_is_running(int64 run_id);

/* Ids of the assets that are being built in this database. */
extern Bitmapset *vp_live_building(void);

extern const char *vp_live_phase_name(VpLivePhase phase);

#endif							/* VP_LIVE_H */
