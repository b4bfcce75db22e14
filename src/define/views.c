/*
 * views.c
 *	  The two views of an asset: its definition and its stub.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/view.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "define/views.h"
#include "store/guard.h"

/* Create or replace one view as a user. */
static Oid
define_view(const char *schema, const char *name, RawStmt *raw,
			const char *text, const char *search_path, Oid user, bool replace)
{
	ViewStmt   *stmt = makeNode(ViewStmt);
	int			guc_level = NewGUCNestLevel();
	Oid			outer;
	int			security;
	ObjectAddress address;

	stmt->view = makeRangeVar(pstrdup(schema), pstrdup(name), -1);
	stmt->query = copyObject(raw->stmt);
	stmt->replace = replace;
	stmt->withCheckOption = NO_CHECK_OPTION;
	(void) set_config_option("search_path", search_path, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	GetUserIdAndSecContext(&outer, &security);
	SetUserIdAndSecContext(user, security | SECURITY_LOCAL_USERID_CHANGE);
	vp_guard_open();
	address = DefineView(stmt, text, raw->stmt_location, raw->stmt_len);
	vp_guard_close();
	SetUserIdAndSecContext(outer, security);
	AtEOXact_GUC(false, guc_level);
	CommandCounterIncrement();
	return address.objectId;
}

/* A name for the definition: the asset's, or shortened with a number. */
static char *
definition_name(const VpAsset *asset)
{
	Oid			schema = vp_extension()->def_schema;
	char	   *full = psprintf("%s.%s", asset->schema, asset->name);

	if (strlen(full) < NAMEDATALEN && !OidIsValid(get_relname_relid(full, schema)))
		return full;
	for (int i = 1;; i++)
	{
		char	   *name = makeObjectName(asset->schema, asset->name,
										  psprintf("%d", i));

		if (!OidIsValid(get_relname_relid(name, schema)))
			return name;
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

static void
define_stub(VpAsset *asset, bool replace)
{
	StringInfoData buf;
	RawStmt    *raw;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT * FROM vibepiper.read_asset('%u'::pg_catalog.regclass) AS %s(",
					 asset->def, quote_identifier(asset->name));
	append_columns(&buf, asset->def);
	appendStringInfoChar(&buf, ')');
	raw = linitial_node(RawStmt, raw_parser(buf.data, RAW_PARSE_DEFAULT));
	asset->stub = define_view(asset->schema, asset->name, raw, buf.data,
							  "pg_catalog, pg_temp", asset->owner, replace);
}

void
vp_views_create(VpAsset *asset, const VpAnalyzed *analyzed,
				const char *search_path)
{
	Oid			taken = get_relname_relid(asset->name,
										  get_namespace_oid(asset->schema, false));

	if (OidIsValid(taken))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation %s already exists and is not an asset",
						asset->display)));
	asset->def = define_view("vibepiper_def", definition_name(asset), analyzed->raw,
							 analyzed->text, search_path, vp_extension()->owner, false);
	vp_guard_open();
	ATExecChangeOwner(asset->def, asset->owner, true, AccessExclusiveLock);
	vp_guard_close();
	CommandCounterIncrement();
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

/* The relation's ACL, NULL if it is the default; copied. */
static Acl *
get_acl(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		isnull;
	Datum		acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	Acl		   *copy = isnull ? NULL : DatumGetAclPCopy(acl);

	ReleaseSysCache(tuple);
	return copy;
}

static void
set_acl(Oid relid, Oid owner, Acl *acl)
{
	Relation	rel = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
	Datum		values[Natts_pg_class] = {0};
	bool		nulls[Natts_pg_class] = {0};
	bool		replaces[Natts_pg_class] = {0};
	Oid		   *members;
	int			nmembers = aclmembers(acl, &members);

	values[Anum_pg_class_relacl - 1] = PointerGetDatum(acl);
	replaces[Anum_pg_class_relacl - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replaces);
	CatalogTupleUpdate(rel, &tuple->t_self, tuple);
	updateAclDependencies(RelationRelationId, relid, 0, owner, 0, NULL, nmembers, members);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
drop_view(Oid relid, DropBehavior behavior)
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

static void
make_anew(VpAsset *asset, const VpAnalyzed *analyzed, const char *search_path)
{
	Acl		   *acl = get_acl(asset->stub);

	vp_views_drop(asset, false);
	vp_views_create(asset, analyzed, search_path);
	if (acl != NULL)
		set_acl(asset->stub, asset->owner, acl);
}

void
vp_views_replace(VpAsset *asset, const VpAnalyzed *analyzed,
				 const char *search_path)
{
	char	   *name = get_rel_name(asset->def);
	int			columns = compare_columns(asset->def, analyzed->query);

	if (columns == 0)
	{
		make_anew(asset, analyzed, search_path);
		return;
	}
	(void) define_view("vibepiper_def", name, analyzed->raw, analyzed->text,
					   search_path, asset->owner, true);
	if (columns == 1)
		define_stub(asset, true);
}

void
vp_views_drop(const VpAsset *asset, bool cascade)
{
	drop_view(asset->stub, cascade ? DROP_CASCADE : DROP_RESTRICT);
	drop_view(asset->def, cascade ? DROP_CASCADE : DROP_RESTRICT);
}

void
vp_views_comment(const VpAsset *asset)
{
	CreateComments(asset->stub, RelationRelationId, 0, asset->options.description);
}
