/*
 * owned.c
 *	  DROP OWNED and REASSIGN OWNED do to pipelines what they do to tables.
 *
 * Pipelines are no objects that PostgreSQL knows, and slots are the
 * extension's, which DROP OWNED won't touch; so we go first.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"
#include "common/extension.h"
#include "define/define.h"
#include "define/owned.h"
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
		vp_pipeline_delete(pipeline->id);
	}
}

static void
reassign_owned(List *roles, RoleSpec *new_owner)
{
	Oid			owner = role_of(new_owner);
	ListCell   *r;
	ListCell   *p;

	foreach(r, roles)
		foreach(p, vp_pipelines_of_owner(role_of(lfirst_node(RoleSpec, r))))
	{
		VpPipeline *pipeline = lfirst(p);

		vp_pipeline_lock(pipeline->id);
		pipeline->owner = owner;
		vp_pipeline_update(pipeline);
	}
}

static void
utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;
	bool		ours = (IsA(stmt, DropOwnedStmt) || IsA(stmt, ReassignOwnedStmt)) &&
	IsTransactionState() && vp_extension()->installed;

	if (ours && IsA(stmt, DropOwnedStmt))
		drop_owned(((DropOwnedStmt *) stmt)->roles,
				   ((DropOwnedStmt *) stmt)->behavior == DROP_CASCADE);
	if (ours && IsA(stmt, ReassignOwnedStmt))
		reassign_owned(((ReassignOwnedStmt *) stmt)->roles,
					   ((ReassignOwnedStmt *) stmt)->newrole);
	if (ours)
		vp_guard_open();		/* slots change owner with their assets */
	if (prev_utility_hook)
		prev_utility_hook(pstmt, query_string, read_only_tree, context, params,
						  env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, env, dest, qc);
	if (ours)
		vp_guard_close();
}

void
vp_owned_init(void)
{
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility;
}
