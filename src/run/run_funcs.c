/*
 * run_funcs.c
 *	  SQL-callable: plan, run, and the state of assets.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "catalog/asset.h"
#include "catalog/pg_type.h"
#include "catalog/pipeline.h"
#include "common/args.h"
#include "common/extension.h"
#include "common/spi.h"
#include "freshness/state.h"
#include "run/explain.h"
#include "run/run.h"
#include "store/compute.h"

PG_FUNCTION_INFO_V1(vp_plan_sql);
PG_FUNCTION_INFO_V1(vp_run_sql);
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

static void
check_overlap(const char *overlap)
{
	if (strcmp(overlap, "wait") != 0 && strcmp(overlap, "join") != 0 &&
		strcmp(overlap, "refuse") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for overlap: \"%s\"", overlap),
				 errhint("Use 'wait', 'join' or 'refuse'.")));
}

/* What only parallel runs use; a serial one refuses bad values, too. */
static void
check_parallel_options(FunctionCallInfo fcinfo)
{
	Interval	zero = {0};

	(void) vp_arg_bool(fcinfo, 5, "wait");
	(void) vp_arg_bool(fcinfo, 9, "consistent");
	check_overlap(vp_arg_text_required(fcinfo, 8, "overlap"));
	if (!PG_ARGISNULL(3) && PG_GETARG_INT32(3) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_workers must be positive")));
	if (!PG_ARGISNULL(10) &&
		DatumGetInt32(DirectFunctionCall2(interval_cmp, PG_GETARG_DATUM(10),
										  IntervalPGetDatum(&zero))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout can't be negative")));
}

/*
 * run(pipeline, selection, parallel, max_workers, force, wait, fail_fast,
 * on_failure, overlap, consistent, timeout)
 */
Datum
vp_run_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline = pipeline_arg(fcinfo, 0);
	VpRunOptions options = {
		.selection = vp_arg_text(fcinfo, 1),
		.force = vp_arg_bool(fcinfo, 4, "force"),
		.fail_fast = vp_arg_bool(fcinfo, 6, "fail_fast"),
		.error_on_failure =
		error_on_failure(vp_arg_text_required(fcinfo, 7, "on_failure"))
	};
	ReturnSetInfo *result;
	VpRunResult *run;

	check_parallel_options(fcinfo);
	vp_refuse_inside_asset("run()");
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("a pipeline can't run on a standby server")));
	if (vp_arg_bool(fcinfo, 2, "parallel"))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("parallel runs are not supported yet"),
				 errhint("Use run('%s', parallel => false), which runs in this transaction.",
						 pipeline->name)));
	PreventCommandIfReadOnly("vibepiper.run()");
	vp_pipeline_lock(pipeline->id);
	pipeline = vp_pipeline_by_name(pipeline->name);
	run = vp_run_serial(pipeline, &options);
	result = vp_result_begin(fcinfo);
	for (int i = 0; i < run->ntasks; i++)
		put_task(result, &run->tasks[i]);
	return (Datum) 0;
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
	ListCell   *lc;

	(void) vp_extension_required();
	result = vp_result_begin(fcinfo);
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

			vp_put_text(values, nulls, 1, vp_explain_state(&state->nodes[i]));
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
