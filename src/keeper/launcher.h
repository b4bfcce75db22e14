/*
 * launcher.h
 *	  The one process of the server that starts keepers when they are due.
 *
 * It is connected to no database, so it is in nobody's way, and sleeps until
 * something is due (common/wanted.h).  When shared memory is new, after a start
 * or a crash, it has the keepers of all databases look for what was lost.  On a
 * standby it is started by the promotion.
 */
#ifndef VP_LAUNCHER_H
#define VP_LAUNCHER_H

#include "postgres.h"

extern PGDLLEXPORT void vp_launcher_main(Datum arg);

/* Register it; while libraries are being preloaded. */
extern void vp_launcher_init(void);

#endif							/* VP_LAUNCHER_H */
