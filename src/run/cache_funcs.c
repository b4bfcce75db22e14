/*
 * cache_funcs.c
 *	  SQL-callable: invalidate, roll back, release, purge.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/asset.h"
#include "catalog/pg_type.h"
#include "catalog/pipeline.h"
#include "catalog/version.h"
#include "common/args.h"
#include "common/extension.h"
#include "run/cache.h"
#include "store/compute.h"
#include "store/publish.h"

PG_FUNCTION_INFO_V1(vp_invalidate_sql);
PG_FUNCTION_INFO_V1(vp_rollback_sql);
PG_FUNCTION_INFO_V1(vp_release_sql);
PG_FUNCTION_INFO_V1(vp_purge_sql);
PG_FUNCTION_INFO_V1(vp_test_publish_parts);

static VpPipeline *
locked_pipeline(FunctionCallInfo fcinfo, const char *function)
{
	VpPipeline *pipeline;

	(void) vp_extension_required();
	vp_refuse_inside_asset(function);
	pipeline = vp_pipeline_by_name(vp_arg_text_required(fcinfo, 0, "pipeline"));
	vp_pipeline_check_owner(pipeline);
	vp_pipeline_lock(pipeline->id);
	return vp_pipeline_by_name(pipeline->name);
}

/* invalidate(name, downstream) */
Datum
vp_invalidate_sql(PG_FUNCTION_ARGS)
{
	VpAsset    *asset;

	vp_refuse_inside_asset("invalidate()");
	(void) vp_extension_required();
	asset = vp_asset_by_name(vp_arg_text_required(fcinfo, 0, "name"));
	vp_asset_check_owner(asset);
	vp_pipeline_lock(asset->pipeline_id);
	PG_RETURN_INT32(vp_invalidate(asset, vp_arg_bool(fcinfo, 1, "downstream")));
}

/* rollback(pipeline, to_run) */
Datum
vp_rollback_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline = locked_pipeline(fcinfo, "rollback()");
	ReturnSetInfo *result;
	List	   *changed;
	ListCell   *lc;

	vp_arg_require(fcinfo, 1, "to_run");
	changed = vp_rollback(pipeline, PG_GETARG_INT64(1));
	result = vp_result_begin(fcinfo);
	foreach(lc, changed)
	{
		const VpRollback *r = lfirst(lc);
		Datum		values[3];
		bool		nulls[3];

		vp_put_text(values, nulls, 0, r->asset);
		vp_put_int64(values, nulls, 1, r->from_version, r->from_version != 0);
		vp_put_int64(values, nulls, 2, r->to_version, true);
		vp_result_put(result, values, nulls);
	}
	return (Datum) 0;
}

/* release(pipeline) */
Datum
vp_release_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(vp_release(locked_pipeline(fcinfo, "release()")));
}

/* purge(pipeline, keep_versions) */
Datum
vp_purge_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline = locked_pipeline(fcinfo, "purge()");
	int32		keep = PG_ARGISNULL(1) ? pipeline->keep_versions : PG_GETARG_INT32(1);

	if (keep < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keep_versions must be positive"),
				 errdetail("The published version of an asset is always kept.")));
	PG_RETURN_INT32(vp_purge(pipeline, keep));
}

/*
 * For tests only, no SQL function of the extension: make an asset's name mean
 * several of its stored versions.  (name text, versions bigint[])
 */
Datum
vp_test_publish_parts(PG_FUNCTION_ARGS)
{
	VpAsset    *asset = vp_asset_by_name(vp_arg_text_required(fcinfo, 0, "name"));
	List	   *versions = NIL;
	Datum	   *ids;
	int			n;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, 8, true, TYPALIGN_DOUBLE,
					  &ids, NULL, &n);
	for (int i = 0; i < n; i++)
		versions = lappend(versions, vp_version_by_id(DatumGetInt64(ids[i])));
	vp_publish(asset->def, asset->id, 0, versions);
	PG_RETURN_VOID();
}
