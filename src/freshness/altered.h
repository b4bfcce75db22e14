/*
 * altered.h
 *	  Watches for what transactions alter, besides rows.
 *
 * Statements that define things are noted in one ring of the database
 * (VP_RING_CODE): whoever finds news there compares what he depends on with
 * what he remembers (freshness/meaning.h).  Tables that ALTER TABLE rewrites
 * are noted as written.
 */
#ifndef VP_ALTERED_H
#define VP_ALTERED_H

#include "postgres.h"

extern void vp_altered_init(void);

#endif							/* VP_ALTERED_H */
