/*
 * version.c
 *	  Rows of vibepiper.slot, version and publication as structs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/snapmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

#include "catalog/version.h"
#include "common/spi.h"
#include "common/wanted.h"

/*
 * What read_version() reads, of a version v.  i: v, or the row with other inputs
 * of it.
 */
#define VERSION_FIELDS(i) \
	"v.version_id, v.asset_id, v.slot, v.filenode, v.run_id, " i ".code_hash, v.signature," \
	" v.data_hash, " i ".upstreams, " i ".upstream_hashes, v.rows, v.bytes," \
	" (extract(epoch FROM v.elapsed) * 1000000)::bigint, v.incarnation, v.built_at," \
	" " i ".as_of, v.invalidated, v.published, " i ".sources"
#define VERSION_COLUMNS "SELECT " VERSION_FIELDS("v") " FROM vibepiper.version v "

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
	Datum		sources;
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
	sources = vp_col_datum(spi, row, 19, &isnull);
	old = MemoryContextSwitchTo(spi->caller);
	v->sources = isnull ? NULL : DatumGetByteaPCopy(sources);
	MemoryContextSwitchTo(old);
	return v;
}

static VpVersion *
load(VpStatement *statement, Datum key, bool under_snapshot)
{
	VpSpi		spi;
	VpVersion  *version = NULL;

	vp_spi_open(&spi);
	if (vp_spi_run(statement, &key, NULL, under_snapshot) > 0)
		version = read_version(&spi, 0);
	vp_spi_close(&spi);
	return version;
}

VpVersion *
vp_version_by_id(int64 id)
{
	static VpStatement statement = {
		VERSION_COLUMNS "WHERE v.version_id = $1", 1, {INT8OID}
	};

	return load(&statement, Int64GetDatum(id), false);
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
		" incarnation, built_at, as_of, sources, cache_clock) VALUES ($1, $2, $3, $4, $5, $6,"
		" $7, $8, $9, $10, $11, " MICROSECONDS("$12") ", $13, $14, $15, $16,"
		" (SELECT cache_clock FROM vibepiper.installation))"
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

/* How many other inputs of a version are remembered, and one. */
#define OTHER_INPUTS "3"

void
vp_version_confirm(const VpVersion *v)
{
	static VpStatement statement = {
		"WITH saved AS (INSERT INTO vibepiper.version_inputs"
		" (version_id, code_hash, upstreams, upstream_hashes, as_of, sources)"
		" SELECT version_id, code_hash, upstreams, upstream_hashes, as_of, sources"
		" FROM vibepiper.version WHERE version_id = $1 AND NOT invalidated AND sources IS NOT NULL"
		" AND (code_hash <> $2 OR upstreams <> $3 OR upstream_hashes <> $4)),"
		" forgotten AS (DELETE FROM vibepiper.version_inputs i WHERE i.version_id = $1"
		" AND (i.code_hash = $2 AND i.upstreams = $3 AND i.upstream_hashes = $4"
		" OR i.no <= (SELECT o.no FROM vibepiper.version_inputs o WHERE o.version_id = $1"
		" ORDER BY o.no DESC OFFSET " OTHER_INPUTS " LIMIT 1)))"
		" UPDATE vibepiper.version v SET code_hash = $2, upstreams = $3,"
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
		"WITH inputs AS (DELETE FROM vibepiper.version_inputs WHERE version_id = $1)"
		" DELETE FROM vibepiper.version WHERE version_id = $1", 1, {INT8OID}
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
		"WITH inputs AS (DELETE FROM vibepiper.version_inputs i USING vibepiper.slot s"
		" WHERE s.slot = $1 AND i.version_id = s.version_id)"
		" DELETE FROM vibepiper.version v USING vibepiper.slot s"
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
		" WHERE asset_id = ANY ($1) RETURNING asset_id, version_id),"
		" inputs AS (DELETE FROM vibepiper.version_inputs i USING flagged f"
		" WHERE i.version_id = f.version_id)"
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

	vp_wanted_request(true);
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

/* What a version's computing took per byte, the more often the more, from the last use on. */
#define PRIORITY \
	"v.cache_clock + v.uses * extract(epoch FROM v.elapsed) / greatest(v.bytes, 8192)"

/* Its upstreams' rows of then are stored still. */
#define REACHABLE \
	"NOT EXISTS (SELECT FROM unnest(v.upstreams, v.upstream_hashes) AS u(id, hash)" \
	" JOIN vibepiper.asset ua ON ua.asset_id = u.id AND NOT ua.lazy" \
	" WHERE NOT EXISTS (SELECT FROM vibepiper.version o" \
	" WHERE o.asset_id = u.id AND o.data_hash = u.hash))"

/* Columns of version v, or of its other inputs, and of asset a. */
#define STORED_COLUMNS(i) \
	"SELECT " VERSION_FIELDS(i) "," \
	" a.cache_ttl IS NOT NULL AND (" i ".as_of + least(a.cache_ttl, interval '100000 years')" \
	" <= clock_timestamp() OR " i ".as_of > clock_timestamp())," \
	" v.signature = a.signature, " PRIORITY ", v.ever_published, "

static List *
load_stored(VpStatement *statement, const Datum *values, bool other_inputs)
{
	VpSpi		spi;
	List	   *versions = NIL;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(statement, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		VpVersion  *v = read_version(&spi, i);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);
		bool		isnull;

		v->expired = vp_col_bool(i, 20);
		v->same_signature = vp_col_bool(i, 21);
		v->priority = DatumGetFloat8(vp_col_datum(&spi, i, 22, &isnull));
		v->ever_published = vp_col_bool(i, 23);
		v->reachable = vp_col_bool(i, 24);
		v->other_inputs = other_inputs;
		versions = lappend(versions, v);
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	return versions;
}

List *
vp_versions_stored(int32 pipeline_id, int32 asset_id)
{
	static VpStatement statement = {
		STORED_COLUMNS("v") REACHABLE
		" FROM vibepiper.asset a JOIN vibepiper.version v USING (asset_id)"
		" WHERE (a.pipeline_id = $1 OR a.asset_id = $2) AND NOT v.published"
		" ORDER BY v.asset_id, v.version_id DESC", 2, {INT4OID, INT4OID}
	};
	Datum		values[2] = {Int32GetDatum(pipeline_id), Int32GetDatum(asset_id)};

	return load_stored(&statement, values, false);
}

List *
vp_versions_other_inputs(int32 pipeline_id)
{
	static VpStatement statement = {
		STORED_COLUMNS("i") "true"
		" FROM vibepiper.asset a JOIN vibepiper.version v USING (asset_id)"
		" JOIN vibepiper.version_inputs i USING (version_id) WHERE a.pipeline_id = $1"
		" ORDER BY i.no DESC", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(pipeline_id);

	return load_stored(&statement, &key, true);
}

void
vp_version_used(int64 id)
{
	static VpStatement statement = {
		"UPDATE vibepiper.version SET uses = uses + 1,"
		" cache_clock = (SELECT cache_clock FROM vibepiper.installation)"
		" WHERE version_id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(id);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &key, NULL, false);
	vp_spi_close(&spi);
}

VpVersion *
vp_slot_version(Oid slot)
{
	static VpStatement statement = {
		VERSION_COLUMNS "JOIN vibepiper.slot s ON s.version_id = v.version_id WHERE s.slot = $1",
		1, {OIDOID}
	};
	VpVersion  *version;

	PushActiveSnapshot(GetLatestSnapshot());
	version = load(&statement, ObjectIdGetDatum(slot), true);
	PopActiveSnapshot();
	return version;
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
