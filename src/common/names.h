/*
 * names.h
 *	  Names of assets and relations: from text, for messages, in hints.
 */
#ifndef VP_NAMES_H
#define VP_NAMES_H

#include "postgres.h"

#include "nodes/primnodes.h"

/* "schema.name" or "name", with SQL's rules for quotes and case. */
extern RangeVar *vp_name_parse(const char *name);

/* schema.name, quoted as needed; palloc'd */
extern char *vp_relation_name(Oid relid);

/* Owner of a relation, InvalidOid if it is gone; takes no lock. */
extern Oid	vp_relation_owner(Oid relid);

#endif							/* VP_NAMES_H */
