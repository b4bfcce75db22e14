/*
 * ddl.c
 *	  DDL statements that concern pipelines and assets as a whole: DROP OWNED,
 *	  REASSIGN OWNED, DROP SCHEMA, ALTER SCHEMA ... RENAME.
 *
 * Slots are the extension's, which DROP OWNED won't touch, so we go first.
 * REASSIGN OWNED takes all of an asset along by itself if it may.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"
#include "common/extension.h"
#include "compat/compat.h"
#include "define/define.h"
#include "define/detach.h"
#include "define/follow.h"
#include "define/ddl.h"
#include "define/pipeline_define.h"
#include "store/compute.h"
#include "store/guard.h"

static ProcessUtility_hook_type prev_utility_hook = NULL;

/* Error unless the current user has the rights of the role. */
static Oid
role_of(RoleSpec *spec)
{
	Oid			role = get_rolespec_oid(spec, false);

	if (!has_privs_of_role(GetUserId(), role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change objects of role \"%s\"",
						GetUserNameFromId(role, false))));
	return role;
}

static void
drop_owned(List *roles, bool cascade)
{
	ListCell   *r;
	ListCell   *p;

	foreach(r, roles)
		foreach(p, vp_pipelines_of_owner(role_of(lfirst_node(RoleSpec, r))))
	{
		const VpPipeline *pipeline = lfirst(p);
		List	   *assets = vp_assets_of_pipeline(pipeline->id);

		vp_pipeline_lock(pipeline->id);
		if (assets != NIL)
			(void) vp_drop(assets, cascade);
		vp_drop_pipeline(pipeline, false);
	}
}

/* A pipeline that has other schemas survives the loss of one. */
static void
drop_schemas(const DropStmt *stmt)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	if (stmt->behavior != DROP_CASCADE)
		return;
	foreach(lc, stmt->objects)
	{
		Oid			schema = get_namespace_oid(strVal(lfirst(lc)), true);

		if (OidIsValid(schema) && vp_owns_schema(schema))
			schemas = lappend_oid(schemas, schema);
	}
	vp_pipelines_give_up(schemas);
}

/* A stub that a partial restore makes without its definition. */
static void
restore_error_callback(void *arg)
{
	if (geterrcode() == ERRCODE_UNDEFINED_TABLE)
		errhint("Restore schema vibepiper_def first (pg_dump -n vibepiper_def), then call vibepiper.adopt_assets().");
}

/* A source gets another type, which PostgreSQL refuses for the views' sake. */
static void
retype_error_callback(void *arg)
{
	if (geterrcode() == ERRCODE_FEATURE_NOT_SUPPORTED)
		errhint("Assets read it: call vibepiper.detach_source() before, and attach_source() after.");
}

static bool
retypes_source(Node *stmt)
{
	Oid			relid;
	ListCell   *lc;

	if (!IsA(stmt, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) stmt)->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype != AT_AlterColumnType)
			continue;
		relid = RangeVarGetRelid(((AlterTableStmt *) stmt)->relation, NoLock, true);
		return OidIsValid(relid) && vp_detach_would_help(relid);
	}
	return false;
}

static bool
is_read_asset(Node *item)
{
	List	   *call;
	List	   *name;

	if (!IsA(item, RangeFunction))
		return false;
	call = linitial_node(List, ((RangeFunction *) item)->functions);
	if (!IsA(linitial(call), FuncCall))
		return false;
	name = ((FuncCall *) linitial(call))->funcname;
	return list_length(name) == 2 && strcmp(strVal(linitial(name)), "vibepiper") == 0 &&
		strcmp(strVal(lsecond(name)), "read_asset") == 0;
}

static bool
creates_stub(Node *stmt)
{
	Node	   *query;
	ListCell   *lc;

	if (!IsA(stmt, ViewStmt))
		return false;
	query = ((ViewStmt *) stmt)->query;
	if (!IsA(query, SelectStmt))
		return false;
	foreach(lc, ((SelectStmt *) query)->fromClause)
		if (is_read_asset(lfirst(lc)))
		return true;
	return false;
}

/* The definition would not have the name: one of the two would be wrong. */
static void
refuse_column_names(const RenameStmt *stmt)
{
	Oid			relid;
	VpAsset    *asset;

	if (stmt->renameType != OBJECT_COLUMN || stmt->relation == NULL)
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	asset = OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_VIEW
		? vp_asset_by_stub(relid) : NULL;
	if (asset != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot rename columns of asset %s by hand", asset->display),
				 errhint("Rename them in its query, with vibepiper.define_asset().")));
}

static void
utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;
	ErrorContextCallback callback = {
		.previous = error_context_stack
	};
	bool		ours = (IsA(stmt, DropOwnedStmt) || IsA(stmt, ReassignOwnedStmt)) &&
	IsTransactionState() && vp_extension()->installed;

	if (ours)
		vp_refuse_inside_asset(CreateCommandName(stmt));
	if (IsA(stmt, DropStmt) && ((DropStmt *) stmt)->removeType == OBJECT_SCHEMA &&
		IsTransactionState() && vp_extension()->installed)
		drop_schemas((DropStmt *) stmt);

	if (ours && IsA(stmt, DropOwnedStmt))
		drop_owned(((DropOwnedStmt *) stmt)->roles,
				   ((DropOwnedStmt *) stmt)->behavior == DROP_CASCADE);
	if (IsA(stmt, RenameStmt) && IsTransactionState() && vp_extension()->installed)
		refuse_column_names((RenameStmt *) stmt);
	if (creates_stub(stmt))
		callback.callback = restore_error_callback;
	else if (IsTransactionState() && vp_extension()->installed && retypes_source(stmt))
		callback.callback = retype_error_callback;
	if (callback.callback != NULL)
		error_context_stack = &callback;
	if (ours)
		vp_guard_open();		/* slots change owner with their assets */
	if (prev_utility_hook)
		prev_utility_hook(pstmt, query_string, read_only_tree, context, params,
						  env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, env, dest, qc);
	error_context_stack = callback.previous;
	if (ours)
		vp_guard_close();
	if (IsA(stmt, RenameStmt) && ((RenameStmt *) stmt)->renameType == OBJECT_SCHEMA &&
		IsTransactionState() && vp_extension()->installed)
		vp_follow_schema_name(((RenameStmt *) stmt)->subname, ((RenameStmt *) stmt)->newname);
}

void
vp_ddl_init(void)
{
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility;
}
