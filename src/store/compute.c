/*
 * compute.c
 *	  Run an asset's definition as its owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "common/settings.h"
#include "compat/compat.h"
#include "store/compute.h"
#include "store/miss.h"
#include "store/replace.h"
#include "store/staged.h"

/* A bit of the security context that the server doesn't use. */
#define OWNERS_CODE 0x10000

void
vp_owner_enter(VpIdentity *identity, Oid owner)
{
	GetUserIdAndSecContext(&identity->user, &identity->security);
	SetUserIdAndSecContext(owner, identity->security |
						   SECURITY_RESTRICTED_OPERATION | OWNERS_CODE);
	identity->guc_level = NewGUCNestLevel();
}

bool
vp_owners_code_runs(void)
{
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	return (security & OWNERS_CODE) != 0;
}

void
vp_identity_enter(VpIdentity *identity, const VpAsset *asset,
				  List *pipeline_settings)
{
	vp_owner_enter(identity, asset->owner);
	vp_settings_apply(asset->environment);
	vp_settings_apply(pipeline_settings);
	vp_settings_apply(asset->options.settings);
}

void
vp_identity_leave(const VpIdentity *identity)
{
	AtEOXact_GUC(false, identity->guc_level);
	SetUserIdAndSecContext(identity->user, identity->security);
}

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

static bool
calls_user_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_user_code, context) ||
		IsA(node, CoerceToDomain))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, calls_user_code, context, 0);
	return expression_tree_walker(node, calls_user_code, context);
}

void
vp_refuse_detached(const VpAsset *asset)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("asset %s is detached from %s", asset->display,
					(char *) linitial(asset->detached_sources)),
			 errdetail("Its stored version is read, but it can't be computed."),
			 errhint("Call vibepiper.attach_source() when the source is as it shall be.")));
}

void
vp_compute(const VpAsset *asset, Snapshot snapshot, bool own_changes,
		   DestReceiver *dest)
{
	Query	   *query;
	int			options = 0;
	PlannedStmt *plan;
	QueryDesc  *desc;

	if (asset->detached)
		vp_refuse_detached(asset);
	PushCopiedSnapshot(snapshot);
	if (own_changes)
		UpdateActiveSnapshotCommandId();
	query = vp_definition_query(asset->def);

	/* parallel workers wouldn't know what this run staged */
	if (!vp_staged_active() || !calls_user_code((Node *) query, NULL))
		options |= CURSOR_OPT_PARALLEL_OK;
	plan = vp_plan(query, asset->query, options, NULL);
	desc = CreateQueryDesc(plan, asset->query, GetActiveSnapshot(),
						   InvalidSnapshot, dest, NULL, NULL, 0);
	ExecutorStart(desc, 0);
	vp_executor_run(desc);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
}

void
vp_refuse_inside_asset(const char *function)
{
	if (vp_staged_active() || vp_miss_computing() || vp_owners_code_runs())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s can't be called while an asset is computed", function)));
}
