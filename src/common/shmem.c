/*
 * shmem.c
 *	  Shared memory: the publication counters and the server's incarnation.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "common/extension.h"
#include "common/point.h"
#include "common/shmem.h"

typedef struct VpShared
{
	pg_atomic_uint64 started;
	pg_atomic_uint64 finished;
	int64		incarnation;
} VpShared;

static VpShared *shared = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/* of the current transaction */
static bool noted = false;
static bool announced = false;

bool
vp_preloaded(void)
{
	return shared != NULL;
}

uint64
vp_publication_generation(void)
{
	uint64		finished = pg_atomic_read_u64(&shared->finished);
	uint64		started;

	pg_read_barrier();
	started = pg_atomic_read_u64(&shared->started);
	return started == finished ? finished : 0;
}

void
vp_publication_note(void)
{
	noted = true;
}

bool
vp_publication_noted(void)
{
	return noted;
}

int64
vp_incarnation(void)
{
	return shared->incarnation;
}

static void
finish_publication(void)
{
	if (announced)
		pg_atomic_fetch_add_u64(&shared->finished, 1);
	announced = false;
	noted = false;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (noted && !announced)
			{
				pg_atomic_fetch_add_u64(&shared->started, 1);
				announced = true;
				VP_POINT("publish.announced");
			}
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (noted)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has defined, run or changed assets")));
			break;
		case XACT_EVENT_COMMIT:
			if (announced)
				VP_POINT_COMMITTED("publish.committed");
			finish_publication();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			finish_publication();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(VpShared)));
}

static void
startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("vibepiper", sizeof(VpShared), &found);
	if (!found)
	{
		/* generation 0 means "in flux" */
		pg_atomic_init_u64(&shared->started, 1);
		pg_atomic_init_u64(&shared->finished, 1);
		if (!pg_strong_random(&shared->incarnation, sizeof(int64)))
			elog(ERROR, "could not generate random number");
	}
	LWLockRelease(AddinShmemInitLock);
}

void
vp_shmem_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
	RegisterXactCallback(xact_callback, NULL);
}
