/*
 * sources.c
 *	  What a version remembers of what it was computed from and by, and whether
 *	  that is still the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "catalog/asset.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/spi.h"
#include "freshness/altered.h"
#include "freshness/closure.h"
#include "freshness/meaning.h"
#include "freshness/ring.h"
#include "freshness/sources.h"
#include "freshness/wording.h"
#include "store/reads.h"

/* What the bytes begin with. */
typedef struct Header
{
	FullTransactionId xmax;		/* of the snapshot under which was read */
	FullTransactionId code_xmax;	/* of the one before the first statement */
	Oid			owner;			/* with whose rights it was computed */
	bool		code_changed;	/* what nobody locks was altered meanwhile,
								 * perhaps */
	bool		by_unlocked;	/* by functions or types, which nobody locks */
	int32		path_length;
	int32		unsteady_length;	/* 0: it is steady */
	int32		nmeanings;
	int32		nmarks;
} Header;

/*
 * Then the search_path, what is unsteady, the mark of altering statements, the meanings, and the
 * other marks.
 */
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
static const VpInstant *code_instant;

/* Of these no row says when it changed, so they are hashed before and after. */
static const VpMeaningKind whole_kinds[] = {
	VP_MEANING_CASTS, VP_MEANING_TEXT_SEARCH, VP_MEANING_ROLES
};
static VpHash whole_before[lengthof(whole_kinds)];

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

static char *
take_text(Reader *reader, int length)
{
	char	   *result = palloc0(length + 1);

	take(reader, result, length);
	return result;
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
	if (vp_ring_track(RelationRelationId, relid))
		return;
	(void) vp_ring_sweep();		/* or somebody else did, just before */
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

/* When the transaction began in which an asset called functions that are text. */
static TimestampTz texts_called = 0;

/*
 * Plans and expressions that this process prepared stay as they are when an
 * object comes to be that would have been found before theirs.  And those of the
 * same transaction don't say any more what they call.
 */
static void
forget_plans(void)
{
	static int64 serial = 0;
	static int64 position = 0;

	if (serial == code_mark.serial && position == code_mark.position &&
		vp_ring_own_change(&code_mark) == VP_CHANGE_NONE &&
		texts_called != GetCurrentTransactionStartTimestamp())
		return;
	ResetPlanCache();
	serial = code_mark.serial;
	position = code_mark.position;
}

static VpHash
hash_whole(VpMeaningKind kind)
{
	VpMeaning	meaning = {.kind = kind};

	(void) vp_meaning_of(&meaning, NIL);
	return meaning.hash;
}

/* As far as the asset depends on it. */
static bool
whole_changed(const VpClosure *found)
{
	bool		counts[] = {
		found->texts != NIL || found->types != NIL, found->text_search, found->row_security
	};

	for (int i = 0; i < (int) lengthof(whole_kinds); i++)
		if (counts[i] && !vp_hash_equal(whole_before[i], hash_whole(whole_kinds[i])))
			return true;
	return false;
}

void
vp_sources_begin(void)
{
	uint64		tick = vp_ring_tick();
	const VpInstant *now = vp_instant(GetLatestSnapshot(), tick);

	(void) vp_ring_track(VP_RING_CODE, InvalidOid);
	vp_ring_mark(VP_RING_CODE, InvalidOid, now, &code_mark);
	code_xmax = now->xmax;
	code_instant = now;
	forget_plans();
	for (int i = 0; i < (int) lengthof(whole_kinds); i++)
		whole_before[i] = hash_whole(whole_kinds[i]);
	vp_reads_begin();
}

void
vp_sources_end(void)
{
	vp_reads_end();
}

static void
append_meaning(StringInfo buf, Header *header, List *path, VpMeaningKind kind, Oid objid,
			   bool by_name)
{
	VpMeaning	meaning;

	memset(&meaning, 0, sizeof(meaning));
	meaning.kind = kind;
	meaning.objid = objid;
	meaning.by_name = by_name;
	if (!vp_meaning_of(&meaning, path))
		return;
	appendBinaryStringInfo(buf, (char *) &meaning, sizeof(meaning));
	header->nmeanings++;
}

static bool
has_meaning(Oid relid)
{
	return is_source(relid) || (get_rel_relkind(relid) == RELKIND_VIEW &&
								get_rel_namespace(relid) != vp_extension()->def_schema &&
								relid >= FirstNormalObjectId);
}

/* The owner, and those whose rights its functions have. */
static void
remember_users(StringInfo buf, Header *header, const VpClosure *found)
{
	List	   *users = list_make1_oid(GetUserId());
	ListCell   *lc;

	foreach(lc, found->functions)
	{
		HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_proc) GETSTRUCT(tuple))->prosecdef)
			users = list_append_unique_oid(users, ((Form_pg_proc) GETSTRUCT(tuple))->proowner);
		ReleaseSysCache(tuple);
	}
	foreach(lc, users)
		append_meaning(buf, header, NIL, VP_MEANING_ROLE, lfirst_oid(lc), false);
}

/* These stand in the plan, too; their columns go with the parent's. */
static List *
with_their_children(List *relations)
{
	List	   *all = list_copy(relations);
	ListCell   *lc;

	foreach(lc, relations)
		if (has_subclass(lfirst_oid(lc)))
		all = list_concat_unique_oid(all, find_all_inheritors(lfirst_oid(lc), NoLock, NULL));
	return all;
}

static void
remember_meanings(StringInfo buf, List *relations, const VpClosure *found, List *path,
				  Header *header)
{
	List	   *followed = with_their_children(found->relations);
	ListCell   *lc;

	header->by_unlocked = found->functions != NIL || found->types != NIL;
	foreach(lc, relations)
		if (has_meaning(lfirst_oid(lc)))
		append_meaning(buf, header, path, VP_MEANING_RELATION, lfirst_oid(lc),
					   !list_member_oid(followed, lfirst_oid(lc)) ||
					   vp_reads_by_function(lfirst_oid(lc)));
	foreach(lc, found->functions)
		append_meaning(buf, header, path, VP_MEANING_FUNCTION, lfirst_oid(lc),
					   !list_member_oid(found->named, lfirst_oid(lc)));
	foreach(lc, found->texts)
		append_meaning(buf, header, path, VP_MEANING_WORDING, lfirst_oid(lc), false);
	foreach(lc, found->types)
		append_meaning(buf, header, path, VP_MEANING_TYPE, lfirst_oid(lc), false);
	if (found->texts != NIL || found->types != NIL)
		append_meaning(buf, header, path, VP_MEANING_CASTS, InvalidOid, false);
	if (found->text_search)
		append_meaning(buf, header, path, VP_MEANING_TEXT_SEARCH, InvalidOid, false);
	append_meaning(buf, header, path, VP_MEANING_COLLATIONS, InvalidOid, false);
	if (found->row_security)
		append_meaning(buf, header, path, VP_MEANING_ROLES, InvalidOid, false);
	if (found->asks_user)
		remember_users(buf, header, found);
}

/* Did a row come to be, as it is, after the asset began to be computed? */
static bool
wrote_since(TransactionId xmin)
{
	return TransactionIdIsNormal(xmin) && !TransactionIdIsCurrentTransactionId(xmin) &&
		!vp_instant_sees(code_instant, vp_full_xid(xmin, ReadNextFullTransactionId()));
}

static bool
is_newer(int cache, Oid objid)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(objid));
	TransactionId xmin;

	if (!HeapTupleIsValid(tuple))
		return true;
	xmin = HeapTupleHeaderGetXmin(tuple->t_data);
	ReleaseSysCache(tuple);
	return wrote_since(xmin);
}

/*
 * Something was altered while the asset was computed: perhaps what it was
 * computed by?  Of types more counts than their rows, so it is not looked for.
 */
static bool
code_is_newer(const VpClosure *found, List *path)
{
	ListCell   *lc;
	ListCell   *object;

	if (found->types != NIL)
		return true;
	foreach(lc, found->functions)
		if (is_newer(PROCOID, lfirst_oid(lc)))
		return true;
	foreach(lc, found->texts)
	{
		HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(lfirst_oid(lc)));
		List	   *objects;

		if (!HeapTupleIsValid(tuple))
			return true;
		objects = vp_wording_objects(vp_wording_text(tuple), path);
		ReleaseSysCache(tuple);
		foreach(object, objects)
		{
			const ObjectAddress *o = lfirst(object);

			if (o->classId != ProcedureRelationId &&
				(o->classId != RelationRelationId || is_newer(RELOID, o->objectId)))
				return true;
		}
	}
	return false;
}

/* The search_path in force, with the role's name in place of "$user". */
static char *
effective_path(void)
{
	char	   *copy = pstrdup(namespace_search_path);
	List	   *names;
	ListCell   *lc;
	StringInfoData buf;

	initStringInfo(&buf);
	if (!SplitIdentifierString(copy, ',', &names))
		return buf.data;
	foreach(lc, names)
	{
		const char *name = lfirst(lc);

		if (strcmp(name, "$user") == 0)
			name = GetUserNameFromId(GetUserId(), false);
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "," : "", quote_identifier(name));
	}
	return buf.data;
}

/* A function whose own search_path leaves out pg_temp finds temporary tables first. */
static void
refuse_temporary(List *relations)
{
	ListCell   *lc;

	foreach(lc, relations)
		if (get_rel_persistence(lfirst_oid(lc)) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a function reads the temporary table %s, which an asset can't be made of",
						quote_identifier(get_rel_name(lfirst_oid(lc)))),
				 errhint("End the function's own search_path with pg_temp.")));
}

/*
 * Options of an asset that was computed where it was read, which nobody locks:
 * which were it computed with?
 */
static bool
options_are_newer(int32 asset_id)
{
	static VpStatement statement = {
		"SELECT a.xmin, p.xmin FROM vibepiper.asset a JOIN vibepiper.pipeline p USING (pipeline_id)"
		" WHERE a.asset_id = $1", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(asset_id);
	bool		newer = true;
	VpSpi		spi;

	vp_spi_open(&spi);
	if (vp_spi_run(&statement, &key, NULL, false) > 0)
		newer = wrote_since(vp_col_oid(0, 1)) || wrote_since(vp_col_oid(0, 2));
	vp_spi_close(&spi);
	return newer;
}

/*
 * Assets that functions read, or lazy ones; the graph knows the upstreams.
 * Their stubs are taken from the relations: what counts of these is known now.
 */
static List *
remember_assets(StringInfo buf, List *upstreams, List *relations, Header *header)
{
	ListCell   *lc;

	foreach(lc, vp_reads_assets())
	{
		const VpReadAsset *read = lfirst(lc);
		const VpAsset *asset = vp_asset_by_def(read->def);

		if (asset == NULL)
			continue;
		relations = list_delete_oid(relations, asset->stub);
		if (read->by_name)
			append_meaning(buf, header, NIL, VP_MEANING_COLUMNS, (Oid) asset->id, true);
		if (!list_member_int(upstreams, asset->id))
			append_meaning(buf, header, NIL, VP_MEANING_ASSET, (Oid) asset->id, false);
		header->code_changed |= read->in_place && options_are_newer(asset->id);
	}
	return relations;
}

/* As if they were views: what their queries name counts. */
static List *
definitions_in_place(void)
{
	List	   *definitions = NIL;
	ListCell   *lc;

	foreach(lc, vp_reads_assets())
		if (((VpReadAsset *) lfirst(lc))->in_place)
		definitions = lappend_oid(definitions, ((VpReadAsset *) lfirst(lc))->def);
	return definitions;
}

/* The more paths there are, the more functions may be meant, which have paths. */
static VpClosure
closure(Query *query, List *relations, char **path, List **schemas)
{
	char	   *own = *path;
	VpClosure	found;

	for (;;)
	{
		char	   *longer;

		*schemas = vp_wording_schemas(*path);
		found = vp_closure(query, relations, *schemas);
		longer = vp_wording_paths(own, found.functions);
		if (strcmp(longer, *path) == 0)
			return found;
		*path = longer;
	}
}

bytea *
vp_sources_remember(Query *query, List *upstreams, const VpInstant *instant)
{
	List	   *relations = vp_reads_relations();
	char	   *path = effective_path();
	List	   *schemas;
	VpClosure	found = closure(query, list_concat_copy(relations, definitions_in_place()),
								&path, &schemas);
	Header		header;
	List	   *done = NIL;
	StringInfoData buf;
	ListCell   *lc;

	refuse_temporary(relations);
	AcceptInvalidationMessages();
	if (found.texts != NIL)
		texts_called = GetCurrentTransactionStartTimestamp();
	memset(&header, 0, sizeof(header));
	header.xmax = instant->xmax;
	header.code_xmax = code_xmax;
	header.owner = GetUserId();
	header.path_length = strlen(path);
	header.unsteady_length = found.unsteady == NULL ? 0 : strlen(found.unsteady);
	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ + sizeof(Header));
	appendStringInfoString(&buf, path);
	if (found.unsteady != NULL)
		appendStringInfoString(&buf, found.unsteady);
	append_mark(&buf, InvalidOid, false, &code_mark);
	relations = remember_assets(&buf, upstreams, relations, &header);
	remember_meanings(&buf, relations, &found, schemas, &header);

	/* parents first: what stands in the plan because of them goes with them */
	foreach(lc, relations)
		if (is_source(lfirst_oid(lc)) && has_subclass(lfirst_oid(lc)) &&
			!has_superclass(lfirst_oid(lc)))
		header.nmarks += remember(&buf, lfirst_oid(lc), &done, instant);
	foreach(lc, relations)
		if (is_source(lfirst_oid(lc)) && !list_member_oid(done, lfirst_oid(lc)))
		header.nmarks += remember(&buf, lfirst_oid(lc), &done, instant);
	header.code_changed |= whole_changed(&found) ||
		(header.by_unlocked &&
		 vp_ring_change(&code_mark, code_xmax,
						vp_instant(GetLatestSnapshot(), 0)) != VP_CHANGE_NONE &&
		 code_is_newer(&found, schemas));
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

/* Is all still what it was?  If nobody altered anything, most of it is. */
static const char *
different_meaning(Reader *reader, const Header *header, const char *path,
				  const VpAsking *asking, bool altered)
{
	const char *difference = NULL;
	List	   *schemas = altered ? vp_wording_schemas(path) : NIL;

	for (int i = 0; i < header->nmeanings; i++)
	{
		VpMeaning	then;
		VpMeaning	now;
		bool		found;

		take(reader, &then, sizeof(then));
		if (difference != NULL || !(altered || vp_meaning_changes_unseen(then.kind)))
			continue;
		now = then;
		found = vp_meaning_is_of_asset(then.kind) && asking->asset != NULL ?
			asking->asset(asking->arg, &now) : vp_meaning_of(&now, schemas);
		if (!found || !vp_hash_equal(then.hash, now.hash))
			difference = vp_meaning_difference(&now, !found);
	}
	return difference;
}

/*
 * What a new child brings: nothing if it is empty.  Who has locked it may be about
 * to fill it, or to empty it; that isn't waited for.
 */
static VpChange
change_by_child(Oid child)
{
	char		kind = get_rel_relkind(child);
	Relation	rel;
	VpChange	change;

	if (kind == RELKIND_FOREIGN_TABLE)
		return VP_CHANGE_WRITTEN;	/* perhaps; it isn't followed */
	if (!RELKIND_HAS_STORAGE(kind))
		return VP_CHANGE_NONE;
	if (!ConditionalLockRelationOid(child, AccessShareLock))
		return VP_CHANGE_UNKNOWN;
	rel = try_relation_open(child, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(child, AccessShareLock);
		return VP_CHANGE_NONE;
	}
	change = RelationGetNumberOfBlocks(rel) > 0 ? VP_CHANGE_WRITTEN : VP_CHANGE_NONE;
	relation_close(rel, AccessShareLock);
	return change;
}

/*
 * Somebody altered something: has the source the children still that it had,
 * given those with its marks?
 */
static VpChange
change_of_children(Oid source, List *then)
{
	List	   *now = find_all_inheritors(source, NoLock, NULL);
	VpChange	change = VP_CHANGE_NONE;
	ListCell   *lc;

	foreach(lc, then)
		if (!list_member_oid(now, lfirst_oid(lc)))
		return VP_CHANGE_WRITTEN;
	foreach(lc, now)
	{
		CHECK_FOR_INTERRUPTS();
		if (!list_member_oid(then, lfirst_oid(lc)))
			change = Max(change, change_by_child(lfirst_oid(lc)));
	}
	return change;
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
		marks->change != VP_CHANGE_WRITTEN && get_rel_name(marks->source) != NULL)
		marks->change = Max(marks->change, change_of_children(marks->source, marks->objects));
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

char *
vp_sources_unsteady(const bytea *sources)
{
	Reader		reader = {VARDATA_ANY(sources), VARDATA_ANY(sources) + VARSIZE_ANY_EXHDR(sources)};
	Header		header;

	take(&reader, &header, sizeof(header));
	if (header.unsteady_length == 0)
		return NULL;
	pfree(take_text(&reader, header.path_length));
	return take_text(&reader, header.unsteady_length);
}

Oid
vp_sources_owner(const bytea *sources)
{
	Reader		reader = {VARDATA_ANY(sources), VARDATA_ANY(sources) + VARSIZE_ANY_EXHDR(sources)};
	Header		header;

	take(&reader, &header, sizeof(header));
	return header.owner;
}

/* From the header on to the first mark of a source. */
static void
skip_meanings(Reader *reader, const Header *header)
{
	VpMark		mark;
	VpMeaning	meaning;

	pfree(take_text(reader, header->path_length));
	pfree(take_text(reader, header->unsteady_length));
	(void) take_mark(reader, &mark);
	pfree(mark.unseen);
	for (int i = 0; i < header->nmeanings; i++)
		take(reader, &meaning, sizeof(meaning));
}

List *
vp_sources_tables(const bytea *sources)
{
	Reader		reader = {VARDATA_ANY(sources), VARDATA_ANY(sources) + VARSIZE_ANY_EXHDR(sources)};
	Header		header;
	List	   *tables = NIL;

	take(&reader, &header, sizeof(header));
	skip_meanings(&reader, &header);
	for (int i = 0; i < header.nmarks; i++)
	{
		VpMark		mark;

		(void) take_mark(&reader, &mark);
		pfree(mark.unseen);
		tables = lappend_oid(tables, mark.objid);
	}
	return tables;
}

List *
vp_sources_of_versions(int32 pipeline_id)
{
	static VpStatement statement = {
		"SELECT v.sources FROM vibepiper.version v JOIN vibepiper.asset a USING (asset_id)"
		" WHERE v.sources IS NOT NULL AND ($1 = 0 OR a.pipeline_id = $1)", 1, {INT4OID}
	};
	Datum		key = Int32GetDatum(pipeline_id);
	List	   *tables = NIL;
	VpSpi		spi;
	uint64		n;

	vp_spi_open(&spi);
	n = vp_spi_run(&statement, &key, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		sources = vp_col_datum(&spi, i, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(spi.caller);

		CHECK_FOR_INTERRUPTS();
		tables = list_concat(tables, vp_sources_tables(DatumGetByteaPP(sources)));
		MemoryContextSwitchTo(old);
	}
	vp_spi_close(&spi);
	list_sort(tables, list_oid_cmp);
	list_deduplicate_oid(tables);
	return tables;
}

bool
vp_sources_are_gone(const bytea *sources, const VpAsking *asking)
{
	Reader		reader = {VARDATA_ANY(sources), VARDATA_ANY(sources) + VARSIZE_ANY_EXHDR(sources)};
	Header		header;

	take(&reader, &header, sizeof(header));
	skip_meanings(&reader, &header);
	return header.code_changed ||
		worst_source(&reader, &header, asking, false).change >= VP_CHANGE_UNKNOWN;
}

const char *
vp_sources_difference(const bytea *sources, const VpAsking *asking)
{
	Reader		reader = {VARDATA_ANY(sources), VARDATA_ANY(sources) + VARSIZE_ANY_EXHDR(sources)};
	Header		header;
	const char *difference;
	char	   *path;
	bool		altered;
	VpMark		mark;
	SourceMarks worst;

	take(&reader, &header, sizeof(header));
	path = take_text(&reader, header.path_length);
	pfree(take_text(&reader, header.unsteady_length));
	(void) take_mark(&reader, &mark);
	altered = vp_ring_own_change(&mark) != VP_CHANGE_NONE ||
		vp_ring_change(&mark, header.code_xmax, asking->latest) != VP_CHANGE_NONE;
	pfree(mark.unseen);
	difference = altered && vp_ring_code_is_settling() ? "something is being altered" :
		different_meaning(&reader, &header, path, asking, altered);
	pfree(path);
	/* tables and views were locked; functions and types are not */
	if (difference == NULL && header.code_changed)
		difference = "something was altered while it was computed";
	if (difference != NULL)
		return difference;
	worst = worst_source(&reader, &header, asking, altered);
	return describe(worst.change, worst.source);
}
