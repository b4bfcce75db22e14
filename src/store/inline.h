/*
 * inline.h
 *	  May a definition be planned as part of a reader's query?
 */
#ifndef VP_INLINE_H
#define VP_INLINE_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/*
 * True if the rewritten query gives the same rows to every role under all
 * settings: immutable functions of PostgreSQL only, no conversion through
 * text (its form depends on settings), no row security.  Reads of other
 * assets don't count, they are looked at by themselves.
 */
extern bool vp_same_for_everybody(Query *query);

/*
 * True if nothing in it is read with the rights of whoever runs it, as what
 * stands behind a view with security_invoker is.
 */
extern bool vp_same_rights_for_everybody(Query *query);

#endif							/* VP_INLINE_H */
