/*
 * usercode.c
 *	  Users' functions that planning a query would call.
 *
 * The planner simplifies the expressions of a relation's indexes, statistics,
 * constraints and partitions, and estimates index predicates: it calls
 * functions in them as whoever plans.  With a table, that is a matter of who
 * trusts its owner; an asset may be read by everybody.  So
 *
 * - a slot's index expressions are simplified beforehand, as its owner;
 * - its index predicates have no users' functions, and its index expressions
 *	 none of others than its owner (clause.c);
 * - a definition that reads such a relation isn't inlined into readers' plans
 *	 (replace.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_index.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "store/compute.h"
#include "store/usercode.h"

/* role: whose functions don't count; InvalidOid: nobody's */
typedef struct Trust
{
	Oid			role;
} Trust;

static bool
is_users_function(Oid funcid, void *context)
{
	Oid			role = ((Trust *) context)->role;
	HeapTuple	tuple;
	Oid			owner;

	if (funcid < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return true;
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return !superuser_arg(owner) &&
		(!OidIsValid(role) || !has_privs_of_role(owner, role));
}

static bool
user_code_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_users_function, context) ||
		expression_tree_walker(node, user_code_walker, context);
}

bool
vp_has_code_of_others(Node *expression, Oid role)
{
	Trust		trust = {role};

	return user_code_walker(expression, &trust);
}

bool
vp_has_user_code(Node *expression)
{
	return vp_has_code_of_others(expression, InvalidOid);
}

/* The same for an expression that a catalog has as text. */
static bool
stored_has_user_code(int cacheid, HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		stored = SysCacheGetAttr(cacheid, tuple, column, &isnull);

	return !isnull && vp_has_user_code(stringToNode(TextDatumGetCString(stored)));
}

static bool
object_has_user_code(int cacheid, Oid object, AttrNumber column1, AttrNumber column2)
{
	HeapTuple	tuple = SearchSysCache1(cacheid, ObjectIdGetDatum(object));
	bool		has;

	if (!HeapTupleIsValid(tuple))
		return false;
	has = stored_has_user_code(cacheid, tuple, column1) ||
		stored_has_user_code(cacheid, tuple, column2);
	ReleaseSysCache(tuple);
	return has;
}

static bool
indexes_have_user_code(Relation rel)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
		if (object_has_user_code(INDEXRELID, lfirst_oid(lc),
								 Anum_pg_index_indexprs, Anum_pg_index_indpred))
		return true;
	return false;
}

static bool
statistics_have_user_code(Relation rel)
{
	ListCell   *lc;

	foreach(lc, RelationGetStatExtList(rel))
		if (object_has_user_code(STATEXTOID, lfirst_oid(lc),
								 Anum_pg_statistic_ext_stxexprs,
								 Anum_pg_statistic_ext_stxexprs))
		return true;
	return false;
}

static bool
checks_have_user_code(Relation rel)
{
	const TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_check; i++)
		if (vp_has_user_code(stringToNode(constr->check[i].ccbin)))
			return true;
	return false;
}

static bool
relation_has_user_code(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		has = checks_have_user_code(rel) || indexes_have_user_code(rel) ||
	statistics_have_user_code(rel) ||
	(rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
	 object_has_user_code(PARTRELID, relid, Anum_pg_partitioned_table_partexprs,
						  Anum_pg_partitioned_table_partexprs));

	table_close(rel, NoLock);
	return has;
}

static bool
scan_calls_user_code(const RangeTblEntry *rte)
{
	ListCell   *lc;

	if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
		return false;
	if (!rte->inh)
		return relation_has_user_code(rte->relid);
	foreach(lc, find_all_inheritors(rte->relid, AccessShareLock, NULL))
		if (relation_has_user_code(lfirst_oid(lc)))
		return true;
	return false;
}

static bool
scans_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return scan_calls_user_code((RangeTblEntry *) node);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, scans_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, scans_walker, context);
}

bool
vp_planning_calls_user_code(Query *query)
{
	return scans_walker((Node *) query, NULL);
}

/*
 * The relation cache keeps the simplified expressions of an index for as long
 * as the index is open, whatever invalidations arrive.
 */
static void
simplify_expressions(Relation index)
{
	VpIdentity	identity;

	if (index->rd_indexprs != NIL)
		return;
	vp_owner_enter(&identity, index->rd_rel->relowner);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) RelationGetIndexExpressions(index);
	vp_identity_leave(&identity);
}

List *
vp_simplify_indexes(List *relids)
{
	List	   *kept = NIL;
	ListCell   *r;
	ListCell   *i;

	foreach(r, relids)
	{
		Relation	rel = table_open(lfirst_oid(r), AccessShareLock);

		foreach(i, RelationGetIndexList(rel))
		{
			Relation	index = index_open(lfirst_oid(i), AccessShareLock);

			if (heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL))
			{
				index_close(index, NoLock);
				continue;
			}
			simplify_expressions(index);
			kept = lappend(kept, index);
		}
		table_close(rel, NoLock);
	}
	return kept;
}

void
vp_close_indexes(List *indexes)
{
	ListCell   *lc;

	foreach(lc, indexes)
		index_close(lfirst(lc), NoLock);
}
