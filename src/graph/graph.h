/*
 * graph.h
 *	  The graph of assets: nodes, edges, order, cycles and reach.
 *
 * A graph is made in three steps: vp_graph_create, then vp_graph_add_edge for
 * each dependency while the caller fills in the nodes' own fields, then
 * vp_graph_finish.  Every other function wants a finished graph and leaves it
 * unchanged.
 *
 * Memory: a graph, its nodes and its edge arrays live in the memory context
 * that was current in vp_graph_create, and go when that context goes.  The
 * strings and lists in the nodes are the caller's and are only pointed to.
 * Results are allocated in the context current at the call.
 *
 * An edge goes from the asset that is read (upstream) to the asset that reads
 * it (downstream).  Nothing here recurses, so depth is bounded by memory only.
 */
#ifndef VP_GRAPH_H
#define VP_GRAPH_H

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"

typedef struct VpGraphNode
{
	/* filled in by the caller */
	const char *schema;			/* schema of the asset, unquoted */
	const char *name;			/* relation name, unquoted */
	const char *display;		/* quoted qualified name, for messages */
	List	   *tags;			/* list of char * */
	List	   *sources;		/* list of char *: unquoted "schema.relation"
								 * of what it reads that is not an asset */
	int			id;				/* for the caller, not looked at here */
	void	   *data;			/* likewise */

	/* filled in by vp_graph_finish: node numbers, ascending, each once */
	int			nup;
	int			ndown;
	int		   *up;
	int		   *down;
} VpGraphNode;

typedef struct VpGraphEdge
{
	int			upstream;
	int			downstream;
} VpGraphEdge;

typedef struct VpGraph
{
	int			n;
	VpGraphNode *nodes;			/* n of them, numbered from 0 */

	/* private: edges as collected, until vp_graph_finish */
	MemoryContext context;
	bool		finished;
	int			nedges;
	int			maxedges;
	VpGraphEdge *edges;
} VpGraph;

/*
 * Make a graph of n nodes, all fields zero, without edges.
 */
extern VpGraph *vp_graph_create(int n);

/*
 * Add an edge; duplicates and edges from a node to itself are allowed (the
 * latter is a cycle).  Amortized O(1).  A node number outside the graph is an
 * internal error.
 */
extern void vp_graph_add_edge(VpGraph *graph, int upstream, int downstream);

/*
 * Fill in up, down, nup and ndown of every node.  O(n + e).
 */
extern void vp_graph_finish(VpGraph *graph);

/*
 * Write into order[0 .. n-1] the node numbers such that upstreams come first;
 * of the nodes that could be next, the lowest number is (so the order depends
 * on nothing but the graph).  O((n + e) log n).
 *
 * False when there is a cycle: order is then not to be used, and *cycle (if
 * cycle is not NULL) is a List of int, a path in the direction of the edges
 * that starts at the cycle's lowest node and ends there again.  It is as
 * short as any cycle through one of the first few nodes of it, not always the
 * shortest of the graph.  Finding it is O(n + e).
 */
extern bool vp_graph_topological_order(const VpGraph *graph, int *order,
									   List **cycle);

/*
 * The path as text, "shop.a -> shop.b -> shop.a", each asset followed by one
 * that reads it.  The middle of a long path is left out.
 */
extern char *vp_graph_cycle_path(const VpGraph *graph, List *cycle);

/*
 * The nodes that can be reached from the given ones over at most depth edges
 * (depth < 0: any number), upstream or downstream, with the given ones
 * themselves.  A new set; "from" is unchanged, and every member of it must be
 * a node number.  O(n + e).
 */
extern Bitmapset *vp_graph_ancestors(const VpGraph *graph, Bitmapset *from,
									 int depth);
extern Bitmapset *vp_graph_descendants(const VpGraph *graph, Bitmapset *from,
									   int depth);

#endif							/* VP_GRAPH_H */
