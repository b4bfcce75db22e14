/*
 * uncounted.h
 *	  Did the running transaction write while track_counts was off?
 *
 * Then the statistics of the transaction don't say what it wrote.
 */
#ifndef VP_UNCOUNTED_H
#define VP_UNCOUNTED_H

#include "postgres.h"

/* A statement that writes begins: look at the setting. */
extern void vp_uncounted_look(void);

extern bool vp_uncounted(void);

extern void vp_uncounted_init(void);

#endif							/* VP_UNCOUNTED_H */
