/*
 * define.c
 *	  Define and drop pipelines' assets.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/note.h"
#include "catalog/slots.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/settings.h"
#include "common/shmem.h"
#include "common/spi.h"
#include "define/analyze.h"
#include "define/canonical.h"
#include "define/define.h"
#include "define/views.h"
#include "freshness/code.h"
#include "graph/graph.h"
#include "store/clause.h"
#include "store/compute.h"
#include "store/guard.h"
#include "store/inline.h"
#include "store/publish.h"
#include "store/replace.h"
#include "store/slot.h"

#define MAX_RETRIES	100

/* What is added to a timestamp must not leave what a timestamp can hold. */
#define MAX_YEARS	100000

VpAssetOptions
vp_options_default(void)
{
	VpAssetOptions options = {.cache = true,
	.parallel = true};

	options.retry_delay = palloc0(sizeof(Interval));
	options.retry_delay->time = USECS_PER_SEC;
	return options;
}

static void
check_choice(const char *what, const char *value, const char *a, const char *b)
{
	if (value != NULL && strcmp(value, a) != 0 && strcmp(value, b) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for %s: \"%s\"", what, value),
				 errhint("Use '%s' or '%s'.", a, b)));
}

static bool
is_within(int64 value, int64 most)
{
	return value >= -most && value <= most;
}

static void
check_interval(const char *what, Interval *interval, const char *hint)
{
	Interval	zero = {0};

	if (interval == NULL)
		return;
	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(interval),
										  IntervalPGetDatum(&zero))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s can't be negative", what)));
	if (!is_within(interval->month, MAX_YEARS * MONTHS_PER_YEAR) ||
		!is_within(interval->day, MAX_YEARS * INT64CONST(366)) ||
		!is_within(interval->time, MAX_YEARS * INT64CONST(366) * USECS_PER_DAY))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", what),
				 errdetail("It is at most %d years.", MAX_YEARS),
				 hint != NULL ? errhint("%s", hint) : 0));
}

static void
check_tags(List *tags)
{
	ListCell   *lc;

	foreach(lc, tags)
		if (*(char *) lfirst(lc) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a tag can't be empty")));
}

/* Who computes the asset must be able to make them. */
void
vp_define_check_settings(List *settings, Oid owner)
{
	VpIdentity	identity;

	if (settings == NIL)
		return;
	vp_owner_enter(&identity, owner);
	vp_settings_check(settings);
	vp_identity_leave(&identity);
}

void
vp_options_check(const VpAssetOptions *o, Oid owner)
{
	check_choice("storage", o->storage, "unlogged", "logged");
	check_choice("on_miss", o->on_miss, "compute", "error");
	check_interval("cache_ttl", o->cache_ttl, "NULL means no limit.");
	check_interval("max_staleness", o->max_staleness, "NULL means none.");
	check_interval("retry_delay", o->retry_delay, NULL);
	check_interval("timeout", o->timeout, "NULL means no limit.");
	if (o->retries < 0 || o->retries > MAX_RETRIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retries must be from 0 to %d", MAX_RETRIES)));
	check_tags(o->tags);
	vp_define_check_settings(o->settings, owner);
}

/* "shop, shop_stage" */
static char *
schemas_of(const VpPipeline *pipeline)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, pipeline->schemas)
	{
		char	   *name = get_namespace_name(lfirst_oid(lc));

		if (name != NULL)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 quote_identifier(name));
	}
	return names.data;
}

void
vp_spec_set_name(VpSpec *spec, const VpPipeline *pipeline, const char *name)
{
	RangeVar   *parsed = vp_name_parse(name);
	Oid			schema;

	if (parsed->schemaname == NULL)
		schema = vp_pipeline_default_schema(pipeline);
	else
		schema = get_namespace_oid(parsed->schemaname, true);
	if (!OidIsValid(schema) || !list_member_oid(pipeline->schemas, schema))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("schema \"%s\" does not belong to pipeline \"%s\"",
						parsed->schemaname, pipeline->name),
				 errhint("Schemas of the pipeline: %s.", schemas_of(pipeline))));
	spec->schema = get_namespace_name(schema);
	spec->name = parsed->relname;
}

char *
vp_define_search_path(const VpPipeline *pipeline)
{
	List	   *schemas = list_copy(pipeline->schemas);
	StringInfoData buf;
	ListCell   *lc;

	schemas = list_concat_unique_oid(schemas, fetch_search_path(false));
	initStringInfo(&buf);
	foreach(lc, schemas)
	{
		char	   *name = get_namespace_name(lfirst_oid(lc));

		if (name != NULL && !isAnyTempNamespace(lfirst_oid(lc)))
			appendStringInfo(&buf, "%s, ", quote_identifier(name));
	}
	appendStringInfoString(&buf, "pg_temp");
	return buf.data;
}

static VpAsset *
existing_asset(const VpSpec *spec)
{
	Oid			relid = get_relname_relid(spec->name,
										  get_namespace_oid(spec->schema, false));

	return OidIsValid(relid) ? vp_asset_by_stub(relid) : NULL;
}

static VpHash
hash_columns(Oid def)
{
	Relation	rel = relation_open(def, AccessShareLock);
	VpHash		hash = vp_hash_columns(RelationGetDescr(rel));

	relation_close(rel, NoLock);
	return hash;
}

static void
hash_texts(VpHash *hash, List *texts)
{
	ListCell   *lc;

	foreach(lc, texts)
		vp_hash_add(hash, vp_hash_bytes(lfirst(lc), strlen(lfirst(lc)), hash->low));
}

VpHash
vp_define_signature(const VpAsset *asset)
{
	VpHash		parts[3] = {hash_columns(asset->def), {0, 0}, {0, 0}};

	hash_texts(&parts[1], asset->options.indexes);
	hash_texts(&parts[2], asset->index_clauses);
	return vp_hash_bytes(parts, sizeof(parts), 0);
}

/* Look up what depends_on names; the names become qualified ones. */
static void
resolve_declared(const VpPipeline *pipeline, VpAsset *asset)
{
	List	   *names = NIL;
	ListCell   *lc;

	asset->declared = NIL;
	foreach(lc, asset->options.depends_on)
	{
		RangeVar   *name = vp_name_parse(lfirst(lc));
		char	   *full = lfirst(lc);
		VpAsset    *upstream;

		if (name->schemaname == NULL)
			full = psprintf("%s.%s",
							quote_identifier(get_namespace_name(vp_pipeline_default_schema(pipeline))),
							quote_identifier(name->relname));
		upstream = vp_asset_by_name(full);
		if (pg_class_aclcheck(upstream->stub, asset->owner, ACL_SELECT) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_VIEW, upstream->name);
		if (list_member_int(asset->declared, upstream->id))
			continue;
		asset->declared = lappend_int(asset->declared, upstream->id);
		names = lappend(names, upstream->display);
	}
	asset->options.depends_on = names;
}

/* All assets and dependencies of the database; display names for messages. */
static VpGraph *
load_all(int32 self_id, int *self, List *add_upstreams)
{
	static VpStatement assets = {
		"SELECT a.asset_id, quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
		" FROM vibepiper.asset a JOIN pg_class c ON c.oid = a.stub"
		" JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1", 0, {0}
	};
	static VpStatement edges = {
		"WITH numbered AS (SELECT asset_id, row_number() OVER (ORDER BY asset_id) - 1 AS no"
		" FROM vibepiper.asset)"
		" SELECT u.no::int, a.no::int FROM vibepiper.dependency d"
		" JOIN numbered u ON u.asset_id = d.upstream_id"
		" JOIN numbered a ON a.asset_id = d.asset_id WHERE d.asset_id <> $1",
		1, {INT4OID}
	};
	Datum		value = Int32GetDatum(self_id);
	MemoryContext caller = CurrentMemoryContext;
	VpSpi		spi;
	uint64		n;
	VpGraph    *graph;

	vp_spi_open(&spi);
	n = vp_spi_run(&assets, NULL, NULL, false);
	MemoryContextSwitchTo(caller);
	graph = vp_graph_create((int) n);
	for (uint64 i = 0; i < n; i++)
	{
		int32		id = vp_col_int32(i, 1, 0);

		graph->nodes[i].id = id;
		graph->nodes[i].display = vp_col_text(&spi, i, 2);
		if (id == self_id)
			*self = (int) i;
		if (list_member_int(add_upstreams, id))
			graph->nodes[i].data = graph;	/* an upstream of self */
	}
	n = vp_spi_run(&edges, &value, NULL, false);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		vp_graph_add_edge(graph, vp_col_int32(i, 1, 0), vp_col_int32(i, 2, 0));
	vp_spi_close(&spi);
	return graph;
}

VpGraph *
vp_define_graph(void)
{
	int			self;
	VpGraph    *graph = load_all(0, &self, NIL);

	vp_graph_finish(graph);
	return graph;
}

void
vp_define_check_cycle(const VpAsset *asset, List *upstreams)
{
	int			self = -1;
	VpGraph    *graph;
	int		   *order;
	List	   *cycle;

	if (list_difference_int(upstreams, vp_asset_upstream_ids(asset->id)) == NIL)
		return;
	graph = load_all(asset->id, &self, upstreams);
	for (int i = 0; i < graph->n; i++)
		if (graph->nodes[i].data != NULL)
			vp_graph_add_edge(graph, i, self);
	vp_graph_finish(graph);
	order = palloc(sizeof(int) * Max(graph->n, 1));
	if (!vp_graph_topological_order(graph, order, &cycle))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_RECURSION),
				 errmsg("asset %s would depend on itself", asset->display),
				 errdetail("%s", vp_graph_cycle_path(graph, cycle))));
}

static bool
effective_error_on_miss(const VpPipeline *pipeline, const VpAssetOptions *o)
{
	return strcmp(o->on_miss ? o->on_miss : pipeline->on_miss, "error") == 0;
}

VpHash
vp_define_code_hash(Query *query, List *environment, bool *settings_matter)
{
	*settings_matter = !vp_same_for_everybody(vp_rewrite_query(copyObject(query)));
	return vp_code_hash(query, *settings_matter, environment);
}

VpChange *
vp_change(const char *asset, const char *what, char *detail)
{
	VpChange   *c = palloc(sizeof(VpChange));

	c->asset = pstrdup(asset);
	c->change = what;
	c->detail = detail;
	return c;
}

/* The rows of the catalog that follow from the asset's views. */
static void
write_asset(const VpPipeline *pipeline, VpAsset *asset, const VpAnalyzed *a)
{
	asset->signature = vp_define_signature(asset);
	if (asset->id == 0)
		vp_asset_insert(asset);
	else
		vp_asset_update(asset);
	vp_asset_write_query(asset);
	asset->dummy = vp_is_dummy_query(a->query);
	vp_note_write_asset(asset, pipeline);
	vp_dependencies_write(asset->id, a->upstreams, a->sources,
						  list_difference_int(asset->declared, a->upstreams));
	CommandCounterIncrement();
}

static void
create_asset(const VpPipeline *pipeline, VpAsset *asset, const VpAnalyzed *a)
{
	vp_views_create(asset, a);
	vp_slot_resolve_indexes(asset, pipeline->settings);
	asset->canonical = vp_canonical_hash(asset);
	write_asset(pipeline, asset, a);
	if (asset->options.description != NULL)
		vp_views_comment(asset);
}

static void
give_views(VpRebuild *rebuild, VpAsset *asset, const VpAnalyzed *a)
{
	if (!vp_views_replace(asset, a))
		vp_rebuild_views(rebuild, asset, a);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_texts(List *a, List *b)
{
	ListCell   *x;
	ListCell   *y;

	if (list_length(a) != list_length(b))
		return false;
	forboth(x, a, y, b)
		if (strcmp(lfirst(x), lfirst(y)) != 0)
		return false;
	return true;
}

static bool
same_interval(const Interval *a, const Interval *b)
{
	return a == b ||
		(a != NULL && b != NULL && a->time == b->time && a->day == b->day &&
		 a->month == b->month);
}

/* "indexes, tags": the options that differ; NULL: none */
static char *
changed_options(const VpAssetOptions *a, const VpAssetOptions *b)
{
	StringInfoData buf;

	initStringInfo(&buf);
#define CHECK_SAME(option, same) \
	if (!(same)) \
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", option)
	CHECK_SAME("cache", a->cache == b->cache);
	CHECK_SAME("cache_ttl", same_interval(a->cache_ttl, b->cache_ttl));
	CHECK_SAME("max_staleness", same_interval(a->max_staleness, b->max_staleness));
	CHECK_SAME("lazy", a->lazy == b->lazy);
	CHECK_SAME("parallel", a->parallel == b->parallel);
	CHECK_SAME("storage", same_text(a->storage, b->storage));
	CHECK_SAME("on_miss", same_text(a->on_miss, b->on_miss));
	CHECK_SAME("indexes", same_texts(a->indexes, b->indexes));
	CHECK_SAME("settings", same_texts(a->settings, b->settings));
	CHECK_SAME("hints", same_text(a->hints, b->hints));
	CHECK_SAME("depends_on", same_texts(a->depends_on, b->depends_on));
	CHECK_SAME("tags", same_texts(a->tags, b->tags));
	CHECK_SAME("retries", a->retries == b->retries);
	CHECK_SAME("retry_delay", same_interval(a->retry_delay, b->retry_delay));
	CHECK_SAME("timeout", same_interval(a->timeout, b->timeout));
	CHECK_SAME("description", same_text(a->description, b->description));
#undef CHECK_SAME
	return buf.len > 0 ? buf.data : NULL;
}

/* "shop.a, shop.b" */
static char *
names_of(List *assets)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, assets)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 ((VpAsset *) lfirst(lc))->display);
	return names.data;
}

/*
 * Does the new query mean what the stored one does?  After a restore the Oids
 * in it are others, but not the text that is made of it now.
 */
static bool
same_code(const VpAsset *old, const VpAsset *asset, const VpAnalyzed *a,
		  bool settings_matter)
{
	if (old->detached)
		return false;
	if (vp_hash_equal(old->code_hash, asset->code_hash))
		return true;
	return (!settings_matter || same_texts(old->environment, asset->environment)) &&
		strcmp(vp_query_text(a->query, old->environment), vp_definition_text(old)) == 0;
}

/*
 * Index clauses are looked up when they or what they are looked up with
 * change.  If they name what may have been renamed since, another definition
 * in the same words finds it again.
 */
static void
resolve_changed_indexes(const VpPipeline *pipeline, const VpAsset *old, VpAsset *asset,
						bool code)
{
	bool		again = code ||
	!same_texts(old->options.indexes, asset->options.indexes) ||
	!same_texts(old->options.settings, asset->options.settings);
	ListCell   *lc;

	foreach(lc, old->index_clauses)
		again |= vp_clause_has_names(lfirst(lc));
	if (again)
		vp_slot_resolve_indexes(asset, pipeline->settings);
}

static VpChange *
change_asset(VpRebuild *rebuild, const VpPipeline *pipeline, const VpAsset *old,
			 VpAsset *asset, const VpAnalyzed *a, bool settings_matter)
{
	bool		code = !same_code(old, asset, a, settings_matter);
	char	   *options = changed_options(&old->options, &asset->options);

	vp_rebuild_analyzed(rebuild, asset->id);
	if (!code)
	{
		asset->environment = old->environment;
		asset->code_hash = old->code_hash;
		resolve_changed_indexes(pipeline, old, asset, false);
		if (options == NULL && !same_texts(old->index_clauses, asset->index_clauses))
			options = "indexes";
	}
	if (!code && options == NULL && strcmp(old->query, asset->query) == 0 &&
		old->error_on_miss == asset->error_on_miss &&
		vp_dependencies_are(asset->id, a->upstreams, a->sources,
							list_difference_int(asset->declared, a->upstreams)))
		return vp_change(asset->display, "unchanged", NULL);
	vp_define_check_cycle(asset, list_union_int(a->upstreams, asset->declared));
	if (code)
	{
		give_views(rebuild, asset, a);
		resolve_changed_indexes(pipeline, old, asset, true);
	}
	asset->canonical = vp_canonical_hash(asset);
	write_asset(pipeline, asset, a);
	if (!same_text(old->options.description, asset->options.description))
		vp_views_comment(asset);
	return vp_change(asset->display,
					 code ? "code changed" : options != NULL ? "options changed" : "unchanged",
					 options);
}

void
vp_redefine(VpRebuild *rebuild, const VpAsset *old, VpAsset *asset, const char *text)
{
	const VpPipeline *pipeline = vp_pipeline_by_id(asset->pipeline_id);
	VpAnalyzed *a = vp_analyze(text, asset->environment, asset->owner);
	VpHash		columns = hash_columns(old->def);
	bool		settings_matter;

	asset->code_hash = vp_define_code_hash(a->query, asset->environment, &settings_matter);
	vp_define_check_cycle(asset, list_union_int(a->upstreams, asset->declared));
	give_views(rebuild, asset, a);
	if (!vp_hash_equal(columns, hash_columns(asset->def)))
		vp_slot_resolve_indexes(asset, pipeline->settings);
	if (text == asset->query || strcmp(text, asset->query) == 0)
		asset->canonical = vp_canonical_hash(asset);
	write_asset(pipeline, asset, a);
}

/* It may have been moved here, or given to another role, by hand. */
static void
check_is_ours(const VpPipeline *pipeline, const VpAsset *asset)
{
	vp_asset_check_owner(asset);
	if (asset->pipeline_id != pipeline->id)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("asset %s belongs to another pipeline than its schema",
						asset->display),
				 errhint("Move it back with ALTER VIEW ... SET SCHEMA.")));
}

VpChange *
vp_define(VpRebuild *rebuild, const VpPipeline *pipeline, const VpSpec *spec)
{
	VpAsset    *old = existing_asset(spec);
	VpAsset    *asset = palloc0(sizeof(VpAsset));
	VpAnalyzed *a;
	bool		settings_matter;

	vp_options_check(&spec->options, old != NULL ? old->owner : pipeline->owner);
	if (old != NULL)
	{
		check_is_ours(pipeline, old);
		*asset = *old;
		asset->detached = false;
		asset->detached_query = NULL;
		asset->detached_sources = NIL;
	}
	else
	{
		asset->pipeline_id = pipeline->id;
		asset->owner = pipeline->owner;
		asset->schema = spec->schema;
		asset->name = spec->name;
		asset->display = quote_qualified_identifier(spec->schema, spec->name);
	}
	asset->query = spec->query;
	asset->options = spec->options;
	asset->environment = vp_settings_record(vp_define_search_path(pipeline));
	asset->error_on_miss = effective_error_on_miss(pipeline, &spec->options);
	a = vp_analyze(spec->query, asset->environment, asset->owner);
	asset->code_hash = vp_define_code_hash(a->query, asset->environment, &settings_matter);
	resolve_declared(pipeline, asset);
	if (old != NULL)
		return change_asset(rebuild, pipeline, old, asset, a, settings_matter);
	create_asset(pipeline, asset, a);
	return vp_change(asset->display, "created", NULL);
}

static void
drop_slots(int32 asset_id)
{
	ListCell   *lc;

	foreach(lc, vp_slots_of_asset(asset_id))
		vp_slot_drop(((VpSlot *) lfirst(lc))->oid);
}

static void
refuse_drop(const VpAsset *asset, List *downstreams)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot drop asset %s because other assets depend on it",
					asset->display),
			 errdetail("Assets that read it: %s.", names_of(downstreams)),
			 errhint("Use cascade => true to drop them too.")));
}

static void
drop_one(const VpAsset *asset, bool cascade)
{
	vp_views_drop(asset, cascade);
	drop_slots(asset->id);
	vp_asset_delete(asset->id);
	CommandCounterIncrement();
}

/* The nodes of these assets; with cascade, and of what depends on them. */
static Bitmapset *
doomed_nodes(const VpGraph *graph, List *assets, bool cascade)
{
	Bitmapset  *doomed = NULL;
	Bitmapset  *ids = NULL;
	ListCell   *lc;

	foreach(lc, assets)
		ids = bms_add_member(ids, ((VpAsset *) lfirst(lc))->id);
	for (int i = 0; i < graph->n; i++)
		if (bms_is_member(graph->nodes[i].id, ids))
			doomed = bms_add_member(doomed, i);
	return cascade ? vp_graph_descendants(graph, doomed, -1) : doomed;
}

List *
vp_drop(List *assets, bool cascade)
{
	VpGraph    *graph = vp_define_graph();
	int		   *order = palloc(sizeof(int) * Max(graph->n, 1));
	Bitmapset  *doomed;
	List	   *dropped = NIL;

	if (!vp_graph_topological_order(graph, order, NULL))
		elog(ERROR, "assets depend on each other in a circle");
	doomed = doomed_nodes(graph, assets, cascade);
	for (int k = graph->n - 1; k >= 0; k--)
	{
		const VpGraphNode *node = &graph->nodes[order[k]];
		VpAsset    *asset;

		CHECK_FOR_INTERRUPTS();
		if (!bms_is_member(order[k], doomed))
			continue;
		asset = vp_asset_by_id(node->id);
		for (int d = 0; d < node->ndown; d++)
			if (!bms_is_member(node->down[d], doomed))
				refuse_drop(asset, vp_asset_downstreams(asset->id));
		vp_asset_check_owner(asset);
		drop_one(asset, cascade);
		dropped = lappend(dropped, asset);
	}
	vp_publication_note();
	return dropped;
}

/* Delete the rows; assets that declared it lose that, in their notes too. */
static void
delete_rows(int32 asset_id)
{
	List	   *declarers = vp_asset_declarers(asset_id);
	ListCell   *lc;

	vp_asset_delete(asset_id);
	CommandCounterIncrement();
	foreach(lc, declarers)
	{
		VpAsset    *asset = vp_asset_by_id(lfirst_int(lc));
		VpPipeline *pipeline = asset ? vp_pipeline_by_id(asset->pipeline_id) : NULL;

		/* its own views, or the pipeline's, may be gone in the same command */
		if (pipeline != NULL)
			vp_note_rewrite_asset(asset, pipeline);
	}
}

void
vp_forget(int32 asset_id)
{
	drop_slots(asset_id);
	delete_rows(asset_id);
	vp_publication_note();
}

void
vp_bury(int32 asset_id, Oid stub, Oid def)
{
	VpAsset		views = {.stub = stub,
	.def = def};

	drop_slots(asset_id);
	delete_rows(asset_id);
	vp_asset_forget_texts();
	vp_views_drop(&views, true);
	vp_publication_note();
}
