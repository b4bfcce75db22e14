/*
 * detach.c
 *	  Let go of a source for a while, so that it can be altered.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/asset.h"
#include "catalog/note.h"
#include "catalog/pipeline.h"
#include "common/names.h"
#include "common/spi.h"
#include "compat/compat.h"
#include "define/canonical.h"
#include "define/define.h"
#include "define/detach.h"
#include "define/views.h"

static List *
load(VpStatement *statement, const Datum *values)
{
	VpSpi		spi;
	List	   *ids = NIL;
	List	   *assets = NIL;
	uint64		n;
	MemoryContext old;
	ListCell   *lc;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, values, NULL, false);
	old = MemoryContextSwitchTo(spi.caller);
	for (uint64 i = 0; i < n; i++)
		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
	MemoryContextSwitchTo(old);
	vp_spi_close(&spi);
	foreach(lc, ids)
		assets = lappend(assets, vp_asset_by_id(lfirst_int(lc)));
	return assets;
}

/* The owner of the source may; else whoever owns all the assets. */
static void
check_rights(Oid source, List *assets)
{
	ListCell   *lc;

	if (has_privs_of_role(GetUserId(), vp_relation_owner(source)))
		return;
	foreach(lc, assets)
	{
		const VpAsset *asset = lfirst(lc);

		if (!has_privs_of_role(GetUserId(), asset->owner))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("must be owner of %s or of all assets that read it",
							vp_relation_name(source)),
					 errdetail("Asset %s is another's.", asset->display)));
	}
}

static void
refuse_none(Oid source, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("no asset %s %s", what, vp_relation_name(source))));
}

/* By number, so that two callers take them in the same order. */
static void
lock_pipelines(List *assets)
{
	List	   *ids = NIL;
	ListCell   *lc;

	foreach(lc, assets)
		ids = list_append_unique_int(ids, ((VpAsset *) lfirst(lc))->pipeline_id);
	list_sort(ids, list_int_cmp);
	foreach(lc, ids)
		vp_pipeline_lock(lfirst_int(lc));
}

static List *
assets_reading(Oid source)
{
	static VpStatement statement = {
		"SELECT DISTINCT d.asset_id FROM vibepiper.dependency d WHERE d.source = $1 ORDER BY 1",
		1, {OIDOID}
	};
	Datum		value = ObjectIdGetDatum(source);

	return load(&statement, &value);
}

bool
vp_detach_would_help(Oid relid)
{
	ListCell   *lc;

	foreach(lc, assets_reading(relid))
		if (!((VpAsset *) lfirst(lc))->detached)
		return true;
	return false;
}

static List *
assets_detached_from(Oid source)
{
	static VpStatement statement = {
		"SELECT asset_id FROM vibepiper.asset WHERE detached"
		" AND ($2 = ANY (detached_sources) OR asset_id IN (SELECT d.asset_id"
		"  FROM vibepiper.dependency d WHERE d.source = $1)) ORDER BY 1",
		2, {OIDOID, TEXTOID}
	};
	Datum		values[2] = {
		ObjectIdGetDatum(source), CStringGetTextDatum(vp_relation_name(source))
	};

	return load(&statement, values);
}

static bool
names_source(const VpAsset *asset, const char *name)
{
	ListCell   *lc;

	foreach(lc, asset->detached_sources)
		if (strcmp(lfirst(lc), name) == 0)
		return true;
	return false;
}

static VpChange *
detach_one(VpAsset *asset, const char *name)
{
	if (!asset->detached)
	{
		asset->detached_query = vp_present_text(asset);
		asset->detached = true;
		vp_view_replace(asset->def, vp_view_placeholder(asset->def), asset->owner);
	}
	if (!names_source(asset, name))
		asset->detached_sources = lappend(asset->detached_sources, pstrdup(name));
	vp_asset_update(asset);
	vp_note_rewrite_asset(asset, vp_pipeline_by_id(asset->pipeline_id));
	CommandCounterIncrement();
	return vp_change(asset->display, "detached", NULL);
}

List *
vp_detach_source(Oid source)
{
	char	   *name = vp_relation_name(source);
	List	   *assets = assets_reading(source);
	List	   *changes = NIL;
	ListCell   *lc;

	if (assets == NIL)
		refuse_none(source, "reads");
	check_rights(source, assets);
	lock_pipelines(assets);
	foreach(lc, assets_reading(source))
		changes = lappend(changes, detach_one(lfirst(lc), name));
	return changes;
}

/*
 * What the source was called when the asset was detached from it; NULL: it was
 * not.  If it was renamed since, its name of then means nothing now.
 */
static char *
detached_as(const VpAsset *asset, const char *name)
{
	ListCell   *lc;

	foreach(lc, asset->detached_sources)
		if (strcmp(lfirst(lc), name) == 0)
		return lfirst(lc);
	foreach(lc, asset->detached_sources)
		if (!OidIsValid(RangeVarGetRelid(vp_name_parse(lfirst(lc)), NoLock, true)))
		return lfirst(lc);
	return NULL;
}

/* The assets that were detached from this source. */
static List *
to_attach(Oid source, const char *name)
{
	List	   *assets = NIL;
	ListCell   *lc;

	foreach(lc, assets_detached_from(source))
		if (detached_as(lfirst(lc), name) != NULL)
		assets = lappend(assets, lfirst(lc));
	return assets;
}

static void
attach_error_callback(void *arg)
{
	errhint("If it does not fit the source any more, define the asset again with vibepiper.define_asset().");
	errcontext("query of asset %s", (const char *) arg);
}

static VpChange *
attach_one(VpRebuild *rebuild, const VpAsset *old, const char *name)
{
	VpAsset    *asset = palloc(sizeof(VpAsset));
	ErrorContextCallback callback = {
		.callback = attach_error_callback,
		.arg = old->display,
		.previous = error_context_stack
	};

	*asset = *old;
	asset->detached_sources = list_delete_ptr(list_copy(old->detached_sources),
											  detached_as(old, name));
	if (asset->detached_sources != NIL)
	{
		vp_asset_update(asset);
		vp_note_rewrite_asset(asset, vp_pipeline_by_id(asset->pipeline_id));
		CommandCounterIncrement();
		return vp_change(asset->display, "detached",
						 psprintf("still from %s", (char *) linitial(asset->detached_sources)));
	}
	asset->detached = false;
	asset->detached_query = NULL;
	error_context_stack = &callback;
	vp_redefine(rebuild, old, asset, old->detached_query);
	error_context_stack = callback.previous;
	return vp_change(asset->display,
					 vp_hash_equal(old->code_hash, asset->code_hash) ? "unchanged" : "code changed",
					 NULL);
}

List *
vp_attach_source(Oid source)
{
	char	   *name = vp_relation_name(source);
	List	   *assets = to_attach(source, name);
	List	   *changes = NIL;
	VpRebuild	rebuild = {0};
	ListCell   *lc;

	if (assets == NIL)
		refuse_none(source, "is detached from");
	check_rights(source, assets);
	lock_pipelines(assets);
	foreach(lc, to_attach(source, name))
		changes = lappend(changes, attach_one(&rebuild, lfirst(lc), name));
	vp_rebuild_finish(&rebuild);
	return list_concat(changes, rebuild.changes);
}
