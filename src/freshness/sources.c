/*
 * sources.c
 *	  What a version remembers of what it was computed from and by, and whether
 *	  that is still the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "common/names.h"
#include "freshness/altered.h"
#include "freshness/meaning.h"
#include "freshness/ring.h"
#include "freshness/sources.h"
#include "store/reads.h"

/* What the bytes begin with. */
typedef struct Header
{
	FullTransactionId xmax;		/* of the snapshot under which was read */
	FullTransactionId code_xmax;	/* of the one before the first statement */
	bool		code_changed;	/* something was altered meanwhile */
	int32		nfunctions;
	int32		nmeanings;		/* functions are the last ones */
	int32		nmarks;
} Header;

/* Then the mark of altering statements, the meanings, and the other marks. */
typedef struct StoredMark
{
	Oid			source;			/* that was named: the object or an ancestor */
	Oid			objid;
	bool		with_children;	/* the source, if it has or gets some */
	int64		serial;
	int64		position;
	FullTransactionId own_xid;
	int32		own_entries;
	int32		nunseen;		/* that many transaction ids follow */
} StoredMark;

/* While an asset is computed. */
static VpMark code_mark;
static FullTransactionId code_xmax;

/* A position in the bytes. */
typedef struct Reader
{
	const char *next;
	const char *end;
} Reader;

static void
append_mark(StringInfo buf, Oid source, bool with_children, const VpMark *mark)
{
	StoredMark	stored;

	memset(&stored, 0, sizeof(stored));
	stored.source = source;
	stored.with_children = with_children;
	stored.objid = mark->objid;
	stored.serial = mark->serial;
	stored.position = mark->position;
	stored.own_xid = mark->own_xid;
	stored.own_entries = mark->own_entries;
	stored.nunseen = mark->nunseen;
	appendBinaryStringInfo(buf, (char *) &stored, sizeof(stored));
	appendBinaryStringInfo(buf, (char *) mark->unseen,
						   mark->nunseen * sizeof(FullTransactionId));
}

static void
take(Reader *reader, void *to, Size size)
{
	if (size > (Size) (reader->end - reader->next))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("what a version remembers of its sources is cut off")));
	memcpy(to, reader->next, size);
	reader->next += size;
}

/* The mark, and what else is said of the source. */
static StoredMark
take_mark(Reader *reader, VpMark *mark)
{
	StoredMark	stored;

	take(reader, &stored, sizeof(stored));
	mark->classid = OidIsValid(stored.objid) ? RelationRelationId : VP_RING_CODE;
	mark->objid = stored.objid;
	mark->serial = stored.serial;
	mark->position = stored.position;
	mark->own_xid = stored.own_xid;
	mark->own_entries = stored.own_entries;
	mark->nunseen = stored.nunseen;
	mark->unseen = palloc(mark->nunseen * sizeof(FullTransactionId));
	take(reader, mark->unseen, mark->nunseen * sizeof(FullTransactionId));
	return stored;
}

/* Is it a table whose changes are to be followed? */
static bool
is_source(Oid relid)
{
	const VpExtension *ext = vp_extension();
	Oid			schema = get_rel_namespace(relid);

	switch (get_rel_relkind(relid))
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_PARTITIONED_TABLE:
			return relid >= FirstNormalObjectId && schema != ext->schema &&
				schema != ext->store_schema;
		default:
			return false;
	}
}

static bool
counts_rows(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			am = HeapTupleIsValid(tuple) ? ((Form_pg_class) GETSTRUCT(tuple))->relam :
	InvalidOid;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return am == HEAP_TABLE_AM_OID || !OidIsValid(am);
}

/* A table without children may get some, unless only it itself is read. */
static bool
with_children(Oid relid)
{
	return vp_reads_children(relid) || !has_subclass(relid);
}

/* If there is no room, it may be that of tables which aren't there any more. */
static void
track(Oid relid)
{
	if (!vp_ring_track(RelationRelationId, relid) && vp_ring_sweep() > 0)
		(void) vp_ring_track(RelationRelationId, relid);
}

/* Remember one source with its children. */
static int
remember(StringInfo buf, Oid source, List **done, const VpInstant *instant)
{
	bool		children = with_children(source);
	int			n = 0;
	ListCell   *lc;

	foreach(lc, children ? find_all_inheritors(source, NoLock, NULL) : list_make1_oid(source))
	{
		Oid			relid = lfirst_oid(lc);
		VpMark		mark;

		CHECK_FOR_INTERRUPTS();
		*done = lappend_oid(*done, relid);
		track(relid);
		if (!counts_rows(relid))
			vp_ring_track_by_locks(relid);
		vp_ring_mark(RelationRelationId, relid, instant, &mark);
		append_mark(buf, source, children, &mark);
		n++;
	}
	return n;
}

void
vp_sources_begin(void)
{
	uint64		tick = vp_ring_tick();
	const VpInstant *now = vp_instant(GetLatestSnapshot(), tick);

	(void) vp_ring_track(VP_RING_CODE, InvalidOid);
	vp_ring_mark(VP_RING_CODE, InvalidOid, now, &code_mark);
	code_xmax = now->xmax;
	vp_reads_begin();
}

void
vp_sources_end(void)
{
	vp_reads_end();
}

static int
append_meaning(StringInfo buf, Oid classid, Oid objid, bool by_name)
{
	VpMeaning	meaning;

	memset(&meaning, 0, sizeof(meaning));
	meaning.classid = classid;
	meaning.objid = objid;
	meaning.by_name = by_name;
	if (!vp_meaning_of(&meaning))
		return 0;
	appendBinaryStringInfo(buf, (char *) &meaning, sizeof(meaning));
	return 1;
}

static bool
has_meaning(Oid relid)
{
	return is_source(relid) || (get_rel_relkind(relid) == RELKIND_VIEW &&
								get_rel_namespace(relid) != vp_extension()->def_schema &&
								relid >= FirstNormalObjectId);
}

static void
remember_meanings(StringInfo buf, List *relations, Query *query, Header *header)
{
	VpNamed		named = vp_meaning_named(query);
	ListCell   *lc;

	foreach(lc, relations)
		if (has_meaning(lfirst_oid(lc)))
		header->nmeanings += append_meaning(buf, RelationRelationId, lfirst_oid(lc),
											!list_member_oid(named.relations, lfirst_oid(lc)));
	foreach(lc, vp_meaning_functions(vp_reads_functions(), vp_reads_plan_functions()))
		header->nfunctions += append_meaning(buf, ProcedureRelationId, lfirst_oid(lc),
											 !list_member_oid(named.functions, lfirst_oid(lc)));
	header->nmeanings += header->nfunctions;
}

bytea *
vp_sources_remember(Query *query, const VpInstant *instant)
{
	List	   *relations = vp_reads_relations();
	Header		header;
	List	   *done = NIL;
	StringInfoData buf;
	ListCell   *lc;

	memset(&header, 0, sizeof(header));
	header.xmax = instant->xmax;
	header.code_xmax = code_xmax;
	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ + sizeof(Header));
	append_mark(&buf, InvalidOid, false, &code_mark);
	remember_meanings(&buf, relations, query, &header);

	/* parents first: what stands in the plan because of them goes with them */
	foreach(lc, relations)
		if (is_source(lfirst_oid(lc)) && has_subclass(lfirst_oid(lc)) &&
			!has_superclass(lfirst_oid(lc)))
		header.nmarks += remember(&buf, lfirst_oid(lc), &done, instant);
	foreach(lc, relations)
		if (is_source(lfirst_oid(lc)) && !list_member_oid(done, lfirst_oid(lc)))
		header.nmarks += remember(&buf, lfirst_oid(lc), &done, instant);
	header.code_changed =
		vp_ring_change(&code_mark, code_xmax,
					   vp_instant(GetLatestSnapshot(), 0)) != VP_CHANGE_NONE;
	memcpy(buf.data + VARHDRSZ, &header, sizeof(header));
	SET_VARSIZE(buf.data, buf.len);
	vp_reads_end();
	return (bytea *) buf.data;
}

static const char *
describe(VpChange change, Oid source)
{
	const char *name;

	if (change == VP_CHANGE_NONE)
		return NULL;
	if (get_rel_name(source) == NULL)
		return "a source was dropped";
	name = vp_relation_name(source);
	return psprintf(change == VP_CHANGE_WRITTEN ? "source %s changed" :
					"source %s may have changed", name);
}

/* Somebody altered something since: is all still what it was? */
static const char *
different_meaning(Reader *reader, int nmeanings, bool compare)
{
	const char *difference = NULL;

	for (int i = 0; i < nmeanings; i++)
	{
		VpMeaning	then;
		VpMeaning	now;

		take(reader, &then, sizeof(then));
		if (!compare || difference != NULL)
			continue;
		now = then;
		if (!vp_meaning_of(&now))
			difference = then.classid == ProcedureRelationId ? "a function was dropped" :
				"a source was dropped";
		else if (!vp_hash_equal(then.hash, now.hash))
			difference = psprintf(then.classid == ProcedureRelationId ? "%s changed" : "%s was altered",
								  vp_meaning_name(&now));
	}
	return difference;
}

static bool
has_rows(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	bool		has;

	if (rel == NULL)
		return false;
	has = RELKIND_HAS_STORAGE(rel->rd_rel->relkind) && RelationGetNumberOfBlocks(rel) > 0;
	relation_close(rel, AccessShareLock);
	return has;
}

/*
 * Somebody altered something: has the source the children still that it had,
 * given those with its marks?  New ones that are empty don't count.
 */
static bool
same_children(Oid source, List *then)
{
	List	   *now = find_all_inheritors(source, NoLock, NULL);
	ListCell   *lc;

	foreach(lc, then)
		if (!list_member_oid(now, lfirst_oid(lc)))
		return false;
	foreach(lc, now)
		if (!list_member_oid(then, lfirst_oid(lc)) && has_rows(lfirst_oid(lc)))
		return false;
	return true;
}

/* Marks of one source stand together. */
typedef struct SourceMarks
{
	Oid			source;
	bool		with_children;
	List	   *objects;		/* of Oid */
	VpChange	change;
} SourceMarks;

static void
look_at_children(SourceMarks *marks)
{
	if (OidIsValid(marks->source) && marks->with_children &&
		marks->change != VP_CHANGE_WRITTEN && get_rel_name(marks->source) != NULL &&
		!same_children(marks->source, marks->objects))
		marks->change = VP_CHANGE_WRITTEN;
}

static void
keep_worst(SourceMarks *worst, const SourceMarks *marks)
{
	if (marks->change > worst->change)
		*worst = *marks;
}

static SourceMarks
worst_source(Reader *reader, const Header *header, const VpAsking *asking, bool altered)
{
	SourceMarks worst = {0};
	SourceMarks marks = {0};

	for (int i = 0; i < header->nmarks; i++)
	{
		VpMark		mark;
		StoredMark	stored = take_mark(reader, &mark);
		VpChange	change = Max(vp_ring_own_change(&mark),
								 vp_ring_change(&mark, header->xmax, asking->instant));

		pfree(mark.unseen);
		if (stored.source != marks.source)
		{
			if (altered)
				look_at_children(&marks);
			keep_worst(&worst, &marks);
			memset(&marks, 0, sizeof(marks));
			marks.source = stored.source;
			marks.with_children = stored.with_children;
		}
		marks.change = Max(marks.change, change);
		if (altered)
			marks.objects = lappend_oid(marks.objects, stored.objid);
	}
	if (altered)
		look_at_children(&marks);
	keep_worst(&worst, &marks);
	return worst;
}

const char *
vp_sources_difference(const bytea *sources, const VpAsking *asking)
{
	Reader		reader = {VARDATA_ANY(sources), VARDATA_ANY(sources) + VARSIZE_ANY_EXHDR(sources)};
	Header		header;
	const char *difference;
	bool		altered;
	VpMark		mark;
	SourceMarks worst;

	take(&reader, &header, sizeof(header));
	(void) take_mark(&reader, &mark);
	altered = vp_ring_own_change(&mark) != VP_CHANGE_NONE ||
		vp_ring_change(&mark, header.code_xmax, asking->latest) != VP_CHANGE_NONE;
	pfree(mark.unseen);
	difference = different_meaning(&reader, header.nmeanings, altered);
	/* tables and views were locked; functions aren't */
	if (difference == NULL && header.code_changed && header.nfunctions > 0)
		difference = "something was altered while it was computed";
	if (difference != NULL)
		return difference;
	worst = worst_source(&reader, &header, asking, altered);
	return describe(worst.change, worst.source);
}
