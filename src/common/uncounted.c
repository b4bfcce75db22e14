/*
 * uncounted.c
 *	  Did the running transaction write while track_counts was off?
 */
#include "postgres.h"

#include "access/xact.h"
#include "pgstat.h"

#include "common/uncounted.h"

static bool uncounted = false;

void
vp_uncounted_look(void)
{
	uncounted |= !pgstat_track_counts;
}

bool
vp_uncounted(void)
{
	return uncounted || !pgstat_track_counts;
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT ||
		event == XACT_EVENT_PREPARE)
		uncounted = false;
}

void
vp_uncounted_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
}
