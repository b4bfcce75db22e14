/*
 * name_index.h
 *	  Finding the node of a graph that a name means.
 */
#ifndef VP_NAME_INDEX_H
#define VP_NAME_INDEX_H

#include "graph/graph.h"

/* A hash table of the nodes by relation name; see name_index.c. */
typedef struct VpNameIndex VpNameIndex;

/*
 * Build an index of the graph's nodes, in the current memory context, which
 * points to the graph.  O(n).
 */
extern VpNameIndex *vp_name_index_create(const VpGraph *graph);

/*
 * The numbers of all nodes with this relation name (schema NULL), or of the
 * node with this schema and name, as a new set; NULL if there is none.  O(1)
 * for each node of that name.
 */
extern Bitmapset *vp_name_index_find(const VpNameIndex *index,
									 const char *schema, const char *name);

/*
 * As above for an unqualified name: the node in the first of the schemas
 * (list of char *) that has one, else all nodes of that name.  More than one
 * member thus means that the name is ambiguous.
 */
extern Bitmapset *vp_name_index_resolve(const VpNameIndex *index,
										List *schemas, const char *name);

#endif							/* VP_NAME_INDEX_H */
