/*
 * code.c
 *	  The code hash: an asset's meaning as 128 bits.
 *
 * The canonical form is the node tree's text without the positions of tokens.
 * In that text a field is " :name value"; the blanks and colons of names and
 * constants are escaped or printed as bytes, so a field can't be imitated.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/nodes.h"

#include "common/settings.h"
#include "freshness/code.h"

static const char *const position_fields[] = {
	" :location ", " :stmt_location ", " :stmt_len "
};

/* Length of a position field with its value at s, or 0. */
static int
position_field(const char *s)
{
	for (int i = 0; i < (int) lengthof(position_fields); i++)
	{
		int			len = strlen(position_fields[i]);

		if (strncmp(s, position_fields[i], len) == 0)
			return len + strspn(s + len, "-0123456789");
	}
	return 0;
}

static void
append_without_positions(StringInfo buf, const char *tree)
{
	while (*tree != '\0')
	{
		const char *blank = strchr(tree, ' ');
		int			skip;

		if (blank == NULL)
		{
			appendStringInfoString(buf, tree);
			return;
		}
		appendBinaryStringInfo(buf, tree, blank - tree);
		skip = position_field(blank);
		if (skip == 0)
			appendStringInfoChar(buf, ' ');
		tree = blank + Max(skip, 1);
	}
}

VpHash
vp_code_hash(Query *query, bool depends_on_settings, List *environment)
{
	StringInfoData buf;
	char	   *tree = nodeToString(query);
	VpHash		hash;
	ListCell   *lc;

	initStringInfo(&buf);
	append_without_positions(&buf, tree);
	if (depends_on_settings)
		foreach(lc, environment)
			appendStringInfo(&buf, "\n%s", (char *) lfirst(lc));
	hash = vp_hash_bytes(buf.data, buf.len, 0);
	pfree(buf.data);
	pfree(tree);
	return hash;
}

static void
append_settings(StringInfo buf, List *settings)
{
	ListCell   *lc;

	foreach(lc, settings)
		if (vp_setting_changes_rows(lfirst(lc)))
		appendStringInfo(buf, "%s\n", (char *) lfirst(lc));
}

VpHash
vp_code_hash_in_place(VpHash code, Oid owner, List *pipeline_settings, List *settings)
{
	StringInfoData buf;
	VpHash		hash;

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (char *) &code, sizeof(code));
	appendStringInfo(&buf, "%u\n", owner);
	append_settings(&buf, pipeline_settings);
	append_settings(&buf, settings);
	hash = vp_hash_bytes(buf.data, buf.len, 0);
	pfree(buf.data);
	return hash;
}
