/*
 * cache.h
 *	  Invalidate, roll back, purge.
 *
 * The caller holds the pipeline's lock and has checked rights.
 */
#ifndef VP_CACHE_H
#define VP_CACHE_H

#include "postgres.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"

typedef struct VpRollback
{
	char	   *asset;
	int64		from_version;	/* 0: none */
	int64		to_version;
} VpRollback;

/* Returns how many assets had stored versions. */
extern int	vp_invalidate(const VpAsset *asset, bool downstream);

/*
 * Publish again what was published when a run had ended, and pin it.  Error if
 * a version is no longer stored or has other columns than the asset has now.
 * Returns a list of VpRollback for the assets whose version changes.
 */
extern List *vp_rollback(VpPipeline *pipeline, int64 to_run);

/* Unpin all assets; returns how many were pinned. */
extern int	vp_release(const VpPipeline *pipeline);

/* Drop the slots that nobody can see or wants; returns how many. */
extern int	vp_purge(const VpPipeline *pipeline, int keep_versions);

#endif							/* VP_CACHE_H */
