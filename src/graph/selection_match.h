/*
 * selection_match.h
 *	  Does a node match one part of a selection?  Private to src/graph/.
 *
 * These compare patterns only, whatever the part's method is; an unqualified
 * name matches in every schema.  They allocate nothing.
 */
#ifndef VP_SELECTION_MATCH_H
#define VP_SELECTION_MATCH_H

#include "graph/graph.h"
#include "graph/selection_parse.h"

/* By the asset's own name. */
extern bool vp_selection_matches_asset(const VpSelectionPart *part,
									   const VpGraphNode *node);

/* By one of its tags. */
extern bool vp_selection_matches_tag(const VpSelectionPart *part,
									 const VpGraphNode *node);

/* By one of the sources that it reads. */
extern bool vp_selection_matches_source(const VpSelectionPart *part,
										const VpGraphNode *node);

#endif							/* VP_SELECTION_MATCH_H */
