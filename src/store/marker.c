/*
 * marker.c
 *	  The asset's identity inside a plan.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "store/marker.h"

char *
vp_marker_list(List *oids)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, oids)
		appendStringInfo(&buf, "%010u,", lfirst_oid(lc));
	return buf.data;
}

char *
vp_marker_hit(Oid def, int part, int nparts, const char *signature,
			  const char *indexes)
{
	return psprintf("%u %d %d %s %s", def, part, nparts, signature, indexes);
}

char *
vp_marker_miss(Oid def, bool inlined, const char *signature)
{
	return psprintf(inlined ? "%u -i %s" : "%u - %s", def, signature);
}

bool
vp_marker_read(const RangeTblEntry *rte, VpMarker *marker)
{
	char	   *at;

	if (rte->rtekind != RTE_RELATION || rte->enrname == NULL)
		return false;
	marker->def = (Oid) strtoul(rte->enrname, &at, 10);
	marker->hit = at[1] != '-';
	marker->inlined = !marker->hit && at[2] == 'i';
	if (!marker->hit)
	{
		marker->signature = at + (marker->inlined ? 4 : 3);
		return true;
	}
	marker->part = (int) strtol(at, &at, 10);
	marker->nparts = (int) strtol(at, &at, 10);
	marker->signature = at + 1;
	marker->indexes = at + 1 + VP_SIGNATURE_DIGITS + 1;
	return true;
}

List *
vp_marker_indexes(const VpMarker *marker)
{
	List	   *indexes = NIL;
	const char *at = marker->indexes;

	while (*at != '\0')
	{
		char	   *end;

		indexes = lappend_oid(indexes, (Oid) strtoul(at, &end, 10));
		at = end + 1;
	}
	return indexes;
}
