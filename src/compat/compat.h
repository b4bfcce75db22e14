/*
 * compat.h
 *	  Everything that differs between PostgreSQL 15 and 19, in one place.
 *
 * The rest of the project is written to one shape; this header (and nothing
 * else) tests PG_VERSION_NUM.
 */
#ifndef VP_COMPAT_H
#define VP_COMPAT_H

#include "postgres.h"

#include "access/hio.h"
#include "access/sysattr.h"
#include "catalog/index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_tablespace.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parse_relation.h"
#include "postmaster/bgworker.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#if PG_VERSION_NUM < 150000
#error "vibepiper needs PostgreSQL 15 or newer"
#endif

/* It stands before the declaration since 18. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* The relation file's number is RelFileNumber since 16. */
#if PG_VERSION_NUM < 160000
#define vp_filenode(rel)			((rel)->rd_node.relNode)
#define vp_has_new_file(rel)		((rel)->rd_firstRelfilenodeSubid != InvalidSubTransactionId)
#define vp_new_filenode(rel, persistence) \
	RelationSetNewRelfilenode(rel, persistence)
#else
#define vp_filenode(rel)			((rel)->rd_locator.relNumber)
#define vp_has_new_file(rel)		((rel)->rd_firstRelfilelocatorSubid != InvalidSubTransactionId)
#define vp_new_filenode(rel, persistence) \
	RelationSetNewRelfilenumber(rel, persistence)
#endif

/*
 * Since 16 a bulk insert extends the file by as many pages as it did so far, up
 * to 64: half of a small file stays empty.
 */
static inline void
vp_limit_extension(BulkInsertStateData *bistate, uint32 pages)
{
#if PG_VERSION_NUM >= 160000
	bistate->already_extended_by = Min(bistate->already_extended_by, pages);
#endif
}

/* The planner hook got the EXPLAIN state in 19. */
#if PG_VERSION_NUM >= 190000
#define VP_PLANNER_ARGS \
	Query *parse, const char *query_string, int cursorOptions, \
	ParamListInfo boundParams, ExplainState *es
#define VP_PLANNER_PASS				parse, query_string, cursorOptions, boundParams, es
#else
#define VP_PLANNER_ARGS \
	Query *parse, const char *query_string, int cursorOptions, \
	ParamListInfo boundParams
#define VP_PLANNER_PASS				parse, query_string, cursorOptions, boundParams
#endif

/* Rebuild all indexes of a relation; unique ones are checked. */
static inline void
vp_reindex_relation(Oid relid)
{
	ReindexParams params = {0};

#if PG_VERSION_NUM >= 170000
	(void) reindex_relation(NULL, relid, REINDEX_REL_CHECK_CONSTRAINTS, &params);
#else
	(void) reindex_relation(relid, REINDEX_REL_CHECK_CONSTRAINTS, &params);
#endif
}

/* Create an index without asking for rights. */
static inline void
vp_define_index(Oid relid, IndexStmt *stmt)
{
#if PG_VERSION_NUM >= 190000
	(void) DefineIndex(NULL, relid, stmt, InvalidOid, InvalidOid, InvalidOid, -1,
					   false, false, true, false, true);
#elif PG_VERSION_NUM >= 160000
	(void) DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid, -1,
					   false, false, true, false, true);
#else
	(void) DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid,
					   false, false, true, false, true);
#endif
}

/* ANALYZE one relation inside the current transaction. */
static inline void
vp_analyze_relation(Oid relid)
{
	VacuumParams params = {0};

	params.options = VACOPT_ANALYZE;
	params.freeze_min_age = -1;
	params.freeze_table_age = -1;
	params.multixact_freeze_min_age = -1;
	params.multixact_freeze_table_age = -1;
#if PG_VERSION_NUM >= 190000
	params.log_vacuum_min_duration = -1;
	params.log_analyze_min_duration = -1;
#else
	params.log_min_duration = -1;
#endif
	analyze_rel(relid, NULL, &params, NIL, true, NULL);
}

/* Plan a rewritten query. */
#if PG_VERSION_NUM >= 190000
#define vp_plan(query, text, options, params) \
	planner(query, text, options, params, NULL)
#else
#define vp_plan(query, text, options, params) \
	planner(query, text, options, params)
#endif

/* Run a query to its end. */
#if PG_VERSION_NUM >= 180000
#define vp_executor_run(desc)		ExecutorRun(desc, ForwardScanDirection, 0)
#else
#define vp_executor_run(desc)		ExecutorRun(desc, ForwardScanDirection, 0, true)
#endif

/* Begin a plain scan of a table. */
#if PG_VERSION_NUM >= 190000
#define vp_begin_scan(rel, snapshot)	table_beginscan(rel, snapshot, 0, NULL, SO_NONE)
#else
#define vp_begin_scan(rel, snapshot)	table_beginscan(rel, snapshot, 0, NULL)
#endif

/* The query of a SQL function in FROM, if it can be inlined; else NULL. */
#if PG_VERSION_NUM >= 190000
#define vp_inline_function(root, rte)	inline_function_in_from(root, rte)
#else
#define vp_inline_function(root, rte)	inline_set_returning_function(root, rte)
#endif

/*
 * Rights that the executor checks for a range-table entry: fields of the
 * entry in 15, a list of its own in the Query since 16.
 */
static inline void
vp_rte_set_rights(Query *query, RangeTblEntry *rte, AclMode rights, Oid user)
{
	/* SELECT on the whole row: a right on some columns isn't enough */
	Bitmapset  *columns = (rights & ACL_SELECT) == 0 ? NULL :
	bms_make_singleton(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber);
#if PG_VERSION_NUM < 160000
	rte->requiredPerms = rights;
	rte->checkAsUser = user;
	rte->selectedCols = columns;
#else
	RTEPermissionInfo *info;

	if (rights == 0 && !OidIsValid(user))
		return;
	info = addRTEPermissionInfo(&query->rteperminfos, rte);

	/* the executor wants to check something: let it be what the user has */
	info->requiredPerms = rights != 0 ? rights : ACL_SELECT;
	info->checkAsUser = user;
	info->selectedCols = columns;
#endif
}

/* May the role create objects in the schema? */
static inline bool
vp_may_create_in_schema(Oid schema, Oid role)
{
#if PG_VERSION_NUM < 160000
	return pg_namespace_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK;
#else
	return object_aclcheck(NamespaceRelationId, schema, role, ACL_CREATE) == ACLCHECK_OK;
#endif
}

static inline bool
vp_owns_schema(Oid schema)
{
#if PG_VERSION_NUM < 160000
	return pg_namespace_ownercheck(schema, GetUserId());
#else
	return object_ownercheck(NamespaceRelationId, schema, GetUserId());
#endif
}

/* Error unless the current user may create objects in the tablespace. */
static inline void
vp_check_tablespace(Oid tablespace)
{
	AclResult	acl;

	if (!OidIsValid(tablespace) || tablespace == MyDatabaseTableSpace)
		return;
#if PG_VERSION_NUM < 160000
	acl = pg_tablespace_aclcheck(tablespace, GetUserId(), ACL_CREATE);
#else
	acl = object_aclcheck(TableSpaceRelationId, tablespace, GetUserId(), ACL_CREATE);
#endif
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_TABLESPACE, get_tablespace_name(tablespace));
}

/* Error unless the current user may read what one level of a query reads. */
static inline void
vp_check_rights(Query *query)
{
#if PG_VERSION_NUM < 160000
	(void) ExecCheckRTPerms(query->rtable, true);
#else
	(void) ExecCheckPermissions(query->rtable, query->rteperminfos, true);
#endif
}

/*
 * Point an entry of a plan to another relation.  The rights since 16 name the
 * relation too; copy: the plan shares its list of them with another plan.
 */
static inline void
vp_plan_set_relation(PlannedStmt *plan, RangeTblEntry *rte, Oid relid, bool copy)
{
#if PG_VERSION_NUM >= 160000
	if (rte->perminfoindex > 0)
	{
		ListCell   *cell;

		if (copy)
			plan->permInfos = list_copy(plan->permInfos);
		cell = list_nth_cell(plan->permInfos, rte->perminfoindex - 1);
		if (copy)
			lfirst(cell) = copyObject(lfirst(cell));
		lfirst_node(RTEPermissionInfo, cell)->relid = relid;
	}
#endif
	rte->relid = relid;
}

/* Does one level of a query read something with its reader's rights? */
static inline bool
vp_reads_as_reader(Query *query)
{
	ListCell   *lc;

#if PG_VERSION_NUM < 160000
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->requiredPerms != 0 &&
			!OidIsValid(rte->checkAsUser))
			return true;
	}
#else
	foreach(lc, query->rteperminfos)
	{
		RTEPermissionInfo *info = lfirst_node(RTEPermissionInfo, lc);

		if (info->requiredPerms != 0 && !OidIsValid(info->checkAsUser))
			return true;
	}
#endif
	return false;
}

/* The view whose expansion this sub-query is, if its entry tells (16 on). */
static inline Oid
vp_rte_expanded_view(const RangeTblEntry *rte)
{
#if PG_VERSION_NUM < 160000
	return InvalidOid;
#else
	return rte->rtekind == RTE_SUBQUERY ? rte->relid : InvalidOid;
#endif
}

/* The view whose expansion this query is, if its own entries tell (15). */
static inline Oid
vp_query_expanded_view(const Query *query)
{
#if PG_VERSION_NUM < 160000
	/* the target of an UPDATE or DELETE stands first, too */
	if (query->commandType == CMD_SELECT &&
		list_length(query->rtable) >= PRS2_NEW_VARNO)
	{
		RangeTblEntry *rte = linitial_node(RangeTblEntry, query->rtable);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_VIEW &&
			!rte->inFromCl)
			return rte->relid;
	}
#endif
	return InvalidOid;
}

/* An SQL/JSON constructor (16 on) or query function (17 on)? */
static inline bool
vp_is_sql_json(const Node *node)
{
#if PG_VERSION_NUM >= 170000
	if (IsA(node, JsonExpr))
		return true;
#endif
#if PG_VERSION_NUM >= 160000
	return IsA(node, JsonConstructorExpr);
#else
	return false;
#endif
}

/* Does this backend hold the lock in this very mode? */
#if PG_VERSION_NUM >= 170000
#define vp_lock_held_by_me(tag, mode)	LockHeldByMe(tag, mode, false)
#else
#define vp_lock_held_by_me(tag, mode)	LockHeldByMe(tag, mode)
#endif

/* A background worker's role needs the right to log in before 17. */
#if PG_VERSION_NUM >= 170000
#define VP_WORKER_FLAGS				BGWORKER_BYPASS_ROLELOGINCHECK
#define VP_HAS_TRANSACTION_TIMEOUT
#else
#define VP_WORKER_FLAGS				0
#endif

/* The place of this process among all, from 0; and what clog is kept for. */
#if PG_VERSION_NUM >= 170000
#define VP_MY_PROC_NUMBER			MyProcNumber
#define VP_TRANSAM					TransamVariables
#else
#define VP_MY_PROC_NUMBER			MyProc->pgprocno
#define VP_TRANSAM					ShmemVariableCache
#endif

/* The transaction in this place of those that are prepared, in this database. */
static inline TransactionId
vp_prepared_xid(int i)
{
	const PGPROC *proc = &PreparedXactProcs[i];

	return proc->databaseId == MyDatabaseId ? proc->xid : InvalidTransactionId;
}

/* A hash table of so many entries in shared memory. */
#if PG_VERSION_NUM >= 190000
#define vp_shmem_hash(name, n, info, flags)	ShmemInitHash(name, n, info, flags)
#else
#define vp_shmem_hash(name, n, info, flags)	ShmemInitHash(name, n, n, info, flags)
#endif

/* CLUSTER is a form of REPACK since 19. */
#if PG_VERSION_NUM >= 190000
#define VP_CLUSTER_STMT				T_RepackStmt
#else
#define VP_CLUSTER_STMT				T_ClusterStmt
#endif

/* A relation's entry in the statistics of the running transaction. */
#if PG_VERSION_NUM >= 160000
#define vp_stat_relation(status)	((status)->id)
#define vp_stat_is_shared(status)	((status)->shared)
#else
#define vp_stat_relation(status)	((status)->t_id)
#define vp_stat_is_shared(status)	((status)->t_shared)
#endif

/* Dropping a database makes it invalid first. */
#include "catalog/pg_database.h"
#define vp_database_is_invalid(form) database_is_invalid_form(form)

/* Columns that are computed when they are read came with 18. */
#if PG_VERSION_NUM >= 180000
#define VP_GENERATED_VIRTUAL ATTRIBUTE_GENERATED_VIRTUAL
#else
#define VP_GENERATED_VIRTUAL 'v'
#endif

#endif							/* VP_COMPAT_H */
