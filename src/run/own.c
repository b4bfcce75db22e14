/*
 * own.c
 *	  What the caller of a parallel run did in his own transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "common/extension.h"
#include "common/names.h"
#include "common/spi.h"
#include "compat/compat.h"
#include "freshness/ring.h"
#include "freshness/sources.h"
#include "run/own.h"

#define HINT "COMMIT first, or use parallel => false, which runs in this transaction."

/* Sources, what views among them read, and children of all these. */
static List *
relations_read(int32 pipeline_id)
{
	static VpStatement statement = {
		"WITH RECURSIVE src(oid) AS ("
		" SELECT d.source FROM vibepiper.dependency d JOIN vibepiper.asset a USING (asset_id)"
		"  WHERE a.pipeline_id = $1 AND d.source IS NOT NULL"
		" UNION SELECT x.oid FROM src, LATERAL ("
		"  SELECT p.refobjid FROM pg_rewrite r"
		"   JOIN pg_depend p ON p.classid = 'pg_rewrite'::regclass AND p.objid = r.oid"
		"    AND p.refclassid = 'pg_class'::regclass WHERE r.ev_class = src.oid"
		"  UNION ALL SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = src.oid) x(oid))"
		" SELECT oid FROM src", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(pipeline_id);
	MemoryContext caller = CurrentMemoryContext;
	List	   *oids = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, false);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
		oids = lappend_oid(oids, vp_col_oid(i, 1));
	vp_spi_close(&spi);
	return oids;
}

/* Pipelines whose assets it reads. */
static List *
pipelines_read(int32 pipeline_id)
{
	static VpStatement statement = {
		"SELECT DISTINCT u.pipeline_id FROM vibepiper.asset a"
		" JOIN vibepiper.dependency d USING (asset_id)"
		" JOIN vibepiper.asset u ON u.asset_id = d.upstream_id WHERE a.pipeline_id = $1",
		1, {INT4OID}
	};
	Datum		key = Int32GetDatum(pipeline_id);
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

static void
check_pipeline(int32 pipeline_id)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, vp_extension()->pipeline, pipeline_id, 0);
	if (vp_lock_held_by_me(&tag, ExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this transaction has changed pipeline \"%s\", which a parallel run can't see",
						vp_pipeline_by_id(pipeline_id)->name),
				 errhint(HINT)));
}

static bool
has_written(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return vp_lock_held_by_me(&tag, RowExclusiveLock) ||
		vp_lock_held_by_me(&tag, ExclusiveLock) ||
		vp_lock_held_by_me(&tag, AccessExclusiveLock);
}

/* Of what functions read: a mere lock of it isn't looked for. */
static bool
has_changed_rows(Oid relid)
{
	VpMark		mark = {.classid = RelationRelationId,.objid = relid};

	return vp_ring_own_change(&mark) == VP_CHANGE_WRITTEN;
}

static void
refuse(Oid relid, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this transaction has %s %s, which a parallel run can't see", what,
					vp_relation_name(relid)),
			 errhint(HINT)));
}

void
vp_own_check(const VpPipeline *pipeline)
{
	ListCell   *lc;

	check_pipeline(pipeline->id);
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	foreach(lc, pipelines_read(pipeline->id))
		check_pipeline(lfirst_int(lc));
	foreach(lc, relations_read(pipeline->id))
		if (has_written(lfirst_oid(lc)))
		refuse(lfirst_oid(lc), "changed or locked");
	foreach(lc, vp_sources_of_versions(pipeline->id))
		if (has_changed_rows(lfirst_oid(lc)))
		refuse(lfirst_oid(lc), "changed");
}
