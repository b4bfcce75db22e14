/*
 * ring_shmem.c
 *	  The shared memory of the rings: its size, its start, and carrying the
 *	  rings over a clean shutdown.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/guc.h"
#include "utils/hsearch.h"

#include "common/carry.h"
#include "compat/compat.h"
#include "freshness/ring_private.h"

/* What is carried over a shutdown: this, then the rings in use. */
typedef struct CarriedRings
{
	uint32		magic;
	uint32		ring_size;
	int64		next_serial;
	uint64		tick;
	int64		n;
} CarriedRings;

#define CARRIED_MAGIC 0x76700001	/* of this layout */

#define CARRIED_FILE "pg_stat/vibepiper.rings"

Rings	   *vp_rings = NULL;
Ending	   *vp_ring_endings = NULL;
HTAB	   *vp_ring_table = NULL;

static int	max_tracked = 4096;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size
rings_size(void)
{
	return MAXALIGN(add_size(offsetof(Rings, rings), mul_size(max_tracked, sizeof(Ring))));
}

static Size
endings_size(void)
{
	return mul_size(MaxBackends, sizeof(Ending));
}

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(rings_size());
	RequestAddinShmemSpace(endings_size());
	RequestAddinShmemSpace(hash_estimate_size(max_tracked, sizeof(RingTableEntry)));
	RequestNamedLWLockTranche("vibepiper rings", 1);
}

static void
save_at_exit(int code, Datum arg)
{
	CarriedRings carried;
	StringInfoData buf;

	if (code != 0 || vp_rings == NULL)
		return;
	memset(&carried, 0, sizeof(carried));
	carried.magic = CARRIED_MAGIC;
	carried.ring_size = sizeof(Ring);
	carried.next_serial = vp_rings->next_serial;
	carried.tick = pg_atomic_read_u64(&vp_rings->tick);
	carried.n = vp_rings->used;
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (char *) &carried, sizeof(carried));
	for (int i = 0; i < vp_rings->room; i++)
		if (OidIsValid(vp_rings->rings[i].key.database))
			appendBinaryStringInfo(&buf, (char *) &vp_rings->rings[i], sizeof(Ring));
	vp_carry_save(CARRIED_FILE, buf.data, buf.len);
}

/* A ring as it was, in the next free place. */
static void
restore_ring(const Ring *saved)
{
	Ring	   *ring = &vp_rings->rings[vp_rings->used];
	RingTableEntry *entry;
	bool		found;

	if (!saved->complete || !saved->wanted || vp_rings->used == vp_rings->room)
		return;
	entry = hash_search(vp_ring_table, &saved->key, HASH_ENTER_NULL, &found);
	if (entry == NULL || found)
		return;
	entry->ring = vp_rings->used++;
	*ring = *saved;
	SpinLockInit(&ring->mutex);
	vp_rings->nby_locks += ring->by_locks;
}

static void
restore_rings(void)
{
	CarriedRings carried;
	Size		size;
	char	   *bytes = vp_carry_load(CARRIED_FILE, &size);

	if (bytes == NULL)
		return;
	if (size >= sizeof(carried))
	{
		memcpy(&carried, bytes, sizeof(carried));
		if (carried.magic == CARRIED_MAGIC && carried.ring_size == sizeof(Ring) &&
			size == sizeof(carried) + carried.n * sizeof(Ring))
		{
			vp_rings->next_serial = carried.next_serial;
			pg_atomic_write_u64(&vp_rings->tick, carried.tick);
			for (int i = 0; i < carried.n; i++)
			{
				Ring		ring;

				memcpy(&ring, bytes + sizeof(carried) + i * sizeof(Ring), sizeof(Ring));
				restore_ring(&ring);
			}
		}
	}
	pfree(bytes);
}

static void
start_empty(void)
{
	vp_rings->lock = &GetNamedLWLockTranche("vibepiper rings")->lock;
	vp_rings->room = max_tracked;
	vp_rings->used = 0;
	vp_rings->free_hint = 0;
	vp_rings->nwatches = 0;
	pg_atomic_init_u32(&vp_rings->nsettling, 0);
	vp_rings->nby_locks = 0;
	memset(vp_rings->watches, 0, sizeof(vp_rings->watches));
	if (!pg_strong_random(&vp_rings->next_serial, sizeof(int64)))
		elog(ERROR, "could not generate random number");
	/* positive, and with room to count */
	vp_rings->next_serial = (vp_rings->next_serial & (PG_INT64_MAX >> 1)) + 1;
	pg_atomic_init_u64(&vp_rings->tick, 1);
	pg_atomic_init_u64(&vp_rings->generation, 1);
	for (int i = 0; i < vp_rings->room; i++)
	{
		memset(&vp_rings->rings[i], 0, sizeof(Ring));
		SpinLockInit(&vp_rings->rings[i].mutex);
	}
	for (int i = 0; i < MaxBackends; i++)
		pg_atomic_init_u64(&vp_ring_endings[i].xid, 0);
}

static void
startup(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(RingKey),
		.entrysize = sizeof(RingTableEntry)
	};
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	vp_rings = ShmemInitStruct("vibepiper rings", rings_size(), &found);
	vp_ring_endings = ShmemInitStruct("vibepiper endings", endings_size(), &found);
	if (!found)
		start_empty();
	vp_ring_table = vp_shmem_hash("vibepiper tracked objects", max_tracked, &ctl,
								  HASH_ELEM | HASH_BLOBS);
	if (!found)
		restore_rings();
	LWLockRelease(AddinShmemInitLock);
	if (!IsUnderPostmaster)
		on_shmem_exit(save_at_exit, (Datum) 0);
}

void
vp_ring_init(void)
{
	DefineCustomIntVariable("vibepiper.max_tracked",
							"Number of tables and other objects, in all databases, whose changes are tracked.",
							"An asset that reads others besides these is computed by each run.",
							&max_tracked, 4096, 64, 1000000, PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
	vp_ring_record_init();
}
