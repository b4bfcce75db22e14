/*
 * wording.c
 *	  What the text of a function may name.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "common/extension.h"
#include "freshness/readings.h"
#include "freshness/wording.h"

/* From here on it is quicker to go through the catalogs than to look each name up. */
#define MANY_NAMES 2000

#define MAX_NAMESAKES 20000

#define OPERATOR_CHARACTERS "+-*/<>=~!@#%^&|`?"

static bool
in_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

static List *
add_name(List *names, const char *start, int length)
{
	char	   *name = pnstrdup(start, length);

	truncate_identifier(name, length, false);
	return lappend(names, name);
}

/* A word as it stands, if it was quoted, and as the parser would fold it. */
static List *
add_word(List *names, const char *start, int length)
{
	char	   *folded;

	if ((*start >= '0' && *start <= '9') || *start == '$')
		return names;
	names = add_name(names, start, length);
	folded = downcase_truncate_identifier(start, length, false);
	return strcmp(folded, llast(names)) == 0 ? names : lappend(names, folded);
}

/* Of these, to which the tags of dollar quotes may stick: some, or only the last ones. */
static List *
add_words(List *names, const char *start, const char *end, bool only_last)
{
	for (const char *from = start; from < end; from++)
	{
		if (from > start && from[-1] != '$')
			continue;
		for (const char *to = only_last ? end : from + 1; to <= end; to++)
		{
			if (to < end && *to != '$')
				continue;
			names = add_word(names, from, to - from);
			if (to - from >= NAMEDATALEN)
				break;			/* truncated */
		}
	}
	return names;
}

static bool
is_called(const char *after)
{
	if (*after == '"')
		after++;
	return after[strspn(after, " \t\r\n")] == '(';
}

/*
 * What stands behind a quote, up to the next one, even if it is no identifier;
 * a doubled one may stand for itself.  In a string quotes of the other kind are
 * doubled, and in a string in a string again.
 */
static List *
add_quoted(List *names, const char *c, bool doubled, bool called)
{
	char		name[4 * NAMEDATALEN];
	int			length = 0;

	while (*c != '\0' && length < (int) sizeof(name) - 1)
	{
		if (*c == '"' && !(doubled && c[1] == '"'))
			break;
		c += *c == '"';
		name[length++] = *c++;
	}
	name[length] = '\0';
	if (length == 0 || (called && !is_called(c)))
		return names;
	names = add_name(names, name, length);
	for (char *quote = strstr(name, "''"); quote != NULL; quote = strstr(name, "''"))
	{
		while (quote != NULL)
		{
			memmove(quote, quote + 1, strlen(quote));
			quote = strstr(quote + 1, "''");
		}
		names = add_name(names, name, strlen(name));
	}
	return names;
}

static List *
add_words_of(List *names, const char *text, bool called)
{
	for (const char *c = text; *c != '\0';)
	{
		const char *start = c;

		CHECK_FOR_INTERRUPTS();
		while (in_word(*c))
			c++;
		if (c > start)
		{
			if (!called || is_called(c))
				names = add_words(names, start, c, called);
			continue;
		}
		if (*c == '"')
		{
			names = add_quoted(names, c + 1, false, called);
			names = add_quoted(names, c + 1, true, called);
		}
		c++;
	}
	return names;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Each once. */
static List *
sort_names(List *names)
{
	int			n = 0;

	list_sort(names, compare_names);
	for (int i = 0; i < list_length(names); i++)
		if (n == 0 || strcmp(list_nth(names, n - 1), list_nth(names, i)) != 0)
			lfirst(list_nth_cell(names, n++)) = list_nth(names, i);
	return list_truncate(names, n);
}

static List *
words_of(const char *text, bool called)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, vp_readings(text))
		names = add_words_of(names, lfirst(lc), called);
	return sort_names(names);
}

List *
vp_wording_names(const char *text)
{
	return words_of(text, false);
}

List *
vp_wording_calls(const char *text)
{
	return words_of(text, true);
}

bool
vp_wording_has(List *names, const char *name)
{
	int			low = 0;
	int			high = list_length(names);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = strcmp(list_nth(names, middle), name);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Its body, and the settings that it comes with: a search_path, perhaps. */
char *
vp_wording_text(HeapTuple function)
{
	bool		isnull;
	Datum		source = SysCacheGetAttr(PROCOID, function, Anum_pg_proc_prosrc, &isnull);
	Datum		settings;
	char	   *words = isnull ? pstrdup("") : TextDatumGetCString(source);

	settings = SysCacheGetAttr(PROCOID, function, Anum_pg_proc_proconfig, &isnull);
	if (isnull)
		return words;
	return psprintf("%s %s", words, OidOutputFunctionCall(F_ARRAY_OUT, settings));
}

/* Of the server's schemas, people put their things into public. */
static List *
add_schema(List *schemas, Oid schema)
{
	const VpExtension *ext = vp_extension();

	if ((schema < FirstNormalObjectId && schema != PG_PUBLIC_NAMESPACE) ||
		schema == ext->schema || schema == ext->store_schema || schema == ext->def_schema ||
		isAnyTempNamespace(schema))
		return schemas;
	return list_append_unique_oid(schemas, schema);
}

/* Those among the names; with "$user", anybody's. */
static List *
schemas_among(List *names, List *schemas)
{
	bool		anybody = vp_wording_has(names, "$user");
	Relation	rel = table_open(NamespaceRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(tuple);

		if (vp_wording_has(names, NameStr(form->nspname)) ||
			(anybody && OidIsValid(get_role_oid(NameStr(form->nspname), true))))
			schemas = add_schema(schemas, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return schemas;
}

static List *
add_schemas(List *schemas, List *names)
{
	ListCell   *lc;

	if (list_length(names) > MANY_NAMES || vp_wording_has(names, "$user"))
		return schemas_among(names, schemas);
	foreach(lc, names)
		schemas = add_schema(schemas, get_namespace_oid(lfirst(lc), true));
	return schemas;
}

List *
vp_wording_schemas(const char *search_path)
{
	char	   *copy = pstrdup(search_path);
	List	   *names;

	if (!SplitIdentifierString(copy, ',', &names))
		return NIL;
	return add_schemas(NIL, sort_names(names));
}

/* NULL: it comes with none. */
static char *
path_of_function(Oid function)
{
	static const char prefix[] = "search_path=";
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	char	   *path = NULL;
	Datum		settings;
	bool		isnull;
	Datum	   *values;
	int			n = 0;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	settings = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(settings), TEXTOID, -1, false, TYPALIGN_INT,
						  &values, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *value = TextDatumGetCString(values[i]);

		if (strncmp(value, prefix, strlen(prefix)) == 0)
			path = value + strlen(prefix);
	}
	ReleaseSysCache(tuple);
	return path;
}

char *
vp_wording_paths(const char *search_path, List *functions)
{
	List	   *paths = NIL;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, search_path);
	foreach(lc, functions)
	{
		char	   *path = path_of_function(lfirst_oid(lc));

		if (path != NULL && *path != '\0')
			paths = lappend(paths, path);
	}
	foreach(lc, sort_names(paths))
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "," : "", (char *) lfirst(lc));
	return buf.data;
}

/*
 * Functions by their names, as far as they were asked for, until one changes: the
 * server's lists of them are gone through one by one before PostgreSQL 16.
 */
typedef struct Namesakes
{
	NameData	name;
	List	   *functions;		/* of Oid */
} Namesakes;

static HTAB *namesakes = NULL;
static MemoryContext namesakes_context = NULL;
static bool namesakes_changed = true;

static void
forget_namesakes(Datum arg, int cache, uint32 hash)
{
	namesakes_changed = true;
}

static void
prepare_namesakes(void)
{
	HASHCTL		ctl = {.keysize = NAMEDATALEN,.entrysize = sizeof(Namesakes)};

	if (namesakes_context == NULL)
	{
		namesakes_context = AllocSetContextCreate(TopMemoryContext, "vibepiper functions by name",
												  ALLOCSET_DEFAULT_SIZES);
		CacheRegisterSyscacheCallback(PROCOID, forget_namesakes, (Datum) 0);
	}
	if (namesakes != NULL && !namesakes_changed &&
		hash_get_num_entries(namesakes) < MAX_NAMESAKES)
		return;
	namesakes = NULL;
	MemoryContextReset(namesakes_context);
	ctl.hcxt = namesakes_context;
	namesakes_changed = false;
	namesakes = hash_create("vibepiper functions by name", 1024, &ctl,
							HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

static List *
find_functions(const char *name)
{
	Relation	rel = table_open(ProcedureRelationId, AccessShareLock);
	NameData	key_name;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *functions = NIL;

	namestrcpy(&key_name, name);
	ScanKeyInit(&key, Anum_pg_proc_proname, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(&key_name));
	scan = systable_beginscan(rel, ProcedureNameArgsNspIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		functions = lappend_oid(functions, ((Form_pg_proc) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return functions;
}

List *
vp_wording_functions(const char *name)
{
	List	   *functions;
	Namesakes  *entry;
	MemoryContext old;

	prepare_namesakes();
	entry = hash_search(namesakes, name, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->functions;
	functions = find_functions(name);
	old = MemoryContextSwitchTo(namesakes_context);
	functions = list_copy(functions);
	entry = hash_search(namesakes, name, HASH_ENTER, NULL);
	entry->functions = functions;
	MemoryContextSwitchTo(old);
	return functions;
}

typedef struct Search
{
	List	   *names;
	List	   *schemas;
	char	   *operators;		/* characters of these, as they stand together */
	List	   *found;			/* ObjectAddress * */
} Search;

static void
add_object(Search *search, Oid classid, Oid objid, Oid schema)
{
	ObjectAddress *object;

	if (objid < FirstNormalObjectId || !list_member_oid(search->schemas, schema))
		return;
	object = palloc(sizeof(ObjectAddress));
	ObjectAddressSet(*object, classid, objid);
	search->found = lappend(search->found, object);
}

/* Not those of tables' rows. */
static void
add_type(Search *search, HeapTuple tuple)
{
	Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);

	if (!OidIsValid(form->typrelid) ||
		get_rel_relkind(form->typrelid) == RELKIND_COMPOSITE_TYPE)
		add_object(search, TypeRelationId, form->oid, form->typnamespace);
}

/* Of any encoding, or of the database's. */
static void
look_up_collation(Search *search, const char *name, Oid schema)
{
	int			encodings[] = {-1, GetDatabaseEncoding()};

	for (int i = 0; i < (int) lengthof(encodings); i++)
		add_object(search, CollationRelationId,
				   GetSysCacheOid3(COLLNAMEENCNSP, Anum_pg_collation_oid, CStringGetDatum(name),
								   Int32GetDatum(encodings[i]), ObjectIdGetDatum(schema)),
				   schema);
}

static void
look_up(Search *search, const char *name)
{
	ListCell   *lc;

	foreach(lc, vp_wording_functions(name))
		if (lfirst_oid(lc) >= FirstNormalObjectId)
		add_object(search, ProcedureRelationId, lfirst_oid(lc), get_func_namespace(lfirst_oid(lc)));
	foreach(lc, search->schemas)
	{
		HeapTuple	type = SearchSysCache2(TYPENAMENSP, CStringGetDatum(name),
										   ObjectIdGetDatum(lfirst_oid(lc)));

		add_object(search, RelationRelationId, get_relname_relid(name, lfirst_oid(lc)),
				   lfirst_oid(lc));
		look_up_collation(search, name, lfirst_oid(lc));
		if (!HeapTupleIsValid(type))
			continue;
		add_type(search, type);
		ReleaseSysCache(type);
	}
}

static void
look_at_function(Search *search, HeapTuple tuple)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

	if (vp_wording_has(search->names, NameStr(form->proname)))
		add_object(search, ProcedureRelationId, form->oid, form->pronamespace);
}

static void
look_at_relation(Search *search, HeapTuple tuple)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

	if (vp_wording_has(search->names, NameStr(form->relname)))
		add_object(search, RelationRelationId, form->oid, form->relnamespace);
}

static void
look_at_collation(Search *search, HeapTuple tuple)
{
	Form_pg_collation form = (Form_pg_collation) GETSTRUCT(tuple);

	if (vp_wording_has(search->names, NameStr(form->collname)))
		add_object(search, CollationRelationId, form->oid, form->collnamespace);
}

static void
look_at_type(Search *search, HeapTuple tuple)
{
	if (vp_wording_has(search->names, NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname)))
		add_type(search, tuple);
}

/* Operators are found by their characters, wherever these stand. */
static void
look_at_operator(Search *search, HeapTuple tuple)
{
	Form_pg_operator form = (Form_pg_operator) GETSTRUCT(tuple);

	if (strstr(search->operators, NameStr(form->oprname)) != NULL)
		add_object(search, OperatorRelationId, form->oid, form->oprnamespace);
}

/* All users' rows of a catalog. */
static void
go_through(Search *search, Oid catalog, Oid index, AttrNumber oid,
		   void (*look_at) (Search *, HeapTuple))
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, oid, BTGreaterEqualStrategyNumber, F_OIDGE,
				ObjectIdGetDatum(FirstNormalObjectId));
	scan = systable_beginscan(rel, index, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		look_at(search, tuple);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
look_up_all(Search *search)
{
	ListCell   *lc;

	if (list_length(search->names) > MANY_NAMES)
	{
		go_through(search, ProcedureRelationId, ProcedureOidIndexId, Anum_pg_proc_oid,
				   look_at_function);
		go_through(search, RelationRelationId, ClassOidIndexId, Anum_pg_class_oid,
				   look_at_relation);
		go_through(search, TypeRelationId, TypeOidIndexId, Anum_pg_type_oid, look_at_type);
		go_through(search, CollationRelationId, CollationOidIndexId, Anum_pg_collation_oid,
				   look_at_collation);
		return;
	}
	foreach(lc, search->names)
	{
		CHECK_FOR_INTERRUPTS();
		look_up(search, lfirst(lc));
	}
}

static char *
operators_of(const char *text)
{
	List	   *operators = NIL;
	StringInfoData buf;
	ListCell   *lc;

	while (*(text += strcspn(text, OPERATOR_CHARACTERS)) != '\0')
	{
		size_t		length = strspn(text, OPERATOR_CHARACTERS);

		CHECK_FOR_INTERRUPTS();
		operators = lappend(operators, pnstrdup(text, length));
		text += length;
	}
	initStringInfo(&buf);
	foreach(lc, sort_names(operators))
		appendStringInfo(&buf, "%s ", (char *) lfirst(lc));
	return buf.data;
}

static int
compare_objects(const ListCell *a, const ListCell *b)
{
	const ObjectAddress *x = lfirst(a);
	const ObjectAddress *y = lfirst(b);

	if (x->classId != y->classId)
		return x->classId < y->classId ? -1 : 1;
	return x->objectId < y->objectId ? -1 : x->objectId > y->objectId;
}

List *
vp_wording_objects(const char *text, List *path)
{
	Search		search = {0};

	search.names = vp_wording_names(text);
	search.operators = operators_of(text);
	/* the server's own comes first, even if it isn't on the path */
	search.schemas = list_append_unique_oid(list_copy(path), PG_CATALOG_NAMESPACE);
	search.schemas = add_schemas(search.schemas, search.names);
	look_up_all(&search);
	go_through(&search, OperatorRelationId, OperatorOidIndexId, Anum_pg_operator_oid,
			   look_at_operator);
	list_sort(search.found, compare_objects);
	return search.found;
}

bool
vp_wording_searches_text(const char *text)
{
	static const char *const words[] = {
		"ts_", "tsvector", "tsquery", "@@", "regconfig", "regdictionary", "unaccent"
	};

	for (int i = 0; i < (int) lengthof(words); i++)
		if (vp_readings_find(text, words[i]) != NULL)
			return true;
	return false;
}
