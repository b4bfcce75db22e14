/*
 * build.h
 *	  One task: compute an asset's rows into a slot.
 */
#ifndef VP_BUILD_H
#define VP_BUILD_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "catalog/history.h"
#include "catalog/version.h"
#include "freshness/state.h"

typedef struct VpBuild
{
	VpState    *state;
	int64		run_id;
	Snapshot	snapshot;		/* of the whole run */
	TimestampTz as_of;			/* the snapshot's instant */
	uint64		hash_seed;
	List	   *unfit_slots;	/* result: of Oid, to be dropped */
} VpBuild;

/*
 * Build the node's asset in a subtransaction of its own and fill in the task
 * record: status built, unchanged or failed.  Returns the new version, or NULL
 * if there is none.  Cancellation isn't caught.
 */
extern VpVersion *vp_build(VpBuild *build, int node, VpTaskRecord *task);

/*
 * A version that an earlier run computed but didn't publish and that is what
 * building now would give; or NULL.
 */
extern VpVersion *vp_build_kept(const VpBuild *build, int node);

#endif							/* VP_BUILD_H */
