/*
 * retry.c
 *	  Which errors can pass, and how long to wait before the next attempt.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "common/deadline.h"
#include "run/retry.h"

bool
vp_retry_may_help(int sqlerrcode)
{
	int			class = ERRCODE_TO_CATEGORY(sqlerrcode);

	return class == ERRCODE_CONNECTION_EXCEPTION ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE) ||
		class == ERRCODE_INSUFFICIENT_RESOURCES ||
		sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		sqlerrcode == ERRCODE_CRASH_SHUTDOWN ||
		sqlerrcode == ERRCODE_CANNOT_CONNECT_NOW ||
		class == ERRCODE_SYSTEM_ERROR;
}

TimestampTz
vp_retry_at(const Interval *retry_delay, int attempts)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		delay = vp_deadline_after(now, retry_delay) - now;

	for (int i = 1; i < attempts && delay < USECS_PER_HOUR; i++)
		delay *= 2;
	return now + Min(delay, USECS_PER_HOUR);
}
