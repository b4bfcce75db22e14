/*
 * hash.c
 *	  128-bit hashes: of rows (order-independent sums), of text.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "lib/stringinfo.h"
#include "utils/uuid.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/hash.h"

VpHash
vp_hash_bytes(const void *data, Size size, uint64 seed)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(data, size, seed);
	VpHash		hash = {h.low64, h.high64};

	return hash;
}

/*
 * Null bitmap, padding (zeroed by heap_form_tuple) and data are contiguous;
 * the number of attributes and whether there is a bitmap go into the seed,
 * so that (1,NULL) and (NULL,1) differ.
 */
VpHash
vp_hash_tuple(HeapTuple tuple, uint64 seed)
{
	HeapTupleHeader header = tuple->t_data;
	bool		nulls = HeapTupleHasNulls(tuple);
	Size		start = nulls ? offsetof(HeapTupleHeaderData, t_bits) : header->t_hoff;

	return vp_hash_bytes((char *) header + start, tuple->t_len - start,
						 seed ^ (HeapTupleHeaderGetNatts(header) * UINT64CONST(2) + nulls));
}

Datum
vp_hash_datum(VpHash hash)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	StaticAssertStmt(sizeof(VpHash) == UUID_LEN, "a hash is stored as uuid");
	memcpy(uuid->data, &hash, UUID_LEN);
	return UUIDPGetDatum(uuid);
}

VpHash
vp_hash_from_datum(Datum uuid)
{
	VpHash		hash;

	memcpy(&hash, DatumGetUUIDP(uuid)->data, UUID_LEN);
	return hash;
}

void
vp_hash_hex(VpHash hash, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = (const unsigned char *) &hash;

	for (int i = 0; i < (int) sizeof(VpHash); i++)
	{
		*hex++ = digits[bytes[i] >> 4];
		*hex++ = digits[bytes[i] & 15];
	}
	*hex = '\0';
}

VpHash
vp_hash_columns(TupleDesc desc)
{
	StringInfoData buf;
	VpHash		hash;

	initStringInfo(&buf);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(&buf, "%u %d %u ", att->atttypid, att->atttypmod,
						 att->attcollation);
		appendBinaryStringInfo(&buf, NameStr(att->attname),
							   strlen(NameStr(att->attname)) + 1);
	}
	hash = vp_hash_bytes(buf.data, buf.len, 0);
	pfree(buf.data);
	return hash;
}
