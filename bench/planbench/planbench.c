/*
 * planbench.c
 *	  Time calls of the planner, and executions of prepared plans, many in one
 *	  process.
 *
 * The queries take turns: forwards in one round, backwards in the next, so
 * that what drifts meets all of them alike.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#if PG_VERSION_NUM >= 190000
#define plan_query(q, text)	pg_plan_query(q, text, CURSOR_OPT_PARALLEL_OK, NULL, NULL)
#else
#define plan_query(q, text)	pg_plan_query(q, text, CURSOR_OPT_PARALLEL_OK, NULL)
#endif

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_plan);
PG_FUNCTION_INFO_V1(bench_prepare);
PG_FUNCTION_INFO_V1(bench_execute);

#define MAX_QUERIES 16

static SPIPlanPtr prepared[MAX_QUERIES];
static int	nprepared = 0;

static int
texts_of(ArrayType *array, char **texts)
{
	Datum	   *elems;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, NULL, &n);
	if (n > MAX_QUERIES)
		elog(ERROR, "at most %d queries", MAX_QUERIES);
	for (int i = 0; i < n; i++)
		texts[i] = TextDatumGetCString(elems[i]);
	return n;
}

static Query *
analyzed(const char *text)
{
	List	   *raw = pg_parse_query(text);
	List	   *queries;

	queries = pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, raw),
												 text, NULL, 0, NULL);
	return linitial_node(Query, queries);
}

static void
put(ReturnSetInfo *result, int round, int query, double us)
{
	Datum		values[3] = {
		Int32GetDatum(round), Int32GetDatum(query + 1), Float8GetDatum(us)
	};
	bool		nulls[3] = {false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Microseconds of so many copies, with or without planning them. */
static double
time_plans(Query *query, const char *text, int calls, bool plan, MemoryContext work)
{
	MemoryContext old = MemoryContextSwitchTo(work);
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	for (int i = 0; i < calls; i++)
	{
		Query	   *copy = copyObject(query);

		if (plan)
			(void) plan_query(copy, text);
		MemoryContextReset(work);
	}
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	MemoryContextSwitchTo(old);
	return INSTR_TIME_GET_DOUBLE(end) * 1e6;
}

Datum
bench_plan(PG_FUNCTION_ARGS)
{
	char	   *texts[MAX_QUERIES];
	Query	   *queries[MAX_QUERIES];
	int			n = texts_of(PG_GETARG_ARRAYTYPE_P(0), texts);
	int			rounds = PG_GETARG_INT32(1);
	int			calls = PG_GETARG_INT32(2);
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "bench",
											   ALLOCSET_DEFAULT_SIZES);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
		queries[i] = analyzed(texts[i]);
	for (int i = 0; i < n; i++)
		(void) time_plans(queries[i], texts[i], 10, true, work);
	for (int round = 0; round < rounds; round++)
	{
		for (int k = 0; k < n; k++)
		{
			int			i = round % 2 == 0 ? k : n - 1 - k;
			double		copies = time_plans(queries[i], texts[i], calls, false, work);
			double		plans = time_plans(queries[i], texts[i], calls, true, work);

			CHECK_FOR_INTERRUPTS();
			put((ReturnSetInfo *) fcinfo->resultinfo, round, i,
				(plans - copies) / calls);
		}
	}
	return (Datum) 0;
}

Datum
bench_prepare(PG_FUNCTION_ARGS)
{
	char	   *texts[MAX_QUERIES];
	int			n = texts_of(PG_GETARG_ARRAYTYPE_P(0), texts);
	Oid			type = INT4OID;

	SPI_connect();
	for (; nprepared > 0; nprepared--)
		SPI_freeplan(prepared[nprepared - 1]);
	for (int i = 0; i < n; i++)
	{
		prepared[i] = SPI_prepare(texts[i], 1, &type);
		if (prepared[i] == NULL || SPI_keepplan(prepared[i]) != 0)
			elog(ERROR, "could not prepare \"%s\"", texts[i]);
		nprepared++;
	}
	SPI_finish();
	PG_RETURN_VOID();
}

static double
time_executions(SPIPlanPtr plan, int calls, int keys)
{
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	for (int i = 0; i < calls; i++)
	{
		Datum		key = Int32GetDatum(i % keys + 1);

		if (SPI_execute_plan(plan, &key, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "execution failed");
		SPI_freetuptable(SPI_tuptable);
	}
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	return INSTR_TIME_GET_DOUBLE(end) * 1e6;
}

Datum
bench_execute(PG_FUNCTION_ARGS)
{
	int			rounds = PG_GETARG_INT32(0);
	int			calls = PG_GETARG_INT32(1);
	int			keys = PG_GETARG_INT32(2);

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	for (int round = 0; round < rounds; round++)
	{
		for (int k = 0; k < nprepared; k++)
		{
			int			i = round % 2 == 0 ? k : nprepared - 1 - k;
			double		us = time_executions(prepared[i], calls, keys);

			CHECK_FOR_INTERRUPTS();
			put((ReturnSetInfo *) fcinfo->resultinfo, round, i, us / calls);
		}
	}
	SPI_finish();
	return (Datum) 0;
}
