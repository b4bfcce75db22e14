/*
 * tasks.h
 *	  The tasks of a run: what is to be done, what was done, what is published.
 *
 * A serial run and the leader of a parallel one do the same here; how they get
 * assets built is their own matter.  Everything lives in the memory context
 * that was current in vp_tasks_create().
 *
 * A task is decided when all its selected upstreams are done, since only then
 * is known what it would read:
 *
 *	  waiting -> cached, deferred, skipped, cancelled	vp_tasks_decide()
 *	  waiting -> built, unchanged, failed				whoever builds, then
 *														vp_tasks_done()
 *
 * Published is, by the pipeline's mode,
 *
 *	  run		everything at the end, if no task failed
 *	  succeeded everything at the end that neither failed nor is downstream of
 *				a failure
 *	  asset		each when it is done
 */
#ifndef VP_TASKS_H
#define VP_TASKS_H

#include "postgres.h"

#include "freshness/state.h"
#include "run/build.h"
#include "run/run.h"

typedef struct VpTasks
{
	const VpRunOptions *options;
	VpState    *state;
	VpRunResult *result;
	VpTaskRecord **task_of;		/* by node; NULL: not selected */
	VpVersion **staged;			/* by node; NULL: none */
	Bitmapset  *forced;			/* nodes that are computed though fresh */
	int			to_build;		/* how many may have to be built */
	bool		failed;
} VpTasks;

/*
 * Load the pipeline's state under the active snapshot, select, and decide as
 * if nothing had run yet.
 */
extern VpTasks *vp_tasks_create(VpPipeline *pipeline, const VpRunOptions *options);

/* A new record of such a run, not stored yet. */
extern VpRunRecord vp_tasks_new_run(const VpPipeline *pipeline,
									const VpRunOptions *options, Oid role);

/* This run's, from now on. */
extern void vp_tasks_begin(VpTasks *tasks, const VpRunRecord *run);

/*
 * Decide for a node whose upstreams are done.  True: it is to be built; else
 * its task is done.  Nodes that aren't selected have nothing to decide.
 */
extern bool vp_tasks_decide(VpTasks *tasks, int node);

extern VpBuildTarget vp_tasks_target(const VpTasks *tasks, int node);

/* The node's task was built, unchanged or failed; version is NULL or new. */
extern void vp_tasks_done(VpTasks *tasks, int node, VpVersion *version);

/* Publish the task of one node, or record that its rows are the published ones. */
extern void vp_tasks_publish(VpTasks *tasks, int node, const VpBuild *build);

/* Is each published when it is done? */
extern bool vp_tasks_publishes_each(const VpTasks *tasks);

/* At the end: publish what the mode says. */
extern void vp_tasks_publish_all(VpTasks *tasks, const VpBuild *build);

/* Nothing is to be built: what was decided is the result. */
extern void vp_tasks_take_decisions(VpTasks *tasks);

/* Count the statuses; and store the rows of tasks that have none yet. */
extern void vp_tasks_count(VpTasks *tasks);
extern void vp_tasks_record(const VpTasks *tasks);

#endif							/* VP_TASKS_H */
