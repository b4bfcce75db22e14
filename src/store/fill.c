/*
 * fill.c
 *	  Write a version's rows into an empty slot, and hash them on the way.
 *
 * Rows go in by table_multi_insert in small batches: measured at 0.87 of the
 * time of CREATE TABLE AS with 16 to 32 rows, and 1.6 of it with 1,000, which
 * fall out of the processor's cache.  Each row is formed once; the formed
 * tuple is what is hashed and what is stored.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat/compat.h"
#include "store/fill.h"
#include "store/progress.h"

#define BATCH 32
#define OPTIONS (TABLE_INSERT_FROZEN | TABLE_INSERT_SKIP_FSM)

typedef struct FillReceiver
{
	DestReceiver pub;
	Oid			slot;
	uint64		seed;
	VpFilled	filled;
	Relation	rel;
	TupleDesc	desc;
	BulkInsertState bistate;
	BlockNumber npages;			/* written so far */
	CommandId	cid;
	int			nvarlena;		/* columns of variable length ... */
	int		   *varlena;		/* ... and which */
	bool	   *composite;		/* by column: of a row type */
	MemoryContext batch_context;	/* the batch's tuples */
	int			nbatch;
	TupleTableSlot *batch[BATCH];
} FillReceiver;

static void
find_varlenas(FillReceiver *f)
{
	f->varlena = palloc(sizeof(int) * Max(f->desc->natts, 1));
	f->composite = palloc0(sizeof(bool) * Max(f->desc->natts, 1));
	f->nvarlena = 0;
	for (int i = 0; i < f->desc->natts; i++)
	{
		if (TupleDescAttr(f->desc, i)->attlen != -1)
			continue;
		f->varlena[f->nvarlena++] = i;
		f->composite[i] = type_is_rowtype(TupleDescAttr(f->desc, i)->atttypid);
	}
}

static void
startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
	FillReceiver *f = (FillReceiver *) self;

	f->rel = table_open(f->slot, ShareUpdateExclusiveLock);
	f->desc = RelationGetDescr(f->rel);
	f->bistate = GetBulkInsertState();
	f->cid = GetCurrentCommandId(true);
	f->batch_context = AllocSetContextCreate(CurrentMemoryContext, "vibepiper fill",
											 ALLOCSET_DEFAULT_SIZES);
	find_varlenas(f);
	for (int i = 0; i < BATCH; i++)
		f->batch[i] = MakeSingleTupleTableSlot(f->desc, &TTSOpsHeapTuple);
}

static void
flush(FillReceiver *f)
{
	if (f->nbatch == 0)
		return;
	vp_limit_extension(f->bistate, f->npages / 16);
	table_multi_insert(f->rel, f->batch, f->nbatch, f->cid, OPTIONS, f->bistate);
	for (int i = 0; i < f->nbatch; i++)
	{
		f->npages = Max(f->npages, ItemPointerGetBlockNumber(&f->batch[i]->tts_tid) + 1);
		ExecClearTuple(f->batch[i]);
	}
	f->nbatch = 0;
	MemoryContextReset(f->batch_context);
	vp_progress_written(f->filled.rows, (uint64) f->npages * BLCKSZ);
	if (!PostmasterIsAlive())
		proc_exit(1);
}

/* Would the formed tuple's bytes depend on more than the value? */
static inline bool
is_irregular(const FillReceiver *f, int column, Datum value)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	return VARATT_IS_EXTERNAL(v) || VARATT_IS_COMPRESSED(v) || f->composite[column] ||
		(VARATT_IS_SHORT(v) &&
		 TupleDescAttr(f->desc, column)->attstorage == TYPSTORAGE_PLAIN);
}

/* The value uncompressed and inline; so are the fields of a row. */
static Datum
plain_value(Datum value, bool composite)
{
	struct varlena *v = detoast_attr((struct varlena *) DatumGetPointer(value));
	HeapTupleHeader row = (HeapTupleHeader) v;
	HeapTupleData tuple;
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;

	if (!composite)
		return PointerGetDatum(v);
	check_stack_depth();
	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
								  HeapTupleHeaderGetTypMod(row));
	values = palloc(sizeof(Datum) * desc->natts);
	nulls = palloc(sizeof(bool) * desc->natts);
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	tuple.t_data = row;
	heap_deform_tuple(&tuple, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			values[i] = plain_value(values[i],
									type_is_rowtype(TupleDescAttr(desc, i)->atttypid));
	value = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	ReleaseTupleDesc(desc);
	return value;
}

/* The tuple with all values plain and inline, or NULL if it is that already. */
static HeapTuple
regular_tuple(const FillReceiver *f, const Datum *values, const bool *nulls)
{
	Datum	   *plain = NULL;

	for (int i = 0; i < f->nvarlena; i++)
	{
		int			column = f->varlena[i];

		if (nulls[column] || !is_irregular(f, column, values[column]))
			continue;
		if (plain == NULL)
		{
			plain = palloc(sizeof(Datum) * f->desc->natts);
			memcpy(plain, values, sizeof(Datum) * f->desc->natts);
		}
		plain[column] = plain_value(values[column], f->composite[column]);
	}
	return plain == NULL ? NULL :
		heap_form_tuple(f->desc, plain, unconstify(bool *, nulls));
}

/* Would heap_form_tuple() store the value as it stands? */
static inline bool
is_as_formed(const FillReceiver *f, int column, Datum value)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	return !is_irregular(f, column, value) &&
		(VARATT_IS_SHORT(v) || !VARATT_CAN_MAKE_SHORT(v) ||
		 TupleDescAttr(f->desc, column)->attstorage == TYPSTORAGE_PLAIN);
}

/*
 * A copy of the slot's tuple if it is to the byte what forming it from its
 * values would give, as the tuples of sorts, parallel workers and plain scans
 * mostly are; else NULL.
 */
static HeapTuple
formed_already(const FillReceiver *f, TupleTableSlot *slot)
{
	HeapTuple	tuple;

	if (TTS_IS_VIRTUAL(slot) ||
		slot->tts_tupleDescriptor->natts != f->desc->natts)
		return NULL;
	tuple = ExecCopySlotHeapTuple(slot);
	if (HeapTupleHeaderGetNatts(tuple->t_data) != f->desc->natts)
		return NULL;
	if (!HeapTupleHasVarWidth(tuple))
		return tuple;
	slot_getallattrs(slot);
	for (int i = 0; i < f->nvarlena; i++)
	{
		int			column = f->varlena[i];

		if (!slot->tts_isnull[column] &&
			!is_as_formed(f, column, slot->tts_values[column]))
			return NULL;
	}
	return tuple;
}

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	FillReceiver *f = (FillReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(f->batch_context);
	HeapTuple	tuple = formed_already(f, slot);
	HeapTuple	regular = NULL;

	if (tuple == NULL)
	{
		slot_getallattrs(slot);
		tuple = heap_form_tuple(f->desc, slot->tts_values, slot->tts_isnull);
		regular = regular_tuple(f, slot->tts_values, slot->tts_isnull);
	}
	vp_hash_add(&f->filled.data_hash,
				vp_hash_tuple(regular != NULL ? regular : tuple, f->seed));
	f->filled.rows++;
	ExecStoreHeapTuple(tuple, f->batch[f->nbatch++], false);
	MemoryContextSwitchTo(old);
	if (f->nbatch == BATCH)
		flush(f);
	return true;
}

static void
shutdown_receiver(DestReceiver *self)
{
	FillReceiver *f = (FillReceiver *) self;

	flush(f);
	for (int i = 0; i < BATCH; i++)
		ExecDropSingleTupleTableSlot(f->batch[i]);
	FreeBulkInsertState(f->bistate);
	table_finish_bulk_insert(f->rel, OPTIONS);
	table_close(f->rel, NoLock);
	MemoryContextDelete(f->batch_context);
}

static void
destroy(DestReceiver *self)
{
	pfree(self);
}

DestReceiver *
vp_fill_create(Oid slot, uint64 seed)
{
	FillReceiver *f = palloc0(sizeof(FillReceiver));

	f->pub.receiveSlot = receive;
	f->pub.rStartup = startup;
	f->pub.rShutdown = shutdown_receiver;
	f->pub.rDestroy = destroy;
	f->pub.mydest = DestIntoRel;
	f->slot = slot;
	f->seed = seed;
	return &f->pub;
}

VpFilled
vp_fill_result(DestReceiver *receiver)
{
	return ((FillReceiver *) receiver)->filled;
}
