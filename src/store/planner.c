/*
 * planner.c
 *	  The project's planner hook: all that touches planning starts here.
 *
 * A query that reads no asset costs a walk over its range tables.  For another
 * one, its reads are replaced (replace.c) and the plan is made independent of
 * the slots that it was made for: they leave relationOids, so that refilling
 * them doesn't invalidate it; executor.c makes it fit at each execution.
 */
#include "postgres.h"

#include "optimizer/planner.h"
#include "utils/snapmgr.h"

#include "common/extension.h"
#include "compat/compat.h"
#include "store/guard.h"
#include "store/parallel.h"
#include "store/planner.h"
#include "store/replace.h"
#include "store/usercode.h"

static planner_hook_type prev_planner_hook = NULL;

static PlannedStmt *
call_planner(VP_PLANNER_ARGS)
{
	cursorOptions = vp_parallel_options(parse, cursorOptions);
	if (prev_planner_hook)
		return prev_planner_hook(VP_PLANNER_PASS);
	return standard_planner(VP_PLANNER_PASS);
}

/* The plan depends on no slot, and can be made again. */
static void
finish_plan(PlannedStmt *plan, const VpReplacement *r, Query *original)
{
	ListCell   *lc;

	foreach(lc, r->slots)
		plan->relationOids = list_delete_oid(plan->relationOids, lfirst_oid(lc));
	plan->invalItems = list_concat(plan->invalItems, r->inval_items);
	plan->dependsOnRole |= r->depends_on_role;
	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->enrname != NULL)
		{
			rte->subquery = original;
			break;
		}
	}
}

static PlannedStmt *
planner_of_assets(VP_PLANNER_ARGS)
{
	VpReplacement r = {.params = boundParams};
	Query	   *original = copyObject(parse);
	PlannedStmt *plan;
	List	   *indexes;

	r.snapshot = GetActiveSnapshot();
	vp_replace_assets(parse, &r);
	indexes = vp_simplify_indexes(r.slots);
	plan = call_planner(VP_PLANNER_PASS);
	vp_close_indexes(indexes);
	if (r.first != NULL)
		finish_plan(plan, &r, original);
	return plan;
}

static PlannedStmt *
vp_planner(VP_PLANNER_ARGS)
{
	if (!vp_extension()->installed)
		return call_planner(VP_PLANNER_PASS);
	if (parse->commandType != CMD_SELECT || parse->hasModifyingCTE)
		vp_guard_dml(parse);
	if (!ActiveSnapshotSet() || !vp_may_read_assets(parse))
		return call_planner(VP_PLANNER_PASS);
	return planner_of_assets(VP_PLANNER_PASS);
}

void
vp_planner_init(void)
{
	prev_planner_hook = planner_hook;
	planner_hook = vp_planner;
}
