/*
 * spi.c
 *	  Run a fixed statement on the extension's own tables, as their owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "common/extension.h"
#include "common/spi.h"

/*
 * The row that is being read, taken apart: its later columns are found by
 * walking along the earlier ones, which is done once.
 */
static struct
{
	const SPITupleTable *table; /* NULL: none */
	uint64		row;
	Datum	   *values;
	bool	   *nulls;
}			deformed;

#define SAFE_PATH "pg_catalog, pg_temp"

void
vp_spi_open(VpSpi *spi)
{
	const VpExtension *ext = vp_extension_required();

	spi->caller = CurrentMemoryContext;
	spi->guc_level = 0;
	if (strcmp(namespace_search_path, SAFE_PATH) != 0)
	{
		spi->guc_level = NewGUCNestLevel();
		(void) set_config_option("search_path", SAFE_PATH, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
	GetUserIdAndSecContext(&spi->user, &spi->security);
	SetUserIdAndSecContext(ext->owner,
						   spi->security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

void
vp_spi_close(VpSpi *spi)
{
	deformed.table = NULL;
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	SetUserIdAndSecContext(spi->user, spi->security);
	if (spi->guc_level > 0)
		AtEOXact_GUC(false, spi->guc_level);
}

static void
prepare(VpStatement *statement)
{
	SPIPlanPtr	plan = SPI_prepare(statement->sql, statement->nargs,
								   statement->types);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", statement->sql,
			 SPI_result_code_string(SPI_result));
	statement->plan = plan;
}

static bool see_latest = false;
static bool runs = false;

void
vp_spi_see_latest(void)
{
	see_latest = true;
}

bool
vp_spi_runs(void)
{
	return runs;
}

static int
execute(const VpStatement *statement, const Datum *values, const char *nulls,
		bool under_snapshot)
{
	if (see_latest && !under_snapshot)
		return SPI_execute_snapshot(statement->plan, unconstify(Datum *, values), nulls,
									GetLatestSnapshot(), InvalidSnapshot, false, true, 0);
	return SPI_execute_plan(statement->plan, unconstify(Datum *, values), nulls,
							under_snapshot, 0);
}

uint64
vp_spi_run(VpStatement *statement, const Datum *values, const char *nulls,
		   bool under_snapshot)
{
	int			rc;

	deformed.table = NULL;
	runs = true;
	PG_TRY();
	{
		if (statement->plan == NULL)
			prepare(statement);
		rc = execute(statement, values, nulls, under_snapshot);
	}
	PG_FINALLY();
	{
		runs = false;
	}
	PG_END_TRY();
	if (rc < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql,
			 SPI_result_code_string(rc));
	return SPI_processed;
}

/* Take the row apart, in the memory that its table ends with. */
static void
deform(uint64 row)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;

	if (deformed.table != SPI_tuptable)
	{
		deformed.values = MemoryContextAlloc(SPI_tuptable->tuptabcxt,
											 desc->natts * sizeof(Datum));
		deformed.nulls = MemoryContextAlloc(SPI_tuptable->tuptabcxt,
											desc->natts * sizeof(bool));
	}
	heap_deform_tuple(SPI_tuptable->vals[row], desc, deformed.values, deformed.nulls);
	deformed.table = SPI_tuptable;
	deformed.row = row;
}

static Datum
column(uint64 row, int col, bool *isnull)
{
	Assert(row < SPI_processed && col <= SPI_tuptable->tupdesc->natts);
	if (deformed.table != SPI_tuptable || deformed.row != row)
		deform(row);
	*isnull = deformed.nulls[col - 1];
	return deformed.values[col - 1];
}

bool
vp_col_null(uint64 row, int col)
{
	bool		isnull;

	(void) column(row, col, &isnull);
	return isnull;
}

int64
vp_col_int64(uint64 row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? 0 : DatumGetInt64(d);
}

int32
vp_col_int32(uint64 row, int col, int32 if_null)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? if_null : DatumGetInt32(d);
}

Oid
vp_col_oid(uint64 row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(d);
}

bool
vp_col_bool(uint64 row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return !isnull && DatumGetBool(d);
}

VpHash
vp_col_hash(uint64 row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	VpHash		none = {0, 0};

	return isnull ? none : vp_hash_from_datum(d);
}

TimestampTz
vp_col_timestamp(uint64 row, int col, TimestampTz if_null)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? if_null : DatumGetTimestampTz(d);
}

char *
vp_col_text(VpSpi *spi, uint64 row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	MemoryContext old;
	char	   *copy;

	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(spi->caller);
	copy = TextDatumGetCString(d);
	MemoryContextSwitchTo(old);
	return copy;
}

Interval *
vp_col_interval(VpSpi *spi, uint64 row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	Interval   *copy;

	if (isnull)
		return NULL;
	copy = MemoryContextAlloc(spi->caller, sizeof(Interval));
	*copy = *DatumGetIntervalP(d);
	return copy;
}

List *
vp_col_texts(VpSpi *spi, uint64 row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	MemoryContext old;
	List	   *texts;

	if (isnull)
		return NIL;
	old = MemoryContextSwitchTo(spi->caller);
	texts = vp_texts_from_datum(d);
	MemoryContextSwitchTo(old);
	return texts;
}

Datum
vp_col_datum(VpSpi *spi, uint64 row, int col, bool *isnull)
{
	Datum		d = column(row, col, isnull);
	Form_pg_attribute att = TupleDescAttr(SPI_tuptable->tupdesc, col - 1);
	MemoryContext old;

	if (*isnull)
		return (Datum) 0;
	old = MemoryContextSwitchTo(spi->caller);
	d = datumCopy(d, att->attbyval, att->attlen);
	MemoryContextSwitchTo(old);
	return d;
}

Datum
vp_oids_datum(List *oids)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(oids), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, oids)
		values[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(values, n, OIDOID, sizeof(Oid), true,
										   TYPALIGN_INT));
}

Datum
vp_texts_datum(List *texts)
{
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, texts)
		elems[n++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(elems, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

List *
vp_texts_from_datum(Datum array)
{
	ArrayType  *arr = DatumGetArrayTypeP(array);
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	List	   *texts = NIL;

	deconstruct_array(arr, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			texts = lappend(texts, TextDatumGetCString(elems[i]));
	return texts;
}

List *
vp_names_from_datum(Datum array)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	List	   *names = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			names = lappend(names, pstrdup(NameStr(*DatumGetName(elems[i]))));
	return names;
}
