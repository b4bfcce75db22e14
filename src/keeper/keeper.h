/*
 * keeper.h
 *	  What nobody waits for, of one database.
 *
 * A pass of the keeper, each step a transaction of its own:
 *
 *	  1. remember how often assets were read;
 *	  2. rebuild what a crash took, the most read first (once after each start);
 *	  3. drop versions that nobody needs, and for vibepiper.cache_size those that
 *		 are worth least;
 *	  4. drop the oldest part of the history;
 *	  5. free what is recorded of tables that aren't there any more.
 *
 * Then it goes, having said when it is due again (common/wanted.h).  What fails
 * is tried again later and hinders nothing else.  It holds a pipeline's lock for
 * single steps only, and doesn't wait for one.  Between steps, within long ones, and
 * while it waits for a rebuilding run, it looks whether somebody wants to drop or
 * copy the database, and goes then.
 *
 * Locks: while it waits for one it may hold that of a pipeline's view, and of rows
 * of our tables, which whoever drops pipelines wants too, in another order.  It
 * waits for any lock so shortly that it gives way before the other's
 * deadlock_timeout.
 */
#ifndef VP_KEEPER_H
#define VP_KEEPER_H

#include "postgres.h"

#include "datatype/timestamp.h"

extern PGDLLEXPORT void vp_keeper_main(Datum arg);

extern void vp_keeper_init(void);

/*
 * Begin a transaction.  The extension can't be dropped until its end: DROP
 * EXTENSION waits before it locks any of the tables.  If it has been dropped, the
 * process ends.
 */
extern void vp_keeper_start(void);

/* End the transaction and the process if it is in somebody's way. */
extern void vp_keeper_give_way(void);

/*
 * Do that, which begins and ends transactions itself.  False: it failed; the
 * error is in the log, unless it was only a lock that others have.
 */
extern bool vp_keeper_try(void (*what) (void *arg), void *arg);

/* The steps.  Each begins and ends transactions itself. */

/* reads.c */
extern void vp_keep_reads(void);

/* rebuild.c; false: not all could be rebuilt */
extern bool vp_keep_lost(void);

/*
 * evict.c; due: becomes the time when there is something to do again, if that is
 * earlier.  False: not all could be looked at.
 */
extern bool vp_keep_versions(TimestampTz *due);

/* past.c */
extern void vp_keep_history(void);

/* await.c: readers of what is being rebuilt wait for it. */
extern void vp_await_init(void);

/* Is this process in the way of somebody who wants the database for himself? */
extern bool vp_keeper_is_unwelcome(void);

#endif							/* VP_KEEPER_H */
