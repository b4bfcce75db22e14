/*
 * estimate.h
 *	  What building the assets of a pipeline will cost.
 */
#ifndef VP_ESTIMATE_H
#define VP_ESTIMATE_H

#include "postgres.h"

#include "freshness/state.h"

/*
 * Microseconds by node: what its version took; where there is none, by the
 * rows of what it reads, as statistics and versions tell.
 */
extern double *vp_estimate_costs(const VpState *state);

/* By node, how often readers have read it (and 1). */
extern double *vp_estimate_reads(const VpState *state);

#endif							/* VP_ESTIMATE_H */
