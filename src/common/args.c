/*
 * args.c
 *	  Arguments and result rows of SQL-callable functions.
 */
#include "postgres.h"

#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "common/args.h"
#include "common/spi.h"

char *
vp_arg_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static void
check_array(Datum array, const char *name)
{
	if (ARR_NDIM(DatumGetArrayTypeP(array)) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array", name)));
	if (array_contains_nulls(DatumGetArrayTypeP(array)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s can't have null elements", name)));
}

List *
vp_arg_texts(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		return NIL;
	check_array(PG_GETARG_DATUM(n), name);
	return vp_texts_from_datum(PG_GETARG_DATUM(n));
}

List *
vp_arg_names(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		return NIL;
	check_array(PG_GETARG_DATUM(n), name);
	return vp_names_from_datum(PG_GETARG_DATUM(n));
}

Interval *
vp_arg_interval(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_INTERVAL_P(n);
}

void
vp_arg_require(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s can't be null", name)));
}

char *
vp_arg_text_required(FunctionCallInfo fcinfo, int n, const char *name)
{
	vp_arg_require(fcinfo, n, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

bool
vp_arg_bool(FunctionCallInfo fcinfo, int n, const char *name)
{
	vp_arg_require(fcinfo, n, name);
	return PG_GETARG_BOOL(n);
}

int32
vp_arg_int32(FunctionCallInfo fcinfo, int n, const char *name)
{
	vp_arg_require(fcinfo, n, name);
	return PG_GETARG_INT32(n);
}

ReturnSetInfo *
vp_result_begin(FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	return (ReturnSetInfo *) fcinfo->resultinfo;
}

void
vp_result_put(ReturnSetInfo *result, const Datum *values, const bool *nulls)
{
	tuplestore_putvalues(result->setResult, result->setDesc,
						 unconstify(Datum *, values), unconstify(bool *, nulls));
}

void
vp_put_text(Datum *values, bool *nulls, int i, const char *text)
{
	nulls[i] = text == NULL;
	values[i] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

void
vp_put_int64(Datum *values, bool *nulls, int i, int64 value, bool present)
{
	nulls[i] = !present;
	values[i] = Int64GetDatum(value);
}

void
vp_put_elapsed(Datum *values, bool *nulls, int i, int64 microseconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = microseconds;
	nulls[i] = microseconds < 0;
	values[i] = IntervalPGetDatum(interval);
}
