/*
 * selection_hint.h
 *	  What to tell the user about a part of a selection that matches nothing.
 *	  Private to src/graph/.
 */
#ifndef VP_SELECTION_HINT_H
#define VP_SELECTION_HINT_H

#include "graph/graph.h"
#include "graph/selection_parse.h"

/*
 * A hint that names what may have been meant, ready to be written in a
 * selection, or NULL.  New memory in the current context.  Only called on the
 * way to an error: O(n * length^2).
 */
extern char *vp_selection_hint(const VpGraph *graph,
							   const VpSelectionPart *part);

#endif							/* VP_SELECTION_HINT_H */
