/*
 * graph.c
 *	  Building a graph of assets, and what can be reached in it.
 *
 * Owns the representation: the collected edge list before vp_graph_finish and
 * the sorted neighbour arrays after it.
 */
#include "postgres.h"

#include "graph/graph.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* A breadth-first walk: the nodes found so far, as a set and in that order. */
typedef struct VpGraphWalk
{
	Bitmapset  *seen;
	int		   *queue;
	int			filled;
} VpGraphWalk;

VpGraph *
vp_graph_create(int n)
{
	VpGraph    *graph = palloc0(sizeof(VpGraph));

	graph->n = n;
	graph->nodes = palloc0(sizeof(VpGraphNode) * n);
	graph->context = CurrentMemoryContext;
	graph->maxedges = 64;
	graph->edges = palloc(sizeof(VpGraphEdge) * graph->maxedges);
	return graph;
}

void
vp_graph_add_edge(VpGraph *graph, int upstream, int downstream)
{
	VpGraphEdge *edge;

	if (graph->finished ||
		upstream < 0 || upstream >= graph->n ||
		downstream < 0 || downstream >= graph->n)
		elog(ERROR, "cannot add edge %d -> %d to a graph of %d nodes",
			 upstream, downstream, graph->n);

	if (graph->nedges == graph->maxedges)
	{
		graph->maxedges *= 2;
		graph->edges = repalloc(graph->edges,
								sizeof(VpGraphEdge) * graph->maxedges);
	}
	edge = &graph->edges[graph->nedges++];
	edge->upstream = upstream;
	edge->downstream = downstream;
}

/*
 * Give every node room for its neighbours, duplicates included, out of one
 * block for each direction.
 */
static void
cut_neighbour_arrays(VpGraph *graph)
{
	Size		size = sizeof(int) * graph->nedges;
	int		   *up = MemoryContextAlloc(graph->context, size);
	int		   *down = MemoryContextAlloc(graph->context, size);

	for (int i = 0; i < graph->nedges; i++)
	{
		graph->nodes[graph->edges[i].upstream].ndown++;
		graph->nodes[graph->edges[i].downstream].nup++;
	}
	for (int i = 0; i < graph->n; i++)
	{
		VpGraphNode *node = &graph->nodes[i];

		node->up = up;
		node->down = down;
		up += node->nup;
		down += node->ndown;
		node->nup = 0;
		node->ndown = 0;
	}
}

/* Put every edge into its upstream's array, unsorted, with duplicates. */
static void
bucket_by_upstream(VpGraph *graph)
{
	for (int i = 0; i < graph->nedges; i++)
	{
		VpGraphEdge *edge = &graph->edges[i];
		VpGraphNode *node = &graph->nodes[edge->upstream];

		node->down[node->ndown++] = edge->downstream;
	}
}

/*
 * Upstreams are visited in ascending order, so each "up" array comes out
 * sorted, and a duplicate is always equal to the array's last entry.
 */
static void
fill_up(VpGraph *graph)
{
	for (int u = 0; u < graph->n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < graph->nodes[u].ndown; i++)
		{
			VpGraphNode *reader = &graph->nodes[graph->nodes[u].down[i]];

			if (reader->nup == 0 || reader->up[reader->nup - 1] != u)
				reader->up[reader->nup++] = u;
		}
	}
}

/* The same the other way round, from arrays without duplicates. */
static void
fill_down(VpGraph *graph)
{
	for (int u = 0; u < graph->n; u++)
		graph->nodes[u].ndown = 0;
	for (int d = 0; d < graph->n; d++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < graph->nodes[d].nup; i++)
		{
			VpGraphNode *source = &graph->nodes[graph->nodes[d].up[i]];

			source->down[source->ndown++] = d;
		}
	}
}

void
vp_graph_finish(VpGraph *graph)
{
	Assert(!graph->finished);

	cut_neighbour_arrays(graph);
	bucket_by_upstream(graph);
	fill_up(graph);
	fill_down(graph);

	pfree(graph->edges);
	graph->edges = NULL;
	graph->nedges = graph->maxedges = 0;
	graph->finished = true;
}

static void
visit(VpGraphWalk *walk, int node)
{
	if (bms_is_member(node, walk->seen))
		return;
	walk->seen = bms_add_member(walk->seen, node);
	walk->queue[walk->filled++] = node;
}

static void
visit_neighbours(VpGraphWalk *walk, const VpGraphNode *node, bool upwards)
{
	int			count = upwards ? node->nup : node->ndown;
	const int  *neighbours = upwards ? node->up : node->down;

	for (int i = 0; i < count; i++)
		visit(walk, neighbours[i]);
}

/* Breadth first, one level at a time, so that depth counts shortest paths. */
static Bitmapset *
reach(const VpGraph *graph, Bitmapset *from, int depth, bool upwards)
{
	VpGraphWalk walk = {NULL, palloc(sizeof(int) * graph->n), 0};
	int			head = 0;
	int			start = -1;

	Assert(graph->finished);
	while ((start = bms_next_member(from, start)) >= 0)
		visit(&walk, start);

	for (int level = 0; head < walk.filled && level != depth; level++)
	{
		int			level_end = walk.filled;

		for (; head < level_end; head++)
		{
			CHECK_FOR_INTERRUPTS();
			visit_neighbours(&walk, &graph->nodes[walk.queue[head]], upwards);
		}
	}
	pfree(walk.queue);
	return walk.seen;
}

Bitmapset *
vp_graph_ancestors(const VpGraph *graph, Bitmapset *from, int depth)
{
	return reach(graph, from, depth, true);
}

Bitmapset *
vp_graph_descendants(const VpGraph *graph, Bitmapset *from, int depth)
{
	return reach(graph, from, depth, false);
}
