/*
 * tasks.c
 *	  The tasks of a run: what is to be done, what was done, what is published.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"

#include "catalog/asset.h"
#include "catalog/version.h"
#include "run/tasks.h"
#include "store/publish.h"
#include "store/staged.h"

static bool
is_bad(VpTaskStatus status)
{
	return status == VP_TASK_FAILED || status == VP_TASK_SKIPPED ||
		status == VP_TASK_CANCELLED;
}

/* An upstream that failed or was skipped in this run; or -1. */
static int
bad_upstream(const VpTasks *tasks, int node)
{
	const VpGraphNode *graph_node = &tasks->state->graph->nodes[node];

	for (int u = 0; u < graph_node->nup; u++)
	{
		const VpTaskRecord *up = tasks->task_of[graph_node->up[u]];

		if (up != NULL && is_bad(up->status))
			return graph_node->up[u];
	}
	return -1;
}

/* One task record per selected asset, upstreams first. */
static void
create_records(VpTasks *tasks, Bitmapset *selected)
{
	VpState    *state = tasks->state;
	VpRunResult *result = tasks->result;

	result->tasks = palloc0(sizeof(VpTaskRecord) * Max(bms_num_members(selected), 1));
	tasks->task_of = palloc0(sizeof(VpTaskRecord *) * Max(state->ntotal, 1));
	tasks->staged = palloc0(sizeof(VpVersion *) * Max(state->ntotal, 1));
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
		tasks->task_of[i] = task;
	}
}

/* What a run that is retried was to publish and didn't. */
static Bitmapset *
assets_to_retry(int64 run_id)
{
	Bitmapset  *ids = NULL;
	ListCell   *lc;

	foreach(lc, vp_run_unpublished(run_id))
		ids = bms_add_member(ids, lfirst_int(lc));
	return ids;
}

static Bitmapset *
nodes_of(const VpState *state, const Bitmapset *ids)
{
	Bitmapset  *nodes = NULL;

	for (int i = 0; i < state->n; i++)
		if (bms_is_member(state->nodes[i].id, ids))
			nodes = bms_add_member(nodes, i);
	return nodes;
}

/* What a failed run computed is good enough for its retry, if it is still right. */
static void
decide(VpTasks *tasks, int i)
{
	VpState    *state = tasks->state;
	bool		force = bms_is_member(i, tasks->forced);

	if (force && tasks->options->retry_of != 0 && !tasks->options->force)
	{
		vp_state_decide(state, i, false);
		if (state->nodes[i].action == VP_ACTION_REUSE &&
			state->nodes[i].reuse->run_id >= tasks->options->retry_of)
			return;
	}
	vp_state_decide(state, i, force);
}

/* Decide about all, as if nothing had run yet; returns how many may be built. */
static int
decide_all(VpTasks *tasks)
{
	VpState    *state = tasks->state;
	int			n = 0;

	for (int k = 0; k < state->ntotal; k++)
	{
		int			i = state->order[k];
		VpNode	   *node = &state->nodes[i];

		CHECK_FOR_INTERRUPTS();
		node->action = VP_ACTION_NONE;
		if (tasks->task_of[i] != NULL)
			decide(tasks, i);
		else
			vp_state_settle(state, i);
		n += node->action == VP_ACTION_BUILD || node->action == VP_ACTION_MAYBE ||
			node->action == VP_ACTION_REUSE;
	}
	return n;
}

VpTasks *
vp_tasks_create(VpPipeline *pipeline, const VpRunOptions *options)
{
	VpTasks    *tasks = palloc0(sizeof(VpTasks));
	Bitmapset  *selected;

	tasks->options = options;
	tasks->result = palloc0(sizeof(VpRunResult));
	tasks->state = vp_state_load(pipeline, options->selection != NULL);
	selected = options->rebuild ? vp_state_lost(tasks->state) :
		vp_state_select(tasks->state, options->selection);
	create_records(tasks, selected);
	if (options->force)
		tasks->forced = selected;
	else
	{
		if (options->retry_of != 0)
			tasks->forced = nodes_of(tasks->state, assets_to_retry(options->retry_of));
		tasks->forced = bms_add_members(tasks->forced,
										nodes_of(tasks->state, options->again));
	}
	tasks->to_build = decide_all(tasks);
	return tasks;
}

VpRunRecord
vp_tasks_new_run(const VpPipeline *pipeline, const VpRunOptions *options, Oid role)
{
	VpRunRecord run = {
		.pipeline_id = pipeline->id,
		.pipeline = pipeline->name,
		.kind = options->rebuild ? "rebuild" : "run",
		.selection = options->selection,
		.force = options->force,
		.publish = options->rebuild ? "asset" : pipeline->publish,
		.role = role,
		.retry_of = options->retry_of,
		.started_at = GetCurrentTimestamp()
	};

	return run;
}

void
vp_tasks_begin(VpTasks *tasks, const VpRunRecord *run)
{
	VpRunResult *result = tasks->result;

	result->run = *run;
	for (int i = 0; i < result->ntasks; i++)
		result->tasks[i].run_id = run->id;
}

/* Nothing more happens to the node: what a downstream that reads it reads. */
static void
settle_inputs(VpTasks *tasks, int i)
{
	tasks->state->nodes[i].action = VP_ACTION_NONE;
	vp_state_settle(tasks->state, i);
}

static const char *
reason_for(const VpTasks *tasks, int i)
{
	const VpNode *node = &tasks->state->nodes[i];

	if (node->action == VP_ACTION_BUILD && tasks->options->retry_of != 0 &&
		!tasks->options->force && bms_is_member(i, tasks->forced))
		return psprintf("retry of run " INT64_FORMAT, tasks->options->retry_of);
	return node->reason;
}

/* A stored version takes the place of the one that would be built. */
static void
reuse(VpTasks *tasks, int i)
{
	VpNode	   *node = &tasks->state->nodes[i];
	VpVersion  *version = unconstify(VpVersion *, node->reuse);

	tasks->staged[i] = version;
	tasks->task_of[i]->version_id = version->id;
	node->version_id = version->id;
	node->in_place = false;
	node->slot = version->slot;
	node->rows = version->rows;
	node->data_hash = version->data_hash;
	node->elapsed = version->elapsed;
	node->action = VP_ACTION_CACHED;
}

bool
vp_tasks_decide(VpTasks *tasks, int i)
{
	VpState    *state = tasks->state;
	VpNode	   *node = &state->nodes[i];
	VpTaskRecord *task = tasks->task_of[i];
	int			bad;

	if (task == NULL)
	{
		settle_inputs(tasks, i);
		return false;
	}
	bad = bad_upstream(tasks, i);
	if (tasks->failed && tasks->options->fail_fast)
	{
		task->status = VP_TASK_CANCELLED;
		task->reason = "an asset failed and fail_fast is on";
	}
	else if (bad >= 0)
	{
		task->status = VP_TASK_SKIPPED;
		task->reason = psprintf("upstream %s %s", state->graph->nodes[bad].display,
								tasks->task_of[bad]->status == VP_TASK_FAILED ?
								"failed" : "was skipped");
	}
	else
	{
		decide(tasks, i);
		task->reason = reason_for(tasks, i);
		if (node->action == VP_ACTION_REUSE)
			reuse(tasks, i);
		if (node->action == VP_ACTION_CACHED)
			task->status = VP_TASK_CACHED;
		else if (node->action == VP_ACTION_DEFERRED)
			task->status = VP_TASK_DEFERRED;
		else
			return true;
	}
	if (task->status == VP_TASK_CACHED)
		task->rows = node->rows;
	settle_inputs(tasks, i);
	return false;
}

VpBuildTarget
vp_tasks_target(const VpTasks *tasks, int i)
{
	const VpNode *node = &tasks->state->nodes[i];
	const VpGraphNode *graph_node = &tasks->state->graph->nodes[i];
	VpBuildTarget target = {
		.asset_id = node->id,
		.def = node->def,
		.stub = node->stub,
		.display = graph_node->display,
		.version_id = node->version_id,
		.slot = node->slot,
		.rows = node->rows,
		.data_hash = node->data_hash,
		.incarnation = node->incarnation,
		.same_signature = node->same_signature
	};

	for (int u = 0; u < graph_node->nup; u++)
	{
		VpNode	   *up = &tasks->state->nodes[graph_node->up[u]];

		target.upstreams = lappend_int(target.upstreams, up->id);
		target.upstream_hashes = lappend(target.upstream_hashes, &up->input_hash);
	}
	return target;
}

void
vp_tasks_done(VpTasks *tasks, int i, VpVersion *version)
{
	VpNode	   *node = &tasks->state->nodes[i];

	tasks->failed |= tasks->task_of[i]->status == VP_TASK_FAILED;
	if (version != NULL)
	{
		tasks->staged[i] = version;
		node->version_id = version->id;
		node->in_place = false;
		node->slot = version->slot;
		node->rows = version->rows;
		node->data_hash = version->data_hash;
	}
	settle_inputs(tasks, i);
}

void
vp_tasks_publish(VpTasks *tasks, int i, const VpBuild *build)
{
	const VpNode *node = &tasks->state->nodes[i];
	const VpTaskRecord *task = tasks->task_of[i];

	if (task == NULL)
		return;
	if (tasks->staged[i] != NULL)
	{
		/* it may be published already, for other inputs */
		if (!tasks->staged[i]->published)
			vp_publish(node->def, node->id, build->run_id, list_make1(tasks->staged[i]));
		if (tasks->staged[i]->other_inputs)
			vp_version_confirm(tasks->staged[i]);
		if (task->status == VP_TASK_CACHED)
			vp_version_used(node->version_id);
	}
	else if (task->status == VP_TASK_UNCHANGED)
	{
		VpBuildTarget target = vp_tasks_target(tasks, i);

		vp_build_confirm(build, &target, task);
	}
}

/* An asset that was computed, because that was forced, is pinned no more. */
static void
release_pins(const VpTasks *tasks)
{
	for (int i = 0; i < tasks->state->n; i++)
	{
		const VpNode *node = &tasks->state->nodes[i];
		const VpTaskRecord *task = tasks->task_of[i];

		if (node->pinned_run != 0 && task != NULL &&
			(task->status == VP_TASK_BUILT || task->status == VP_TASK_UNCHANGED))
			vp_asset_pin(node->id, 0);
	}
}

bool
vp_tasks_publishes_each(const VpTasks *tasks)
{
	return strcmp(tasks->state->pipeline->publish, "asset") == 0;
}

static bool
is_reused(const VpTasks *tasks, int i)
{
	return tasks->staged[i] != NULL && tasks->task_of[i]->status == VP_TASK_CACHED;
}

void
vp_tasks_publish_all(VpTasks *tasks, const VpBuild *build)
{
	const char *mode = tasks->state->pipeline->publish;

	if (strcmp(mode, "run") == 0 && tasks->failed)
		return;
	for (int i = 0; i < tasks->state->n; i++)
	{
		CHECK_FOR_INTERRUPTS();

		/* workers don't publish what was only found */
		if (!vp_tasks_publishes_each(tasks) || is_reused(tasks, i))
			vp_tasks_publish(tasks, i, build);
	}
	release_pins(tasks);
}

void
vp_tasks_take_decisions(VpTasks *tasks)
{
	for (int i = 0; i < tasks->state->n; i++)
	{
		const VpNode *node = &tasks->state->nodes[i];
		VpTaskRecord *task = tasks->task_of[i];

		if (task == NULL)
			continue;
		task->status = node->action == VP_ACTION_DEFERRED ? VP_TASK_DEFERRED : VP_TASK_CACHED;
		task->reason = node->reason;
		if (node->version_id != 0)
			task->rows = node->rows;
	}
}

void
vp_tasks_count(VpTasks *tasks)
{
	VpRunResult *result = tasks->result;

	memset(result->run.counts, 0, sizeof(result->run.counts));
	for (int i = 0; i < result->ntasks; i++)
		result->run.counts[result->tasks[i].status]++;
	result->run.reused = 0;
	result->run.saved = 0;
	for (int i = 0; i < tasks->state->n; i++)
	{
		if (tasks->task_of[i] == NULL || tasks->task_of[i]->status != VP_TASK_CACHED)
			continue;
		result->run.reused += is_reused(tasks, i);
		result->run.saved += tasks->state->nodes[i].elapsed;
	}
}

void
vp_tasks_record(const VpTasks *tasks)
{
	for (int i = 0; i < tasks->result->ntasks; i++)
	{
		const VpTaskRecord *task = &tasks->result->tasks[i];

		if ((task->status != VP_TASK_CACHED || task->version_id != 0) &&
			task->status != VP_TASK_DEFERRED && !task->stored)
			vp_task_insert(task);
	}
}
