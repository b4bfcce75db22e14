/*
 * blocked.h
 *	  Waits that the server's deadlock detector can't see.
 *
 * A caller waits for its run, and a run's leader for its workers, without a
 * lock.  If a worker waits, directly or through other sessions and other runs,
 * for a lock of one of these two, nobody gets on.
 */
#ifndef VP_BLOCKED_H
#define VP_BLOCKED_H

#include "postgres.h"

/*
 * Does the process wait for a lock, and in the end for one of this backend?
 * If so, what it waits for, in words ("AccessShareLock on relation raw.orders");
 * else NULL.
 */
extern char *vp_blocked_by_me(int pid);

/*
 * Has the process, or one that it waits for with or without a lock, waited for
 * some time for a lock of somebody who isn't at work for a run?
 */
extern bool vp_held_up(int pid);

#endif							/* VP_BLOCKED_H */
