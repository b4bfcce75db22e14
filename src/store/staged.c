/*
 * staged.c
 *	  Staged versions of the run that this backend executes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "store/staged.h"

static HTAB *staged = NULL;		/* lives in `context` */
static MemoryContext context = NULL;
static int	begin_level = 0;	/* 0: outlives transactions */

static void
forget(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	staged = NULL;
}

void
vp_staged_begin(bool keep)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(VpStaged)
	};

	if (staged != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a run is already in progress in this session"),
				 errhint("A query of an asset can't start a run.")));
	context = AllocSetContextCreate(keep ? TopMemoryContext : TopTransactionContext,
									"vibepiper staged versions", ALLOCSET_SMALL_SIZES);
	ctl.hcxt = context;
	staged = hash_create("vibepiper staged versions", 64, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	begin_level = keep ? 0 : GetCurrentTransactionNestLevel();
}

void
vp_staged_set(Oid def, Oid slot, VpHash signature)
{
	VpStaged   *entry = hash_search(staged, &def, HASH_ENTER, NULL);

	entry->slot = slot;
	entry->signature = signature;
}

const VpStaged *
vp_staged_find(Oid def)
{
	return staged == NULL ? NULL : hash_search(staged, &def, HASH_FIND, NULL);
}

bool
vp_staged_active(void)
{
	return staged != NULL;
}

void
vp_staged_end(void)
{
	forget();
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (begin_level > 0 &&
		(event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT))
		forget();
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mine,
				 SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && begin_level > 0 && staged != NULL &&
		GetCurrentTransactionNestLevel() <= begin_level)
		forget();
}

void
vp_staged_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
