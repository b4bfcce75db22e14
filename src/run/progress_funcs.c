/*
 * progress_funcs.c
 *	  SQL-callable: runs in progress, from shared memory.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/history.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "common/args.h"
#include "common/extension.h"
#include "run/live.h"

PG_FUNCTION_INFO_V1(vp_run_progress_sql);
PG_FUNCTION_INFO_V1(vp_run_workers_sql);
PG_FUNCTION_INFO_V1(vp_run_status_sql);

static void
put_int(Datum *values, bool *nulls, int i, int32 value)
{
	values[i] = Int32GetDatum(value);
	nulls[i] = false;
}

/* What is left of an estimate made then; -1: there is none. */
static int64
remaining_now(const VpLiveRun *run, TimestampTz now)
{
	if (run->remaining < 0 || run->phase != VP_LIVE_RUNNING)
		return -1;
	return Max(run->remaining - (now - run->remaining_at), 0);
}

static int
count_workers(int64 serial)
{
	int			n = 0;

	for (int i = 0; i < vp_live_room(); i++)
		n += vp_live_worker(i)->serial == serial && vp_live_worker(i)->pid != 0;
	return n;
}

#define PROGRESS_COLUMNS 18

static void
put_run(ReturnSetInfo *result, const VpLiveRun *run, int nworkers)
{
	static const VpTaskStatus order[] = {
		VP_TASK_BUILT, VP_TASK_UNCHANGED, VP_TASK_CACHED, VP_TASK_DEFERRED,
		VP_TASK_FAILED, VP_TASK_SKIPPED, VP_TASK_CANCELLED
	};
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[PROGRESS_COLUMNS];
	bool		nulls[PROGRESS_COLUMNS];
	int			i = 0;

	vp_put_int64(values, nulls, i++, run->run_id, run->run_id != 0);
	vp_put_text(values, nulls, i++, run->pipeline);
	vp_put_text(values, nulls, i++, vp_live_phase_name(run->phase));
	put_int(values, nulls, i++, run->leader_pid);
	put_int(values, nulls, i++, nworkers);
	vp_put_elapsed(values, nulls, i++, run->started_at == 0 ? -1 : now - run->started_at);
	vp_put_elapsed(values, nulls, i++, remaining_now(run, now));
	put_int(values, nulls, i++, run->ntasks);
	put_int(values, nulls, i++, run->counts[VP_TASK_WAITING] - run->running);
	put_int(values, nulls, i++, run->running);
	for (int k = 0; k < lengthof(order); k++)
		put_int(values, nulls, i++, run->counts[order[k]]);
	put_int(values, nulls, i++, run->nboards);
	Assert(i == PROGRESS_COLUMNS);
	vp_result_put(result, values, nulls);
}

/* Copies of the runs in progress in this database, and of their workers' number. */
static VpLiveRun *
copy_runs(int *n, int **nworkers)
{
	VpLiveRun  *runs = palloc(sizeof(VpLiveRun) * vp_live_room());

	*nworkers = palloc(sizeof(int) * vp_live_room());
	*n = 0;
	vp_live_lock();
	for (int i = 0; i < vp_live_room(); i++)
	{
		const VpLiveRun *run = vp_live_run(i);

		if (run->serial == 0 || run->database != MyDatabaseId || run->leader_pid == 0 ||
			run->phase == VP_LIVE_ENDED)
			continue;
		(*nworkers)[*n] = count_workers(run->serial);
		memcpy(&runs[(*n)++], run, offsetof(VpLiveRun, changed));
	}
	vp_live_unlock();
	return runs;
}

/* run_progress() */
Datum
vp_run_progress_sql(PG_FUNCTION_ARGS)
{
	int			n;
	int		   *nworkers;
	VpLiveRun  *runs;
	ReturnSetInfo *result;

	(void) vp_extension_required();
	runs = copy_runs(&n, &nworkers);
	result = vp_result_begin(fcinfo);
	for (int i = 0; i < n; i++)
		put_run(result, &runs[i], nworkers[i]);
	return (Datum) 0;
}

#define WORKER_COLUMNS 7

static void
put_worker(ReturnSetInfo *result, int64 run_id, const VpLiveWorker *worker)
{
	bool		busy = worker->state == VP_WORKER_ASSIGNED;
	VpPhase		phase = pg_atomic_read_u32(&unconstify(VpLiveWorker *, worker)->progress.phase);
	Datum		values[WORKER_COLUMNS];
	bool		nulls[WORKER_COLUMNS];

	vp_put_int64(values, nulls, 0, run_id, true);
	put_int(values, nulls, 1, worker->pid);
	vp_put_text(values, nulls, 2, busy ? worker->asset : NULL);
	vp_put_text(values, nulls, 3, vp_phase_name(busy ? phase : VP_PHASE_IDLE));
	vp_put_int64(values, nulls, 4,
				 pg_atomic_read_u64(&unconstify(VpLiveWorker *, worker)->progress.rows), busy);
	vp_put_int64(values, nulls, 5,
				 pg_atomic_read_u64(&unconstify(VpLiveWorker *, worker)->progress.bytes), busy);
	vp_put_elapsed(values, nulls, 6, busy ? GetCurrentTimestamp() - worker->since : -1);
	vp_result_put(result, values, nulls);
}

/* run_workers() */
Datum
vp_run_workers_sql(PG_FUNCTION_ARGS)
{
	int			n;
	int		   *nworkers;
	VpLiveRun  *runs;
	VpLiveWorker *workers;
	ReturnSetInfo *result;

	(void) vp_extension_required();
	runs = copy_runs(&n, &nworkers);
	workers = palloc(sizeof(VpLiveWorker) * vp_live_room());
	vp_live_lock();
	for (int w = 0; w < vp_live_room(); w++)
		workers[w] = *vp_live_worker(w);
	vp_live_unlock();
	result = vp_result_begin(fcinfo);
	for (int i = 0; i < n; i++)
		for (int w = 0; w < vp_live_room(); w++)
			if (workers[w].serial == runs[i].serial && workers[w].pid != 0)
				put_worker(result, runs[i].run_id, &workers[w]);
	return (Datum) 0;
}

/*
 * run_status(run_id, status): a row that says running though no process leads
 * the run was left by a crash, unless it was finished since the snapshot.
 */
Datum
vp_run_status_sql(PG_FUNCTION_ARGS)
{
	int64		run_id = PG_GETARG_INT64(0);
	text	   *status = PG_GETARG_TEXT_PP(1);
	VpRunRecord *now;

	if (strcmp(text_to_cstring(status), "running") != 0 || RecoveryInProgress() ||
		vp_live_is_running(run_id))
		PG_RETURN_TEXT_P(status);
	(void) vp_extension_required();
	PushActiveSnapshot(GetLatestSnapshot());
	now = vp_run_by_id(run_id);
	PopActiveSnapshot();
	if (now == NULL || strcmp(now->status, "running") != 0)
		PG_RETURN_TEXT_P(status);
	PG_RETURN_TEXT_P(cstring_to_text("failed"));
}
