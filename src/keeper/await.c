/*
 * await.c
 *	  Readers of an asset that a crash took wait until the keeper has rebuilt
 *	  it, instead of each computing it.
 *
 * A reader waits only as long as a rebuild is under way or about to begin.  It
 * doesn't if that could wait for the reader in turn: if its transaction has
 * written something, or if the rebuild is held up by a lock, whoever has that.
 *
 * The rebuilt version is newer than the reader's snapshot.  It is right for the
 * snapshot if no transaction that wrote a source is seen by only one of the two
 * (freshness/sources.h), and if the snapshot sees the same rows of upstream assets.
 * Its rows are frozen, so they are visible.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "catalog/asset.h"
#include "catalog/slots.h"
#include "catalog/version.h"
#include "common/wanted.h"
#include "freshness/sources.h"
#include "keeper/keeper.h"
#include "run/blocked.h"
#include "store/compute.h"
#include "store/resolve.h"
#include "store/staged.h"

/* How often, in milliseconds, a reader looks whether the rebuild gets on. */
#define LOOK_EVERY 1000

static bool
same_upstream(int32 id, const VpHash *hash, Snapshot snapshot)
{
	const VpAsset *upstream = vp_asset_by_id(id);
	VpResolution res;
	VpHash		sum = {0};
	ListCell   *lc;

	if (upstream == NULL || !vp_resolve(upstream->def, snapshot, &res) || !res.hit)
		return false;
	if (res.slots == NIL)
		sum = vp_slot_data_hash(res.slot);
	foreach(lc, res.slots)
		vp_hash_add(&sum, vp_slot_data_hash(lfirst_oid(lc)));
	return vp_hash_equal(sum, *hash);
}

static bool
is_right_for(const VpResolution *res, Snapshot snapshot)
{
	const VpVersion *version = res->slots == NIL ? vp_slot_version(res->slot) : NULL;
	VpAsking	asking = {
		.instant = vp_instant(snapshot, 0),
		.latest = vp_instant(GetLatestSnapshot(), 0)
	};
	ListCell   *id;
	ListCell   *hash;

	if (version == NULL || version->sources == NULL ||
		vp_sources_difference(version->sources, &asking) != NULL)
		return false;
	forboth(id, version->upstreams, hash, version->upstream_hashes)
		if (!same_upstream(lfirst_int(id), lfirst(hash), snapshot))
		return false;
	return true;
}

/* Not who computes assets, nor who could be waited for. */
static bool
may_wait(void)
{
	return MyBackendType == B_BACKEND && !vp_staged_active() && !IsInParallelMode() &&
		!vp_owners_code_runs() && !TransactionIdIsValid(GetTopTransactionIdIfAny());
}

static bool
rebuild_gets_on(void)
{
	int			keeper;

	return vp_wanted_rebuilds(&keeper) && (keeper == 0 || !vp_held_up(keeper));
}

static void
await(Snapshot snapshot, VpResolution *res)
{
	const VpAsset *asset;
	bool		found = false;

	if (vp_staged_active() || IsInParallelMode() || !IsMVCCSnapshot(snapshot))
		return;
	asset = vp_asset_by_id(res->info.id);
	while (asset != NULL && !(found = vp_resolve_latest(res)) && may_wait() && rebuild_gets_on())
	{
		CHECK_FOR_INTERRUPTS();
		vp_wanted_sleep(LOOK_EVERY);
	}
	vp_wanted_end_sleep();
	if (found && !is_right_for(res, snapshot))
	{
		VpResolution miss = {.def = res->def,.info = res->info};

		*res = miss;
	}
}

void
vp_await_init(void)
{
	vp_lost_hook = await;
}
