/*
 * vibepiper.c
 *	  _PG_init: calls each module's init, nothing else.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "common/point.h"
#include "common/shmem.h"
#include "common/uncounted.h"
#include "common/wanted.h"
#include "define/ddl.h"
#include "freshness/altered.h"
#include "freshness/meaning.h"
#include "freshness/ring.h"
#include "freshness/stored.h"
#include "keeper/keeper.h"
#include "keeper/launcher.h"
#include "run/launch.h"
#include "run/live.h"
#include "store/executor.h"
#include "store/files.h"
#include "store/guard.h"
#include "store/miss.h"
#include "store/planner.h"
#include "store/reads.h"
#include "store/staged.h"
#include "store/unlogged.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	/* without preloading, CREATE EXTENSION and every function say so */
	if (!process_shared_preload_libraries_in_progress)
		return;
	vp_point_init();
	vp_uncounted_init();
	vp_shmem_init();
	vp_wanted_init();
	vp_live_init();
	vp_ring_init();
	vp_altered_init();
	vp_staged_init();
	vp_unlogged_init();
	vp_guard_init();
	vp_ddl_init();
	vp_planner_init();
	vp_executor_init();
	vp_files_init();
	vp_reads_init();
	vp_meaning_init();
	vp_stored_init();
	vp_launch_init();
	vp_miss_init();
	vp_keeper_init();
	vp_await_init();
	vp_launcher_init();
	MarkGUCPrefixReserved("vibepiper");
}
