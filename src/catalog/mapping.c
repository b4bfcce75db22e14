/*
 * mapping.c
 *	  Read vibepiper.mapping under a given snapshot, without SPI.
 *
 * Readers come here at planning and at execution, so it is an index scan by
 * hand; the rows are written in version.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "catalog/version.h"
#include "common/extension.h"

/* columns of vibepiper.mapping */
enum
{
	MAPPING_DEF = 1, MAPPING_PART, MAPPING_VERSION, MAPPING_SLOT,
	MAPPING_FILENODE, MAPPING_SIGNATURE, MAPPING_NONEMPTY,
	MAPPING_INCARNATION, MAPPING_COLUMNS = MAPPING_INCARNATION
};

static int
compare_parts(const ListCell *a, const ListCell *b)
{
	return ((VpPart *) lfirst(a))->part - ((VpPart *) lfirst(b))->part;
}

static VpPart *
part_of(HeapTuple tuple, TupleDesc desc)
{
	Datum		values[MAPPING_COLUMNS];
	bool		nulls[MAPPING_COLUMNS];
	VpPart	   *part = palloc(sizeof(VpPart));

	heap_deform_tuple(tuple, desc, values, nulls);
	part->part = DatumGetInt32(values[MAPPING_PART - 1]);
	part->version_id = DatumGetInt64(values[MAPPING_VERSION - 1]);
	part->slot = DatumGetObjectId(values[MAPPING_SLOT - 1]);
	part->filenode = DatumGetObjectId(values[MAPPING_FILENODE - 1]);
	part->signature = vp_hash_from_datum(values[MAPPING_SIGNATURE - 1]);
	part->nonempty = DatumGetBool(values[MAPPING_NONEMPTY - 1]);
	part->incarnation = DatumGetInt64(values[MAPPING_INCARNATION - 1]);
	part->xmin = HeapTupleHeaderGetXmin(tuple->t_data);
	return part;
}

List *
vp_mapping_read(Oid def, Snapshot snapshot)
{
	const VpExtension *ext = vp_extension();
	Relation	rel = table_open(ext->mapping, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *parts = NIL;

	ScanKeyInit(&key, MAPPING_DEF, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(def));
	scan = systable_beginscan(rel, ext->mapping_pkey, true, snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parts = lappend(parts, part_of(tuple, RelationGetDescr(rel)));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(parts, compare_parts);
	return parts;
}
