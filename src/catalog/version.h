/*
 * version.h
 *	  Rows of vibepiper.version, mapping and publication as structs.
 *
 * Everything returned is palloc'd in the caller's memory context.
 */
#ifndef VP_VERSION_H
#define VP_VERSION_H

#include "postgres.h"

#include "access/transam.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

#include "common/hash.h"

typedef struct VpVersion
{
	int64		id;				/* 0: not stored yet */
	int32		asset_id;
	Oid			slot;
	Oid			filenode;
	int64		run_id;
	VpHash		code_hash;
	VpHash		signature;
	VpHash		data_hash;
	List	   *upstreams;		/* of int: asset ids, and in the same order
								 * ... */
	List	   *upstream_hashes;	/* ... of VpHash *: the data that was read */
	int64		rows;
	int64		bytes;
	int64		elapsed;		/* microseconds */
	int64		incarnation;
	TimestampTz built_at;
	TimestampTz as_of;
	bytea	   *sources;		/* see freshness/sources.h; NULL: not known */
	bool		invalidated;
	bool		published;
	bool		ever_published;
	bool		expired;		/* cache_ttl has passed */
	bool		same_signature; /* as the asset's now */
	bool		other_inputs;	/* not those that it is known to be right for
								 * now */
	bool		reachable;		/* what it read of upstreams is stored, too */
	double		priority;		/* the less, the sooner it may go:
								 * keeper/evict.c */
} VpVersion;

/* One row of vibepiper.mapping: what a name means. */
typedef struct VpPart
{
	int32		part;			/* from 0 */
	int64		version_id;
	Oid			slot;
	Oid			filenode;
	VpHash		signature;
	bool		nonempty;
	int64		incarnation;
	TransactionId xmin;			/* raw, of the row */
} VpPart;

extern int64 vp_version_insert(const VpVersion *version);
extern VpVersion *vp_version_by_id(int64 id);

/* Version that the asset's publication in a run, or the last before it, named. */
extern int64 vp_version_as_of_run(int32 asset_id, int64 run_id);

/*
 * It was computed again, with the same rows, by another run, or is right again
 * for other inputs.  Without ->sources the row of that run's task says them.  The
 * inputs that it was right for are remembered, a few of them.
 */
extern void vp_version_confirm(const VpVersion *version);
extern void vp_version_delete(int64 id);
extern void vp_version_delete_in_slot(Oid slot);

/* Flag all stored versions of these assets (ids); returns how many assets had some. */
extern int	vp_versions_invalidate(List *asset_ids);

/*
 * Parts of the mapping of a definition as a snapshot sees them, by part; a
 * NULL snapshot sees what is there now.
 */
extern List *vp_mapping_read(Oid def, Snapshot snapshot);	/* of VpPart * */

/* Make a definition mean these versions; for store/publish.c only. */
extern void vp_mapping_write(Oid def, int32 asset_id, int64 run_id, List *versions);

/* The version that a slot holds, with its sources; NULL: none. */
extern VpVersion *vp_slot_version(Oid slot);

/*
 * Versions that are stored and not published, of a pipeline's assets or of one
 * (the other 0), by asset, the newest first.  Of VpVersion *.
 */
extern List *vp_versions_stored(int32 pipeline_id, int32 asset_id);

/*
 * The pipeline's versions, published ones too, with other inputs for which they
 * were right before; the last ones first.
 */
extern List *vp_versions_other_inputs(int32 pipeline_id);

/* A stored version turned out to be right again. */
extern void vp_version_used(int64 id);

extern uint64 vp_hash_seed(void);

/* int[] and uuid[] to a list of int, of VpHash *; and back */
extern Datum vp_ids_datum(List *ids);
extern List *vp_ids_from_datum(Datum array);
extern List *vp_hashes_from_datum(Datum array);

#endif							/* VP_VERSION_H */
