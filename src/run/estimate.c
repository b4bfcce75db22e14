/*
 * estimate.c
 *	  What building the assets of a pipeline will cost.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/spi.h"
#include "run/estimate.h"

/* Building an asset of no rows, and reading one row more. */
#define COST_BASE 2000.0
#define COST_PER_ROW 0.5

/* Guesses multiply along diamonds. */
#define MOST_ROWS 1e12

static int
compare_ids(const void *a, const void *b, void *arg)
{
	const VpNode *nodes = arg;
	int32		x = nodes[*(const int *) a].id;
	int32		y = nodes[*(const int *) b].id;

	return x < y ? -1 : x > y;
}

/* Rows of the sources that each asset reads directly. */
static void
add_source_rows(const VpState *state, double *rows)
{
	static VpStatement statement = {
		"SELECT d.asset_id, sum(greatest(c.reltuples, 0))::float8::bigint"
		" FROM vibepiper.dependency d JOIN vibepiper.asset a USING (asset_id)"
		" JOIN pg_class c ON c.oid = d.source WHERE a.pipeline_id = $1"
		" GROUP BY 1 ORDER BY 1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(state->pipeline->id);
	int		   *by_id = palloc(sizeof(int) * Max(state->ntotal, 1));
	int			k = 0;
	VpSpi		spi;
	uint64		n;

	for (int i = 0; i < state->ntotal; i++)
		by_id[i] = i;
	qsort_arg(by_id, state->ntotal, sizeof(int), compare_ids, state->nodes);
	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, true);
	for (uint64 row = 0; row < n; row++)
	{
		int32		id = vp_col_int32(row, 1, 0);

		while (k < state->ntotal && state->nodes[by_id[k]].id < id)
			k++;
		if (k < state->ntotal && state->nodes[by_id[k]].id == id)
			rows[by_id[k]] = (double) vp_col_int64(row, 2);
	}
	vp_spi_close(&spi);
}

double *
vp_estimate_costs(const VpState *state)
{
	double	   *cost = palloc0(sizeof(double) * Max(state->ntotal, 1));
	double	   *reads = palloc0(sizeof(double) * Max(state->ntotal, 1));
	bool		unknown = false;

	for (int i = 0; i < state->n; i++)
		unknown |= state->nodes[i].elapsed == 0;
	if (unknown)
		add_source_rows(state, reads);
	for (int k = 0; k < state->ntotal; k++)
	{
		int			i = state->order[k];
		const VpNode *node = &state->nodes[i];
		const VpGraphNode *graph_node = &state->graph->nodes[i];

		for (int u = 0; u < graph_node->nup; u++)
		{
			int			up = graph_node->up[u];

			/* of an upstream without version, as many as it reads */
			reads[i] += state->nodes[up].version_id != 0 ?
				(double) state->nodes[up].rows : reads[up];
		}
		reads[i] = Min(reads[i], MOST_ROWS);
		if (node->action == VP_ACTION_BUILD || node->action == VP_ACTION_MAYBE)
			cost[i] = node->elapsed > 0 ? (double) node->elapsed :
				COST_BASE + COST_PER_ROW * reads[i];
	}
	return cost;
}

double *
vp_estimate_reads(const VpState *state)
{
	static VpStatement statement = {
		"SELECT a.asset_id, r.reads FROM vibepiper.asset a JOIN vibepiper.asset_reads r USING (asset_id)"
		" WHERE a.pipeline_id = $1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(state->pipeline->id);
	double	   *reads = palloc(sizeof(double) * Max(state->ntotal, 1));
	VpSpi		spi;
	uint64		n;

	for (int i = 0; i < state->ntotal; i++)
		reads[i] = 1;
	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, true);
	for (uint64 row = 0; row < n; row++)
		for (int i = 0; i < state->n; i++)
			if (state->nodes[i].id == vp_col_int32(row, 1, 0))
				reads[i] += (double) vp_col_int64(row, 2);
	vp_spi_close(&spi);
	return reads;
}
