/*
 * publish.c
 *	  Publishing: make an asset's name mean other versions.
 *
 * Cached plans fit any version of the same signature and number of parts.  A
 * publication that changes these (the first one does) invalidates the plans
 * that depend on the definition, so that they are made anew once and not at
 * each execution.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/inval.h"

#include "catalog/version.h"
#include "common/point.h"
#include "common/shmem.h"
#include "store/publish.h"

static bool
same_shape(List *parts, List *versions)
{
	ListCell   *p;
	ListCell   *v;

	if (list_length(parts) != list_length(versions))
		return false;
	forboth(p, parts, v, versions)
		if (!vp_hash_equal(((VpPart *) lfirst(p))->signature,
						   ((VpVersion *) lfirst(v))->signature))
		return false;
	return true;
}

void
vp_publish(Oid def, int32 asset_id, int64 run_id, List *versions)
{
	/* the mapping as it is now, with what this transaction changed */
	List	   *old = vp_mapping_read(def, NULL);

	VP_POINT("publish.begun");
	vp_mapping_write(def, asset_id, run_id, versions);
	VP_POINT("publish.mapped");
	if (versions != NIL && !same_shape(old, versions))
		CacheInvalidateRelcacheByRelid(def);
	vp_publication_note();
	CommandCounterIncrement();
}
