/*
 * nodes.h
 *	  Loads the nodes of a state: assets with their published versions.
 *
 * A run of a thousand fresh assets is mostly this, so the tables are scanned by
 * their indexes under the active snapshot, without SPI.
 */
#ifndef VP_NODES_H
#define VP_NODES_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "freshness/state.h"

/* Finds nodes by the id of the asset. */
extern HTAB *vp_nodes_create_index(void);
extern int	vp_nodes_find(HTAB *index, int32 asset_id); /* -1: none */

/* Append the pipeline's own assets, by id; or others, by their ids. */
extern void vp_nodes_load_own(VpState *state, HTAB *index, bool with_tags);
extern void vp_nodes_load_others(VpState *state, HTAB *index, List *ids);

#endif							/* VP_NODES_H */
