/*
 * shmem.h
 *	  Shared memory: the publication counters and the server's incarnation.
 *
 * The counters let a backend trust what it remembers of the mapping without
 * looking at it (see store/resolve.c).  `started` is advanced before a
 * transaction that changed the mapping can become visible, `finished` after
 * it became visible or aborted, so that "both equal, and equal to what I saw"
 * proves that nothing changed in between.
 *
 * There is no lock: two atomic counters and a constant.
 */
#ifndef VP_SHMEM_H
#define VP_SHMEM_H

#include "postgres.h"

extern void vp_shmem_init(void);

/* A value that stays the same while nothing is published, or 0: in flux. */
extern uint64 vp_publication_generation(void);

/* Note that the current transaction changes the mapping. */
extern void vp_publication_note(void);

/* Has the current transaction changed the mapping? */
extern bool vp_publication_noted(void);

/* Random number, new at each start of shared memory (start, crash). */
extern int64 vp_incarnation(void);

#endif							/* VP_SHMEM_H */
