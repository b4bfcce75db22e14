/*
 * readings.c
 *	  What a text of a function says: as it stands, and with escapes replaced.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "freshness/readings.h"

/* Strings in strings in strings. */
#define DEPTH 3

#define MAX_ESCAPES 4

const char *
vp_readings_find(const char *text, const char *word)
{
	size_t		length = strlen(word);

	for (; *text != '\0'; text++)
		if (pg_tolower((unsigned char) *text) == *word &&
			pg_strncasecmp(text, word, length) == 0)
			return text;
	return NULL;
}

/* Without an error: perhaps it isn't an escape at all. */
static void
append_converted(StringInfo buf, unsigned char *utf8)
{
	Oid			conversion = FindDefaultConversionProc(PG_UTF8, GetDatabaseEncoding());
	unsigned char converted[MAX_CONVERSION_GROWTH * 4 + 1] = "";

	if (OidIsValid(conversion))
		(void) pg_do_encoding_conversion_buf(conversion, PG_UTF8, GetDatabaseEncoding(), utf8,
											 strlen((char *) utf8), converted,
											 sizeof(converted), true);
	appendStringInfoString(buf, (char *) converted);
}

static void
append_character(StringInfo buf, pg_wchar c)
{
	unsigned char utf8[8] = {0};

	if (c == 0 || c > 0x10FFFF || is_utf16_surrogate_first(c) || is_utf16_surrogate_second(c))
		appendStringInfoChar(buf, ' ');
	else if (c < 0x80)
		appendStringInfoChar(buf, (char) c);
	else
	{
		(void) unicode_to_utf8(c, utf8);
		if (GetDatabaseEncoding() == PG_UTF8)
			appendStringInfoString(buf, (char *) utf8);
		else
			append_converted(buf, utf8);
	}
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* How many digits are there, up to so many, and what do they say? */
static int
read_number(const char *c, int base, int most, pg_wchar *number)
{
	int			n = 0;

	*number = 0;
	while (n < most && digit(c[n]) < base)
		*number = *number * base + digit(c[n++]);
	return n;
}

/* \xxxx or \+xxxxxx of U&'', from behind the backslash on; its length, 0: it isn't one. */
static int
read_unicode(const char *c, pg_wchar *number)
{
	if (*c == '+')
		return read_number(c + 1, 16, 6, number) == 6 ? 7 : 0;
	return read_number(c, 16, 4, number) == 4 ? 4 : 0;
}

/* The same of E''. */
static int
read_long(const char *c, pg_wchar *number)
{
	if (*c == 'u')
		return read_number(c + 1, 16, 4, number) == 4 ? 5 : 0;
	if (*c == 'U')
		return read_number(c + 1, 16, 8, number) == 8 ? 9 : 0;
	return 0;
}

/* A byte of E'': \x.. or \...; its length. */
static int
read_byte(const char *c, pg_wchar *number)
{
	int			n;

	if (*c != 'x')
		return read_number(c, 8, 3, number);
	n = read_number(c + 1, 16, 2, number);
	return n == 0 ? 0 : n + 1;
}

/* Two halves may make one character. */
static int
read_halves(const char *c, char escape, int (*read) (const char *, pg_wchar *), pg_wchar *number)
{
	int			length = read(c, number);
	pg_wchar	second;
	int			more;

	if (length == 0 || !is_utf16_surrogate_first(*number) || c[length] != escape)
		return length;
	more = read(c + length + 1, &second);
	if (more == 0 || !is_utf16_surrogate_second(second))
		return length;
	*number = surrogate_pair_to_codepoint(*number, second);
	return length + 1 + more;
}

static char *
without_backslashes(const char *text)
{
	StringInfoData buf;
	pg_wchar	number;
	int			length;

	initStringInfo(&buf);
	for (const char *c = text; *c != '\0';)
	{
		if (*c != '\\' || c[1] == '\0')
		{
			appendStringInfoChar(&buf, *c++);
			continue;
		}
		c++;
		if ((length = read_halves(c, '\\', read_long, &number)) > 0)
			append_character(&buf, number);
		else if ((length = read_byte(c, &number)) > 0)
			appendStringInfoChar(&buf, (number & 0xFF) == 0 ? ' ' : (char) number);
		else
		{
			length = 1;
			appendStringInfoChar(&buf, strchr("abfnrtv", *c) != NULL ? ' ' : *c);
		}
		c += length;
	}
	return buf.data;
}

static char *
without_unicode(const char *text, char escape)
{
	StringInfoData buf;
	pg_wchar	number;
	int			length;

	initStringInfo(&buf);
	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c == escape && (length = read_halves(c + 1, escape, read_unicode, &number)) > 0)
		{
			append_character(&buf, number);
			c += length;
			continue;
		}
		if (*c == escape && c[1] == escape)
			c++;
		appendStringInfoChar(&buf, *c);
	}
	return buf.data;
}

/* The characters that escape in U&'': who uses more of them than a few? */
static char *
unicode_escapes(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (vp_readings_find(text, "u&") == NULL)
		return buf.data;
	appendStringInfoChar(&buf, '\\');
	while (buf.len < MAX_ESCAPES && (text = vp_readings_find(text, "uescape")) != NULL)
	{
		text += strlen("uescape");
		text += strspn(text, " \t\r\n\f\v'");
		if (*text != '\0' && strchr(buf.data, *text) == NULL)
			appendStringInfoChar(&buf, *text);
	}
	return buf.data;
}

static List *
add_readings(List *readings, char *text, int depth)
{
	const char *escapes = unicode_escapes(text);

	CHECK_FOR_INTERRUPTS();
	readings = lappend(readings, text);
	if (depth == 0)
		return readings;
	if (strchr(text, '\\') != NULL)
		readings = add_readings(readings, without_backslashes(text), depth - 1);
	for (; *escapes != '\0'; escapes++)
	{
		char	   *other = without_unicode(text, *escapes);

		if (strcmp(other, text) != 0)
			readings = add_readings(readings, other, depth - 1);
	}
	return readings;
}

List *
vp_readings(const char *text)
{
	return add_readings(NIL, pstrdup(text), DEPTH);
}
