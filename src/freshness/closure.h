/*
 * closure.h
 *	  By what an asset's rows were computed: functions, types, and what of these
 *	  leads to others.
 *
 * Functions are found as they were called or inlined (store/reads.h), and by
 * what names them: the query, views, policies, constraints of domains, and the
 * text of other functions (freshness/wording.h).
 */
#ifndef VP_CLOSURE_H
#define VP_CLOSURE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

typedef struct VpClosure
{
	List	   *relations;		/* that the query itself names and follows */
	List	   *named;			/* functions that it names and follows */
	List	   *functions;		/* users' functions, of Oid */
	List	   *texts;			/* those of them that are text */
	List	   *types;			/* users' types, of Oid */
	bool		text_search;	/* by a configuration, perhaps */
	char	   *unsteady;		/* see unsteady.h; or NULL */
	bool		row_security;	/* policies decided what was read */
	bool		asks_user;		/* for the name of whose rights it has */
} VpClosure;

/*
 * Of a rewritten query and all relations that were read.  If the query takes
 * whole rows, it doesn't follow when columns are renamed: no relations then.
 */
extern VpClosure vp_closure(Query *query, List *relations, List *path);

#endif							/* VP_CLOSURE_H */
