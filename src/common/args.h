/*
 * args.h
 *	  Arguments and result rows of SQL-callable functions.
 */
#ifndef VP_ARGS_H
#define VP_ARGS_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* NULL if the argument is null */
extern char *vp_arg_text(FunctionCallInfo fcinfo, int n);
extern Interval *vp_arg_interval(FunctionCallInfo fcinfo, int n);

/* Of char *; NIL if the argument is null; error (22004) if an element is. */
extern List *vp_arg_texts(FunctionCallInfo fcinfo, int n, const char *name);
extern List *vp_arg_names(FunctionCallInfo fcinfo, int n, const char *name);

/* Error (22004) if the argument is null. */
extern void vp_arg_require(FunctionCallInfo fcinfo, int n, const char *name);
extern char *vp_arg_text_required(FunctionCallInfo fcinfo, int n, const char *name);
extern bool vp_arg_bool(FunctionCallInfo fcinfo, int n, const char *name);
extern int32 vp_arg_int32(FunctionCallInfo fcinfo, int n, const char *name);

/* Begin a set-returning function's result; each row is then put. */
extern ReturnSetInfo *vp_result_begin(FunctionCallInfo fcinfo);
extern void vp_result_put(ReturnSetInfo *result, const Datum *values, const bool *nulls);

/* One value of a row, null if the text is NULL. */
extern void vp_put_text(Datum *values, bool *nulls, int i, const char *text);
extern void vp_put_int64(Datum *values, bool *nulls, int i, int64 value, bool present);

/* An interval of so many microseconds, null if negative. */
extern void vp_put_elapsed(Datum *values, bool *nulls, int i, int64 microseconds);

#endif							/* VP_ARGS_H */
