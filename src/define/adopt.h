/*
 * adopt.h
 *	  Enter into the catalog what a restore left as views.
 *
 * A dump has the views of assets and pipelines, with notes (catalog/note.h),
 * but no rows of the catalog, whose Oids would mean nothing in another
 * database.  Rows are made again from the views.
 */
#ifndef VP_ADOPT_H
#define VP_ADOPT_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct VpAdoption
{
	char	   *object;			/* "pipeline shop", "asset shop.orders" */
	char	   *problem;		/* NULL: adopted */
} VpAdoption;

/*
 * Adopt all pipelines and assets that can be, with the current user's rights.
 * Returns a list of VpAdoption, one for each that the catalog didn't have.
 */
extern List *vp_adopt_all(void);

/* A view was created or commented: adopt what becomes possible by it. */
extern void vp_adopt_view(Oid view);

#endif							/* VP_ADOPT_H */
