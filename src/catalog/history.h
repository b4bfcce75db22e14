/*
 * history.h
 *	  Rows of vibepiper.run and vibepiper.task.
 */
#ifndef VP_HISTORY_H
#define VP_HISTORY_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "catalog/pipeline.h"

typedef enum VpTaskStatus
{
	VP_TASK_WAITING,			/* not decided yet; never stored */
	VP_TASK_BUILT,				/* computed, rows differ */
	VP_TASK_UNCHANGED,			/* computed, same rows */
	VP_TASK_CACHED,				/* fresh, not computed */
	VP_TASK_DEFERRED,			/* lazy */
	VP_TASK_FAILED,
	VP_TASK_SKIPPED,			/* an upstream failed */
	VP_TASK_CANCELLED
} VpTaskStatus;

#define VP_TASK_STATUSES (VP_TASK_CANCELLED + 1)

typedef struct VpTaskRecord
{
	int64		run_id;
	int32		asset_id;
	const char *asset;
	VpTaskStatus status;
	const char *reason;
	int64		rows;			/* -1: not known */
	int64		bytes;			/* -1: not known */
	TimestampTz started_at;		/* 0: never */
	int64		elapsed;		/* microseconds, -1: not known; ... */
	int64		compute_elapsed;	/* ... its parts: query, hash, store */
	int64		index_elapsed;
	int64		analyze_elapsed;
	int64		version_id;		/* 0: none */
	ErrorData  *error;			/* NULL: none */
} VpTaskRecord;

typedef struct VpRunRecord
{
	int64		id;
	int32		pipeline_id;
	const char *pipeline;
	const char *kind;			/* run, rollback */
	const char *selection;		/* NULL: all */
	bool		force;
	const char *publish;
	const char *status;			/* running, succeeded, failed, cancelled */
	TimestampTz started_at;
	int			counts[VP_TASK_STATUSES];
} VpRunRecord;

extern const char *vp_task_status_name(VpTaskStatus status);

/* Insert as `running`; sets ->id. */
extern void vp_run_insert(VpRunRecord *run);
extern void vp_run_finish(const VpRunRecord *run);

/* Does this run exist in the pipeline's history? */
extern bool vp_run_exists(int32 pipeline_id, int64 run_id);
extern void vp_task_insert(const VpTaskRecord *task);

#endif							/* VP_HISTORY_H */
