/*
 * asset.h
 *	  Rows of vibepiper.asset and vibepiper.dependency as structs.
 *
 * Everything returned is palloc'd in the caller's memory context.
 */
#ifndef VP_ASSET_H
#define VP_ASSET_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
#include "utils/timestamp.h"

#include "common/hash.h"

/* What a user can say of an asset besides its query. */
typedef struct VpAssetOptions
{
	bool		cache;
	Interval   *cache_ttl;		/* NULL: none */
	Interval   *max_staleness;	/* NULL: none */
	bool		lazy;
	bool		parallel;
	char	   *storage;		/* NULL: the pipeline's */
	char	   *on_miss;		/* NULL: the pipeline's */
	List	   *indexes;		/* of char * */
	List	   *settings;
	char	   *hints;
	List	   *depends_on;
	List	   *tags;
	int32		retries;
	Interval   *retry_delay;
	Interval   *timeout;		/* NULL: none */
	char	   *description;
} VpAssetOptions;

typedef struct VpAsset
{
	int32		id;
	Oid			def;
	Oid			stub;
	int32		pipeline_id;
	Oid			owner;			/* of the definition view */
	char	   *schema;
	char	   *name;
	char	   *display;		/* qualified and quoted */
	char	   *query;			/* as written */
	VpHash		code_hash;
	VpHash		signature;
	VpAssetOptions options;
	List	   *index_clauses;	/* of char *: options.indexes, resolved */
	List	   *environment;	/* recorded settings */
	bool		error_on_miss;	/* effective on_miss is 'error' */
	List	   *declared;		/* of int: the assets of depends_on */
	VpHash		canonical;		/* of the definition's text when it was made
								 * of ->query; another text now: renames */
	bool		dummy;			/* for its note: see vp_is_dummy_query() */
	bool		detached;		/* from a source: the definition has no query */
	char	   *detached_query; /* what comes back; NULL: not detached */
	List	   *detached_sources;	/* of char *: from what, by name */
	int64		pinned_run;		/* 0: not pinned */
} VpAsset;

/* NULL if there is none. */
extern VpAsset *vp_asset_by_def(Oid def);
extern VpAsset *vp_asset_by_stub(Oid stub);
extern VpAsset *vp_asset_by_id(int32 id);

/* All assets of a pipeline, by asset_id. */
extern List *vp_assets_of_pipeline(int32 pipeline_id);

/* An existing asset by name; error (42704) with near names if there is none. */
extern VpAsset *vp_asset_by_name(const char *name);

/* Error (42501) unless the current user has the owner's rights. */
extern void vp_asset_check_owner(const VpAsset *asset);

/* The definition was called otherwise. */
extern void vp_asset_rename_query(Oid def, const char *old_name);

/* Remove texts of definitions that are gone. */
extern void vp_asset_forget_texts(void);

extern void vp_asset_insert(VpAsset *asset);	/* sets ->id */

/* Keep ->query as the text of the definition (under its present name). */
extern void vp_asset_write_query(const VpAsset *asset);
extern void vp_asset_update(const VpAsset *asset);
extern void vp_asset_delete(int32 id);	/* and all rows that hang on it */
extern void vp_asset_pin(int32 id, int64 run);	/* 0: release */

/* Dependencies: upstreams are asset ids, sources relation Oids. */
extern void vp_dependencies_write(int32 id, List *upstreams, List *sources,
								  List *declared);

/* Are these the stored ones? */
extern bool vp_dependencies_are(int32 id, List *upstreams, List *sources,
								List *declared);

/* Assets that read this one directly. */
extern List *vp_asset_downstreams(int32 id);	/* of VpAsset * */
extern List *vp_asset_upstream_ids(int32 id);	/* of int */

/* Ids of assets whose depends_on names this one. */
extern List *vp_asset_declarers(int32 id);

#endif							/* VP_ASSET_H */
