/*
 * marker.h
 *	  The asset's identity inside a plan.
 *
 * The planner hook leaves one marker per read of an asset, as text in the
 * field `enrname` of a range-table entry of kind RTE_RELATION, which relations
 * don't use and which survives planning, copying and the plan cache:
 *
 *	  "<def> <part> <nparts> <signature> <index>,<index>..."   a slot to be read
 *	  "<def> - <signature>"		a miss that read_asset() computes
 *	  "<def> -i <signature>"	a miss whose definition is part of the plan
 *
 * The indexes are those of the slot that the plan names, in the owner's order,
 * ten digits each.  The first marker's entry also carries, in its field `subquery`, the
 * query as it was before anything was replaced, in case it must be planned
 * anew.
 */
#ifndef VP_MARKER_H
#define VP_MARKER_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#define VP_SIGNATURE_DIGITS 32

typedef struct VpMarker
{
	Oid			def;
	bool		hit;
	bool		inlined;		/* a miss is part of the plan */
	int			part;			/* from 0 */
	int			nparts;
	const char *signature;		/* 32 digits, not terminated; of a miss: of
								 * the version with other columns, or "" */
	const char *indexes;		/* text of the list */
} VpMarker;

/* Oids as text of a length that depends on their number only. */
extern char *vp_marker_list(List *oids);

extern char *vp_marker_hit(Oid def, int part, int nparts, const char *signature,
						   const char *indexes);

/* signature: of a version that is there but has other columns, or "" */
extern char *vp_marker_miss(Oid def, bool inlined, const char *signature);

/* False if the entry has none. */
extern bool vp_marker_read(const RangeTblEntry *rte, VpMarker *marker);
extern List *vp_marker_indexes(const VpMarker *marker); /* of Oid */

#endif							/* VP_MARKER_H */
