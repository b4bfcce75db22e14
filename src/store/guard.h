/*
 * guard.h
 *	  Slots aren't changed by hand, and our tables by superusers only.
 */
#ifndef VP_GUARD_H
#define VP_GUARD_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Error if the query writes to a slot (42809) or, as no superuser, to our tables. */
extern void vp_guard_dml(const Query *query);

/*
 * Our own changes of slots happen between these; they nest.
 * An abort resets.
 */
extern void vp_guard_open(void);
extern void vp_guard_close(void);

extern void vp_guard_init(void);

#endif							/* VP_GUARD_H */
