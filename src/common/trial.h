/*
 * trial.h
 *	  Do something only to see whether it can be done.
 */
#ifndef VP_TRIAL_H
#define VP_TRIAL_H

#include "postgres.h"

/*
 * Run body(arg) in a subtransaction that is always rolled back.  Memory that
 * the body allocates in the current context stays.  Its errors are thrown on.
 */
extern void vp_trial(void (*body) (void *arg), void *arg);

#endif							/* VP_TRIAL_H */
