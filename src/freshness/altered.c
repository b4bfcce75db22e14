/*
 * altered.c
 *	  Watches for what transactions alter, besides rows.
 *
 * A statement is noted before it is executed, since it may commit in between
 * (DETACH PARTITION CONCURRENTLY), and after it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "common/uncounted.h"
#include "compat/compat.h"
#include "freshness/altered.h"
#include "freshness/ring.h"

static object_access_hook_type prev_object_access_hook = NULL;
static ProcessUtility_hook_type prev_utility_hook = NULL;
static int	altering_tables = 0;	/* ALTER TABLE statements in progress */

/*
 * What can change the meaning of a query.  Temporary tables can't: pg_temp is
 * the last schema of every recorded search_path.
 */
static bool
may_alter_meaning(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			return ((CreateStmt *) stmt)->relation->relpersistence != RELPERSISTENCE_TEMP;
		case T_CreateTableAsStmt:
			return ((CreateTableAsStmt *) stmt)->into->rel->relpersistence != RELPERSISTENCE_TEMP;
		case T_CommentStmt:
		case T_SecLabelStmt:
		case T_IndexStmt:
		case T_ReindexStmt:
		case VP_CLUSTER_STMT:
		case T_CreateStatsStmt:
		case T_AlterStatsStmt:
		case T_RefreshMatViewStmt:
			return false;
		default:
			return GetCommandLogLevel(stmt) == LOGSTMT_DDL;
	}
}

/* Statements that write rows past the executor. */
static bool
writes(Node *stmt)
{
	return IsA(stmt, CopyStmt) || IsA(stmt, TruncateStmt) || IsA(stmt, RefreshMatViewStmt);
}

static void
note_code(void)
{
	vp_ring_note(VP_RING_CODE, InvalidOid, VP_CHANGE_ALTERED);
}

static void
utility(PlannedStmt *pstmt, const char *text, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *env, DestReceiver *dest, QueryCompletion *completion)
{
	bool		alters = IsTransactionState() && may_alter_meaning(pstmt->utilityStmt);
	bool		alters_table = IsA(pstmt->utilityStmt, AlterTableStmt);

	if (alters)
		note_code();
	if (IsA(pstmt->utilityStmt, TransactionStmt) &&
		((TransactionStmt *) pstmt->utilityStmt)->kind == TRANS_STMT_COMMIT_PREPARED)
		vp_ring_note_commit_prepared();
	if (writes(pstmt->utilityStmt))
		vp_uncounted_look();
	if (IsA(pstmt->utilityStmt, RefreshMatViewStmt))
		vp_ring_note_truncate();
	altering_tables += alters_table;
	PG_TRY();
	{
		if (prev_utility_hook)
			prev_utility_hook(pstmt, text, read_only_tree, context, params, env, dest, completion);
		else
			standard_ProcessUtility(pstmt, text, read_only_tree, context, params, env, dest, completion);
	}
	PG_FINALLY();
	{
		altering_tables -= alters_table;
	}
	PG_END_TRY();
	if (alters && IsTransactionState())
		note_code();
}

static bool
has_new_file(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	bool		has = RelationIsValid(rel) && vp_has_new_file(rel);

	if (RelationIsValid(rel))
		RelationClose(rel);
	return has;
}

/*
 * A new file for a table, by ALTER TABLE: other values, perhaps.  CLUSTER and
 * VACUUM FULL come here as well, but change nothing.
 */
static void
object_access(ObjectAccessType access, Oid class_id, Oid object, int sub_id, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, class_id, object, sub_id, arg);
	if (class_id != RelationRelationId || sub_id != 0)
		return;
	if (access == OAT_POST_ALTER && altering_tables > 0 &&
		has_new_file(object))
		vp_ring_note(RelationRelationId, object, VP_CHANGE_WRITTEN);
	else if (access == OAT_TRUNCATE)
		vp_ring_note_truncate();
}

void
vp_altered_init(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = object_access;
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility;
}
