/*
 * selection_hint.c
 *	  What to tell the user about a part of a selection that matches nothing.
 *
 * Owns which other assets, tags and sources are offered, and writes them the
 * way they could stand in a selection.
 */
#include "postgres.h"

#include "common/nearest.h"
#include "graph/selection_hint.h"
#include "graph/selection_match.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* So many names are offered. */
#define OFFERED		3

static int
compare_strings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static List *
unique_strings(List *strings)
{
	List	   *result = NIL;
	ListCell   *cell;

	list_sort(strings, compare_strings);
	foreach(cell, strings)
	{
		if (result == NIL || strcmp(llast(result), lfirst(cell)) != 0)
			result = lappend(result, lfirst(cell));
	}
	return result;
}

/* All tags, or all sources, of all nodes, each once. */
static List *
collect_strings(const VpGraph *graph, VpSelectionMethod method)
{
	List	   *strings = NIL;

	for (int i = 0; i < graph->n; i++)
	{
		const VpGraphNode *node = &graph->nodes[i];

		CHECK_FOR_INTERRUPTS();
		strings = list_concat(strings, method == VP_SELECT_TAG ?
							  node->tags : node->sources);
	}
	return unique_strings(strings);
}

static char *
offer_tags(const VpGraph *graph, const char *tag)
{
	List	   *tags = collect_strings(graph, VP_SELECT_TAG);
	List	   *offers = NIL;
	ListCell   *cell;

	foreach(cell, vp_nearest_names(tag, tags, OFFERED))
	{
		char	   *near = lfirst(cell);
		bool		plain = strpbrk(near, " \t\n\r\f\v,+*\"") == NULL;

		offers = lappend(offers, psprintf("tag:%s", plain ? near :
										  quote_identifier(near)));
	}
	return vp_did_you_mean(offers);
}

/* The relation's name in "schema.relation". */
static const char *
relation_part(const char *source)
{
	const char *dot = strchr(source, '.');

	return dot ? dot + 1 : source;
}

static char *
spell_source(const char *source)
{
	const char *relation = relation_part(source);
	char	   *schema = NULL;

	if (relation != source)
		schema = pnstrdup(source, relation - source - 1);
	return psprintf("source:%s", quote_qualified_identifier(schema, relation));
}

static char *
offer_sources(const VpGraph *graph, const char *schema, const char *name)
{
	List	   *sources = collect_strings(graph, VP_SELECT_SOURCE);
	List	   *candidates = NIL;
	List	   *offers = NIL;
	ListCell   *cell;

	foreach(cell, sources)
		candidates = lappend(candidates, schema ? lfirst(cell) :
							 unconstify(char *, relation_part(lfirst(cell))));
	if (schema)
		name = psprintf("%s.%s", schema, name);

	foreach(cell, vp_nearest_indexes(name, candidates, OFFERED))
		offers = lappend(offers,
						 spell_source(list_nth(sources, lfirst_int(cell))));
	return vp_did_you_mean(offers);
}

/* Assets near by qualified name, or by relation name when schema is NULL. */
static char *
offer_assets(const VpGraph *graph, const char *schema, const char *name)
{
	List	   *candidates = NIL;
	List	   *offers = NIL;
	ListCell   *cell;

	for (int i = 0; i < graph->n; i++)
	{
		const VpGraphNode *node = &graph->nodes[i];

		CHECK_FOR_INTERRUPTS();
		candidates = lappend(candidates, schema ?
							 psprintf("%s.%s", node->schema, node->name) :
							 unconstify(char *, node->name));
	}
	if (schema)
		name = psprintf("%s.%s", schema, name);

	foreach(cell, vp_nearest_indexes(name, candidates, OFFERED))
		offers = lappend(offers,
						 unconstify(char *,
									graph->nodes[lfirst_int(cell)].display));
	return vp_did_you_mean(offers);
}

static bool
is_asset(const VpGraph *graph, const VpSelectionPart *part)
{
	for (int i = 0; i < graph->n; i++)
	{
		if (vp_selection_matches_asset(part, &graph->nodes[i]))
			return true;
	}
	return false;
}

static bool
is_source(const VpGraph *graph, const VpSelectionPart *part)
{
	for (int i = 0; i < graph->n; i++)
	{
		if (vp_selection_matches_source(part, &graph->nodes[i]))
			return true;
	}
	return false;
}

/* A wrong schema is tried last: then only the relation name has to be near. */
static char *
hint_for_name(const VpGraph *graph, const VpSelectionPart *part,
			  const char *schema, const char *name)
{
	char	   *hint = NULL;

	if (is_source(graph, part))
		return psprintf("It is a source: write source:%s for the assets that read it.",
						part->written);
	if (name && schema)
		hint = offer_assets(graph, schema, name);
	if (name && hint == NULL)
		hint = offer_assets(graph, NULL, name);
	return hint;
}

static char *
hint_for_source(const VpGraph *graph, const VpSelectionPart *part,
				const char *schema, const char *name)
{
	char	   *hint = NULL;

	if (is_asset(graph, part))
		return psprintf("It is an asset: write %s+1 for it and the assets that read it.",
						part->written + strlen("source:"));
	if (name && schema)
		hint = offer_sources(graph, schema, name);
	if (name && hint == NULL)
		hint = offer_sources(graph, NULL, name);
	return hint;
}

char *
vp_selection_hint(const VpGraph *graph, const VpSelectionPart *part)
{
	const char *schema = part->schema ? vp_pattern_exact(part->schema) : NULL;
	const char *name = vp_pattern_exact(part->name);

	switch (part->method)
	{
		case VP_SELECT_NAME:
			return hint_for_name(graph, part, schema, name);
		case VP_SELECT_TAG:
			return name ? offer_tags(graph, name) : NULL;
		case VP_SELECT_SOURCE:
			return hint_for_source(graph, part, schema, name);
	}
	return NULL;
}
