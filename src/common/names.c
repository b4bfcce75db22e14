/*
 * names.c
 *	  Names of assets and relations: from text, for messages, in hints.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "common/names.h"

/*
 * Bytes of the part of a name that starts here, without quotes; *rest is set
 * to what follows it.
 */
static int
part_length(const char *part, const char **rest)
{
	bool		quoted = false;
	int			n = 0;

	for (; *part != '\0' && (quoted || *part != '.'); part++)
	{
		if (*part != '"')
			n++;
		else if (quoted && part[1] == '"')
		{
			n++;
			part++;
		}
		else
			quoted = !quoted;
	}
	*rest = part;
	return n;
}

/* Two long names mustn't become one by being cut off. */
static void
refuse_long(const char *name)
{
	const char *part = name + strspn(name, " \t\n\r");

	for (;;)
	{
		if (part_length(part, &part) >= NAMEDATALEN)
			ereport(ERROR,
					(errcode(ERRCODE_NAME_TOO_LONG),
					 errmsg("name \"%s\" is too long", name),
					 errdetail("A name has at most %d bytes.", NAMEDATALEN - 1)));
		if (*part == '\0')
			break;
		part++;
	}
}

static void
refuse_syntax(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_NAME),
			 errmsg("invalid asset name: \"%s\"", name),
			 errhint("Write schema.name, or name alone, and double quotes around names with other characters.")));
}

RangeVar *
vp_name_parse(const char *name)
{
	char	   *schema = NULL;
	List	   *parts;
	ListCell   *lc;

	refuse_long(name);
	if (!SplitIdentifierString(pstrdup(name), '.', &parts) || parts == NIL)
		refuse_syntax(name);
	foreach(lc, parts)
		if (*(char *) lfirst(lc) == '\0')
		refuse_syntax(name);
	if (list_length(parts) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("improper asset name: \"%s\"", name),
				 errhint("Write schema.name, or name alone.")));
	if (list_length(parts) == 2)
		schema = linitial(parts);
	return makeRangeVar(schema, llast(parts), -1);
}

char *
vp_relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		return psprintf("%u", relid);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

/* Without a lock: a redefinition in progress mustn't stop readers. */
Oid
vp_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}
