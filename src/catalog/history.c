/*
 * history.c
 *	  Rows of vibepiper.run and vibepiper.task.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/history.h"
#include "common/spi.h"
#include "common/wanted.h"

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
vp_run_insert(VpRunRecord *run)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.run (pipeline_id, pipeline, kind, selection, force,"
		" publish, role, status, started_at, parallel, retry_of)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9, $10) RETURNING run_id",
		10, {INT4OID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, OIDOID,
		TIMESTAMPTZOID, BOOLOID, INT8OID}
	};
	Datum		v[10];
	char		nulls[10];
	VpSpi		spi;

	put(v, nulls, 0, true, Int32GetDatum(run->pipeline_id));
	put_text(v, nulls, 1, run->pipeline);
	put_text(v, nulls, 2, run->kind);
	put_text(v, nulls, 3, run->selection);
	put(v, nulls, 4, true, BoolGetDatum(run->force));
	put_text(v, nulls, 5, run->publish);
	put(v, nulls, 6, true, ObjectIdGetDatum(run->role));
	put(v, nulls, 7, true, TimestampTzGetDatum(run->started_at));
	put(v, nulls, 8, true, BoolGetDatum(run->parallel));
	put(v, nulls, 9, run->retry_of != 0, Int64GetDatum(run->retry_of));
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, v, nulls, false);
	run->id = vp_col_int64(0, 1);
	vp_spi_close(&spi);
}

void
vp_run_finish(const VpRunRecord *run)
{
	static VpStatement statement = {
		"UPDATE vibepiper.run SET status = $2, finished_at = clock_timestamp(),"
		" built = $3, unchanged = $4, cached = $5, failed = $6, skipped = $7,"
		" deferred = $8, error = $9, reused = $10, time_saved = $11 * interval '1 microsecond'"
		" WHERE run_id = $1 AND status = 'running'",
		11, {INT8OID, TEXTOID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID,
		TEXTOID, INT4OID, INT8OID}
	};
	const int  *n = run->counts;
	Datum		v[11];
	char		nulls[11];
	VpSpi		spi;

	put(v, nulls, 0, true, Int64GetDatum(run->id));
	put_text(v, nulls, 1, run->status);
	put(v, nulls, 2, true, Int32GetDatum(n[VP_TASK_BUILT]));
	put(v, nulls, 3, true, Int32GetDatum(n[VP_TASK_UNCHANGED]));
	put(v, nulls, 4, true, Int32GetDatum(n[VP_TASK_CACHED]));
	put(v, nulls, 5, true, Int32GetDatum(n[VP_TASK_FAILED]));
	put(v, nulls, 6, true, Int32GetDatum(n[VP_TASK_SKIPPED] + n[VP_TASK_CANCELLED]));
	put(v, nulls, 7, true, Int32GetDatum(n[VP_TASK_DEFERRED]));
	put_text(v, nulls, 8, run->error);
	put(v, nulls, 9, true, Int32GetDatum(run->reused));
	put(v, nulls, 10, true, Int64GetDatum(run->saved));
	vp_wanted_request(false);	/* the history that counts is longer now */
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, v, nulls, false);
	vp_spi_close(&spi);
}

static Datum
int64s_datum(List *values)
{
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(values), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, values)
		elems[n++] = Int64GetDatum(*(int64 *) lfirst(lc));
	return PointerGetDatum(construct_array(elems, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

List *
vp_runs_running(int32 pipeline_id)
{
	static VpStatement statement = {
		"SELECT run_id FROM vibepiper.run WHERE pipeline_id = $1 AND status = 'running'",
		1, {INT4OID}
	};
	Datum		key = Int32GetDatum(pipeline_id);
	MemoryContext caller = CurrentMemoryContext;
	List	   *ids = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, true);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
	{
		int64	   *id = palloc(sizeof(int64));

		*id = vp_col_int64(i, 1);
		ids = lappend(ids, id);
	}
	vp_spi_close(&spi);
	return ids;
}

void
vp_runs_bury(List *run_ids)
{
	static VpStatement statement = {
		"UPDATE vibepiper.run SET status = 'failed', finished_at = clock_timestamp(),"
		" error = '" VP_RUN_CUT_OFF "'"
		" WHERE run_id = ANY ($1) AND status = 'running'", 1, {INT8ARRAYOID}
	};
	Datum		values[1] = {int64s_datum(run_ids)};
	VpSpi		spi;

	vp_wanted_request(false);
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	vp_spi_close(&spi);
}

void
vp_run_restart_clock(const VpRunRecord *run)
{
	static VpStatement statement = {
		"UPDATE vibepiper.run SET started_at = $2 WHERE run_id = $1",
		2, {INT8OID, TIMESTAMPTZOID}
	};
	Datum		values[2] = {
		Int64GetDatum(run->id), TimestampTzGetDatum(run->started_at)
	};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	vp_spi_close(&spi);
}

void
vp_tasks_delete(int64 run_id)
{
	static VpStatement statement = {
		"DELETE FROM vibepiper.task WHERE run_id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(run_id);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, &key, NULL, false);
	vp_spi_close(&spi);
}

VpRunRecord *
vp_run_by_id(int64 run_id)
{
	static VpStatement statement = {
		"SELECT pipeline_id, pipeline, kind, selection, force, publish, role, status,"
		" error, started_at FROM vibepiper.run WHERE run_id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(run_id);
	VpRunRecord *run = NULL;
	VpSpi		spi;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, true) > 0)
	{
		run = MemoryContextAllocZero(spi.caller, sizeof(VpRunRecord));
		run->id = run_id;
		run->pipeline_id = vp_col_int32(0, 1, 0);
		run->pipeline = vp_col_text(&spi, 0, 2);
		run->kind = vp_col_text(&spi, 0, 3);
		run->selection = vp_col_text(&spi, 0, 4);
		run->force = vp_col_bool(0, 5);
		run->publish = vp_col_text(&spi, 0, 6);
		run->role = vp_col_oid(0, 7);
		run->status = vp_col_text(&spi, 0, 8);
		run->error = vp_col_text(&spi, 0, 9);
		run->started_at = vp_col_timestamp(0, 10, 0);
	}
	vp_spi_close(&spi);
	return run;
}

List *
vp_run_unpublished(int64 run_id)
{
	static VpStatement statement = {
		"SELECT asset_id FROM vibepiper.task t WHERE run_id = $1 AND NOT EXISTS"
		" (SELECT FROM vibepiper.publication p WHERE p.run_id = $1"
		" AND p.asset_id = t.asset_id)"
		" AND NOT (status = 'unchanged' AND EXISTS (SELECT FROM vibepiper.run r"
		" WHERE r.run_id = $1 AND (r.publish = 'asset'"
		" OR (r.publish = 'succeeded' AND r.status = 'failed' AND r.error IS NULL))))",
		1, {INT8OID}
	};
	Datum		key = Int64GetDatum(run_id);
	MemoryContext caller = CurrentMemoryContext;
	List	   *ids = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, false);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		ids = lappend_int(ids, vp_col_int32(i, 1, 0));
	vp_spi_close(&spi);
	return ids;
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

void
vp_task_insert(const VpTaskRecord *t)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.task (run_id, asset_id, asset, status, reason, rows,"
		" bytes, started_at, elapsed, compute_elapsed, index_elapsed, analyze_elapsed,"
		" version_id, error_sqlstate, error_message,"
		" error_detail, error_hint, error_context, attempts, sources) VALUES ($1, $2, $3, $4, $5, $6,"
		" $7, $8, $9 * interval '1 us', $16 * interval '1 us', $17 * interval '1 us',"
		" $18 * interval '1 us', $10, $11, $12, $13, $14, $15, $19, $20)"
		" ON CONFLICT (run_id, asset_id) DO UPDATE SET (status, reason, rows, bytes,"
		" started_at, elapsed, compute_elapsed, index_elapsed, analyze_elapsed,"
		" version_id, error_sqlstate, error_message, error_detail, error_hint,"
		" error_context, attempts, sources) = ROW (excluded.status, excluded.reason, excluded.rows,"
		" excluded.bytes, excluded.started_at, excluded.elapsed, excluded.compute_elapsed,"
		" excluded.index_elapsed, excluded.analyze_elapsed, excluded.version_id,"
		" excluded.error_sqlstate, excluded.error_message, excluded.error_detail,"
		" excluded.error_hint, excluded.error_context, excluded.attempts,"
		" excluded.sources)",
		20, {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID,
			TIMESTAMPTZOID, INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		INT8OID, INT8OID, INT8OID, INT4OID, BYTEAOID}
	};
	const ErrorData *e = t->error;
	Datum		v[20];
	char		nulls[20];
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
	put(v, nulls, 18, true, Int32GetDatum(t->attempts));
	put(v, nulls, 19, t->sources != NULL, PointerGetDatum(t->sources));
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, v, nulls, false);
	vp_spi_close(&spi);
}
