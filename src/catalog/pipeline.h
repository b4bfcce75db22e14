/*
 * pipeline.h
 *	  Rows of vibepiper.pipeline as structs.
 *
 * Everything returned is palloc'd in the caller's memory context.
 */
#ifndef VP_PIPELINE_H
#define VP_PIPELINE_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct VpPipeline
{
	int32		id;
	char	   *name;
	Oid			view;			/* in vibepiper_def, says owner and schemas */
	Oid			owner;
	int32		max_workers;	/* 0: not set */
	char	   *publish;		/* run, succeeded, asset */
	char	   *storage;		/* unlogged, logged */
	char	   *on_miss;		/* compute, error */
	List	   *settings;		/* of char *, name=value */
	int32		keep_versions;
	char	   *description;
	List	   *schemas;		/* of Oid, the default first */
} VpPipeline;

/* Error (42704), with near names, if there is none. */
extern VpPipeline *vp_pipeline_by_name(const char *name);

/* NULL if there is none. */
extern VpPipeline *vp_pipeline_find(const char *name);
extern VpPipeline *vp_pipeline_by_id(int32 id);
extern VpPipeline *vp_pipeline_by_view(Oid view);
extern List *vp_pipelines_of_owner(Oid owner);

/* Its settings only, without a lock on its view; NIL if there is no such pipeline. */
extern List *vp_pipeline_settings(int32 id);

/* The schemas that a pipeline's view names, those that still exist. */
extern List *vp_pipeline_view_schemas(Oid view);

/* Schema of unqualified names; error (3F000) if all were dropped. */
extern Oid	vp_pipeline_default_schema(const VpPipeline *pipeline);

/* Pipeline that owns the schema, or 0. */
extern int32 vp_pipeline_of_schema(Oid schema);

/* Insert (sets ->id) or update the row; owner and schemas are the view's. */
extern void vp_pipeline_insert(VpPipeline *pipeline);
extern void vp_pipeline_update(const VpPipeline *pipeline);
extern void vp_pipeline_delete(int32 id);

/*
 * Whoever finds a pipeline holds a lock on its view, which dropping it waits
 * for.  Before it waits for the pipeline's lock it had better not; afterwards
 * the pipeline is to be found anew.
 */
extern void vp_pipeline_let_go(const VpPipeline *pipeline);

/* Serializes definitions and runs of one pipeline until end of transaction. */
extern void vp_pipeline_lock(int32 id);

/* The same, unless somebody else has it. */
extern bool vp_pipeline_try_lock(int32 id);

/*
 * The same for who wants to run it, of the session if asked to.  The keeper, who
 * has it for a moment, is waited for.
 */
extern bool vp_pipeline_lock_or_refuse(int32 id, bool session);

/* All, of int. */
extern List *vp_pipeline_ids(void);

/* Error (42501) unless the current user has the owner's rights. */
extern void vp_pipeline_check_owner(const VpPipeline *pipeline);

#endif							/* VP_PIPELINE_H */
