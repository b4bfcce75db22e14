/*
 * wanted.h
 *	  Which databases want their keeper, and when.
 *
 * A keeper is a background worker that does what nobody waits for (see
 * keeper/keeper.h).  Runs ask for it; the launcher, one process for the whole
 * server, starts one per database when it is due.  What is due is kept in shared
 * memory, for a bounded number of databases; a spinlock guards it.
 */
#ifndef VP_WANTED_H
#define VP_WANTED_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* vibepiper.keeper: are there keepers at all? */
extern bool vp_keeper_enabled;

/* vibepiper.keeper_pause, in milliseconds */
extern int	vp_keeper_pause;

/*
 * When this transaction has committed, this database wants its keeper: soon, or
 * some time.
 */
extern void vp_wanted_request(bool soon);

/* For the launcher. */

/* This process is it: it gets its latch set when something is due earlier. */
extern void vp_wanted_attach(void);

/* The database wants its keeper now, if it has none. */
extern void vp_wanted_add(Oid database);
extern void vp_wanted_remove(Oid database);

/*
 * A database whose keeper is to be started now; it counts as running.  Invalid:
 * none; then *next is when one will be (DT_NOEND: never).
 */
extern Oid	vp_wanted_take(TimestampTz *next);

/* Its keeper has ended; unless it said that all is done, it is due again later. */
extern void vp_wanted_ended(Oid database);

/* For a keeper. */

/* It is there. */
extern void vp_wanted_begin(void);

/* All is done until then (DT_NOEND: for ever). */
extern void vp_wanted_done(TimestampTz due);

/* Has it, since the server's memory was new, dealt with what a crash took? */
extern bool vp_wanted_knows_lost(void);
extern void vp_wanted_set_knows_lost(void);

/* Is it about to deal with it?  *keeper: its process, 0 if that isn't there yet. */
extern bool vp_wanted_rebuilds(int *keeper);

/*
 * Sleep until something was published in some database, or for so many
 * milliseconds.  As with any condition variable the first call only makes ready,
 * so that what happens from then on isn't missed: look, sleep, look again, until
 * vp_wanted_end_sleep().
 */
extern void vp_wanted_sleep(long timeout);
extern void vp_wanted_end_sleep(void);

/*
 * The keeper has, or is just about to try and take, this pipeline's lock (0:
 * none), for a short time.  Who refuses to wait for a run waits for that.
 */
extern void vp_wanted_set_pipeline(int32 pipeline);
extern bool vp_wanted_has_pipeline(int32 pipeline);

extern void vp_wanted_init(void);

#endif							/* VP_WANTED_H */
