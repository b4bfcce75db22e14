/*
 * readings.h
 *	  What a text of a function says: as it stands, and with escapes replaced.
 *
 * Which quotes an escape stands in, of strings in strings, isn't found out, so
 * each may be one or not.
 */
#ifndef VP_READINGS_H
#define VP_READINGS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The text itself first; char *. */
extern List *vp_readings(const char *text);

/* Where the text has the word, given in lower case, in upper or lower case; or NULL. */
extern const char *vp_readings_find(const char *text, const char *word);

#endif							/* VP_READINGS_H */
