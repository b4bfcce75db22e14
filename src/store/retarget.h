/*
 * retarget.h
 *	  Point a plan to other slots of the same signatures.
 */
#ifndef VP_RETARGET_H
#define VP_RETARGET_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* Where one entry of the range table is to point. */
typedef struct VpTarget
{
	Index		rti;
	Oid			slot;
	List	   *old_indexes;	/* of the slot that the plan names ... */
	List	   *new_indexes;	/* ... and of the other, in the same order */
} VpTarget;

/* Change the plan, which nobody executes; targets is a list of VpTarget. */
extern void vp_retarget(PlannedStmt *plan, List *targets);

/*
 * A changed copy.  What needn't differ is shared with the original, which the
 * caller keeps as long as the copy executes.
 */
extern PlannedStmt *vp_retargeted_copy(const PlannedStmt *plan, List *targets);

#endif							/* VP_RETARGET_H */
