/*
 * name_index.c
 *	  Finding the node of a graph that a name means.
 *
 * Owns the rule for unqualified names, and a hash table so that a selection
 * of thousands of names stays linear.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "graph/name_index.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

struct VpNameIndex
{
	const VpGraph *graph;
	uint32		mask;
	int		   *first;			/* mask + 1 chains: first node, or -1 */
	int		   *next;			/* for each node: next of its chain, or -1 */
};

static uint32
chain_of(const VpNameIndex *index, const char *name)
{
	return hash_bytes((const unsigned char *) name, strlen(name)) & index->mask;
}

VpNameIndex *
vp_name_index_create(const VpGraph *graph)
{
	VpNameIndex *index = palloc(sizeof(VpNameIndex));
	uint32		nchains = pg_nextpower2_32(Max(graph->n, 16));

	index->graph = graph;
	index->mask = nchains - 1;
	index->first = palloc(sizeof(int) * nchains);
	index->next = palloc(sizeof(int) * graph->n);

	memset(index->first, -1, sizeof(int) * nchains);
	for (int i = 0; i < graph->n; i++)
	{
		uint32		chain = chain_of(index, graph->nodes[i].name);

		CHECK_FOR_INTERRUPTS();
		index->next[i] = index->first[chain];
		index->first[chain] = i;
	}
	return index;
}

Bitmapset *
vp_name_index_find(const VpNameIndex *index, const char *schema,
				   const char *name)
{
	Bitmapset  *found = NULL;
	int			i = index->first[chain_of(index, name)];

	for (; i >= 0; i = index->next[i])
	{
		const VpGraphNode *node = &index->graph->nodes[i];

		if (strcmp(node->name, name) == 0 &&
			(schema == NULL || strcmp(node->schema, schema) == 0))
			found = bms_add_member(found, i);
	}
	return found;
}

Bitmapset *
vp_name_index_resolve(const VpNameIndex *index, List *schemas,
					  const char *name)
{
	ListCell   *cell;

	foreach(cell, schemas)
	{
		Bitmapset  *found = vp_name_index_find(index, lfirst(cell), name);

		if (!bms_is_empty(found))
			return found;
	}
	return vp_name_index_find(index, NULL, name);
}
