/*
 * miss.h
 *	  read_asset(), and what it computes when a name means no version.
 */
#ifndef VP_MISS_H
#define VP_MISS_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "store/resolve.h"

/* Is a miss an error here?  Never for a lazy asset. */
extern bool vp_miss_is_error(const VpAssetInfo *info);

/* Is this backend computing the rows of a missing asset? */
extern bool vp_miss_computing(void);

/* What a statement's misses computed isn't needed any more. */
extern void vp_miss_end_statement(EState *statement);

extern void vp_miss_init(void);

#endif							/* VP_MISS_H */
