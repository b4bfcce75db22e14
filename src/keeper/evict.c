/*
 * evict.c
 *	  Drops versions that nobody needs, and for vibepiper.cache_size those that
 *	  are worth least.
 *
 * A version's worth is what computing it took per byte, times how often it was
 * computed or found right again, plus the clock at its last use.  The clock is
 * the worth of what was evicted last, so that what isn't used any more gets
 * cheaper in comparison.  That is GreedyDual-Size with frequency (L. Cherkasova,
 * "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
 * Policy", HP Laboratories, 1998).  Published versions, and of each asset the
 * newest that its pipeline's keep_versions speaks of, are never evicted.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "catalog/asset.h"
#include "catalog/pg_type.h"
#include "catalog/pipeline.h"
#include "catalog/version.h"
#include "common/extension.h"
#include "common/spi.h"
#include "common/wanted.h"
#include "freshness/stored.h"
#include "keeper/keeper.h"
#include "run/session.h"
#include "store/slot.h"

/* Spare slots go when their pipeline wasn't run for so many pauses. */
#define SPARE_PAUSES 60

/* Slots that one transaction drops: each takes some eight locks until its end. */
#define BATCH 50

typedef struct Stored
{
	const VpVersion *version;
	int32		pipeline_id;
	bool		dropped;
} Stored;

/* All that is stored and not published. */
typedef struct Cache
{
	List	   *gone;			/* of Stored *: can't be right again */
	List	   *live;			/* ... and those that can, unprotected, by
								 * priority */
	List	   *victims;		/* ... of these, for want of room */
	int64		bytes;			/* of protected and live ones */
} Cache;

static int
by_priority(const ListCell *a, const ListCell *b)
{
	double		x = ((Stored *) lfirst(a))->version->priority;
	double		y = ((Stored *) lfirst(b))->version->priority;

	return x < y ? -1 : x > y;
}

/* Sort a pipeline's versions, which come by asset, the newest first, into the cache. */
static void
look_at_versions(Cache *cache, const VpPipeline *pipeline)
{
	int32		asset_id = 0;
	int			newer = 0;
	ListCell   *lc;

	foreach(lc, vp_versions_stored(pipeline->id, 0))
	{
		const VpVersion *version = lfirst(lc);
		Stored	   *stored = palloc(sizeof(Stored));

		CHECK_FOR_INTERRUPTS();
		if (version->asset_id != asset_id)
			newer = 1;			/* the published one */
		asset_id = version->asset_id;
		stored->version = version;
		stored->pipeline_id = pipeline->id;
		stored->dropped = false;
		if (version->ever_published && newer++ < pipeline->keep_versions)
			cache->bytes += version->bytes;
		else if (vp_stored_is_gone(version))
			cache->gone = lappend(cache->gone, stored);
		else
		{
			cache->bytes += version->bytes;
			cache->live = lappend(cache->live, stored);
		}
	}
}

static void
choose_victims(Cache *cache)
{
	int64		size = (int64) vp_cache_size * 1024 * 1024;
	ListCell   *lc;

	list_sort(cache->live, by_priority);
	foreach(lc, cache->live)
	{
		Stored	   *stored = lfirst(lc);

		if (cache->bytes <= size)
			return;
		cache->bytes -= stored->version->bytes;
		cache->victims = lappend(cache->victims, stored);
	}
}

static Stored *
find_stored(const List *all, int64 id)
{
	ListCell   *lc;

	foreach(lc, all)
		if (((Stored *) lfirst(lc))->version->id == id)
		return lfirst(lc);
	return NULL;
}

static void
count_evictions(int32 pipeline_id, int n, int64 bytes, double clock)
{
	static VpStatement statement = {
		"INSERT INTO vibepiper.cache_counter AS c (pipeline_id, evictions, evicted_bytes)"
		" VALUES ($1, $2, $3) ON CONFLICT (pipeline_id) DO UPDATE"
		" SET evictions = c.evictions + $2, evicted_bytes = c.evicted_bytes + $3",
		3, {INT4OID, INT4OID, INT8OID}
	};
	static VpStatement advance = {
		"UPDATE vibepiper.installation SET cache_clock = greatest(cache_clock, $1)",
		1, {FLOAT8OID}
	};
	Datum		values[3] = {
		Int32GetDatum(pipeline_id), Int32GetDatum(n), Int64GetDatum(bytes)
	};
	Datum		now = Float8GetDatum(clock);
	VpSpi		spi;

	vp_spi_open(&spi);
	(void) vp_spi_run(&statement, values, NULL, false);
	(void) vp_spi_run(&advance, &now, NULL, false);
	vp_spi_close(&spi);
}

static void
add_ids(List **ids, const List *all, int32 asset_id)
{
	ListCell   *lc;

	foreach(lc, all)
	{
		const Stored *stored = lfirst(lc);

		if (stored->version->asset_id == asset_id && !stored->dropped)
			*ids = lappend(*ids, unconstify(int64 *, &stored->version->id));
	}
}

/* With the pipeline's lock.  Returns how many slots were dropped. */
static int
trim_asset(const VpAsset *asset, const VpPipeline *pipeline, const Cache *cache, int most)
{
	VpKeep		keep = {pipeline->keep_versions, vp_cache_size > 0, NIL};
	List	   *dropped;
	int			n = 0;
	int64		bytes = 0;
	double		clock = 0;
	ListCell   *lc;

	add_ids(&keep.released, cache->gone, asset->id);
	add_ids(&keep.released, cache->victims, asset->id);
	dropped = vp_slots_trim(asset, &keep, most);
	foreach(lc, dropped)
	{
		int64		id = *(int64 *) lfirst(lc);
		Stored	   *victim = find_stored(cache->victims, id);
		Stored	   *gone = find_stored(cache->gone, id);

		if (gone != NULL)
			gone->dropped = true;
		if (victim == NULL)
			continue;
		victim->dropped = true;
		n++;
		bytes += victim->version->bytes;
		clock = Max(clock, victim->version->priority);
	}
	if (n > 0)
		count_evictions(pipeline->id, n, bytes, clock);
	return list_length(dropped);
}

/* Is there one of the pipeline that is to go? */
static bool
has_any(const List *all, const VpPipeline *pipeline)
{
	ListCell   *lc;

	foreach(lc, all)
	{
		const Stored *stored = lfirst(lc);

		if (stored->pipeline_id == pipeline->id && !stored->dropped)
			return true;
	}
	return false;
}

/* When it was run last; DT_NOBEGIN: never. */
static TimestampTz
last_run(int32 pipeline_id)
{
	static VpStatement statement = {
		"SELECT coalesce(finished_at, started_at) FROM vibepiper.run"
		" WHERE pipeline_id = $1 ORDER BY run_id DESC LIMIT 1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(pipeline_id);
	TimestampTz last = DT_NOBEGIN;
	VpSpi		spi;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, false) > 0)
		last = vp_col_timestamp(0, 1, DT_NOBEGIN);
	vp_spi_close(&spi);
	return last;
}

/* Has it slots that could go? */
static bool
has_spare_slots(int32 pipeline_id)
{
	static VpStatement statement = {
		"SELECT FROM vibepiper.slot s JOIN vibepiper.asset a USING (asset_id)"
		" LEFT JOIN vibepiper.version v ON v.version_id = s.version_id"
		" WHERE a.pipeline_id = $1 AND v.published IS NOT TRUE LIMIT 1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(pipeline_id);
	VpSpi		spi;
	bool		has;

	vp_spi_open(&spi);
	has = vp_spi_run(&statement, &key, NULL, false) > 0;
	vp_spi_close(&spi);
	return has;
}

/* One pipeline's part of the work: several transactions. */
typedef struct Part
{
	int32		pipeline_id;
	Cache	   *cache;
	MemoryContext context;
	bool		more;			/* it wasn't all */
	TimestampTz due;
} Part;

/*
 * Slots without a use are soon refilled where a pipeline is run often; else they
 * go.
 */
static void
trim_pipeline(Part *part, const VpPipeline *pipeline)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz idle = TimestampTzPlusMilliseconds(Max(last_run(pipeline->id), 0),
												   (int64) SPARE_PAUSES * vp_keeper_pause);
	int			n = 0;
	ListCell   *lc;

	if (!has_spare_slots(pipeline->id))
		return;
	if (idle > now && !has_any(part->cache->victims, pipeline))
	{
		part->due = idle;
		return;
	}
	vp_wanted_set_pipeline(pipeline->id);
	if (!vp_pipeline_try_lock(pipeline->id))
		return;					/* it is being run, and will ask again */
	foreach(lc, vp_assets_of_pipeline(pipeline->id))
	{
		CHECK_FOR_INTERRUPTS();
		n += trim_asset(lfirst(lc), pipeline, part->cache, BATCH - n);
		part->more = n == BATCH;
		if (part->more)
			return;
	}
	/* what is in use, or seen by old snapshots, goes later */
	if (has_any(part->cache->gone, pipeline) || has_any(part->cache->victims, pipeline))
		part->due = TimestampTzPlusMilliseconds(now, (int64) SPARE_PAUSES * vp_keeper_pause);
}

static VpPipeline *
begin_part(Part *part)
{
	part->more = false;
	vp_keeper_start();
	vp_keeper_give_way();
	MemoryContextSwitchTo(part->context);
	return vp_pipeline_by_id(part->pipeline_id);
}

static void
look_at_part(void *arg)
{
	Part	   *part = arg;
	const VpPipeline *pipeline = begin_part(part);

	if (pipeline != NULL)		/* not dropped meanwhile */
		look_at_versions(part->cache, pipeline);
	vp_session_commit();
}

static void
trim_part(void *arg)
{
	Part	   *part = arg;
	const VpPipeline *pipeline = begin_part(part);

	if (pipeline != NULL)
		trim_pipeline(part, pipeline);
	vp_session_commit();
}

static List *
all_pipelines(MemoryContext context)
{
	List	   *ids;

	vp_keeper_start();
	MemoryContextSwitchTo(context);
	ids = vp_pipeline_ids();
	vp_session_commit();
	return ids;
}

bool
vp_keep_versions(TimestampTz *due)
{
	Cache		cache = {0};
	Part		part = {.cache = &cache,.context = CurrentMemoryContext};
	List	   *pipelines = all_pipelines(part.context);
	bool		good = true;
	bool		trimmed;
	ListCell   *lc;

	foreach(lc, pipelines)
	{
		part.pipeline_id = lfirst_int(lc);
		good &= vp_keeper_try(look_at_part, &part);
	}
	choose_victims(&cache);
	foreach(lc, pipelines)
	{
		part.pipeline_id = lfirst_int(lc);
		part.due = DT_NOEND;
		do
		{
			trimmed = vp_keeper_try(trim_part, &part);
			good &= trimmed;
		} while (trimmed && part.more);
		vp_wanted_set_pipeline(0);
		*due = Min(*due, part.due);
	}
	return good;
}
