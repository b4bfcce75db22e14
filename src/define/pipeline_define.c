/*
 * pipeline_define.c
 *	  Define and drop pipelines.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/asset.h"
#include "catalog/note.h"
#include "common/extension.h"
#include "common/spi.h"
#include "compat/compat.h"
#include "define/define.h"
#include "define/pipeline_define.h"
#include "define/pipeline_view.h"

static void
check_choice(const char *what, const char *value, const char *const *choices, int n)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		if (strcmp(value, choices[i]) == 0)
			return;
		appendStringInfo(&list, "%s'%s'", i == 0 ? "" : i == n - 1 ? " or " : ", ",
						 choices[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s: \"%s\"", what, value),
			 errhint("Use %s.", list.data)));
}

void
vp_pipeline_check(const VpPipeline *p)
{
	static const char *const publish[] = {"run", "succeeded", "asset"};
	static const char *const storage[] = {"unlogged", "logged"};
	static const char *const on_miss[] = {"compute", "error"};

	if (p->name[0] == '\0' || strlen(p->name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid pipeline name: \"%s\"", p->name),
				 errdetail("A name has 1 to %d bytes.", NAMEDATALEN - 1)));
	check_choice("publish", p->publish, publish, lengthof(publish));
	check_choice("storage", p->storage, storage, lengthof(storage));
	check_choice("on_miss", p->on_miss, on_miss, lengthof(on_miss));
	if (p->keep_versions < 1 || p->keep_versions > 1000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keep_versions must be from 1 to 1000")));
	if (p->max_workers < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_workers must be positive")));
	vp_define_check_settings(p->settings, p->owner);
}

static void
create_schema(const char *name)
{
	char	   *sql = psprintf("CREATE SCHEMA %s", quote_identifier(name));

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute(sql, false, 0) != SPI_OK_UTILITY ||
		SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not create schema \"%s\"", name);
	CommandCounterIncrement();
}

static bool
is_reserved(const char *name)
{
	return IsReservedName(name) || strcmp(name, "information_schema") == 0 ||
		strncmp(name, "vibepiper", strlen("vibepiper")) == 0;
}

static Oid
claim_schema(const char *name, const VpPipeline *pipeline)
{
	Oid			schema;
	int32		holder;

	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("a schema's name can't be empty")));
	if (is_reserved(name))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("schema \"%s\" is reserved", name)));
	schema = get_namespace_oid(name, true);
	if (!OidIsValid(schema))
	{
		create_schema(name);
		return get_namespace_oid(name, false);
	}

	/* against a second pipeline that claims it at the same time */
	LockDatabaseObject(NamespaceRelationId, schema, 0, ShareUpdateExclusiveLock);
	if (!vp_may_create_in_schema(schema, pipeline->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema \"%s\"", name),
				 errdetail("The pipeline's owner needs CREATE on it.")));
	holder = vp_pipeline_of_schema(schema);
	if (holder != 0 && holder != pipeline->id)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("schema \"%s\" belongs to pipeline \"%s\"", name,
						vp_pipeline_by_id(holder)->name)));
	return schema;
}

static List *
claim_schemas(List *names, const VpPipeline *pipeline)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	foreach(lc, names)
	{
		Oid			schema = claim_schema(lfirst(lc), pipeline);

		if (list_member_oid(schemas, schema))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("schema \"%s\" is given twice", (char *) lfirst(lc))));
		schemas = lappend_oid(schemas, schema);
	}
	return schemas;
}

/* No asset may be left outside its pipeline's schemas. */
static void
check_assets_stay_inside(const VpPipeline *pipeline)
{
	ListCell   *lc;

	foreach(lc, vp_assets_of_pipeline(pipeline->id))
	{
		const VpAsset *asset = lfirst(lc);

		if (!list_member_oid(pipeline->schemas, get_rel_namespace(asset->stub)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("pipeline \"%s\" can't give up schema \"%s\"",
							pipeline->name, asset->schema),
					 errdetail("Asset %s is in it.", asset->display)));
	}
}

static void
spread_on_miss(const VpPipeline *pipeline)
{
	bool		error = strcmp(pipeline->on_miss, "error") == 0;
	ListCell   *lc;

	foreach(lc, vp_assets_of_pipeline(pipeline->id))
	{
		VpAsset    *asset = lfirst(lc);

		if (asset->options.on_miss != NULL || asset->error_on_miss == error)
			continue;
		asset->error_on_miss = error;
		vp_asset_update(asset);
	}
}

void
vp_define_pipeline(VpPipeline *wanted, List *schema_names)
{
	VpPipeline *old = vp_pipeline_find(wanted->name);

	wanted->owner = old != NULL ? old->owner : GetUserId();
	vp_pipeline_check(wanted);
	if (schema_names == NIL)
		schema_names = list_make1(wanted->name);
	if (old == NULL)
	{
		wanted->schemas = claim_schemas(schema_names, wanted);
		vp_pipeline_view_create(wanted);
		vp_pipeline_insert(wanted);
		vp_note_write_pipeline(wanted);
		CommandCounterIncrement();
		return;
	}
	vp_pipeline_check_owner(old);
	vp_pipeline_lock(old->id);
	wanted->id = old->id;
	wanted->view = old->view;
	wanted->schemas = claim_schemas(schema_names, wanted);
	check_assets_stay_inside(wanted);
	vp_pipeline_update(wanted);
	if (!equal(wanted->schemas, old->schemas))
		vp_pipeline_view_replace(wanted);
	vp_note_write_pipeline(wanted);
	CommandCounterIncrement();
	spread_on_miss(wanted);
}

void
vp_drop_pipeline(const VpPipeline *pipeline, bool cascade)
{
	List	   *assets = vp_assets_of_pipeline(pipeline->id);

	if (assets != NIL && !cascade)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop pipeline \"%s\" because it has assets",
						pipeline->name),
				 errdetail_plural("%d asset, for example %s.", "%d assets, for example %s.",
								  list_length(assets), list_length(assets),
								  ((VpAsset *) linitial(assets))->display),
				 errhint("Use cascade => true to drop them too.")));
	if (assets != NIL)
		(void) vp_drop(assets, true);
	vp_pipeline_delete(pipeline->id);
	vp_pipeline_view_drop(pipeline);
}

void
vp_pipelines_bury(void)
{
	static VpStatement statement = {
		"SELECT p.pipeline_id, p.name, (SELECT count(*) FROM vibepiper.asset a"
		"  WHERE a.pipeline_id = p.pipeline_id) FROM vibepiper.pipeline p"
		" WHERE p.view IN (SELECT d.objid FROM pg_event_trigger_dropped_objects() d"
		"  WHERE d.classid = 'pg_class'::regclass)", 0, {0}
	};
	VpSpi		spi;
	uint64		n;
	List	   *dead = NIL;
	ListCell   *lc;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old;

		if (vp_col_int64(i, 3) > 0)
			ereport(NOTICE,
					(errmsg("assets of pipeline \"%s\" are assets no more",
							vp_col_text(&spi, i, 2)),
					 errdetail("Their stored versions are dropped; their views are left."),
					 errhint("When the pipeline's view is there again, they are adopted.")));
		old = MemoryContextSwitchTo(spi.caller);
		dead = lappend_int(dead, vp_col_int32(i, 1, 0));
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	foreach(lc, dead)
	{
		ListCell   *a;

		foreach(a, vp_assets_of_pipeline(lfirst_int(lc)))
			vp_forget(((VpAsset *) lfirst(a))->id);
		vp_pipeline_delete(lfirst_int(lc));
	}
}

void
vp_pipelines_give_up(List *schemas)
{
	ListCell   *lc;

	foreach(lc, schemas)
	{
		int32		id = vp_pipeline_of_schema(lfirst_oid(lc));
		VpPipeline *pipeline = id == 0 ? NULL : vp_pipeline_by_id(id);

		if (pipeline == NULL)
			continue;
		pipeline->schemas = list_difference_oid(pipeline->schemas, schemas);
		if (pipeline->schemas != NIL)
			vp_pipeline_view_replace(pipeline);
	}
}
