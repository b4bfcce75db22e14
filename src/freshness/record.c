/*
 * record.c
 *	  What the running transaction did, and writing it into the rings.
 *
 * Rows are counted by PostgreSQL's statistics, by subtransaction; what these
 * don't tell is noted here, with the level of its subtransaction, and is
 * forgotten if that is rolled back.
 *
 * A transaction that writes, has an asset computed, and writes again makes two
 * entries: the version's mark says that the first one was seen.  So it is kept
 * here how much had been written when a mark was made.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pgstat_internal.h"
#include "utils/resowner.h"

#include "common/extension.h"
#include "common/point.h"
#include "common/uncounted.h"
#include "compat/compat.h"
#include "freshness/ring_private.h"

/* What the running transaction had written of a relation, so far. */
typedef struct Written
{
	PgStat_Counter inserted;
	PgStat_Counter updated;
	PgStat_Counter deleted;
	bool		truncated;
	uint64		truncations;	/* how many there had been by then */
} Written;

/* That was so when a mark was made. */
typedef struct OwnMark
{
	Oid			relid;
	Written		written;
	int			entries;		/* that will stand for it */
	int			level;			/* of the subtransaction */
} OwnMark;

/* What the running transaction did that statistics don't tell. */
typedef struct Noted
{
	Oid			classid;
	Oid			objid;
	VpChange	change;
	int			level;			/* of the subtransaction */
} Noted;

static bool ending = false;		/* said so in shared memory */
static bool settling = false;	/* counted in nsettling */
static List *noted = NIL;		/* of Noted *, in TopTransactionContext */
static uint64 truncations = 0;	/* by this process */
static List *own_marks = NIL;	/* of OwnMark *, in TopTransactionContext */

/*
 * Does anybody want to know what is written in the database, and can he still?
 * Without a lock: who begins a watch looks for those who are ending, as we are.
 */
static bool
is_watched(Oid database)
{
	const Watch *watch = vp_rings->nwatches > 0 ? vp_ring_find_watch(database) : NULL;

	return watch != NULL && !watch->full;
}

/* Slots and our own tables are nobody's sources. */
static bool
may_be_source(Oid relid)
{
	Oid			schema = relid < FirstNormalObjectId ? InvalidOid :
	get_rel_namespace(relid);
	const VpExtension *ext = vp_extension();

	return OidIsValid(schema) && schema != ext->store_schema && schema != ext->schema &&
		get_rel_relkind(relid) != RELKIND_INDEX;
}

/* A relation that isn't tracked was written: a watch wants to know. */
static void
record_watched(const RingKey *key, RingEntry entry)
{
	Watch	   *watch;
	Ring	   *ring = NULL;

	if (key->classid != RelationRelationId || !may_be_source(key->objid))
		return;
	LWLockAcquire(vp_rings->lock, LW_EXCLUSIVE);
	watch = vp_ring_find_watch(key->database);
	if (watch != NULL)
	{
		ring = vp_ring_open(key);
		watch->full |= ring == NULL;
	}
	LWLockRelease(vp_rings->lock);
	if (ring != NULL)
		vp_ring_append_if(ring, key, entry);
}

static void
record(Oid classid, Oid objid, RingEntry entry)
{
	RingKey		key = key_of(classid, objid);
	int			ring = vp_ring_find_known(&key);

	if (ring >= 0)
		vp_ring_append_if(&vp_rings->rings[ring], &key, entry);
	else if (is_watched(key.database))
		record_watched(&key, entry);
}

static void
add_written(Written *sum, const PgStat_TableXactStatus *counts)
{
	sum->inserted += counts->tuples_inserted;
	sum->updated += counts->tuples_updated;
	sum->deleted += counts->tuples_deleted;
	sum->truncated |= counts->truncdropped;
	sum->truncations = truncations;
}

static bool
is_write(const Written *written)
{
	return written->inserted > 0 || written->updated > 0 || written->deleted > 0 ||
		written->truncated;
}

/* Counts begin anew with TRUNCATE. */
static bool
wrote_since(const Written *then, const Written *now)
{
	return then->truncated != now->truncated ||
		(now->truncated && then->truncations != now->truncations) ||
		then->inserted != now->inserted ||
		then->updated != now->updated || then->deleted != now->deleted;
}

/* In all subtransactions that go on; what was before a TRUNCATE is forgotten. */
static Written
written_so_far(Oid relid)
{
	Written		sum = {0};

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return sum;
	for (PgStat_SubXactStatus *level = pgstat_get_xact_stack_level(GetCurrentTransactionNestLevel());
		 level != NULL && !sum.truncated; level = level->prev)
		for (PgStat_TableXactStatus *counts = level->first; counts != NULL; counts = counts->next)
			if (vp_stat_relation(counts->parent) == relid)
				add_written(&sum, counts);
	return sum;
}

static const OwnMark *
last_own_mark(Oid relid)
{
	for (int i = list_length(own_marks) - 1; i >= 0; i--)
	{
		const OwnMark *own = list_nth(own_marks, i);

		if (own->relid == relid)
			return own;
	}
	return NULL;
}

/* How many entries stand for what was written by now. */
static int
entries_for(Oid relid, const Written *written)
{
	const OwnMark *own = last_own_mark(relid);

	if (!is_write(written))
		return 0;
	if (own == NULL)
		return 1;
	return own->entries + wrote_since(&own->written, written);
}

/*
 * A mark is made of what this transaction has written.  It is kept when the
 * task's subtransaction is rolled back because the rows were the same, so it
 * belongs to the one above.
 */
int
vp_ring_note_own_mark(Oid relid)
{
	Written		written = written_so_far(relid);
	int			entries = entries_for(relid, &written);
	const OwnMark *last = last_own_mark(relid);
	MemoryContext old;
	OwnMark    *own;

	if (entries == 0 || (last != NULL && last->entries == entries))
		return entries;
	old = MemoryContextSwitchTo(TopTransactionContext);
	own = palloc(sizeof(OwnMark));
	own->relid = relid;
	own->written = written;
	own->entries = entries;
	own->level = Max(GetCurrentTransactionNestLevel() - 1, 1);
	own_marks = lappend(own_marks, own);
	MemoryContextSwitchTo(old);
	return entries;
}

/* Does this transaction hold a lock that writers of rows take, or who replaces them all? */
static bool
holds_writers_lock(Oid relid)
{
	static const LOCKMODE modes[] = {RowExclusiveLock, ExclusiveLock, AccessExclusiveLock};
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	for (int i = 0; i < (int) lengthof(modes); i++)
		if (vp_lock_held_by_me(&tag, modes[i]))
			return true;
	return false;
}

/*
 * Whatever the transaction may have written; or only what nothing else tells.
 * Of what isn't tracked a watch can't know then.
 */
static void
record_locked(FullTransactionId xid, bool all)
{
	Watch	   *watch;

	LWLockAcquire(vp_rings->lock, LW_SHARED);
	for (int i = 0; i < vp_rings->room; i++)
	{
		Ring	   *ring = &vp_rings->rings[i];
		RingKey		key = ring->key;

		if (key.database == MyDatabaseId && key.classid == RelationRelationId &&
			(all || ring->by_locks) && holds_writers_lock(key.objid))
			vp_ring_append_if(ring, &key, make_entry(xid, VP_CHANGE_WRITTEN));
	}
	watch = vp_ring_find_watch(MyDatabaseId);
	if (all && watch != NULL)
		watch->full = true;
	LWLockRelease(vp_rings->lock);
}

/*
 * Before this transaction can be seen: write it into the rings of what it
 * changed.  The statistics of the outermost level hold what its
 * subtransactions did, unless they were rolled back.
 */
static void
record_transaction(void)
{
	FullTransactionId xid = GetTopFullTransactionIdIfAny();
	PgStat_SubXactStatus *level;
	ListCell   *lc;

	if (!FullTransactionIdIsValid(xid))
		return;
	ending = true;
	pg_atomic_write_u64(&vp_ring_endings[VP_MY_PROC_NUMBER].xid, U64FromFullTransactionId(xid));
	pg_memory_barrier();
	if (vp_rings->used == 0 && vp_rings->nwatches == 0)
		return;
	vp_ring_refresh_known();
	level = pgstat_get_xact_stack_level(1);
	for (PgStat_TableXactStatus *counts = level->first; counts != NULL; counts = counts->next)
	{
		Oid			relid = vp_stat_relation(counts->parent);
		Written		written = {0};
		int			entries;

		if (vp_stat_is_shared(counts->parent))
			continue;
		add_written(&written, counts);
		entries = entries_for(relid, &written);
		for (int i = 0; i < entries; i++)
			record(RelationRelationId, relid, make_entry(xid, VP_CHANGE_WRITTEN));
	}
	if (vp_uncounted() || vp_rings->nby_locks > 0)
		record_locked(xid, vp_uncounted());
	foreach(lc, noted)
	{
		Noted	   *note = lfirst(lc);

		record(note->classid, note->objid, make_entry(xid, note->change));
	}
	VP_POINT("ring.recorded");
}

static void
forget_transaction(void)
{
	noted = NIL;
	own_marks = NIL;
	vp_ring_watch_end_of_transaction();
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			record_transaction();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_transaction();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

/*
 * Others have been told of what it altered.  Auxiliary processes come here, too,
 * but have no place among the endings.
 */
static void
release_callback(ResourceReleasePhase phase, bool is_commit, bool is_top, void *arg)
{
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !is_top)
		return;
	if (ending)
		pg_atomic_write_u64(&vp_ring_endings[VP_MY_PROC_NUMBER].xid, 0);
	ending = false;
	if (settling)
		pg_atomic_fetch_sub_u32(&vp_rings->nsettling, 1);
	settling = false;
}

/* Did it alter something?  Its own end isn't recorded. */
void
vp_ring_note_commit_prepared(void)
{
	FullTransactionId *prepared;
	int			n;
	Ring		ring;

	if (settling || !vp_ring_copy(VP_RING_CODE, InvalidOid, &ring))
		return;
	n = vp_ring_prepared_writers(VP_RING_CODE, InvalidOid, &prepared);
	for (int64 p = first_kept(&ring); p < ring.position && !settling; p++)
		settling = contains(prepared, n, entry_xid(entry_at(&ring, p)));
	if (settling)
		pg_atomic_fetch_add_u32(&vp_rings->nsettling, 1);
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
				 void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	foreach(lc, noted)
	{
		Noted	   *note = lfirst(lc);

		if (note->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			note->level = level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			noted = foreach_delete_current(noted, lc);
	}
	foreach(lc, own_marks)
	{
		OwnMark    *own = lfirst(lc);

		if (own->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			own->level = level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			own_marks = foreach_delete_current(own_marks, lc);
	}
}

void
vp_ring_note(Oid classid, Oid objid, VpChange change)
{
	MemoryContext old;
	Noted	   *note;
	ListCell   *lc;

	foreach(lc, noted)
	{
		const Noted *other = lfirst(lc);

		if (other->objid == objid && other->classid == classid &&
			other->change == change && other->level <= GetCurrentTransactionNestLevel())
			return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	note = palloc(sizeof(Noted));
	note->classid = classid;
	note->objid = objid;
	note->change = change;
	note->level = GetCurrentTransactionNestLevel();
	noted = lappend(noted, note);
	MemoryContextSwitchTo(old);
}

void
vp_ring_note_truncate(void)
{
	truncations++;
}

VpChange
vp_ring_own_change(const VpMark *mark)
{
	VpChange	change = VP_CHANGE_NONE;
	Written		written;
	int			seen;
	ListCell   *lc;

	foreach(lc, noted)
	{
		const Noted *note = lfirst(lc);

		if (note->objid == mark->objid && note->classid == mark->classid)
			change = Max(change, note->change);
	}
	if (mark->classid != RelationRelationId ||
		!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return change;
	written = written_so_far(mark->objid);
	seen = FullTransactionIdEquals(mark->own_xid, GetTopFullTransactionIdIfAny()) ?
		mark->own_entries : 0;
	if (entries_for(mark->objid, &written) > seen ||
		((vp_uncounted() || vp_ring_is_told_by_locks(mark)) && holds_writers_lock(mark->objid)))
		change = VP_CHANGE_WRITTEN;
	return change;
}

void
vp_ring_record_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterResourceReleaseCallback(release_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
