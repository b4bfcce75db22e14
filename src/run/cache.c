/*
 * cache.c
 *	  Invalidate, roll back, purge.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "catalog/history.h"
#include "catalog/version.h"
#include "common/point.h"
#include "common/shmem.h"
#include "common/spi.h"
#include "run/cache.h"
#include "store/publish.h"
#include "store/resolve.h"
#include "store/slot.h"

/*
 * Ids of the assets downstream of one, with itself; those that the current
 * user may manage.
 */
static List *
closure_downstream(int32 id)
{
	static VpStatement statement = {
		"WITH RECURSIVE down(id) AS (SELECT $1 UNION SELECT d.asset_id"
		" FROM down JOIN vibepiper.dependency d ON d.upstream_id = down.id)"
		" SELECT id FROM down JOIN vibepiper.asset a ON a.asset_id = id"
		" JOIN pg_class c ON c.oid = a.def WHERE pg_has_role($2, c.relowner, 'USAGE')"
		" ORDER BY id", 2, {INT4OID, OIDOID}
	};
	Datum		values[] = {Int32GetDatum(id), ObjectIdGetDatum(GetUserId())};
	MemoryContext caller = CurrentMemoryContext;
	List	   *ids = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, values, NULL, false);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
	vp_spi_close(&spi);
	return ids;
}

int
vp_invalidate(const VpAsset *asset, bool downstream)
{
	return vp_versions_invalidate(downstream ? closure_downstream(asset->id) :
								  list_make1_int(asset->id));
}

static VpVersion *
stored_version(const VpAsset *asset, int64 id, int64 to_run)
{
	VpVersion  *version = vp_version_by_id(id);

	if (version == NULL || vp_slot_file(version->slot) != version->filenode ||
		(version->rows > 0 && version->incarnation != vp_incarnation() &&
		 vp_slot_is_lost(version->slot)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the version of asset %s that run " INT64_FORMAT " left is no longer stored",
						asset->display, to_run),
				 errhint("A pipeline's keep_versions says how many are kept.")));
	if (!vp_columns_match(asset->def, version->slot))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the version of asset %s that run " INT64_FORMAT " left has other columns",
						asset->display, to_run),
				 errhint("Redefine the asset as it was, and run it.")));
	return version;
}

static int64
published_version(const VpAsset *asset)
{
	static VpStatement statement = {
		"SELECT version_id FROM vibepiper.mapping WHERE def = $1 AND part = 0",
		1, {OIDOID}
	};
	Datum		key = ObjectIdGetDatum(asset->def);
	VpSpi		spi;
	int64		id = 0;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, false) > 0)
		id = vp_col_int64(0, 1);
	vp_spi_close(&spi);
	return id;
}

/* NULL if the asset had not been published by then. */
static VpRollback *
roll_back_asset(const VpAsset *asset, int64 to_run, int64 this_run)
{
	int64		id = vp_version_as_of_run(asset->id, to_run);
	VpRollback *r;

	if (id == 0)
		return NULL;
	r = palloc(sizeof(VpRollback));
	r->asset = asset->display;
	r->from_version = published_version(asset);
	r->to_version = id;
	if (r->from_version != id)
	{
		vp_publish(asset->def, asset->id, this_run,
				   list_make1(stored_version(asset, id, to_run)));
		VP_POINT("rollback.published");
	}
	vp_asset_pin(asset->id, to_run);
	return r;
}

List *
vp_rollback(VpPipeline *pipeline, int64 to_run)
{
	VpRunRecord run = {
		.pipeline_id = pipeline->id,
		.pipeline = pipeline->name,
		.kind = "rollback",
		.publish = "run",
		.role = GetUserId(),
		.started_at = GetCurrentTimestamp(),
		.status = "succeeded"
	};
	List	   *changed = NIL;
	ListCell   *lc;

	if (!vp_run_exists(pipeline->id, to_run))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("run " INT64_FORMAT " of pipeline \"%s\" does not exist",
						to_run, pipeline->name)));
	vp_run_insert(&run);
	VP_POINT("rollback.started");
	foreach(lc, vp_assets_of_pipeline(pipeline->id))
	{
		VpRollback *r = roll_back_asset(lfirst(lc), to_run, run.id);

		CHECK_FOR_INTERRUPTS();
		if (r != NULL && r->from_version != r->to_version)
			changed = lappend(changed, r);
	}
	vp_run_finish(&run);
	VP_POINT("rollback.recorded");
	CommandCounterIncrement();
	return changed;
}

int
vp_release(const VpPipeline *pipeline)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, vp_assets_of_pipeline(pipeline->id))
	{
		const VpAsset *asset = lfirst(lc);

		if (asset->pinned_run == 0)
			continue;
		vp_asset_pin(asset->id, 0);
		n++;
	}
	return n;
}

int
vp_purge(const VpPipeline *pipeline, int keep_versions)
{
	VpKeep		keep = {.versions = keep_versions};
	int			n = 0;
	ListCell   *lc;

	foreach(lc, vp_assets_of_pipeline(pipeline->id))
	{
		CHECK_FOR_INTERRUPTS();
		n += list_length(vp_slots_trim(lfirst(lc), &keep, -1));
	}
	return n;
}
