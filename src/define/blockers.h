/*
 * blockers.h
 *	  The user's own objects that keep a stub from being made anew.
 */
#ifndef VP_BLOCKERS_H
#define VP_BLOCKERS_H

#include "postgres.h"

#include "catalog/asset.h"

/*
 * Error (2BP01) if anything but the definitions of assets, and views that are
 * set aside, depends on the stub of this asset, whose columns are to change;
 * the detail has the DDL that makes these objects again.
 */
extern void vp_blockers_refuse(const VpAsset *asset, List *asides);

#endif							/* VP_BLOCKERS_H */
