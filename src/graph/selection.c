/*
 * selection.c
 *	  Which assets a selection text means.
 *
 * Owns the meaning of terms, operators and methods, and the errors about
 * things that match nothing.  The syntax is selection_parse.c's.
 */
#include "postgres.h"

#include "graph/name_index.h"
#include "graph/selection.h"
#include "graph/selection_hint.h"
#include "graph/selection_match.h"
#include "graph/selection_parse.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* So many of the assets that an ambiguous name may mean are listed. */
#define AMBIGUOUS_SHOWN		5

typedef struct VpSelector
{
	const VpGraph *graph;
	const VpNameIndex *index;
	List	   *default_schemas;	/* of char * */
	const char *selection;		/* the whole text, for messages */
} VpSelector;

static void
report_no_match(const VpSelector *selector, const VpSelectionPart *part)
{
	char	   *hint = vp_selection_hint(selector->graph, part);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("selection \"%s\": no asset matches \"%s\"",
					vp_selection_shown(selector->selection),
					vp_selection_shown(part->written)),
			 hint ? errhint("%s", hint) : 0));
}

static void
report_ambiguous(const VpSelector *selector, const VpSelectionPart *part,
				 const Bitmapset *found)
{
	StringInfoData list;
	int			shown = 0;
	int			i = -1;

	initStringInfo(&list);
	while ((i = bms_next_member(found, i)) >= 0 && shown < AMBIGUOUS_SHOWN)
		appendStringInfo(&list, "%s%s", shown++ > 0 ? ", " : "",
						 selector->graph->nodes[i].display);
	if (i >= 0)
		appendStringInfoString(&list, ", ...");

	ereport(ERROR,
			(errcode(ERRCODE_AMBIGUOUS_ALIAS),
			 errmsg("selection \"%s\": asset name \"%s\" is ambiguous",
					vp_selection_shown(selector->selection),
					vp_selection_shown(part->written)),
			 errdetail("It may mean %s.", list.data),
			 errhint("Write the name with its schema.")));
}

static void
report_empty(const VpSelector *selector)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("selection \"%s\" matches no asset",
					vp_selection_shown(selector->selection)),
			 errdetail("Each part matches some, but nothing is left after intersections and exclusions.")));
}

static bool
matches(const VpSelectionPart *part, const VpGraphNode *node)
{
	switch (part->method)
	{
		case VP_SELECT_NAME:
			return vp_selection_matches_asset(part, node);
		case VP_SELECT_TAG:
			return vp_selection_matches_tag(part, node);
		case VP_SELECT_SOURCE:
			return vp_selection_matches_source(part, node);
	}
	return false;
}

/* The nodes that match a tag, a source or a pattern. */
static Bitmapset *
scan_nodes(const VpGraph *graph, const VpSelectionPart *part)
{
	Bitmapset  *found = NULL;

	for (int i = 0; i < graph->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (matches(part, &graph->nodes[i]))
			found = bms_add_member(found, i);
	}
	return found;
}

/* The node of an exact name, as a set. */
static Bitmapset *
find_name(const VpSelector *selector, const VpSelectionPart *part)
{
	const char *name = vp_pattern_exact(part->name);
	Bitmapset  *found;

	if (part->schema)
		return vp_name_index_find(selector->index,
								  vp_pattern_exact(part->schema), name);

	found = vp_name_index_resolve(selector->index, selector->default_schemas,
								  name);
	if (bms_membership(found) == BMS_MULTIPLE)
		report_ambiguous(selector, part, found);
	return found;
}

static bool
is_exact_name(const VpSelectionPart *part)
{
	return part->method == VP_SELECT_NAME &&
		vp_pattern_exact(part->name) != NULL &&
		(part->schema == NULL || vp_pattern_exact(part->schema) != NULL);
}

/* What "+" and "@" add to the nodes of a part; frees its argument. */
static Bitmapset *
apply_operators(const VpGraph *graph, const VpSelectionPart *part,
				Bitmapset *found)
{
	Bitmapset  *result;

	if (part->closure)
	{
		Bitmapset  *below = vp_graph_descendants(graph, found,
												 VP_SELECTION_ALL);

		result = vp_graph_ancestors(graph, below, VP_SELECTION_ALL);
		bms_free(below);
	}
	else if (part->up == 0 && part->down == 0)
		return found;
	else
	{
		result = vp_graph_ancestors(graph, found, part->up);
		result = bms_join(result,
						  vp_graph_descendants(graph, found, part->down));
	}
	bms_free(found);
	return result;
}

static Bitmapset *
select_part(const VpSelector *selector, const VpSelectionPart *part)
{
	Bitmapset  *found;

	if (is_exact_name(part))
		found = find_name(selector, part);
	else
		found = scan_nodes(selector->graph, part);
	if (bms_is_empty(found))
		report_no_match(selector, part);
	return apply_operators(selector->graph, part, found);
}

static Bitmapset *
select_term(const VpSelector *selector, const VpSelectionTerm *term)
{
	Bitmapset  *result = select_part(selector, linitial(term->parts));

	for (int i = 1; i < list_length(term->parts); i++)
	{
		Bitmapset  *other = select_part(selector, list_nth(term->parts, i));

		result = bms_int_members(result, other);
		bms_free(other);
	}
	return result;
}

/* The union of the terms of one kind; *count says how many there are. */
static Bitmapset *
select_terms(const VpSelector *selector, List *terms, bool exclude,
			 int *count)
{
	Bitmapset  *result = NULL;
	ListCell   *cell;

	*count = 0;
	foreach(cell, terms)
	{
		VpSelectionTerm *term = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (term->exclude != exclude)
			continue;
		(*count)++;
		result = bms_join(result, select_term(selector, term));
	}
	return result;
}

static Bitmapset *
select_nodes(const VpSelector *selector, List *terms)
{
	Bitmapset  *included;
	Bitmapset  *excluded;
	int			count;

	included = select_terms(selector, terms, false, &count);
	if (count == 0 && selector->graph->n > 0)
		included = bms_add_range(NULL, 0, selector->graph->n - 1);
	excluded = select_terms(selector, terms, true, &count);
	return bms_del_members(included, excluded);
}

Bitmapset *
vp_graph_select(const VpGraph *graph, List *default_schemas,
				const char *selection)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "vibepiper selection",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	VpSelector	selector = {graph, NULL, default_schemas, selection};
	List	   *terms = vp_selection_parse(selection);
	Bitmapset  *result;

	selector.index = vp_name_index_create(graph);
	result = select_nodes(&selector, terms);
	if (bms_is_empty(result))
		report_empty(&selector);

	MemoryContextSwitchTo(caller);
	result = bms_copy(result);
	MemoryContextDelete(work);
	return result;
}
