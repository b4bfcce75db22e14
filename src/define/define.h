/*
 * define.h
 *	  Define and drop pipelines' assets.
 *
 * The caller holds the pipeline's lock and has checked rights.
 */
#ifndef VP_DEFINE_H
#define VP_DEFINE_H

#include "postgres.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"
#include "define/rebuild.h"
#include "graph/graph.h"

typedef struct VpSpec
{
	char	   *schema;
	char	   *name;
	char	   *query;
	VpAssetOptions options;
} VpSpec;

/* What became of an asset. */
typedef struct VpChange
{
	char	   *asset;
	const char *change;			/* created, code changed, ..., dropped */
	char	   *detail;			/* NULL: none */
} VpChange;

extern VpChange *vp_change(const char *asset, const char *change, char *detail);

/*
 * Define or redefine one asset.  The change is "created", "code changed",
 * "options changed" or "unchanged"; its detail names the options.  The caller
 * finishes the rebuild when all its assets are defined.
 */
extern VpChange *vp_define(VpRebuild *rebuild, const VpPipeline *pipeline,
						   const VpSpec *spec);

/*
 * Analyze an asset's query again under its own recorded settings, and give the
 * asset what comes out; `asset` is a copy of the old one with what else shall
 * change.
 */
extern void vp_redefine(VpRebuild *rebuild, const VpAsset *old, VpAsset *asset,
						const char *text);

/* The columns and indexes that the asset's versions must have. */
extern VpHash vp_define_signature(const VpAsset *asset);

/* Code hash of an analyzed query; settings count only if it needs them. */
extern VpHash vp_define_code_hash(Query *query, List *environment, bool *settings_matter);

/* Error (42P19) if reading these upstreams makes the asset depend on itself. */
extern void vp_define_check_cycle(const VpAsset *asset, List *upstreams);

/* All assets of the database with their dependencies; nodes have ids and names. */
extern VpGraph *vp_define_graph(void);

/*
 * Drop assets (of VpAsset) with all that is stored of them, what nothing reads
 * first.  Error (2BP01) if another asset reads one, but with cascade that one
 * goes too.  Returns the dropped ones.
 */
extern List *vp_drop(List *assets, bool cascade);

/* Take an asset off the catalog, with what is stored of it; its views stay. */
extern void vp_forget(int32 asset_id);

/* Remove all that is left of an asset whose stub or definition is gone. */
extern void vp_bury(int32 asset_id, Oid stub, Oid def);

/*
 * Split a name into schema and relation; an unqualified one is in the
 * pipeline's first schema.  Error if the schema isn't the pipeline's.
 */
extern void vp_spec_set_name(VpSpec *spec, const VpPipeline *pipeline,
							 const char *name);

/* May this owner's assets have these settings? */
extern void vp_define_check_settings(List *settings, Oid owner);

/* Check options that don't depend on the query; the owner computes the asset. */
extern void vp_options_check(const VpAssetOptions *options, Oid owner);

/* The options that an argument list leaves at their defaults. */
extern VpAssetOptions vp_options_default(void);

/* search_path for the assets of a pipeline, defined now by this session. */
extern char *vp_define_search_path(const VpPipeline *pipeline);

#endif							/* VP_DEFINE_H */
