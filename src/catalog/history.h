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
#include "common/hash.h"

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
	VpHash		code_hash;		/* of what was computed; not stored */
	bytea	   *sources;		/* that it read; NULL: not known */
	int			attempts;		/* how often it was tried */
	bool		stored;			/* has it a row? */
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
	Oid			role;			/* who runs it */
	bool		parallel;
	int64		retry_of;		/* 0: of none */
	const char *status;			/* running, succeeded, failed, cancelled */
	const char *error;			/* why it ended so, if not because of a task;
								 * or NULL */
	TimestampTz started_at;
	int			counts[VP_TASK_STATUSES];
	int			reused;			/* of the cached ones: an older version was
								 * right */
	int64		saved;			/* microseconds that the cached ones took once */
} VpRunRecord;

extern const char *vp_task_status_name(VpTaskStatus status);

/* What the row of a run says that nobody could end properly. */
#define VP_RUN_CUT_OFF "the server, or the process that led the run, ended before it"

/* Insert as `running`; sets ->id. */
extern void vp_run_insert(VpRunRecord *run);

/* Does nothing if it is finished already. */
extern void vp_run_finish(const VpRunRecord *run);

/* Runs of the pipeline whose rows say running under the active snapshot; of int64 *. */
extern List *vp_runs_running(int32 pipeline_id);

/* These were cut off by a crash: write down that they failed. */
extern void vp_runs_bury(List *run_ids);

/* It begins now: write ->started_at. */
extern void vp_run_restart_clock(const VpRunRecord *run);

/* Under the active snapshot; NULL if there is none. */
extern VpRunRecord *vp_run_by_id(int64 run_id);

/* Does this run exist in the pipeline's history? */
extern bool vp_run_exists(int32 pipeline_id, int64 run_id);

/* Insert, or replace what an earlier attempt left. */
extern void vp_task_insert(const VpTaskRecord *task);

/* Delete the rows of a run's tasks. */
extern void vp_tasks_delete(int64 run_id);

/*
 * Assets that a run computed, or wanted to, and didn't publish: of int, ids.
 */
extern List *vp_run_unpublished(int64 run_id);

#endif							/* VP_HISTORY_H */
