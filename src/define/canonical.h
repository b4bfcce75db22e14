/*
 * canonical.h
 *	  A definition as text, from what is stored of it.
 */
#ifndef VP_CANONICAL_H
#define VP_CANONICAL_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "catalog/asset.h"

/*
 * The query of a definition, every name qualified, under the asset's recorded
 * settings, so that analyzing it under these gives the same meaning.
 */
extern char *vp_definition_text(const VpAsset *asset);

/* The same of a query that is analyzed but not stored. */
extern char *vp_query_text(const Query *query, List *environment);

/*
 * The text that means what the definition means now: the query as written if
 * nothing that it names was renamed since, else the definition's own text.
 */
extern char *vp_present_text(const VpAsset *asset);

/* Of the definition's text and the query as written that means it. */
extern VpHash vp_canonical_hash(const VpAsset *asset);

#endif							/* VP_CANONICAL_H */
