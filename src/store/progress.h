/*
 * progress.h
 *	  How far the task is that this backend is executing, for others to see.
 *
 * The struct is whoever's who points vp_progress to it: the workers of a
 * parallel run point it into shared memory.  Written by one process without a
 * lock, read by any.
 */
#ifndef VP_PROGRESS_H
#define VP_PROGRESS_H

#include "postgres.h"

#include "port/atomics.h"

typedef enum VpPhase
{
	VP_PHASE_IDLE,
	VP_PHASE_QUEUED,			/* given to a worker that hasn't begun */
	VP_PHASE_COMPUTING,
	VP_PHASE_INDEXING,
	VP_PHASE_ANALYZING,
	VP_PHASE_STORING,
	VP_PHASE_PUBLISHING
} VpPhase;

typedef struct VpProgress
{
	pg_atomic_uint32 phase;
	pg_atomic_uint64 rows;		/* written so far */
	pg_atomic_uint64 bytes;
} VpProgress;

extern VpProgress *vp_progress; /* NULL: nobody looks */

static inline void
vp_progress_phase(VpPhase phase)
{
	if (vp_progress != NULL)
		pg_atomic_write_u32(&vp_progress->phase, phase);
}

static inline void
vp_progress_written(uint64 rows, uint64 bytes)
{
	if (vp_progress == NULL)
		return;
	pg_atomic_write_u64(&vp_progress->rows, rows);
	pg_atomic_write_u64(&vp_progress->bytes, bytes);
}

extern const char *vp_phase_name(VpPhase phase);

#endif							/* VP_PROGRESS_H */
