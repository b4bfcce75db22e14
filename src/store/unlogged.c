/*
 * unlogged.c
 *	  Unlogged files whose making is rolled back.
 *
 * An abort removes the init fork of such a file at once, leaves the empty main
 * fork to the next checkpoint, and waits for neither on disk: the WAL record
 * of the abort may come later.  A crash in between makes recovery create the
 * init fork again, which then finds the main fork in its way, and the server
 * does not start.  That is rare elsewhere, but each task whose rows are
 * unchanged ends so.  The abort's record is therefore flushed in callbacks,
 * which come before the files are removed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_control.h"

#include "store/unlogged.h"

/* The innermost transaction level that made one. */
static int	made_level = 0;

void
vp_unlogged_made(void)
{
	made_level = GetCurrentTransactionNestLevel();
}

/* The place of the abort's record is unknown here: flush one that follows. */
static void
flush_abort(void)
{
	int32		nothing = 0;

	XLogBeginInsert();
	XLogRegisterData((char *) &nothing, sizeof(nothing));
	XLogFlush(XLogInsert(RM_XLOG_ID, XLOG_NOOP));
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT && made_level > 0)
		flush_abort();
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT ||
		event == XACT_EVENT_PREPARE)
		made_level = 0;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mine,
				 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (made_level < level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		flush_abort();
	if (event == SUBXACT_EVENT_ABORT_SUB || event == SUBXACT_EVENT_COMMIT_SUB)
		made_level = level - 1; /* the parent may have made others */
}

void
vp_unlogged_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
