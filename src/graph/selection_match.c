/*
 * selection_match.c
 *	  Does a node match one part of a selection?
 *
 * Owns how names, tags and sources are compared with patterns.
 */
#include "postgres.h"

#include "graph/selection_match.h"

bool
vp_selection_matches_asset(const VpSelectionPart *part,
						   const VpGraphNode *node)
{
	return vp_pattern_matches(part->name, node->name) &&
		(part->schema == NULL ||
		 vp_pattern_matches(part->schema, node->schema));
}

bool
vp_selection_matches_tag(const VpSelectionPart *part, const VpGraphNode *node)
{
	ListCell   *cell;

	foreach(cell, node->tags)
	{
		if (vp_pattern_matches(part->name, lfirst(cell)))
			return true;
	}
	return false;
}

/*
 * A source is given as one string, and either of its names may hold dots, so
 * each dot is tried as the one between them.
 */
static bool
matches_source_name(const VpSelectionPart *part, const char *source)
{
	const char *dot = source;

	while ((dot = strchr(dot, '.')) != NULL)
	{
		if (vp_pattern_matches(part->name, dot + 1) &&
			(part->schema == NULL ||
			 vp_pattern_matches_bytes(part->schema, source, dot - source)))
			return true;
		dot++;
	}
	return false;
}

bool
vp_selection_matches_source(const VpSelectionPart *part,
							const VpGraphNode *node)
{
	ListCell   *cell;

	foreach(cell, node->sources)
	{
		if (matches_source_name(part, lfirst(cell)))
			return true;
	}
	return false;
}
