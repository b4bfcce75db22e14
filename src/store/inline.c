/*
 * inline.c
 *	  May a definition be planned as part of a reader's query?
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "common/extension.h"
#include "store/inline.h"

static bool
depends_on_reader(Oid funcid, void *context)
{
	if (funcid == vp_extension()->read_asset)
		return false;
	return funcid >= FirstNormalObjectId ||
		func_volatile(funcid) != PROVOLATILE_IMMUTABLE;
}

static bool
reader_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, depends_on_reader, context))
		return true;
	switch (nodeTag(node))
	{
		case T_CoerceViaIO:
		case T_SQLValueFunction:
		case T_NextValueExpr:
		case T_XmlExpr:
			return true;
		case T_RangeTblEntry:
			return ((RangeTblEntry *) node)->tablesample != NULL;
		case T_Query:
			return ((Query *) node)->hasRowSecurity ||
				query_tree_walker((Query *) node, reader_walker, context,
								  QTW_EXAMINE_RTES_BEFORE);
		default:
			return expression_tree_walker(node, reader_walker, context);
	}
}

bool
vp_same_for_everybody(Query *query)
{
	return !reader_walker((Node *) query, NULL);
}
