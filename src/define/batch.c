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
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "common/names.h"
#include "common/nearest.h"
#include "common/spi.h"
#include "define/analyze.h"
#include "define/batch.h"
#include "define/define.h"
#include "graph/graph.h"
#include "graph/name_index.h"

/* The fields of an asset, and what jsonb_typeof() says of them; null is not given. */
typedef struct Field
{
	const char *name;
	const char *type;			/* an array's elements are strings */
} Field;

static const Field fields[] = {
	{"name", "string"},
	{"query", "string"},
	{"cache", "boolean"},
	{"cache_ttl", "string"},
	{"lazy", "boolean"},
	{"parallel", "boolean"},
	{"storage", "string"},
	{"on_miss", "string"},
	{"indexes", "array"},
	{"settings", "array"},
	{"hints", "string"},
	{"depends_on", "array"},
	{"tags", "array"},
	{"retries", "number"},
	{"retry_delay", "string"},
	{"timeout", "string"},
	{"description", "string"},
	{"max_staleness", "string"}
};

static void
refuse_shape(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("assets must be a jsonb array of objects"),
			 errdetail("%s", detail),
			 errhint("Each has \"name\" and \"query\", and may have the other arguments of define_asset().")));
}

/* Its type (jsonb_typeof), or an error with a near name. */
static const char *
field_type(const char *field, const char *asset)
{
	List	   *candidates = NIL;
	List	   *near;

	for (int i = 0; i < (int) lengthof(fields); i++)
	{
		if (strcmp(fields[i].name, field) == 0)
			return fields[i].type;
		candidates = lappend(candidates, unconstify(char *, fields[i].name));
	}
	near = vp_nearest_names(field, candidates, 1);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown field \"%s\" of asset \"%s\"", field, asset),
			 near != NIL ? errhint("Did you mean \"%s\"?", (char *) linitial(near)) : 0));
}

/* type is the value's; element is that of an element that is no string, or NULL */
static void
check_field(const char *field, const char *asset, const char *type, const char *element)
{
	const char *wanted = field_type(field, asset);

	if (strcmp(type, "null") == 0 || (strcmp(type, wanted) == 0 && element == NULL))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 strcmp(wanted, "array") == 0
			 ? errmsg("field \"%s\" of asset \"%s\" must be an array of strings", field, asset)
			 : errmsg("field \"%s\" of asset \"%s\" must be a %s", field, asset, wanted),
			 strcmp(type, wanted) == 0
			 ? errdetail("It has an element of type %s.", element)
			 : errdetail("It is of type %s.", type)));
}

/* Every element is an object with a name and a query, and known fields. */
static void
check_shape(VpSpi *spi, Datum assets)
{
	static VpStatement is_array = {
		"SELECT jsonb_typeof($1)", 1, {JSONBOID}
	};
	static VpStatement elements = {
		"SELECT jsonb_typeof(e), coalesce(jsonb_typeof(e->'name'), 'null'),"
		" coalesce(e->>'name', '') = '', coalesce(e->>'query', '') = ''"
		" FROM jsonb_array_elements($1) e", 1, {JSONBOID}
	};
	static VpStatement each = {
		"SELECT f.key, e->>'name', jsonb_typeof(f.value), CASE WHEN jsonb_typeof(f.value) = 'array'"
		" THEN (SELECT jsonb_typeof(x) FROM jsonb_array_elements(f.value) x"
		"  WHERE jsonb_typeof(x) <> 'string' LIMIT 1) END"
		" FROM jsonb_array_elements($1) e, jsonb_each(e) f", 1, {JSONBOID}
	};
	uint64		n;

	(void) vp_spi_run(&is_array, &assets, NULL, false);
	if (strcmp(vp_col_text(spi, 0, 1), "array") != 0)
		refuse_shape(psprintf("It is of type %s.", vp_col_text(spi, 0, 1)));
	n = vp_spi_run(&elements, &assets, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		const char *name_type = vp_col_text(spi, i, 2);

		if (strcmp(vp_col_text(spi, i, 1), "object") != 0)
			refuse_shape(psprintf("Element %d is of type %s.", (int) i + 1,
								  vp_col_text(spi, i, 1)));
		if (strcmp(name_type, "null") != 0 && strcmp(name_type, "string") != 0)
			refuse_shape(psprintf("The name of element %d is of type %s.", (int) i + 1,
								  name_type));
		if (vp_col_bool(i, 3))
			refuse_shape(psprintf("Element %d has no name.", (int) i + 1));
		if (vp_col_bool(i, 4))
			refuse_shape(psprintf("Element %d has no query.", (int) i + 1));
	}
	n = vp_spi_run(&each, &assets, NULL, false);
	for (uint64 i = 0; i < n; i++)
		check_field(vp_col_text(spi, i, 1), vp_col_text(spi, i, 2),
					vp_col_text(spi, i, 3), vp_col_text(spi, i, 4));
}

static void
convert_error_callback(void *arg)
{
	const char **what = arg;

	errcontext("field \"%s\" of asset \"%s\"", what[0], what[1]);
}

static Datum
convert(PGFunction input, const char *text, const char *field, const char *asset)
{
	const char *what[2] = {field, asset};
	ErrorContextCallback callback = {
		.callback = convert_error_callback,
		.arg = what,
		.previous = error_context_stack
	};
	Datum		value;

	error_context_stack = &callback;
	value = DirectFunctionCall3(input, CStringGetDatum(text),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	error_context_stack = callback.previous;
	return value;
}

/* The value of a column of text, or the given one if it is null. */
static Interval *
read_interval(VpSpi *spi, uint64 row, int column, const char *field, Interval *if_null)
{
	if (vp_col_null(row, column))
		return if_null;
	return DatumGetIntervalP(convert(interval_in, vp_col_text(spi, row, column), field,
									 vp_col_text(spi, row, 1)));
}

static int32
read_int32(VpSpi *spi, uint64 row, int column, const char *field)
{
	if (vp_col_null(row, column))
		return 0;
	return DatumGetInt32(convert(int4in, vp_col_text(spi, row, column), field,
								 vp_col_text(spi, row, 1)));
}

static VpSpec *
read_spec(VpSpi *spi, uint64 row)
{
	MemoryContext old = MemoryContextSwitchTo(spi->caller);
	VpSpec	   *spec = palloc0(sizeof(VpSpec));
	VpAssetOptions *o = &spec->options;

	*o = vp_options_default();
	spec->name = vp_col_text(spi, row, 1);
	spec->query = vp_col_text(spi, row, 2);
	if (!vp_col_null(row, 3))
		o->cache = vp_col_bool(row, 3);
	o->cache_ttl = read_interval(spi, row, 4, "cache_ttl", NULL);
	o->lazy = vp_col_bool(row, 5);
	if (!vp_col_null(row, 6))
		o->parallel = vp_col_bool(row, 6);
	o->storage = vp_col_text(spi, row, 7);
	o->on_miss = vp_col_text(spi, row, 8);
	o->indexes = vp_col_texts(spi, row, 9);
	o->settings = vp_col_texts(spi, row, 10);
	o->hints = vp_col_text(spi, row, 11);
	o->depends_on = vp_col_texts(spi, row, 12);
	o->tags = vp_col_texts(spi, row, 13);
	o->retries = read_int32(spi, row, 14, "retries");
	o->retry_delay = read_interval(spi, row, 15, "retry_delay", o->retry_delay);
	o->timeout = read_interval(spi, row, 16, "timeout", NULL);
	o->description = vp_col_text(spi, row, 17);
	o->max_staleness = read_interval(spi, row, 18, "max_staleness", NULL);
	MemoryContextSwitchTo(old);
	return spec;
}

static List *
read_specs(const VpPipeline *pipeline, Datum assets)
{
	static VpStatement statement = {
		"SELECT * FROM jsonb_to_recordset($1) AS a(name text, query text,"
		" cache bool, cache_ttl text, lazy bool, parallel bool, storage text,"
		" on_miss text, indexes text[], settings text[], hints text,"
		" depends_on text[], tags text[], retries text, retry_delay text,"
		" timeout text, description text, max_staleness text)", 1, {JSONBOID}
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
		VpSpec	   *spec = read_spec(&spi, i);
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
define_error_callback(void *arg)
{
	errcontext("definition of asset %s", (const char *) arg);
}

/* Of RangeVar: what the query mentions, and what depends_on names. */
static List *
names_read(const VpGraphNode *node)
{
	const VpSpec *spec = node->data;
	ErrorContextCallback callback = {
		.callback = define_error_callback,
		.arg = unconstify(char *, node->display),
		.previous = error_context_stack
	};
	List	   *names;
	ListCell   *lc;

	error_context_stack = &callback;
	names = vp_analyze_mentioned(vp_analyze_parse(spec->query));
	foreach(lc, spec->options.depends_on)
		names = lappend(names, vp_name_parse(lfirst(lc)));
	error_context_stack = callback.previous;
	return names;
}

static void
add_edges(VpGraph *graph, VpNameIndex *index, const VpPipeline *pipeline)
{
	for (int i = 0; i < graph->n; i++)
	{
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		foreach(lc, names_read(&graph->nodes[i]))
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
