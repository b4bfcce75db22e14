/*
 * nearest.h
 *	  Names that are near another one, for "Did you mean ...?" hints.
 */
#ifndef VP_NEAREST_H
#define VP_NEAREST_H

#include "nodes/pg_list.h"

/*
 * Of candidates (list of char *), those that "name" may be a misspelling of,
 * nearest first, equally near ones in alphabetical order, and no more than
 * "most" of them.  Near means: differing in letter case only, or an edit
 * distance of at most 3 and at most half of the name's length.  Candidates
 * that occur twice are returned twice.
 *
 * The lists are new, in the current memory context; the strings in the first
 * are those of the candidates.  vp_nearest_indexes returns positions in
 * candidates (list of int) instead.  Never an error: a name too long to be
 * compared is near to nothing.  O(candidates * (length^2 + most)).
 */
extern List *vp_nearest_names(const char *name, List *candidates, int most);
extern List *vp_nearest_indexes(const char *name, List *candidates, int most);

/*
 * "Did you mean a, b or c?", or NULL for an empty list of char *.
 */
extern char *vp_did_you_mean(List *names);

#endif							/* VP_NEAREST_H */
