/*
 * deadline.c
 *	  An instant at which this backend's work is cancelled.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/fmgrprotos.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "common/deadline.h"

static TimeoutId timeout_id = MAX_TIMEOUTS; /* not registered yet */
static volatile sig_atomic_t passed = false;

static void
handle_timeout(void)
{
	passed = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

void
vp_deadline_set(TimestampTz when)
{
	passed = false;
	if (when == DT_NOEND)
		return;
	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, handle_timeout);
	enable_timeout_at(timeout_id, when);
}

bool
vp_deadline_passed(void)
{
	return passed;
}

void
vp_deadline_clear(void)
{
	if (timeout_id != MAX_TIMEOUTS)
		disable_timeout(timeout_id, false);
	if (passed)
		QueryCancelPending = false;
	passed = false;
}

TimestampTz
vp_deadline_after(TimestampTz start, const Interval *interval)
{
	Interval	longest = {.month = 100000 * MONTHS_PER_YEAR};
	Datum		shorter = DirectFunctionCall2(interval_smaller,
											  IntervalPGetDatum(interval),
											  IntervalPGetDatum(&longest));

	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(start), shorter));
}
