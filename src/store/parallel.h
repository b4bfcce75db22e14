/*
 * parallel.h
 *	  Parallel queries while a run computes an asset.
 *
 * A parallel worker doesn't know what the run staged, and nobody would know what
 * a function read there.  So whatever calls users' code has no workers: neither
 * the asset's query nor the statements of its functions.
 */
#ifndef VP_PARALLEL_H
#define VP_PARALLEL_H

#include "postgres.h"

#include "executor/execdesc.h"
#include "nodes/parsenodes.h"

/* The options by which a rewritten query is planned, lazy assets in their places. */
extern int	vp_parallel_options(Query *query, int options);

/*
 * The plan of a function's statement may have been made when no asset was
 * computed: without workers, if it calls a function that isn't the server's.
 */
extern void vp_parallel_restrain(QueryDesc *desc);

#endif							/* VP_PARALLEL_H */
