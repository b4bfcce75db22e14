/*
 * change_funcs.c
 *	  SQL-callable: rename, detach, attach, adopt; the event trigger for DDL.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"
#include "common/args.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/spi.h"
#include "define/adopt.h"
#include "define/define.h"
#include "define/detach.h"
#include "define/follow.h"
#include "store/compute.h"

PG_FUNCTION_INFO_V1(vp_rename_asset_sql);
PG_FUNCTION_INFO_V1(vp_detach_source_sql);
PG_FUNCTION_INFO_V1(vp_attach_source_sql);
PG_FUNCTION_INFO_V1(vp_adopt_assets_sql);
PG_FUNCTION_INFO_V1(vp_detached_sql);
PG_FUNCTION_INFO_V1(vp_on_ddl_command_end);

/* As the caller, whose rights PostgreSQL checks. */
static void
execute(const char *sql)
{
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute(sql, false, 0) != SPI_OK_UTILITY ||
		SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not execute \"%s\"", sql);
}

/* rename_asset(name, new_name) */
Datum
vp_rename_asset_sql(PG_FUNCTION_ARGS)
{
	VpAsset    *asset;
	RangeVar   *name;
	const char *schema;

	vp_refuse_inside_asset("rename_asset()");
	(void) vp_extension_required();
	asset = vp_asset_by_name(vp_arg_text_required(fcinfo, 0, "name"));
	name = vp_name_parse(vp_arg_text_required(fcinfo, 1, "new_name"));
	vp_asset_check_owner(asset);
	vp_pipeline_lock(asset->pipeline_id);
	schema = asset->schema;
	if (name->schemaname != NULL && strcmp(name->schemaname, schema) != 0)
	{
		schema = name->schemaname;
		execute(psprintf("ALTER VIEW %s SET SCHEMA %s", asset->display,
						 quote_identifier(schema)));
	}
	if (strcmp(name->relname, asset->name) != 0)
		execute(psprintf("ALTER VIEW %s RENAME TO %s",
						 quote_qualified_identifier(schema, asset->name),
						 quote_identifier(name->relname)));
	PG_RETURN_VOID();
}

static Datum
return_changes(FunctionCallInfo fcinfo, List *changes)
{
	ReturnSetInfo *result = vp_result_begin(fcinfo);
	ListCell   *lc;

	foreach(lc, changes)
	{
		const VpChange *change = lfirst(lc);
		Datum		values[2];
		bool		nulls[2];

		vp_put_text(values, nulls, 0, change->asset);
		vp_put_text(values, nulls, 1, change->change);
		vp_result_put(result, values, nulls);
	}
	return (Datum) 0;
}

static Oid
source_arg(FunctionCallInfo fcinfo)
{
	Oid			source;

	vp_arg_require(fcinfo, 0, "source");
	source = PG_GETARG_OID(0);
	if (!OidIsValid(get_rel_namespace(source)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", source)));
	return source;
}

/* detach_source(regclass) */
Datum
vp_detach_source_sql(PG_FUNCTION_ARGS)
{
	vp_refuse_inside_asset("detach_source()");
	(void) vp_extension_required();
	return return_changes(fcinfo, vp_detach_source(source_arg(fcinfo)));
}

/* attach_source(regclass) */
Datum
vp_attach_source_sql(PG_FUNCTION_ARGS)
{
	vp_refuse_inside_asset("attach_source()");
	(void) vp_extension_required();
	return return_changes(fcinfo, vp_attach_source(source_arg(fcinfo)));
}

/* detached(): where the catalog doesn't know that the query is missing */
Datum
vp_detached_sql(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the definition has no query, since its source is detached"),
			 errhint("Define the asset again with vibepiper.define_asset().")));
	PG_RETURN_BOOL(false);
}

/* adopt_assets() */
Datum
vp_adopt_assets_sql(PG_FUNCTION_ARGS)
{
	List	   *adoptions;
	ReturnSetInfo *result;
	ListCell   *lc;

	vp_refuse_inside_asset("adopt_assets()");
	(void) vp_extension_required();
	adoptions = vp_adopt_all();
	result = vp_result_begin(fcinfo);
	foreach(lc, adoptions)
	{
		const VpAdoption *a = lfirst(lc);
		Datum		values[3];
		bool		nulls[3];

		vp_put_text(values, nulls, 0, a->object);
		vp_put_text(values, nulls, 1, a->problem ? "not adopted" : "adopted");
		vp_put_text(values, nulls, 2, a->problem);
		vp_result_put(result, values, nulls);
	}
	return (Datum) 0;
}

typedef struct Command
{
	Oid			class_id;
	Oid			object;
	char	   *tag;
} Command;

/* The commands of this event on relations and schemas. */
static List *
load_commands(void)
{
	static VpStatement statement = {
		"SELECT DISTINCT classid, objid, command_tag FROM pg_event_trigger_ddl_commands()"
		" WHERE classid IN ('pg_class'::regclass, 'pg_namespace'::regclass)"
		" AND objsubid = 0 AND NOT in_extension", 0, {0}
	};
	VpSpi		spi;
	List	   *commands = NIL;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		Command    *command = MemoryContextAlloc(spi.caller, sizeof(Command));
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		command->class_id = vp_col_oid(i, 1);
		command->object = vp_col_oid(i, 2);
		command->tag = vp_col_text(&spi, i, 3);
		commands = lappend(commands, command);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	return commands;
}

static void
follow(const Command *command)
{
	if (command->class_id == NamespaceRelationId)
		vp_follow_schema(command->object);
	else if (get_rel_relkind(command->object) != RELKIND_VIEW)
		return;
	else if (strcmp(command->tag, "CREATE VIEW") == 0)
	{
		vp_adopt_view(command->object);
		vp_follow_query(command->object);
	}
	else if (strcmp(command->tag, "COMMENT") == 0)
		vp_adopt_view(command->object);
	else
		vp_follow_view(command->object);
}

/* Event trigger: follow what was done to views by hand or by a restore. */
Datum
vp_on_ddl_command_end(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("on_ddl_command_end() is called by its event trigger only")));
	if (creating_extension || IsBinaryUpgrade || !vp_preloaded() ||
		!vp_extension()->installed)
		PG_RETURN_NULL();
	foreach(lc, load_commands())
		follow(lfirst(lc));
	PG_RETURN_NULL();
}
