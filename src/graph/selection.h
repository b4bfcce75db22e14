/*
 * selection.h
 *	  Which assets a selection text means.
 *
 *		selection = term { blank term }				union of the terms
 *		term	  = [ "-" ] part { "," part }		intersection of the parts
 *		part	  = [ "@" | [ depth ] "+" ] method [ "+" [ depth ] ]
 *		method	  = name | "tag:" tag | "source:" name
 *		name	  = [ identifier "." ] identifier
 *
 * "+x" adds what x is computed from, "x+" what is computed from x, a depth
 * limits how many steps; "@x" is x, all its descendants and all ancestors of
 * those.  A term with "-" in front is taken out of the union of the others,
 * or of all assets when there are no others.  Blanks may stand around commas.
 *
 * Identifiers fold to lower case unless double-quoted, like in SQL; tags are
 * taken as written and may be double-quoted too.  An unquoted "*" stands for
 * any number of characters.  An unqualified name is looked for in the default
 * schemas in order, then among all assets; one with a "*" matches in any
 * schema.  "source:" selects the assets that read the source themselves; an
 * unqualified source matches in any schema.
 */
#ifndef VP_SELECTION_H
#define VP_SELECTION_H

#include "graph/graph.h"

/*
 * The selected nodes, at least one, as a new set in the current memory
 * context; what was needed on the way is freed.  default_schemas is a list of
 * char *, selection is not NULL.
 *
 * Errors: ERRCODE_SYNTAX_ERROR with the position (in characters, from 1),
 * also for an empty selection and for a depth out of range;
 * ERRCODE_UNDEFINED_OBJECT for a part that matches nothing, with near names
 * as the hint, and when nothing is selected in the end;
 * ERRCODE_AMBIGUOUS_ALIAS for an unqualified name that several schemas have.
 *
 * O(n + length of the selection) for names, and O(n + e) more for each part
 * that has an operator, a tag, a source or a "*".
 */
extern Bitmapset *vp_graph_select(const VpGraph *graph, List *default_schemas,
								  const char *selection);

#endif							/* VP_SELECTION_H */
