/*
 * launch.h
 *	  Parallel runs as their callers see them: start one, wait, get its result.
 *
 * What the leader is told travels in a small segment of dynamic shared memory
 * (VpRunRequest) that the caller makes and keeps mapped until the leader is
 * past reading it; leader and workers know which run is theirs by a VpLaunch
 * in bgw_extra.
 */
#ifndef VP_LAUNCH_H
#define VP_LAUNCH_H

#include "postgres.h"

#include "postmaster/bgworker.h"

#include "catalog/pipeline.h"
#include "run/run.h"

typedef enum VpOverlap
{
	VP_OVERLAP_WAIT,
	VP_OVERLAP_JOIN,
	VP_OVERLAP_REFUSE
} VpOverlap;

typedef struct VpLaunch
{
	int			index;			/* of the VpLiveRun */
	int64		serial;
	int			worker;			/* index of the VpLiveWorker; -1: the leader */
} VpLaunch;

StaticAssertDecl(sizeof(VpLaunch) <= BGW_EXTRALEN, "VpLaunch fits bgw_extra");

typedef struct VpRunRequest
{
	Oid			role;			/* who runs it */
	bool		force;
	bool		fail_fast;
	bool		consistent;
	bool		refuse;
	bool		rebuild;
	int			max_workers;	/* 0: the pipeline's, or else ... */
	int			default_workers;	/* ... this */
	int			worker_wait;	/* milliseconds to wait for a free process */
	int64		timeout;
	int64		retry_of;
	bool		has_selection;
	char		selection[FLEXIBLE_ARRAY_MEMBER];
} VpRunRequest;

/*
 * Run in background workers.  wait: return when it has ended, with its tasks;
 * else when it has begun, with its tasks as they are.  The caller has checked
 * rights.
 */
extern VpRunResult *vp_launch(VpPipeline *pipeline, const VpRunOptions *options,
							  VpOverlap overlap, bool wait);

/*
 * Wait until the run has ended, or for so long (microseconds; -1: for ever).
 * Returns false if the time is over.
 */
extern bool vp_launch_wait(int64 run_id, int64 timeout);

/* Cancel a run that is in progress, for this reason; false: it isn't. */
extern bool vp_launch_cancel(int64 run_id, const char *reason);

/* Register a background worker of a run; NULL if there is no free process. */
extern BackgroundWorkerHandle *vp_launch_process(const VpLaunch *launch,
												 const char *function, const char *type,
												 const char *name);

extern PGDLLEXPORT void vp_leader_main(Datum arg);
extern PGDLLEXPORT void vp_worker_main(Datum arg);

extern void vp_launch_init(void);

#endif							/* VP_LAUNCH_H */
