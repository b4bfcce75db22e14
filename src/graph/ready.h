/*
 * ready.h
 *	  Which node is next, when several are worked on at a time.
 *
 * A node is free once all its upstreams are done.  The caller asks for free
 * nodes with vp_ready_free(), and for each of them either says that it is done
 * or queues it; of the queued ones it takes that with the longest path of
 * remaining costs to the end of the graph (list scheduling by critical path:
 * Graham 1969, Hu 1961), of equal ones the lowest.
 *
 * Everything lives in the memory context that was current in
 * vp_ready_create().  No recursion; each call but the first O(log n), over all
 * of the graph O((n + e) log n).
 */
#ifndef VP_READY_H
#define VP_READY_H

#include "graph/graph.h"

typedef struct VpReady VpReady;

/* order: upstreams first; cost[i] >= 0. */
extern VpReady *vp_ready_create(const VpGraph *graph, const int *order,
								const double *cost);

/* The next free node that hasn't been returned yet; or -1. */
extern int	vp_ready_free(VpReady *ready);

/* This node is done. */
extern void vp_ready_done(VpReady *ready, int node);

extern void vp_ready_queue(VpReady *ready, int node);
extern int	vp_ready_first(const VpReady *ready);	/* -1: none queued */
extern int	vp_ready_take(VpReady *ready);	/* removes it */
extern int	vp_ready_queued(const VpReady *ready);	/* how many */

/* Cost of the longest path that begins with this node. */
extern double vp_ready_rank(const VpReady *ready, int node);

#endif							/* VP_READY_H */
