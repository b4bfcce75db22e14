/*
 * usercode.h
 *	  Users' functions that planning a query would call.
 */
#ifndef VP_USERCODE_H
#define VP_USERCODE_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Is there a function in the expression that no superuser owns? */
extern bool vp_has_user_code(Node *expression);

/* The same, but for functions of those who may do what this role may. */
extern bool vp_has_code_of_others(Node *expression, Oid role);

/*
 * Would planning a scan of one of the query's relations, or of their children,
 * call such a function?
 */
extern bool vp_planning_calls_user_code(Query *query);

/*
 * Simplify the index expressions of these relations as their owners do it, and
 * keep the indexes open, so that planning takes what was simplified here.
 */
extern List *vp_simplify_indexes(List *relids);
extern void vp_close_indexes(List *indexes);

#endif							/* VP_USERCODE_H */
