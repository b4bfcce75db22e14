/*
 * parallel.c
 *	  Parallel queries while a run computes an asset.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "common/spi.h"
#include "store/parallel.h"
#include "store/staged.h"

/* Functions that may run queries, and so read assets. */
static bool
is_user_code(Oid funcid, void *context)
{
	HeapTuple	tuple;
	Form_pg_proc form;
	bool		may_query;

	if (funcid < FirstNormalObjectId || funcid == vp_extension()->read_asset)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);

	/* an aggregate is internal, whatever its transition function is */
	may_query = (form->prolang != INTERNALlanguageId && form->prolang != ClanguageId) ||
		form->prokind == PROKIND_AGGREGATE;
	ReleaseSysCache(tuple);
	return may_query;
}

/* The server's functions that make rows of such a type check its domains. */
static bool
has_user_type(Node *node)
{
	Oid			type;

	switch (nodeTag(node))
	{
		case T_Const:
		case T_Param:
		case T_FuncExpr:
		case T_CoerceViaIO:
			type = getBaseType(exprType(node));
			break;
		default:
			return false;
	}
	if (OidIsValid(get_element_type(type)))
		type = get_element_type(type);
	return type >= FirstNormalObjectId &&
		(get_typtype(type) == TYPTYPE_COMPOSITE || get_typtype(type) == TYPTYPE_DOMAIN);
}

/* An operator of the users' own orders, or compares, by a class of theirs. */
static bool
has_user_order(Node *node)
{
	return IsA(node, SortGroupClause) &&
		(((SortGroupClause *) node)->sortop >= FirstNormalObjectId ||
		 ((SortGroupClause *) node)->eqop >= FirstNormalObjectId);
}

static bool
calls_user_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_user_code, context) ||
		IsA(node, CoerceToDomain) || has_user_type(node) || has_user_order(node))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, calls_user_code, context,
								 QTW_EXAMINE_SORTGROUP);
	return expression_tree_walker(node, calls_user_code, context);
}

int
vp_parallel_options(Query *query, int options)
{
	if ((options & CURSOR_OPT_PARALLEL_OK) && vp_staged_active() &&
		calls_user_code((Node *) query, NULL))
		options &= ~CURSOR_OPT_PARALLEL_OK;
	return options;
}

static bool
depends_on_functions(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->invalItems)
	{
		int			cache = lfirst_node(PlanInvalItem, lc)->cacheId;

		/* a type is a domain, whose constraints are expressions */
		if (cache == PROCOID || cache == TYPEOID)
			return true;
	}
	return false;
}

void
vp_parallel_restrain(QueryDesc *desc)
{
	PlannedStmt *plan = desc->plannedstmt;

	if (!plan->parallelModeNeeded || !vp_staged_active() || vp_spi_runs() ||
		!depends_on_functions(plan))
		return;
	plan = copyObject(plan);
	plan->parallelModeNeeded = false;
	desc->plannedstmt = plan;
}
