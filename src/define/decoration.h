/*
 * decoration.h
 *	  What users put on a stub: grants, comments, options, security labels.
 */
#ifndef VP_DECORATION_H
#define VP_DECORATION_H

#include "postgres.h"

/*
 * Give a new stub what the old one has; columns correspond by name.  Grants on
 * columns that are gone, and their comments, are gone too.
 */
extern void vp_decoration_copy(Oid from, Oid to);

#endif							/* VP_DECORATION_H */
