/*
 * unlogged.h
 *	  Unlogged files whose making is rolled back.
 */
#ifndef VP_UNLOGGED_H
#define VP_UNLOGGED_H

#include "postgres.h"

/* To be called before an unlogged file is made. */
extern void vp_unlogged_made(void);
extern void vp_unlogged_init(void);

#endif
