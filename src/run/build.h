/*
 * build.h
 *	  One task: compute an asset's rows into a slot.
 *
 * Serial runs and the workers of parallel ones build alike; what they know of
 * the asset comes as a VpBuildTarget.
 */
#ifndef VP_BUILD_H
#define VP_BUILD_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "catalog/history.h"
#include "catalog/version.h"
#include "freshness/instant.h"

/* What is the same for all tasks of a run. */
typedef struct VpBuild
{
	const VpPipeline *pipeline;
	int64		run_id;
	Snapshot	snapshot;
	const VpInstant *instant;	/* the same, for sources */
	TimestampTz as_of;			/* when it was taken */
	TimestampTz deadline;		/* of the run; DT_NOEND: none */
	uint64		hash_seed;
	List	   *unfit_slots;	/* result: of Oid, to be dropped */
} VpBuild;

/* An asset to be built, what is published of it, and what it is made from. */
typedef struct VpBuildTarget
{
	int32		asset_id;
	Oid			def;
	Oid			stub;
	const char *display;
	int64		version_id;		/* published; 0: none, and no more is known */
	Oid			slot;
	int64		rows;
	VpHash		data_hash;
	int64		incarnation;
	bool		same_signature; /* as the asset's now */
	List	   *upstreams;		/* of int: asset ids, and in the same order
								 * ... */
	List	   *upstream_hashes;	/* ... of VpHash *: what is read */
} VpBuildTarget;

/*
 * Build it in a subtransaction of its own and fill in the task record: status
 * built, unchanged or failed.  Returns the new version, or NULL if there is
 * none.  Cancellation isn't caught, but for a task's timeout and the run's.
 */
extern VpVersion *vp_build(VpBuild *build, const VpBuildTarget *target,
						   VpTaskRecord *task);

/*
 * The published version is what computing gave now, too: write it down, with
 * the code and the sources of the task.
 */
extern void vp_build_confirm(const VpBuild *build, const VpBuildTarget *target,
							 const VpTaskRecord *task);

#endif							/* VP_BUILD_H */
