/*
 * executor.c
 *	  The project's executor hooks: make plans fit their snapshot.
 *
 * A plan says what an asset's name meant when it was made.  Execution may have
 * another snapshot, older or newer, so every name is resolved again:
 *
 * - the same slot: nothing to do;
 * - another slot of the same signature: a copy of the plan is retargeted;
 * - a miss where there was a version, the reverse, another signature or another
 *	 number of parts: the original query, kept in the plan, is planned anew
 *	 under the execution's snapshot.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/snapmgr.h"

#include "common/extension.h"
#include "compat/compat.h"
#include "store/executor.h"
#include "store/marker.h"
#include "store/miss.h"
#include "store/resolve.h"

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;

typedef enum Fit
{
	FIT_AS_IS, FIT_OTHER_SLOT, FIT_NOT
} Fit;

/* Where one entry of the range table is to point. */
typedef struct Target
{
	Index		rti;
	Oid			slot;
	List	   *old_indexes;
	List	   *new_indexes;
} Target;

static Oid
slot_of_part(const VpResolution *res, int part)
{
	return res->slots == NIL ? res->slot : list_nth_oid(res->slots, part);
}

static Fit
fit_of(const RangeTblEntry *rte, const VpMarker *marker, Snapshot snapshot,
	   Oid *slot)
{
	VpResolution res;

	if (!vp_resolve(marker->def, snapshot, &res))
		return FIT_NOT;
	if (res.hit != marker->hit)
		return FIT_NOT;
	if (!res.hit)
		return marker->inlined && vp_miss_is_error(&res.info) ? FIT_NOT : FIT_AS_IS;
	if (res.nparts != marker->nparts ||
		strncmp(res.signature, marker->signature, 32) != 0)
		return FIT_NOT;
	*slot = slot_of_part(&res, marker->part);
	return *slot == rte->relid ? FIT_AS_IS : FIT_OTHER_SLOT;
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
		Target	   *target;
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
		target = palloc(sizeof(Target));
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

/* The index of the target's slot that takes the place of the plan's. */
static Oid
new_index(const Target *target, Oid old)
{
	ListCell   *o;
	ListCell   *n;

	forboth(o, target->old_indexes, n, target->new_indexes)
		if (lfirst_oid(o) == old)
		return lfirst_oid(n);
	elog(ERROR, "index %u of the plan is not one of the slot's", old);
}

typedef struct Retarget
{
	List	   *targets;
	bool		only_look;		/* change nothing */
	bool		found;			/* an index of a target */
} Retarget;

static void
retarget_index(Index scanrelid, Oid *index, Retarget *r)
{
	ListCell   *lc;

	foreach(lc, r->targets)
	{
		const Target *target = lfirst(lc);

		if (target->rti != scanrelid)
			continue;
		r->found = true;
		if (!r->only_look)
			*index = new_index(target, *index);
	}
}

static void retarget_plan(Plan *plan, Retarget *r);

static void
retarget_plans(List *plans, Retarget *r)
{
	ListCell   *lc;

	foreach(lc, plans)
		retarget_plan(lfirst(lc), r);
}

static void
retarget_children(Plan *plan, Retarget *r)
{
	retarget_plan(plan->lefttree, r);
	retarget_plan(plan->righttree, r);
	switch (nodeTag(plan))
	{
		case T_Append:
			retarget_plans(((Append *) plan)->appendplans, r);
			break;
		case T_MergeAppend:
			retarget_plans(((MergeAppend *) plan)->mergeplans, r);
			break;
		case T_BitmapAnd:
			retarget_plans(((BitmapAnd *) plan)->bitmapplans, r);
			break;
		case T_BitmapOr:
			retarget_plans(((BitmapOr *) plan)->bitmapplans, r);
			break;
		case T_SubqueryScan:
			retarget_plan(((SubqueryScan *) plan)->subplan, r);
			break;
		case T_CustomScan:
			retarget_plans(((CustomScan *) plan)->custom_plans, r);
			break;
		default:
			break;
	}
}

static void
retarget_plan(Plan *plan, Retarget *r)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_IndexScan:
			retarget_index(((Scan *) plan)->scanrelid,
						   &((IndexScan *) plan)->indexid, r);
			break;
		case T_IndexOnlyScan:
			retarget_index(((Scan *) plan)->scanrelid,
						   &((IndexOnlyScan *) plan)->indexid, r);
			break;
		case T_BitmapIndexScan:
			retarget_index(((Scan *) plan)->scanrelid,
						   &((BitmapIndexScan *) plan)->indexid, r);
			break;
		default:
			break;
	}
	retarget_children(plan, r);
}

static void
retarget_trees(PlannedStmt *plan, Retarget *r)
{
	retarget_plan(plan->planTree, r);
	retarget_plans(plan->subplans, r);
}

/*
 * The plan, pointing to other slots.  What needn't differ is shared with the
 * original, which the caller keeps as long as it executes; the plan trees are
 * copied only if they name indexes of a target.
 */
static PlannedStmt *
retargeted_copy(const PlannedStmt *plan, List *targets)
{
	PlannedStmt *copy = palloc(sizeof(PlannedStmt));
	Retarget	r = {targets, true, false};
	ListCell   *lc;

	memcpy(copy, plan, sizeof(PlannedStmt));
	copy->rtable = list_copy(plan->rtable);
	foreach(lc, targets)
	{
		const Target *target = lfirst(lc);
		ListCell   *cell = list_nth_cell(copy->rtable, target->rti - 1);
		RangeTblEntry *rte = palloc(sizeof(RangeTblEntry));

		memcpy(rte, lfirst(cell), sizeof(RangeTblEntry));
		rte->relid = target->slot;
		lfirst(cell) = rte;
	}
	retarget_trees(copy, &r);
	if (r.found)
	{
		copy->planTree = copyObject(copy->planTree);
		copy->subplans = copyObject(copy->subplans);
		r.only_look = false;
		retarget_trees(copy, &r);
	}
	return copy;
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
			desc->plannedstmt = retargeted_copy(desc->plannedstmt, targets);
			break;
		case FIT_NOT:
			desc->plannedstmt = plan_anew(desc, snapshot, eflags);
			break;
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
vp_executor_start(QueryDesc *desc, int eflags)
{
	/* a parallel worker gets the leader's plan, which fits */
	if (has_marker(desc->plannedstmt) && !IsParallelWorker())
		make_fit(desc, eflags);
	if (prev_executor_start)
		prev_executor_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
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
