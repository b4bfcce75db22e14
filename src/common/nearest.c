/*
 * nearest.c
 *	  Names that are near another one, for "Did you mean ...?" hints.
 *
 * Owns what counts as near, and how such a hint reads.
 */
#include "postgres.h"

#include "common/nearest.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/formatting.h"
#include "utils/varlena.h"

/* The greatest distance that still looks like a slip of the finger. */
#define MAX_DISTANCE	3

/* Longer strings are not compared; a qualified name has at most 2 * 63 + 1. */
#define MAX_LENGTH		255

typedef struct VpNearName
{
	const char *name;
	int			index;
	int			distance;
} VpNearName;

/* The nearest so far, best first. */
typedef struct VpNearList
{
	int			most;
	int			filled;
	VpNearName *names;
} VpNearList;

/* Distance between two lower-case strings, or something over the limit. */
static int
distance_within(const char *a, const char *b, int limit)
{
	int			alen = strlen(a);
	int			blen = strlen(b);

	if (alen > MAX_LENGTH || blen > MAX_LENGTH)
		return limit + 1;
	return varstr_levenshtein_less_equal(a, alen, b, blen, 1, 1, 1,
										 limit, true);
}

static bool
is_nearer(const VpNearName *a, const VpNearName *b)
{
	if (a->distance != b->distance)
		return a->distance < b->distance;
	return strcmp(a->name, b->name) < 0;
}

/* Insert in order, dropping the last one when the list is full. */
static void
keep_nearest(VpNearList *list, const VpNearName *candidate)
{
	int			place = list->filled;

	while (place > 0 && is_nearer(candidate, &list->names[place - 1]))
		place--;
	if (place >= list->most)
		return;
	if (list->filled < list->most)
		list->filled++;
	memmove(&list->names[place + 1], &list->names[place],
			sizeof(VpNearName) * (list->filled - place - 1));
	list->names[place] = *candidate;
}

static void
find_nearest(VpNearList *list, const char *name, List *candidates)
{
	char	   *wanted = asc_tolower(name, strlen(name));
	int			limit = Min(MAX_DISTANCE, strlen(name) / 2);

	for (int i = 0; i < list_length(candidates); i++)
	{
		VpNearName	near;
		char	   *lowered;

		CHECK_FOR_INTERRUPTS();
		near.name = list_nth(candidates, i);
		near.index = i;
		lowered = asc_tolower(near.name, strlen(near.name));
		near.distance = distance_within(wanted, lowered, limit);
		pfree(lowered);
		if (near.distance <= limit)
			keep_nearest(list, &near);
	}
	pfree(wanted);
}

List *
vp_nearest_indexes(const char *name, List *candidates, int most)
{
	VpNearList	list = {most, 0, palloc(sizeof(VpNearName) * most)};
	List	   *indexes = NIL;

	find_nearest(&list, name, candidates);
	for (int i = 0; i < list.filled; i++)
		indexes = lappend_int(indexes, list.names[i].index);
	pfree(list.names);
	return indexes;
}

List *
vp_nearest_names(const char *name, List *candidates, int most)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, vp_nearest_indexes(name, candidates, most))
		names = lappend(names, list_nth(candidates, lfirst_int(cell)));
	return names;
}

char *
vp_did_you_mean(List *names)
{
	int			count = list_length(names);
	StringInfoData hint;

	if (count == 0)
		return NULL;
	initStringInfo(&hint);
	appendStringInfoString(&hint, "Did you mean ");
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoString(&hint, i == count - 1 ? " or " : ", ");
		appendStringInfoString(&hint, list_nth(names, i));
	}
	appendStringInfoChar(&hint, '?');
	return hint.data;
}
