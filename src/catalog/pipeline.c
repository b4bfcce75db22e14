/*
 * pipeline.c
 *	  Rows of vibepiper.pipeline as structs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/pipeline.h"
#include "common/extension.h"
#include "common/spi.h"
#include "common/nearest.h"

#define PIPELINE_COLUMNS \
	"SELECT pipeline_id, name, owner, max_workers, publish, storage, on_miss," \
	" settings, keep_versions, description," \
	" (SELECT array_agg(s.nsp::text ORDER BY s.position)" \
	"  FROM vibepiper.pipeline_schema s JOIN pg_namespace n ON n.oid = s.nsp" \
	"  WHERE s.pipeline_id = p.pipeline_id)" \
	" FROM vibepiper.pipeline p "

static List *
oids_of(List *texts)
{
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, texts)
		oids = lappend_oid(oids, atooid((char *) lfirst(lc)));
	return oids;
}

static VpPipeline *
read_pipeline(VpSpi *spi, uint64 row)
{
	VpPipeline *p = MemoryContextAllocZero(spi->caller, sizeof(VpPipeline));
	MemoryContext old;

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
	old = MemoryContextSwitchTo(spi->caller);
	p->schemas = oids_of(vp_col_texts(spi, row, 11));
	MemoryContextSwitchTo(old);
	return p;
}

/* List of VpPipeline that the statement finds for one key. */
static List *
load(VpStatement *statement, Datum key)
{
	VpSpi		spi;
	List	   *pipelines = NIL;
	uint64		n;

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
		PIPELINE_COLUMNS "WHERE name = $1", 1, {TEXTOID}
	};

	return load_one(&statement, CStringGetTextDatum(name));
}

VpPipeline *
vp_pipeline_by_id(int32 id)
{
	static VpStatement statement = {
		PIPELINE_COLUMNS "WHERE pipeline_id = $1", 1, {INT4OID}
	};

	return load_one(&statement, Int32GetDatum(id));
}

List *
vp_pipelines_of_owner(Oid owner)
{
	static VpStatement statement = {
		PIPELINE_COLUMNS "WHERE owner = $1 ORDER BY pipeline_id", 1, {OIDOID}
	};

	return load(&statement, ObjectIdGetDatum(owner));
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
		"SELECT pipeline_id FROM vibepiper.pipeline_schema WHERE nsp = $1",
		1, {OIDOID}
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

/* The parameters that insert and update share, from values[1] on. */
static void
fill_values(const VpPipeline *p, Datum *values, char *nulls)
{
	memset(nulls, ' ', 10);
	values[1] = CStringGetTextDatum(p->name);
	values[2] = ObjectIdGetDatum(p->owner);
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

static void
write_schemas(const VpPipeline *p)
{
	static VpStatement clear = {
		"DELETE FROM vibepiper.pipeline_schema WHERE pipeline_id = $1",
		1, {INT4OID}
	};
	static VpStatement insert = {
		"INSERT INTO vibepiper.pipeline_schema (pipeline_id, position, nsp)"
		" VALUES ($1, $2, $3)", 3, {INT4OID, INT4OID, OIDOID}
	};
	Datum		values[3] = {Int32GetDatum(p->id)};
	int			position = 1;
	ListCell   *lc;

	(void) vp_spi_run(&clear, values, NULL, false);
	foreach(lc, p->schemas)
	{
		values[1] = Int32GetDatum(position++);
		values[2] = ObjectIdGetDatum(lfirst_oid(lc));
		(void) vp_spi_run(&insert, values, NULL, false);
	}
}

void
vp_pipeline_insert(VpPipeline *p)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.pipeline (name, owner, max_workers, publish,"
		" storage, on_miss, settings, keep_versions, description)"
		" VALUES ($2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING pipeline_id",
		10, {INT4OID, TEXTOID, OIDOID, INT4OID, TEXTOID, TEXTOID, TEXTOID,
		TEXTARRAYOID, INT4OID, TEXTOID}
	};
	Datum		values[10] = {Int32GetDatum(0)};
	char		nulls[10];
	VpSpi		spi;

	fill_values(p, values, nulls);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	p->id = vp_col_int32(0, 1, 0);
	write_schemas(p);
	vp_spi_close(&spi);
}

void
vp_pipeline_update(const VpPipeline *p)
{
	static VpStatement statement = {
		"UPDATE vibepiper.pipeline SET (name, owner, max_workers, publish,"
		" storage, on_miss, settings, keep_versions, description)"
		" = ($2, $3, $4, $5, $6, $7, $8, $9, $10) WHERE pipeline_id = $1",
		10, {INT4OID, TEXTOID, OIDOID, INT4OID, TEXTOID, TEXTOID, TEXTOID,
		TEXTARRAYOID, INT4OID, TEXTOID}
	};
	Datum		values[10] = {Int32GetDatum(p->id)};
	char		nulls[10];
	VpSpi		spi;

	fill_values(p, values, nulls);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	write_schemas(p);
	vp_spi_close(&spi);
}

void
vp_pipeline_delete(int32 id)
{
	static VpStatement schemas = {
		"DELETE FROM vibepiper.pipeline_schema WHERE pipeline_id = $1",
		1, {INT4OID}
	};
	static VpStatement pipeline = {
		"DELETE FROM vibepiper.pipeline WHERE pipeline_id = $1", 1, {INT4OID}
	};
	Datum		value = Int32GetDatum(id);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&schemas, &value, NULL, false);
	(void) vp_spi_run(&pipeline, &value, NULL, false);
	vp_spi_close(&spi);
}

void
vp_pipeline_lock(int32 id)
{
	LockDatabaseObject(vp_extension_required()->pipeline, id, 0, ExclusiveLock);
}

void
vp_pipeline_check_owner(const VpPipeline *pipeline)
{
	if (!has_privs_of_role(GetUserId(), pipeline->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of pipeline \"%s\"", pipeline->name)));
}
