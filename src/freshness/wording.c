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
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "common/extension.h"
#include "freshness/wording.h"

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

	if (*start >= '0' && *start <= '9')
		return names;
	names = add_name(names, start, length);
	folded = downcase_truncate_identifier(start, length, false);
	return strcmp(folded, llast(names)) == 0 ? names : lappend(names, folded);
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static List *
sort_names(List *names)
{
	const char *last = NULL;
	ListCell   *lc;

	list_sort(names, compare_names);
	foreach(lc, names)
	{
		if (last != NULL && strcmp(last, lfirst(lc)) == 0)
			names = foreach_delete_current(names, lc);
		else
			last = lfirst(lc);
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

static List *
words_of(const char *text, bool called)
{
	List	   *names = NIL;
	const char *quote = NULL;

	for (const char *c = text; *c != '\0';)
	{
		const char *start = c;

		while (in_word(*c))
			c++;
		if (c > start)
		{
			if (!called || is_called(c))
				names = add_word(names, start, c - start);
			continue;
		}
		/* what stands between any two quotes, even if it is no identifier */
		if (*c == '"')
		{
			if (!called && quote != NULL && c > quote && c - quote < 2 * NAMEDATALEN)
				names = add_name(names, quote, c - quote);
			quote = c + 1;
		}
		c++;
	}
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

static List *
add_schema(List *schemas, const char *name)
{
	Oid			schema = get_namespace_oid(name, true);
	const VpExtension *ext = vp_extension();

	if (schema < FirstNormalObjectId || schema == ext->schema ||
		schema == ext->store_schema || schema == ext->def_schema ||
		isAnyTempNamespace(schema))
		return schemas;
	return list_append_unique_oid(schemas, schema);
}

List *
vp_wording_schemas(const char *search_path)
{
	char	   *copy = pstrdup(search_path);
	List	   *names;
	List	   *schemas = NIL;
	ListCell   *lc;

	if (!SplitIdentifierString(copy, ',', &names))
		return NIL;
	foreach(lc, names)
		schemas = add_schema(schemas, lfirst(lc));
	return schemas;
}

static List *
add_object(List *objects, Oid classid, Oid objid)
{
	ObjectAddress *object = palloc(sizeof(ObjectAddress));

	ObjectAddressSet(*object, classid, objid);
	return lappend(objects, object);
}

static List *
add_functions(List *objects, const char *name, List *schemas)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (form->oid >= FirstNormalObjectId && list_member_oid(schemas, form->pronamespace))
			objects = add_object(objects, ProcedureRelationId, form->oid);
	}
	ReleaseSysCacheList(list);
	return objects;
}

static List *
add_relation_or_type(List *objects, const char *name, Oid schema)
{
	Oid			relid = get_relname_relid(name, schema);
	Oid			type;

	if (OidIsValid(relid))
		objects = add_object(objects, RelationRelationId, relid);
	type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
						   ObjectIdGetDatum(schema));
	if (OidIsValid(type) && !OidIsValid(relid))
		objects = add_object(objects, TypeRelationId, type);
	return objects;
}

/* Operators are found by their characters, wherever these stand. */
static List *
add_operators(List *objects, const char *words, List *schemas)
{
	Relation	rel = table_open(OperatorRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_operator_oid, BTGreaterEqualStrategyNumber, F_OIDGE,
				ObjectIdGetDatum(FirstNormalObjectId));
	scan = systable_beginscan(rel, OperatorOidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_operator form = (Form_pg_operator) GETSTRUCT(tuple);

		if (list_member_oid(schemas, form->oprnamespace) &&
			strstr(words, NameStr(form->oprname)) != NULL)
			objects = add_object(objects, OperatorRelationId, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return objects;
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
	List	   *names = vp_wording_names(text);
	List	   *schemas = list_copy(path);
	List	   *objects = NIL;
	ListCell   *lc;
	ListCell   *schema;

	foreach(lc, names)
		schemas = add_schema(schemas, lfirst(lc));
	foreach(lc, names)
	{
		CHECK_FOR_INTERRUPTS();
		objects = add_functions(objects, lfirst(lc), schemas);
		foreach(schema, schemas)
			objects = add_relation_or_type(objects, lfirst(lc), lfirst_oid(schema));
	}
	objects = add_operators(objects, text, schemas);
	list_sort(objects, compare_objects);
	return objects;
}

bool
vp_wording_searches_text(const char *text)
{
	return strstr(text, "ts_") != NULL || strstr(text, "tsvector") != NULL ||
		strstr(text, "tsquery") != NULL || strstr(text, "@@") != NULL;
}
