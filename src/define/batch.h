/*
 * batch.h
 *	  Define many assets at once, given in any order.
 */
#ifndef VP_BATCH_H
#define VP_BATCH_H

#include "postgres.h"

#include "catalog/pipeline.h"

typedef struct VpChange
{
	char	   *asset;
	const char *change;			/* created, code changed, ..., dropped */
	char	   *detail;			/* NULL: none */
} VpChange;

/*
 * Define the assets of a jsonb array of objects, upstreams first.  prune:
 * drop the pipeline's other assets.  Returns a list of VpChange.
 */
extern List *vp_define_batch(const VpPipeline *pipeline, Datum assets, bool prune);

#endif							/* VP_BATCH_H */
