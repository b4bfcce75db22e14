/*
 * nodes.c
 *	  Loads the nodes of a state: assets with their published versions.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/pipeline.h"
#include "catalog/version.h"
#include "common/deadline.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/spi.h"
#include "freshness/code.h"
#include "freshness/nodes.h"
#include "store/resolve.h"

typedef struct IdEntry
{
	int32		id;				/* hash key */
	int			node;
} IdEntry;

/* Columns that are read. */
enum
{
	ASSET_ID, ASSET_DEF, ASSET_STUB, ASSET_PIPELINE, ASSET_LAZY, ASSET_CODE, ASSET_SIGNATURE,
	ASSET_CACHE, ASSET_TTL, ASSET_STALENESS, ASSET_PARALLEL, ASSET_TAGS, ASSET_PINNED,
	ASSET_STORAGE, ASSET_SETTINGS,
	ASSET_COLUMNS
};
static const char *const asset_columns[] = {
	"asset_id", "def", "stub", "pipeline_id", "lazy", "code_hash", "signature",
	"cache", "cache_ttl", "max_staleness", "parallel", "tags", "pinned_run",
	"storage", "settings"
};
enum
{
	VERSION_ID, VERSION_SLOT, VERSION_ROWS, VERSION_CODE, VERSION_SIGNATURE, VERSION_DATA,
	VERSION_UPSTREAMS, VERSION_HASHES, VERSION_INCARNATION, VERSION_INVALIDATED,
	VERSION_AS_OF, VERSION_ELAPSED, VERSION_SOURCES,
	VERSION_COLUMNS
};
static const char *const version_columns[] = {
	"version_id", "slot", "rows", "code_hash", "signature", "data_hash",
	"upstreams", "upstream_hashes", "incarnation", "invalidated",
	"as_of", "elapsed", "sources"
};

#define MAX_COLUMNS 16
StaticAssertDecl((int) ASSET_COLUMNS <= MAX_COLUMNS && (int) VERSION_COLUMNS <= MAX_COLUMNS,
				 "there is room for the columns");

/* A table of ours, and the row that was read last. */
typedef struct Table
{
	Relation	rel;
	AttrNumber	numbers[MAX_COLUMNS];
	Datum	   *values;
	bool	   *nulls;
} Table;

typedef struct Loader
{
	VpState    *state;
	HTAB	   *index;
	bool		with_tags;
	Snapshot	snapshot;
	TimestampTz now;
	Table		assets;
	Table		versions;

	/* of the other pipeline that was asked last */
	int32		other_pipeline;
	List	   *other_settings;
} Loader;

HTAB *
vp_nodes_create_index(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(int32),
		.entrysize = sizeof(IdEntry),
		.hcxt = CurrentMemoryContext
	};

	return hash_create("vibepiper nodes by id", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

int
vp_nodes_find(HTAB *index, int32 asset_id)
{
	const IdEntry *entry = hash_search(index, &asset_id, HASH_FIND, NULL);

	return entry == NULL ? -1 : entry->node;
}

static void
open_table(Table *table, Oid relid, const char *const *columns, int ncolumns)
{
	TupleDesc	desc;

	table->rel = table_open(relid, AccessShareLock);
	desc = RelationGetDescr(table->rel);
	table->values = palloc(sizeof(Datum) * desc->natts);
	table->nulls = palloc(sizeof(bool) * desc->natts);
	for (int i = 0; i < ncolumns; i++)
		table->numbers[i] = get_attnum(relid, columns[i]);
}

static void
close_table(Table *table)
{
	table_close(table->rel, AccessShareLock);
	pfree(table->values);
	pfree(table->nulls);
}

static void
take_row(Table *table, HeapTuple tuple)
{
	heap_deform_tuple(tuple, RelationGetDescr(table->rel), table->values, table->nulls);
}

static Datum
value(const Table *table, int column)
{
	return table->values[table->numbers[column] - 1];
}

static bool
is_null(const Table *table, int column)
{
	return table->nulls[table->numbers[column] - 1];
}

/* Is the version at least as old as the interval?  One from the future is, too. */
static bool
is_as_old(const Loader *loader, TimestampTz as_of, int column)
{
	const Interval *interval = DatumGetIntervalP(value(&loader->assets, column));

	return as_of > loader->now || vp_deadline_after(as_of, interval) <= loader->now;
}

/* The asset's row is the last one that was read. */
static void
read_version(Loader *loader, VpNode *node)
{
	const Table *t = &loader->versions;
	VpHash		data_hash = vp_hash_from_datum(value(t, VERSION_DATA));
	TimestampTz as_of = DatumGetTimestampTz(value(t, VERSION_AS_OF));

	node->rows += DatumGetInt64(value(t, VERSION_ROWS));
	vp_hash_add(&node->data_hash, data_hash);
	if (node->version_id != 0)	/* another part */
		return;
	node->version_id = DatumGetInt64(value(t, VERSION_ID));
	node->slot = DatumGetObjectId(value(t, VERSION_SLOT));
	node->version_code = vp_hash_from_datum(value(t, VERSION_CODE));
	node->upstreams = vp_ids_from_datum(value(t, VERSION_UPSTREAMS));
	node->upstream_hashes = vp_hashes_from_datum(value(t, VERSION_HASHES));
	node->incarnation = DatumGetInt64(value(t, VERSION_INCARNATION));
	node->invalidated = DatumGetBool(value(t, VERSION_INVALIDATED));
	node->elapsed = DatumGetIntervalP(value(t, VERSION_ELAPSED))->time;
	node->same_signature = vp_hash_equal(vp_hash_from_datum(value(t, VERSION_SIGNATURE)),
										 vp_hash_from_datum(value(&loader->assets, ASSET_SIGNATURE)));
	node->sources = is_null(t, VERSION_SOURCES) ? NULL :
		DatumGetByteaPCopy(value(t, VERSION_SOURCES));
	node->expired = node->has_ttl && is_as_old(loader, as_of, ASSET_TTL);
	node->young = !is_null(&loader->assets, ASSET_STALENESS) &&
		!is_as_old(loader, as_of, ASSET_STALENESS);
}

static void
read_versions(Loader *loader, VpNode *node)
{
	const VpExtension *ext = vp_extension();
	ListCell   *lc;

	foreach(lc, vp_mapping_read(node->def, loader->snapshot))
	{
		const VpPart *part = lfirst(lc);
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, loader->versions.numbers[VERSION_ID], BTEqualStrategyNumber,
					F_INT8EQ, Int64GetDatum(part->version_id));
		scan = systable_beginscan(loader->versions.rel, ext->version_pkey, true,
								  loader->snapshot, 1, &key);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
		{
			take_row(&loader->versions, tuple);
			read_version(loader, node);
		}
		systable_endscan(scan);
	}
}

/* The asset's own storage, or else the pipeline's. */
static char
persistence_of(const Loader *loader)
{
	const char *storage = is_null(&loader->assets, ASSET_STORAGE) ? loader->state->pipeline->storage :
	TextDatumGetCString(value(&loader->assets, ASSET_STORAGE));

	return strcmp(storage, "logged") == 0 ? RELPERSISTENCE_PERMANENT : RELPERSISTENCE_UNLOGGED;
}

static List *
pipeline_settings(Loader *loader)
{
	int32		id = DatumGetInt32(value(&loader->assets, ASSET_PIPELINE));

	if (id == loader->state->pipeline->id)
		return loader->state->pipeline->settings;
	if (id != loader->other_pipeline)
	{
		loader->other_settings = vp_pipeline_settings(id);
		loader->other_pipeline = id;
	}
	return loader->other_settings;
}

/* Does who reads it compute it?  The asset's row is the last one that was read. */
static void
look_if_in_place(Loader *loader, VpNode *node)
{
	const Table *t = &loader->assets;

	node->in_place = node->lazy || node->version_id == 0 ||
		(!node->same_signature && !vp_columns_match(node->def, node->slot));
	if (!node->in_place)
		return;
	node->code_in_place =
		vp_code_hash_in_place(node->code_hash, vp_relation_owner(node->def),
							  pipeline_settings(loader), is_null(t, ASSET_SETTINGS) ? NIL :
							  vp_texts_from_datum(value(t, ASSET_SETTINGS)));
}

/* The row's asset as one more node, unless it was just dropped. */
static void
add_node(Loader *loader)
{
	VpState    *state = loader->state;
	const Table *t = &loader->assets;
	Oid			stub = DatumGetObjectId(value(t, ASSET_STUB));
	char	   *name = get_rel_name(stub);
	char	   *schema = name == NULL ? NULL : get_namespace_name(get_rel_namespace(stub));
	VpNode	   *node = &state->nodes[state->ntotal];
	VpGraphNode *graph_node = &state->graph_nodes[state->ntotal];
	bool		found;
	IdEntry    *entry;

	if (schema == NULL)
		return;
	memset(node, 0, sizeof(*node));
	memset(graph_node, 0, sizeof(*graph_node));
	node->id = DatumGetInt32(value(t, ASSET_ID));
	node->def = DatumGetObjectId(value(t, ASSET_DEF));
	node->stub = stub;
	node->parallel = DatumGetBool(value(t, ASSET_PARALLEL));
	node->has_ttl = !is_null(t, ASSET_TTL);
	node->external = DatumGetInt32(value(t, ASSET_PIPELINE)) != state->pipeline->id;
	node->cache = DatumGetBool(value(t, ASSET_CACHE));
	node->lazy = DatumGetBool(value(t, ASSET_LAZY));
	node->pinned_run = is_null(t, ASSET_PINNED) ? 0 : DatumGetInt64(value(t, ASSET_PINNED));
	node->persistence = persistence_of(loader);
	node->code_hash = vp_hash_from_datum(value(t, ASSET_CODE));
	graph_node->schema = schema;
	graph_node->name = name;
	graph_node->tags = loader->with_tags ? vp_texts_from_datum(value(t, ASSET_TAGS)) : NIL;
	graph_node->display = quote_qualified_identifier(schema, name);
	read_versions(loader, node);
	look_if_in_place(loader, node);
	entry = hash_search(loader->index, &node->id, HASH_ENTER, &found);
	entry->node = state->ntotal++;
	state->n += !node->external;
}

/* Make room for so many more nodes. */
static void
reserve_nodes(VpState *state, int more)
{
	Size		n = (Size) state->ntotal + more + 1;

	if (state->nodes == NULL)
	{
		state->nodes = palloc_extended(n * sizeof(VpNode), MCXT_ALLOC_HUGE);
		state->graph_nodes = palloc_extended(n * sizeof(VpGraphNode), MCXT_ALLOC_HUGE);
		return;
	}
	state->nodes = repalloc_huge(state->nodes, n * sizeof(VpNode));
	state->graph_nodes = repalloc_huge(state->graph_nodes, n * sizeof(VpGraphNode));
}

static Loader
begin_loading(VpState *state, HTAB *index, bool with_tags)
{
	const VpExtension *ext = vp_extension_required();
	Loader		loader = {
		.state = state,
		.index = index,
		.with_tags = with_tags,
		.snapshot = GetActiveSnapshot(),
		.now = GetCurrentTimestamp()
	};

	open_table(&loader.assets, ext->asset, asset_columns, ASSET_COLUMNS);
	open_table(&loader.versions, ext->version, version_columns, VERSION_COLUMNS);
	return loader;
}

static void
end_loading(Loader *loader)
{
	close_table(&loader->versions);
	close_table(&loader->assets);
}

/* Rows whose column has this value, added to the list as copies. */
static List *
find_assets(Loader *loader, List *tuples, Oid index, int column, int32 wanted)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, loader->assets.numbers[column], BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(wanted));
	scan = systable_beginscan(loader->assets.rel, index, true, loader->snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		tuples = lappend(tuples, heap_copytuple(tuple));
	systable_endscan(scan);
	return tuples;
}

/* The id is the first column, and never null. */
static int32
id_of(HeapTuple tuple)
{
	return *(int32 *) ((char *) tuple->t_data + tuple->t_data->t_hoff);
}

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	int32		x = id_of(lfirst(a));
	int32		y = id_of(lfirst(b));

	return x < y ? -1 : x > y;
}

static void
add_nodes(Loader *loader, List *tuples)
{
	ListCell   *lc;

	list_sort(tuples, compare_ids);
	reserve_nodes(loader->state, list_length(tuples));
	foreach(lc, tuples)
	{
		CHECK_FOR_INTERRUPTS();
		take_row(&loader->assets, lfirst(lc));
		add_node(loader);
		heap_freetuple(lfirst(lc));
	}
	list_free(tuples);
}

void
vp_nodes_load_own(VpState *state, HTAB *index, bool with_tags)
{
	Loader		loader = begin_loading(state, index, with_tags);

	add_nodes(&loader, find_assets(&loader, NIL, vp_extension()->asset_pipeline_id_idx,
								   ASSET_PIPELINE, state->pipeline->id));
	end_loading(&loader);
}

void
vp_nodes_load_others(VpState *state, HTAB *index, List *ids)
{
	Loader		loader;
	List	   *tuples = NIL;
	ListCell   *lc;

	if (ids == NIL)
		return;
	loader = begin_loading(state, index, false);
	foreach(lc, ids)
		tuples = find_assets(&loader, tuples, vp_extension()->asset_pkey, ASSET_ID, lfirst_int(lc));
	add_nodes(&loader, tuples);
	end_loading(&loader);
}
