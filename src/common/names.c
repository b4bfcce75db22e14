/*
 * names.c
 *	  Names of assets and relations: from text, for messages, in hints.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "common/names.h"
#include "compat/compat.h"

RangeVar *
vp_name_parse(const char *name)
{
	List	   *parts = vp_name_list(name);

	if (list_length(parts) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("improper asset name: \"%s\"", name),
				 errhint("Write schema.name, or name alone.")));
	return makeRangeVarFromNameList(parts);
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
