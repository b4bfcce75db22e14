/*
 * canonical.c
 *	  A definition as text, from what is stored of it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "common/settings.h"
#include "define/canonical.h"

/*
 * Columns of a query's only relation are printed without its name; but before
 * 16 a stored query has two more entries.  So both get one more.
 */
static void
append_entry(Query *query)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RESULT;
	rte->eref = makeAlias("*RESULT*", NIL);
	query->rtable = lappend(query->rtable, rte);
}

char *
vp_query_text(const Query *query, List *environment)
{
	int			guc_level = NewGUCNestLevel();
	Query	   *copy = copyObject(unconstify(Query *, query));
	char	   *text;

	vp_settings_apply(environment);
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	AcquireRewriteLocks(copy, false, false);
	append_entry(copy);
	text = pg_get_querydef(copy, false);
	AtEOXact_GUC(false, guc_level);
	return text;
}

char *
vp_definition_text(const VpAsset *asset)
{
	Relation	rel = relation_open(asset->def, AccessShareLock);
	char	   *text = vp_query_text(get_view_query(rel), asset->environment);

	relation_close(rel, NoLock);
	return text;
}

VpHash
vp_canonical_hash(const VpAsset *asset)
{
	char	   *text = vp_definition_text(asset);
	VpHash		parts[2] = {
		vp_hash_bytes(text, strlen(text), 0),
		vp_hash_bytes(asset->query, strlen(asset->query), 0)
	};

	pfree(text);
	return vp_hash_bytes(parts, sizeof(parts), 0);
}

char *
vp_present_text(const VpAsset *asset)
{
	if (asset->detached)
		return asset->detached_query;
	return vp_hash_equal(vp_canonical_hash(asset), asset->canonical)
		? asset->query : vp_definition_text(asset);
}
