/*
 * files.h
 *	  Does a snapshot still fit the files of what is read under it?
 *
 * TRUNCATE and commands that rewrite a table replace its file by one whose
 * rows an older snapshot doesn't see, or not as they were: under it the table
 * is suddenly empty.  So whoever reads under a snapshot for longer than a
 * statement compares: after locking, each relation's file and its children
 * (partitions) are to be those that the catalogs say under the snapshot.
 *
 * A child that was created after the snapshot is let pass, since its rows are
 * newer, too; but not if some are frozen (COPY FREEZE), so that every snapshot
 * sees them, or if it has children itself or isn't a heap.
 */
#ifndef VP_FILES_H
#define VP_FILES_H

#include "postgres.h"

#include "nodes/plannodes.h"
#include "utils/snapshot.h"

/*
 * From now on error (40001) if a statement of this backend reads a relation
 * that doesn't fit.  Until vp_files_end() or the end of the transaction.
 */
extern void vp_files_begin(Snapshot snapshot);
extern void vp_files_end(void);

/* Was there such an error?  Even if a function caught it. */
extern bool vp_files_misfit(void);

/* Raise it again then. */
extern void vp_files_check_caught(void);

extern void vp_files_check_plan(const PlannedStmt *plan);

extern void vp_files_init(void);

#endif							/* VP_FILES_H */
