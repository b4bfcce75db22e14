/*
 * adopt.c
 *	  Enter into the catalog what a restore left as views.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/asset.h"
#include "catalog/note.h"
#include "catalog/pipeline.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/settings.h"
#include "common/spi.h"
#include "compat/compat.h"
#include "define/adopt.h"
#include "define/analyze.h"
#include "define/define.h"
#include "define/pipeline_define.h"
#include "define/pipeline_view.h"
#include "define/views.h"
#include "store/guard.h"
#include "store/replace.h"
#include "store/slot.h"

static Query *
copy_view_query(Oid view)
{
	Relation	rel = relation_open(view, AccessShareLock);
	Query	   *query = copyObject(get_view_query(rel));

	relation_close(rel, NoLock);
	return query;
}

/* The definition that a view reads and nothing else, as a stub does. */
static Oid
stub_definition(Oid view)
{
	Query	   *query;
	Oid			def = InvalidOid;
	ListCell   *lc;

	if (get_rel_relkind(view) != RELKIND_VIEW)
		return InvalidOid;
	query = copy_view_query(view);
	if (list_length(query->jointree->fromlist) != 1 || query->jointree->quals != NULL ||
		query->groupClause != NIL || query->setOperations != NULL)
		return InvalidOid;
	foreach(lc, query->rtable)
	{
		Oid			read = vp_rte_definition(lfirst_node(RangeTblEntry, lc));

		if (OidIsValid(read))
			def = read;
	}
	return OidIsValid(def) && get_rel_namespace(def) == vp_extension()->def_schema
		? def : InvalidOid;
}

/*
 * Is this the stub of the definition?  Another view that reads it has another
 * name than the note says or, without a note, than the definition is called by.
 */
static bool
is_stub_of(Oid view, Oid def)
{
	char	   *schema = get_namespace_name(get_rel_namespace(view));
	char	   *name = get_rel_name(view);
	char	   *noted;
	bool		dummy;

	if (stub_definition(view) != def)
		return false;
	noted = vp_note_read_stub(def, &dummy);
	if (noted != NULL)
		return strcmp(noted, quote_qualified_identifier(schema, name)) == 0;
	return strcmp(get_rel_name(def), vp_definition_name(schema, name, def)) == 0;
}

/* NULL, or why this view's schemas can't be those of a pipeline of its owner. */
static char *
foreign_schema(const VpPipeline *p)
{
	ListCell   *lc;

	foreach(lc, p->schemas)
	{
		int32		holder = vp_pipeline_of_schema(lfirst_oid(lc));

		if (!vp_may_create_in_schema(lfirst_oid(lc), p->owner))
			return psprintf("its owner may not create in schema \"%s\"",
							get_namespace_name(lfirst_oid(lc)));
		if (holder != 0)
			return psprintf("schema \"%s\" belongs to pipeline \"%s\"",
							get_namespace_name(lfirst_oid(lc)),
							vp_pipeline_by_id(holder)->name);
	}
	return NULL;
}

/* NULL: adopted */
static char *
adopt_pipeline(Oid view, const char *name)
{
	VpPipeline *p = palloc0(sizeof(VpPipeline));
	char	   *problem;

	p->publish = "run";
	p->storage = "unlogged";
	p->on_miss = "compute";
	p->keep_versions = 2;
	p->name = pstrdup(name);
	(void) vp_note_read_pipeline(view, p);
	if (strcmp(p->name, name) != 0)
		return "its note is another pipeline's";
	p->view = view;
	p->owner = vp_relation_owner(view);
	p->schemas = vp_pipeline_view_schemas(view);
	if (!has_privs_of_role(GetUserId(), p->owner))
		return "you are not its owner";
	if (vp_pipeline_find(name) != NULL)
		return "another pipeline has this name";
	problem = foreign_schema(p);
	if (problem != NULL)
		return problem;
	vp_pipeline_check(p);
	vp_pipeline_insert(p);
	CommandCounterIncrement();
	return NULL;
}

/* Its note came after it: what the note says is what the pipeline is. */
static void
update_pipeline(VpPipeline *pipeline)
{
	VpPipeline	noted = *pipeline;

	if (!vp_note_read_pipeline(pipeline->view, &noted))
		return;
	noted.name = pipeline->name;
	vp_pipeline_check(&noted);
	vp_pipeline_update(&noted);
	CommandCounterIncrement();
}

/* The pipeline that the note names, else the one that has the schema. */
static VpPipeline *
pipeline_of(Oid stub, const char *noted, char **problem)
{
	Oid			schema = get_rel_namespace(stub);
	int32		id = vp_pipeline_of_schema(schema);
	VpPipeline *pipeline = id == 0 ? NULL : vp_pipeline_by_id(id);

	if (pipeline == NULL)
		*problem = psprintf("schema \"%s\" belongs to no pipeline",
							get_namespace_name(schema));
	else if (noted != NULL && strcmp(noted, pipeline->name) != 0)
		*problem = psprintf("it was of pipeline \"%s\", but schema \"%s\" belongs to pipeline \"%s\"",
							noted, get_namespace_name(schema), pipeline->name);
	return pipeline;
}

/* False if one of depends_on isn't an asset (yet). */
static bool
find_declared(VpAsset *asset, char **problem)
{
	ListCell   *lc;

	foreach(lc, asset->options.depends_on)
	{
		Oid			stub = RangeVarGetRelid(vp_name_parse(lfirst(lc)), NoLock, true);
		VpAsset    *upstream = OidIsValid(stub) ? vp_asset_by_stub(stub) : NULL;

		if (upstream == NULL)
		{
			*problem = psprintf("it depends on \"%s\", which is no asset", (char *) lfirst(lc));
			return false;
		}
		asset->declared = list_append_unique_int(asset->declared, upstream->id);
	}
	return true;
}

static void
insert_asset(VpAsset *asset, Query *query, const VpPipeline *pipeline, List *upstreams,
			 List *sources)
{
	bool		settings_matter;

	vp_options_check(&asset->options, asset->owner);
	if (asset->environment == NIL)
		asset->environment = vp_settings_record(vp_define_search_path(pipeline));
	asset->pipeline_id = pipeline->id;
	asset->error_on_miss = strcmp(asset->options.on_miss ? asset->options.on_miss
								  : pipeline->on_miss, "error") == 0;
	asset->code_hash = vp_define_code_hash(query, asset->environment, &settings_matter);
	if (list_length(asset->index_clauses) != list_length(asset->options.indexes))
		vp_slot_resolve_indexes(asset, pipeline->settings);
	asset->signature = vp_define_signature(asset);
	vp_asset_insert(asset);
	vp_dependencies_write(asset->id, upstreams, sources,
						  list_difference_int(asset->declared, upstreams));
	CommandCounterIncrement();
}

/* NULL: adopted */
static char *
adopt_asset(Oid stub, Oid def)
{
	VpAsset    *asset = palloc0(sizeof(VpAsset));
	VpPipeline *pipeline;
	Query	   *query = copy_view_query(def);
	List	   *upstreams;
	List	   *sources;
	char	   *noted = NULL;
	char	   *problem = NULL;
	Oid			unadopted;

	asset->def = def;
	asset->stub = stub;
	asset->owner = vp_relation_owner(def);
	asset->schema = get_namespace_name(get_rel_namespace(stub));
	asset->name = get_rel_name(stub);
	asset->display = quote_qualified_identifier(asset->schema, asset->name);
	asset->options = vp_options_default();
	if (!has_privs_of_role(GetUserId(), asset->owner))
		return "you are not its owner";
	(void) vp_note_read_stub(def, &asset->dummy);
	if (vp_is_dummy_query(query) && !asset->dummy)
		return "its query comes later in the restore";
	(void) vp_note_read_asset(def, asset, &noted);
	pipeline = pipeline_of(stub, noted, &problem);
	if (problem != NULL)
		return problem;
	unadopted = vp_analyze_reads(query, def, &upstreams, &sources);
	if (OidIsValid(unadopted))
		return psprintf("it reads %s, which is the definition of no asset",
						vp_relation_name(unadopted));
	if (!find_declared(asset, &problem))
		return problem;
	vp_pipeline_lock(pipeline->id);
	insert_asset(asset, query, pipeline, upstreams, sources);
	return NULL;
}

/*
 * Views of vibepiper_def that the catalog doesn't know, each with the views
 * that read it one by one, or with 0.
 */
static void
unknown_views(List **views, List **stubs)
{
	static VpStatement statement = {
		"SELECT c.oid, s.stub FROM pg_class c LEFT JOIN LATERAL (SELECT DISTINCT r.ev_class"
		"  FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
		"  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
		"  AND d.refobjid = c.oid AND r.ev_class <> c.oid AND r.rulename = '_RETURN') AS s(stub) ON true"
		" WHERE c.relnamespace = 'vibepiper_def'::regnamespace"
		" AND c.relkind = 'v' AND NOT EXISTS (SELECT FROM vibepiper.asset a WHERE a.def = c.oid)"
		" AND NOT EXISTS (SELECT FROM vibepiper.pipeline p WHERE p.view = c.oid) ORDER BY c.oid, s.stub",
		0, {0}
	};
	VpSpi		spi;
	uint64		n;
	MemoryContext old;

	*views = *stubs = NIL;
	vp_spi_open(&spi);
	n = vp_spi_run(&statement, NULL, NULL, false);
	old = MemoryContextSwitchTo(spi.caller);
	for (uint64 i = 0; i < n; i++)
	{
		*views = lappend_oid(*views, vp_col_oid(i, 1));
		*stubs = lappend_oid(*stubs, vp_col_oid(i, 2));
	}
	MemoryContextSwitchTo(old);
	vp_spi_close(&spi);
}

static VpAdoption *
adoption(char *object, char *problem)
{
	VpAdoption *a = palloc(sizeof(VpAdoption));

	a->object = object;
	a->problem = problem;
	return a;
}

static VpAdoption *
try_pipeline(Oid view, const char *name)
{
	return adoption(psprintf("pipeline %s", name), adopt_pipeline(view, name));
}

/* The stub, if it is among the views that read the definition, from the nth on. */
static Oid
find_stub(Oid def, List *views, List *stubs, int n)
{
	for (; n < list_length(views) && list_nth_oid(views, n) == def; n++)
	{
		Oid			stub = list_nth_oid(stubs, n);

		if (OidIsValid(stub) && is_stub_of(stub, def))
			return stub;
	}
	return InvalidOid;
}

static VpAdoption *
try_asset(Oid def, Oid stub)
{
	if (!OidIsValid(stub))
		return adoption(psprintf("definition %s", vp_relation_name(def)),
						"no view reads it");
	return adoption(psprintf("asset %s", vp_relation_name(stub)),
					adopt_asset(stub, def));
}

/*
 * Definitions come upstreams first, mostly; where not, another round finds
 * what the last one has made possible.
 */
static List *
adopt_assets(void)
{
	List	   *adopted = NIL;
	List	   *failed;
	bool		progress;

	do
	{
		List	   *views;
		List	   *stubs;
		Oid			last = InvalidOid;
		ListCell   *lc;

		progress = false;
		failed = NIL;
		unknown_views(&views, &stubs);
		foreach(lc, views)
		{
			Oid			def = lfirst_oid(lc);
			VpAdoption *a;

			CHECK_FOR_INTERRUPTS();
			if (def == last || vp_pipeline_view_name(def) != NULL)
				continue;
			last = def;
			a = try_asset(def, find_stub(def, views, stubs, foreach_current_index(lc)));
			if (a->problem == NULL)
			{
				progress = true;
				adopted = lappend(adopted, a);
			}
			else
				failed = lappend(failed, a);
		}
	} while (progress && failed != NIL);
	return list_concat(adopted, failed);
}

List *
vp_adopt_all(void)
{
	List	   *result = NIL;
	List	   *views;
	List	   *stubs;
	ListCell   *lc;

	unknown_views(&views, &stubs);
	foreach(lc, views)
	{
		char	   *name = vp_pipeline_view_name(lfirst_oid(lc));

		if (name != NULL)
			result = lappend(result, try_pipeline(lfirst_oid(lc), name));
	}
	return list_concat(result, adopt_assets());
}

static bool
is_read(Oid def)
{
	static VpStatement statement = {
		"SELECT FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
		" WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
		" AND d.refobjid = $1 AND r.ev_class <> $1 LIMIT 1", 1, {OIDOID}
	};
	Datum		value = ObjectIdGetDatum(def);
	VpSpi		spi;
	bool		found;

	vp_spi_open(&spi);
	found = vp_spi_run(&statement, &value, NULL, false) > 0;
	vp_spi_close(&spi);
	return found;
}

/*
 * A definition was made, or replaced: a dummy by its query, as restores do, or
 * a query by a dummy, as those do that clean up first.
 */
static void
replaced_definition(Oid def)
{
	VpAsset    *asset = vp_asset_by_def(def);

	if (asset == NULL)
	{
		/* most have no stub yet, and are adopted with it */
		if (is_read(def))
			(void) adopt_assets();
	}
	else if (vp_is_dummy_query(copy_view_query(def)))
		vp_forget(asset->id);
}

void
vp_adopt_view(Oid view)
{
	VpPipeline *pipeline;
	char	   *name;
	Oid			def;

	if (get_rel_namespace(view) != vp_extension()->def_schema)
	{
		def = stub_definition(view);
		if (OidIsValid(def) && vp_asset_by_def(def) == NULL && is_stub_of(view, def))
			(void) adopt_asset(view, def);
		return;
	}
	name = vp_pipeline_view_name(view);
	if (name == NULL)
	{
		replaced_definition(view);
		return;
	}
	pipeline = vp_pipeline_by_view(view);
	if (pipeline != NULL)
		update_pipeline(pipeline);
	else if (adopt_pipeline(view, name) == NULL)
		(void) adopt_assets();
}
