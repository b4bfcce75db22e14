/*
 * analyze.c
 *	  From the text of an asset's query to what it means.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/asset.h"
#include "common/extension.h"
#include "common/names.h"
#include "common/settings.h"
#include "compat/compat.h"
#include "define/analyze.h"
#include "store/compute.h"
#include "store/replace.h"

void
vp_analyze_error_callback(void *text)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) text);
	}
}

static void
refuse_statement(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("an asset's query must be one SELECT"),
			 errdetail("%s", what)));
}

RawStmt *
vp_analyze_parse(const char *text)
{
	ErrorContextCallback callback = {
		.callback = vp_analyze_error_callback,
		.arg = unconstify(char *, text),
		.previous = error_context_stack
	};
	List	   *parsed;
	RawStmt    *raw;

	error_context_stack = &callback;
	parsed = raw_parser(text, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	if (parsed == NIL)
		refuse_statement("The text is empty.");
	if (list_length(parsed) > 1)
		refuse_statement("The text has several statements.");
	raw = linitial_node(RawStmt, parsed);
	if (!IsA(raw->stmt, SelectStmt))
		refuse_statement(psprintf("The statement is %s.",
								  GetCommandTagName(CreateCommandTag(raw->stmt))));
	if (((SelectStmt *) raw->stmt)->intoClause != NULL)
		refuse_statement("SELECT INTO creates a table.");
	return raw;
}

/* In ereport(): where the text has this expression. */
static int
point_at(const char *text, const TargetEntry *entry)
{
	int			location = exprLocation((Node *) entry->expr);

	if (location >= 0)
	{
		internalerrposition(pg_mbstrlen_with_len(text, location) + 1);
		internalerrquery(text);
	}
	return 0;
}

static void
check_column(const char *text, const TargetEntry *entry)
{
	Oid			type = exprType((Node *) entry->expr);

	if (strcmp(entry->resname, "?column?") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
				 errmsg("column %d of the asset's query has no name", entry->resno),
				 errhint("Give it one with AS."),
				 point_at(text, entry)));
	if (SystemAttributeByName(entry->resname) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column name \"%s\" conflicts with a system column name",
						entry->resname),
				 point_at(text, entry)));
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" of the asset's query has pseudo-type %s",
						entry->resname, format_type_be(type)),
				 errhint("Cast it to a type that a table's column can have."),
				 point_at(text, entry)));
	if (vp_asset_by_stub(get_typ_typrelid(getBaseType(type))) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" of the asset's query is a whole row of asset %s",
						entry->resname, vp_relation_name(get_typ_typrelid(getBaseType(type)))),
				 errdetail("Its type would keep the columns of that asset from changing."),
				 errhint("Take the columns, or for example to_jsonb() of the row."),
				 point_at(text, entry)));
}

/* Two columns by which a restore knows a pipeline's view; see pipeline_view.c. */
static bool
looks_like_pipeline(const Query *query)
{
	const TargetEntry *first = linitial(query->targetList);
	const TargetEntry *second;

	if (list_length(query->targetList) != 2)
		return false;
	second = lsecond(query->targetList);
	return !first->resjunk && !second->resjunk &&
		strcmp(first->resname, "pipeline") == 0 && strcmp(second->resname, "schemas") == 0 &&
		exprType((Node *) second->expr) == REGNAMESPACEARRAYOID;
}

static void
check_columns(const char *text, const Query *query)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		ListCell   *other;

		if (entry->resjunk)
			continue;
		check_column(text, entry);
		foreach(other, names)
			if (strcmp(lfirst(other), entry->resname) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" of the asset's query is specified more than once",
							entry->resname),
					 point_at(text, entry)));
		names = lappend(names, entry->resname);
	}
	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the asset's query has no columns")));
	if (looks_like_pipeline(query))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("an asset can't have just the columns \"pipeline\" and \"schemas\", the latter of type regnamespace[]"),
				 errdetail("The views of pipelines have them."),
				 errhint("Cast the schemas to text[].")));
	if (list_length(names) > MaxHeapAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("the asset's query has %d columns", list_length(names)),
				 errdetail("An asset has at most %d.", MaxHeapAttributeNumber)));
}

/* Rights and clauses, at every level of the query. */
static bool
check_walker(Node *node, void *context)
{
	Query	   *query;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, check_walker, context);
	query = (Query *) node;
	if (query->commandType != CMD_SELECT)
		refuse_statement("A CTE changes data.");
	if (query->rowMarks != NIL)
		refuse_statement("FOR UPDATE and FOR SHARE lock rows.");
	vp_check_rights(query);
	return query_tree_walker(query, check_walker, context, 0);
}

typedef struct Collected
{
	List	   *upstreams;
	List	   *sources;
	List	   *views;			/* that were looked into */
	Oid			unadopted;		/* a definition that no asset has, if any */
} Collected;

static bool collect_walker(Node *node, void *context);

/* Directly or through a view, an asset reads users' relations only. */
static void
check_relation(Oid relid)
{
	const VpExtension *ext = vp_extension();
	Oid			schema = get_rel_namespace(relid);

	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("an asset can't read the temporary relation \"%s\"",
						get_rel_name(relid))));
	if (relid < FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("an asset can't read the system relation \"%s\"",
						get_rel_name(relid)),
				 errdetail("Changes of system catalogs can't be followed.")));
	if (schema == ext->schema || schema == ext->def_schema || schema == ext->store_schema)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("an asset can't read \"%s\", which belongs to vibepiper",
						get_rel_name(relid)),
				 errhint("Read assets by their names.")));
}

static void
collect_relation(Oid relid, Collected *c)
{
	VpAsset    *asset;
	Relation	rel;

	check_relation(relid);
	if (get_rel_relkind(relid) != RELKIND_VIEW)
	{
		c->sources = list_append_unique_oid(c->sources, relid);
		return;
	}
	asset = vp_asset_by_stub(relid);
	if (asset != NULL)
	{
		c->upstreams = list_append_unique_int(c->upstreams, asset->id);
		return;
	}
	if (list_member_oid(c->views, relid))
		return;
	c->views = lappend_oid(c->views, relid);
	rel = relation_open(relid, AccessShareLock);
	(void) collect_walker((Node *) get_view_query(rel), c);
	relation_close(rel, NoLock);
}

/* The stub of no asset, or a view that calls read_asset() by itself. */
static void
collect_call(Oid def, Collected *c)
{
	VpAsset    *asset;

	if (!OidIsValid(def))
		return;
	asset = vp_asset_by_def(def);
	if (asset != NULL)
		c->upstreams = list_append_unique_int(c->upstreams, asset->id);
	else
		c->unadopted = def;
}

static bool
collect_walker(Node *node, void *context)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	check_stack_depth();
	if (!IsA(node, Query))
		return expression_tree_walker(node, collect_walker, context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		collect_call(vp_rte_definition(rte), context);
		if (rte->rtekind == RTE_RELATION && !list_member_oid(((Collected *) context)->views, rte->relid))
			collect_relation(rte->relid, context);
	}
	return query_tree_walker((Query *) node, collect_walker, context, 0);
}

Oid
vp_analyze_reads(Query *query, Oid self, List **upstreams, List **sources)
{
	Collected	c = {0};

	if (OidIsValid(self))
		c.views = list_make1_oid(self);
	(void) collect_walker((Node *) query, &c);
	*upstreams = c.upstreams;
	*sources = c.sources;
	return c.unadopted;
}

static Query *
analyze_as(const char *text, RawStmt *raw, List *environment, Oid owner)
{
	ErrorContextCallback callback = {
		.callback = vp_analyze_error_callback,
		.arg = unconstify(char *, text),
		.previous = error_context_stack
	};
	VpIdentity	identity;
	Query	   *query;

	/* literals of users' types are looked at by users' code */
	vp_owner_enter(&identity, owner);
	vp_settings_apply(environment);
	error_context_stack = &callback;
	query = parse_analyze_fixedparams(copyObject(raw), text, NULL, 0, NULL);
	(void) check_walker((Node *) query, NULL);
	error_context_stack = callback.previous;
	vp_identity_leave(&identity);
	return query;
}

VpAnalyzed *
vp_analyze(const char *text, List *environment, Oid owner)
{
	VpAnalyzed *a = palloc0(sizeof(VpAnalyzed));
	Oid			unadopted;

	a->text = text;
	a->raw = vp_analyze_parse(text);
	a->query = analyze_as(text, a->raw, environment, owner);
	check_columns(text, a->query);
	unadopted = vp_analyze_reads(a->query, InvalidOid, &a->upstreams, &a->sources);
	if (OidIsValid(unadopted))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the query reads %s, which is the definition of no asset",
						vp_relation_name(unadopted)),
				 errhint("After a restore, call vibepiper.adopt_assets().")));
	return a;
}

typedef struct Mentioned
{
	List	   *relations;		/* of RangeVar */
	List	   *ctes;			/* names in scope */
} Mentioned;

static bool mentioned_walker(Node *node, void *context);

static bool
is_cte(const RangeVar *relation, List *ctes)
{
	ListCell   *lc;

	if (relation->schemaname != NULL)
		return false;
	foreach(lc, ctes)
		if (strcmp(lfirst(lc), relation->relname) == 0)
		return true;
	return false;
}

/* A CTE sees those before it; in WITH RECURSIVE all of them. */
static void
enter_with(WithClause *with, Mentioned *m)
{
	ListCell   *lc;

	if (with->recursive)
		foreach(lc, with->ctes)
			m->ctes = lappend(m->ctes, lfirst_node(CommonTableExpr, lc)->ctename);
	foreach(lc, with->ctes)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		(void) mentioned_walker(cte->ctequery, m);
		if (!with->recursive)
			m->ctes = lappend(m->ctes, cte->ctename);
	}
}

static bool
mentioned_walker(Node *node, void *context)
{
	Mentioned  *m = context;
	List	   *outer = list_copy(m->ctes);

	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, RangeVar))
	{
		if (!is_cte((RangeVar *) node, m->ctes))
			m->relations = lappend(m->relations, node);
		return false;
	}
	if (!IsA(node, SelectStmt) || ((SelectStmt *) node)->withClause == NULL)
		return raw_expression_tree_walker(node, mentioned_walker, context);

	node = copyObject(node);
	enter_with(((SelectStmt *) node)->withClause, m);
	((SelectStmt *) node)->withClause = NULL;
	(void) raw_expression_tree_walker(node, mentioned_walker, context);
	m->ctes = outer;
	return false;
}

List *
vp_analyze_mentioned(RawStmt *raw)
{
	Mentioned	m = {0};

	(void) mentioned_walker(raw->stmt, &m);
	return m.relations;
}
