/*
 * build.c
 *	  One task: compute an asset's rows into a slot.
 *
 * States of a task, and who moves it on (run.c writes them down):
 *
 *	  waiting -> built		the rows differ from the published ones
 *	  waiting -> unchanged	they don't: the subtransaction, with the slot that
 *							was filled, is rolled back; the published version
 *							is confirmed when the run publishes
 *	  waiting -> failed		an error other than a cancellation, or a timeout
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "catalog/asset.h"
#include "common/deadline.h"
#include "common/point.h"
#include "common/shmem.h"
#include "freshness/sources.h"
#include "freshness/stored.h"
#include "run/build.h"
#include "store/compute.h"
#include "store/files.h"
#include "store/fill.h"
#include "store/progress.h"
#include "store/replace.h"
#include "store/resolve.h"
#include "store/slot.h"

static char
persistence_of(const VpAsset *asset, const VpPipeline *pipeline)
{
	const char *storage = asset->options.storage ? asset->options.storage :
	pipeline->storage;

	return strcmp(storage, "logged") == 0 ? RELPERSISTENCE_PERMANENT :
		RELPERSISTENCE_UNLOGGED;
}

/* Are these the rows, in the shape, that are published already? */
static bool
is_unchanged(const VpBuildTarget *target, const VpAsset *asset, const VpFilled *filled,
			 char persistence)
{
	return target->version_id != 0 && target->same_signature &&
		filled->rows == (uint64) target->rows &&
		vp_hash_equal(filled->data_hash, target->data_hash) &&
		get_rel_persistence(target->slot) == persistence &&
		(target->rows == 0 || target->incarnation == vp_incarnation() ||
		 !vp_slot_is_lost(target->slot)) &&
		vp_columns_match(asset->def, target->slot);
}

static VpFilled
fill(const VpBuild *build, const VpAsset *asset, Oid slot)
{
	DestReceiver *dest = vp_fill_create(slot, build->hash_seed);
	VpFilled	filled;

	vp_compute(asset, build->snapshot, true, dest);
	vp_files_check_caught();
	filled = vp_fill_result(dest);
	dest->rDestroy(dest);
	CommandCounterIncrement();
	return filled;
}

static int64
microseconds_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/* The asset; nobody can drop its stub until the end of the transaction. */
static VpAsset *
lock_asset(const VpBuildTarget *target)
{
	VpAsset    *asset;

	LockRelationOid(target->stub, AccessShareLock);
	asset = vp_asset_by_def(target->def);
	if (asset == NULL || asset->id != target->asset_id)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("asset %s was dropped during the run", target->display)));
	return asset;
}

/* When the task has to be done: its own timeout, or the run's. */
static TimestampTz
deadline_of(const VpBuild *build, const VpAsset *asset, TimestampTz started_at)
{
	TimestampTz own = asset->options.timeout == NULL ? DT_NOEND :
	vp_deadline_after(started_at, asset->options.timeout);

	/* 0: none, as for the server's timeouts */
	return Min(own == started_at ? DT_NOEND : own, build->deadline);
}

/* Fill a slot and make a version of it; NULL if the rows are unchanged. */
static VpVersion *
build_version(VpBuild *build, const VpBuildTarget *target, VpTaskRecord *task)
{
	VpAsset    *asset = lock_asset(target);
	char		persistence = persistence_of(asset, build->pipeline);
	VpVersion  *v = palloc0(sizeof(VpVersion));
	VpKeep		keep;
	VpIdentity	identity;
	VpFilled	filled;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	vp_deadline_set(deadline_of(build, asset, task->started_at));
	if (vp_progress != NULL)
		pgstat_report_activity(STATE_RUNNING, asset->query);
	vp_progress_phase(VP_PHASE_COMPUTING);
	keep = vp_stored_keep(asset->id, build->pipeline->keep_versions);
	v->slot = vp_slot_acquire(asset, persistence, &keep, build->run_id, &build->unfit_slots);
	vp_identity_enter(&identity, asset, build->pipeline->settings);
	vp_sources_begin();
	filled = fill(build, asset, v->slot);
	task->sources = vp_sources_remember(vp_definition_query(asset->def), target->upstreams,
										build->instant);
	task->rows = (int64) filled.rows;
	task->code_hash = asset->code_hash;
	task->compute_elapsed = microseconds_since(start);
	VP_POINT("run.filled");
	if (is_unchanged(target, asset, &filled, persistence))
	{
		vp_identity_leave(&identity);
		task->elapsed = microseconds_since(start);
		VP_POINT("run.unchanged");
		return NULL;
	}
	vp_progress_phase(VP_PHASE_INDEXING);
	vp_slot_index(v->slot, asset);
	task->index_elapsed = microseconds_since(start) - task->compute_elapsed;
	VP_POINT("run.indexed");
	vp_progress_phase(VP_PHASE_ANALYZING);
	vp_slot_analyze(v->slot);
	VP_POINT("run.analyzed");
	task->analyze_elapsed = microseconds_since(start) - task->compute_elapsed -
		task->index_elapsed;
	vp_identity_leave(&identity);

	vp_progress_phase(VP_PHASE_STORING);
	v->asset_id = target->asset_id;
	v->filenode = vp_slot_file(v->slot);
	v->run_id = build->run_id;
	v->code_hash = asset->code_hash;
	v->signature = asset->signature;
	v->data_hash = filled.data_hash;
	v->rows = (int64) filled.rows;
	v->bytes = vp_slot_size(v->slot);
	v->elapsed = microseconds_since(start);
	v->incarnation = vp_incarnation();
	v->built_at = GetCurrentTimestamp();
	v->as_of = build->as_of;
	v->sources = task->sources;
	v->upstreams = target->upstreams;
	v->upstream_hashes = target->upstream_hashes;
	v->id = vp_version_insert(v);
	vp_slot_set_version(v->slot, v->id);
	VP_POINT("run.stored");
	task->bytes = v->bytes;
	task->elapsed = v->elapsed;
	task->version_id = v->id;
	return v;
}

void
vp_build_confirm(const VpBuild *build, const VpBuildTarget *target,
				 const VpTaskRecord *task)
{
	VpVersion	v = {
		.id = target->version_id,
		.run_id = build->run_id,
		.code_hash = task->code_hash,
		.sources = task->sources,
		.as_of = build->as_of,
		.upstreams = target->upstreams,
		.upstream_hashes = target->upstream_hashes
	};

	vp_version_confirm(&v);
	VP_POINT("run.confirmed");
}

/* Would catching this error swallow a wish to stop? */
static bool
is_cancellation(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_CRASH_SHUTDOWN;
}

/* The cancellation came from the deadline. */
static void
say_timeout(ErrorData *error, const VpBuild *build, const VpBuildTarget *target)
{
	bool		of_run = GetCurrentTimestamp() >= build->deadline;

	error->message = psprintf(of_run ? "run exceeded its timeout while it computed asset %s" :
							  "asset %s exceeded its timeout", target->display);
}

static void
note_failure(VpTaskRecord *task, const VpBuild *build, const VpBuildTarget *target,
			 MemoryContext context)
{
	MemoryContextSwitchTo(context);
	task->error = CopyErrorData();
	FlushErrorState();
	if (vp_deadline_passed() && task->error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		say_timeout(task->error, build, target);
	vp_sources_end();
	task->status = VP_TASK_FAILED;
	task->sources = NULL;
	task->rows = -1;
	task->bytes = -1;
	task->version_id = 0;
}

VpVersion *
vp_build(VpBuild *build, const VpBuildTarget *target, VpTaskRecord *task)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	VpVersion  *volatile version = NULL;
	bool		timed_out;

	task->started_at = GetCurrentTimestamp();
	task->attempts++;
	task->error = NULL;
	BeginInternalSubTransaction("vibepiper task");
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		version = build_version(build, target, task);
		if (version != NULL)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		task->status = version != NULL ? VP_TASK_BUILT : VP_TASK_UNCHANGED;
	}
	PG_CATCH();
	{
		note_failure(task, build, target, context);
		RollbackAndReleaseCurrentSubTransaction();
		version = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	timed_out = vp_deadline_passed();
	vp_deadline_clear();
	if (task->error != NULL && !timed_out && is_cancellation(task->error))
		ReThrowError(task->error);
	if (task->status == VP_TASK_UNCHANGED)
		VP_POINT("run.rolled_back");
	return version;
}
