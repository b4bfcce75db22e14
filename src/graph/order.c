/*
 * order.c
 *	  Topological order of a graph, and the cycle that stands in its way.
 *
 * Owns the choice of order (lowest node number first) and of which cycle is
 * shown to the user.
 */
#include "postgres.h"

#include "graph/graph.h"
#include "lib/binaryheap.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

/* Try so many nodes of the first cycle for a shorter one through them. */
#define CYCLE_STARTS		16

/* A path of more nodes than this is shown with its middle left out. */
#define CYCLE_SHOWN_WHOLE	16
#define CYCLE_SHOWN_HEAD	10
#define CYCLE_SHOWN_TAIL	3

/* binaryheap keeps the greatest first; we want the lowest node number. */
static int
compare_descending(Datum a, Datum b, void *arg)
{
	int			x = DatumGetInt32(a);
	int			y = DatumGetInt32(b);

	return (x < y) - (x > y);
}

/* How many upstreams each node waits for; those with none go to the heap. */
static int *
count_waiting(const VpGraph *graph, binaryheap *ready)
{
	int		   *waiting = palloc(sizeof(int) * graph->n);

	for (int i = 0; i < graph->n; i++)
	{
		waiting[i] = graph->nodes[i].nup;
		if (waiting[i] == 0)
			binaryheap_add_unordered(ready, Int32GetDatum(i));
	}
	binaryheap_build(ready);
	return waiting;
}

/*
 * Take nodes off the heap until none is ready; returns how many.  Nodes that
 * still wait afterwards are on a cycle or downstream of one.
 */
static int
take_ready(const VpGraph *graph, binaryheap *ready, int *waiting, int *order)
{
	int			taken = 0;

	while (!binaryheap_empty(ready))
	{
		int			number = DatumGetInt32(binaryheap_remove_first(ready));
		const VpGraphNode *node = &graph->nodes[number];

		CHECK_FOR_INTERRUPTS();
		order[taken++] = number;
		for (int i = 0; i < node->ndown; i++)
		{
			if (--waiting[node->down[i]] == 0)
				binaryheap_add(ready, Int32GetDatum(node->down[i]));
		}
	}
	return taken;
}

static int
first_waiting(const int *numbers, int count, const int *waiting)
{
	for (int i = 0; i < count; i++)
	{
		int			number = numbers ? numbers[i] : i;

		if (waiting[number] > 0)
			return number;
	}
	elog(ERROR, "no node waits in a graph with a cycle");
	return -1;
}

/*
 * Every waiting node has an upstream that waits, so walking upstream must
 * come back to some node: that one is on a cycle.
 */
static int
node_on_cycle(const VpGraph *graph, const int *waiting)
{
	bool	   *seen = palloc0(sizeof(bool) * graph->n);
	int			number = first_waiting(NULL, graph->n, waiting);

	while (!seen[number])
	{
		const VpGraphNode *node = &graph->nodes[number];

		CHECK_FOR_INTERRUPTS();
		seen[number] = true;
		number = first_waiting(node->up, node->nup, waiting);
	}
	pfree(seen);
	return number;
}

/*
 * Breadth first upstream from a node, until it turns up again.  Fills
 * next[x] with the node after x on the way back down to the start; returns
 * the node that reads the start, or -1 when no cycle goes through it.
 */
static int
walk_round(const VpGraph *graph, int start, int *next, int *queue)
{
	int			filled = 0;

	for (int i = 0; i < graph->n; i++)
		next[i] = -1;
	queue[filled++] = start;

	for (int head = 0; head < filled; head++)
	{
		const VpGraphNode *node = &graph->nodes[queue[head]];

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < node->nup; i++)
		{
			int			up = node->up[i];

			if (up == start)
				return queue[head];
			if (next[up] < 0)
			{
				next[up] = queue[head];
				queue[filled++] = up;
			}
		}
	}
	return -1;
}

/* The nodes of a shortest cycle through start, which must be on one. */
static List *
cycle_through(const VpGraph *graph, int start)
{
	int		   *next = palloc(sizeof(int) * graph->n);
	int		   *queue = palloc(sizeof(int) * graph->n);
	List	   *cycle = list_make1_int(start);
	int			number = walk_round(graph, start, next, queue);

	for (; number != start; number = next[number])
	{
		Assert(number >= 0);
		cycle = lappend_int(cycle, number);
	}
	pfree(next);
	pfree(queue);
	return cycle;
}

static List *
find_short_cycle(const VpGraph *graph, const int *waiting)
{
	List	   *first = cycle_through(graph, node_on_cycle(graph, waiting));
	List	   *best = first;

	for (int i = 1; i < Min(list_length(first), CYCLE_STARTS); i++)
	{
		List	   *cycle = cycle_through(graph, list_nth_int(first, i));

		if (list_length(cycle) < list_length(best))
			best = cycle;
	}
	return best;
}

/* Begin the path at its lowest node, and close it there. */
static List *
close_cycle(List *cycle)
{
	int			length = list_length(cycle);
	int			lowest = 0;
	List	   *path = NIL;

	for (int i = 1; i < length; i++)
	{
		if (list_nth_int(cycle, i) < list_nth_int(cycle, lowest))
			lowest = i;
	}
	for (int i = 0; i <= length; i++)
		path = lappend_int(path, list_nth_int(cycle, (lowest + i) % length));
	return path;
}

bool
vp_graph_topological_order(const VpGraph *graph, int *order, List **cycle)
{
	binaryheap *ready = binaryheap_allocate(Max(graph->n, 1),
											compare_descending, NULL);
	int		   *waiting = count_waiting(graph, ready);
	bool		complete;

	Assert(graph->finished);
	complete = take_ready(graph, ready, waiting, order) == graph->n;
	if (cycle)
		*cycle = complete ? NIL : close_cycle(find_short_cycle(graph, waiting));

	binaryheap_free(ready);
	pfree(waiting);
	return complete;
}

char *
vp_graph_cycle_path(const VpGraph *graph, List *cycle)
{
	int			length = list_length(cycle);
	int			left_out = 0;
	StringInfoData path;

	if (length > CYCLE_SHOWN_WHOLE)
		left_out = length - CYCLE_SHOWN_HEAD - CYCLE_SHOWN_TAIL;

	initStringInfo(&path);
	for (int i = 0; i < length; i++)
	{
		if (i > 0)
			appendStringInfoString(&path, " -> ");
		if (left_out > 0 && i == CYCLE_SHOWN_HEAD)
		{
			appendStringInfo(&path, "... (%d more) -> ", left_out);
			i += left_out;
		}
		appendStringInfoString(&path,
							   graph->nodes[list_nth_int(cycle, i)].display);
	}
	return path.data;
}
