/*
 * pipeline_view.c
 *	  The view that stands for a pipeline in vibepiper_def.
 *
 *	  SELECT 'shop'::text AS pipeline, ARRAY['shop'::regnamespace] AS schemas
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "common/extension.h"
#include "define/pipeline_view.h"
#include "define/views.h"

static Query *
make_query(const VpPipeline *pipeline)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT %s::pg_catalog.text AS pipeline, ARRAY[",
					 quote_literal_cstr(pipeline->name));
	foreach(lc, pipeline->schemas)
		appendStringInfo(&buf, "%s'%u'::pg_catalog.regnamespace",
						 lc == list_head(pipeline->schemas) ? "" : ", ",
						 lfirst_oid(lc));
	appendStringInfoString(&buf, "]::pg_catalog.regnamespace[] AS schemas");
	return parse_analyze_fixedparams(linitial_node(RawStmt,
												   raw_parser(buf.data, RAW_PARSE_DEFAULT)),
									 buf.data, NULL, 0, NULL);
}

void
vp_pipeline_view_create(VpPipeline *pipeline)
{
	char	   *name = vp_definition_name(NULL, pipeline->name, InvalidOid);

	pipeline->view = vp_view_create(name, make_query(pipeline), pipeline->owner);
}

void
vp_pipeline_view_replace(const VpPipeline *pipeline)
{
	vp_view_replace(pipeline->view, make_query(pipeline), pipeline->owner);
}

void
vp_pipeline_view_drop(const VpPipeline *pipeline)
{
	vp_view_drop(pipeline->view, DROP_RESTRICT);
}

char *
vp_pipeline_view_name(Oid view)
{
	Relation	rel = try_relation_open(view, AccessShareLock);
	TupleDesc	desc;
	char	   *name = NULL;

	if (rel == NULL)
		return NULL;
	desc = RelationGetDescr(rel);
	if (rel->rd_rel->relkind == RELKIND_VIEW && desc->natts == 2 &&
		strcmp(NameStr(TupleDescAttr(desc, 0)->attname), "pipeline") == 0 &&
		strcmp(NameStr(TupleDescAttr(desc, 1)->attname), "schemas") == 0 &&
		TupleDescAttr(desc, 1)->atttypid == REGNAMESPACEARRAYOID)
	{
		Query	   *query = get_view_query(rel);
		Node	   *expr = (Node *) linitial_node(TargetEntry, query->targetList)->expr;

		if (IsA(expr, Const) && ((Const *) expr)->consttype == TEXTOID &&
			!((Const *) expr)->constisnull)
			name = TextDatumGetCString(((Const *) expr)->constvalue);
	}
	relation_close(rel, NoLock);
	return name;
}
