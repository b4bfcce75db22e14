/*
 * batch.h
 *	  Define many assets at once, given in any order.
 */
#ifndef VP_BATCH_H
#define VP_BATCH_H

#include "postgres.h"

#include "catalog/pipeline.h"

/*
 * Define the assets of a jsonb array of objects, upstreams first.  prune:
 * drop the pipeline's other assets.  Returns a list of VpChange, with those of
 * other assets whose definitions followed.
 */
extern List *vp_define_batch(const VpPipeline *pipeline, Datum assets, bool prune);

#endif							/* VP_BATCH_H */
