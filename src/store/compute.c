/*
 * compute.c
 *	  Run an asset's definition as its owner.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "common/settings.h"
#include "compat/compat.h"
#include "store/compute.h"
#include "store/miss.h"
#include "store/replace.h"
#include "store/staged.h"

void
vp_identity_enter(VpIdentity *identity, const VpAsset *asset,
				  List *pipeline_settings)
{
	GetUserIdAndSecContext(&identity->user, &identity->security);
	SetUserIdAndSecContext(asset->owner,
						   identity->security | SECURITY_RESTRICTED_OPERATION);
	identity->guc_level = NewGUCNestLevel();
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

void
vp_compute(const VpAsset *asset, Snapshot snapshot, DestReceiver *dest)
{
	Query	   *query;
	PlannedStmt *plan;
	QueryDesc  *desc;

	PushCopiedSnapshot(snapshot);
	UpdateActiveSnapshotCommandId();
	query = vp_definition_query(asset->def);
	plan = vp_plan(query, asset->query, CURSOR_OPT_PARALLEL_OK, NULL);
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
	if (vp_staged_active() || vp_miss_computing())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s can't be called while an asset is computed", function)));
}
