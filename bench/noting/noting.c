/*
 * noting.c
 *	  The least that a statement trigger does which tells what was written: note
 *	  the relation and the transaction in this process.
 *
 * Whoever tracks by triggers also has to tell others, by a row or a message per
 * transaction; that isn't done here.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/hsearch.h"
#include "utils/rel.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(noting);

typedef struct Written
{
	Oid			relid;			/* hash key */
	FullTransactionId xid;
} Written;

static HTAB *written = NULL;

Datum
noting(PG_FUNCTION_ARGS)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(Written)
	};
	TriggerData *data = (TriggerData *) fcinfo->context;
	Oid			relid;
	Written    *entry;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	if (written == NULL)
		written = hash_create("noted", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	relid = RelationGetRelid(data->tg_relation);
	entry = hash_search(written, &relid, HASH_ENTER, NULL);
	entry->xid = GetTopFullTransactionIdIfAny();
	return PointerGetDatum(NULL);
}
