/*
 * reads.h
 *	  What the statements of this backend read while an asset is computed.
 *
 * The query's text doesn't tell: functions read tables, too, some by names
 * made up on the way.  So every statement that is executed between begin and
 * end is looked at, whoever runs it.
 *
 * One asset is computed at a time.  What is collected lives until the end of
 * the transaction.
 */
#ifndef VP_READS_H
#define VP_READS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "nodes/plannodes.h"

typedef struct VpReadAsset
{
	Oid			def;			/* definition */
	bool		by_name;		/* perhaps by the names of its columns: a
								 * function did, not a definition */
	bool		in_place;		/* there was no stored version, or none was
								 * wanted */
} VpReadAsset;

extern void vp_reads_begin(void);

/* Stop, and forget what was collected. */
extern void vp_reads_end(void);

/* So far, in order: relations, children as far as they stand in plans; of Oid. */
extern List *vp_reads_relations(void);

/* Was one of these read with its children, if it has any? */
extern bool vp_reads_children(Oid relid);

/* Did a function's statement read it? */
extern bool vp_reads_by_function(Oid relid);

/* So far, in order: functions that were executed; of Oid. */
extern List *vp_reads_functions(void);

/*
 * So far: functions on which the plans depend, as hash values of the system
 * cache PROCOID; of int.  Inlined ones are among them.
 */
extern List *vp_reads_plan_functions(void);

/* So far, by definition: assets; of VpReadAsset *. */
extern List *vp_reads_assets(void);

/* For the hooks. */
extern void vp_reads_note_plan(const PlannedStmt *plan, bool own);	/* the asset's */
extern void vp_reads_note_function(Oid function);
extern void vp_reads_note_asset(Oid def, bool by_name, bool in_place);

extern void vp_reads_init(void);

#endif							/* VP_READS_H */
