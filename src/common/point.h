/*
 * point.h
 *	  Named points of the code, at which a test makes a session fail, crash or
 *	  wait.
 *
 * A superuser arms one point for his session with the developer setting
 *
 *		SET vibepiper.debug_point = 'run.filled=crash';
 *
 * that is 'name=action', or 'name#n=action' for only the n-th time that it is
 * reached, counted from the SET.  Actions are
 *
 *	  error		raise an error (XX000)
 *	  crash		send SIGKILL to this process, upon which the postmaster ends all
 *				others and starts anew
 *	  wait		wait while another session holds the advisory lock of
 *				VP_POINT_LOCK; pg_stat_activity then shows wait_event_type
 *				'Lock' and wait_event 'advisory'.  A cancellation ends it
 *
 * So a test takes pg_advisory_lock(7617769), lets another session run with
 * '...=wait', polls pg_stat_activity until that one waits, looks around, and
 * unlocks.  No sleep is needed.
 *
 * An unarmed point costs a test of a pointer.  Names are 'area.what_is_done';
 * the text stands in the source once, as a literal in VP_POINT(), so that a
 * test can list all of them and prove that it visits each.
 */
#ifndef VP_POINT_H
#define VP_POINT_H

#include "postgres.h"

/* The key, as one bigint, of the advisory lock that `wait` waits for. */
#define VP_POINT_LOCK INT64CONST(7617769)

/* What is armed, as it was set; NULL: nothing. */
extern const char *vp_point_armed;

/* This point is reached. */
#define VP_POINT(name) \
	do { \
		if (unlikely(vp_point_armed != NULL)) \
			vp_point_reached(name, true); \
	} while (0)

/*
 * The same where the transaction is committed already and an error would be a
 * panic: `error` does nothing here, and `wait` can't be cancelled.
 */
#define VP_POINT_COMMITTED(name) \
	do { \
		if (unlikely(vp_point_armed != NULL)) \
			vp_point_reached(name, false); \
	} while (0)

extern void vp_point_reached(const char *name, bool may_fail);

extern void vp_point_init(void);

#endif							/* VP_POINT_H */
