/*
 * detach.h
 *	  Let go of a source for a while, so that it can be altered.
 *
 * PostgreSQL refuses to retype or drop a column that a view uses.  A detached
 * asset's definition has no query: it keeps its columns, reads nothing, and
 * the query waits in the catalog.  Readers don't notice, since they are sent
 * to the published version; computing the asset is an error meanwhile.
 */
#ifndef VP_DETACH_H
#define VP_DETACH_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Does an asset that is not detached read this relation? */
extern bool vp_detach_would_help(Oid relid);

/* Each returns a list of VpChange. */
extern List *vp_detach_source(Oid source);
extern List *vp_attach_source(Oid source);

#endif							/* VP_DETACH_H */
