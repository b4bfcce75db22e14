/*
 * closure.c
 *	  By what an asset's rows were computed: functions, types, and what of these
 *	  leads to others.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/policy.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "common/extension.h"
#include "freshness/closure.h"
#include "freshness/unsteady.h"
#include "freshness/wording.h"
#include "store/reads.h"

typedef struct Walk
{
	VpClosure	found;
	List	   *path;			/* schemas */
	List	   *named;			/* relations of the query */
	List	   *called;			/* functions, as far as can be told */
	bool		in_body;		/* of a function that perhaps isn't called */
	bool		in_policy;		/* that perhaps isn't for who read */
	bool		whole_rows;
	bool		casts;			/* their functions are among those found */
	int			nfunctions;		/* looked into by now */
	int			ntypes;
} Walk;

static void
add_function(Walk *walk, Oid function)
{
	if (function >= FirstNormalObjectId &&
		get_func_namespace(function) != vp_extension()->schema)
		walk->found.functions = list_append_unique_oid(walk->found.functions, function);
}

/* Those of tables' rows, too: they may be made without reading the table. */
static void
add_type(Walk *walk, Oid type)
{
	if (type >= FirstNormalObjectId)
		walk->found.types = list_append_unique_oid(walk->found.types, type);
}

static void
add_call(Walk *walk, Oid function)
{
	if (!walk->in_body && !walk->in_policy)
		walk->called = list_append_unique_oid(walk->called, function);
}

static bool
tells_user(Oid function)
{
	return function == F_CURRENT_USER || function == F_GETPGUSERNAME;
}

static bool
note_function(Oid function, void *context)
{
	((Walk *) context)->found.asks_user |= tells_user(function);
	add_function(context, function);
	add_call(context, function);
	return false;
}

static void
note_type(Walk *walk, Oid type)
{
	walk->found.text_search |= type == TSVECTOROID || type == TSQUERYOID ||
		type == REGCONFIGOID || type == REGDICTIONARYOID;
	add_type(walk, type);
}

static void
add_type_of(Walk *walk, Node *node)
{
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_Param:
		case T_Aggref:
		case T_WindowFunc:
		case T_FuncExpr:
		case T_OpExpr:
		case T_CoerceViaIO:
		case T_RelabelType:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_CoerceToDomain:
		case T_RowExpr:
		case T_ArrayExpr:
		case T_FieldSelect:
			note_type(walk, exprType(node));
			break;
		default:
			break;
	}
}

/* A policy's functions are noticed when they are executed. */
static bool
is_noticed(Walk *walk, Node *node)
{
	return walk->in_policy && !IsA(node, SQLValueFunction) && !IsA(node, Var) &&
		!IsA(node, RangeTblEntry);
}

static void
note_unsteady(Walk *walk, Node *node)
{
	if (walk->found.unsteady == NULL && !walk->in_body && !is_noticed(walk, node))
		walk->found.unsteady = vp_unsteady_node(node);
}

static bool
asks_user(Node *node)
{
	if (!IsA(node, SQLValueFunction))
		return false;
	switch (((SQLValueFunction *) node)->op)
	{
		case SVFOP_CURRENT_ROLE:
		case SVFOP_CURRENT_USER:
		case SVFOP_USER:
			return true;
		default:
			return false;
	}
}

static void add_functions_of_casts(Walk *walk);

/* An operator of the users' own orders by a class of theirs. */
static void
note_order(Walk *walk, const SortGroupClause *clause)
{
	if (clause->sortop >= FirstNormalObjectId || clause->eqop >= FirstNormalObjectId)
		add_functions_of_casts(walk);
}

static bool
query_walker(Node *node, void *context)
{
	Walk	   *walk = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	check_stack_depth();
	note_unsteady(walk, node);
	(void) check_functions_in_node(node, note_function, context);
	add_type_of(walk, node);
	walk->found.asks_user |= asks_user(node);
	if (IsA(node, SortGroupClause))
		note_order(walk, (SortGroupClause *) node);
	if (IsA(node, Var))
	{
		AttrNumber	number = ((Var *) node)->varattno;

		walk->whole_rows |= number == InvalidAttrNumber || number == TableOidAttributeNumber;
	}
	if (!IsA(node, Query))
		return expression_tree_walker(node, query_walker, context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		note_unsteady(walk, (Node *) rte);
		/* a view is a sub-query by now, with its Oid since 16 */
		if (OidIsValid(rte->relid))
			walk->found.relations = list_append_unique_oid(walk->found.relations, rte->relid);
	}
	return query_tree_walker((Query *) node, query_walker, context, QTW_EXAMINE_SORTGROUP);
}

static void
add_types_of_columns(Walk *walk, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			add_type(walk, TupleDescAttr(desc, i)->atttypid);
}

/*
 * What is named by a view that a function read, and by policies and columns.  Of
 * a table that the query names itself, these are the columns that it takes.
 */
static void
look_into_relation(Walk *walk, Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	TupleDesc	desc;
	ListCell   *lc;

	if (!RelationIsValid(rel))
		return;
	desc = RelationGetDescr(rel);
	if (!list_member_oid(walk->named, relid))
		add_types_of_columns(walk, desc);
	for (int i = 0; desc->constr != NULL && i < desc->constr->num_defval; i++)
		if (TupleDescAttr(desc, desc->constr->defval[i].adnum - 1)->attgenerated != '\0')
			(void) query_walker(stringToNode(desc->constr->defval[i].adbin), walk);
	if (rel->rd_rel->relkind == RELKIND_VIEW)
		(void) query_walker((Node *) get_view_query(rel), walk);
	if (rel->rd_rel->relrowsecurity && rel->rd_rsdesc != NULL)
	{
		walk->found.row_security = true;
		walk->in_policy = true;
		foreach(lc, rel->rd_rsdesc->policies)
			(void) query_walker((Node *) ((RowSecurityPolicy *) lfirst(lc))->qual, walk);
		walk->in_policy = false;
	}
	RelationClose(rel);
}

/* Functions in the column of a catalog's rows, of the users' own ones. */
static void
add_functions_of_catalog(Walk *walk, Oid catalog, AttrNumber oid, AttrNumber column)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		if (DatumGetObjectId(heap_getattr(tuple, oid, RelationGetDescr(rel), &isnull)) >= FirstNormalObjectId)
			add_function(walk, DatumGetObjectId(heap_getattr(tuple, column, RelationGetDescr(rel), &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* A text may use any cast, a type any class of operators, and these call functions. */
static void
add_functions_of_casts(Walk *walk)
{
	if (walk->casts)
		return;
	walk->casts = true;
	add_functions_of_catalog(walk, CastRelationId, Anum_pg_cast_oid, Anum_pg_cast_castfunc);
	add_functions_of_catalog(walk, AccessMethodProcedureRelationId, Anum_pg_amproc_oid,
							 Anum_pg_amproc_amproc);
}

static void
look_into_aggregate(Walk *walk, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	add_function(walk, form->aggtransfn);
	add_function(walk, form->aggfinalfn);
	add_function(walk, form->aggcombinefn);
	add_function(walk, form->aggserialfn);
	add_function(walk, form->aggdeserialfn);
	add_function(walk, form->aggmtransfn);
	add_function(walk, form->aggminvtransfn);
	add_function(walk, form->aggmfinalfn);
	ReleaseSysCache(tuple);
}

static bool
names_user(const char *words)
{
	List	   *names = vp_wording_names(words);

	return vp_wording_has(names, "current_user") || vp_wording_has(names, "current_role") ||
		vp_wording_has(names, "user") || vp_wording_has(names, "getpgusername");
}

static void
look_into_text(Walk *walk, Oid function, HeapTuple tuple)
{
	char	   *words = vp_wording_text(tuple);
	ListCell   *lc;

	add_functions_of_casts(walk);
	walk->found.text_search |= vp_wording_searches_text(words);
	walk->found.asks_user |= names_user(words);
	walk->found.texts = lappend_oid(walk->found.texts, function);
	foreach(lc, vp_wording_objects(words, walk->path))
	{
		const ObjectAddress *object = lfirst(lc);

		if (object->classId == ProcedureRelationId)
			add_function(walk, object->objectId);
		else if (object->classId == TypeRelationId)
			add_type(walk, object->objectId);
		else if (object->classId == OperatorRelationId)
			add_function(walk, get_opcode(object->objectId));
		else if (object->classId == RelationRelationId)
			add_type(walk, get_rel_type_id(object->objectId));	/* of a variable */
	}
}

static void
look_into_function(Walk *walk, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	Datum		body;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	add_type(walk, form->prorettype);
	for (int i = 0; i < form->pronargs; i++)
		add_type(walk, form->proargtypes.values[i]);
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull)
	{
		walk->in_body = true;
		(void) query_walker(stringToNode(TextDatumGetCString(body)), walk);
		walk->in_body = false;
	}
	else if (form->prokind == PROKIND_AGGREGATE)
		look_into_aggregate(walk, function);
	else if (form->prolang != INTERNALlanguageId && form->prolang != ClanguageId)
		look_into_text(walk, function, tuple);
	else
		walk->found.text_search |= vp_wording_searches_text(NameStr(form->proname));
	ReleaseSysCache(tuple);
}

static void
look_into_constraints(Walk *walk, Oid domain)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(domain));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		expression = heap_getattr(tuple, Anum_pg_constraint_conbin,
											  RelationGetDescr(rel), &isnull);

		if (!isnull)
			(void) query_walker(stringToNode(TextDatumGetCString(expression)), walk);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
look_into_row(Walk *walk, Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);

	if (!RelationIsValid(rel))
		return;
	add_types_of_columns(walk, RelationGetDescr(rel));
	RelationClose(rel);
}

static void
look_into_type(Walk *walk, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_type) GETSTRUCT(tuple);
	add_functions_of_casts(walk);
	add_type(walk, form->typelem);
	add_type(walk, form->typbasetype);
	add_function(walk, form->typoutput);
	add_function(walk, form->typinput);
	if (form->typtype == TYPTYPE_DOMAIN)
		look_into_constraints(walk, type);
	else if (form->typtype == TYPTYPE_RANGE)
		add_type(walk, get_range_subtype(type));
	else if (form->typtype == TYPTYPE_MULTIRANGE)
		add_type(walk, get_multirange_range(type));
	else if (form->typtype == TYPTYPE_COMPOSITE)
		look_into_row(walk, form->typrelid);
	ReleaseSysCache(tuple);
}

/* Lists grow while they are gone through. */
static void
look_into_all(Walk *walk)
{
	while (walk->nfunctions < list_length(walk->found.functions) ||
		   walk->ntypes < list_length(walk->found.types))
	{
		CHECK_FOR_INTERRUPTS();
		if (walk->nfunctions < list_length(walk->found.functions))
			look_into_function(walk, list_nth_oid(walk->found.functions, walk->nfunctions++));
		else
			look_into_type(walk, list_nth_oid(walk->found.types, walk->ntypes++));
	}
}

/*
 * A plan depends on functions by the hash values of their Oids, which includes
 * those that were inlined and are nowhere else in it.
 */
static void
add_functions_of_hashes(Walk *walk, List *hashes)
{
	Relation	rel = table_open(ProcedureRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_proc_oid, BTGreaterEqualStrategyNumber, F_OIDGE,
				ObjectIdGetDatum(FirstNormalObjectId));
	scan = systable_beginscan(rel, ProcedureOidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			oid = ((Form_pg_proc) GETSTRUCT(tuple))->oid;
		uint32		hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(oid));

		if (list_member_int(hashes, (int) hash))
			add_function(walk, oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* What was called or inlined. */
static void
add_functions_met(Walk *walk)
{
	List	   *hashes = vp_reads_plan_functions();
	ListCell   *lc;

	foreach(lc, vp_reads_functions())
	{
		Oid			oid = lfirst_oid(lc);

		add_call(walk, oid);
		walk->found.asks_user |= tells_user(oid);
		if (oid < FirstNormalObjectId)
			continue;
		hashes = list_delete_int(hashes, (int) GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(oid)));
		add_function(walk, oid);
	}
	if (hashes != NIL)
		add_functions_of_hashes(walk, hashes);
}

static void
look_into_call_of_text(Walk *walk, HeapTuple tuple)
{
	char	   *words = vp_wording_text(tuple);
	List	   *calls = vp_wording_calls(words);
	ListCell   *lc;

	walk->found.unsteady = vp_unsteady_text(words);
	foreach(lc, vp_wording_objects(words, walk->path))
	{
		const ObjectAddress *object = lfirst(lc);

		if (object->classId == ProcedureRelationId &&
			vp_wording_has(calls, get_func_name(object->objectId)))
			add_call(walk, object->objectId);
	}
}

static void
look_into_call(Walk *walk, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	Datum		body;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	walk->found.unsteady = vp_unsteady_function(function);
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (walk->found.unsteady != NULL || function < FirstNormalObjectId)
		 /* that's it */ ;
	else if (!isnull)
		(void) query_walker(stringToNode(TextDatumGetCString(body)), walk);
	else if (form->prolang != INTERNALlanguageId && form->prolang != ClanguageId)
		look_into_call_of_text(walk, tuple);
	ReleaseSysCache(tuple);
}

/* The list grows while it is gone through. */
static void
look_into_calls(Walk *walk)
{
	for (int i = 0; i < list_length(walk->called) && walk->found.unsteady == NULL; i++)
	{
		CHECK_FOR_INTERRUPTS();
		look_into_call(walk, list_nth_oid(walk->called, i));
	}
}

VpClosure
vp_closure(Query *query, List *relations, List *path)
{
	Walk		walk = {.path = path};
	ListCell   *lc;

	(void) query_walker((Node *) query, &walk);
	walk.named = walk.whole_rows ? NIL : list_copy(walk.found.relations);
	walk.found.named = list_copy(walk.found.functions);
	add_functions_met(&walk);
	foreach(lc, relations)
	{
		if (walk.found.unsteady == NULL)
			walk.found.unsteady = vp_unsteady_relation(lfirst_oid(lc));
		look_into_relation(&walk, lfirst_oid(lc));
	}
	look_into_all(&walk);
	look_into_calls(&walk);
	walk.found.relations = walk.named;
	return walk.found;
}
