/*
 * follow.h
 *	  Assets follow what is done to their views by hand.
 */
#ifndef VP_FOLLOW_H
#define VP_FOLLOW_H

#include "postgres.h"

/*
 * A stub or a definition was altered: the other and the slots get the same
 * owner, the definition a name that goes with the stub's.  Error (3F000) if
 * the stub has left the schemas of its pipeline.
 */
extern void vp_follow_view(Oid view);

/* A schema was altered, perhaps renamed. */
extern void vp_follow_schema(Oid schema);

/* A schema has got another name: recorded search_paths name it, too. */
extern void vp_follow_schema_name(const char *old_name, const char *new_name);

/*
 * A view that is no stub was created or replaced: what do the assets that read
 * it read now?  Error (42P19) if one would read itself.
 */
extern void vp_follow_query(Oid view);

#endif							/* VP_FOLLOW_H */
