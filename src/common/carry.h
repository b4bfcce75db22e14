/*
 * carry.h
 *	  Bytes of shared memory that outlive a clean shutdown of the server.
 *
 * They are written when the last process goes, and are valid only if nothing
 * at all has happened in between: the control file says that the server was
 * shut down, at the checkpoint and with the next transaction id for which they
 * were written, and it isn't to be recovered or a standby.  Otherwise, after a
 * crash, an immediate stop, a restore or a promotion, they are forgotten.  The
 * file is removed before the bytes are used.
 */
#ifndef VP_CARRY_H
#define VP_CARRY_H

#include "postgres.h"

/* For the process that holds shared memory when no other does. */
extern void vp_carry_save(const char *path, const void *bytes, Size size);

/* palloc'd; NULL: there are none that are valid. */
extern void *vp_carry_load(const char *path, Size *size);

#endif							/* VP_CARRY_H */
