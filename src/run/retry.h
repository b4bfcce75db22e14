/*
 * retry.h
 *	  Which errors can pass, and how long to wait before the next attempt.
 */
#ifndef VP_RETRY_H
#define VP_RETRY_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Connection, serialization, resources, a lock that was not available, an
 * operator's intervention, the system: not the query and its data.
 */
extern bool vp_retry_may_help(int sqlerrcode);

/*
 * When to try again after so many attempts: retry_delay after now, doubled
 * with each attempt, at most an hour.
 */
extern TimestampTz vp_retry_at(const Interval *retry_delay, int attempts);

#endif							/* VP_RETRY_H */
