/*
 * pattern.c
 *	  Strings with wildcards, as they stand in a selection.
 *
 * Owns the matching.  Bytes are compared, which is right for UTF-8 and for
 * every single-byte encoding.
 */
#include "postgres.h"

#include "graph/pattern.h"

/* The first place in string[0 .. length-1] where the literal stands, or -1. */
static int
find_literal(const char *literal, const char *string, int length)
{
	int			size = strlen(literal);

	for (int at = 0; at + size <= length; at++)
	{
		if (memcmp(string + at, literal, size) == 0)
			return at;
	}
	return -1;
}

/* Take the literal off the front or the end, if it stands there. */
static bool
strip_literal(const char *literal, const char **string, int *length,
			  bool front)
{
	int			size = strlen(literal);
	int			at = front ? 0 : *length - size;

	if (size > *length || memcmp(*string + at, literal, size) != 0)
		return false;
	if (front)
		*string += size;
	*length -= size;
	return true;
}

char *
vp_pattern_exact(const VpPattern *pattern)
{
	if (list_length(pattern->literals) > 1)
		return NULL;
	return linitial(pattern->literals);
}

/*
 * The first literal is tied to the beginning and the last one to the end;
 * taking each of the others at its first place leaves the most for the rest.
 */
bool
vp_pattern_matches_bytes(const VpPattern *pattern, const char *string,
						 int length)
{
	List	   *literals = pattern->literals;

	if (!strip_literal(linitial(literals), &string, &length, true))
		return false;
	if (list_length(literals) == 1)
		return length == 0;
	if (!strip_literal(llast(literals), &string, &length, false))
		return false;

	for (int i = 1; i < list_length(literals) - 1; i++)
	{
		const char *literal = list_nth(literals, i);
		int			at = find_literal(literal, string, length);

		if (at < 0)
			return false;
		at += strlen(literal);
		string += at;
		length -= at;
	}
	return true;
}

bool
vp_pattern_matches(const VpPattern *pattern, const char *string)
{
	return vp_pattern_matches_bytes(pattern, string, strlen(string));
}
