/*
 * code.h
 *	  The code hash: an asset's meaning as 128 bits.
 */
#ifndef VP_CODE_H
#define VP_CODE_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "common/hash.h"

/*
 * Hash of an analyzed query.  White space, comments and keyword case don't
 * count; relations, columns, functions and types do, by Oid, so that renaming
 * them doesn't.  The recorded settings count if the query depends on them.
 */
extern VpHash vp_code_hash(Query *query, bool depends_on_settings,
						   List *environment);

/*
 * Of an asset that is computed where it is read: its code hash, with who
 * computes it and under which settings; names=values, the later ones win.
 */
extern VpHash vp_code_hash_in_place(VpHash code, Oid owner, List *pipeline_settings,
									List *settings);

#endif							/* VP_CODE_H */
