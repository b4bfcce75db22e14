/*
 * history.c
 *	  Rows of vibepiper.run and vibepiper.task.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog/history.h"
#include "common/spi.h"

static const char *const status_names[VP_TASK_STATUSES] = {
	[VP_TASK_WAITING] = "waiting",
	[VP_TASK_BUILT] = "built",
	[VP_TASK_UNCHANGED] = "unchanged",
	[VP_TASK_CACHED] = "cached",
	[VP_TASK_DEFERRED] = "deferred",
	[VP_TASK_FAILED] = "failed",
	[VP_TASK_SKIPPED] = "skipped",
	[VP_TASK_CANCELLED] = "cancelled"
};

const char *
vp_task_status_name(VpTaskStatus status)
{
	return status_names[status];
}

void
vp_run_insert(VpRunRecord *run)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.run (pipeline_id, pipeline, kind, selection, force,"
		" publish, role, status, started_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8) RETURNING run_id",
		8, {INT4OID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, OIDOID,
		TIMESTAMPTZOID}
	};
	Datum		values[8] = {
		Int32GetDatum(run->pipeline_id), CStringGetTextDatum(run->pipeline),
		CStringGetTextDatum(run->kind), (Datum) 0, BoolGetDatum(run->force),
		CStringGetTextDatum(run->publish), ObjectIdGetDatum(GetUserId()),
		TimestampTzGetDatum(run->started_at)
	};
	VpSpi		spi;

	if (run->selection != NULL)
		values[3] = CStringGetTextDatum(run->selection);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values,
					  run->selection != NULL ? NULL : "   n    ", false);
	run->id = vp_col_int64(0, 1);
	vp_spi_close(&spi);
}

void
vp_run_finish(const VpRunRecord *run)
{
	static VpStatement statement = {
		"UPDATE vibepiper.run SET status = $2, finished_at = clock_timestamp(),"
		" built = $3, unchanged = $4, cached = $5, failed = $6, skipped = $7,"
		" deferred = $8 WHERE run_id = $1",
		8, {INT8OID, TEXTOID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID}
	};
	const int  *n = run->counts;
	Datum		values[8] = {
		Int64GetDatum(run->id), CStringGetTextDatum(run->status),
		Int32GetDatum(n[VP_TASK_BUILT]), Int32GetDatum(n[VP_TASK_UNCHANGED]),
		Int32GetDatum(n[VP_TASK_CACHED]), Int32GetDatum(n[VP_TASK_FAILED]),
		Int32GetDatum(n[VP_TASK_SKIPPED] + n[VP_TASK_CANCELLED]),
		Int32GetDatum(n[VP_TASK_DEFERRED])
	};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	vp_spi_close(&spi);
}

bool
vp_run_exists(int32 pipeline_id, int64 run_id)
{
	static VpStatement statement = {
		"SELECT FROM vibepiper.run WHERE pipeline_id = $1 AND run_id = $2",
		2, {INT4OID, INT8OID}
	};
	Datum		values[2] = {Int32GetDatum(pipeline_id), Int64GetDatum(run_id)};
	VpSpi		spi;
	bool		found;

	vp_spi_open(&spi);
	found = vp_spi_run(&statement, values, NULL, false) > 0;
	vp_spi_close(&spi);
	return found;
}

static void
put(Datum *values, char *nulls, int i, bool present, Datum value)
{
	values[i] = value;
	nulls[i] = present ? ' ' : 'n';
}

static void
put_text(Datum *values, char *nulls, int i, const char *text)
{
	put(values, nulls, i, text != NULL,
		text != NULL ? CStringGetTextDatum(text) : (Datum) 0);
}

void
vp_task_insert(const VpTaskRecord *t)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.task (run_id, asset_id, asset, status, reason, rows,"
		" bytes, started_at, elapsed, compute_elapsed, index_elapsed, analyze_elapsed,"
		" version_id, error_sqlstate, error_message,"
		" error_detail, error_hint, error_context) VALUES ($1, $2, $3, $4, $5, $6,"
		" $7, $8, $9 * interval '1 us', $16 * interval '1 us', $17 * interval '1 us',"
		" $18 * interval '1 us', $10, $11, $12, $13, $14, $15)",
		18, {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID,
			TIMESTAMPTZOID, INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		INT8OID, INT8OID, INT8OID}
	};
	const ErrorData *e = t->error;
	Datum		v[18];
	char		nulls[18];
	VpSpi		spi;

	put(v, nulls, 0, true, Int64GetDatum(t->run_id));
	put(v, nulls, 1, true, Int32GetDatum(t->asset_id));
	put_text(v, nulls, 2, t->asset);
	put_text(v, nulls, 3, vp_task_status_name(t->status));
	put_text(v, nulls, 4, t->reason);
	put(v, nulls, 5, t->rows >= 0, Int64GetDatum(t->rows));
	put(v, nulls, 6, t->bytes >= 0, Int64GetDatum(t->bytes));
	put(v, nulls, 7, t->started_at != 0, TimestampTzGetDatum(t->started_at));
	put(v, nulls, 8, t->elapsed >= 0, Int64GetDatum(t->elapsed));
	put(v, nulls, 9, t->version_id != 0, Int64GetDatum(t->version_id));
	put_text(v, nulls, 10, e ? unpack_sql_state(e->sqlerrcode) : NULL);
	put_text(v, nulls, 11, e ? e->message : NULL);
	put_text(v, nulls, 12, e ? e->detail : NULL);
	put_text(v, nulls, 13, e ? e->hint : NULL);
	put_text(v, nulls, 14, e ? e->context : NULL);
	put(v, nulls, 15, t->compute_elapsed >= 0, Int64GetDatum(t->compute_elapsed));
	put(v, nulls, 16, t->index_elapsed >= 0, Int64GetDatum(t->index_elapsed));
	put(v, nulls, 17, t->analyze_elapsed >= 0, Int64GetDatum(t->analyze_elapsed));
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, v, nulls, false);
	vp_spi_close(&spi);
}
