/*
 * replace.h
 *	  Replace reads of assets in a query by what their names mean.
 */
#ifndef VP_REPLACE_H
#define VP_REPLACE_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "utils/snapshot.h"

typedef struct VpReplacement
{
	/* in */
	Snapshot	snapshot;
	ParamListInfo params;

	/* out */
	RangeTblEntry *first;		/* entry of the first marker, NULL: none */
	List	   *slots;			/* of Oid: relations that came in */
	List	   *inval_items;	/* of SQL functions that were inlined */
	bool		depends_on_role;	/* so do they, by row security */

	/* work */
	List	   *inlined;		/* definitions so far, of Oid */
	int			depth;			/* of inlined SQL functions */
} VpReplacement;

/* Could the query read an asset?  Cheap; may say yes in vain. */
extern bool vp_may_read_assets(Query *query);

/* Replace in place. */
extern void vp_replace_assets(Query *query, VpReplacement *replacement);

/* The rewritten query of a definition, to be planned or put into another. */
extern Query *vp_definition_query(Oid def);

/* The same of a query that is no view's yet; it is scribbled on. */
extern Query *vp_rewrite_query(Query *query);

/* The definition that the entry reads by read_asset(), if it is such a call. */
extern Oid	vp_rte_definition(const RangeTblEntry *rte);

#endif							/* VP_REPLACE_H */
