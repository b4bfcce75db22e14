/*
 * spi.h
 *	  Run a fixed statement on the extension's own tables, as their owner.
 *
 * A VpStatement is a static object at the place of use; its plan is kept for
 * the life of the backend.  Between vp_spi_open() and vp_spi_close() the user
 * is the extension's owner and the search_path is pg_catalog, so statements
 * qualify every name outside it.  Results are read with the vp_col_*
 * functions, which copy into the memory context that was current at
 * vp_spi_open().  An error needs no clean-up: abort restores everything.
 */
#ifndef VP_SPI_H
#define VP_SPI_H

#include "postgres.h"

#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "common/hash.h"

#define VP_MAX_ARGS 32

typedef struct VpStatement
{
	const char *sql;
	int			nargs;
	Oid			types[VP_MAX_ARGS];
	SPIPlanPtr	plan;
} VpStatement;

typedef struct VpSpi
{
	Oid			user;
	int			security;
	int			guc_level;		/* 0: search_path needed no change */
	MemoryContext caller;
} VpSpi;

extern void vp_spi_open(VpSpi *spi);
extern void vp_spi_close(VpSpi *spi);

/*
 * Run it with a new snapshot that sees all that this transaction did, or,
 * under_snapshot, read-only under the active snapshot.  Returns the number of
 * rows; they are in SPI_tuptable.  nulls may be NULL.
 */
extern uint64 vp_spi_run(VpStatement *statement, const Datum *values,
						 const char *nulls, bool under_snapshot);

/*
 * From now on statements of this backend see what is committed, even where the
 * transaction has an older snapshot.
 */
extern void vp_spi_see_latest(void);

/* Is a statement of the extension's own being executed? */
extern bool vp_spi_runs(void);

/* Column (from 1) of result row (from 0). */
extern bool vp_col_null(uint64 row, int column);
extern int64 vp_col_int64(uint64 row, int column);
extern int32 vp_col_int32(uint64 row, int column, int32 if_null);
extern Oid	vp_col_oid(uint64 row, int column);
extern bool vp_col_bool(uint64 row, int column);
extern VpHash vp_col_hash(uint64 row, int column);
extern TimestampTz vp_col_timestamp(uint64 row, int column, TimestampTz if_null);
extern char *vp_col_text(VpSpi *spi, uint64 row, int column);	/* NULL if null */
extern Interval *vp_col_interval(VpSpi *spi, uint64 row, int column);
extern List *vp_col_texts(VpSpi *spi, uint64 row, int column);	/* of char * */
extern Datum vp_col_datum(VpSpi *spi, uint64 row, int column, bool *isnull);

/* text[] from a list of char *, and back */
extern Datum vp_texts_datum(List *texts);
extern List *vp_texts_from_datum(Datum array);

/* oid[] from a list of Oid */
extern Datum vp_oids_datum(List *oids);

/* name[] to a list of char * */
extern List *vp_names_from_datum(Datum array);

#endif							/* VP_SPI_H */
