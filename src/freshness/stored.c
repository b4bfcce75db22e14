/*
 * stored.c
 *	  Versions that are stored, not published, and may be right again.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "common/shmem.h"
#include "freshness/sources.h"
#include "freshness/stored.h"
#include "store/slot.h"

int			vp_cache_size = 1024;

/* By a crash. */
static bool
is_lost(const VpVersion *version)
{
	return version->rows > 0 && version->incarnation != vp_incarnation() &&
		vp_slot_is_lost(version->slot);
}

bool
vp_stored_is_gone(const VpVersion *version)
{
	const VpInstant *now = vp_instant(GetLatestSnapshot(), 0);
	VpAsking	asking = {.instant = now,.latest = now};

	return version->invalidated || version->expired || !version->reachable ||
		version->sources == NULL || vp_sources_unsteady(version->sources) != NULL ||
		is_lost(version) || vp_sources_are_gone(version->sources, &asking);
}

VpKeep
vp_stored_keep(int32 asset_id, int keep_versions)
{
	VpKeep		keep = {.versions = keep_versions,.cache = vp_cache_size > 0};
	ListCell   *lc;

	if (!keep.cache)
		return keep;
	foreach(lc, vp_versions_stored(0, asset_id))
	{
		VpVersion  *version = lfirst(lc);

		if (vp_stored_is_gone(version))
			keep.released = lappend(keep.released, &version->id);
	}
	return keep;
}

void
vp_stored_init(void)
{
	DefineCustomIntVariable("vibepiper.cache_size",
							"How much is kept of versions that aren't published.",
							"Per database. What the pipelines' keep_versions protect counts, and stays; 0 keeps no more than that.",
							&vp_cache_size, 1024, 0, MAX_KILOBYTES, PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);
}
