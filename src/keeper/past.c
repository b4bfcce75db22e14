/*
 * past.c
 *	  Bounds the history of runs.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "catalog/pg_type.h"
#include "common/spi.h"
#include "common/wanted.h"
#include "keeper/keeper.h"
#include "run/session.h"

/* Rows of runs that one transaction deletes. */
#define BATCH "1000"

static int	keep_history = 30 * 24 * 60;
static int	keep_runs = 10000;

/*
 * The last run of a pipeline is kept, however old.  Returns how many went.
 */
static int
delete_runs(void)
{
	static VpStatement statement = {
		"WITH gone AS (DELETE FROM vibepiper.run WHERE run_id IN (SELECT run_id FROM ("
		" SELECT r.run_id, r.finished_at, p.pipeline_id IS NULL AS orphan,"
		" row_number() OVER (PARTITION BY r.pipeline_id ORDER BY r.run_id DESC) AS age"
		" FROM vibepiper.run r LEFT JOIN vibepiper.pipeline p USING (pipeline_id)"
		" WHERE r.finished_at IS NOT NULL) AS r"
		" WHERE (age > 1 OR orphan) AND ($2 > 0 AND age > $2"
		" OR $1 > 0 AND finished_at < clock_timestamp() - $1 * interval '1 minute')"
		" LIMIT " BATCH ") RETURNING *),"
		" counters AS (INSERT INTO vibepiper.cache_counter AS c"
		" (pipeline_id, hits, reuses, misses, time_saved) SELECT g.pipeline_id,"
		" sum(g.cached - g.reused), sum(g.reused), sum(g.built + g.unchanged), sum(g.time_saved)"
		" FROM gone g JOIN vibepiper.pipeline USING (pipeline_id) GROUP BY 1"
		" ON CONFLICT (pipeline_id) DO UPDATE SET hits = c.hits + excluded.hits,"
		" reuses = c.reuses + excluded.reuses, misses = c.misses + excluded.misses,"
		" time_saved = c.time_saved + excluded.time_saved),"
		" tasks AS (DELETE FROM vibepiper.task t USING gone g WHERE t.run_id = g.run_id)"
		" SELECT count(*) FROM gone", 2, {INT4OID, INT4OID}
	};
	Datum		values[2] = {Int32GetDatum(keep_history), Int32GetDatum(keep_runs)};
	VpSpi		spi;
	int			n;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	n = (int) vp_col_int64(0, 1);
	vp_spi_close(&spi);
	return n;
}

/* What no run that is still known could be rolled back to. */
static void
delete_publications(void)
{
	static VpStatement statement = {
		"WITH first AS (SELECT pipeline_id, min(run_id) AS run_id FROM vibepiper.run GROUP BY 1)"
		" DELETE FROM vibepiper.publication p USING vibepiper.asset a, first f"
		" WHERE a.asset_id = p.asset_id AND f.pipeline_id = a.pipeline_id AND p.run_id < f.run_id"
		" AND EXISTS (SELECT FROM vibepiper.publication q WHERE q.asset_id = p.asset_id"
		" AND q.run_id > p.run_id AND q.run_id <= f.run_id)", 0, {0}
	};
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, NULL, NULL, false);
	vp_spi_close(&spi);
}

void
vp_keep_history(void)
{
	int			n;

	do
	{
		CHECK_FOR_INTERRUPTS();
		vp_keeper_start();
		vp_keeper_give_way();
		n = delete_runs();
		if (n > 0)
			delete_publications();
		vp_session_commit();
	} while (n > 0);
}

void
vp_keeper_init(void)
{
	DefineCustomIntVariable("vibepiper.keep_history",
							"How long the history of runs is kept.",
							"0: for ever. A pipeline's last run is kept.",
							&keep_history, 30 * 24 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN,
							NULL, NULL, NULL);
	DefineCustomIntVariable("vibepiper.keep_runs",
							"How many runs of a pipeline the history keeps.",
							"0: all that keep_history keeps.",
							&keep_runs, 10000, 0, INT_MAX, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
}
