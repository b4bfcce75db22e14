/*
 * unsteady.c
 *	  What gives other results though nothing that is followed changed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "common/names.h"
#include "freshness/unsteady.h"
#include "freshness/wording.h"

static bool
reads_clock(Oid function)
{
	switch (function)
	{
		case F_NOW:
		case F_TRANSACTION_TIMESTAMP:
		case F_STATEMENT_TIMESTAMP:
		case F_CLOCK_TIMESTAMP:
		case F_TIMEOFDAY:
		case F_AGE_TIMESTAMP:
		case F_AGE_TIMESTAMPTZ:
		case F_TIMETZ_TIME:		/* by the offset that is now */
		case F_TIMEZONE_TEXT_TIMETZ:
			return true;
		default:
			return false;
	}
}

/* Stable ones of the server that ask for what is neither argument nor table. */
static bool
asks_session(Oid function)
{
	switch (function)
	{
		case F_CURRENT_SETTING_TEXT:
		case F_CURRENT_SETTING_TEXT_BOOL:
		case F_AGE_XID:
		case F_TXID_CURRENT:
		case F_TXID_CURRENT_IF_ASSIGNED:
		case F_TXID_CURRENT_SNAPSHOT:
		case F_PG_CURRENT_XACT_ID:
		case F_PG_CURRENT_XACT_ID_IF_ASSIGNED:
		case F_PG_CURRENT_SNAPSHOT:
		case F_PG_BACKEND_PID:
		case F_PG_POSTMASTER_START_TIME:
		case F_PG_CONF_LOAD_TIME:
		case F_INET_CLIENT_ADDR:
		case F_INET_CLIENT_PORT:
		case F_INET_SERVER_ADDR:
		case F_INET_SERVER_PORT:
		case F_SESSION_USER:
			return true;
		default:
			return false;
	}
}

static bool
begins_with_one_of(const char *name, const char *const *beginnings, int n)
{
	for (int i = 0; i < n; i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

/*
 * Stable ones of the server that tell of its own state, or look something up in
 * its catalogs: by name, as they are many and each version brings new ones.
 */
static bool
tells_of_server(Oid function)
{
	static const char *const telling[] = {
		"pg_", "has_", "to_reg", "reg", "aclitem", "format_type", "oidvectortypes",
		"current_database", "current_schema", "system_user", "row_security_active", "version", "mxid_age",
		"obj_description", "col_description", "shobj_description",
		"schema_to_xml", "database_to_xml"
	};
	static const char *const silent[] = {
		"pg_typeof", "pg_collation_for", "pg_column_size", "pg_column_compression",
		"pg_options_to_table", "pg_char_to_encoding", "pg_encoding_to_char"
	};
	const char *name;

	if (!OidIsValid(function) || function >= FirstNormalObjectId ||
		(name = get_func_name(function)) == NULL || func_volatile(function) != PROVOLATILE_STABLE)
		return false;
	return begins_with_one_of(name, telling, lengthof(telling)) &&
		!begins_with_one_of(name, silent, lengthof(silent));
}

static char *
function_name(Oid function)
{
	return function < FirstNormalObjectId ? format_procedure(function) :
		format_procedure_qualified(function);
}

char *
vp_unsteady_function(Oid function)
{
	if (reads_clock(function))
		return psprintf("function %s reads the clock", function_name(function));
	if (asks_session(function))
		return psprintf("function %s depends on the session", function_name(function));
	if (tells_of_server(function))
		return psprintf("function %s tells of the server's state", function_name(function));
	if (OidIsValid(function) && get_func_namespace(function) != vp_extension()->schema &&
		get_func_rettype(function) != InvalidOid && func_volatile(function) == PROVOLATILE_VOLATILE)
		return psprintf("function %s is volatile", function_name(function));
	return NULL;
}

char *
vp_unsteady_relation(Oid relid)
{
	switch (get_rel_relkind(relid))
	{
		case RELKIND_FOREIGN_TABLE:
			return psprintf("foreign table %s isn't followed", vp_relation_name(relid));
		case RELKIND_SEQUENCE:
			return psprintf("sequence %s isn't followed", vp_relation_name(relid));
		case RELKIND_VIEW:
			if (relid < FirstNormalObjectId)
				return psprintf("system view %s isn't followed", vp_relation_name(relid));
			return NULL;
		case RELKIND_RELATION:
			if (relid < FirstNormalObjectId)
				return psprintf("system catalog %s isn't followed", vp_relation_name(relid));
			if (get_rel_namespace(relid) == vp_extension()->schema)
				return psprintf("table %s isn't followed", vp_relation_name(relid));
			return NULL;
		default:
			return NULL;
	}
}

static char *
unsteady_value(const SQLValueFunction *value)
{
	switch (value->op)
	{
		case SVFOP_CURRENT_DATE:
			return pstrdup("CURRENT_DATE reads the clock");
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
			return pstrdup("CURRENT_TIME reads the clock");
		case SVFOP_CURRENT_TIMESTAMP:
		case SVFOP_CURRENT_TIMESTAMP_N:
			return pstrdup("CURRENT_TIMESTAMP reads the clock");
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
			return pstrdup("LOCALTIME reads the clock");
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			return pstrdup("LOCALTIMESTAMP reads the clock");
		case SVFOP_SESSION_USER:
			return pstrdup("SESSION_USER depends on the session");
		case SVFOP_CURRENT_CATALOG:
			return pstrdup("CURRENT_CATALOG tells of the server's state");
		case SVFOP_CURRENT_SCHEMA:
			return pstrdup("CURRENT_SCHEMA tells of the server's state");
		default:
			return NULL;
	}
}

static bool
note_function(Oid function, void *context)
{
	char	  **reason = context;

	*reason = vp_unsteady_function(function);
	return *reason != NULL;
}

/* What changes by row locks, or when the table is written anew. */
static char *
unsteady_column(AttrNumber number)
{
	switch (number)
	{
		case SelfItemPointerAttributeNumber:
			return pstrdup("ctid tells how rows are stored");
		case MaxTransactionIdAttributeNumber:
			return pstrdup("xmax tells how rows are stored");
		case MinCommandIdAttributeNumber:
			return pstrdup("cmin tells how rows are stored");
		case MaxCommandIdAttributeNumber:
			return pstrdup("cmax tells how rows are stored");
		default:
			return NULL;
	}
}

char *
vp_unsteady_node(Node *node)
{
	char	   *reason = NULL;

	if (IsA(node, SQLValueFunction))
		return unsteady_value((SQLValueFunction *) node);
	if (IsA(node, Var))
		return unsteady_column(((Var *) node)->varattno);
	if (IsA(node, NextValueExpr))
		return pstrdup("a sequence isn't followed");
	if (IsA(node, RangeTblEntry) && ((RangeTblEntry *) node)->tablesample != NULL &&
		((RangeTblEntry *) node)->tablesample->repeatable == NULL)
		return pstrdup("TABLESAMPLE without REPEATABLE is random");
	(void) check_functions_in_node(node, note_function, &reason);
	return reason;
}

/* A function of the server by this name that isn't steady. */
static char *
unsteady_name(const char *name)
{
	char	   *reason = NULL;
	ListCell   *lc;

	foreach(lc, vp_wording_functions(name))
		if (reason == NULL && get_func_namespace(lfirst_oid(lc)) == PG_CATALOG_NAMESPACE)
		reason = vp_unsteady_function(lfirst_oid(lc));
	return reason;
}

/* A literal that a cast to a date or time takes for the present one, if at all. */
static char *
clock_literal(const char *text)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	for (const char *c = strchr(text, '\''); c != NULL; c = strchr(c, '\''))
	{
		c++;
		c += strspn(c, " \t\r\n");
		for (int i = 0; i < (int) lengthof(words); i++)
		{
			size_t		length = strlen(words[i]);
			const char *after = c + length;

			if (pg_strncasecmp(c, words[i], length) != 0)
				continue;
			after += strspn(after, " \t\r\n");
			if (*after == '\'' || (after > c + length && *after >= '0' && *after <= '9'))
				return psprintf("'%s' reads the clock", words[i]);
		}
	}
	return NULL;
}

char *
vp_unsteady_text(const char *text)
{
	static const struct
	{
		const char *word;
		const char *reason;
	}			words[] = {
		{"current_date", "CURRENT_DATE reads the clock"},
		{"current_time", "CURRENT_TIME reads the clock"},
		{"current_timestamp", "CURRENT_TIMESTAMP reads the clock"},
		{"localtime", "LOCALTIME reads the clock"},
		{"localtimestamp", "LOCALTIMESTAMP reads the clock"},
		{"session_user", "SESSION_USER depends on the session"},
		{"current_catalog", "CURRENT_CATALOG tells of the server's state"},
		{"current_schema", "CURRENT_SCHEMA tells of the server's state"},
		{"ctid", "ctid tells how rows are stored"},
		{"xmax", "xmax tells how rows are stored"},
		{"cmin", "cmin tells how rows are stored"},
		{"cmax", "cmax tells how rows are stored"}
	};
	ListCell   *lc;

	foreach(lc, vp_wording_names(text))
		for (int i = 0; i < (int) lengthof(words); i++)
		if (strcmp(lfirst(lc), words[i].word) == 0)
			return pstrdup(words[i].reason);
	foreach(lc, vp_wording_calls(text))
	{
		char	   *reason = unsteady_name(lfirst(lc));

		if (reason != NULL)
			return reason;
	}
	return clock_literal(text);
}
