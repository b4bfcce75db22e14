/*
 * fill.h
 *	  Write a version's rows into an empty slot, and hash them on the way.
 *
 * The rows are frozen: the slot's relation file must have been made in the
 * current subtransaction, so that nobody sees them if it aborts.
 */
#ifndef VP_FILL_H
#define VP_FILL_H

#include "postgres.h"

#include "tcop/dest.h"

#include "common/hash.h"

typedef struct VpFilled
{
	uint64		rows;
	VpHash		data_hash;
} VpFilled;

/* A receiver that fills the slot; seed is the installation's. */
extern DestReceiver *vp_fill_create(Oid slot, uint64 seed);

/* After its rShutdown. */
extern VpFilled vp_fill_result(DestReceiver *receiver);

#endif							/* VP_FILL_H */
