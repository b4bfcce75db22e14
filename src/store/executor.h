/*
 * executor.h
 *	  The project's ExecutorStart hook: make plans fit their snapshot.
 */
#ifndef VP_EXECUTOR_H
#define VP_EXECUTOR_H

extern void vp_executor_init(void);

#endif							/* VP_EXECUTOR_H */
