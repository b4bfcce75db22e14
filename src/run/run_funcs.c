/*
 * run_funcs.c
 *	  SQL-callable: plan, run, and the state of assets.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "catalog/asset.h"
#include "catalog/pg_type.h"
#include "catalog/pipeline.h"
#include "common/args.h"
#include "common/deadline.h"
#include "common/extension.h"
#include "common/spi.h"
#include "freshness/state.h"
#include "run/explain.h"
#include "run/launch.h"
#include "run/live.h"
#include "run/run.h"
#include "store/compute.h"

PG_FUNCTION_INFO_V1(vp_plan_sql);
PG_FUNCTION_INFO_V1(vp_run_sql);
PG_FUNCTION_INFO_V1(vp_retry_run_sql);
PG_FUNCTION_INFO_V1(vp_cancel_run_sql);
PG_FUNCTION_INFO_V1(vp_wait_run_sql);
PG_FUNCTION_INFO_V1(vp_asset_states_sql);
PG_FUNCTION_INFO_V1(vp_explain_asset_sql);
PG_FUNCTION_INFO_V1(vp_is_fresh_sql);

/* The pipeline, its existence and ownership checked. */
static VpPipeline *
pipeline_arg(FunctionCallInfo fcinfo, int n)
{
	VpPipeline *pipeline;

	(void) vp_extension_required();
	pipeline = vp_pipeline_by_name(vp_arg_text_required(fcinfo, n, "pipeline"));
	vp_pipeline_check_owner(pipeline);
	return pipeline;
}

/* plan(pipeline, selection, force) */
Datum
vp_plan_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline = pipeline_arg(fcinfo, 0);
	char	   *selection = vp_arg_text(fcinfo, 1);
	bool		force = vp_arg_bool(fcinfo, 2, "force");
	VpState    *state = vp_state_load(pipeline, selection != NULL);
	Bitmapset  *selected = vp_state_select(state, selection);
	ReturnSetInfo *result = vp_result_begin(fcinfo);

	vp_state_decide_all(state, selected, force);
	for (int k = 0; k < state->ntotal; k++)
	{
		int			i = state->order[k];
		Datum		values[3];
		bool		nulls[3];

		if (!bms_is_member(i, selected))
			continue;
		vp_put_text(values, nulls, 0, state->graph->nodes[i].display);
		vp_put_text(values, nulls, 1, vp_action_name(state->nodes[i].action));
		vp_put_text(values, nulls, 2, state->nodes[i].reason);
		vp_result_put(result, values, nulls);
	}
	return (Datum) 0;
}

static void
put_task(ReturnSetInfo *result, const VpTaskRecord *task)
{
	Datum		values[8];
	bool		nulls[8];

	vp_put_int64(values, nulls, 0, task->run_id, true);
	vp_put_text(values, nulls, 1, task->asset);
	vp_put_text(values, nulls, 2, vp_task_status_name(task->status));
	vp_put_text(values, nulls, 3, task->reason);
	vp_put_int64(values, nulls, 4, task->rows, task->rows >= 0);
	vp_put_elapsed(values, nulls, 5, task->elapsed);
	vp_put_int64(values, nulls, 6, task->bytes, task->bytes >= 0);
	vp_put_text(values, nulls, 7, task->error == NULL ? NULL :
				psprintf("%s (%s)", task->error->message,
						 unpack_sql_state(task->error->sqlerrcode)));
	vp_result_put(result, values, nulls);
}

static bool
error_on_failure(const char *on_failure)
{
	if (strcmp(on_failure, "error") != 0 && strcmp(on_failure, "report") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for on_failure: \"%s\"", on_failure),
				 errhint("Use 'error' or 'report'.")));
	return strcmp(on_failure, "error") == 0;
}

static VpOverlap
overlap_of(const char *overlap)
{
	if (strcmp(overlap, "wait") == 0)
		return VP_OVERLAP_WAIT;
	if (strcmp(overlap, "join") == 0)
		return VP_OVERLAP_JOIN;
	if (strcmp(overlap, "refuse") == 0)
		return VP_OVERLAP_REFUSE;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for overlap: \"%s\"", overlap),
			 errhint("Use 'wait', 'join' or 'refuse'.")));
}

/* 0: the pipeline's */
static int
max_workers_arg(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return 0;
	if (PG_GETARG_INT32(n) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_workers must be positive")));
	return PG_GETARG_INT32(n);
}

/* Microseconds; if_null if there is none. */
static int64
timeout_arg(FunctionCallInfo fcinfo, int n, int64 if_null)
{
	TimestampTz now = GetCurrentTimestamp();
	Interval   *timeout = vp_arg_interval(fcinfo, n);

	if (timeout == NULL)
		return if_null;
	if (vp_deadline_after(now, timeout) < now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout can't be negative")));
	return vp_deadline_after(now, timeout) - now;
}

static void
put_run(ReturnSetInfo *result, const VpRunRecord *run)
{
	Datum		values[8] = {0};
	bool		nulls[8];

	memset(nulls, true, sizeof(nulls));
	vp_put_int64(values, nulls, 0, run->id, true);
	vp_put_text(values, nulls, 2, run->status);
	vp_result_put(result, values, nulls);
}

/* A row per task; of a run that isn't waited for, one row. */
static void
put_result(FunctionCallInfo fcinfo, const VpRunResult *run, bool wait)
{
	ReturnSetInfo *result = vp_result_begin(fcinfo);

	if (!wait)
	{
		put_run(result, &run->run);
		return;
	}
	for (int i = 0; i < run->ntasks; i++)
		put_task(result, &run->tasks[i]);
}

/* Is it possible here and now? */
static void
check_can_run(const char *function)
{
	vp_refuse_inside_asset(function);
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("a pipeline can't run on a standby server")));
	PreventCommandIfReadOnly(psprintf("vibepiper.%s", function));
}

static VpRunResult *
run_serially(VpPipeline *pipeline, const VpRunOptions *options)
{
	vp_pipeline_let_go(pipeline);
	vp_pipeline_lock(pipeline->id);
	pipeline = vp_pipeline_by_name(pipeline->name);
	vp_pipeline_check_owner(pipeline);
	return vp_run_serial(pipeline, options);
}

/*
 * run(pipeline, selection, parallel, max_workers, force, wait, fail_fast,
 * on_failure, overlap, consistent, timeout)
 */
Datum
vp_run_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline = pipeline_arg(fcinfo, 0);
	bool		parallel = vp_arg_bool(fcinfo, 2, "parallel");
	bool		wait = vp_arg_bool(fcinfo, 5, "wait");
	VpOverlap	overlap = overlap_of(vp_arg_text_required(fcinfo, 8, "overlap"));
	VpRunOptions options = {
		.selection = vp_arg_text(fcinfo, 1),
		.max_workers = max_workers_arg(fcinfo, 3),
		.force = vp_arg_bool(fcinfo, 4, "force"),
		.fail_fast = vp_arg_bool(fcinfo, 6, "fail_fast"),
		.error_on_failure =
		error_on_failure(vp_arg_text_required(fcinfo, 7, "on_failure")),
		.consistent = vp_arg_bool(fcinfo, 9, "consistent"),
		.refuse = overlap == VP_OVERLAP_REFUSE,
		.timeout = timeout_arg(fcinfo, 10, 0)
	};

	check_can_run("run()");
	put_result(fcinfo, parallel ? vp_launch(pipeline, &options, overlap, wait) :
			   run_serially(pipeline, &options), wait || !parallel);
	return (Datum) 0;
}

/* The run, its existence and the pipeline's ownership checked. */
static VpRunRecord *
run_arg(FunctionCallInfo fcinfo, int n, VpPipeline **pipeline)
{
	VpRunRecord *run;

	(void) vp_extension_required();
	vp_arg_require(fcinfo, n, "run_id");
	PushActiveSnapshot(GetLatestSnapshot());	/* the leader has inserted it */
	run = vp_run_by_id(PG_GETARG_INT64(n));
	PopActiveSnapshot();
	*pipeline = run == NULL ? NULL : vp_pipeline_by_id(run->pipeline_id);
	if (*pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("run " INT64_FORMAT " does not exist", PG_GETARG_INT64(n))));
	vp_pipeline_check_owner(*pipeline);
	return run;
}

/* retry_run(run_id, parallel, max_workers, wait, on_failure) */
Datum
vp_retry_run_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline;
	VpRunRecord *run = run_arg(fcinfo, 0, &pipeline);
	bool		parallel = vp_arg_bool(fcinfo, 1, "parallel");
	bool		wait = vp_arg_bool(fcinfo, 3, "wait");
	VpRunOptions options = {
		.selection = run->selection,
		.force = run->force,
		.retry_of = run->id,
		.max_workers = max_workers_arg(fcinfo, 2),
		.error_on_failure =
		error_on_failure(vp_arg_text_required(fcinfo, 4, "on_failure")),
		.consistent = true
	};

	check_can_run("retry_run()");
	if (strcmp(run->kind, "run") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("run " INT64_FORMAT " is a %s, which can't be retried", run->id,
						run->kind)));
	if (vp_live_is_running(run->id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("run " INT64_FORMAT " is still in progress", run->id)));
	if (strcmp(run->status, "succeeded") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("run " INT64_FORMAT " succeeded: there is nothing to retry",
						run->id)));
	put_result(fcinfo, parallel ? vp_launch(pipeline, &options, VP_OVERLAP_WAIT, wait) :
			   run_serially(pipeline, &options), wait || !parallel);
	return (Datum) 0;
}

/* cancel_run(run_id) */
Datum
vp_cancel_run_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline;
	VpRunRecord *run = run_arg(fcinfo, 0, &pipeline);

	vp_refuse_inside_asset("cancel_run()");
	PG_RETURN_BOOL(vp_launch_cancel(run->id, "cancelled by cancel_run()"));
}

/* wait_run(run_id, timeout) */
Datum
vp_wait_run_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline;
	VpRunRecord *run = run_arg(fcinfo, 0, &pipeline);
	const char *status = "running";

	vp_refuse_inside_asset("wait_run()");
	if (vp_launch_wait(run->id, timeout_arg(fcinfo, 1, -1)))
	{
		PushActiveSnapshot(GetLatestSnapshot());
		run = vp_run_by_id(run->id);
		PopActiveSnapshot();
		if (run == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("run " INT64_FORMAT " does not exist any more",
							PG_GETARG_INT64(0))));
		status = run->status;
	}
	PG_RETURN_TEXT_P(cstring_to_text(status));
}

static List *
all_pipeline_ids(void)
{
	static VpStatement statement = {
		"SELECT pipeline_id FROM vibepiper.pipeline ORDER BY 1", 0, {0}
	};
	MemoryContext caller = CurrentMemoryContext;
	List	   *ids = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, true);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
	vp_spi_close(&spi);
	return ids;
}

/* asset_states(): asset_id, state, reason of every asset */
Datum
vp_asset_states_sql(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	Bitmapset  *building;
	ListCell   *lc;

	(void) vp_extension_required();
	result = vp_result_begin(fcinfo);
	building = vp_live_building();
	foreach(lc, all_pipeline_ids())
	{
		VpPipeline *pipeline = vp_pipeline_by_id(lfirst_int(lc));
		VpState    *state;

		if (pipeline == NULL)
			continue;
		state = vp_state_load(pipeline, false);
		vp_state_decide_all(state, vp_state_select(state, NULL), false);
		for (int i = 0; i < state->n; i++)
		{
			Datum		values[3] = {Int32GetDatum(state->nodes[i].id)};
			bool		nulls[3] = {false};

			vp_put_text(values, nulls, 1, bms_is_member(state->nodes[i].id, building) ?
						"building" : vp_explain_state(&state->nodes[i]));
			vp_put_text(values, nulls, 2, state->nodes[i].reason);
			vp_result_put(result, values, nulls);
		}
	}
	return (Datum) 0;
}

/* An asset that the current user may read or manage. */
static VpAsset *
readable_asset(FunctionCallInfo fcinfo, int n)
{
	VpAsset    *asset;

	(void) vp_extension_required();
	asset = vp_asset_by_name(vp_arg_text_required(fcinfo, n, "name"));
	if (!has_privs_of_role(GetUserId(), asset->owner) &&
		pg_class_aclcheck(asset->stub, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_VIEW, asset->name);
	return asset;
}

/* explain_asset(name) */
Datum
vp_explain_asset_sql(PG_FUNCTION_ARGS)
{
	VpAsset    *asset = readable_asset(fcinfo, 0);

	vp_asset_check_owner(asset);
	PG_RETURN_TEXT_P(cstring_to_text(vp_explain_asset(asset)));
}

/* is_fresh(name) */
Datum
vp_is_fresh_sql(PG_FUNCTION_ARGS)
{
	VpAsset    *asset = readable_asset(fcinfo, 0);
	VpState    *state = vp_state_load(vp_pipeline_by_id(asset->pipeline_id), false);

	vp_state_decide_all(state, vp_state_select(state, NULL), false);
	for (int i = 0; i < state->n; i++)
		if (state->nodes[i].id == asset->id)
			PG_RETURN_BOOL(strcmp(vp_explain_state(&state->nodes[i]), "fresh") == 0);
	PG_RETURN_NULL();
}
