/*
 * staged.h
 *	  Staged versions of the run that this backend executes.
 *
 * A run's own queries read what it staged before anything is published.  The
 * list is forgotten at vp_staged_end() or when the (sub)transaction that began
 * it ends; a worker, whose tasks are transactions of their own, keeps it.
 */
#ifndef VP_STAGED_H
#define VP_STAGED_H

#include "postgres.h"

#include "common/hash.h"

typedef struct VpStaged
{
	Oid			def;			/* hash key */
	Oid			slot;
	VpHash		signature;
} VpStaged;

extern void vp_staged_begin(bool keep);
extern void vp_staged_set(Oid def, Oid slot, VpHash signature);
extern void vp_staged_end(void);

/* NULL if the run staged none, or there is no run. */
extern const VpStaged *vp_staged_find(Oid def);

/* Is there a run? */
extern bool vp_staged_active(void);

extern void vp_staged_init(void);

#endif							/* VP_STAGED_H */
