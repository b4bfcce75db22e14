/*
 * pattern.h
 *	  Strings with wildcards, as they stand in a selection.
 *
 * A pattern is the list of the literal strings between its wildcards: one for
 * no wildcard, two for one ("stg_*" is "stg_" and ""), and so on.  A star in
 * a literal is just a star, so quoted names need no escapes.
 */
#ifndef VP_PATTERN_H
#define VP_PATTERN_H

#include "nodes/pg_list.h"

typedef struct VpPattern
{
	List	   *literals;		/* list of char *, never NIL */
} VpPattern;

/*
 * The string that a pattern without wildcards stands for, or NULL for one
 * with wildcards.  Belongs to the pattern.
 */
extern char *vp_pattern_exact(const VpPattern *pattern);

/*
 * Does the whole string match?  The second form takes the first length bytes
 * of the string.  Case-sensitive, allocates nothing, at worst O(length of the
 * string * length of the pattern).
 */
extern bool vp_pattern_matches(const VpPattern *pattern, const char *string);
extern bool vp_pattern_matches_bytes(const VpPattern *pattern,
									 const char *string, int length);

#endif							/* VP_PATTERN_H */
