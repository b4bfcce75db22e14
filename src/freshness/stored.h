/*
 * stored.h
 *	  Versions that are stored, not published, and may be right again: after a
 *	  definition, a function or an upstream's rows have become what they were.
 *
 * Nobody needs those that can't: their slots are refilled.  The others are kept
 * as long as vibepiper.cache_size allows.
 */
#ifndef VP_STORED_H
#define VP_STORED_H

#include "postgres.h"

#include "catalog/slots.h"
#include "catalog/version.h"

/* vibepiper.cache_size, in megabytes; 0: keep what keep_versions says, no more */
extern int	vp_cache_size;

/* Can it never be right again, for snapshots from now on? */
extern bool vp_stored_is_gone(const VpVersion *version);

/* What to keep of an asset when a slot for it is looked for. */
extern VpKeep vp_stored_keep(int32 asset_id, int keep_versions);

extern void vp_stored_init(void);

#endif							/* VP_STORED_H */
