/*
 * replace.c
 *	  Replace reads of assets in a query by what their names mean.
 *
 * A stub is "SELECT * FROM vibepiper.read_asset(<def>) AS t(<columns>)"; after
 * rewriting, that function entry stands at some level of the query.  It
 * becomes the slot's relation, an append of several, or on a miss the
 * definition's query; whatever can't be replaced stays, and read_asset() finds
 * out by itself.
 *
 * Rights.  Inside the expansion of the asset's own stub the executor checks
 * SELECT on the stub.  Anywhere else the call is direct, and an entry for the
 * stub joins the range table only so that the executor checks that too.  Slots
 * carry no required rights.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "compat/compat.h"
#include "store/marker.h"
#include "store/inline.h"
#include "store/miss.h"
#include "store/reads.h"
#include "store/replace.h"
#include "store/resolve.h"
#include "store/usercode.h"

/* More definitions than this in one statement are computed, not inlined. */
#define MOST_INLINED 16

/* SQL functions inside SQL functions are looked into down to here. */
#define MOST_FUNCTION_DEPTH 8

/* For query_tree_walker: what isn't looked at by other ways. */
#define ONLY_EXPRESSIONS \
	(QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES | QTW_IGNORE_JOINALIASES)

static void replace_in_query(Query *query, Oid view, bool locked, VpReplacement *r);

/* The only function call of the entry, or NULL. */
static FuncExpr *
lone_call(const RangeTblEntry *rte)
{
	RangeTblFunction *rtf;

	if (list_length(rte->functions) != 1)
		return NULL;
	rtf = linitial_node(RangeTblFunction, rte->functions);
	return IsA(rtf->funcexpr, FuncExpr) ? (FuncExpr *) rtf->funcexpr : NULL;
}

static bool
is_sql_function(Oid funcid)
{
	HeapTuple	tuple;
	bool		sql;

	if (funcid < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	sql = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == SQLlanguageId &&
		((Form_pg_proc) GETSTRUCT(tuple))->proretset;
	ReleaseSysCache(tuple);
	return sql;
}

static bool may_read_walker(Node *node, void *context);

static bool
may_read_list(List *list)
{
	ListCell   *lc;

	foreach(lc, list)
		if (may_read_walker(lfirst(lc), NULL))
		return true;
	return false;
}

static bool
may_read_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_Param:
		case T_RangeTblRef:
		case T_SortGroupClause:
			return false;
		case T_Query:
			return vp_may_read_assets((Query *) node);

			/* the rest is expression_tree_walker's, quicker */
		case T_TargetEntry:
			return may_read_walker((Node *) ((TargetEntry *) node)->expr, context);
		case T_List:
			return may_read_list((List *) node);
		case T_OpExpr:
			return may_read_list(((OpExpr *) node)->args);
		case T_FuncExpr:
			return may_read_list(((FuncExpr *) node)->args);
		case T_BoolExpr:
			return may_read_list(((BoolExpr *) node)->args);
		case T_FromExpr:
			return may_read_list(((FromExpr *) node)->fromlist) ||
				may_read_walker(((FromExpr *) node)->quals, context);
		case T_JoinExpr:
			return may_read_walker(((JoinExpr *) node)->larg, context) ||
				may_read_walker(((JoinExpr *) node)->rarg, context) ||
				may_read_walker(((JoinExpr *) node)->quals, context);
		case T_SubLink:
			return may_read_walker(((SubLink *) node)->testexpr, context) ||
				may_read_walker(((SubLink *) node)->subselect, context);
		default:
			return expression_tree_walker(node, may_read_walker, context);
	}
}

/* Expressions of an entry of the range table. */
static bool
entry_may_read(const RangeTblEntry *rte)
{
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return may_read_walker((Node *) rte->tablesample, NULL);
		case RTE_FUNCTION:
			return may_read_list(rte->functions);
		case RTE_TABLEFUNC:
			return may_read_walker((Node *) rte->tablefunc, NULL);
		case RTE_VALUES:
			return may_read_list(rte->values_lists);
		default:
			return false;
	}
}

/* query_tree_walker's work, quicker for the usual statements. */
static bool
expressions_may_read(Query *query)
{
	ListCell   *lc;

	if (query->commandType != CMD_SELECT || query->windowClause != NIL)
		return query_tree_walker(query, may_read_walker, NULL, ONLY_EXPRESSIONS);
	foreach(lc, query->rtable)
		if (entry_may_read(lfirst_node(RangeTblEntry, lc)))
		return true;
	return may_read_list(query->targetList) ||
		may_read_walker((Node *) query->jointree, NULL) ||
		may_read_walker(query->havingQual, NULL) ||
		may_read_walker(query->limitOffset, NULL) ||
		may_read_walker(query->limitCount, NULL);
}

bool
vp_may_read_assets(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_FUNCTION)
		{
			FuncExpr   *call = lone_call(rte);

			if (call != NULL && (call->funcid == vp_extension()->read_asset ||
								 is_sql_function(call->funcid)))
				return true;
		}
		else if (rte->rtekind == RTE_SUBQUERY && vp_may_read_assets(rte->subquery))
			return true;
	}
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (vp_may_read_assets(castNode(Query, cte->ctequery)))
			return true;
	}
	return query->hasSubLinks && expressions_may_read(query);
}

Query *
vp_rewrite_query(Query *query)
{
	int			guc_level = NewGUCNestLevel();

	AcquireRewriteLocks(query, true, false);

	/* the session's row_security is about the session's rows */
	if (!row_security)
		(void) set_config_option("row_security", "on", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	query = linitial_node(Query, QueryRewrite(query));
	AtEOXact_GUC(false, guc_level);
	return query;
}

Query *
vp_definition_query(Oid def)
{
	Relation	rel = relation_open(def, AccessShareLock);
	Query	   *query = copyObject(get_view_query(rel));

	relation_close(rel, NoLock);
	return vp_rewrite_query(query);
}

/* The definition that a call of read_asset names, if it is a constant. */
static Oid
called_definition(const FuncExpr *call)
{
	Const	   *arg;

	if (call->funcid != vp_extension()->read_asset ||
		list_length(call->args) != 1 || !IsA(linitial(call->args), Const))
		return InvalidOid;
	arg = linitial_node(Const, call->args);
	return arg->constisnull ? InvalidOid : DatumGetObjectId(arg->constvalue);
}

Oid
vp_rte_definition(const RangeTblEntry *rte)
{
	FuncExpr   *call = rte->rtekind == RTE_FUNCTION ? lone_call(rte) : NULL;

	return call != NULL ? called_definition(call) : InvalidOid;
}

/* Is the call's column definition list the relation's? */
static bool
call_fits(const RangeTblEntry *rte, Oid relid)
{
	RangeTblFunction *rtf = linitial_node(RangeTblFunction, rte->functions);
	Relation	rel;
	TupleDesc	desc;
	bool		fits;

	if (rte->funcordinality)
		return false;
	rel = relation_open(relid, AccessShareLock);
	desc = RelationGetDescr(rel);
	fits = list_length(rtf->funccoltypes) == desc->natts;
	for (int i = 0; fits && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		fits = list_nth_oid(rtf->funccoltypes, i) == att->atttypid &&
			list_nth_int(rtf->funccoltypmods, i) == att->atttypmod &&
			list_nth_oid(rtf->funccolcollations, i) == att->attcollation;
	}
	relation_close(rel, NoLock);
	return fits;
}

/* An entry that stands in the range table but not in FROM. */
static RangeTblEntry *
add_bystander(Query *query, Oid view)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	LockRelationOid(view, AccessShareLock);
	rte->rtekind = RTE_RELATION;
	rte->relid = view;
	rte->relkind = RELKIND_VIEW;
	rte->rellockmode = AccessShareLock;
	rte->eref = makeAlias("asset", NIL);
	query->rtable = lappend(query->rtable, rte);
	return rte;
}

static void
set_marker(RangeTblEntry *rte, char *marker, VpReplacement *r)
{
	rte->enrname = marker;
	if (r->first == NULL)
		r->first = rte;
}

/* Turn the entry into the relation of one part. */
static void
become_relation(Query *query, RangeTblEntry *rte, const VpResolution *res,
				int part, Oid slot, VpReplacement *r)
{
	rte->rtekind = RTE_RELATION;
	rte->relid = slot;
	rte->relkind = RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->inh = false;
	rte->functions = NIL;
	rte->funcordinality = false;
	vp_rte_set_rights(query, rte, 0, res->info.owner);
	set_marker(rte, vp_marker_hit(res->def, part, res->nparts, res->signature,
								  res->indexes ? res->indexes :
								  vp_marker_list(vp_slot_indexes(slot))), r);
	r->slots = lappend_oid(r->slots, slot);
}

/* SELECT * FROM <part>, with the columns of the entry. */
static Query *
part_query(const RangeTblEntry *model, const VpResolution *res, int part,
		   Oid slot, VpReplacement *r)
{
	RangeTblFunction *rtf = linitial_node(RangeTblFunction, model->functions);
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);

	rte->eref = copyObject(model->eref);
	rte->inFromCl = true;
	become_relation(query, rte, res, part, slot, r);
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	ref->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	for (int i = 0; i < list_length(rtf->funccoltypes); i++)
	{
		Var		   *var = makeVar(1, i + 1, list_nth_oid(rtf->funccoltypes, i),
								  list_nth_int(rtf->funccoltypmods, i),
								  list_nth_oid(rtf->funccolcollations, i), 0);
		char	   *name = strVal(list_nth(model->eref->colnames, i));

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var, i + 1, name, false));
	}
	return query;
}

static RangeTblEntry *
subquery_entry(Query *subquery, const RangeTblEntry *model)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = subquery;
	rte->eref = copyObject(model->eref);
	return rte;
}

/* left UNION ALL right, of the entry's columns */
static SetOperationStmt *
union_all(Node *left, Node *right, const RangeTblFunction *rtf)
{
	SetOperationStmt *op = makeNode(SetOperationStmt);

	op->op = SETOP_UNION;
	op->all = true;
	op->larg = left;
	op->rarg = right;
	op->colTypes = copyObject(rtf->funccoltypes);
	op->colTypmods = copyObject(rtf->funccoltypmods);
	op->colCollations = copyObject(rtf->funccolcollations);
	return op;
}

/* Turn the entry into an append of all parts. */
static void
become_append(RangeTblEntry *rte, const VpResolution *res, VpReplacement *r)
{
	RangeTblFunction *rtf = linitial_node(RangeTblFunction, rte->functions);
	Query	   *append = makeNode(Query);
	Node	   *tree = NULL;
	Query	   *first = NULL;
	int			part = 0;
	ListCell   *lc;

	foreach(lc, res->slots)
	{
		Query	   *query = part_query(rte, res, part++, lfirst_oid(lc), r);
		RangeTblRef *ref = makeNode(RangeTblRef);

		append->rtable = lappend(append->rtable, subquery_entry(query, rte));
		ref->rtindex = part;
		tree = tree == NULL ? (Node *) ref : (Node *) union_all(tree, (Node *) ref, rtf);
		if (first == NULL)
			first = query;
	}
	append->commandType = CMD_SELECT;
	append->canSetTag = true;
	append->setOperations = tree;
	append->targetList = copyObject(first->targetList);
	append->jointree = makeFromExpr(NIL, NULL);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = append;
	rte->functions = NIL;
}

/* Leave the call, but tell read_asset() that rights are checked elsewhere. */
static void
certify_call(FuncExpr *call)
{
	call->args = lappend(call->args, makeBoolConst(true, false));
}

/*
 * The definition's query if it gives the same rows to every reader, else NULL:
 * then read_asset() computes it as the owner with the recorded settings.  A
 * definition is inlined once per statement, so that diamonds stay linear:
 * further reads share what read_asset() computes.
 */
static Query *
definition_to_inline(const VpResolution *res, const VpReplacement *r)
{
	Query	   *definition;

	if (vp_miss_is_error(&res->info) || vp_miss_computing() ||
		list_length(r->inlined) >= MOST_INLINED ||
		list_member_oid(r->inlined, res->def))
		return NULL;
	definition = vp_definition_query(res->def);
	return vp_same_for_everybody(definition) &&
		vp_same_rights_for_everybody(definition) &&
		!vp_planning_calls_user_code(definition) ? definition : NULL;
}

static void
become_miss(Query *query, RangeTblEntry *rte, FuncExpr *call,
			const VpResolution *res, VpReplacement *r)
{
	RangeTblEntry *bystander = add_bystander(query, res->def);
	Query	   *definition;

	vp_rte_set_rights(query, bystander, 0, InvalidOid);
	definition = definition_to_inline(res, r);
	set_marker(bystander, vp_marker_miss(res->def, definition != NULL,
										 res->hit ? res->signature : ""), r);
	if (definition == NULL)
	{
		certify_call(call);
		return;
	}
	r->inlined = lappend_oid(r->inlined, res->def);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = definition;
	rte->functions = NIL;

	/* stored, it shows no more than its own rows to a leaky function */
	rte->security_barrier = true;
	replace_in_query(definition, InvalidOid, false, r);
}

static void
refuse_row_locks(const VpResolution *res)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot lock rows in asset \"%s\"",
					get_rel_name(res->info.stub)),
			 errdetail("The versions of an asset never change.")));
}

static void
replace_call(Query *query, RangeTblEntry *rte, FuncExpr *call, Oid view,
			 bool locked, VpReplacement *r)
{
	Oid			def = called_definition(call);
	VpResolution res;
	bool		fits;

	if (!OidIsValid(def) || !vp_resolve(def, r->snapshot, &res))
		return;
	if (locked)
		refuse_row_locks(&res);
	fits = res.hit && call_fits(rte, res.slot);
	if (!fits && !call_fits(rte, def))
		return;					/* read_asset() will say so */
	if (view != res.info.stub)
		vp_rte_set_rights(query, add_bystander(query, res.info.stub),
						  ACL_SELECT, InvalidOid);
	rte->lateral = false;		/* the argument is a constant */
	if (r->depth > 0)			/* a function's text becomes part of the query */
		vp_reads_note_asset(def, true, !fits);
	if (!fits)
		become_miss(query, rte, call, &res, r);
	else if (res.nparts > 1)
		become_append(rte, &res, r);
	else
		become_relation(query, rte, &res, 0, res.slot, r);
}

/*
 * A SQL function that the planner would inline would be planned past us; so
 * inline it here, if that brings in assets.
 */
static void
inline_function(Query *query, RangeTblEntry *rte, VpReplacement *r)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	PlannerGlobal *glob = makeNode(PlannerGlobal);
	RangeTblEntry *copy = copyObject(rte);
	Query	   *body;

	root->parse = query;
	root->glob = glob;
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	glob->boundParams = r->params;
	copy->functions = (List *) eval_const_expressions(root, (Node *) copy->functions);
	body = vp_inline_function(root, copy);
	if (body == NULL || !vp_may_read_assets(body))
		return;
	r->inval_items = list_concat(r->inval_items, glob->invalItems);
	r->depends_on_role |= glob->dependsOnRole;
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = body;
	rte->security_barrier = false;
	rte->functions = NIL;
	rte->funcordinality = false;
	r->depth++;
	replace_in_query(body, InvalidOid, false, r);
	r->depth--;
}

static void
replace_function(Query *query, RangeTblEntry *rte, Oid view, bool locked,
				 VpReplacement *r)
{
	FuncExpr   *call = lone_call(rte);

	if (call == NULL)
		return;
	if (call->funcid == vp_extension()->read_asset)
		replace_call(query, rte, call, view, locked, r);
	else if (r->depth < MOST_FUNCTION_DEPTH && is_sql_function(call->funcid))
		inline_function(query, rte, r);
}

static bool
replace_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		replace_in_query((Query *) node, InvalidOid, false, context);
		return false;
	}
	return expression_tree_walker(node, replace_walker, context);
}

/*
 * view: whose expansion the query is, as far as its parent's entry tells;
 * locked: FOR UPDATE or the like applies to its rows.
 */
static void
replace_in_query(Query *query, Oid view, bool locked, VpReplacement *r)
{
	int			n = list_length(query->rtable);
	ListCell   *lc;

	check_stack_depth();
	if (!OidIsValid(view))
		view = vp_query_expanded_view(query);

	/* entries that are added meanwhile need no look */
	for (int i = 0; i < n; i++)
	{
		RangeTblEntry *rte = rt_fetch(i + 1, query->rtable);

		if (rte->rtekind == RTE_FUNCTION)
			replace_function(query, rte, view, locked, r);
		else if (rte->rtekind == RTE_SUBQUERY)
			replace_in_query(rte->subquery, vp_rte_expanded_view(rte),
							 get_parse_rowmark(query, i + 1) != NULL, r);
	}
	foreach(lc, query->cteList)
		replace_in_query(castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery),
						 InvalidOid, false, r);
	if (query->hasSubLinks)
		(void) query_tree_walker(query, replace_walker, r, ONLY_EXPRESSIONS);
}

void
vp_replace_assets(Query *query, VpReplacement *replacement)
{
	replace_in_query(query, InvalidOid, false, replacement);
}
