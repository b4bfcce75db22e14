/*
 * views.c
 *	  The two views of an asset: its definition and its stub.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/view.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "define/views.h"
#include "store/guard.h"

/* Run as another user, whose rights are those of a definer. */
typedef struct Impersonation
{
	Oid			user;
	int			security;
} Impersonation;

static void
impersonate(Impersonation *outer, Oid user)
{
	GetUserIdAndSecContext(&outer->user, &outer->security);
	SetUserIdAndSecContext(user, outer->security | SECURITY_LOCAL_USERID_CHANGE);
	vp_guard_open();
}

static void
end_impersonation(const Impersonation *outer)
{
	vp_guard_close();
	SetUserIdAndSecContext(outer->user, outer->security);
	CommandCounterIncrement();
}

/* The query's columns as column definitions, from the nth (0 is the first). */
static List *
column_definitions(const Query *query, int from)
{
	List	   *columns = NIL;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Oid			type = exprType((Node *) entry->expr);
		Oid			collation = exprCollation((Node *) entry->expr);

		if (entry->resjunk || n++ < from)
			continue;
		if (type_is_collatable(type) && !OidIsValid(collation))
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_COLLATION),
					 errmsg("could not determine which collation to use for column \"%s\"",
							entry->resname),
					 errhint("Use the COLLATE clause to set the collation explicitly.")));
		columns = lappend(columns,
						  makeColumnDef(entry->resname, type,
										exprTypmod((Node *) entry->expr), collation));
	}
	return columns;
}

/*
 * A view of vibepiper_def holds the very query that was analyzed with the
 * owner's rights; nothing is looked up by name again.
 */
Oid
vp_view_create(const char *name, const Query *query, Oid owner)
{
	CreateStmt *stmt = makeNode(CreateStmt);
	Impersonation outer;
	ObjectAddress view;

	stmt->relation = makeRangeVar(pstrdup("vibepiper_def"), pstrdup(name), -1);
	stmt->tableElts = column_definitions(query, 0);
	stmt->oncommit = ONCOMMIT_NOOP;
	impersonate(&outer, vp_extension()->owner);
	view = DefineRelation(stmt, RELKIND_VIEW, owner, NULL, NULL);
	end_impersonation(&outer);
	impersonate(&outer, owner);
	StoreViewQuery(view.objectId, copyObject(unconstify(Query *, query)), false);
	end_impersonation(&outer);
	return view.objectId;
}

static int
number_of_columns(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	int			n = RelationGetNumberOfAttributes(rel);

	relation_close(rel, NoLock);
	return n;
}

void
vp_view_replace(Oid def, const Query *query, Oid owner)
{
	int			old_columns = number_of_columns(def);
	List	   *commands = NIL;
	Impersonation outer;
	ListCell   *lc;

	foreach(lc, column_definitions(query, old_columns))
	{
		AlterTableCmd *command = makeNode(AlterTableCmd);

		command->subtype = AT_AddColumnToView;
		command->def = lfirst(lc);
		commands = lappend(commands, command);
	}
	impersonate(&outer, owner);
	if (commands != NIL)
	{
		AlterTableInternal(def, commands, true);
		CommandCounterIncrement();
	}
	StoreViewQuery(def, copyObject(unconstify(Query *, query)), true);
	end_impersonation(&outer);
}

/* Free, or the view's own? */
static bool
may_be_called(const char *name, Oid schema, Oid view)
{
	Oid			holder = get_relname_relid(name, schema);

	return !OidIsValid(holder) || holder == view;
}

char *
vp_definition_name(const char *schema, const char *name, Oid view)
{
	Oid			def_schema = vp_extension()->def_schema;
	char	   *full = schema ? psprintf("%s.%s", schema, name) : pstrdup(name);

	if (strlen(full) < NAMEDATALEN && may_be_called(full, def_schema, view))
		return full;
	for (int i = 1;; i++)
	{
		char	   *shortened = makeObjectName(schema ? schema : name,
											   schema ? name : NULL, psprintf("%d", i));

		if (may_be_called(shortened, def_schema, view))
			return shortened;
	}
}

static void
append_columns(StringInfo buf, Oid def)
{
	Relation	rel = relation_open(def, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(buf, "%s%s %s", i > 0 ? ", " : "",
						 quote_identifier(NameStr(att->attname)),
						 format_type_extended(att->atttypid, att->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY));
		if (OidIsValid(att->attcollation))
			appendStringInfo(buf, " COLLATE %s",
							 generate_collation_name(att->attcollation));
	}
	relation_close(rel, NoLock);
}

/* Options that users gave the view. */
static List *
options_of(Oid view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	bool		isnull;
	Datum		options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	List	   *list = isnull ? NIL : untransformRelOptions(datumCopy(options, false, -1));

	ReleaseSysCache(tuple);
	return list;
}

/* Create or replace the stub; every name in its text is qualified. */
static void
define_stub(VpAsset *asset, bool replace)
{
	StringInfoData buf;
	ViewStmt   *stmt = makeNode(ViewStmt);
	RawStmt    *raw;
	Impersonation outer;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT * FROM vibepiper.read_asset('%u'::pg_catalog.regclass) AS %s(",
					 asset->def, quote_identifier(asset->name));
	append_columns(&buf, asset->def);
	appendStringInfoChar(&buf, ')');
	raw = linitial_node(RawStmt, raw_parser(buf.data, RAW_PARSE_DEFAULT));
	stmt->view = makeRangeVar(pstrdup(asset->schema), pstrdup(asset->name), -1);
	stmt->query = raw->stmt;
	stmt->replace = replace;
	stmt->options = replace ? options_of(asset->stub) : NIL;
	stmt->withCheckOption = NO_CHECK_OPTION;
	impersonate(&outer, asset->owner);
	asset->stub = DefineView(stmt, buf.data, raw->stmt_location, raw->stmt_len).objectId;
	end_impersonation(&outer);
}

void
vp_views_create(VpAsset *asset, const VpAnalyzed *analyzed)
{
	Oid			taken = get_relname_relid(asset->name,
										  get_namespace_oid(asset->schema, false));

	if (OidIsValid(taken))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation %s already exists and is not an asset",
						asset->display)));
	asset->def = vp_view_create(vp_definition_name(asset->schema, asset->name, InvalidOid),
								analyzed->query, asset->owner);
	define_stub(asset, false);
}

/* 0: other columns; 1: the same ones, more at the end; 2: the same ones. */
static int
compare_columns(Oid def, const Query *query)
{
	Relation	rel = relation_open(def, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	int			n = 0;
	bool		same = true;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Form_pg_attribute att;

		if (entry->resjunk)
			continue;
		if (n < desc->natts)
		{
			att = TupleDescAttr(desc, n);
			same &= strcmp(NameStr(att->attname), entry->resname) == 0 &&
				att->atttypid == exprType((Node *) entry->expr) &&
				att->atttypmod == exprTypmod((Node *) entry->expr) &&
				att->attcollation == exprCollation((Node *) entry->expr);
		}
		n++;
	}
	same &= n >= desc->natts;
	n -= desc->natts;
	relation_close(rel, NoLock);
	return !same ? 0 : n > 0 ? 1 : 2;
}

bool
vp_views_columns_stay(const VpAsset *asset, const VpAnalyzed *analyzed)
{
	return compare_columns(asset->def, analyzed->query) != 0;
}

void
vp_view_drop(Oid relid, DropBehavior behavior)
{
	ObjectAddress object;

	if (!OidIsValid(get_rel_namespace(relid)))
		return;
	LockRelationOid(relid, AccessExclusiveLock);
	ObjectAddressSet(object, RelationRelationId, relid);
	vp_guard_open();
	performDeletion(&object, behavior, PERFORM_DELETION_INTERNAL);
	vp_guard_close();
	CommandCounterIncrement();
}

bool
vp_views_replace(VpAsset *asset, const VpAnalyzed *analyzed)
{
	int			columns = compare_columns(asset->def, analyzed->query);

	if (columns == 0)
		return false;
	vp_view_replace(asset->def, analyzed->query, asset->owner);
	if (columns == 1)
		define_stub(asset, true);
	return true;
}

static void
rename_view(Oid view, const char *name)
{
	vp_guard_open();
	RenameRelationInternal(view, name, true, false);
	vp_guard_close();
	CommandCounterIncrement();
}

/* "<name>_old_<oid>" is free: its own relation has been called so at most. */
static void
rename_aside(Oid view)
{
	rename_view(view, makeObjectName(get_rel_name(view), "old", psprintf("%u", view)));
}

void
vp_views_set_aside(const VpAsset *asset)
{
	rename_aside(asset->stub);
	rename_aside(asset->def);
}

void
vp_views_follow_name(const VpAsset *asset)
{
	char	   *name = vp_definition_name(asset->schema, asset->name, asset->def);

	if (strcmp(name, get_rel_name(asset->def)) != 0)
		rename_view(asset->def, name);
}

void
vp_views_drop(const VpAsset *asset, bool cascade)
{
	vp_view_drop(asset->stub, cascade ? DROP_CASCADE : DROP_RESTRICT);
	vp_view_drop(asset->def, cascade ? DROP_CASCADE : DROP_RESTRICT);
}

void
vp_views_comment(const VpAsset *asset)
{
	CreateComments(asset->stub, RelationRelationId, 0, asset->options.description);
}

Query *
vp_view_placeholder(Oid def)
{
	Relation	rel = relation_open(def, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(&buf, "%s NULL::%s", i > 0 ? "," : "SELECT",
						 format_type_extended(att->atttypid, att->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY));
		if (OidIsValid(att->attcollation))
			appendStringInfo(&buf, " COLLATE %s",
							 generate_collation_name(att->attcollation));
		appendStringInfo(&buf, " AS %s", quote_identifier(NameStr(att->attname)));
	}
	appendStringInfoString(&buf, " WHERE vibepiper.detached()");
	relation_close(rel, NoLock);
	return parse_analyze_fixedparams(linitial_node(RawStmt,
												   raw_parser(buf.data, RAW_PARSE_DEFAULT)),
									 buf.data, NULL, 0, NULL);
}
