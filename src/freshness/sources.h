/*
 * sources.h
 *	  What a version remembers of what it was computed from and by, and whether
 *	  that is still the same.
 *
 * As a value it is a bytea, which only this module reads, and which means
 * nothing to another server: the serial numbers of the rings tell.
 *
 * - A mark per table that was read (freshness/ring.h).  A table with children
 *	 (partitions, or by inheritance) is remembered with all of them.
 * - What tables, views and functions were like (freshness/meaning.h), and a mark
 *	 in the ring of altering statements, which says whether to compare.
 */
#ifndef VP_SOURCES_H
#define VP_SOURCES_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "common/hash.h"
#include "freshness/instant.h"
#include "freshness/meaning.h"

/* An asset is going to be computed: look at what is read and called. */
extern void vp_sources_begin(void);

/* Never mind. */
extern void vp_sources_end(void);

/*
 * What was read since, under the snapshot of this instant.  Relations that the
 * query, rewritten, names are followed when they are renamed; others are known to
 * functions, by their names.  Of assets those are remembered that aren't among
 * the upstreams (ids), and the columns of those that functions read.  palloc'd.
 */
extern bytea *vp_sources_remember(Query *query, List *upstreams, const VpInstant *instant);

/* For whom is asked. */
typedef struct VpAsking
{
	const VpInstant *instant;	/* of the rows that are to be read */
	const VpInstant *latest;	/* for the catalogs */

	/* what assets are, as vp_meaning_of() does, who knows it better; or NULL */
	bool		(*asset) (const void *arg, VpMeaning *meaning);
	const void *arg;
} VpAsking;

/*
 * Why the sources are, or may be, other ones for the asker and his transaction
 * than they were; NULL: they are the same.
 */
extern const char *vp_sources_difference(const bytea *sources, const VpAsking *asking);

/* The tables that it was computed from, with children; of Oid. */
extern List *vp_sources_tables(const bytea *sources);

/* Those of all stored versions of a pipeline, or of the database (0). */
extern List *vp_sources_of_versions(int32 pipeline_id);

/*
 * Tables were written, so that it will never be right again (but for snapshots
 * that are older).
 */
extern bool vp_sources_are_gone(const bytea *sources, const VpAsking *asking);

/* With whose rights it was computed. */
extern Oid	vp_sources_owner(const bytea *sources);

/*
 * What it was computed from that isn't followed, so that the same sources can
 * give another result: "function random() is volatile"; NULL: nothing.
 */
extern char *vp_sources_unsteady(const bytea *sources);

#endif							/* VP_SOURCES_H */
