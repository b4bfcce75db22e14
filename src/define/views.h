/*
 * views.h
 *	  The two views of an asset: its definition and its stub.
 */
#ifndef VP_VIEWS_H
#define VP_VIEWS_H

#include "postgres.h"

#include "catalog/asset.h"
#include "define/analyze.h"

/*
 * Create the asset's views; sets ->def and ->stub.  The definition's name is
 * derived from the asset's; the stub is created with the owner's rights.
 */
extern void vp_views_create(VpAsset *asset, const VpAnalyzed *analyzed);

/*
 * Make them those of a new query.  Columns that are only added at the end are
 * added in place; otherwise both views are made anew (->def and ->stub change),
 * which is an error (2BP01) if something depends on the stub.  The stub keeps
 * its grants.
 */
extern void vp_views_replace(VpAsset *asset, const VpAnalyzed *analyzed);

/* Are the query's columns the present ones, perhaps with more at the end? */
extern bool vp_views_columns_stay(const VpAsset *asset, const VpAnalyzed *analyzed);

/* Drop both; cascade: with what depends on the stub. */
extern void vp_views_drop(const VpAsset *asset, bool cascade);

extern void vp_views_comment(const VpAsset *asset);

#endif							/* VP_VIEWS_H */
