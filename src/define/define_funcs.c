/*
 * define_funcs.c
 *	  SQL-callable: define and drop pipelines and assets.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"
#include "common/args.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/nearest.h"
#include "common/spi.h"
#include "common/trial.h"
#include "define/batch.h"
#include "define/define.h"
#include "define/pipeline_define.h"
#include "store/compute.h"

PG_FUNCTION_INFO_V1(vp_define_pipeline_sql);
PG_FUNCTION_INFO_V1(vp_define_asset_sql);
PG_FUNCTION_INFO_V1(vp_define_assets_sql);
PG_FUNCTION_INFO_V1(vp_drop_asset_sql);
PG_FUNCTION_INFO_V1(vp_drop_pipeline_sql);
PG_FUNCTION_INFO_V1(vp_asset_query_sql);
PG_FUNCTION_INFO_V1(vp_schemas_of_sql);
PG_FUNCTION_INFO_V1(vp_on_sql_drop);

/* define_pipeline(name, schemas, max_workers, publish, storage, on_miss, settings, keep_versions, description) */
Datum
vp_define_pipeline_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *p = palloc0(sizeof(VpPipeline));
	List	   *schemas;

	vp_refuse_inside_asset("define_pipeline()");
	(void) vp_extension_required();
	p->name = vp_arg_text_required(fcinfo, 0, "name");
	schemas = vp_arg_names(fcinfo, 1, "schemas");
	if (!PG_ARGISNULL(2))
	{
		p->max_workers = PG_GETARG_INT32(2);
		if (p->max_workers == 0)
			p->max_workers = -1;	/* refused: not the same as not given */
	}
	p->publish = vp_arg_text_required(fcinfo, 3, "publish");
	p->storage = vp_arg_text_required(fcinfo, 4, "storage");
	p->on_miss = vp_arg_text_required(fcinfo, 5, "on_miss");
	p->settings = vp_arg_texts(fcinfo, 6, "settings");
	p->keep_versions = vp_arg_int32(fcinfo, 7, "keep_versions");
	p->description = vp_arg_text(fcinfo, 8);
	vp_define_pipeline(p, schemas);
	PG_RETURN_VOID();
}

/* Of char *: the schemas of all pipelines. */
static List *
all_schemas(void)
{
	static VpStatement statement = {
		"SELECT DISTINCT n.nspname::text FROM vibepiper.pipeline p"
		" JOIN pg_rewrite r ON r.ev_class = p.view"
		" JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid"
		" JOIN pg_namespace n ON d.refclassid = 'pg_namespace'::regclass AND n.oid = d.refobjid"
		" ORDER BY 1", 0, {0}
	};
	VpSpi		spi;
	uint64		n;
	List	   *names = NIL;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *name = vp_col_text(&spi, i, 1);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		names = lappend(names, name);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	return names;
}

pg_noreturn static void
refuse_schema(const char *schema, bool exists)
{
	List	   *near = exists ? NIL : vp_nearest_names(schema, all_schemas(), 1);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_SCHEMA_NAME),
			 errmsg("schema \"%s\" belongs to no pipeline", schema),
			 near != NIL
			 ? errhint("Did you mean %s?", quote_identifier(linitial(near)))
			 : errhint("Define one with vibepiper.define_pipeline().")));
}

/* The pipeline that an asset of this name belongs to; locked. */
static VpPipeline *
pipeline_for(const char *name)
{
	RangeVar   *parsed = vp_name_parse(name);
	VpPipeline *pipeline;
	int32		id = 0;
	ListCell   *lc;

	if (parsed->schemaname != NULL)
	{
		Oid			schema = get_namespace_oid(parsed->schemaname, true);

		if (OidIsValid(schema))
			id = vp_pipeline_of_schema(schema);
		if (id == 0)
			refuse_schema(parsed->schemaname, OidIsValid(schema));
	}
	else
		foreach(lc, fetch_search_path(false))
	{
		id = vp_pipeline_of_schema(lfirst_oid(lc));
		if (id != 0)
			break;
	}
	if (id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("no schema of the search_path belongs to a pipeline"),
				 errhint("Qualify the asset's name: schema.%s.", parsed->relname)));
	vp_pipeline_lock(id);
	pipeline = vp_pipeline_by_id(id);
	if (pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the pipeline of asset \"%s\" was dropped meanwhile", name)));
	vp_pipeline_check_owner(pipeline);
	return pipeline;
}

/*
 * define_asset(name, query, cache, cache_ttl, lazy, parallel, storage, on_miss,
 * indexes, settings, hints, depends_on, tags, retries, retry_delay, timeout,
 * description, max_staleness) returns what changed
 */
Datum
vp_define_asset_sql(PG_FUNCTION_ARGS)
{
	VpSpec		spec = {0};
	VpAssetOptions *o = &spec.options;
	VpPipeline *pipeline;
	VpRebuild	rebuild = {0};
	VpChange   *change;
	char	   *name;

	vp_refuse_inside_asset("define_asset()");
	(void) vp_extension_required();
	name = vp_arg_text_required(fcinfo, 0, "name");
	spec.query = vp_arg_text_required(fcinfo, 1, "query");
	o->cache = vp_arg_bool(fcinfo, 2, "cache");
	o->cache_ttl = vp_arg_interval(fcinfo, 3);
	o->lazy = vp_arg_bool(fcinfo, 4, "lazy");
	o->parallel = vp_arg_bool(fcinfo, 5, "parallel");
	o->storage = vp_arg_text(fcinfo, 6);
	o->on_miss = vp_arg_text(fcinfo, 7);
	o->indexes = vp_arg_texts(fcinfo, 8, "indexes");
	o->settings = vp_arg_texts(fcinfo, 9, "settings");
	o->hints = vp_arg_text(fcinfo, 10);
	o->depends_on = vp_arg_texts(fcinfo, 11, "depends_on");
	o->tags = vp_arg_texts(fcinfo, 12, "tags");
	o->retries = vp_arg_int32(fcinfo, 13, "retries");
	o->retry_delay = vp_arg_interval(fcinfo, 14);
	if (o->retry_delay == NULL)
		o->retry_delay = vp_options_default().retry_delay;
	o->timeout = vp_arg_interval(fcinfo, 15);
	o->description = vp_arg_text(fcinfo, 16);
	o->max_staleness = vp_arg_interval(fcinfo, 17);

	pipeline = pipeline_for(name);
	vp_spec_set_name(&spec, pipeline, name);
	change = vp_define(&rebuild, pipeline, &spec);
	vp_rebuild_finish(&rebuild);
	PG_RETURN_TEXT_P(cstring_to_text(change->change));
}

static VpPipeline *
owned_pipeline(const char *name)
{
	VpPipeline *pipeline = vp_pipeline_by_name(name);

	vp_pipeline_check_owner(pipeline);
	vp_pipeline_lock(pipeline->id);
	return vp_pipeline_by_name(name);
}

typedef struct Batch
{
	const VpPipeline *pipeline;
	Datum		assets;
	bool		prune;
	List	   *changes;		/* result */
} Batch;

static void
define_batch(void *arg)
{
	Batch	   *batch = arg;

	batch->changes = vp_define_batch(batch->pipeline, batch->assets, batch->prune);
}

/* define_assets(pipeline, assets, prune, dry_run) */
Datum
vp_define_assets_sql(PG_FUNCTION_ARGS)
{
	Batch		batch;
	ReturnSetInfo *result;
	ListCell   *lc;

	vp_refuse_inside_asset("define_assets()");
	(void) vp_extension_required();
	batch.pipeline = owned_pipeline(vp_arg_text_required(fcinfo, 0, "pipeline"));
	vp_arg_require(fcinfo, 1, "assets");
	batch.assets = PG_GETARG_DATUM(1);
	batch.prune = vp_arg_bool(fcinfo, 2, "prune");
	if (vp_arg_bool(fcinfo, 3, "dry_run"))
		vp_trial(define_batch, &batch);
	else
		define_batch(&batch);
	result = vp_result_begin(fcinfo);
	foreach(lc, batch.changes)
	{
		const VpChange *change = lfirst(lc);
		Datum		values[3];
		bool		nulls[3];

		vp_put_text(values, nulls, 0, change->asset);
		vp_put_text(values, nulls, 1, change->change);
		vp_put_text(values, nulls, 2, change->detail);
		vp_result_put(result, values, nulls);
	}
	return (Datum) 0;
}

/* drop_asset(name, cascade) */
Datum
vp_drop_asset_sql(PG_FUNCTION_ARGS)
{
	VpAsset    *asset;

	vp_refuse_inside_asset("drop_asset()");
	(void) vp_extension_required();
	asset = vp_asset_by_name(vp_arg_text_required(fcinfo, 0, "name"));
	vp_asset_check_owner(asset);
	vp_pipeline_lock(asset->pipeline_id);
	asset = vp_asset_by_id(asset->id);
	if (asset != NULL)
		(void) vp_drop(list_make1(asset), vp_arg_bool(fcinfo, 1, "cascade"));
	PG_RETURN_VOID();
}

/* drop_pipeline(name, cascade) */
Datum
vp_drop_pipeline_sql(PG_FUNCTION_ARGS)
{
	VpPipeline *pipeline;

	vp_refuse_inside_asset("drop_pipeline()");
	(void) vp_extension_required();
	pipeline = owned_pipeline(vp_arg_text_required(fcinfo, 0, "name"));
	vp_drop_pipeline(pipeline, vp_arg_bool(fcinfo, 1, "cascade"));
	PG_RETURN_VOID();
}

/* asset_query(name) */
Datum
vp_asset_query_sql(PG_FUNCTION_ARGS)
{
	VpAsset    *asset;

	(void) vp_extension_required();
	asset = vp_asset_by_name(vp_arg_text_required(fcinfo, 0, "name"));
	vp_asset_check_owner(asset);
	PG_RETURN_TEXT_P(cstring_to_text(asset->query));
}

/* schemas_of(oid) returns name[] */
Datum
vp_schemas_of_sql(PG_FUNCTION_ARGS)
{
	List	   *schemas;
	Datum	   *names;
	int			n = 0;
	ListCell   *lc;

	(void) vp_extension_required();
	schemas = vp_pipeline_view_schemas(PG_GETARG_OID(0));
	names = palloc(sizeof(Datum) * Max(list_length(schemas), 1));
	foreach(lc, schemas)
		names[n++] = DirectFunctionCall1(namein, CStringGetDatum(get_namespace_name(lfirst_oid(lc))));
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

/* Event trigger: a stub or a definition was dropped by hand. */
Datum
vp_on_sql_drop(PG_FUNCTION_ARGS)
{
	static VpStatement statement = {
		"SELECT a.asset_id, a.stub, a.def FROM vibepiper.asset a"
		" WHERE EXISTS (SELECT FROM pg_event_trigger_dropped_objects() d"
		"  WHERE d.classid = 'pg_class'::regclass AND d.objid IN (a.stub, a.def))",
		0, {0}
	};
	VpSpi		spi;
	uint64		n;
	VpAsset    *dead;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("on_sql_drop() is called by its event trigger only")));
	if (!vp_preloaded() || !vp_extension()->installed)
		PG_RETURN_NULL();
	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, false);
	dead = MemoryContextAllocZero(spi.caller, sizeof(VpAsset) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		dead[i].id = vp_col_int32(i, 1, 0);
		dead[i].stub = vp_col_oid(i, 2);
		dead[i].def = vp_col_oid(i, 3);
	}
	vp_spi_close(&spi);
	if (n > 0)
		vp_refuse_inside_asset("dropping an asset");
	for (uint64 i = 0; i < n; i++)
		vp_bury(dead[i].id, dead[i].stub, dead[i].def);
	vp_pipelines_bury();
	PG_RETURN_NULL();
}
