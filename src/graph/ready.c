/*
 * ready.c
 *	  Which node is next, when several are worked on at a time.
 */
#include "postgres.h"

#include "lib/pairingheap.h"

#include "graph/ready.h"

typedef struct Entry
{
	pairingheap_node heap_node;
	int			node;
	int			pending;		/* upstreams that aren't done */
	double		rank;
} Entry;

struct VpReady
{
	const VpGraph *graph;
	Entry	   *entries;		/* by node */
	int		   *free;			/* first in, first out */
	int			nfree;
	int			next_free;
	pairingheap *queue;
	int			nqueued;
};

static int
compare(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const Entry *x = pairingheap_const_container(Entry, heap_node, a);
	const Entry *y = pairingheap_const_container(Entry, heap_node, b);

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->node > y->node ? -1 : x->node < y->node;
}

VpReady *
vp_ready_create(const VpGraph *graph, const int *order, const double *cost)
{
	VpReady    *ready = palloc0(sizeof(VpReady));

	ready->graph = graph;
	ready->entries = palloc0(sizeof(Entry) * Max(graph->n, 1));
	ready->free = palloc(sizeof(int) * Max(graph->n, 1));
	ready->queue = pairingheap_allocate(compare, NULL);
	for (int k = graph->n - 1; k >= 0; k--)
	{
		int			i = order[k];
		const VpGraphNode *node = &graph->nodes[i];
		Entry	   *entry = &ready->entries[i];

		entry->node = i;
		entry->pending = node->nup;
		for (int d = 0; d < node->ndown; d++)
			entry->rank = Max(entry->rank, ready->entries[node->down[d]].rank);
		entry->rank += cost[i];
	}
	for (int k = 0; k < graph->n; k++)
		if (ready->entries[order[k]].pending == 0)
			ready->free[ready->nfree++] = order[k];
	return ready;
}

int
vp_ready_free(VpReady *ready)
{
	return ready->next_free == ready->nfree ? -1 : ready->free[ready->next_free++];
}

void
vp_ready_done(VpReady *ready, int node)
{
	const VpGraphNode *graph_node = &ready->graph->nodes[node];

	for (int d = 0; d < graph_node->ndown; d++)
	{
		Entry	   *down = &ready->entries[graph_node->down[d]];

		Assert(down->pending > 0);
		if (--down->pending == 0)
			ready->free[ready->nfree++] = down->node;
	}
}

void
vp_ready_queue(VpReady *ready, int node)
{
	pairingheap_add(ready->queue, &ready->entries[node].heap_node);
	ready->nqueued++;
}

int
vp_ready_first(const VpReady *ready)
{
	if (ready->nqueued == 0)
		return -1;
	return pairingheap_container(Entry, heap_node,
								 pairingheap_first(ready->queue))->node;
}

int
vp_ready_take(VpReady *ready)
{
	if (ready->nqueued == 0)
		return -1;
	ready->nqueued--;
	return pairingheap_container(Entry, heap_node,
								 pairingheap_remove_first(ready->queue))->node;
}

int
vp_ready_queued(const VpReady *ready)
{
	return ready->nqueued;
}

double
vp_ready_rank(const VpReady *ready, int node)
{
	return ready->entries[node].rank;
}
