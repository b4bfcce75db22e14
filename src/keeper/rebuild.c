/*
 * rebuild.c
 *	  Rebuilds what a crash took: unlogged versions that were published.
 *
 * One run per pipeline, of its lost assets only, those that were read most
 * first.  The keeper waits for it, since a second crash would want another one,
 * but the run doesn't need it.  It doesn't wait for one that others' locks hold
 * up, nor for a pipeline's lock: that pipeline is put off to a later pass.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/history.h"
#include "catalog/pg_type.h"
#include "catalog/pipeline.h"
#include "common/shmem.h"
#include "common/spi.h"
#include "common/wanted.h"
#include "compat/compat.h"
#include "keeper/keeper.h"
#include "run/blocked.h"
#include "run/launch.h"
#include "run/live.h"
#include "run/session.h"
#include "store/slot.h"

/* How often the keeper looks whether it is in somebody's way. */
#define LOOK_EVERY INT64CONST(1000000)

/* Perhaps it isn't, if somebody has locked it. */
static bool
may_be_lost(Oid slot)
{
	bool		lost;

	if (!ConditionalLockRelationOid(slot, AccessShareLock))
		return true;
	lost = vp_slot_is_lost(slot);
	UnlockRelationOid(slot, AccessShareLock);
	return lost;
}

/* Pipelines with lost versions, that with the most readers first; of int. */
static List *
pipelines_with_losses(void)
{
	static VpStatement statement = {
		"SELECT a.pipeline_id, m.slot FROM vibepiper.mapping m JOIN vibepiper.asset a USING (def)"
		" LEFT JOIN vibepiper.asset_reads r USING (asset_id)"
		" WHERE m.nonempty AND m.incarnation <> $1 AND NOT a.lazy AND NOT a.detached"
		" ORDER BY r.reads DESC NULLS LAST, a.asset_id", 1, {INT8OID}
	};
	Datum		incarnation = Int64GetDatum(vp_incarnation());
	List	   *pipelines = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &incarnation, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		int32		pipeline = vp_col_int32(i, 1, 0);
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		if (list_member_int(pipelines, pipeline) || !may_be_lost(vp_col_oid(i, 2)))
			continue;
		old = MemoryContextSwitchTo(spi.caller);
		pipelines = lappend_int(pipelines, pipeline);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	return pipelines;
}

/*
 * The pipeline's owner runs it, not the superuser that the keeper is; unless his
 * processes couldn't connect (before 17, without LOGIN).
 */
static Oid
who_runs(const VpPipeline *pipeline)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(pipeline->owner));
	bool		can = false;

	if (HeapTupleIsValid(tuple))
	{
		can = VP_WORKER_FLAGS != 0 || ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
		ReleaseSysCache(tuple);
	}
	return can ? pipeline->owner : InvalidOid;
}

/* Is no run of it under way, and nobody changes it? */
static bool
is_free(int32 pipeline_id)
{
	bool		locked;

	vp_keeper_start();
	vp_wanted_set_pipeline(pipeline_id);
	locked = vp_pipeline_try_lock(pipeline_id);
	vp_session_commit();
	vp_wanted_set_pipeline(0);
	return locked;
}

/* Returns its number; 0: the pipeline isn't there any more. */
static int64
start_run(int32 pipeline_id)
{
	VpRunOptions options = {.consistent = true,.rebuild = true};
	VpPipeline *pipeline;
	int64		run_id = 0;

	vp_keeper_start();
	PushActiveSnapshot(GetTransactionSnapshot());
	pipeline = vp_pipeline_by_id(pipeline_id);
	if (pipeline != NULL)
	{
		options.user = who_runs(pipeline);
		run_id = vp_launch(pipeline, &options, VP_OVERLAP_WAIT, false)->run.id;
	}
	PopActiveSnapshot();
	vp_session_commit();
	return run_id;
}

/* Do its processes wait for others' locks? */
static bool
is_held_up(int64 run_id)
{
	int			index;
	int			leader = 0;

	vp_live_lock();
	index = vp_live_find(run_id);
	if (index >= 0)
		leader = vp_live_run(index)->leader_pid;
	vp_live_unlock();
	return leader != 0 && vp_held_up(leader);
}

typedef struct Rebuild
{
	int32		pipeline_id;
	bool		ended;
	bool		unwelcome;		/* somebody wants the database for himself */
} Rebuild;

static void
wait_for_run(Rebuild *rebuild, int64 run_id)
{
	bool		held_up = false;

	while (!rebuild->ended && !rebuild->unwelcome && !held_up)
	{
		vp_keeper_start();
		rebuild->ended = vp_launch_wait(run_id, LOOK_EVERY);
		rebuild->unwelcome = !rebuild->ended && vp_keeper_is_unwelcome();
		held_up = !rebuild->ended && is_held_up(run_id);
		vp_session_commit();
	}
	if (rebuild->unwelcome)
		vp_launch_cancel(run_id, "cancelled for who wants the database for himself");
}

/*
 * Was it the run that failed, and not its assets, for which the next one would
 * fail, too?  Whoever cancelled it doesn't want another one.
 */
static bool
needs_another(int64 run_id)
{
	VpRunRecord *run;
	bool		needs;

	vp_keeper_start();
	PushActiveSnapshot(GetTransactionSnapshot());
	run = vp_run_by_id(run_id);
	needs = run != NULL && run->error != NULL && strcmp(run->status, "cancelled") != 0;
	PopActiveSnapshot();
	vp_session_commit();
	return needs;
}

static void
rebuild_pipeline(void *arg)
{
	Rebuild    *rebuild = arg;
	int64		run_id;

	if (!is_free(rebuild->pipeline_id))
		return;
	run_id = start_run(rebuild->pipeline_id);
	if (run_id != 0)
		wait_for_run(rebuild, run_id);
	rebuild->ended = run_id == 0 || (rebuild->ended && !needs_another(run_id));
}

bool
vp_keep_lost(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *pipelines;
	bool		good = true;
	ListCell   *lc;

	if (vp_wanted_knows_lost())
		return true;
	vp_keeper_start();
	MemoryContextSwitchTo(context);
	pipelines = pipelines_with_losses();
	vp_session_commit();
	foreach(lc, pipelines)
	{
		Rebuild		rebuild = {.pipeline_id = lfirst_int(lc)};

		/* one that can't be run doesn't hinder the others */
		good &= vp_keeper_try(rebuild_pipeline, &rebuild) && rebuild.ended;
		if (rebuild.unwelcome)
			return false;
	}
	if (good)
		vp_wanted_set_knows_lost();
	return good;
}
