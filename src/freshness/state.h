/*
 * state.h
 *	  A pipeline's assets with what is stored of them, and whether that is fresh.
 *
 * Loaded once, with one query per kind of row, under the active snapshot;
 * a run then updates it as its tasks finish.  Everything lives in the memory
 * context that was current in vp_state_load().
 */
#ifndef VP_STATE_H
#define VP_STATE_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "catalog/history.h"
#include "catalog/pipeline.h"
#include "common/hash.h"
#include "freshness/sources.h"
#include "graph/graph.h"

typedef enum VpAction
{
	VP_ACTION_NONE,				/* not selected */
	VP_ACTION_BUILD,
	VP_ACTION_MAYBE,			/* depends on what rebuilding an upstream
								 * gives */
	VP_ACTION_REUSE,			/* a stored version is right again */
	VP_ACTION_CACHED,
	VP_ACTION_DEFERRED
} VpAction;

typedef struct VpNode
{
	int32		id;
	Oid			def;
	Oid			stub;
	bool		external;		/* of another pipeline, read by this one */
	bool		cache;
	bool		lazy;
	bool		parallel;		/* may be built beside others */
	char		persistence;	/* that its slots are to have */
	int64		pinned_run;		/* 0: none */
	VpHash		code_hash;
	bool		in_place;		/* who reads it computes it */
	VpHash		code_in_place;	/* ... by this: see freshness/code.h */

	/* the published version */
	int64		version_id;		/* 0: none */
	Oid			slot;
	int64		rows;
	int64		elapsed;		/* microseconds that building it took */
	VpHash		version_code;
	VpHash		data_hash;
	List	   *upstreams;		/* of int: asset ids, and in the same order
								 * ... */
	List	   *upstream_hashes;	/* ... of VpHash *: what it was computed
									 * from */
	int64		incarnation;
	bool		has_ttl;		/* cache_ttl is given */
	bool		expired;
	bool		young;			/* not as old as max_staleness allows */
	bool		invalidated;
	bool		same_signature; /* as the asset's now */
	bytea	   *sources;		/* see freshness/sources.h; NULL: not known */

	/* decided */
	VpAction	action;
	char	   *reason;
	const struct VpVersion *reuse;	/* to be published instead */
	bool		tolerated;		/* stale, but left alone: max_staleness */
	VpHash		input_hash;		/* what a downstream that reads it now reads */
	const char *waits_for;		/* display name of what is built before that
								 * is certain; or NULL */
} VpNode;

typedef struct VpState
{
	VpPipeline *pipeline;
	VpAsking	asking;
	List	   *stored;			/* versions that may be right again; of
								 * VpVersion * */
	bool		stored_loaded;
	int			n;				/* of the pipeline; nodes beyond are external */
	int			ntotal;
	VpNode	   *nodes;
	VpGraphNode *graph_nodes;	/* only while loading */
	HTAB	   *index;			/* of nodes by the asset's id */
	HTAB	   *other_assets;	/* what was asked of those that aren't nodes */
	VpGraph    *graph;			/* of all nodes */
	VpGraph    *own;			/* of the pipeline's, for selections */
	int		   *order;			/* all nodes, upstreams first */
} VpState;

extern VpState *vp_state_load(VpPipeline *pipeline, bool with_selection_data);

/* The nodes that a selection names (NULL: all). */
extern Bitmapset *vp_state_select(VpState *state, const char *selection);

/* The nodes of the pipeline whose published version a crash took. */
extern Bitmapset *vp_state_lost(const VpState *state);

/*
 * Decide for one node whose upstreams are decided: sets action, reason and what
 * its readers get.  Nodes with action BUILD or MAYBE have not run yet; with such
 * upstreams the answer may be MAYBE.
 */
extern void vp_state_decide(VpState *state, int node, bool force);

/* Decide for all selected nodes, as if nothing had run yet. */
extern void vp_state_decide_all(VpState *state, Bitmapset *selected, bool force);

/* Its action, or those of its upstreams, are others: what does a reader get? */
extern void vp_state_settle(VpState *state, int node);

extern const char *vp_action_name(VpAction action);

#endif							/* VP_STATE_H */
