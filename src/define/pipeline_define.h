/*
 * pipeline_define.h
 *	  Define and drop pipelines.
 */
#ifndef VP_PIPELINE_DEFINE_H
#define VP_PIPELINE_DEFINE_H

#include "postgres.h"

#include "catalog/pipeline.h"

/*
 * Create the pipeline, or make an existing one of this name so.  Schemas that
 * don't exist are created with the caller's rights.  NIL: one of the same name.
 */
extern void vp_define_pipeline(VpPipeline *wanted, List *schema_names);

/* With all its assets, if cascade; else error (2BP01) when it has any. */
extern void vp_drop_pipeline(const VpPipeline *pipeline, bool cascade);

/* Error (22023, 42602) unless name and options are such as they may be. */
extern void vp_pipeline_check(const VpPipeline *pipeline);

/*
 * In the sql_drop event trigger: forget pipelines whose views were dropped, with
 * their assets, whose views stay; so does a restore that cleans up first.
 */
extern void vp_pipelines_bury(void);

/* These schemas are about to be dropped: pipelines with others stay. */
extern void vp_pipelines_give_up(List *schemas);

#endif							/* VP_PIPELINE_DEFINE_H */
