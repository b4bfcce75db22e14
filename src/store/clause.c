/*
 * clause.c
 *	  Index clauses: as their owner wrote them, and resolved.
 *
 * A clause is looked up by name once, when it is defined, like the names in
 * the asset's query.  What others put on the search_path later means nothing.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "common/settings.h"
#include "compat/compat.h"
#include "store/clause.h"
#include "store/usercode.h"

#define WRITE_HINT "Write for example '(order_id)', 'UNIQUE (id)' or 'USING brin (day)'."

/* What the error callback is to say. */
typedef struct ClauseContext
{
	const char *written;
	bool		resolved;
} ClauseContext;

static bool
is_missing(int code)
{
	return code == ERRCODE_INVALID_SCHEMA_NAME || code == ERRCODE_UNDEFINED_OBJECT ||
		code == ERRCODE_UNDEFINED_FUNCTION || code == ERRCODE_UNDEFINED_TABLE;
}

static void
clause_error_callback(void *arg)
{
	const ClauseContext *context = arg;
	int			position = geterrposition();

	if (position > 0)
		errposition(0);
	if (geterrcode() == ERRCODE_SYNTAX_ERROR)
		errhint(WRITE_HINT);
	else if (context->resolved && is_missing(geterrcode()))
		errhint("If it was renamed since, define the asset again.");
	errcontext("index clause \"%s\"", context->written);
}

/* Resolved clauses are written and read under these, whatever was recorded. */
static void
apply_fixed_settings(void)
{
	static const char *const fixed[] = {
		"search_path=pg_catalog, pg_temp", "DateStyle=ISO, YMD",
		"IntervalStyle=postgres", "TimeZone=UTC", "extra_float_digits=1",
		"bytea_output=hex", "array_nulls=on", "standard_conforming_strings=on",
		"quote_all_identifiers=off", "transform_null_equals=off"
	};
	List	   *settings = NIL;

	for (int i = 0; i < (int) lengthof(fixed); i++)
		settings = lappend(settings, unconstify(char *, fixed[i]));
	vp_settings_apply(settings);
}

static bool
starts_with_unique(const char *clause)
{
	char		next;

	if (pg_strncasecmp(clause, "unique", 6) != 0)
		return false;
	next = clause[6];
	return !isalnum((unsigned char) next) && next != '_' && next != '$' &&
		!IS_HIGHBIT_SET(next);
}

/* The statement that a clause stands for, its names not yet looked up. */
static IndexStmt *
parse(Oid slot, const char *index, const char *clause, char **sql)
{
	const char *rest = clause + strspn(clause, " \t\n\r");
	bool		unique = starts_with_unique(rest);
	List	   *parsed;
	IndexStmt  *stmt;

	if (unique)
		rest += 6;
	*sql = psprintf("CREATE %s INDEX %s ON %s %s", unique ? "UNIQUE" : "",
					quote_identifier(index),
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(slot)),
											   get_rel_name(slot)), rest);
	parsed = raw_parser(*sql, RAW_PARSE_DEFAULT);
	if (list_length(parsed) == 1 &&
		IsA(linitial_node(RawStmt, parsed)->stmt, IndexStmt))
	{
		stmt = (IndexStmt *) linitial_node(RawStmt, parsed)->stmt;
		if (stmt->relation->catalogname == NULL)
			return stmt;
	}
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("invalid index clause \"%s\"", clause),
			 errhint(WRITE_HINT)));
}

/* A name that was found in pg_catalog. */
static List *
qualify(List *name)
{
	return list_length(name) == 1 ? lcons(makeString("pg_catalog"), name) : name;
}

/* The rest is found without a path; the tablespace is as written. */
static IndexStmt *
parse_resolved(Oid slot, const char *index, const char *written, const char *resolved)
{
	int			guc_level = NewGUCNestLevel();
	char	   *sql;
	IndexStmt  *stmt;
	ListCell   *lc;

	apply_fixed_settings();
	stmt = parse(slot, index, resolved, &sql);
	stmt = transformIndexStmt(slot, stmt, sql);
	AtEOXact_GUC(false, guc_level);
	foreach(lc, stmt->indexParams)
	{
		IndexElem  *elem = lfirst_node(IndexElem, lc);

		elem->opclass = qualify(elem->opclass);
		elem->collation = qualify(elem->collation);
	}
	stmt->tableSpace = parse(slot, index, written, &sql)->tableSpace;
	return stmt;
}

/*
 * Planning calls functions of the predicate as whoever reads the asset.  A
 * better match in the same schema could still take a resolved function's place.
 */
static void
refuse_user_code(const IndexStmt *stmt, Oid owner)
{
	ListCell   *lc;

	foreach(lc, stmt->indexParams)
		if (vp_has_code_of_others(lfirst_node(IndexElem, lc)->expr, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("an asset's index can't call functions of others than the asset's owner and superusers"),
				 errhint("Index a column of the asset instead, or qualify the function's name.")));
	if (vp_has_user_code(stmt->whereClause))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the predicate of an asset's index can't call functions that no superuser owns"),
				 errhint("Add a column to the asset that says what the predicate is to say.")));
}

void
vp_clause_create(Oid slot, const char *index, Oid owner, const char *written,
				 const char *resolved)
{
	ClauseContext context = {written, resolved != NULL};
	ErrorContextCallback callback = {
		.callback = clause_error_callback,
		.arg = &context,
		.previous = error_context_stack
	};
	char	   *sql;
	IndexStmt  *stmt;

	error_context_stack = &callback;
	if (resolved != NULL)
		stmt = parse_resolved(slot, index, written, resolved);
	else
	{
		stmt = parse(slot, index, written, &sql);
		stmt = transformIndexStmt(slot, stmt, sql);
	}
	refuse_user_code(stmt, owner);

	/* the schema is ours, so DefineIndex() checks no rights */
	vp_check_tablespace(stmt->tableSpace != NULL ?
						get_tablespace_oid(stmt->tableSpace, false) :
						GetDefaultTablespace(get_rel_persistence(slot), false));
	vp_define_index(slot, stmt);
	error_context_stack = callback.previous;
}

char *
vp_clause_of(Oid slot, const char *index)
{
	int			guc_level = NewGUCNestLevel();
	Oid			schema = get_rel_namespace(slot);
	char	   *sql;
	char	   *on;
	bool		unique;

	apply_fixed_settings();
	sql = TextDatumGetCString(DirectFunctionCall1(pg_get_indexdef,
												  ObjectIdGetDatum(get_relname_relid(index, schema))));
	on = psprintf("INDEX %s ON %s ", quote_identifier(index),
				  quote_qualified_identifier(get_namespace_name(schema),
											 get_rel_name(slot)));
	AtEOXact_GUC(false, guc_level);
	unique = strncmp(sql, "CREATE UNIQUE ", 14) == 0;
	sql += unique ? 14 : 7;
	if (strncmp(sql, on, strlen(on)) != 0)
		elog(ERROR, "unexpected definition of index \"%s\": %s", index, sql);
	return psprintf("%s%s", unique ? "UNIQUE " : "", sql + strlen(on));
}

bool
vp_clause_has_names(const char *resolved)
{
	return strchr(resolved, '.') != NULL;
}

/* End of the word, string or single character that starts here. */
static const char *
token_end(const char *p)
{
	char		quote = *p;

	if (quote == '"' || quote == '\'')
	{
		for (p++; *p != '\0'; p++)
			if (*p == quote && *++p != quote)
				break;
		return p;
	}
	if (!isalnum((unsigned char) *p) && *p != '_' && !IS_HIGHBIT_SET(*p))
		return p + 1;
	while (isalnum((unsigned char) *p) || *p == '_' || *p == '$' || IS_HIGHBIT_SET(*p))
		p++;
	return p;
}

/* A schema's name stands before a dot, and not after one. */
static char *
rename_schema(const char *clause, const char *old_name, const char *new_name)
{
	StringInfoData buf;
	char		before = '\0';
	const char *p = clause;

	initStringInfo(&buf);
	while (*p != '\0')
	{
		const char *end = token_end(p);

		if (*end == '.' && before != '.' && strlen(old_name) == end - p &&
			strncmp(p, old_name, end - p) == 0)
			appendStringInfoString(&buf, new_name);
		else
			appendBinaryStringInfo(&buf, p, end - p);
		before = end[-1];
		p = end;
	}
	return buf.data;
}

List *
vp_clauses_rename_schema(List *clauses, const char *old_name, const char *new_name)
{
	List	   *renamed = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
		renamed = lappend(renamed,
						  rename_schema(lfirst(lc), quote_identifier(old_name),
										quote_identifier(new_name)));
	return renamed;
}
