/*
 * reads.c
 *	  How often assets are read, for when they have to be rebuilt after a crash:
 *	  the server's statistics don't outlive it.
 */
#include "postgres.h"

#include "common/spi.h"
#include "keeper/keeper.h"
#include "run/session.h"

/* Scans of an asset's slots and their indexes, as the statistics have them. */
#define SCANS \
	"SELECT s.asset_id, sum(pg_stat_get_numscans(s.slot)" \
	" + coalesce((SELECT sum(pg_stat_get_numscans(i.indexrelid))" \
	" FROM pg_index i WHERE i.indrelid = s.slot), 0))::bigint AS n" \
	" FROM vibepiper.slot s GROUP BY 1"

/* Statistics that are less than they were began anew. */
void
vp_keep_reads(void)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.asset_reads AS r (asset_id, reads, seen)"
		" SELECT asset_id, n, n FROM (" SCANS ") AS s WHERE n > 0"
		" AND NOT EXISTS (SELECT FROM vibepiper.asset_reads o WHERE o.asset_id = s.asset_id AND o.seen = s.n)"
		" ON CONFLICT (asset_id) DO UPDATE SET seen = excluded.seen, reads = r.reads"
		" + CASE WHEN excluded.seen >= r.seen THEN excluded.seen - r.seen ELSE excluded.seen END",
		0, {0}
	};
	VpSpi		spi;

	vp_keeper_start();
	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, NULL, NULL, false);
	vp_spi_close(&spi);
	vp_session_commit();
}
