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

/*
 * Does the query give one row of nulls out of nothing?  So does the view that
 * pg_dump makes first where the real one needs a primary key.
 */
extern bool vp_is_dummy_query(const Query *query);

extern void vp_guard_init(void);

#endif							/* VP_GUARD_H */
