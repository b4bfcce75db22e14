/*
 * retarget.c
 *	  Point a plan to other slots of the same signatures.
 *
 * Slots of one signature have the same columns and the same indexes, so only
 * Oids change: of the relation in the range table, of the indexes in the scan
 * nodes.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"

#include "compat/compat.h"
#include "store/marker.h"
#include "store/retarget.h"

/* The index of the target's slot that takes the place of the plan's. */
static Oid
new_index(const VpTarget *target, Oid old)
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
		const VpTarget *target = lfirst(lc);

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
 * The marker names the indexes of the slot that the plan names.  Its length
 * depends on their number only, so that it is overwritten in place and a plan
 * that lives long doesn't grow.
 */
static void
point_entry(PlannedStmt *plan, RangeTblEntry *rte, const VpTarget *target,
			bool copy)
{
	VpMarker	marker;
	char	   *now;

	if (!vp_marker_read(rte, &marker))
		elog(ERROR, "range-table entry %u has no marker", target->rti);
	now = vp_marker_hit(marker.def, marker.part, marker.nparts,
						pnstrdup(marker.signature, VP_SIGNATURE_DIGITS),
						vp_marker_list(target->new_indexes));
	if (strlen(now) != strlen(rte->enrname))
		elog(ERROR, "marker \"%s\" can't become \"%s\"", rte->enrname, now);
	vp_plan_set_relation(plan, rte, target->slot, copy);
	strcpy(rte->enrname, now);
}

void
vp_retarget(PlannedStmt *plan, List *targets)
{
	Retarget	r = {targets, false, false};
	ListCell   *lc;

	foreach(lc, targets)
	{
		const VpTarget *target = lfirst(lc);

		point_entry(plan, list_nth_node(RangeTblEntry, plan->rtable, target->rti - 1),
					target, false);
	}
	retarget_trees(plan, &r);
}

PlannedStmt *
vp_retargeted_copy(const PlannedStmt *plan, List *targets)
{
	PlannedStmt *copy = palloc(sizeof(PlannedStmt));
	Retarget	r = {targets, true, false};
	ListCell   *lc;

	memcpy(copy, plan, sizeof(PlannedStmt));
	copy->rtable = list_copy(plan->rtable);
	foreach(lc, targets)
	{
		const VpTarget *target = lfirst(lc);
		ListCell   *cell = list_nth_cell(copy->rtable, target->rti - 1);
		RangeTblEntry *rte = palloc(sizeof(RangeTblEntry));

		memcpy(rte, lfirst(cell), sizeof(RangeTblEntry));
		rte->enrname = pstrdup(rte->enrname);
		point_entry(copy, rte, target, true);
		lfirst(cell) = rte;
	}

	/* the trees are copied only if they name indexes of a target */
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
