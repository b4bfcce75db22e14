/*
 * asset.c
 *	  Rows of vibepiper.asset and vibepiper.dependency as structs.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "catalog/asset.h"
#include "catalog/version.h"
#include "common/names.h"
#include "common/spi.h"
#include "common/nearest.h"

/*
 * A row with the text of the query; names come from the caches, since joining
 * for them would cost more than all the rest of looking up one asset.
 */
#define ASSET_ROW(definition) \
	"SELECT a.asset_id, a.def, a.stub, a.pipeline_id," \
	" (SELECT q.query FROM vibepiper.query_text q WHERE q.definition = " definition " LIMIT 1)," \
	" a.depends_on, a.environment, a.code_hash, a.signature, a.canonical," \
	" a.cache, a.cache_ttl, a.lazy, a.parallel, a.storage, a.on_miss, a.indexes," \
	" a.settings, a.hints, a.index_clauses, a.tags, a.retries, a.retry_delay," \
	" a.timeout, a.description, a.pinned_run, a.error_on_miss," \
	" a.detached, a.detached_query, a.detached_sources, a.max_staleness" \
	" FROM vibepiper.asset a "
#define ASSET_COLUMNS ASSET_ROW("c.relname") "JOIN pg_class c ON c.oid = a.def "

static void
read_options(VpSpi *spi, uint64 row, VpAssetOptions *o)
{
	o->cache = vp_col_bool(row, 11);
	o->cache_ttl = vp_col_interval(spi, row, 12);
	o->lazy = vp_col_bool(row, 13);
	o->parallel = vp_col_bool(row, 14);
	o->storage = vp_col_text(spi, row, 15);
	o->on_miss = vp_col_text(spi, row, 16);
	o->indexes = vp_col_texts(spi, row, 17);
	o->settings = vp_col_texts(spi, row, 18);
	o->hints = vp_col_text(spi, row, 19);
	o->tags = vp_col_texts(spi, row, 21);
	o->retries = vp_col_int32(row, 22, 0);
	o->retry_delay = vp_col_interval(spi, row, 23);
	o->timeout = vp_col_interval(spi, row, 24);
	o->description = vp_col_text(spi, row, 25);
	o->max_staleness = vp_col_interval(spi, row, 31);
}

/* Qualified names of assets, by id. */
static List *
names_of(List *ids)
{
	static VpStatement statement = {
		"SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
		" FROM unnest($1) WITH ORDINALITY AS i(id, no)"
		" JOIN vibepiper.asset d ON d.asset_id = i.id JOIN pg_class c ON c.oid = d.stub"
		" JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY i.no", 1, {INT4ARRAYOID}
	};
	List	   *names = NIL;
	Datum		key;
	VpSpi		spi;
	uint64		n;

	if (ids == NIL)
		return NIL;
	key = vp_ids_datum(ids);
	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, false);
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

static VpAsset *
read_asset(VpSpi *spi, uint64 row)
{
	VpAsset    *a = MemoryContextAllocZero(spi->caller, sizeof(VpAsset));
	MemoryContext old;
	bool		isnull;

	a->id = vp_col_int32(row, 1, 0);
	a->def = vp_col_oid(row, 2);
	a->stub = vp_col_oid(row, 3);
	a->pipeline_id = vp_col_int32(row, 4, 0);
	a->query = vp_col_text(spi, row, 5);
	a->environment = vp_col_texts(spi, row, 7);
	a->code_hash = vp_col_hash(row, 8);
	a->signature = vp_col_hash(row, 9);
	a->canonical = vp_col_hash(row, 10);
	read_options(spi, row, &a->options);
	a->index_clauses = vp_col_texts(spi, row, 20);
	a->pinned_run = vp_col_int64(row, 26);
	a->error_on_miss = vp_col_bool(row, 27);
	a->detached = vp_col_bool(row, 28);
	a->detached_query = vp_col_text(spi, row, 29);
	a->detached_sources = vp_col_texts(spi, row, 30);
	old = MemoryContextSwitchTo(spi->caller);
	a->declared = vp_ids_from_datum(vp_col_datum(spi, row, 6, &isnull));
	MemoryContextSwitchTo(old);
	return a;
}

/* Every name in it is qualified. */
static char *
text_of_definition(Oid def)
{
	static VpStatement statement = {"SELECT pg_get_viewdef($1)", 1, {OIDOID}};
	Datum		key = ObjectIdGetDatum(def);
	char	   *text;
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &key, NULL, false);
	text = vp_col_text(&spi, 0, 1);
	vp_spi_close(&spi);
	return text;
}

/* What isn't in the row; false if the asset is being dropped. */
static bool
add_names(VpAsset *a)
{
	a->owner = vp_relation_owner(a->def);
	a->name = get_rel_name(a->stub);
	a->schema = get_namespace_name(get_rel_namespace(a->stub));
	if (!OidIsValid(a->owner) || a->name == NULL || a->schema == NULL)
		return false;
	a->display = quote_qualified_identifier(a->schema, a->name);
	a->options.depends_on = names_of(a->declared);
	if (a->query == NULL)
		a->query = text_of_definition(a->def);
	return true;
}

static List *
load_rows(VpStatement *statement, const Datum *values)
{
	VpSpi		spi;
	List	   *rows = NIL;
	List	   *assets = NIL;
	ListCell   *lc;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		VpAsset    *asset = read_asset(&spi, i);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		rows = lappend(rows, asset);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	foreach(lc, rows)
		if (add_names(lfirst(lc)))
		assets = lappend(assets, lfirst(lc));
	return assets;
}

/* List of VpAsset that the statement finds for one key. */
static List *
load(VpStatement *statement, Datum key)
{
	return load_rows(statement, &key);
}

VpAsset *
vp_asset_by_def(Oid def)
{
	static VpStatement statement = {
		ASSET_ROW("$2") "WHERE a.def = $1", 2, {OIDOID, TEXTOID}
	};
	char	   *name = get_rel_name(def);
	Datum		values[2] = {ObjectIdGetDatum(def)};
	List	   *found;

	if (name == NULL)
		return NULL;
	values[1] = CStringGetTextDatum(name);
	found = load_rows(&statement, values);
	return found == NIL ? NULL : linitial(found);
}

VpAsset *
vp_asset_by_stub(Oid stub)
{
	static VpStatement statement = {
		ASSET_COLUMNS "WHERE a.stub = $1", 1, {OIDOID}
	};
	List	   *found = load(&statement, ObjectIdGetDatum(stub));

	return found == NIL ? NULL : linitial(found);
}

VpAsset *
vp_asset_by_id(int32 id)
{
	static VpStatement statement = {
		ASSET_COLUMNS "WHERE a.asset_id = $1", 1, {INT4OID}
	};
	List	   *found = load(&statement, Int32GetDatum(id));

	return found == NIL ? NULL : linitial(found);
}

List *
vp_assets_of_pipeline(int32 pipeline_id)
{
	static VpStatement statement = {
		ASSET_COLUMNS "WHERE a.pipeline_id = $1 ORDER BY a.asset_id", 1, {INT4OID}
	};

	return load(&statement, Int32GetDatum(pipeline_id));
}

List *
vp_asset_downstreams(int32 id)
{
	static VpStatement statement = {
		ASSET_COLUMNS "WHERE a.asset_id IN (SELECT d.asset_id"
		" FROM vibepiper.dependency d WHERE d.upstream_id = $1) ORDER BY a.asset_id",
		1, {INT4OID}
	};

	return load(&statement, Int32GetDatum(id));
}

static List *
load_ids(VpStatement *statement, int32 id)
{
	VpSpi		spi;
	Datum		key = Int32GetDatum(id);
	List	   *ids = NIL;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, &key, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	return ids;
}

List *
vp_asset_upstream_ids(int32 id)
{
	static VpStatement statement = {
		"SELECT upstream_id FROM vibepiper.dependency WHERE asset_id = $1"
		" AND upstream_id IS NOT NULL ORDER BY 1", 1, {INT4OID}
	};

	return load_ids(&statement, id);
}

List *
vp_asset_declarers(int32 id)
{
	static VpStatement statement = {
		"SELECT asset_id FROM vibepiper.asset WHERE $1 = ANY (depends_on) ORDER BY 1",
		1, {INT4OID}
	};

	return load_ids(&statement, id);
}

/*
 * "Did you mean ...?", or NULL.  Without a schema, and then with a wrong one,
 * only the relation's name has to be near, which assets of several schemas may
 * have.
 */
static char *
near_assets(const RangeVar *name)
{
	static VpStatement statement = {
		"SELECT n.nspname || '.' || s.relname, s.relname::text,"
		" quote_ident(n.nspname) || '.' || quote_ident(s.relname) FROM vibepiper.asset a"
		" JOIN pg_class s ON s.oid = a.stub"
		" JOIN pg_namespace n ON n.oid = s.relnamespace ORDER BY 1", 0, {0}
	};
	VpSpi		spi;
	uint64		n;
	List	   *full = NIL;
	List	   *relations = NIL;
	List	   *near = NIL;
	List	   *offers = NIL;
	char	   *hint;
	MemoryContext old;
	ListCell   *lc;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		full = lappend(full, vp_col_text(&spi, i, 1));
		relations = lappend(relations, vp_col_text(&spi, i, 2));
	}
	if (name->schemaname != NULL)
		near = vp_nearest_indexes(psprintf("%s.%s", name->schemaname, name->relname),
								  full, 1);
	if (near == NIL)
		near = vp_nearest_indexes(name->relname, relations, 3);
	foreach(lc, near)
		offers = lappend(offers, vp_col_text(&spi, lfirst_int(lc), 3));
	old = MemoryContextSwitchTo(spi.caller);
	hint = vp_did_you_mean(offers);
	MemoryContextSwitchTo(old);
	vp_spi_close(&spi);
	return hint;
}

VpAsset *
vp_asset_by_name(const char *name)
{
	RangeVar   *parsed = vp_name_parse(name);
	Oid			stub = RangeVarGetRelid(parsed, NoLock, true);
	VpAsset    *asset = OidIsValid(stub) ? vp_asset_by_stub(stub) : NULL;
	const char *quoted;
	char	   *hint;

	if (asset != NULL)
		return asset;
	quoted = strchr(name, '"') != NULL ? name : psprintf("\"%s\"", name);
	hint = OidIsValid(stub) ? NULL : near_assets(parsed);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 OidIsValid(stub)
			 ? errmsg("%s is not an asset", quoted)
			 : errmsg("asset %s does not exist", quoted),
			 hint != NULL ? errhint("%s", hint) : 0));
}

void
vp_asset_check_owner(const VpAsset *asset)
{
	if (!has_privs_of_role(GetUserId(), asset->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of asset %s", asset->display)));
}

static void
put_text(Datum *values, char *nulls, int i, const char *text)
{
	if (text != NULL)
		values[i] = CStringGetTextDatum(text);
	else
		nulls[i] = 'n';
}

static void
put_interval(Datum *values, char *nulls, int i, Interval *interval)
{
	if (interval != NULL)
		values[i] = IntervalPGetDatum(interval);
	else
		nulls[i] = 'n';
}

#define ASSET_ARGS 29
#define ASSET_TYPES \
	{INT4OID, OIDOID, OIDOID, INT4OID, UUIDOID, UUIDOID, BOOLOID, \
	INTERVALOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, \
	TEXTOID, INT4ARRAYOID, TEXTARRAYOID, INT4OID, INTERVALOID, INTERVALOID, \
	TEXTOID, TEXTARRAYOID, BOOLOID, UUIDOID, BOOLOID, TEXTOID, TEXTARRAYOID, \
	TEXTARRAYOID, INTERVALOID}
#define ASSET_FIELDS \
	"(def, stub, pipeline_id, code_hash, signature, cache, cache_ttl," \
	" lazy, parallel, storage, on_miss, indexes, settings, hints, depends_on, tags," \
	" retries, retry_delay, timeout, description, environment, error_on_miss," \
	" canonical, detached, detached_query, detached_sources, index_clauses," \
	" max_staleness)"
#define ASSET_PARAMS \
	"($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17," \
	" $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)"

static void
fill_values(const VpAsset *a, Datum *values, char *nulls)
{
	const VpAssetOptions *o = &a->options;

	memset(nulls, ' ', ASSET_ARGS);
	values[0] = Int32GetDatum(a->id);
	values[1] = ObjectIdGetDatum(a->def);
	values[2] = ObjectIdGetDatum(a->stub);
	values[3] = Int32GetDatum(a->pipeline_id);
	values[4] = vp_hash_datum(a->code_hash);
	values[5] = vp_hash_datum(a->signature);
	values[6] = BoolGetDatum(o->cache);
	put_interval(values, nulls, 7, o->cache_ttl);
	values[8] = BoolGetDatum(o->lazy);
	values[9] = BoolGetDatum(o->parallel);
	put_text(values, nulls, 10, o->storage);
	put_text(values, nulls, 11, o->on_miss);
	values[12] = vp_texts_datum(o->indexes);
	values[13] = vp_texts_datum(o->settings);
	if (o->settings == NIL)
		nulls[13] = 'n';
	put_text(values, nulls, 14, o->hints);
	values[15] = vp_ids_datum(a->declared);
	values[16] = vp_texts_datum(o->tags);
	values[17] = Int32GetDatum(o->retries);
	put_interval(values, nulls, 18, o->retry_delay);
	put_interval(values, nulls, 19, o->timeout);
	put_text(values, nulls, 20, o->description);
	values[21] = vp_texts_datum(a->environment);
	values[22] = BoolGetDatum(a->error_on_miss);
	values[23] = vp_hash_datum(a->canonical);
	values[24] = BoolGetDatum(a->detached);
	put_text(values, nulls, 25, a->detached_query);
	values[26] = vp_texts_datum(a->detached_sources);
	if (a->detached_sources == NIL)
		nulls[26] = 'n';
	values[27] = vp_texts_datum(a->index_clauses);
	put_interval(values, nulls, 28, o->max_staleness);
}

static void
write_query(const VpAsset *a)
{
	static VpStatement clear = {
		"DELETE FROM vibepiper.query_text q USING pg_class c"
		" WHERE c.oid = $1 AND q.definition = c.relname", 1, {OIDOID}
	};
	static VpStatement insert = {
		"INSERT INTO vibepiper.query_text (definition, query)"
		" SELECT relname, $2 FROM pg_class WHERE oid = $1", 2, {OIDOID, TEXTOID}
	};
	Datum		values[2] = {ObjectIdGetDatum(a->def), CStringGetTextDatum(a->query)};

	(void) vp_spi_run(&clear, values, NULL, false);
	(void) vp_spi_run(&insert, values, NULL, false);
}

void
vp_asset_write_query(const VpAsset *a)
{
	VpSpi		spi;

	vp_spi_open(&spi);
	write_query(a);
	vp_spi_close(&spi);
}

void
vp_asset_insert(VpAsset *a)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.asset " ASSET_FIELDS " VALUES " ASSET_PARAMS
		" RETURNING asset_id", ASSET_ARGS, ASSET_TYPES
	};
	Datum		values[ASSET_ARGS];
	char		nulls[ASSET_ARGS];
	VpSpi		spi;

	fill_values(a, values, nulls);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	a->id = vp_col_int32(0, 1, 0);
	vp_spi_close(&spi);
}

void
vp_asset_update(const VpAsset *a)
{
	static VpStatement statement = {
		"UPDATE vibepiper.asset SET " ASSET_FIELDS " = " ASSET_PARAMS
		", changed_at = CASE WHEN code_hash = $5 THEN changed_at ELSE now() END"
		" WHERE asset_id = $1", ASSET_ARGS, ASSET_TYPES
	};
	Datum		values[ASSET_ARGS];
	char		nulls[ASSET_ARGS];
	VpSpi		spi;

	fill_values(a, values, nulls);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	vp_spi_close(&spi);

	/* readers' plans depend on the definition view */
	CacheInvalidateRelcacheByRelid(a->def);
}

void
vp_asset_delete(int32 id)
{
	static VpStatement statements[] = {
		{"DELETE FROM vibepiper.dependency WHERE asset_id = $1", 1, {INT4OID}},
		{"DELETE FROM vibepiper.dependency WHERE upstream_id = $1", 1, {INT4OID}},
		{"DELETE FROM vibepiper.query_text q USING vibepiper.asset a"
			" JOIN pg_class c ON c.oid = a.def"
		" WHERE a.asset_id = $1 AND q.definition = c.relname", 1, {INT4OID}},
		{"UPDATE vibepiper.asset SET depends_on = array_remove(depends_on, $1)"
		" WHERE $1 = ANY (depends_on)", 1, {INT4OID}},
		{"DELETE FROM vibepiper.mapping m USING vibepiper.asset a"
		" WHERE a.asset_id = $1 AND m.def = a.def", 1, {INT4OID}},
		{"DELETE FROM vibepiper.version_inputs i USING vibepiper.version v"
		" WHERE v.asset_id = $1 AND i.version_id = v.version_id", 1, {INT4OID}},
		{"DELETE FROM vibepiper.version WHERE asset_id = $1", 1, {INT4OID}},
		{"DELETE FROM vibepiper.slot WHERE asset_id = $1", 1, {INT4OID}},
		{"DELETE FROM vibepiper.publication WHERE asset_id = $1", 1, {INT4OID}},
		{"DELETE FROM vibepiper.asset_reads WHERE asset_id = $1", 1, {INT4OID}},
		{"DELETE FROM vibepiper.asset WHERE asset_id = $1", 1, {INT4OID}},
	};
	Datum		key = Int32GetDatum(id);
	VpSpi		spi;

	vp_spi_open(&spi);
	for (int i = 0; i < (int) lengthof(statements); i++)
		(void) vp_spi_run(&statements[i], &key, NULL, false);
	vp_spi_close(&spi);
}

void
vp_asset_rename_query(Oid def, const char *old_name)
{
	static VpStatement statement = {
		"UPDATE vibepiper.query_text SET definition = (SELECT relname FROM pg_class"
		" WHERE oid = $1) WHERE definition = $2", 2, {OIDOID, TEXTOID}
	};
	Datum		values[2] = {ObjectIdGetDatum(def), CStringGetTextDatum(old_name)};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	vp_spi_close(&spi);
}

void
vp_asset_forget_texts(void)
{
	static VpStatement statement = {
		"DELETE FROM vibepiper.query_text q WHERE NOT EXISTS (SELECT FROM pg_class c"
		" WHERE c.relname = q.definition AND c.relnamespace = 'vibepiper_def'::regnamespace)",
		0, {0}
	};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, NULL, NULL, false);
	vp_spi_close(&spi);
}

void
vp_asset_pin(int32 id, int64 run)
{
	static VpStatement statement = {
		"UPDATE vibepiper.asset SET pinned_run = nullif($2, 0) WHERE asset_id = $1",
		2, {INT4OID, INT8OID}
	};
	Datum		values[2] = {Int32GetDatum(id), Int64GetDatum(run)};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	vp_spi_close(&spi);
}

static void
insert_dependency(int32 id, int32 upstream, Oid source, bool declared)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.dependency (asset_id, upstream_id, source, declared)"
		" SELECT $1, nullif($2, 0), nullif($3, 0::oid), $4"
		" WHERE NOT EXISTS (SELECT FROM vibepiper.dependency WHERE asset_id = $1"
		" AND upstream_id IS NOT DISTINCT FROM nullif($2, 0)"
		" AND source IS NOT DISTINCT FROM nullif($3, 0::oid))",
		4, {INT4OID, INT4OID, OIDOID, BOOLOID}
	};
	Datum		values[4] = {Int32GetDatum(id), Int32GetDatum(upstream),
	ObjectIdGetDatum(source), BoolGetDatum(declared)};

	(void) vp_spi_run(&statement, values, NULL, false);
}

void
vp_dependencies_write(int32 id, List *upstreams, List *sources, List *declared)
{
	static VpStatement clear = {
		"DELETE FROM vibepiper.dependency WHERE asset_id = $1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(id);
	VpSpi		spi;
	ListCell   *lc;

	vp_spi_open(&spi);
	(void) vp_spi_run(&clear, &key, NULL, false);
	foreach(lc, upstreams)
		insert_dependency(id, lfirst_int(lc), InvalidOid, false);
	foreach(lc, sources)
		insert_dependency(id, 0, lfirst_oid(lc), false);
	foreach(lc, declared)
		insert_dependency(id, lfirst_int(lc), InvalidOid, true);
	vp_spi_close(&spi);
}

bool
vp_dependencies_are(int32 id, List *upstreams, List *sources, List *declared)
{
	static VpStatement statement = {
		"SELECT upstream_id, source, declared FROM vibepiper.dependency"
		" WHERE asset_id = $1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(id);
	VpSpi		spi;
	uint64		n;
	bool		same;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, false);
	same = n == (uint64) (list_length(upstreams) + list_length(sources) +
						  list_length(declared));
	for (uint64 i = 0; same && i < n; i++)
	{
		if (vp_col_null(i, 1))
			same = list_member_oid(sources, vp_col_oid(i, 2));
		else
			same = list_member_int(vp_col_bool(i, 3) ? declared : upstreams,
								   vp_col_int32(i, 1, 0));
	}
	vp_spi_close(&spi);
	return same;
}
