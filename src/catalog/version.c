/*
 * version.c
 *	  Rows of vibepiper.slot, version and publication as structs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

#include "catalog/version.h"
#include "common/spi.h"

#define VERSION_COLUMNS \
	"SELECT version_id, asset_id, slot, filenode, run_id, code_hash, signature," \
	" data_hash, upstreams, upstream_hashes, rows, bytes," \
	" (extract(epoch FROM elapsed) * 1000000)::bigint, incarnation, built_at," \
	" as_of, invalidated, published FROM vibepiper.version "

Datum
vp_ids_datum(List *ids)
{
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(ids), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, ids)
		elems[n++] = Int32GetDatum(lfirst_int(lc));
	return PointerGetDatum(construct_array(elems, n, INT4OID, 4, true,
										   TYPALIGN_INT));
}

static Datum
hashes_datum(List *hashes)
{
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(hashes), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, hashes)
		elems[n++] = vp_hash_datum(*(VpHash *) lfirst(lc));
	return PointerGetDatum(construct_array(elems, n, UUIDOID, 16, false,
										   TYPALIGN_CHAR));
}

List *
vp_ids_from_datum(Datum array)
{
	Datum	   *elems;
	int			n;
	List	   *ids = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), INT4OID, 4, true, TYPALIGN_INT,
					  &elems, NULL, &n);
	for (int i = 0; i < n; i++)
		ids = lappend_int(ids, DatumGetInt32(elems[i]));
	return ids;
}

List *
vp_hashes_from_datum(Datum array)
{
	Datum	   *elems;
	int			n;
	List	   *hashes = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), UUIDOID, 16, false,
					  TYPALIGN_CHAR, &elems, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		VpHash	   *hash = palloc(sizeof(VpHash));

		*hash = vp_hash_from_datum(elems[i]);
		hashes = lappend(hashes, hash);
	}
	return hashes;
}

static VpVersion *
read_version(VpSpi *spi, uint64 row)
{
	VpVersion  *v = MemoryContextAllocZero(spi->caller, sizeof(VpVersion));
	MemoryContext old;
	bool		isnull;

	v->id = vp_col_int64(row, 1);
	v->asset_id = vp_col_int32(row, 2, 0);
	v->slot = vp_col_oid(row, 3);
	v->filenode = vp_col_oid(row, 4);
	v->run_id = vp_col_int64(row, 5);
	v->code_hash = vp_col_hash(row, 6);
	v->signature = vp_col_hash(row, 7);
	v->data_hash = vp_col_hash(row, 8);
	old = MemoryContextSwitchTo(spi->caller);
	v->upstreams = vp_ids_from_datum(vp_col_datum(spi, row, 9, &isnull));
	v->upstream_hashes = vp_hashes_from_datum(vp_col_datum(spi, row, 10, &isnull));
	MemoryContextSwitchTo(old);
	v->rows = vp_col_int64(row, 11);
	v->bytes = vp_col_int64(row, 12);
	v->elapsed = vp_col_int64(row, 13);
	v->incarnation = vp_col_int64(row, 14);
	v->built_at = vp_col_timestamp(row, 15, 0);
	v->as_of = vp_col_timestamp(row, 16, 0);
	v->invalidated = vp_col_bool(row, 17);
	v->published = vp_col_bool(row, 18);
	return v;
}

static VpVersion *
load(VpStatement *statement, Datum key)
{
	VpSpi		spi;
	VpVersion  *version = NULL;

	vp_spi_open(&spi);
	if (vp_spi_run(statement, &key, NULL, false) > 0)
		version = read_version(&spi, 0);
	vp_spi_close(&spi);
	return version;
}

VpVersion *
vp_version_by_id(int64 id)
{
	static VpStatement statement = {
		VERSION_COLUMNS "WHERE version_id = $1", 1, {INT8OID}
	};

	return load(&statement, Int64GetDatum(id));
}

int64
vp_version_as_of_run(int32 asset_id, int64 run_id)
{
	static VpStatement statement = {
		"SELECT version_id FROM vibepiper.publication WHERE asset_id = $1"
		" AND run_id <= $2 ORDER BY run_id DESC LIMIT 1", 2, {INT4OID, INT8OID}
	};
	Datum		values[2] = {Int32GetDatum(asset_id), Int64GetDatum(run_id)};
	VpSpi		spi;
	int64		id = 0;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, values, NULL, false) > 0)
		id = vp_col_int64(0, 1);
	vp_spi_close(&spi);
	return id;
}

#define MICROSECONDS(p) "(" p " * interval '1 microsecond')"

int64
vp_version_insert(const VpVersion *v)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.version (asset_id, slot, filenode, run_id, code_hash,"
		" signature, data_hash, upstreams, upstream_hashes, rows, bytes, elapsed,"
		" incarnation, built_at, as_of, sources) VALUES ($1, $2, $3, $4, $5, $6,"
		" $7, $8, $9, $10, $11, " MICROSECONDS("$12") ", $13, $14, $15, $16)"
		" RETURNING version_id",
		16, {INT4OID, OIDOID, OIDOID, INT8OID, UUIDOID, UUIDOID, UUIDOID,
			INT4ARRAYOID, UUIDARRAYOID, INT8OID, INT8OID, INT8OID, INT8OID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, BYTEAOID}
	};
	Datum		values[16] = {
		Int32GetDatum(v->asset_id), ObjectIdGetDatum(v->slot),
		ObjectIdGetDatum(v->filenode), Int64GetDatum(v->run_id),
		vp_hash_datum(v->code_hash), vp_hash_datum(v->signature),
		vp_hash_datum(v->data_hash), vp_ids_datum(v->upstreams),
		hashes_datum(v->upstream_hashes), Int64GetDatum(v->rows),
		Int64GetDatum(v->bytes), Int64GetDatum(v->elapsed),
		Int64GetDatum(v->incarnation), TimestampTzGetDatum(v->built_at),
		TimestampTzGetDatum(v->as_of), PointerGetDatum(v->sources)
	};
	char		nulls[17] = "                ";
	VpSpi		spi;
	int64		id;

	if (v->sources == NULL)
		nulls[15] = 'n';
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	id = vp_col_int64(0, 1);
	vp_spi_close(&spi);
	return id;
}

void
vp_version_confirm(const VpVersion *v)
{
	static VpStatement statement = {
		"UPDATE vibepiper.version v SET code_hash = $2, upstreams = $3,"
		" upstream_hashes = $4, as_of = $5,"
		" sources = coalesce($6, (SELECT t.sources FROM vibepiper.task t"
		" WHERE t.run_id = $7 AND t.asset_id = v.asset_id)),"
		" invalidated = false WHERE version_id = $1",
		7, {INT8OID, UUIDOID, INT4ARRAYOID, UUIDARRAYOID, TIMESTAMPTZOID, BYTEAOID, INT8OID}
	};
	Datum		values[7] = {
		Int64GetDatum(v->id), vp_hash_datum(v->code_hash),
		vp_ids_datum(v->upstreams), hashes_datum(v->upstream_hashes),
		TimestampTzGetDatum(v->as_of), PointerGetDatum(v->sources),
		Int64GetDatum(v->run_id)
	};
	char		nulls[8] = "       ";
	VpSpi		spi;

	if (v->sources == NULL)
		nulls[5] = 'n';
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, nulls, false);
	vp_spi_close(&spi);
}

void
vp_version_delete(int64 id)
{
	static VpStatement statement = {
		"DELETE FROM vibepiper.version WHERE version_id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(id);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &key, NULL, false);
	vp_spi_close(&spi);
}

void
vp_version_delete_in_slot(Oid slot)
{
	static VpStatement statement = {
		"DELETE FROM vibepiper.version v USING vibepiper.slot s"
		" WHERE s.slot = $1 AND v.version_id = s.version_id", 1, {OIDOID}
	};
	Datum		key = ObjectIdGetDatum(slot);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &key, NULL, false);
	vp_spi_close(&spi);
}

int
vp_versions_invalidate(List *asset_ids)
{
	static VpStatement statement = {
		"WITH flagged AS (UPDATE vibepiper.version SET invalidated = true"
		" WHERE asset_id = ANY ($1) RETURNING asset_id)"
		" SELECT count(DISTINCT asset_id) FROM flagged", 1, {INT4ARRAYOID}
	};
	Datum		ids = vp_ids_datum(asset_ids);
	VpSpi		spi;
	int			n;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &ids, NULL, false);
	n = (int) vp_col_int64(0, 1);
	vp_spi_close(&spi);
	return n;
}

/* The versions that the mapping is about to stop naming. */
static void
supersede(int32 asset_id)
{
	static VpStatement statement = {
		"UPDATE vibepiper.version SET published = false, superseded_by = $2"
		" WHERE asset_id = $1 AND published", 2, {INT4OID, XID8OID}
	};
	Datum		values[2] = {
		Int32GetDatum(asset_id),
		FullTransactionIdGetDatum(GetTopFullTransactionId())
	};

	(void) vp_spi_run(&statement, values, NULL, false);
}

static void
publish_part(Oid def, int part, const VpVersion *v)
{
	static VpStatement mark = {
		"UPDATE vibepiper.version SET published = true, ever_published = true,"
		" superseded_by = NULL WHERE version_id = $1", 1, {INT8OID}
	};
	static VpStatement map = {
		"INSERT INTO vibepiper.mapping AS m (def, part, version_id, slot, filenode,"
		" signature, nonempty, incarnation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
		" ON CONFLICT (def, part) DO UPDATE SET (version_id, slot, filenode,"
		" signature, nonempty, incarnation) = ($3, $4, $5, $6, $7, $8)",
		8, {OIDOID, INT4OID, INT8OID, OIDOID, OIDOID, UUIDOID, BOOLOID, INT8OID}
	};
	Datum		values[8] = {
		ObjectIdGetDatum(def), Int32GetDatum(part), Int64GetDatum(v->id),
		ObjectIdGetDatum(v->slot), ObjectIdGetDatum(v->filenode),
		vp_hash_datum(v->signature), BoolGetDatum(v->rows > 0),
		Int64GetDatum(v->incarnation)
	};

	(void) vp_spi_run(&mark, &values[2], NULL, false);
	(void) vp_spi_run(&map, values, NULL, false);
}

static void
record_publication(int32 asset_id, int64 run_id, int64 version_id)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.publication (asset_id, run_id, version_id)"
		" VALUES ($1, $2, $3) ON CONFLICT (asset_id, run_id)"
		" DO UPDATE SET version_id = $3", 3, {INT4OID, INT8OID, INT8OID}
	};
	Datum		values[3] = {
		Int32GetDatum(asset_id), Int64GetDatum(run_id), Int64GetDatum(version_id)
	};

	(void) vp_spi_run(&statement, values, NULL, false);
}

void
vp_mapping_write(Oid def, int32 asset_id, int64 run_id, List *versions)
{
	static VpStatement trim = {
		"DELETE FROM vibepiper.mapping WHERE def = $1 AND part >= $2",
		2, {OIDOID, INT4OID}
	};
	Datum		values[2] = {
		ObjectIdGetDatum(def), Int32GetDatum(list_length(versions))
	};
	VpSpi		spi;
	int			part = 0;
	ListCell   *lc;

	vp_spi_open(&spi);
	supersede(asset_id);
	(void) vp_spi_run(&trim, values, NULL, false);
	foreach(lc, versions)
	{
		const VpVersion *version = lfirst(lc);

		publish_part(def, part++, version);
		record_publication(asset_id, run_id, version->id);
	}
	vp_spi_close(&spi);
}

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

/*
 * The statement is kept simple, and what versions are wanted is found out
 * here: a plan that is made once then serves for all assets.
 */
List *
vp_slots_reusable(int32 asset_id, FullTransactionId horizon, int keep_versions,
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

		if (h->published || (h->ever_published && kept++ < keep_versions) || h->of_this_run ||
			(h->ever_published && !h->superseded))
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

uint64
vp_hash_seed(void)
{
	static VpStatement statement = {
		"SELECT hash_seed FROM vibepiper.installation", 0, {0}
	};
	VpSpi		spi;
	uint64		seed = 0;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, NULL, NULL, false) > 0)
		seed = (uint64) vp_col_int64(0, 1);
	vp_spi_close(&spi);
	return seed;
}
