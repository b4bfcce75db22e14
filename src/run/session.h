/*
 * session.h
 *	  The session of a run's background worker.
 */
#ifndef VP_SESSION_H
#define VP_SESSION_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "run/launch.h"

/* First thing in the process: signals, and what it was launched for. */
extern VpLaunch vp_session_begin(void);

/*
 * Connect as this user, whose session started the run.  Timeouts that are set
 * for the database or the role don't hold here.
 */
extern void vp_session_connect(Oid database, Oid user, const char *name);

/* Waiting longer for a lock is an error. */
extern void vp_session_set_lock_timeout(int milliseconds);

/* Arm a named point as the caller of the run has. */
extern void vp_session_set_point(const char *point);

/* Begin a transaction; `now`, if not 0, is its now(). */
extern void vp_session_start(int isolation, TimestampTz now);

/*
 * Begin a transaction that reads and writes our tables as they are now;
 * durable: its end waits for its WAL.
 */
extern void vp_session_start_bookkeeping(bool durable);

/* Don't wait for this transaction's WAL. */
extern void vp_session_commit_asynchronously(void);

extern void vp_session_commit(void);

/* Do what a signal asked for that is not an interrupt. */
extern void vp_session_reload(void);

#endif							/* VP_SESSION_H */
