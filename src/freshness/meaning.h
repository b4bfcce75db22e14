/*
 * meaning.h
 *	  What the objects are by which a version was computed: tables' columns,
 *	  views' queries, functions' bodies.
 *
 * Hashes of what the catalogs say.  They are compared only after somebody
 * altered something in the database (see freshness/altered.h), so they may
 * take some microseconds each.
 */
#ifndef VP_MEANING_H
#define VP_MEANING_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "common/hash.h"

typedef struct VpMeaning
{
	Oid			classid;		/* pg_class or pg_proc */
	Oid			objid;
	bool		by_name;		/* its name, and those of columns, count, too */
	VpHash		hash;
} VpMeaning;

/* As it is now; false: there is no such object. */
extern bool vp_meaning_of(VpMeaning *meaning);

/* "function shop.tax(numeric)", "source raw.orders", ...; quoted */
extern char *vp_meaning_name(const VpMeaning *meaning);

/*
 * The users' functions that the statements called or inlined (see
 * store/reads.h), of Oid.
 */
extern List *vp_meaning_functions(List *executed, List *plan_hashes);

/*
 * What a rewritten query names, itself or through views, and so follows when it
 * is renamed.  Of relations whose whole rows it takes the names count.
 */
typedef struct VpNamed
{
	List	   *relations;		/* of Oid; none if it takes whole rows */
	List	   *functions;		/* of Oid */
} VpNamed;

extern VpNamed vp_meaning_named(Query *query);

#endif							/* VP_MEANING_H */
