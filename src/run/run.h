/*
 * run.h
 *	  Run a pipeline: decide, compute, publish, record.
 */
#ifndef VP_RUN_H
#define VP_RUN_H

#include "postgres.h"

#include "catalog/history.h"
#include "catalog/pipeline.h"

typedef struct VpRunOptions
{
	const char *selection;		/* NULL: all */
	bool		force;
	bool		fail_fast;
	bool		error_on_failure;
} VpRunOptions;

typedef struct VpRunResult
{
	VpRunRecord run;
	int			ntasks;			/* one per selected asset, upstreams first */
	VpTaskRecord *tasks;
} VpRunResult;

/*
 * Run in the caller's transaction, one asset after the other, all under one
 * snapshot.  The caller holds the pipeline's lock and has checked rights.  The
 * result lives in the current memory context.
 */
extern VpRunResult *vp_run_serial(VpPipeline *pipeline, const VpRunOptions *options);

#endif							/* VP_RUN_H */
