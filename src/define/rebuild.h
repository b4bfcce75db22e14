/*
 * rebuild.h
 *	  When an asset's columns change: new views, for all that read it too.
 *
 * PostgreSQL can't take a column away from a view, reorder or retype it.  So
 * the two views of the asset are set aside under other names, new ones take
 * their place with grants, comments and options, and the definitions that read
 * the old stub are analyzed again.  Where these keep their columns, only the
 * query of the definition changes; else they are rebuilt in turn.  Finally
 * the old views are dropped.
 */
#ifndef VP_REBUILD_H
#define VP_REBUILD_H

#include "postgres.h"

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"

#include "catalog/asset.h"
#include "define/analyze.h"

/* One call of define_asset(), define_assets() or attach_source(). */
typedef struct VpRebuild
{
	List	   *asides;			/* of Oid: old stubs and definitions */
	List	   *texts;			/* of what followers are to be analyzed from */
	Bitmapset  *waiting;		/* ids of followers to be analyzed again */
	Bitmapset  *doomed;			/* ids of assets that will be dropped */
	List	   *changes;		/* of VpChange *: followers, result */
} VpRebuild;

/*
 * Give the asset (with ->stub and ->def still the old ones) new views for
 * other columns; sets ->stub and ->def.  Error (2BP01) if objects of users
 * depend on the old stub.
 */
extern void vp_rebuild_views(VpRebuild *rebuild, VpAsset *asset,
							 const VpAnalyzed *analyzed);

/* The asset has got another query, analyzed after what it reads was rebuilt. */
extern void vp_rebuild_analyzed(VpRebuild *rebuild, int32 id);

/* Analyze the followers, drop what was set aside. */
extern void vp_rebuild_finish(VpRebuild *rebuild);

#endif							/* VP_REBUILD_H */
