/*
 * miss.c
 *	  read_asset(), and what it computes when a name means no version.
 *
 * The planner hook replaces most calls.  What arrives here are misses whose
 * definition can't be inlined, and calls that the hook never saw.
 *
 * The rows of a missing asset are computed once per statement and kept in its
 * memo; its missing upstreams come first, upstream-most first, so that chains
 * need no recursion and diamonds are linear.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/point.h"
#include "compat/compat.h"
#include "store/compute.h"
#include "store/miss.h"
#include "store/reads.h"
#include "store/resolve.h"

PG_FUNCTION_INFO_V1(vp_read_asset);

/* Rows of missing assets, computed for one statement; lives in its context. */
typedef struct Memo
{
	EState	   *statement;
	MemoryContext context;
	ResourceOwner owner;		/* of temporary files */
	HTAB	   *stores;
	List	   *filled;			/* of Tuplestorestate *, to be ended */
	MemoryContextCallback callback;
	struct Memo *next;
} Memo;

typedef struct MemoEntry
{
	Oid			def;			/* hash key */
	Tuplestorestate *store;		/* NULL: to be computed */
} MemoEntry;

enum
{
	ON_MISS_ASSET, ON_MISS_COMPUTE, ON_MISS_ERROR
};

static const struct config_enum_entry on_miss_options[] = {
	{"asset", ON_MISS_ASSET, false},
	{"compute", ON_MISS_COMPUTE, false},
	{"error", ON_MISS_ERROR, false},
	{NULL, 0, false}
};

static int	on_miss = ON_MISS_ASSET;
static Memo *memos = NULL;
static Memo *computing = NULL;

bool
vp_miss_is_error(const VpAssetInfo *info)
{
	if (info->detached)
		return true;
	if (info->lazy)
		return false;
	return on_miss == ON_MISS_ASSET ? info->error_on_miss : on_miss == ON_MISS_ERROR;
}

bool
vp_miss_computing(void)
{
	return computing != NULL;
}

static void
unlink_memo(void *arg)
{
	for (Memo **at = &memos; *at != NULL; at = &(*at)->next)
	{
		if (*at == arg)
		{
			*at = (*at)->next;
			break;
		}
	}
	if (computing == arg)
		computing = NULL;
}

/* The statement ends normally: let go of its temporary files. */
void
vp_miss_end_statement(EState *statement)
{
	Memo	   *memo = memos;
	ListCell   *lc;

	while (memo != NULL && memo->statement != statement)
		memo = memo->next;
	if (memo == NULL)
		return;
	foreach(lc, memo->filled)
		tuplestore_end(lfirst(lc));
	memo->filled = NIL;
	hash_destroy(memo->stores);
	unlink_memo(memo);
}

static Memo *
memo_of(EState *statement)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(MemoEntry)
	};
	Memo	   *memo;

	if (computing != NULL)
		return computing;

	/* a recheck of changed rows is part of its statement */
	while (statement->es_epq_active != NULL)
		statement = statement->es_epq_active->parentestate;
	for (memo = memos; memo != NULL; memo = memo->next)
		if (memo->statement == statement)
			return memo;
	memo = MemoryContextAllocZero(statement->es_query_cxt, sizeof(Memo));
	memo->statement = statement;
	memo->owner = CurrentResourceOwner;
	memo->context = AllocSetContextCreate(statement->es_query_cxt,
										  "vibepiper rows of missing assets",
										  ALLOCSET_DEFAULT_SIZES);
	ctl.hcxt = memo->context;
	memo->stores = hash_create("vibepiper missing assets", 16, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	memo->callback.func = unlink_memo;
	memo->callback.arg = memo;
	MemoryContextRegisterResetCallback(statement->es_query_cxt, &memo->callback);
	memo->next = memos;
	memos = memo;
	return memo;
}

static void
raise_miss(const VpAssetInfo *info)
{
	if (info->detached)
		vp_refuse_detached(vp_asset_by_id(info->id));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("asset %s has no stored version", vp_relation_name(info->stub)),
			 errdetail("It was never built, lost in a crash, or its columns have changed since; on_miss is 'error'."),
			 errhint("Run its pipeline with vibepiper.run().")));
}

/*
 * Is this asset to be computed for the statement (and not known to be yet)?
 * Not for somebody who only declares to depend on it: an error could tell of
 * its rows.
 */
static bool
needs_computing(Memo *memo, const VpAsset *asset, Oid reader, Snapshot snapshot)
{
	VpResolution res;

	if (pg_class_aclcheck(asset->stub, reader, ACL_SELECT) != ACLCHECK_OK)
		return false;
	if (hash_search(memo->stores, &asset->def, HASH_FIND, NULL) != NULL)
		return false;
	if (!vp_resolve(asset->def, snapshot, &res) || vp_miss_is_error(&res.info))
		return false;			/* if it is read, that will say so */
	return !res.hit || !vp_columns_match(asset->def, res.slot);
}

/* A store that outlives the subtransaction in which it may be filled. */
static Tuplestorestate *
begin_store(const Memo *memo)
{
	ResourceOwner owner = CurrentResourceOwner;
	Tuplestorestate *store;

	CurrentResourceOwner = memo->owner;
	store = tuplestore_begin_heap(true, false, work_mem);
	CurrentResourceOwner = owner;
	return store;
}

static void
compute_into_memo(Memo *memo, const VpAsset *asset, Snapshot snapshot)
{
	VpPipeline *pipeline = vp_pipeline_by_id(asset->pipeline_id);
	MemoryContext old = MemoryContextSwitchTo(memo->context);
	MemoryContext work = AllocSetContextCreate(memo->context, "vibepiper computing",
											   ALLOCSET_DEFAULT_SIZES);
	Tuplestorestate *store = begin_store(memo);
	DestReceiver *dest = CreateTuplestoreDestReceiver();
	VpIdentity	identity;
	MemoEntry  *entry;

	SetTuplestoreDestReceiverParams(dest, store, memo->context, true, NULL, NULL);
	MemoryContextSwitchTo(work);
	vp_identity_enter(&identity, asset, pipeline ? pipeline->settings : NIL);
	VP_POINT("miss.computing");
	vp_compute(asset, snapshot, false, dest);
	VP_POINT("miss.computed");
	vp_identity_leave(&identity);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	entry = hash_search(memo->stores, &asset->def, HASH_FIND, NULL);
	entry->store = store;
	old = MemoryContextSwitchTo(memo->context);
	memo->filled = lappend(memo->filled, store);
	MemoryContextSwitchTo(old);
}

/*
 * Missing assets that this one needs, itself last: a depth-first walk with a
 * stack of its own.  Each is entered in the memo, so that it comes up once.
 */
static List *
missing_closure(Memo *memo, VpAsset *top, Snapshot snapshot, List **entered)
{
	List	   *stack = list_make1(top);
	List	   *opened = NIL;	/* ids of those on the stack that were
								 * expanded */
	List	   *order = NIL;

	while (stack != NIL)
	{
		VpAsset    *asset = llast(stack);
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		if (opened != NIL && llast_int(opened) == asset->id)
		{
			opened = list_delete_last(opened);
			stack = list_delete_last(stack);
			order = lappend(order, asset);
			continue;
		}
		if (hash_search(memo->stores, &asset->def, HASH_FIND, NULL) != NULL)
		{
			stack = list_delete_last(stack);
			continue;
		}
		((MemoEntry *) hash_search(memo->stores, &asset->def, HASH_ENTER, NULL))->store = NULL;
		*entered = lappend_oid(*entered, asset->def);
		opened = lappend_int(opened, asset->id);
		foreach(lc, vp_asset_upstream_ids(asset->id))
		{
			VpAsset    *upstream = vp_asset_by_id(lfirst_int(lc));

			if (upstream != NULL && needs_computing(memo, upstream, asset->owner, snapshot))
				stack = lappend(stack, upstream);
		}
	}
	return order;
}

/* Remove entries that an error left without rows. */
static void
forget_unfilled(Memo *memo, List *entered)
{
	ListCell   *lc;

	foreach(lc, entered)
	{
		Oid			def = lfirst_oid(lc);
		MemoEntry  *entry = hash_search(memo->stores, &def, HASH_FIND, NULL);

		if (entry != NULL && entry->store == NULL)
			(void) hash_search(memo->stores, &def, HASH_REMOVE, NULL);
	}
}

static void
compute_missing(Memo *memo, Oid def, Snapshot snapshot)
{
	VpAsset    *asset = vp_asset_by_def(def);
	Memo	   *outer = computing;
	List	  **entered = palloc0(sizeof(List *));
	ListCell   *lc;

	computing = memo;
	PG_TRY();
	{
		foreach(lc, missing_closure(memo, asset, snapshot, entered))
			compute_into_memo(memo, lfirst(lc), snapshot);
		computing = outer;
	}
	PG_CATCH();
	{
		/* whoever catches this may read again */
		computing = outer;
		forget_unfilled(memo, *entered);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
copy_store(Tuplestorestate *from, Tuplestorestate *to, TupleDesc desc)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);

	tuplestore_rescan(from);
	while (tuplestore_gettupleslot(from, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_puttupleslot(to, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
give_missing(const VpResolution *res, EState *statement, Tuplestorestate *to,
			 TupleDesc desc)
{
	Memo	   *memo = memo_of(statement);
	MemoEntry  *entry = hash_search(memo->stores, &res->def, HASH_FIND, NULL);

	if (entry == NULL)
	{
		compute_missing(memo, res->def, statement->es_snapshot);
		entry = hash_search(memo->stores, &res->def, HASH_FIND, NULL);
	}
	if (entry->store == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_RECURSION),
				 errmsg("asset %s needs its own rows", vp_relation_name(res->info.stub)),
				 errdetail("Its query reads it through a function or another view.")));
	copy_store(entry->store, to, desc);
}

static void
give_slot(Oid slot_relation, Snapshot snapshot, Tuplestorestate *to)
{
	Relation	rel = relation_open(slot_relation, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = vp_begin_scan(rel, snapshot);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_puttupleslot(to, slot);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	relation_close(rel, NoLock);
}

static void
check_caller(const VpAssetInfo *info)
{
	AclResult	acl = pg_class_aclcheck(info->stub, GetUserId(), ACL_SELECT);

	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_VIEW, get_rel_name(info->stub));
}

static void
check_columns(TupleDesc expected, Oid def, const VpAssetInfo *info)
{
	Relation	rel = relation_open(def, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	bool		match = expected->natts == desc->natts;

	for (int i = 0; match && i < desc->natts; i++)
		match = TupleDescAttr(expected, i)->atttypid == TupleDescAttr(desc, i)->atttypid &&
			TupleDescAttr(expected, i)->atttypmod == TupleDescAttr(desc, i)->atttypmod;
	relation_close(rel, NoLock);
	if (!match)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the column definition list does not match asset %s",
						vp_relation_name(info->stub)),
				 errhint("Read the asset by its name instead.")));
}

static Tuplestorestate *
prepare_result(FunctionCallInfo fcinfo, ReturnSetInfo *rsinfo)
{
	MemoryContext old;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		!(rsinfo->allowedModes & SFRM_Materialize) || rsinfo->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("read_asset() stands in FROM only, with a column definition list")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
											  false, work_mem);
	rsinfo->setDesc = CreateTupleDescCopy(rsinfo->expectedDesc);
	MemoryContextSwitchTo(old);
	return rsinfo->setResult;
}

/*
 * read_asset(regclass) returns setof record.  The planner hook adds a second
 * argument to calls whose rights the executor has checked.
 */
Datum
vp_read_asset(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			def = PG_GETARG_OID(0);
	Tuplestorestate *store;
	EState	   *statement;
	VpResolution res;
	bool		in_place;
	ListCell   *lc;

	(void) vp_extension_required();
	store = prepare_result(fcinfo, rsinfo);
	statement = rsinfo->econtext->ecxt_estate;
	if (!vp_resolve(def, statement->es_snapshot, &res))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s is not the definition of an asset", vp_relation_name(def)),
				 get_rel_namespace(def) == vp_extension()->def_schema
				 ? errhint("After a restore, call vibepiper.adopt_assets().") : 0));
	if (PG_NARGS() == 1)
		check_caller(&res.info);
	check_columns(rsinfo->expectedDesc, def, &res.info);
	in_place = !res.hit || !vp_columns_match(def, res.slot);
	/* the names of a replaced call are its statement's */
	vp_reads_note_asset(def, PG_NARGS() == 1, in_place);
	if (in_place)
	{
		if (vp_miss_is_error(&res.info))
			raise_miss(&res.info);
		give_missing(&res, statement, store, rsinfo->expectedDesc);
		return (Datum) 0;
	}
	if (res.slots == NIL)
		give_slot(res.slot, statement->es_snapshot, store);
	foreach(lc, res.slots)
		give_slot(lfirst_oid(lc), statement->es_snapshot, store);
	return (Datum) 0;
}

void
vp_miss_init(void)
{
	DefineCustomEnumVariable("vibepiper.on_miss",
							 "What reading an asset without a stored version does.",
							 "asset: what the asset or its pipeline says.",
							 &on_miss, ON_MISS_ASSET, on_miss_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}
