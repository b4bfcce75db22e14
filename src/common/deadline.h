/*
 * deadline.h
 *	  An instant at which this backend's work is cancelled.
 *
 * One at a time.  When it comes, the cancellation is raised like a user's
 * (57014); who catches it asks vp_deadline_passed() whether it was this.
 */
#ifndef VP_DEADLINE_H
#define VP_DEADLINE_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* DT_NOEND: none. */
extern void vp_deadline_set(TimestampTz when);

/* Did it come since it was set? */
extern bool vp_deadline_passed(void);

/* The work is done; a cancellation that came too late is forgotten. */
extern void vp_deadline_clear(void);

/* The instant that follows another by an interval, the last one if it is far. */
extern TimestampTz vp_deadline_after(TimestampTz start, const Interval *interval);

#endif							/* VP_DEADLINE_H */
