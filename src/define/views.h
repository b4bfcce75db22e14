/*
 * views.h
 *	  The two views of an asset: its definition and its stub.
 */
#ifndef VP_VIEWS_H
#define VP_VIEWS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "catalog/asset.h"
#include "define/analyze.h"

/*
 * Create the asset's views; sets ->def and ->stub.  The definition's name is
 * derived from the asset's; the stub is created with the owner's rights.
 */
extern void vp_views_create(VpAsset *asset, const VpAnalyzed *analyzed);

/*
 * Make them those of a new query in place.  Its columns must be the present
 * ones, others may follow at the end; else nothing is done and false returned.
 */
extern bool vp_views_replace(VpAsset *asset, const VpAnalyzed *analyzed);

/* Are the query's columns the present ones, perhaps with more at the end? */
extern bool vp_views_columns_stay(const VpAsset *asset, const VpAnalyzed *analyzed);

/* Give both other names, so that the asset can get new views. */
extern void vp_views_set_aside(const VpAsset *asset);

/* Call the definition what the asset is called now. */
extern void vp_views_follow_name(const VpAsset *asset);

/* Drop both; cascade: with what depends on the stub. */
extern void vp_views_drop(const VpAsset *asset, bool cascade);

extern void vp_views_comment(const VpAsset *asset);

/* Any view of vibepiper_def: with this query, made as this owner. */
extern Oid	vp_view_create(const char *name, const Query *query, Oid owner);
extern void vp_view_replace(Oid view, const Query *query, Oid owner);
extern void vp_view_drop(Oid view, DropBehavior behavior);

/*
 * Free name in vibepiper_def for an asset, or with a NULL schema for a
 * pipeline; the view's present one counts as free.
 */
extern char *vp_definition_name(const char *schema, const char *name, Oid view);

/* A query with the definition's columns that reads nothing; computing it fails. */
extern Query *vp_view_placeholder(Oid def);

#endif							/* VP_VIEWS_H */
