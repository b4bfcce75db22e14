/*
 * compute.h
 *	  Run an asset's definition as its owner.
 */
#ifndef VP_COMPUTE_H
#define VP_COMPUTE_H

#include "postgres.h"

#include "nodes/plannodes.h"
#include "tcop/dest.h"
#include "utils/snapshot.h"

#include "catalog/asset.h"
#include "compat/compat.h"

/* The owner's identity and the recorded settings, between enter and leave. */
typedef struct VpIdentity
{
	Oid			user;
	int			security;
	int			guc_level;
} VpIdentity;

/*
 * Become this role, with SECURITY_RESTRICTED_OPERATION; what runs is code that
 * the role wrote.  An error needs no vp_identity_leave(): abort restores
 * everything.
 */
extern void vp_owner_enter(VpIdentity *identity, Oid owner);

/* Is that so now? */
extern bool vp_owners_code_runs(void);

/*
 * Become the asset's owner, with the recorded settings, then the pipeline's,
 * then the asset's.
 */
extern void vp_identity_enter(VpIdentity *identity, const VpAsset *asset,
							  List *pipeline_settings);
extern void vp_identity_leave(const VpIdentity *identity);

/* Error (55000): a source is detached, so there is nothing to compute. */
pg_noreturn extern void vp_refuse_detached(const VpAsset *asset);

/*
 * Send the definition's rows, as the snapshot sees its sources, to dest; with
 * own_changes, also what this transaction did since the snapshot was taken.
 * The caller has entered the owner's identity.
 */
extern void vp_compute(const VpAsset *asset, Snapshot snapshot, bool own_changes,
					   DestReceiver *dest);

/* Is this plan, whose execution begins, that of such a definition? */
extern bool vp_compute_begins(const PlannedStmt *plan);

/* Error (55000) if this backend is computing an asset: its query may only read. */
extern void vp_refuse_inside_asset(const char *function);

#endif							/* VP_COMPUTE_H */
