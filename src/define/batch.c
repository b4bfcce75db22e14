/*
 * batch.c
 *	  Define many assets at once, given in any order.
 *
 * The order comes from the texts alone: which relations does each mention, and
 * which of these names are in the batch?
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

#include "common/names.h"
#include "common/nearest.h"
#include "common/spi.h"
#include "define/analyze.h"
#include "define/batch.h"
#include "define/define.h"
#include "graph/graph.h"
#include "graph/name_index.h"

#define FIELDS \
	"name", "query", "cache", "cache_ttl", "lazy", "parallel", "storage", \
	"on_miss", "indexes", "settings", "hints", "depends_on", "tags", "retries", \
	"retry_delay", "timeout", "description"

static void
refuse_shape(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("assets must be a jsonb array of objects"),
			 errdetail("%s", detail),
			 errhint("Each has \"name\" and \"query\", and may have the other arguments of define_asset().")));
}

static void
check_field(const char *field, const char *asset)
{
	static const char *const fields[] = {FIELDS};
	List	   *candidates = NIL;
	List	   *near;

	for (int i = 0; i < (int) lengthof(fields); i++)
	{
		if (strcmp(fields[i], field) == 0)
			return;
		candidates = lappend(candidates, unconstify(char *, fields[i]));
	}
	near = vp_nearest_names(field, candidates, 1);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown field \"%s\" of asset \"%s\"", field, asset),
			 near != NIL ? errhint("Did you mean \"%s\"?", (char *) linitial(near)) : 0));
}

/* Every element is an object with known fields, a name and a query. */
static void
check_shape(VpSpi *spi, Datum assets)
{
	static VpStatement is_array = {
		"SELECT jsonb_typeof($1)", 1, {JSONBOID}
	};
	static VpStatement elements = {
		"SELECT coalesce(e->>'name', ''), jsonb_typeof(e), coalesce(e->>'query', '')"
		" FROM jsonb_array_elements($1) e", 1, {JSONBOID}
	};
	static VpStatement fields = {
		"SELECT k, e->>'name' FROM jsonb_array_elements($1) e, jsonb_object_keys(e) k",
		1, {JSONBOID}
	};
	uint64		n;

	(void) vp_spi_run(&is_array, &assets, NULL, false);
	if (strcmp(vp_col_text(spi, 0, 1), "array") != 0)
		refuse_shape(psprintf("It is of type %s.", vp_col_text(spi, 0, 1)));
	n = vp_spi_run(&elements, &assets, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		if (strcmp(vp_col_text(spi, i, 2), "object") != 0)
			refuse_shape(psprintf("Element %d is of type %s.", (int) i + 1,
								  vp_col_text(spi, i, 2)));
		if (*vp_col_text(spi, i, 1) == '\0')
			refuse_shape(psprintf("Element %d has no name.", (int) i + 1));
		if (*vp_col_text(spi, i, 3) == '\0')
			refuse_shape(psprintf("Element %d has no query.", (int) i + 1));
	}
	n = vp_spi_run(&fields, &assets, NULL, false);
	for (uint64 i = 0; i < n; i++)
		check_field(vp_col_text(spi, i, 1), vp_col_text(spi, i, 2));
}

/* Of char *; a null among them is an error, as for define_asset(). */
static List *
read_texts(VpSpi *spi, uint64 row, int column, const char *field)
{
	bool		isnull;
	Datum		array = vp_col_datum(spi, row, column, &isnull);

	if (!isnull && array_contains_nulls(DatumGetArrayTypeP(array)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s can't have null elements", field)));
	return vp_col_texts(spi, row, column);
}

static VpSpec *
read_spec(VpSpi *spi, uint64 row, const VpPipeline *pipeline)
{
	VpSpec	   *spec = MemoryContextAllocZero(spi->caller, sizeof(VpSpec));
	VpAssetOptions *o = &spec->options;
	Interval   *delay = vp_col_interval(spi, row, 15);
	MemoryContext old = MemoryContextSwitchTo(spi->caller);

	*o = vp_options_default();
	MemoryContextSwitchTo(old);
	spec->name = vp_col_text(spi, row, 1);
	spec->query = vp_col_text(spi, row, 2);
	if (!vp_col_null(row, 3))
		o->cache = vp_col_bool(row, 3);
	o->cache_ttl = vp_col_interval(spi, row, 4);
	o->lazy = vp_col_bool(row, 5);
	if (!vp_col_null(row, 6))
		o->parallel = vp_col_bool(row, 6);
	o->storage = vp_col_text(spi, row, 7);
	o->on_miss = vp_col_text(spi, row, 8);
	o->indexes = read_texts(spi, row, 9, "indexes");
	o->settings = read_texts(spi, row, 10, "settings");
	o->hints = vp_col_text(spi, row, 11);
	o->depends_on = read_texts(spi, row, 12, "depends_on");
	o->tags = read_texts(spi, row, 13, "tags");
	o->retries = vp_col_int32(row, 14, 0);
	if (delay != NULL)
		o->retry_delay = delay;
	o->timeout = vp_col_interval(spi, row, 16);
	o->description = vp_col_text(spi, row, 17);
	return spec;
}

static List *
read_specs(const VpPipeline *pipeline, Datum assets)
{
	static VpStatement statement = {
		"SELECT * FROM jsonb_to_recordset($1) AS a(name text, query text,"
		" cache bool, cache_ttl interval, lazy bool, parallel bool, storage text,"
		" on_miss text, indexes text[], settings text[], hints text,"
		" depends_on text[], tags text[], retries int, retry_delay interval,"
		" timeout interval, description text)", 1, {JSONBOID}
	};
	VpSpi		spi;
	List	   *specs = NIL;
	uint64		n;
	ListCell   *lc;

	vp_spi_open(&spi);
	check_shape(&spi, assets);
	n = vp_spi_run(&statement, &assets, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		VpSpec	   *spec = read_spec(&spi, i, pipeline);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		specs = lappend(specs, spec);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	foreach(lc, specs)
		vp_spec_set_name(lfirst(lc), pipeline, ((VpSpec *) lfirst(lc))->name);
	return specs;
}

static VpGraph *
graph_of(List *specs)
{
	VpGraph    *graph = vp_graph_create(list_length(specs));
	int			i = 0;
	ListCell   *lc;

	foreach(lc, specs)
	{
		VpSpec	   *spec = lfirst(lc);
		VpGraphNode *node = &graph->nodes[i++];

		node->schema = spec->schema;
		node->name = spec->name;
		node->display = quote_qualified_identifier(spec->schema, spec->name);
		node->data = spec;
	}
	return graph;
}

static void
check_twice(const VpGraph *graph, VpNameIndex *index)
{
	for (int i = 0; i < graph->n; i++)
		if (bms_num_members(vp_name_index_find(index, graph->nodes[i].schema,
											   graph->nodes[i].name)) > 1)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("asset %s stands in the batch more than once",
							graph->nodes[i].display)));
}

/* -1: none */
static int
node_in(VpNameIndex *index, const char *schema, const char *name)
{
	return bms_next_member(vp_name_index_find(index, schema, name), -1);
}

/* Node that a name means, as far as the batch goes; -1: none. */
static int
node_named(const VpPipeline *pipeline, VpNameIndex *index, const RangeVar *name)
{
	ListCell   *lc;

	if (name->schemaname != NULL)
		return node_in(index, name->schemaname, name->relname);
	foreach(lc, pipeline->schemas)
	{
		char	   *schema = get_namespace_name(lfirst_oid(lc));
		int			node = schema ? node_in(index, schema, name->relname) : -1;

		if (node >= 0)
			return node;
		if (OidIsValid(get_relname_relid(name->relname, lfirst_oid(lc))))
			return -1;
	}
	return -1;
}

static void
add_edges(VpGraph *graph, VpNameIndex *index, const VpPipeline *pipeline)
{
	for (int i = 0; i < graph->n; i++)
	{
		const VpSpec *spec = graph->nodes[i].data;
		List	   *names = vp_analyze_mentioned(vp_analyze_parse(spec->query));
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		foreach(lc, spec->options.depends_on)
			names = lappend(names, vp_name_parse(lfirst(lc)));
		foreach(lc, names)
		{
			int			up = node_named(pipeline, index, lfirst(lc));

			if (up >= 0)
				vp_graph_add_edge(graph, up, i);
		}
	}
}

/* The specs in an order in which each comes after those that it reads. */
static int *
order_of(VpGraph *graph, const VpPipeline *pipeline)
{
	VpNameIndex *index = vp_name_index_create(graph);
	int		   *order = palloc(sizeof(int) * Max(graph->n, 1));
	List	   *cycle;

	check_twice(graph, index);
	add_edges(graph, index, pipeline);
	vp_graph_finish(graph);
	if (!vp_graph_topological_order(graph, order, &cycle))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_RECURSION),
				 errmsg("assets of the batch depend on each other in a circle"),
				 errdetail("%s", vp_graph_cycle_path(graph, cycle))));
	return order;
}

static void
define_error_callback(void *arg)
{
	errcontext("definition of asset %s", (const char *) arg);
}

static VpChange *
define_node(VpRebuild *rebuild, const VpPipeline *pipeline, const VpGraphNode *node)
{
	ErrorContextCallback callback = {
		.callback = define_error_callback,
		.arg = unconstify(char *, node->display),
		.previous = error_context_stack
	};
	VpChange   *change;

	error_context_stack = &callback;
	change = vp_define(rebuild, pipeline, node->data);
	error_context_stack = callback.previous;
	return change;
}

/* The pipeline's assets that the batch does not have. */
static List *
others(const VpPipeline *pipeline, const VpGraph *graph)
{
	HASHCTL		ctl = {
		.keysize = 4 * NAMEDATALEN + 8,
		.entrysize = 4 * NAMEDATALEN + 8
	};
	HTAB	   *kept = hash_create("vibepiper batch", Max(graph->n, 16), &ctl,
								   HASH_ELEM | HASH_STRINGS);
	List	   *doomed = NIL;
	ListCell   *lc;

	for (int i = 0; i < graph->n; i++)
		(void) hash_search(kept, graph->nodes[i].display, HASH_ENTER, NULL);
	foreach(lc, vp_assets_of_pipeline(pipeline->id))
		if (hash_search(kept, ((VpAsset *) lfirst(lc))->display, HASH_FIND, NULL) == NULL)
		doomed = lappend(doomed, lfirst(lc));
	hash_destroy(kept);

	return doomed;
}

List *
vp_define_batch(const VpPipeline *pipeline, Datum assets, bool prune)
{
	VpGraph    *graph = graph_of(read_specs(pipeline, assets));
	int		   *order = order_of(graph, pipeline);
	List	   *doomed = prune ? others(pipeline, graph) : NIL;
	List	   *changes = NIL;
	VpRebuild	rebuild = {0};
	ListCell   *lc;

	foreach(lc, doomed)
		rebuild.doomed = bms_add_member(rebuild.doomed, ((VpAsset *) lfirst(lc))->id);
	for (int i = 0; i < graph->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		changes = lappend(changes,
						  define_node(&rebuild, pipeline, &graph->nodes[order[i]]));
	}
	foreach(lc, doomed == NIL ? NIL : vp_drop(doomed, false))
		changes = lappend(changes,
						  vp_change(((VpAsset *) lfirst(lc))->display, "dropped", NULL));
	vp_rebuild_finish(&rebuild);
	return list_concat(changes, rebuild.changes);
}
