/*
 * explain.h
 *	  The state of an asset, in a word and in sentences.
 */
#ifndef VP_EXPLAIN_H
#define VP_EXPLAIN_H

#include "postgres.h"

#include "catalog/asset.h"
#include "freshness/state.h"

/* never_built, fresh, stale or lost: after vp_state_decide_all() */
extern const char *vp_explain_state(const VpNode *node);

extern char *vp_explain_asset(const VpAsset *asset);

#endif							/* VP_EXPLAIN_H */
