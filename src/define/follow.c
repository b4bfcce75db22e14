/*
 * follow.c
 *	  Assets follow what is done to their views by hand.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
#include "utils/rel.h"

#include "catalog/asset.h"
#include "catalog/note.h"
#include "catalog/pipeline.h"
#include "catalog/slots.h"
#include "common/names.h"
#include "common/spi.h"
#include "compat/compat.h"
#include "define/analyze.h"
#include "define/define.h"
#include "define/follow.h"
#include "define/views.h"
#include "store/clause.h"
#include "store/guard.h"

#define SEARCH_PATH "search_path="

/* Ids of assets that the statement finds for one key. */
static List *
find_ids(VpStatement *statement, Datum key)
{
	VpSpi		spi;
	List	   *ids = NIL;
	uint64		n;
	MemoryContext old;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, &key, NULL, false);
	old = MemoryContextSwitchTo(spi.caller);
	for (uint64 i = 0; i < n; i++)
		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
	MemoryContextSwitchTo(old);
	vp_spi_close(&spi);
	return ids;
}

static void
give(Oid relid, Oid owner)
{
	if (!OidIsValid(get_rel_namespace(relid)) || vp_relation_owner(relid) == owner)
		return;
	vp_guard_open();
	ATExecChangeOwner(relid, owner, true, AccessExclusiveLock);
	vp_guard_close();
}

static void
give_all(const VpAsset *asset, Oid owner)
{
	ListCell   *lc;

	give(asset->stub, owner);
	give(asset->def, owner);
	foreach(lc, vp_slots_of_asset(asset->id))
		give(((VpSlot *) lfirst(lc))->oid, owner);
	CommandCounterIncrement();
}

static void
check_schema(const VpAsset *asset)
{
	const VpPipeline *pipeline = vp_pipeline_by_id(asset->pipeline_id);

	if (!list_member_oid(pipeline->schemas, get_rel_namespace(asset->stub)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("schema \"%s\" does not belong to pipeline \"%s\" of asset \"%s\"",
						asset->schema, pipeline->name, asset->name),
				 errhint("Add it to the pipeline's schemas with vibepiper.define_pipeline() first.")));
}

/* Notes of assets that name this one. */
static void
rewrite_notes(int32 id)
{
	ListCell   *lc;

	foreach(lc, vp_asset_declarers(id))
	{
		VpAsset    *asset = vp_asset_by_id(lfirst_int(lc));

		vp_note_rewrite_asset(asset, vp_pipeline_by_id(asset->pipeline_id));
	}
}

static void
follow_name(VpAsset *asset)
{
	char	   *name = get_rel_name(asset->def);

	vp_note_rewrite_asset(asset, vp_pipeline_by_id(asset->pipeline_id));
	vp_views_follow_name(asset);
	CommandCounterIncrement();
	if (strcmp(name, get_rel_name(asset->def)) == 0)
		return;
	vp_asset_rename_query(asset->def, name);
	rewrite_notes(asset->id);
	CommandCounterIncrement();
}

void
vp_follow_view(Oid view)
{
	VpAsset    *asset = vp_asset_by_stub(view);

	if (asset == NULL)
		asset = vp_asset_by_def(view);
	if (asset == NULL)
		return;
	give_all(asset, vp_relation_owner(view));
	check_schema(asset);
	follow_name(asset);
}

void
vp_follow_schema(Oid schema)
{
	static VpStatement statement = {
		"SELECT a.asset_id FROM vibepiper.asset a JOIN pg_class c ON c.oid = a.stub"
		" WHERE c.relnamespace = $1 ORDER BY 1", 1, {OIDOID}
	};
	ListCell   *lc;

	foreach(lc, find_ids(&statement, ObjectIdGetDatum(schema)))
		follow_name(vp_asset_by_id(lfirst_int(lc)));
}

/* "search_path=a, b", with one name changed; NULL: it isn't there. */
static char *
renamed_path(const char *setting, const char *old_name, const char *new_name)
{
	StringInfoData buf;
	List	   *names;
	ListCell   *lc;
	bool		found = false;

	if (strncmp(setting, SEARCH_PATH, strlen(SEARCH_PATH)) != 0 ||
		!SplitIdentifierString(pstrdup(setting + strlen(SEARCH_PATH)), ',', &names))
		return NULL;
	initStringInfo(&buf);
	appendStringInfoString(&buf, SEARCH_PATH);
	foreach(lc, names)
	{
		bool		same = strcmp(lfirst(lc), old_name) == 0;

		found |= same;
		appendStringInfo(&buf, "%s%s", lc == list_head(names) ? "" : ", ",
						 quote_identifier(same ? new_name : lfirst(lc)));
	}
	return found ? buf.data : NULL;
}

/*
 * Functions find their unqualified names on the path, so it must follow, and
 * so must resolved index clauses.
 */
void
vp_follow_schema_name(const char *old_name, const char *new_name)
{
	static VpStatement statement = {
		"SELECT asset_id FROM vibepiper.asset WHERE position($1 IN environment[1]) > 0"
		" OR position(quote_ident($1) || '.' IN array_to_string(index_clauses, ' ')) > 0"
		" ORDER BY 1", 1, {TEXTOID}
	};
	ListCell   *lc;

	foreach(lc, find_ids(&statement, CStringGetTextDatum(old_name)))
	{
		VpAsset    *asset = vp_asset_by_id(lfirst_int(lc));
		char	   *path = renamed_path(linitial(asset->environment), old_name, new_name);

		if (path != NULL)
			linitial(asset->environment) = path;
		asset->index_clauses = vp_clauses_rename_schema(asset->index_clauses,
														old_name, new_name);
		vp_asset_update(asset);
		vp_note_rewrite_asset(asset, vp_pipeline_by_id(asset->pipeline_id));
		CommandCounterIncrement();
	}
}

static void
read_again(VpAsset *asset)
{
	Relation	rel = relation_open(asset->def, AccessShareLock);
	Query	   *query = copyObject(get_view_query(rel));
	List	   *upstreams;
	List	   *sources;

	relation_close(rel, NoLock);
	(void) vp_analyze_reads(query, asset->def, &upstreams, &sources);
	vp_define_check_cycle(asset, list_union_int(upstreams, asset->declared));
	vp_dependencies_write(asset->id, upstreams, sources,
						  list_difference_int(asset->declared, upstreams));
	CommandCounterIncrement();
}

void
vp_follow_query(Oid view)
{
	static VpStatement statement = {
		"WITH RECURSIVE v(oid) AS ("
		" SELECT $1 UNION SELECT r.ev_class FROM v"
		" JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid"
		"  AND d.classid = 'pg_rewrite'::regclass"
		" JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'"
		" WHERE NOT EXISTS (SELECT FROM vibepiper.asset a WHERE a.def = v.oid))"
		" SELECT a.asset_id FROM v JOIN vibepiper.asset a ON a.def = v.oid"
		" WHERE NOT a.detached ORDER BY 1", 1, {OIDOID}
	};
	ListCell   *lc;

	foreach(lc, find_ids(&statement, ObjectIdGetDatum(view)))
		read_again(vp_asset_by_id(lfirst_int(lc)));
}
