/*
 * build.c
 *	  One task: compute an asset's rows into a slot.
 *
 * States of a task, and who moves it on (run.c writes them down):
 *
 *	  waiting -> built		the rows differ from the published ones
 *	  waiting -> unchanged	they don't: the subtransaction, with the slot that
 *							was filled, is rolled back and the published
 *							version confirmed
 *	  waiting -> failed		an error other than a cancellation
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "portability/instr_time.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "catalog/asset.h"
#include "common/point.h"
#include "common/shmem.h"
#include "run/build.h"
#include "store/compute.h"
#include "store/fill.h"
#include "store/resolve.h"
#include "store/slot.h"

/* What the version of this node, computed now, is computed from. */
static void
set_inputs(const VpState *state, int node, VpVersion *version)
{
	const VpGraphNode *graph_node = &state->graph->nodes[node];

	version->upstreams = NIL;
	version->upstream_hashes = NIL;
	for (int u = 0; u < graph_node->nup; u++)
	{
		VpNode	   *up = &state->nodes[graph_node->up[u]];

		version->upstreams = lappend_int(version->upstreams, up->id);
		version->upstream_hashes = lappend(version->upstream_hashes, &up->input_hash);
	}
}

static bool
same_inputs(const VpState *state, int node, const VpVersion *version)
{
	VpVersion	now = {0};
	ListCell   *a;
	ListCell   *b;

	set_inputs(state, node, &now);
	if (!equal(now.upstreams, version->upstreams))
		return false;
	forboth(a, now.upstream_hashes, b, version->upstream_hashes)
		if (!vp_hash_equal(*(VpHash *) lfirst(a), *(VpHash *) lfirst(b)))
		return false;
	return true;
}

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
is_unchanged(const VpNode *node, const VpAsset *asset, const VpFilled *filled,
			 char persistence)
{
	return node->version_id != 0 && node->same_signature &&
		filled->rows == (uint64) node->rows &&
		vp_hash_equal(filled->data_hash, node->data_hash) &&
		get_rel_persistence(node->slot) == persistence &&
		(node->rows == 0 || node->incarnation == vp_incarnation() ||
		 !vp_slot_is_lost(node->slot)) &&
		vp_columns_match(asset->def, node->slot);
}

static VpFilled
fill(const VpBuild *build, const VpAsset *asset, Oid slot)
{
	DestReceiver *dest = vp_fill_create(slot, build->hash_seed);
	VpFilled	filled;

	vp_compute(asset, build->snapshot, true, dest);
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
lock_asset(const VpBuild *build, int i)
{
	const VpNode *node = &build->state->nodes[i];
	VpAsset    *asset;

	LockRelationOid(node->stub, AccessShareLock);
	asset = vp_asset_by_id(node->id);
	if (asset == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("asset %s was dropped during the run",
						build->state->graph->nodes[i].display)));
	return asset;
}

/* Fill a slot and make a version of it; NULL if the rows are unchanged. */
static VpVersion *
build_version(VpBuild *build, int i, VpTaskRecord *task)
{
	const VpState *state = build->state;
	const VpNode *node = &state->nodes[i];
	VpAsset    *asset = lock_asset(build, i);
	char		persistence = persistence_of(asset, state->pipeline);
	VpVersion  *v = palloc0(sizeof(VpVersion));
	VpIdentity	identity;
	VpFilled	filled;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	v->slot = vp_slot_acquire(asset, persistence, state->pipeline->keep_versions,
							  build->run_id, &build->unfit_slots);
	vp_identity_enter(&identity, asset, state->pipeline->settings);
	filled = fill(build, asset, v->slot);
	task->rows = (int64) filled.rows;
	task->compute_elapsed = microseconds_since(start);
	VP_POINT("run.filled");
	if (is_unchanged(node, asset, &filled, persistence))
	{
		vp_identity_leave(&identity);
		task->elapsed = microseconds_since(start);
		VP_POINT("run.unchanged");
		return NULL;
	}
	vp_slot_index(v->slot, asset);
	task->index_elapsed = microseconds_since(start) - task->compute_elapsed;
	VP_POINT("run.indexed");
	vp_slot_analyze(v->slot);
	VP_POINT("run.analyzed");
	task->analyze_elapsed = microseconds_since(start) - task->compute_elapsed -
		task->index_elapsed;
	vp_identity_leave(&identity);

	v->asset_id = node->id;
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
	set_inputs(state, i, v);
	v->id = vp_version_insert(v);
	vp_slot_set_version(v->slot, v->id);
	VP_POINT("run.stored");
	task->bytes = v->bytes;
	task->elapsed = v->elapsed;
	task->version_id = v->id;
	return v;
}

/* The published version is what computing gives now, too. */
static void
confirm(const VpBuild *build, int i)
{
	const VpNode *node = &build->state->nodes[i];
	VpVersion	v = {
		.id = node->version_id,
		.code_hash = node->code_hash,
		.as_of = build->as_of
	};

	set_inputs(build->state, i, &v);
	vp_version_confirm(&v);
}

/* Would catching this error swallow a wish to stop? */
static bool
is_cancellation(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_CRASH_SHUTDOWN;
}

static void
note_failure(VpTaskRecord *task, MemoryContext context)
{
	MemoryContextSwitchTo(context);
	task->error = CopyErrorData();
	FlushErrorState();
	task->status = VP_TASK_FAILED;
	task->rows = -1;
	task->bytes = -1;
	task->version_id = 0;
}

VpVersion *
vp_build(VpBuild *build, int node, VpTaskRecord *task)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	VpVersion  *volatile version = NULL;

	task->started_at = GetCurrentTimestamp();
	BeginInternalSubTransaction("vibepiper task");
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		version = build_version(build, node, task);
		if (version != NULL)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		task->status = version != NULL ? VP_TASK_BUILT : VP_TASK_UNCHANGED;
	}
	PG_CATCH();
	{
		note_failure(task, context);
		RollbackAndReleaseCurrentSubTransaction();
		version = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (task->error != NULL && is_cancellation(task->error))
		ReThrowError(task->error);
	if (task->status == VP_TASK_UNCHANGED)
	{
		VP_POINT("run.rolled_back");
		confirm(build, node);
		VP_POINT("run.confirmed");
	}
	return version;
}

/* As in state.c: a longer cache_ttl would lead out of what timestamps hold. */
static bool
has_expired(const VpVersion *v, const VpAsset *asset)
{
	TimestampTz now = GetCurrentTimestamp();
	Interval	longest = {.month = 100000 * MONTHS_PER_YEAR};
	Datum		ttl;
	Datum		end;

	if (asset->options.cache_ttl == NULL)
		return false;
	ttl = DirectFunctionCall2(interval_smaller,
							  IntervalPGetDatum(asset->options.cache_ttl),
							  IntervalPGetDatum(&longest));
	end = DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(v->as_of),
							  ttl);
	return DatumGetTimestampTz(end) <= now || v->as_of > now;
}

VpVersion *
vp_build_kept(const VpBuild *build, int i)
{
	const VpNode *node = &build->state->nodes[i];
	VpVersion  *v;
	VpAsset    *asset;

	if (!node->cache)
		return NULL;
	v = vp_version_unpublished(node->id);
	if (v == NULL || v->invalidated || !vp_hash_equal(v->code_hash, node->code_hash) ||
		!same_inputs(build->state, i, v))
		return NULL;
	asset = lock_asset(build, i);
	if (!vp_hash_equal(v->signature, asset->signature) || has_expired(v, asset) ||
		vp_slot_file(v->slot) != v->filenode ||
		(v->rows > 0 && v->incarnation != vp_incarnation() && vp_slot_is_lost(v->slot)))
		return NULL;
	return v;
}
