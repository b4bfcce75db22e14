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

typedef struct VpSpec
{
	char	   *schema;
	char	   *name;
	char	   *query;
	VpAssetOptions options;
} VpSpec;

/*
 * Define or redefine one asset.  Returns what changed: "created", "code
 * changed", "options changed" or "unchanged"; *detail (may be NULL) says which.
 */
extern const char *vp_define(const VpPipeline *pipeline, const VpSpec *spec,
							 char **detail);

/*
 * Drop assets (of VpAsset) with all that is stored of them, what nothing reads
 * first.  Error (2BP01) if another asset reads one, but with cascade that one
 * goes too.  Returns the dropped ones.
 */
extern List *vp_drop(List *assets, bool cascade);

/* Remove all that is left of an asset whose stub or definition is gone. */
extern void vp_bury(int32 asset_id, Oid stub, Oid def);

/*
 * Split a name into schema and relation; an unqualified one is in the
 * pipeline's first schema.  Error if the schema isn't the pipeline's.
 */
extern void vp_spec_set_name(VpSpec *spec, const VpPipeline *pipeline,
							 const char *name);

/* Check options that don't depend on the query. */
extern void vp_options_check(const VpAssetOptions *options);

/* The options that an argument list leaves at their defaults. */
extern VpAssetOptions vp_options_default(void);

/* search_path for the assets of a pipeline, defined now by this session. */
extern char *vp_define_search_path(const VpPipeline *pipeline);

#endif							/* VP_DEFINE_H */
