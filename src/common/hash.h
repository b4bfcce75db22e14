/*
 * hash.h
 *	  128-bit hashes: of rows (order-independent sums), of text.
 *
 * A hash is XXH3-128 (libxxhash).  The data hash of a version is the sum
 * modulo 2^128 of its rows' hashes, so that it doesn't depend on their order
 * but does on how often a row stands there.
 */
#ifndef VP_HASH_H
#define VP_HASH_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

typedef struct VpHash
{
	uint64		low;
	uint64		high;
} VpHash;

extern VpHash vp_hash_bytes(const void *data, Size size, uint64 seed);

/* Hash of a formed tuple whose values are all plain and inline. */
extern VpHash vp_hash_tuple(HeapTuple tuple, uint64 seed);

static inline void
vp_hash_add(VpHash *sum, VpHash hash)
{
	sum->low += hash.low;
	sum->high += hash.high + (sum->low < hash.low ? 1 : 0);
}

static inline bool
vp_hash_equal(VpHash a, VpHash b)
{
	return a.low == b.low && a.high == b.high;
}

/* To and from the uuid that stores it; the Datum is palloc'd. */
extern Datum vp_hash_datum(VpHash hash);
extern VpHash vp_hash_from_datum(Datum uuid);

/* 32 hexadecimal digits and a NUL */
extern void vp_hash_hex(VpHash hash, char *hex);

/* Hash of column names, types, typmods and collations. */
extern VpHash vp_hash_columns(TupleDesc desc);

#endif							/* VP_HASH_H */
