/*
 * slots.c
 *	  Rows of vibepiper.slot, and which slots can be filled again.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "catalog/slots.h"
#include "common/spi.h"

static List *
load_slots(VpStatement *statement, const Datum *values)
{
	VpSpi		spi;
	List	   *slots = NIL;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(spi.caller);
		VpSlot	   *slot = palloc0(sizeof(VpSlot));

		slot->oid = vp_col_oid(i, 1);
		slot->asset_id = vp_col_int32(i, 2, 0);
		slot->signature = vp_col_hash(i, 3);
		slot->persistence = vp_col_int32(i, 4, 0);
		slot->version_id = vp_col_int64(i, 5);
		slots = lappend(slots, slot);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	return slots;
}

#define SLOT_COLUMNS \
	"SELECT s.slot, s.asset_id, s.signature, ascii(s.persistence::text)," \
	" s.version_id FROM vibepiper.slot s "

List *
vp_slots_of_asset(int32 asset_id)
{
	static VpStatement statement = {
		SLOT_COLUMNS "WHERE asset_id = $1 ORDER BY slot", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(asset_id);

	return load_slots(&statement, &key);
}

/* A slot with what is known of its version. */
typedef struct Holding
{
	VpSlot	   *slot;
	int64		version_id;		/* 0: none */
	bool		published;
	bool		ever_published;
	bool		of_this_run;
	bool		superseded;		/* by a transaction older than the horizon */
} Holding;

/* Slots without version first, then by age of the version. */
static int
compare_holdings(const ListCell *a, const ListCell *b)
{
	const Holding *x = lfirst(a);
	const Holding *y = lfirst(b);

	if (x->version_id != y->version_id)
		return x->version_id < y->version_id ? -1 : 1;
	return x->slot->oid < y->slot->oid ? -1 : x->slot->oid > y->slot->oid;
}

static List *
read_holdings(uint64 n)
{
	List	   *holdings = NIL;

	for (uint64 i = 0; i < n; i++)
	{
		Holding    *h = palloc0(sizeof(Holding));

		h->slot = palloc0(sizeof(VpSlot));
		h->slot->oid = vp_col_oid(i, 1);
		h->slot->asset_id = vp_col_int32(i, 2, 0);
		h->slot->signature = vp_col_hash(i, 3);
		h->slot->persistence = vp_col_int32(i, 4, 0);
		h->slot->version_id = vp_col_int64(i, 5);
		h->version_id = vp_col_int64(i, 6);
		h->published = vp_col_bool(i, 7);
		h->ever_published = vp_col_bool(i, 8);
		h->of_this_run = vp_col_bool(i, 9);
		h->superseded = vp_col_bool(i, 10);
		holdings = lappend(holdings, h);
	}
	list_sort(holdings, compare_holdings);
	return holdings;
}

/* Is it kept because it may be right again? */
static bool
is_cached(const Holding *h, const VpKeep *keep)
{
	ListCell   *lc;

	if (!keep->cache || h->version_id == 0)
		return false;
	foreach(lc, keep->released)
		if (*(int64 *) lfirst(lc) == h->version_id)
		return false;
	return true;
}

/*
 * The statement is kept simple, and what versions are wanted is found out
 * here: a plan that is made once then serves for all assets.
 */
List *
vp_slots_reusable(int32 asset_id, FullTransactionId horizon, const VpKeep *keep,
				  int64 current_run)
{
	static VpStatement statement = {
		"SELECT s.slot, s.asset_id, s.signature, ascii(s.persistence::text),"
		" s.version_id, v.version_id, v.published, v.ever_published, v.run_id = $3,"
		" v.superseded_by < $2 FROM vibepiper.slot s"
		" LEFT JOIN vibepiper.version v ON v.version_id = s.version_id"
		" WHERE s.asset_id = $1", 3, {INT4OID, XID8OID, INT8OID}
	};
	Datum		values[3] = {
		Int32GetDatum(asset_id), FullTransactionIdGetDatum(horizon),
		Int64GetDatum(current_run)
	};
	MemoryContext caller = CurrentMemoryContext;
	VpSpi		spi;
	uint64		n;
	List	   *holdings;
	List	   *slots = NIL;
	int			kept = 0;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, values, NULL, false);
	MemoryContextSwitchTo(caller);
	holdings = read_holdings(n);
	vp_spi_close(&spi);

	/* the published one is kept, and of the others the newest */
	for (int i = 0; i < list_length(holdings); i++)
		kept += ((Holding *) list_nth(holdings, i))->published;
	for (int i = list_length(holdings) - 1; i >= 0; i--)
	{
		const Holding *h = list_nth(holdings, i);

		if (h->published || (h->ever_published && kept++ < keep->versions) || h->of_this_run ||
			(h->ever_published && !h->superseded) || is_cached(h, keep))
			continue;
		slots = lcons(h->slot, slots);
	}
	return slots;
}

void
vp_slot_insert(const VpSlot *slot)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.slot (slot, asset_id, signature, persistence)"
		" VALUES ($1, $2, $3, $4)", 4, {OIDOID, INT4OID, UUIDOID, CHAROID}
	};
	Datum		values[4] = {
		ObjectIdGetDatum(slot->oid), Int32GetDatum(slot->asset_id),
		vp_hash_datum(slot->signature), CharGetDatum(slot->persistence)
	};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	vp_spi_close(&spi);
}

void
vp_slot_set_version(Oid slot, int64 version_id)
{
	static VpStatement statement = {
		"UPDATE vibepiper.slot SET version_id = nullif($2, 0) WHERE slot = $1",
		2, {OIDOID, INT8OID}
	};
	Datum		values[2] = {ObjectIdGetDatum(slot), Int64GetDatum(version_id)};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	vp_spi_close(&spi);
}

VpHash
vp_slot_data_hash(Oid slot)
{
	static VpStatement statement = {
		"SELECT v.data_hash FROM vibepiper.slot s JOIN vibepiper.version v USING (version_id)"
		" WHERE s.slot = $1", 1, {OIDOID}
	};
	Datum		key = ObjectIdGetDatum(slot);
	VpHash		hash = {0};
	VpSpi		spi;

	PushActiveSnapshot(GetLatestSnapshot());
	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, true) > 0)
		hash = vp_col_hash(0, 1);
	vp_spi_close(&spi);
	PopActiveSnapshot();
	return hash;
}

void
vp_slot_delete(Oid slot)
{
	static VpStatement statement = {
		"DELETE FROM vibepiper.slot WHERE slot = $1", 1, {OIDOID}
	};
	Datum		key = ObjectIdGetDatum(slot);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &key, NULL, false);
	vp_spi_close(&spi);
}
