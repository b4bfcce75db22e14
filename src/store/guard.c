/*
 * guard.c
 *	  Slots aren't changed by hand, and our tables by superusers only.
 *
 * DML is refused by the planner hook, DDL by the object access hook and, where
 * that isn't told, by the utility hook.  VACUUM FULL would give a slot a new
 * relation file and so lose its version: slots are taken off its list.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relation.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "common/extension.h"
#include "compat/compat.h"
#include "store/compute.h"
#include "store/guard.h"
#include "store/reads.h"

static object_access_hook_type prev_object_access_hook = NULL;
static ProcessUtility_hook_type prev_utility_hook = NULL;
static int	open_guards = 0;
static int	guard_level = 0;	/* nesting level of the first one */

static void
refuse(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot change \"%s\": it belongs to vibepiper", get_rel_name(relid)),
			 errhint("Use vibepiper.define_asset(), run(), purge() or drop_asset().")));
}

static bool
is_slot(Oid relid)
{
	const VpExtension *ext = vp_extension();

	return ext->installed && get_rel_namespace(relid) == ext->store_schema;
}

/*
 * Our tables say as whom queries run.  A role may write to them without any
 * grant of ours: a member of pg_write_all_data, which is not to become a
 * superuser by it.
 */
static void
refuse_write(Oid relid)
{
	if (is_slot(relid))
		refuse(relid);
	if (vp_extension()->installed &&
		get_rel_namespace(relid) == vp_extension()->schema && !superuser())
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
}

void
vp_guard_dml(const Query *query)
{
	ListCell   *lc;

	if (query->resultRelation != 0)
		refuse_write(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (query->hasModifyingCTE)
		foreach(lc, query->cteList)
			vp_guard_dml(castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery));
}

void
vp_guard_open(void)
{
	if (open_guards++ == 0)
		guard_level = GetCurrentTransactionNestLevel();
}

void
vp_guard_close(void)
{
	open_guards--;
}

static void
object_access(ObjectAccessType access, Oid class_id, Oid object, int sub_id,
			  void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, class_id, object, sub_id, arg);
	if (access == OAT_FUNCTION_EXECUTE)
		vp_reads_note_function(object);
	if (class_id != RelationRelationId || open_guards > 0 ||
		!IsTransactionState() || creating_extension || IsBinaryUpgrade)
		return;
	if ((access == OAT_POST_ALTER || access == OAT_POST_CREATE ||
		 access == OAT_TRUNCATE) && is_slot(object))
		refuse(object);
}

/*
 * VACUUM FULL without a list: list every table but our slots.  Partitions come
 * with their parents.
 */
static List *
tables_to_rewrite(void)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	tuple;
	List	   *rels = NIL;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if ((form->relkind == RELKIND_RELATION || form->relkind == RELKIND_MATVIEW ||
			 form->relkind == RELKIND_PARTITIONED_TABLE) && !form->relispartition &&
			form->relnamespace != vp_extension()->store_schema &&
			(form->relpersistence != RELPERSISTENCE_TEMP ||
			 isTempNamespace(form->relnamespace)))
			rels = lappend(rels,
						   makeVacuumRelation(makeRangeVar(get_namespace_name(form->relnamespace),
														   pstrdup(NameStr(form->relname)), -1),
											  form->oid, NIL));
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return rels;
}

static List *
without_slots(List *rels)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, rels)
	{
		VacuumRelation *rel = lfirst_node(VacuumRelation, lc);
		Oid			relid = OidIsValid(rel->oid) ? rel->oid :
		RangeVarGetRelid(rel->relation, NoLock, true);

		if (OidIsValid(relid) &&
			get_rel_namespace(relid) == vp_extension()->store_schema)
			ereport(WARNING,
					(errmsg("skipping \"%s\": it belongs to vibepiper",
							get_rel_name(relid))));
		else
			kept = lappend(kept, rel);
	}
	return kept;
}

static bool
is_vacuum_full(const VacuumStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "full") == 0)
			return defGetBoolean(option);
	}
	return false;
}

/* The relation that a statement changes, as far as no other hook is told. */
static RangeVar *
changed_relation(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CopyStmt:
			return ((CopyStmt *) stmt)->is_from ? ((CopyStmt *) stmt)->relation : NULL;
		case T_AlterTableStmt:
			return ((AlterTableStmt *) stmt)->relation;
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->relation;
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->relation;
		case T_CreateTrigStmt:
			return ((CreateTrigStmt *) stmt)->relation;
		case T_RuleStmt:
			return ((RuleStmt *) stmt)->relation;
		case T_CreatePolicyStmt:
			return ((CreatePolicyStmt *) stmt)->table;
		case T_CreateStmt:
			return ((CreateStmt *) stmt)->inhRelations == NIL ? NULL :
				linitial(((CreateStmt *) stmt)->inhRelations);
		default:
			return NULL;
	}
}

static void
refuse_relation(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);

	if (OidIsValid(relid))
		refuse_write(relid);
}

static bool
is_definition(RangeVar *name)
{
	Oid			relid = name == NULL ? InvalidOid : RangeVarGetRelid(name, NoLock, true);

	return OidIsValid(relid) &&
		get_rel_namespace(relid) == vp_extension()->def_schema;
}

bool
vp_is_dummy_query(const Query *query)
{
	ListCell   *lc;

	if (query->jointree->fromlist != NIL || query->jointree->quals != NULL ||
		query->setOperations != NULL || query->cteList != NIL)
		return false;
	foreach(lc, query->targetList)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

		while (IsA(expr, CollateExpr))
			expr = (Node *) ((CollateExpr *) expr)->arg;
		expr = strip_implicit_coercions(expr);
		if (IsA(expr, CoerceToDomain))
			expr = (Node *) ((CoerceToDomain *) expr)->arg;
		if (!IsA(expr, Const) || !((Const *) expr)->constisnull)
			return false;
	}
	return true;
}

/*
 * The same of a query that is only parsed.  pg_dump --clean makes dummies of
 * views before it drops what they need.
 */
static bool
makes_dummy(Node *query)
{
	SelectStmt *select = (SelectStmt *) query;
	ListCell   *lc;

	if (!IsA(query, SelectStmt) || select->op != SETOP_NONE || select->fromClause != NIL ||
		select->whereClause != NULL || select->withClause != NULL || select->valuesLists != NIL)
		return false;
	foreach(lc, select->targetList)
	{
		Node	   *value = lfirst_node(ResTarget, lc)->val;

		if (IsA(value, CollateClause))
			value = ((CollateClause *) value)->arg;
		if (!IsA(value, TypeCast))
			return false;
		value = ((TypeCast *) value)->arg;
		if (!IsA(value, A_Const) || !((A_Const *) value)->isnull)
			return false;
	}
	return true;
}

static bool
is_dummy(const RangeVar *name)
{
	Relation	rel = relation_openrv(name, AccessShareLock);
	bool		dummy = rel->rd_rel->relkind == RELKIND_VIEW &&
	vp_is_dummy_query(get_view_query(rel));

	relation_close(rel, NoLock);
	return dummy;
}

/* A note is written once by a restore, and then by us. */
static bool
changes_note(const CommentStmt *stmt)
{
	RangeVar   *name;
	Oid			relid;

	if (stmt->objtype == OBJECT_COLUMN)
		return is_definition(makeRangeVarFromNameList(list_copy_head(castNode(List, stmt->object),
																	 list_length((List *) stmt->object) - 1)));
	if (stmt->objtype != OBJECT_VIEW)
		return false;
	name = makeRangeVarFromNameList(castNode(List, stmt->object));
	if (!is_definition(name))
		return false;
	relid = RangeVarGetRelid(name, NoLock, true);
	return GetComment(relid, RelationRelationId, 0) != NULL;
}

/*
 * Would the statement change a definition view?  Creating one with its note,
 * as a restore does, and giving it to another owner is allowed.
 */
static bool
changes_definition(Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_ViewStmt:
			return ((ViewStmt *) stmt)->replace &&
				is_definition(((ViewStmt *) stmt)->view) && !is_dummy(((ViewStmt *) stmt)->view) &&
				!makes_dummy(((ViewStmt *) stmt)->query);
		case T_RenameStmt:
			return is_definition(((RenameStmt *) stmt)->relation);
		case T_RuleStmt:
			return is_definition(((RuleStmt *) stmt)->relation);
		case T_CreateTrigStmt:
			return is_definition(((CreateTrigStmt *) stmt)->relation);
		case T_AlterObjectSchemaStmt:
			return is_definition(((AlterObjectSchemaStmt *) stmt)->relation);
		case T_CommentStmt:
			return changes_note((CommentStmt *) stmt);
		case T_AlterTableStmt:
			foreach(lc, ((AlterTableStmt *) stmt)->cmds)
				if (lfirst_node(AlterTableCmd, lc)->subtype != AT_ChangeOwner)
				return is_definition(((AlterTableStmt *) stmt)->relation);
			return false;
		default:
			return false;
	}
}

/*
 * An asset's code leaves nothing behind.  The server refuses it temporary
 * tables, which the session's user might take for others, but not temporary
 * types and functions.
 */
static void
refuse_ddl_of_assets(Node *stmt)
{
	if (vp_owners_code_runs() && GetCommandLogLevel(stmt) == LOGSTMT_DDL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot execute %s while an asset is computed",
						CreateCommandName(stmt))));
}

static void
refuse_utility(Node *stmt)
{
	RangeVar   *name = changed_relation(stmt);
	ListCell   *lc;

	refuse_ddl_of_assets(stmt);
	if (name != NULL)
		refuse_relation(name);
	if (changes_definition(stmt))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot change a definition by hand"),
				 errhint("Use vibepiper.define_asset().")));
	if (IsA(stmt, CreateStmt) && ((CreateStmt *) stmt)->relation->schemaname != NULL &&
		strcmp(((CreateStmt *) stmt)->relation->schemaname, "vibepiper_store") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("schema \"vibepiper_store\" belongs to vibepiper")));
	if (IsA(stmt, DropStmt) && ((DropStmt *) stmt)->removeType == OBJECT_INDEX)
		foreach(lc, ((DropStmt *) stmt)->objects)
			refuse_relation(makeRangeVarFromNameList(lfirst_node(List, lc)));
}

static void
utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (IsTransactionState() && vp_extension()->installed)
		refuse_utility(pstmt->utilityStmt);
	if (IsA(pstmt->utilityStmt, VacuumStmt) &&
		is_vacuum_full((VacuumStmt *) pstmt->utilityStmt) &&
		IsTransactionState() && vp_extension()->installed)
	{
		VacuumStmt *stmt;
		bool		all;

		pstmt = copyObject(pstmt);
		stmt = (VacuumStmt *) pstmt->utilityStmt;
		all = stmt->rels == NIL;
		stmt->rels = all ? tables_to_rewrite() : without_slots(stmt->rels);
		if (stmt->rels == NIL)
			return;
	}
	if (prev_utility_hook)
		prev_utility_hook(pstmt, query_string, read_only_tree, context, params,
						  env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, env, dest, qc);
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT)
		open_guards = 0;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mine,
				 SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && open_guards > 0 &&
		guard_level >= GetCurrentTransactionNestLevel())
		open_guards = 0;
}

void
vp_guard_init(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = object_access;
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility;
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
