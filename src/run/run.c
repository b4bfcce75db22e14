/*
 * run.c
 *	  Run a pipeline in the caller's transaction.
 *
 * A run is running, then succeeded or failed; its row is inserted as running
 * and updated once.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/snapmgr.h"

#include "catalog/asset.h"
#include "catalog/version.h"
#include "common/deadline.h"
#include "common/point.h"
#include "freshness/ring.h"
#include "run/live.h"
#include "run/retry.h"
#include "run/run.h"
#include "run/tasks.h"
#include "store/files.h"
#include "store/slot.h"
#include "store/staged.h"

static void
wait_until(TimestampTz when)
{
	for (;;)
	{
		long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), when);

		CHECK_FOR_INTERRUPTS();
		if (ms <= 0)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/* Is there to be another attempt?  Then wait for its time. */
static bool
try_again(const VpBuild *build, const VpTaskRecord *task)
{
	VpAsset    *asset;
	TimestampTz when;

	if (task->status != VP_TASK_FAILED || !vp_retry_may_help(task->error->sqlerrcode))
		return false;
	asset = vp_asset_by_id(task->asset_id);
	if (asset == NULL || task->attempts > asset->options.retries)
		return false;
	when = vp_retry_at(asset->options.retry_delay, task->attempts);
	if (when >= build->deadline)
		return false;
	wait_until(when);
	return true;
}

static void
build(VpTasks *tasks, VpBuild *build, int i)
{
	VpTaskRecord *task = tasks->task_of[i];
	VpBuildTarget target = vp_tasks_target(tasks, i);
	VpVersion  *version;

	do
		version = vp_build(build, &target, task);
	while (version == NULL && try_again(build, task));
	if (version != NULL)
		vp_staged_set(tasks->state->nodes[i].def, version->slot, version->signature);
	vp_tasks_done(tasks, i, version);
	if (vp_tasks_publishes_each(tasks) && task->status != VP_TASK_FAILED)
		vp_tasks_publish(tasks, i, build);
}

static void
check_timeout(const VpTasks *tasks, const VpBuild *build)
{
	if (GetCurrentTimestamp() >= build->deadline)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("run of pipeline \"%s\" exceeded its timeout",
						tasks->state->pipeline->name)));
}

static void
build_all(VpTasks *tasks, VpBuild *run)
{
	VpState    *state = tasks->state;

	vp_staged_begin(false);
	vp_files_begin(run->snapshot);
	run->hash_seed = vp_hash_seed();
	for (int k = 0; k < state->ntotal; k++)
	{
		int			i = state->order[k];

		CHECK_FOR_INTERRUPTS();
		check_timeout(tasks, run);
		if (vp_tasks_decide(tasks, i))
			build(tasks, run, i);
		else if (tasks->staged[i] != NULL)
			vp_staged_set(state->nodes[i].def, tasks->staged[i]->slot,
						  tasks->staged[i]->signature);
	}
	vp_files_end();
	vp_staged_end();
	VP_POINT("run.computed");
	vp_tasks_publish_all(tasks, run);
	VP_POINT("run.published");
}

/*
 * Slots that no longer fit their asset go, if this transaction ends right
 * after: a reader's cached plan may name such a slot, and would wait.
 */
static void
trim(const VpBuild *build)
{
	ListCell   *lc;

	if (IsTransactionBlock())
		return;
	foreach(lc, build->unfit_slots)
		(void) vp_slot_discard(lfirst_oid(lc));
}

/*
 * The lock table holds about max_locks_per_transaction * (max_connections +
 * max_prepared_transactions) locks; a new version takes some four.
 */
static void
warn_of_locks(int to_build)
{
	extern int	max_locks_per_xact;
	double		room = (double) max_locks_per_xact * MaxBackends;

	if (to_build * 4.0 > room)
		ereport(WARNING,
				(errmsg("building %d assets in one transaction may exhaust the lock table",
						to_build),
				 errhint("Raise max_locks_per_transaction, run parts of the pipeline with a selection, or use parallel => true.")));
}

void
vp_run_raise_failure(const VpRunResult *result)
{
	StringInfoData detail;
	int			failed = 0;
	int			skipped = 0;
	int			cancelled = 0;

	initStringInfo(&detail);
	for (int i = 0; i < result->ntasks; i++)
	{
		const VpTaskRecord *task = &result->tasks[i];

		skipped += task->status == VP_TASK_SKIPPED;
		cancelled += task->status == VP_TASK_CANCELLED;
		if (task->status != VP_TASK_FAILED)
			continue;
		failed++;
		appendStringInfo(&detail, "%s%s: %s (%s)", detail.len > 0 ? "\n" : "",
						 task->asset, task->error->message,
						 unpack_sql_state(task->error->sqlerrcode));
	}
	if (skipped > 0)
		appendStringInfo(&detail, "\n%d skipped.", skipped);
	if (cancelled > 0)
		appendStringInfo(&detail, "\n%d cancelled.", cancelled);
	ereport(ERROR,
			(errcode(ERRCODE_SQL_ROUTINE_EXCEPTION),
			 errmsg("run of pipeline \"%s\": %d of %d assets failed",
					result->run.pipeline, failed, result->ntasks),
			 errdetail("%s", detail.data),
			 errhint("With on_failure => 'report' the run returns its rows instead.")));
}

VpRunResult *
vp_run_serial(VpPipeline *pipeline, const VpRunOptions *options)
{
	VpRunRecord record = vp_tasks_new_run(pipeline, options, GetUserId());
	VpBuild		build = {.pipeline = pipeline};
	VpTasks    *tasks;
	uint64		tick;

	vp_live_bury(pipeline->id);
	vp_run_insert(&record);
	build.run_id = record.id;
	build.as_of = IsolationUsesXactSnapshot() ?
		GetCurrentTransactionStartTimestamp() : record.started_at;
	build.deadline = options->timeout == 0 ? DT_NOEND :
		record.started_at + options->timeout;
	VP_POINT("run.started");
	CommandCounterIncrement();
	vp_ring_watch_begin(true);
	tick = IsolationUsesXactSnapshot() ? 0 : vp_ring_tick();
	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	build.snapshot = GetActiveSnapshot();
	build.instant = vp_instant(build.snapshot, tick);
	tasks = vp_tasks_create(pipeline, options);
	vp_tasks_begin(tasks, &record);
	if (tasks->to_build > 0)
	{
		warn_of_locks(tasks->to_build);
		build_all(tasks, &build);
		trim(&build);
	}
	else
		vp_tasks_take_decisions(tasks);
	PopActiveSnapshot();
	if (tasks->failed && options->error_on_failure)
		vp_run_raise_failure(tasks->result);
	vp_tasks_count(tasks);
	vp_tasks_record(tasks);
	tasks->result->run.status = tasks->failed ? "failed" : "succeeded";
	vp_run_finish(&tasks->result->run);
	VP_POINT("run.recorded");
	return tasks->result;
}
