/*
 * leader.h
 *	  The leader of a parallel run: its state, shared with the code that
 *	  manages its workers (crew.c).
 */
#ifndef VP_LEADER_H
#define VP_LEADER_H

#include "postgres.h"

#include "graph/ready.h"
#include "run/board.h"
#include "run/launch.h"
#include "run/live.h"
#include "run/tasks.h"

/* Why no more tasks are started; a later reason counts more. */
typedef enum Stop
{
	GO_ON,
	STOP_FAILED,				/* an asset did, and fail_fast is on */
	STOP_MISFIT,				/* begin again with a new snapshot */
	STOP_TIMEOUT,
	STOP_NO_WORKER,
	STOP_CANCELLED
} Stop;

/* A worker, from when it is asked for until it is known to be gone. */
typedef struct CrewMember
{
	BackgroundWorkerHandle *handle;
	int			index;			/* of the VpLiveWorker */
	int			node;			/* what it is building; -1: nothing */
} CrewMember;

typedef struct Leader
{
	int			index;			/* of the run in shared memory */
	int64		serial;
	VpLiveRun  *run;
	bool		connected;
	bool		recorded;		/* how it ended stands in its row */
	bool		ended;			/* and all know */

	/* what is asked for */
	VpRunOptions options;
	Oid			role;
	int			default_workers;
	int			worker_wait;
	int			max_workers;
	TimestampTz deadline;

	/* the run */
	MemoryContext context;
	Oid			lock_class;
	int32		pipeline_id;
	bool		locked;
	VpPipeline *pipeline;
	VpRunRecord record;
	VpBuild		build;
	int			sqlerrcode;

	/* the attempt with one snapshot; in attempt_context */
	MemoryContext attempt_context;
	VpTasks    *tasks;
	VpBoardMap	map;
	VpReady    *ready;
	double	   *cost;			/* by node, microseconds */
	double		remaining;		/* of them */
	TimestampTz *again_at;		/* by node; 0: no further attempt waits */
	int			nagain;
	Stop		stop;

	/* the workers */
	CrewMember *crew;
	int			ncrew;
	int			running;		/* tasks */
	bool		alone;			/* the one that runs wants to be alone */
	int			stillborn;		/* workers that ended before they were
								 * connected */
	TimestampTz short_since;	/* when no worker was to be had; 0: there are */
	TimestampTz stopped_at;		/* when tasks were last asked to stop */
	TimestampTz looked_at;		/* when deadlocks were last looked for */
} Leader;

extern void vp_leader_show_task(Leader *leader, int node);
extern void vp_leader_cancel_tasks(Leader *leader, const char *reason);

#endif							/* VP_LEADER_H */
