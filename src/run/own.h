/*
 * own.h
 *	  What the caller of a parallel run did in his own transaction.
 */
#ifndef VP_OWN_H
#define VP_OWN_H

#include "catalog/pipeline.h"

/*
 * Error (55000) if this transaction has changed the pipeline or, as its locks
 * tell, written to a source: workers can't see that, and may wait for it.
 */
extern void vp_own_check(const VpPipeline *pipeline);

#endif							/* VP_OWN_H */
