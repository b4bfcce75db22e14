/*
 * note.c
 *	  Notes: what a dump keeps of an asset or a pipeline besides its view.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "catalog/note.h"
#include "common/names.h"
#include "common/spi.h"

#define NOTE_START "{\"vibepiper\""

static void
put_key(StringInfo buf, const char *key)
{
	appendStringInfoString(buf, ", ");
	escape_json(buf, key);
	appendStringInfoString(buf, ": ");
}

static void
put_text(StringInfo buf, const char *key, const char *text)
{
	if (text == NULL)
		return;
	put_key(buf, key);
	escape_json(buf, text);
}

static void
put_texts(StringInfo buf, const char *key, List *texts)
{
	ListCell   *lc;

	if (texts == NIL)
		return;
	put_key(buf, key);
	foreach(lc, texts)
	{
		appendStringInfoString(buf, lc == list_head(texts) ? "[" : ", ");
		escape_json(buf, lfirst(lc));
	}
	appendStringInfoChar(buf, ']');
}

static void
put_bool(StringInfo buf, const char *key, bool value)
{
	put_key(buf, key);
	appendStringInfoString(buf, value ? "true" : "false");
}

static void
put_int(StringInfo buf, const char *key, int value)
{
	put_key(buf, key);
	appendStringInfo(buf, "%d", value);
}

/* In a form that every IntervalStyle reads alike. */
static void
put_interval(StringInfo buf, const char *key, const Interval *i)
{
	if (i != NULL)
		put_text(buf, key, psprintf("%d mons %d days " INT64_FORMAT " microseconds",
									i->month, i->day, (int64) i->time));
}

static void
write_note(Oid view, const char *note)
{
	CreateComments(view, RelationRelationId, 0, note);
}

void
vp_note_write_asset(const VpAsset *asset, const VpPipeline *pipeline)
{
	const VpAssetOptions *o = &asset->options;
	char		canonical[33];
	StringInfoData buf;

	vp_hash_hex(asset->canonical, canonical);
	initStringInfo(&buf);
	appendStringInfoString(&buf, NOTE_START ": \"asset\"");
	put_text(&buf, "stub", asset->display);
	if (asset->dummy)
		put_bool(&buf, "dummy", true);
	put_text(&buf, "pipeline", pipeline->name);
	put_bool(&buf, "cache", o->cache);
	put_interval(&buf, "cache_ttl", o->cache_ttl);
	put_interval(&buf, "max_staleness", o->max_staleness);
	put_bool(&buf, "lazy", o->lazy);
	put_bool(&buf, "parallel", o->parallel);
	put_text(&buf, "storage", o->storage);
	put_text(&buf, "on_miss", o->on_miss);
	put_texts(&buf, "indexes", o->indexes);
	put_texts(&buf, "settings", o->settings);
	put_text(&buf, "hints", o->hints);
	put_texts(&buf, "depends_on", o->depends_on);
	put_texts(&buf, "tags", o->tags);
	put_int(&buf, "retries", o->retries);
	put_interval(&buf, "retry_delay", o->retry_delay);
	put_interval(&buf, "timeout", o->timeout);
	put_text(&buf, "description", o->description);
	put_texts(&buf, "index_clauses", asset->index_clauses);
	put_texts(&buf, "environment", asset->environment);
	put_text(&buf, "canonical", canonical);
	put_text(&buf, "detached_query", asset->detached_query);
	put_texts(&buf, "detached_sources", asset->detached_sources);
	appendStringInfoChar(&buf, '}');
	write_note(asset->def, buf.data);
}

void
vp_note_write_pipeline(const VpPipeline *p)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, NOTE_START ": \"pipeline\"");
	put_text(&buf, "name", p->name);
	if (p->max_workers != 0)
		put_int(&buf, "max_workers", p->max_workers);
	put_text(&buf, "publish", p->publish);
	put_text(&buf, "storage", p->storage);
	put_text(&buf, "on_miss", p->on_miss);
	put_texts(&buf, "settings", p->settings);
	put_int(&buf, "keep_versions", p->keep_versions);
	put_text(&buf, "description", p->description);
	appendStringInfoChar(&buf, '}');
	write_note(p->view, buf.data);
}

static void
note_error_callback(void *arg)
{
	errcontext("note of view %s", vp_relation_name(*(Oid *) arg));
}

/* Run a statement on the view's note; false if it has none of this kind. */
static bool
query_note(Oid view, const char *kind, VpStatement *statement, VpSpi *spi)
{
	char	   *note = GetComment(view, RelationRelationId, 0);
	Datum		value;
	ErrorContextCallback callback = {
		.callback = note_error_callback,
		.arg = &view,
		.previous = error_context_stack
	};

	if (note == NULL || strncmp(note, NOTE_START, strlen(NOTE_START)) != 0)
		return false;
	value = CStringGetTextDatum(note);
	vp_spi_open(spi);
	error_context_stack = &callback;
	(void) vp_spi_run(statement, &value, NULL, false);
	error_context_stack = callback.previous;
	if (vp_col_null(0, 1) || strcmp(vp_col_text(spi, 0, 1), kind) != 0)
	{
		vp_spi_close(spi);
		return false;
	}
	return true;
}

static char *
text_or(VpSpi *spi, int column, char *otherwise)
{
	char	   *text = vp_col_text(spi, 0, column);

	return text != NULL ? text : otherwise;
}

static Interval *
interval_or(VpSpi *spi, int column, Interval *otherwise)
{
	Interval   *i = vp_col_interval(spi, 0, column);

	return i != NULL ? i : otherwise;
}

char *
vp_note_read_stub(Oid def, bool *dummy)
{
	static VpStatement statement = {
		"SELECT vibepiper, stub, dummy FROM jsonb_to_record($1::jsonb)"
		" AS n(vibepiper text, stub text, dummy bool)", 1, {TEXTOID}
	};
	VpSpi		spi;
	char	   *stub;

	*dummy = false;
	if (!query_note(def, "asset", &statement, &spi))
		return NULL;
	stub = vp_col_text(&spi, 0, 2);
	*dummy = vp_col_bool(0, 3);
	vp_spi_close(&spi);
	return stub;
}

void
vp_note_rewrite_asset(VpAsset *asset, const VpPipeline *pipeline)
{
	(void) vp_note_read_stub(asset->def, &asset->dummy);
	vp_note_write_asset(asset, pipeline);
}

bool
vp_note_read_asset(Oid def, VpAsset *asset, char **pipeline)
{
	static VpStatement statement = {
		"SELECT vibepiper, pipeline, cache, cache_ttl, lazy, parallel, storage, on_miss,"
		" indexes, settings, hints, depends_on, tags, retries, retry_delay, timeout,"
		" description, environment, canonical, detached_query, detached_sources,"
		" index_clauses, max_staleness"
		" FROM jsonb_to_record($1::jsonb) AS n(vibepiper text, pipeline text,"
		" cache bool, cache_ttl interval, lazy bool, parallel bool, storage text,"
		" on_miss text, indexes text[], settings text[], hints text, depends_on text[],"
		" tags text[], retries int, retry_delay interval, timeout interval,"
		" description text, environment text[], canonical uuid, detached_query text,"
		" detached_sources text[], index_clauses text[], max_staleness interval)", 1, {TEXTOID}
	};
	VpAssetOptions *o = &asset->options;
	VpSpi		spi;

	if (!query_note(def, "asset", &statement, &spi))
		return false;
	*pipeline = vp_col_text(&spi, 0, 2);
	o->cache = vp_col_null(0, 3) || vp_col_bool(0, 3);
	o->cache_ttl = vp_col_interval(&spi, 0, 4);
	o->lazy = vp_col_bool(0, 5);
	o->parallel = vp_col_null(0, 6) || vp_col_bool(0, 6);
	o->storage = vp_col_text(&spi, 0, 7);
	o->on_miss = vp_col_text(&spi, 0, 8);
	o->indexes = vp_col_texts(&spi, 0, 9);
	o->settings = vp_col_texts(&spi, 0, 10);
	o->hints = vp_col_text(&spi, 0, 11);
	o->depends_on = vp_col_texts(&spi, 0, 12);
	o->tags = vp_col_texts(&spi, 0, 13);
	o->retries = vp_col_int32(0, 14, 0);
	o->retry_delay = interval_or(&spi, 15, o->retry_delay);
	o->timeout = vp_col_interval(&spi, 0, 16);
	o->description = vp_col_text(&spi, 0, 17);
	asset->environment = vp_col_texts(&spi, 0, 18);
	if (!vp_col_null(0, 19))
		asset->canonical = vp_col_hash(0, 19);
	asset->detached_query = vp_col_text(&spi, 0, 20);
	asset->detached_sources = vp_col_texts(&spi, 0, 21);
	asset->index_clauses = vp_col_texts(&spi, 0, 22);
	o->max_staleness = vp_col_interval(&spi, 0, 23);
	asset->detached = asset->detached_query != NULL && asset->detached_sources != NIL;
	vp_spi_close(&spi);
	return true;
}

bool
vp_note_read_pipeline(Oid view, VpPipeline *p)
{
	static VpStatement statement = {
		"SELECT vibepiper, name, max_workers, publish, storage, on_miss, settings,"
		" keep_versions, description FROM jsonb_to_record($1::jsonb)"
		" AS n(vibepiper text, name text, max_workers int, publish text, storage text,"
		" on_miss text, settings text[], keep_versions int, description text)",
		1, {TEXTOID}
	};
	VpSpi		spi;

	if (!query_note(view, "pipeline", &statement, &spi))
		return false;
	p->name = text_or(&spi, 2, p->name);
	p->max_workers = vp_col_int32(0, 3, 0);
	p->publish = text_or(&spi, 4, p->publish);
	p->storage = text_or(&spi, 5, p->storage);
	p->on_miss = text_or(&spi, 6, p->on_miss);
	p->settings = vp_col_texts(&spi, 0, 7);
	p->keep_versions = vp_col_int32(0, 8, 2);
	p->description = vp_col_text(&spi, 0, 9);
	vp_spi_close(&spi);
	return true;
}
