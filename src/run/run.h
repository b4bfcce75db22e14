/*
 * run.h
 *	  Run a pipeline: decide, compute, publish, record.
 */
#ifndef VP_RUN_H
#define VP_RUN_H

#include "postgres.h"

#include "nodes/bitmapset.h"

#include "catalog/history.h"
#include "catalog/pipeline.h"
#include "compat/compat.h"

typedef struct VpRunOptions
{
	const char *selection;		/* NULL: all */
	bool		force;
	bool		fail_fast;
	bool		error_on_failure;
	int64		retry_of;		/* 0: of no run */
	int64		timeout;		/* microseconds; 0: none */

	/* of parallel runs */
	int			max_workers;	/* 0: the pipeline's */
	bool		consistent;
	Oid			user;			/* who runs it; 0: the caller */
	bool		rebuild;		/* what a crash took, the most read first,
								 * each published when it is done */
	bool		refuse;			/* fail if the pipeline is being run */
	Bitmapset  *again;			/* ids of assets to compute though fresh */
} VpRunOptions;

typedef struct VpRunResult
{
	VpRunRecord run;
	int			ntasks;			/* one per selected asset, upstreams first */
	VpTaskRecord *tasks;
	int			sqlerrcode;		/* 0: its tasks tell how it ended */
} VpRunResult;

/*
 * Run in the caller's transaction, one asset after the other, all under one
 * snapshot.  The caller holds the pipeline's lock and has checked rights.  The
 * result lives in the current memory context.
 */
extern VpRunResult *vp_run_serial(VpPipeline *pipeline, const VpRunOptions *options);

/* Error (2F000) that says which assets failed. */
pg_noreturn extern void vp_run_raise_failure(const VpRunResult *result);

#endif							/* VP_RUN_H */
