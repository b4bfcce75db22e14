/*
 * run.c
 *	  Run a pipeline: decide, compute, publish, record.
 *
 * A run is running, then succeeded or failed; its row is inserted as running
 * and updated once.  Published is
 *
 *	  run		everything at the end, if no task failed
 *	  succeeded everything at the end that neither failed nor is downstream of
 *				a failure
 *	  asset		each when it is done
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/asset.h"
#include "catalog/version.h"
#include "common/point.h"
#include "freshness/state.h"
#include "run/build.h"
#include "run/run.h"
#include "store/publish.h"
#include "store/slot.h"
#include "store/staged.h"

typedef struct Run
{
	const VpRunOptions *options;
	VpState    *state;
	VpBuild		build;
	VpRunResult *result;
	VpTaskRecord **task_of;		/* by node; NULL: not selected */
	VpVersion **staged;			/* by node; NULL: none */
	bool		failed;
} Run;

static bool
is_bad(VpTaskStatus status)
{
	return status == VP_TASK_FAILED || status == VP_TASK_SKIPPED ||
		status == VP_TASK_CANCELLED;
}

/* An upstream that failed or was skipped in this run; or -1. */
static int
bad_upstream(const Run *run, int node)
{
	const VpGraphNode *graph_node = &run->state->graph->nodes[node];

	for (int u = 0; u < graph_node->nup; u++)
	{
		const VpTaskRecord *up = run->task_of[graph_node->up[u]];

		if (up != NULL && is_bad(up->status))
			return graph_node->up[u];
	}
	return -1;
}

/* Publish what a finished task staged; forced, it also ends a pin. */
static void
settle(Run *run, int i)
{
	const VpNode *node = &run->state->nodes[i];
	VpTaskStatus status = run->task_of[i]->status;

	if (run->staged[i] != NULL)
		vp_publish(node->def, node->id, run->build.run_id, list_make1(run->staged[i]));
	if (node->pinned_run != 0 &&
		(status == VP_TASK_BUILT || status == VP_TASK_UNCHANGED))
		vp_asset_pin(node->id, 0);
}

/* The node's rows are those of this version from now on, for the run. */
static void
stage(Run *run, int i, VpVersion *version)
{
	VpNode	   *node = &run->state->nodes[i];

	run->staged[i] = version;
	node->version_id = version->id;
	node->slot = version->slot;
	node->rows = version->rows;
	node->data_hash = version->data_hash;
	vp_staged_set(node->def, version->slot, version->signature);
}

static void
execute_task(Run *run, int i, VpTaskRecord *task)
{
	VpNode	   *node = &run->state->nodes[i];
	VpVersion  *version = NULL;

	task->reason = node->reason;
	if (!run->options->force)
		version = vp_build_kept(&run->build, i);
	if (version != NULL)
	{
		task->status = VP_TASK_CACHED;
		task->reason = psprintf("kept from run " INT64_FORMAT, version->run_id);
		task->rows = version->rows;
		task->version_id = version->id;
	}
	else
		version = vp_build(&run->build, i, task);
	if (version != NULL)
		stage(run, i, version);
	if (task->status == VP_TASK_FAILED)
		run->failed = true;
	else if (strcmp(run->state->pipeline->publish, "asset") == 0)
		settle(run, i);
}

/* Decide and do what is to be done for one asset. */
static void
advance(Run *run, int i)
{
	VpNode	   *node = &run->state->nodes[i];
	VpTaskRecord *task = run->task_of[i];
	int			bad = bad_upstream(run, i);

	if (run->failed && run->options->fail_fast)
	{
		task->status = VP_TASK_CANCELLED;
		task->reason = "an asset failed and fail_fast is on";
	}
	else if (bad >= 0)
	{
		task->status = VP_TASK_SKIPPED;
		task->reason = psprintf("upstream %s %s", run->state->graph->nodes[bad].display,
								run->task_of[bad]->status == VP_TASK_FAILED ?
								"failed" : "was skipped");
	}
	else
	{
		vp_state_decide(run->state, i, run->options->force);
		task->reason = node->reason;
		if (node->action == VP_ACTION_CACHED)
			task->status = VP_TASK_CACHED;
		else if (node->action == VP_ACTION_DEFERRED)
			task->status = VP_TASK_DEFERRED;
		else
			execute_task(run, i, task);
	}
	if (task->status == VP_TASK_CACHED && task->rows < 0)
		task->rows = node->rows;
	node->action = VP_ACTION_NONE;
	node->input_hash = vp_state_input_hash(run->state, i);
}

static void
publish_staged(Run *run)
{
	const char *mode = run->state->pipeline->publish;

	if (strcmp(mode, "asset") == 0 || (strcmp(mode, "run") == 0 && run->failed))
		return;
	for (int i = 0; i < run->state->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (run->task_of[i] != NULL)
			settle(run, i);
	}
}

/*
 * Slots that no longer fit their asset go, if this transaction ends right
 * after: a reader's cached plan may name such a slot, and would wait.
 */
static void
trim(const Run *run)
{
	ListCell   *lc;

	if (IsTransactionBlock())
		return;
	foreach(lc, run->build.unfit_slots)
		(void) vp_slot_discard(lfirst_oid(lc));
}

static void
record(Run *run)
{
	VpRunResult *result = run->result;

	for (int i = 0; i < result->ntasks; i++)
	{
		const VpTaskRecord *task = &result->tasks[i];

		result->run.counts[task->status]++;
		if (task->status != VP_TASK_CACHED && task->status != VP_TASK_DEFERRED)
			vp_task_insert(task);
	}
	result->run.status = run->failed ? "failed" : "succeeded";
	vp_run_finish(&result->run);
}

/* One task record per selected asset, in the order of execution. */
static void
create_tasks(Run *run, Bitmapset *selected)
{
	VpState    *state = run->state;
	VpRunResult *result = run->result;

	result->tasks = palloc0(sizeof(VpTaskRecord) * Max(bms_num_members(selected), 1));
	run->task_of = palloc0(sizeof(VpTaskRecord *) * Max(state->ntotal, 1));
	run->staged = palloc0(sizeof(VpVersion *) * Max(state->ntotal, 1));
	for (int k = 0; k < state->ntotal; k++)
	{
		int			i = state->order[k];
		VpTaskRecord *task;

		if (!bms_is_member(i, selected))
			continue;
		task = &result->tasks[result->ntasks++];
		task->asset_id = state->nodes[i].id;
		task->asset = state->graph->nodes[i].display;
		task->rows = task->bytes = task->elapsed = -1;
		task->compute_elapsed = task->index_elapsed = task->analyze_elapsed = -1;
		run->task_of[i] = task;
	}
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
				 errhint("Raise max_locks_per_transaction, or run parts of the pipeline with a selection.")));
}

static int
count_to_build(const VpState *state)
{
	int			n = 0;

	for (int i = 0; i < state->n; i++)
		n += state->nodes[i].action == VP_ACTION_BUILD ||
			state->nodes[i].action == VP_ACTION_MAYBE;
	return n;
}

static void
execute_all(Run *run)
{
	VpState    *state = run->state;

	vp_staged_begin();
	run->build.hash_seed = vp_hash_seed();
	for (int k = 0; k < state->ntotal; k++)
	{
		int			i = state->order[k];

		CHECK_FOR_INTERRUPTS();
		if (run->task_of[i] != NULL)
			advance(run, i);
		else
			state->nodes[i].input_hash = vp_state_input_hash(state, i);
	}
	vp_staged_end();
	VP_POINT("run.computed");
	publish_staged(run);
	VP_POINT("run.published");
	trim(run);
}

/* Nothing is to be built: what the decisions say is the result. */
static void
take_decisions(Run *run)
{
	for (int i = 0; i < run->state->n; i++)
	{
		const VpNode *node = &run->state->nodes[i];
		VpTaskRecord *task = run->task_of[i];

		if (task == NULL)
			continue;
		task->status = node->action == VP_ACTION_DEFERRED ? VP_TASK_DEFERRED : VP_TASK_CACHED;
		task->reason = node->reason;
		if (node->version_id != 0)
			task->rows = node->rows;
	}
}

static void
raise_failure(const VpRunResult *result)
{
	StringInfoData detail;
	int			failed = 0;
	int			skipped = 0;

	initStringInfo(&detail);
	for (int i = 0; i < result->ntasks; i++)
	{
		const VpTaskRecord *task = &result->tasks[i];

		skipped += task->status == VP_TASK_SKIPPED || task->status == VP_TASK_CANCELLED;
		if (task->status != VP_TASK_FAILED)
			continue;
		failed++;
		appendStringInfo(&detail, "%s%s: %s (%s)", detail.len > 0 ? "\n" : "",
						 task->asset, task->error->message,
						 unpack_sql_state(task->error->sqlerrcode));
	}
	if (skipped > 0)
		appendStringInfo(&detail, "\n%d skipped.", skipped);
	ereport(ERROR,
			(errcode(ERRCODE_SQL_ROUTINE_EXCEPTION),
			 errmsg("run of pipeline \"%s\": %d of %d assets failed",
					result->run.pipeline, failed, result->ntasks),
			 errdetail("%s", detail.data),
			 errhint("With on_failure => 'report' the run returns its rows instead.")));
}

static void
begin(Run *run, VpPipeline *pipeline)
{
	VpRunRecord *record = &run->result->run;

	record->pipeline_id = pipeline->id;
	record->pipeline = pipeline->name;
	record->kind = "run";
	record->selection = run->options->selection;
	record->force = run->options->force;
	record->publish = pipeline->publish;
	record->started_at = GetCurrentTimestamp();
	vp_run_insert(record);
	run->build.run_id = record->id;
	run->build.as_of = IsolationUsesXactSnapshot() ?
		GetCurrentTransactionStartTimestamp() : record->started_at;
}

VpRunResult *
vp_run_serial(VpPipeline *pipeline, const VpRunOptions *options)
{
	Run			run = {.options = options};
	Bitmapset  *selected;
	int			to_build;

	run.result = palloc0(sizeof(VpRunResult));
	begin(&run, pipeline);
	VP_POINT("run.started");
	CommandCounterIncrement();
	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	run.build.snapshot = GetActiveSnapshot();
	run.state = run.build.state = vp_state_load(pipeline, options->selection != NULL);
	selected = vp_state_select(run.state, options->selection);
	create_tasks(&run, selected);
	for (int i = 0; i < run.result->ntasks; i++)
		run.result->tasks[i].run_id = run.build.run_id;
	vp_state_decide_all(run.state, selected, options->force);
	to_build = count_to_build(run.state);
	warn_of_locks(to_build);
	if (to_build > 0)
		execute_all(&run);
	else
		take_decisions(&run);
	PopActiveSnapshot();
	if (run.failed && options->error_on_failure)
		raise_failure(run.result);
	record(&run);
	VP_POINT("run.recorded");
	return run.result;
}
