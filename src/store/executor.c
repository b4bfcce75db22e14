/*
 * executor.c
 *	  The project's executor hooks: make plans fit their snapshot.
 *
 * A plan says what an asset's name meant when it was made.  Execution may have
 * another snapshot, older or newer, so every name is resolved again:
 *
 * - the same slot: nothing to do;
 * - another slot of the same signature: the plan is retargeted (in place,
 *	 unless it is being executed: by a cursor, or further up the stack);
 * - a miss where there was a version, the reverse, another signature or another
 *	 number of parts: the original query, kept in the plan, is planned anew
 *	 under the execution's snapshot.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/snapmgr.h"

#include "common/extension.h"
#include "common/uncounted.h"
#include "compat/compat.h"
#include "store/compute.h"
#include "store/executor.h"
#include "store/files.h"
#include "store/marker.h"
#include "store/miss.h"
#include "store/parallel.h"
#include "store/reads.h"
#include "store/resolve.h"
#include "store/retarget.h"

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;

typedef enum Fit
{
	FIT_AS_IS, FIT_OTHER_SLOT, FIT_NOT
} Fit;

static Oid
slot_of_part(const VpResolution *res, int part)
{
	return res->slots == NIL ? res->slot : list_nth_oid(res->slots, part);
}

/* Is it a miss still, for the same reason, and to be treated the same way? */
static bool
miss_fits(const VpMarker *marker, const VpResolution *res)
{
	if (strcmp(marker->signature, res->hit ? res->signature : "") != 0)
		return false;
	return !marker->inlined || !vp_miss_is_error(&res->info);
}

/* REINDEX CONCURRENTLY gives a slot other indexes. */
static bool
same_indexes(const VpMarker *marker, const VpResolution *res, Oid slot)
{
	const char *now = res->indexes;

	if (marker->indexes[0] == '\0')
		return true;
	if (now == NULL)
		now = vp_marker_list(vp_slot_indexes(slot));
	return strcmp(marker->indexes, now) == 0;
}

static Fit
fit_of(const RangeTblEntry *rte, const VpMarker *marker, Snapshot snapshot,
	   Oid *slot)
{
	VpResolution res;

	if (!vp_resolve(marker->def, snapshot, &res))
		return FIT_NOT;
	if (!marker->hit)
		return miss_fits(marker, &res) ? FIT_AS_IS : FIT_NOT;
	if (!res.hit)
		return FIT_NOT;
	if (res.nparts != marker->nparts ||
		strncmp(res.signature, marker->signature, 32) != 0)
		return FIT_NOT;
	*slot = slot_of_part(&res, marker->part);
	return *slot == rte->relid && same_indexes(marker, &res, *slot) ?
		FIT_AS_IS : FIT_OTHER_SLOT;
}

/* Returns the worst fit; adds a target per entry that fits another slot. */
static Fit
fit_of_plan(const PlannedStmt *plan, Snapshot snapshot, List **targets)
{
	Fit			worst = FIT_AS_IS;
	Index		rti = 0;
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		VpMarker	marker;
		VpTarget   *target;
		Oid			slot = InvalidOid;
		Fit			fit;

		rti++;
		if (!vp_marker_read(rte, &marker))
			continue;
		fit = fit_of(rte, &marker, snapshot, &slot);
		if (fit == FIT_NOT)
			return FIT_NOT;
		if (fit == FIT_AS_IS)
			continue;
		worst = FIT_OTHER_SLOT;
		target = palloc(sizeof(VpTarget));
		target->rti = rti;
		target->slot = slot;
		target->old_indexes = vp_marker_indexes(&marker);
		target->new_indexes = vp_slot_indexes(slot);
		if (list_length(target->old_indexes) != list_length(target->new_indexes))
			return FIT_NOT;
		*targets = lappend(*targets, target);
	}
	return worst;
}

static Query *
original_query(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->enrname != NULL &&
			rte->subquery != NULL)
			return copyObject(rte->subquery);
	}
	elog(ERROR, "the plan has lost its query");
}

static PlannedStmt *
plan_anew(QueryDesc *desc, Snapshot snapshot, int eflags)
{
	const PlannedStmt *old = desc->plannedstmt;
	int			options = 0;
	PlannedStmt *plan;

	if (eflags & (EXEC_FLAG_BACKWARD | EXEC_FLAG_REWIND))
		options |= CURSOR_OPT_SCROLL;
	if (old->parallelModeNeeded)
		options |= CURSOR_OPT_PARALLEL_OK;
	PushActiveSnapshot(snapshot);
	plan = vp_plan(original_query(old), desc->sourceText, options, desc->params);
	PopActiveSnapshot();
	plan->queryId = old->queryId;
	plan->stmt_location = old->stmt_location;
	plan->stmt_len = old->stmt_len;
	return plan;
}

/*
 * Plans with markers that this backend is executing.  An entry lives in its
 * execution's memory and goes with it, after an error too.
 */
typedef struct Execution
{
	dlist_node	node;
	const PlannedStmt *plan;
	MemoryContextCallback callback;
} Execution;

static dlist_head executions = DLIST_STATIC_INIT(executions);

static bool
is_executing(const PlannedStmt *plan)
{
	dlist_iter	iter;

	dlist_foreach(iter, &executions)
		if (dlist_container(Execution, node, iter.cur)->plan == plan)
		return true;
	return false;
}

static void
forget_execution(void *arg)
{
	dlist_delete(&((Execution *) arg)->node);
}

static void
note_execution(QueryDesc *desc)
{
	MemoryContext context = desc->estate->es_query_cxt;
	Execution  *execution = MemoryContextAlloc(context, sizeof(Execution));

	execution->plan = desc->plannedstmt;
	execution->callback.func = forget_execution;
	execution->callback.arg = execution;
	MemoryContextRegisterResetCallback(context, &execution->callback);
	dlist_push_head(&executions, &execution->node);
}

static void
make_fit(QueryDesc *desc, int eflags)
{
	Snapshot	snapshot = desc->snapshot;
	List	   *targets = NIL;

	if (snapshot == InvalidSnapshot)
		snapshot = GetActiveSnapshot();
	switch (fit_of_plan(desc->plannedstmt, snapshot, &targets))
	{
		case FIT_AS_IS:
			break;
		case FIT_OTHER_SLOT:
			if (is_executing(desc->plannedstmt))
				desc->plannedstmt = vp_retargeted_copy(desc->plannedstmt, targets);
			else
				vp_retarget(desc->plannedstmt, targets);
			break;
		case FIT_NOT:
			desc->plannedstmt = plan_anew(desc, snapshot, eflags);
			break;
	}
}

static void
note_assets(const PlannedStmt *plan, bool by_name)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		VpMarker	marker;

		if (vp_marker_read(lfirst_node(RangeTblEntry, lc), &marker))
			vp_reads_note_asset(marker.def, by_name, !marker.hit);
	}
}

static bool
has_marker(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->enrname != NULL)
			return true;
	}
	return false;
}

static void
start_executor(QueryDesc *desc, int eflags)
{
	if (prev_executor_start)
		prev_executor_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
}

static void
vp_executor_start(QueryDesc *desc, int eflags)
{
	/* a parallel worker gets the leader's plan, which fits */
	bool		reads_assets = has_marker(desc->plannedstmt) && !IsParallelWorker();
	bool		own = vp_compute_begins(desc->plannedstmt);
	Execution	starting;

	if (!own)
		vp_parallel_restrain(desc);
	vp_files_check_plan(desc->plannedstmt);
	vp_reads_note_plan(desc->plannedstmt, own);
	if (desc->plannedstmt->commandType != CMD_SELECT ||
		desc->plannedstmt->hasModifyingCTE)
		vp_uncounted_look();
	if (!reads_assets)
	{
		start_executor(desc, eflags);
		return;
	}
	make_fit(desc, eflags);
	note_assets(desc->plannedstmt, !own);

	/* starting can run functions, and these the same cached plan */
	starting.plan = desc->plannedstmt;
	dlist_push_head(&executions, &starting.node);
	PG_TRY();
	{
		start_executor(desc, eflags);
	}
	PG_FINALLY();
	{
		dlist_delete(&starting.node);
	}
	PG_END_TRY();
	note_execution(desc);
}

static void
vp_executor_end(QueryDesc *desc)
{
	vp_miss_end_statement(desc->estate);
	if (prev_executor_end)
		prev_executor_end(desc);
	else
		standard_ExecutorEnd(desc);
}

void
vp_executor_init(void)
{
	prev_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = vp_executor_end;
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = vp_executor_start;
}
