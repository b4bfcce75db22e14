/*
 * crew.h
 *	  The workers of a run: hire, give tasks, collect results, dismiss.
 */
#ifndef VP_CREW_H
#define VP_CREW_H

#include "run/leader.h"

/* One worker at once: it connects while the leader loads. */
extern void vp_crew_hire_first(Leader *leader);

/* As many as can be used now, if there are free processes. */
extern void vp_crew_hire(Leader *leader);

/* Give the task to an idle worker; false if there is none. */
extern bool vp_crew_assign(Leader *leader, int node);

/* Call back for each task that ended. */
extern void vp_crew_collect(Leader *leader, void (*ended) (int node));

/* Cancel the tasks that are executed. */
extern void vp_crew_stop_tasks(Leader *leader);

/* Does a worker wait for a lock of ours?  Then its task fails. */
extern void vp_crew_look_for_deadlock(Leader *leader);

/* How many milliseconds to sleep at most. */
extern long vp_crew_patience(const Leader *leader);

/* They may go. */
extern void vp_crew_release(Leader *leader);

/* They must go, and are gone when it returns. */
extern void vp_crew_dismiss(Leader *leader);

/* Forget them, once they are gone. */
extern void vp_crew_free(Leader *leader);

#endif							/* VP_CREW_H */
