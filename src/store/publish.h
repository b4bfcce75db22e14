/*
 * publish.h
 *	  Publishing: make an asset's name mean other versions.
 */
#ifndef VP_PUBLISH_H
#define VP_PUBLISH_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * In this transaction's commit, make a definition mean these versions (a list
 * of VpVersion, the parts in order; NIL: none).  The caller holds the
 * pipeline's lock.
 */
extern void vp_publish(Oid def, int32 asset_id, int64 run_id, List *versions);

#endif							/* VP_PUBLISH_H */
