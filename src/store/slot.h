/*
 * slot.h
 *	  Slots: relations in vibepiper_store, each holding one version.
 *
 * Whoever calls these holds the pipeline's lock, so that slots of an asset are
 * only handled by one transaction at a time.  A slot is refilled under
 * ShareUpdateExclusiveLock: readers that hold plans made for an earlier
 * version may lock it meanwhile, and go elsewhere (see doc/architecture.md).
 */
#ifndef VP_SLOT_H
#define VP_SLOT_H

#include "postgres.h"

#include "access/transam.h"
#include "utils/relcache.h"

#include "catalog/asset.h"
#include "catalog/slots.h"

/*
 * An empty slot of the asset's signature, with a relation file that belongs to
 * the current subtransaction: a reusable one, or a new one.  Its indexes are
 * not usable before vp_slot_index().  Returns its Oid.  Slots that could be
 * reused but don't fit the asset any more are added to *unfit (of Oid).
 */
extern Oid	vp_slot_acquire(const VpAsset *asset, char persistence,
							const VpKeep *keep, int64 run_id, List **unfit);

/* Build (or rebuild) the asset's indexes; as the asset's owner. */
extern void vp_slot_index(Oid slot, const VpAsset *asset);

/* Collect statistics; as the asset's owner. */
extern void vp_slot_analyze(Oid slot);

/*
 * Look up the names in the asset's index clauses, and set ->index_clauses.
 * Error if one of the clauses can't be used.
 */
extern void vp_slot_resolve_indexes(VpAsset *asset, List *pipeline_settings);

/* InvalidOid: it has been dropped. */
extern Oid	vp_slot_file(Oid slot);
extern int64 vp_slot_size(Oid slot);

/* Has an unlogged slot that should have rows been emptied by a crash? */
extern bool vp_slot_is_lost(Oid slot);

/* Drop the relation and its row. */
extern void vp_slot_drop(Oid slot);

/* Drop a slot that nobody can see or wants, unless it is locked. */
extern bool vp_slot_discard(Oid slot);

/*
 * Drop slots of an asset that nobody can see or wants, unless they are locked;
 * at most so many (-1: all), as each takes several locks.  Returns the ids of the
 * versions that went (int64 *; 0: the slot had none).
 */
extern List *vp_slots_trim(const VpAsset *asset, const VpKeep *keep, int most);

#endif							/* VP_SLOT_H */
