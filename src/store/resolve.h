/*
 * resolve.h
 *	  What an asset's name means for a snapshot.
 *
 * Inside a run, the version that the run staged; else the published version as
 * the snapshot sees the mapping, if its rows are there; else, and for a lazy
 * asset, a miss.  A version whose columns aren't the stub's (it was redefined
 * and not run yet) is a hit here; whoever reads it compares them.
 */
#ifndef VP_RESOLVE_H
#define VP_RESOLVE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "common/hash.h"

typedef struct VpAssetInfo
{
	int32		id;
	Oid			stub;
	Oid			owner;
	bool		lazy;
	bool		error_on_miss;
	bool		detached;		/* from a source: can't be computed */
} VpAssetInfo;

typedef struct VpResolution
{
	Oid			def;
	VpAssetInfo info;
	bool		hit;
	int			nparts;
	Oid			slot;			/* of the first part */
	List	   *slots;			/* of all parts when there are several, else
								 * NIL */
	const char *indexes;		/* vp_marker_list() of the slot's indexes, or
								 * NULL: not known, ask vp_slot_indexes() */
	char		signature[33];	/* of the version, hexadecimal */
} VpResolution;

/*
 * What to do about a version that is published, as the snapshot sees it, but
 * lost: may wait, and may make a hit of the result by vp_resolve_latest().
 */
typedef void (*VpLostHook) (Snapshot snapshot, VpResolution *result);
extern VpLostHook vp_lost_hook;

/* vp_resolve(), but that of a lost version the hook isn't told. */
extern bool vp_resolve_at_once(Oid def, Snapshot snapshot, VpResolution *result);

/* What the name means now, whatever a snapshot sees; false: a miss. */
extern bool vp_resolve_latest(VpResolution *result);

/*
 * Resolve; on a hit every slot is locked (AccessShareLock, until the end of
 * the transaction).  False if no asset has this definition.
 */
extern bool vp_resolve(Oid def, Snapshot snapshot, VpResolution *result);

/* Are the definition's columns those of the relation? */
extern bool vp_columns_match(Oid def, Oid relation);

/* Indexes of a slot, in the order in which the asset's owner listed them. */
extern List *vp_slot_indexes(Oid slot);


#endif							/* VP_RESOLVE_H */
