/*
 * inline.c
 *	  May a definition be planned as part of a reader's query?
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "common/extension.h"
#include "compat/compat.h"
#include "store/inline.h"

/* Is this object a user's, and with it the functions behind it? */
static bool
is_users(Oid object)
{
	return object >= FirstNormalObjectId;
}

static bool
depends_on_reader(Oid funcid, void *context)
{
	if (funcid == vp_extension()->read_asset)
		return false;

	/*
	 * Immutable, they say, but quote_ident asks quote_all_identifiers, and
	 * output functions ask bytea_output, extra_float_digits, IntervalStyle.
	 */
	if (funcid == F_QUOTE_IDENT || get_func_rettype(funcid) == CSTRINGOID)
		return true;
	return is_users(funcid) ||
		func_volatile(funcid) != PROVOLATILE_IMMUTABLE;
}

static bool
has_users_type(List *types)
{
	ListCell   *lc;

	foreach(lc, types)
		if (is_users(lfirst_oid(lc)))
		return true;
	return false;
}

static bool
reader_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, depends_on_reader, context) ||
		vp_is_sql_json(node))	/* converts to text by itself */
		return true;
	switch (nodeTag(node))
	{
		case T_CoerceViaIO:
		case T_CoerceToDomain:	/* its checks can be anything */
		case T_SQLValueFunction:
		case T_NextValueExpr:
		case T_XmlExpr:
		case T_TableFunc:
			return true;
		case T_SortGroupClause:
			return is_users(((SortGroupClause *) node)->eqop) ||
				is_users(((SortGroupClause *) node)->sortop);
		case T_MinMaxExpr:
			return is_users(((MinMaxExpr *) node)->minmaxtype) ||
				expression_tree_walker(node, reader_walker, context);
		case T_SetOperationStmt:
			return has_users_type(((SetOperationStmt *) node)->colTypes) ||
				expression_tree_walker(node, reader_walker, context);
		case T_RangeTblEntry:
			return ((RangeTblEntry *) node)->tablesample != NULL;
		case T_Query:
			return ((Query *) node)->hasRowSecurity ||
				query_tree_walker((Query *) node, reader_walker, context,
								  QTW_EXAMINE_RTES_BEFORE | QTW_EXAMINE_SORTGROUP);
		default:
			return expression_tree_walker(node, reader_walker, context);
	}
}

bool
vp_same_for_everybody(Query *query)
{
	return !reader_walker((Node *) query, NULL);
}

static bool
rights_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, rights_walker, context);
	return vp_reads_as_reader((Query *) node) ||
		query_tree_walker((Query *) node, rights_walker, context, 0);
}

bool
vp_same_rights_for_everybody(Query *query)
{
	return !rights_walker((Node *) query, NULL);
}
