/*
 * pipeline_view.h
 *	  The view that stands for a pipeline in vibepiper_def.
 *
 * It makes a pipeline an object that PostgreSQL knows: it has an owner, who
 * can't be dropped while it exists, it depends on its schemas and follows
 * their renaming, and pg_dump dumps it.
 */
#ifndef VP_PIPELINE_VIEW_H
#define VP_PIPELINE_VIEW_H

#include "postgres.h"

#include "catalog/pipeline.h"

/* Create it from name, owner and schemas; sets ->view. */
extern void vp_pipeline_view_create(VpPipeline *pipeline);

/* Make it say the pipeline's present schemas. */
extern void vp_pipeline_view_replace(const VpPipeline *pipeline);

extern void vp_pipeline_view_drop(const VpPipeline *pipeline);

/* Name of the pipeline for which this view was made; NULL: another view. */
extern char *vp_pipeline_view_name(Oid view);

#endif							/* VP_PIPELINE_VIEW_H */
