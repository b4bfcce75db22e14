/*
 * clause.h
 *	  Index clauses: as their owner wrote them, and resolved.
 *
 * A resolved clause names everything outside pg_catalog with its schema, so
 * that it means the same under any search_path.
 */
#ifndef VP_CLAUSE_H
#define VP_CLAUSE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Create an index on a slot of this owner.  The clause means what its names
 * mean now; or, if there is a resolved one, what they meant then.
 */
extern void vp_clause_create(Oid slot, const char *index, Oid owner,
							 const char *written, const char *resolved);

/* The clause of an index on a slot, resolved; without its tablespace. */
extern char *vp_clause_of(Oid slot, const char *index);

/* Does a resolved clause name anything outside pg_catalog?  In doubt, yes. */
extern bool vp_clause_has_names(const char *resolved);

/* Resolved clauses after a schema got another name. */
extern List *vp_clauses_rename_schema(List *clauses, const char *old_name,
									  const char *new_name);

#endif							/* VP_CLAUSE_H */
