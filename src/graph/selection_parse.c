/*
 * selection_parse.c
 *	  From the text of a selection to terms.
 *
 * Owns the syntax and its error messages.  What a word may consist of depends
 * on where it stands (a tag may hold "-" and ".", a name may not), so there
 * is no tokenizer of its own: the parser reads characters.
 */
#include "postgres.h"

#include "graph/selection_parse.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"

/* How much of the text is quoted to show where an error is. */
#define FOUND_LENGTH	20

/* How much of a selection is quoted in a message. */
#define SHOWN_LENGTH	200

#define HINT_FORMS \
	"Write terms like orders, shop.orders, +orders, orders+2, @orders, " \
	"stg_*, tag:daily, source:raw.orders or -orders."
#define HINT_QUOTE \
	"Write names with other characters in double quotes, and a blank " \
	"before an exclusion."

typedef struct VpSelectionParser
{
	const char *start;
	const char *at;				/* next character to be read */
} VpSelectionParser;

/* What one kind of word consists of. */
typedef struct VpWordKind
{
	const char *expected;		/* for messages */
	bool		(*accepts) (char c);
	bool		is_identifier;	/* fold, truncate, no digit in front */
} VpWordKind;

static bool accepts_identifier_char(char c);
static bool accepts_tag_char(char c);

static const VpWordKind name_word = {
	"an asset name, \"tag:\" or \"source:\"", accepts_identifier_char, true
};
static const VpWordKind relation_word = {
	"the name of a relation", accepts_identifier_char, true
};
static const VpWordKind tag_word = {
	"a tag", accepts_tag_char, false
};

char *
vp_selection_shown(const char *text)
{
	int			length = strlen(text);
	int			shown = pg_mbcliplen(text, length, SHOWN_LENGTH);

	return psprintf("%.*s%s", shown, text, shown < length ? "..." : "");
}

/*
 * Raise a syntax error at a place in the text.  What was found is always told
 * from where the parser stands.
 */
static void
syntax_error(VpSelectionParser *parser, const char *place,
			 const char *expected, const char *hint)
{
	int			position = pg_mbstrlen_with_len(parser->start,
												place - parser->start) + 1;
	int			left = strlen(parser->at);
	int			shown = pg_mbcliplen(parser->at, left, FOUND_LENGTH);

	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("syntax error in selection \"%s\" at position %d",
					vp_selection_shown(parser->start), position),
			 left == 0 ?
			 errdetail("Expected %s, found the end.", expected) :
			 errdetail("Expected %s, found \"%.*s%s\".", expected, shown,
					   parser->at, shown < left ? "..." : ""),
			 errhint("%s", hint)));
}

static bool
accepts_identifier_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

static bool
accepts_tag_char(char c)
{
	return c != '\0' && strchr(",+*\"", c) == NULL && !scanner_isspace(c);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
skip_blanks(VpSelectionParser *parser)
{
	while (scanner_isspace(*parser->at))
		parser->at++;
}

static bool
accept_char(VpSelectionParser *parser, char c)
{
	if (*parser->at != c)
		return false;
	parser->at++;
	return true;
}

static bool
accept_keyword(VpSelectionParser *parser, const char *keyword)
{
	if (pg_strncasecmp(parser->at, keyword, strlen(keyword)) != 0)
		return false;
	parser->at += strlen(keyword);
	return true;
}

static int
parse_depth(VpSelectionParser *parser)
{
	const char *start = parser->at;
	int			depth = 0;

	for (; is_digit(*parser->at); parser->at++)
	{
		depth = depth * 10 + (*parser->at - '0');
		if (depth > VP_SELECTION_MAX_DEPTH)
		{
			parser->at = start;
			syntax_error(parser, start,
						 "a depth of at most "
						 CppAsString2(VP_SELECTION_MAX_DEPTH),
						 "A \"+\" without a number has no limit.");
		}
	}
	return depth;
}

/* The text up to the closing quote, with doubled quotes made single. */
static char *
parse_quoted(VpSelectionParser *parser, const VpWordKind *kind)
{
	const char *open = parser->at++;
	StringInfoData word;

	initStringInfo(&word);
	for (;;)
	{
		if (*parser->at == '\0')
			syntax_error(parser, open, "a closing double quote",
						 "Write a double quote in a name twice.");
		if (accept_char(parser, '"') && *parser->at != '"')
			break;
		appendStringInfoChar(&word, *parser->at++);
	}
	if (word.len == 0)
	{
		parser->at = open;
		syntax_error(parser, open, kind->expected, HINT_FORMS);
	}
	return word.data;
}

static char *
parse_unquoted(VpSelectionParser *parser, const VpWordKind *kind)
{
	const char *start = parser->at;

	while (kind->accepts(*parser->at))
		parser->at++;
	if (kind->is_identifier)
		return downcase_identifier(start, parser->at - start, false, false);
	return pnstrdup(start, parser->at - start);
}

/* Literals with stars in between; a literal may be empty beside a star. */
static VpPattern *
parse_pattern(VpSelectionParser *parser, const VpWordKind *kind)
{
	VpPattern  *pattern = palloc0(sizeof(VpPattern));
	char	   *exact;

	if (*parser->at != '"' && *parser->at != '*' &&
		(!kind->accepts(*parser->at) ||
		 (kind->is_identifier && is_digit(*parser->at))))
		syntax_error(parser, parser->at, kind->expected, HINT_FORMS);

	do
	{
		char	   *literal;

		if (*parser->at == '"')
			literal = parse_quoted(parser, kind);
		else
			literal = parse_unquoted(parser, kind);
		pattern->literals = lappend(pattern->literals, literal);
	} while (accept_char(parser, '*'));

	exact = vp_pattern_exact(pattern);
	if (exact && kind->is_identifier)
		truncate_identifier(exact, strlen(exact), true);
	return pattern;
}

static void
parse_name(VpSelectionParser *parser, VpSelectionPart *part,
		   const VpWordKind *kind)
{
	part->name = parse_pattern(parser, kind);
	if (accept_char(parser, '.'))
	{
		part->schema = part->name;
		part->name = parse_pattern(parser, &relation_word);
	}
	if (*parser->at == '.')
		syntax_error(parser, parser->at, "a name of at most two parts",
					 HINT_QUOTE);
}

static void
parse_method(VpSelectionParser *parser, VpSelectionPart *part)
{
	const char *start = parser->at;

	if (accept_keyword(parser, "tag:"))
	{
		part->method = VP_SELECT_TAG;
		part->name = parse_pattern(parser, &tag_word);
	}
	else if (accept_keyword(parser, "source:"))
	{
		part->method = VP_SELECT_SOURCE;
		parse_name(parser, part, &relation_word);
	}
	else
	{
		part->method = VP_SELECT_NAME;
		parse_name(parser, part, &name_word);
	}
	part->written = pnstrdup(start, parser->at - start);
}

static void
parse_prefix(VpSelectionParser *parser, VpSelectionPart *part)
{
	if (accept_char(parser, '@'))
		part->closure = true;
	else if (accept_char(parser, '+'))
		part->up = VP_SELECTION_ALL;
	else if (is_digit(*parser->at))
	{
		part->up = parse_depth(parser);
		if (!accept_char(parser, '+'))
			syntax_error(parser, parser->at, "\"+\" after the depth",
						 "Write a name that begins with a digit in double quotes.");
	}
	else if (*parser->at == '-')
		syntax_error(parser, parser->at, name_word.expected,
					 "Only a whole term can be excluded: write -a as a term of its own.");
}

static void
parse_suffix(VpSelectionParser *parser, VpSelectionPart *part)
{
	if (part->closure && *parser->at == '+')
		syntax_error(parser, parser->at, "no \"+\" in a part with \"@\"",
					 "\"@\" selects all descendants already.");
	if (accept_char(parser, '+'))
		part->down = is_digit(*parser->at) ?
			parse_depth(parser) : VP_SELECTION_ALL;
}

static void
expect_end_of_part(VpSelectionParser *parser)
{
	char		c = *parser->at;

	if (c == '\0' || c == ',' || scanner_isspace(c))
		return;
	syntax_error(parser, parser->at, "a blank, a comma or the end",
				 c == ':' ? "The methods are \"tag:\" and \"source:\"." :
				 HINT_QUOTE);
}

static VpSelectionPart *
parse_part(VpSelectionParser *parser)
{
	VpSelectionPart *part = palloc0(sizeof(VpSelectionPart));

	parse_prefix(parser, part);
	parse_method(parser, part);
	parse_suffix(parser, part);
	expect_end_of_part(parser);
	return part;
}

/* Leaves the parser at the next term or at the end. */
static VpSelectionTerm *
parse_term(VpSelectionParser *parser)
{
	VpSelectionTerm *term = palloc0(sizeof(VpSelectionTerm));

	term->exclude = accept_char(parser, '-');
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (term->parts != NIL)
			skip_blanks(parser);
		term->parts = lappend(term->parts, parse_part(parser));
		skip_blanks(parser);
	} while (accept_char(parser, ','));
	return term;
}

List *
vp_selection_parse(const char *selection)
{
	VpSelectionParser parser = {selection, selection};
	List	   *terms = NIL;

	skip_blanks(&parser);
	do
	{
		terms = lappend(terms, parse_term(&parser));
	} while (*parser.at != '\0');
	return terms;
}
