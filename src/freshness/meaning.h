/*
 * meaning.h
 *	  What the objects are by which a version was computed: tables' columns,
 *	  views' queries, functions' bodies and what they name, types, operators.
 *
 * Hashes of what the catalogs say.  But for the last kinds they are compared only
 * after somebody altered something in the database (see freshness/altered.h),
 * so they may take some microseconds each.
 */
#ifndef VP_MEANING_H
#define VP_MEANING_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "common/hash.h"

typedef enum VpMeaningKind
{
	VP_MEANING_RELATION,		/* policies, columns if by name, or a view's
								 * query */
	VP_MEANING_TYPE,
	VP_MEANING_FUNCTION,
	VP_MEANING_WORDING,			/* the objects that a function's text may name */
	VP_MEANING_ROLE,			/* its name; always compared, as those below */

	/* of the whole database, with objid 0 */
	VP_MEANING_CASTS,			/* the users' casts and classes of operators */
	VP_MEANING_TEXT_SEARCH,

	/*
	 * what changes without an altering statement in this database; always
	 * compared
	 */
	VP_MEANING_COLUMNS,			/* of an asset (by id), with their names */
	VP_MEANING_ASSET,			/* its rows; or, computed by who reads it, its
								 * code */
	VP_MEANING_ROLES,			/* who bypasses row security or is whose
								 * member */
	VP_MEANING_COLLATIONS		/* versions of the libraries that order text */
} VpMeaningKind;

typedef struct VpMeaning
{
	VpMeaningKind kind;
	Oid			objid;
	bool		by_name;		/* its name counts, too, and so do columns */
	VpHash		hash;
} VpMeaning;

/*
 * As it is now; path: Oids of schemas, for a wording.  False: there is no such
 * object.
 */
extern bool vp_meaning_of(VpMeaning *meaning, List *path);

/* The columns of an asset's stub; false: there is none. */
extern bool vp_meaning_columns(Oid stub, VpHash *hash);

/* Does it say something of an asset? */
extern bool vp_meaning_is_of_asset(VpMeaningKind kind);

/* Can it change without an altering statement in this database? */
extern bool vp_meaning_changes_unseen(VpMeaningKind kind);

/* Why isn't it what it was?  "function shop.tax(numeric) changed", ...; palloc'd. */
extern char *vp_meaning_difference(const VpMeaning *meaning, bool dropped);

extern void vp_meaning_init(void);

#endif							/* VP_MEANING_H */
