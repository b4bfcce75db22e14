/*
 * unsteady.h
 *	  What gives other results though nothing that is followed changed.
 *
 * Volatile functions, the clock, foreign tables, settings and state of the
 * session or the server, sequences, system catalogs.  An asset that depends on
 * such a thing is never known to be fresh; its cache_ttl may say how long it is
 * good enough.
 */
#ifndef VP_UNSTEADY_H
#define VP_UNSTEADY_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Each returns the reason, "function random() is volatile", or NULL; palloc'd. */
extern char *vp_unsteady_function(Oid function);
extern char *vp_unsteady_relation(Oid relid);

/* Of the node itself, not of those below it. */
extern char *vp_unsteady_node(Node *node);

/* What a function's text seems to call. */
extern char *vp_unsteady_text(const char *text);

#endif							/* VP_UNSTEADY_H */
