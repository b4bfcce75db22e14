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

/* Of the asset that is computed, until its execution begins. */
static const PlannedStmt *own_plan = NULL;

bool
vp_compute_begins(const PlannedStmt *plan)
{
	bool		begins = plan == own_plan;

	own_plan = NULL;
	return begins;
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
	PlannedStmt *plan;
	QueryDesc  *desc;

	if (asset->detached)
		vp_refuse_detached(asset);
	PushCopiedSnapshot(snapshot);
	if (own_changes)
		UpdateActiveSnapshotCommandId();
	query = vp_definition_query(asset->def);
	plan = vp_plan(query, asset->query, CURSOR_OPT_PARALLEL_OK, NULL);
	own_plan = plan;
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
