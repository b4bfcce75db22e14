/*
 * slots.h
 *	  Rows of vibepiper.slot as structs, and which slots can be filled again.
 *
 * Everything returned is palloc'd in the caller's memory context.
 */
#ifndef VP_SLOTS_H
#define VP_SLOTS_H

#include "postgres.h"

#include "access/transam.h"
#include "nodes/pg_list.h"

#include "common/hash.h"

typedef struct VpSlot
{
	Oid			oid;
	int32		asset_id;
	VpHash		signature;
	char		persistence;
	int64		version_id;		/* 0: nothing that anybody wants */
} VpSlot;

/* Slots of an asset, by Oid. */
extern List *vp_slots_of_asset(int32 asset_id);
extern void vp_slot_insert(const VpSlot *slot);
extern void vp_slot_set_version(Oid slot, int64 version_id);
extern void vp_slot_delete(Oid slot);

/* Whatever snapshot is active: the hash of what a slot holds; zero if that is nothing. */
extern VpHash vp_slot_data_hash(Oid slot);

/*
 * What is to be kept of an asset's versions besides the published one: the
 * newest, and of the others those that may be right again, unless they are
 * released.
 */
typedef struct VpKeep
{
	int			versions;		/* as the pipeline's keep_versions */
	bool		cache;
	List	   *released;		/* version ids, of int64 * */
} VpKeep;

/*
 * Slots whose version nobody can see and nobody wants: not published, taken
 * off the mapping before `horizon` (or never on it), not to be kept.  A slot
 * without version is one.
 */
extern List *vp_slots_reusable(int32 asset_id, FullTransactionId horizon,
							   const VpKeep *keep, int64 current_run);

#endif							/* VP_SLOTS_H */
