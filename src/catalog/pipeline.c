/*
 * pipeline.c
 *	  Rows of vibepiper.pipeline as structs.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "pgstat.h"
#include "rewrite/rewriteHandler.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/pipeline.h"
#include "common/extension.h"
#include "common/spi.h"
#include "common/nearest.h"
#include "common/wanted.h"
#include "compat/compat.h"

#define KEEPER_POLL_MS 10

#define PIPELINE_COLUMNS \
	"SELECT p.pipeline_id, p.name, c.relowner, p.max_workers, p.publish, p.storage," \
	" p.on_miss, p.settings, p.keep_versions, p.description, p.view" \
	" FROM vibepiper.pipeline p JOIN pg_class c ON c.oid = p.view "

static bool
schema_walker(Node *node, void *context)
{
	List	  **schemas = context;

	if (node == NULL)
		return false;
	if (IsA(node, Const) && ((Const *) node)->consttype == REGNAMESPACEOID &&
		!((Const *) node)->constisnull)
		*schemas = lappend_oid(*schemas, DatumGetObjectId(((Const *) node)->constvalue));
	return expression_tree_walker(node, schema_walker, context);
}

List *
vp_pipeline_view_schemas(Oid view)
{
	Relation	rel = try_relation_open(view, AccessShareLock);
	List	   *all = NIL;
	List	   *schemas = NIL;
	ListCell   *lc;

	if (rel == NULL)
		return NIL;
	(void) schema_walker((Node *) get_view_query(rel)->targetList, &all);
	relation_close(rel, NoLock);
	foreach(lc, all)
		if (get_namespace_name(lfirst_oid(lc)) != NULL)
		schemas = lappend_oid(schemas, lfirst_oid(lc));
	return schemas;
}

static VpPipeline *
read_pipeline(VpSpi *spi, uint64 row)
{
	VpPipeline *p = MemoryContextAllocZero(spi->caller, sizeof(VpPipeline));

	p->id = vp_col_int32(row, 1, 0);
	p->name = vp_col_text(spi, row, 2);
	p->owner = vp_col_oid(row, 3);
	p->max_workers = vp_col_int32(row, 4, 0);
	p->publish = vp_col_text(spi, row, 5);
	p->storage = vp_col_text(spi, row, 6);
	p->on_miss = vp_col_text(spi, row, 7);
	p->settings = vp_col_texts(spi, row, 8);
	p->keep_versions = vp_col_int32(row, 9, 0);
	p->description = vp_col_text(spi, row, 10);
	p->view = vp_col_oid(row, 11);
	return p;
}

/* List of VpPipeline that the statement finds for one key. */
static List *
load(VpStatement *statement, Datum key)
{
	VpSpi		spi;
	List	   *pipelines = NIL;
	uint64		n;
	ListCell   *lc;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, &key, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		VpPipeline *pipeline = read_pipeline(&spi, i);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		pipelines = lappend(pipelines, pipeline);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	foreach(lc, pipelines)
	{
		VpPipeline *pipeline = lfirst(lc);

		pipeline->schemas = vp_pipeline_view_schemas(pipeline->view);
	}
	return pipelines;
}

static VpPipeline *
load_one(VpStatement *statement, Datum key)
{
	List	   *found = load(statement, key);

	return found == NIL ? NULL : linitial(found);
}

VpPipeline *
vp_pipeline_find(const char *name)
{
	static VpStatement statement = {
		PIPELINE_COLUMNS "WHERE p.name = $1", 1, {TEXTOID}
	};

	return load_one(&statement, CStringGetTextDatum(name));
}

VpPipeline *
vp_pipeline_by_id(int32 id)
{
	static VpStatement statement = {
		PIPELINE_COLUMNS "WHERE p.pipeline_id = $1", 1, {INT4OID}
	};

	return load_one(&statement, Int32GetDatum(id));
}

List *
vp_pipeline_settings(int32 id)
{
	static VpStatement statement = {
		"SELECT settings FROM vibepiper.pipeline WHERE pipeline_id = $1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(id);
	List	   *settings = NIL;
	VpSpi		spi;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, false) > 0)
		settings = vp_col_texts(&spi, 0, 1);
	vp_spi_close(&spi);
	return settings;
}

VpPipeline *
vp_pipeline_by_view(Oid view)
{
	static VpStatement statement = {
		PIPELINE_COLUMNS "WHERE p.view = $1", 1, {OIDOID}
	};

	return load_one(&statement, ObjectIdGetDatum(view));
}

List *
vp_pipelines_of_owner(Oid owner)
{
	static VpStatement statement = {
		PIPELINE_COLUMNS "WHERE c.relowner = $1 ORDER BY p.pipeline_id", 1, {OIDOID}
	};

	return load(&statement, ObjectIdGetDatum(owner));
}

void
vp_pipeline_let_go(const VpPipeline *pipeline)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, pipeline->view);
	if (vp_lock_held_by_me(&tag, AccessShareLock))
		UnlockRelationOid(pipeline->view, AccessShareLock);
}

static List *
all_names(void)
{
	static VpStatement statement = {
		"SELECT name FROM vibepiper.pipeline ORDER BY name", 0, {0}
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

VpPipeline *
vp_pipeline_by_name(const char *name)
{
	VpPipeline *pipeline = vp_pipeline_find(name);
	List	   *near;

	if (pipeline != NULL)
		return pipeline;
	near = vp_nearest_names(name, all_names(), 1);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("pipeline \"%s\" does not exist", name),
			 near != NIL
			 ? errhint("Did you mean \"%s\"?", (char *) linitial(near))
			 : errhint("Define it with vibepiper.define_pipeline().")));
}

Oid
vp_pipeline_default_schema(const VpPipeline *pipeline)
{
	if (pipeline->schemas == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("pipeline \"%s\" has no schema", pipeline->name),
				 errhint("Give it one with vibepiper.define_pipeline().")));
	return linitial_oid(pipeline->schemas);
}

int32
vp_pipeline_of_schema(Oid schema)
{
	static VpStatement statement = {
		"SELECT p.pipeline_id FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
		" JOIN vibepiper.pipeline p ON p.view = r.ev_class"
		" WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = $1"
		" AND d.classid = 'pg_rewrite'::regclass", 1, {OIDOID}
	};
	VpSpi		spi;
	Datum		value = ObjectIdGetDatum(schema);
	int32		id = 0;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &value, NULL, false) > 0)
		id = vp_col_int32(0, 1, 0);
	vp_spi_close(&spi);
	return id;
}

/* The parameters that insert and update share. */
static void
fill_values(const VpPipeline *p, Datum *values, char *nulls)
{
	memset(nulls, ' ', 10);
	values[0] = Int32GetDatum(p->id);
	values[1] = CStringGetTextDatum(p->name);
	values[2] = ObjectIdGetDatum(p->view);
	values[3] = Int32GetDatum(p->max_workers);
	if (p->max_workers == 0)
		nulls[3] = 'n';
	values[4] = CStringGetTextDatum(p->publish);
	values[5] = CStringGetTextDatum(p->storage);
	values[6] = CStringGetTextDatum(p->on_miss);
	values[7] = vp_texts_datum(p->settings);
	if (p->settings == NIL)
		nulls[7] = 'n';
	values[8] = Int32GetDatum(p->keep_versions);
	if (p->description != NULL)
		values[9] = CStringGetTextDatum(p->description);
	else
		nulls[9] = 'n';
}

#define PIPELINE_TYPES \
	{INT4OID, TEXTOID, OIDOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, \
	TEXTARRAYOID, INT4OID, TEXTOID}
#define PIPELINE_FIELDS \
	"(name, view, max_workers, publish, storage, on_miss, settings," \
	" keep_versions, description)"
#define PIPELINE_PARAMS "($2, $3, $4, $5, $6, $7, $8, $9, $10)"

void
vp_pipeline_insert(VpPipeline *p)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.pipeline " PIPELINE_FIELDS " VALUES " PIPELINE_PARAMS
		" RETURNING pipeline_id", 10, PIPELINE_TYPES
	};
	Datum		values[10];
	char		nulls[10];
	VpSpi		spi;

	fill_values(p, values, nulls);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	p->id = vp_col_int32(0, 1, 0);
	vp_spi_close(&spi);
}

void
vp_pipeline_update(const VpPipeline *p)
{
	static VpStatement statement = {
		"UPDATE vibepiper.pipeline SET " PIPELINE_FIELDS " = " PIPELINE_PARAMS
		" WHERE pipeline_id = $1", 10, PIPELINE_TYPES
	};
	Datum		values[10];
	char		nulls[10];
	VpSpi		spi;

	fill_values(p, values, nulls);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	vp_spi_close(&spi);
}

void
vp_pipeline_delete(int32 id)
{
	static VpStatement statement = {
		"WITH counter AS (DELETE FROM vibepiper.cache_counter WHERE pipeline_id = $1)"
		" DELETE FROM vibepiper.pipeline WHERE pipeline_id = $1", 1, {INT4OID}
	};
	Datum		value = Int32GetDatum(id);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &value, NULL, false);
	vp_spi_close(&spi);
}

void
vp_pipeline_lock(int32 id)
{
	LockDatabaseObject(vp_extension_required()->pipeline, id, 0, ExclusiveLock);
}

bool
vp_pipeline_try_lock(int32 id)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, vp_extension_required()->pipeline, id, 0);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Who waited in line for the keeper might come after a run. */
bool
vp_pipeline_lock_or_refuse(int32 id, bool session)
{
	LOCKTAG		tag;
	bool		kept = true;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, vp_extension_required()->pipeline, id, 0);
	while (LockAcquire(&tag, ExclusiveLock, session, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		CHECK_FOR_INTERRUPTS();
		if (!kept)
			return false;
		kept = vp_wanted_has_pipeline(id);
		if (!kept)
			continue;			/* once more: it may have gone just now */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 KEEPER_POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	return true;
}

List *
vp_pipeline_ids(void)
{
	static VpStatement statement = {
		"SELECT pipeline_id FROM vibepiper.pipeline ORDER BY 1", 0, {0}
	};
	MemoryContext caller = CurrentMemoryContext;
	List	   *ids = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, false);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
	vp_spi_close(&spi);
	return ids;
}

void
vp_pipeline_check_owner(const VpPipeline *pipeline)
{
	if (!has_privs_of_role(GetUserId(), pipeline->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of pipeline \"%s\"", pipeline->name)));
}
