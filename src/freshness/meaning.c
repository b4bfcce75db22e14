/*
 * meaning.c
 *	  What the objects are by which a version was computed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/policy.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "common/names.h"
#include "freshness/code.h"
#include "freshness/meaning.h"

static void
append_columns(StringInfo buf, Relation rel, bool by_name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (attr->attisdropped)
			appendStringInfoString(buf, "-,");
		else
			appendStringInfo(buf, "%u %d %u %s,", attr->atttypid, attr->atttypmod,
							 attr->attcollation, by_name ? NameStr(attr->attname) : "");
	}
}

static void
append_policies(StringInfo buf, Relation rel)
{
	ListCell   *lc;

	appendStringInfo(buf, "rls %d %d", rel->rd_rel->relrowsecurity,
					 rel->rd_rel->relforcerowsecurity);
	if (!rel->rd_rel->relrowsecurity || rel->rd_rsdesc == NULL)
		return;
	appendStringInfo(buf, " %u", rel->rd_rel->relowner);
	foreach(lc, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(lc);
		char	   *qual = nodeToString(policy->qual);

		appendStringInfo(buf, " %c %d %s", policy->polcmd, policy->permissive, qual);
		for (int i = 0; i < ARR_DIMS(policy->roles)[0]; i++)
			appendStringInfo(buf, " %u", ((Oid *) ARR_DATA_PTR(policy->roles))[i]);
		pfree(qual);
	}
}

static void
append_relation(StringInfo buf, Relation rel, bool by_name)
{
	VpHash		query;

	appendStringInfo(buf, "%c", rel->rd_rel->relkind);
	if (by_name)
		appendStringInfo(buf, " %s", vp_relation_name(RelationGetRelid(rel)));
	append_columns(buf, rel, by_name);
	if (rel->rd_rel->relkind != RELKIND_VIEW)
	{
		append_policies(buf, rel);
		return;
	}
	query = vp_code_hash(copyObject(get_view_query(rel)), false, NIL);
	appendBinaryStringInfo(buf, (char *) &query, sizeof(query));
}

/* A column of a row of pg_proc or pg_aggregate, as text. */
static void
append_column(StringInfo buf, int cache, HeapTuple tuple, AttrNumber number, Oid output)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(cache, tuple, number, &isnull);

	appendStringInfoChar(buf, '\n');
	if (!isnull)
		appendStringInfoString(buf, OidOutputFunctionCall(output, value));
}

static void
append_aggregate(StringInfo buf, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	appendStringInfo(buf, "\n%u %u %u %u %u %u %u %u", form->aggtransfn, form->aggfinalfn,
					 form->aggmtransfn, form->aggminvtransfn, form->aggmfinalfn,
					 form->aggsortop, form->aggtranstype, form->aggmtranstype);
	append_column(buf, AGGFNOID, tuple, Anum_pg_aggregate_agginitval, F_TEXTOUT);
	append_column(buf, AGGFNOID, tuple, Anum_pg_aggregate_aggminitval, F_TEXTOUT);
	ReleaseSysCache(tuple);
}

/* What counts for the result; not its costs or rights. */
static bool
append_function(StringInfo buf, Oid function, bool by_name)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	appendStringInfo(buf, "%u %u %u %d %d %d %c %c", form->prolang,
					 form->prosecdef ? form->proowner : InvalidOid, form->prorettype,
					 form->prosecdef, form->proisstrict, form->proretset, form->prokind,
					 form->provolatile);
	if (by_name)
		appendStringInfo(buf, "\n%u %s", form->pronamespace, NameStr(form->proname));
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proargtypes, F_OIDVECTOROUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_prosrc, F_TEXTOUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_probin, F_TEXTOUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_prosqlbody, F_PG_NODE_TREE_OUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proconfig, F_ARRAY_OUT);
	if (form->prokind == PROKIND_AGGREGATE)
		append_aggregate(buf, function);
	ReleaseSysCache(tuple);
	return true;
}

bool
vp_meaning_of(VpMeaning *meaning)
{
	StringInfoData buf;
	bool		found = false;

	initStringInfo(&buf);
	if (meaning->classid == ProcedureRelationId)
		found = append_function(&buf, meaning->objid, meaning->by_name);
	else
	{
		Relation	rel = RelationIdGetRelation(meaning->objid);

		found = RelationIsValid(rel);
		if (found)
		{
			append_relation(&buf, rel, meaning->by_name);
			RelationClose(rel);
		}
	}
	meaning->hash = vp_hash_bytes(buf.data, buf.len, 0);
	pfree(buf.data);
	return found;
}

char *
vp_meaning_name(const VpMeaning *meaning)
{
	if (meaning->classid == ProcedureRelationId)
		return psprintf("function %s", format_procedure_qualified(meaning->objid));
	return psprintf(get_rel_relkind(meaning->objid) == RELKIND_VIEW ? "view %s" :
					"source %s", vp_relation_name(meaning->objid));
}

typedef struct NamedContext
{
	VpNamed		named;
	bool		whole_rows;
} NamedContext;

static bool
note_function(Oid function, void *context)
{
	NamedContext *c = context;

	if (function >= FirstNormalObjectId)
		c->named.functions = list_append_unique_oid(c->named.functions, function);
	return false;
}

static bool
named_walker(Node *node, void *context)
{
	NamedContext *c = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	check_stack_depth();
	(void) check_functions_in_node(node, note_function, context);
	if (IsA(node, Var))
	{
		AttrNumber	number = ((Var *) node)->varattno;

		c->whole_rows |= number == InvalidAttrNumber || number == TableOidAttributeNumber;
	}
	if (!IsA(node, Query))
		return expression_tree_walker(node, named_walker, context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* a view is a sub-query by now, with its Oid since 16 */
		if (OidIsValid(rte->relid))
			c->named.relations = list_append_unique_oid(c->named.relations, rte->relid);
	}
	return query_tree_walker((Query *) node, named_walker, context, 0);
}

VpNamed
vp_meaning_named(Query *query)
{
	NamedContext context = {0};

	(void) named_walker((Node *) query, &context);
	if (context.whole_rows)
		context.named.relations = NIL;
	return context.named;
}

/*
 * A plan depends on functions by the hash values of their Oids, which includes
 * those that were inlined and are nowhere else in it.
 */
static List *
functions_of_hashes(List *hashes, List *functions)
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
			functions = list_append_unique_oid(functions, oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return functions;
}

List *
vp_meaning_functions(List *executed, List *plan_hashes)
{
	const VpExtension *ext = vp_extension();
	List	   *functions = NIL;
	List	   *hashes = list_copy(plan_hashes);
	ListCell   *lc;

	foreach(lc, executed)
	{
		Oid			oid = lfirst_oid(lc);

		if (oid < FirstNormalObjectId)
			continue;
		hashes = list_delete_int(hashes, (int) GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(oid)));
		functions = lappend_oid(functions, oid);
	}
	if (hashes != NIL)
		functions = functions_of_hashes(hashes, functions);
	foreach(lc, functions)
		if (get_func_namespace(lfirst_oid(lc)) == ext->schema)
		functions = foreach_delete_current(functions, lc);
	return functions;
}
