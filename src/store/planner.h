/*
 * planner.h
 *	  The project's planner hook.
 */
#ifndef VP_PLANNER_H
#define VP_PLANNER_H

extern void vp_planner_init(void);

#endif							/* VP_PLANNER_H */
