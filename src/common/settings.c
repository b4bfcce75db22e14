/*
 * settings.c
 *	  Lists of settings, 'name=value': check, record, apply.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "common/settings.h"

/*
 * Settings on which the rows of a query can depend: input and output formats
 * and defaults of text search and locale.  Planner settings change plans, not
 * rows; what changes how a text is parsed is settled when it is defined.
 */
static const char *const recorded[] = {
	"TimeZone", "DateStyle", "IntervalStyle", "timezone_abbreviations",
	"extra_float_digits", "bytea_output", "xmlbinary", "xmloption",
	"lc_monetary", "lc_numeric", "lc_time", "default_text_search_config",
	"array_nulls", "standard_conforming_strings", "backslash_quote",
	"quote_all_identifiers", "transform_null_equals"
};

/*
 * Those that say who computes and in which transaction are not the asset's to
 * say; the others reach the session of whoever reads.
 */
static const char *const refused[] = {
	"role", "session_authorization", "transaction_isolation",
	"transaction_read_only", "transaction_deferrable", "seed",
	"client_encoding", "exit_on_error"
};

/*
 * What changes plans, resources or messages; what isn't here, and the users'
 * own settings, may change rows.
 */
static const char *const harmless[] = {
	"application_name", "backend_flush_after", "client_min_messages", "constraint_exclusion",
	"cursor_tuple_fraction", "deadlock_timeout", "default_statistics_target",
	"effective_cache_size", "effective_io_concurrency", "from_collapse_limit",
	"hash_mem_multiplier", "join_collapse_limit", "lock_timeout", "logical_decoding_work_mem",
	"maintenance_io_concurrency", "maintenance_work_mem", "max_stack_depth", "plan_cache_mode",
	"random_page_cost", "recursive_worktable_factor", "seq_page_cost", "statement_timeout",
	"stats_fetch_consistency", "temp_buffers", "temp_file_limit", "temp_tablespaces",
	"transaction_timeout", "work_mem"
};
static const char *const harmless_beginnings[] = {
	"cpu_", "enable_", "geqo", "jit", "log_", "max_parallel_", "min_parallel_", "parallel_",
	"track_"
};

/* Splits at the first '='; returns false if there is no name before it. */
static bool
split(const char *setting, char **name, const char **value)
{
	const char *equals = strchr(setting, '=');
	const char *end = equals;

	if (equals == NULL)
		return false;
	while (end > setting && isspace((unsigned char) end[-1]))
		end--;
	while (isspace((unsigned char) *setting))
		setting++;
	if (end <= setting)
		return false;
	*name = pnstrdup(setting, end - setting);
	*value = equals + 1;
	while (isspace((unsigned char) **value))
		(*value)++;
	return true;
}

static void
refuse_setting(const char *name)
{
	for (int i = 0; i < (int) lengthof(refused); i++)
		if (pg_strcasecmp(name, refused[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("setting \"%s\" can't be given to assets", refused[i]),
					 strcmp(refused[i], "role") == 0 ||
					 strcmp(refused[i], "session_authorization") == 0 ?
					 errdetail("An asset is computed as its owner.") :
					 errdetail("It belongs to the session or the transaction in which an asset is computed.")));
}

bool
vp_setting_changes_rows(const char *setting)
{
	char	   *name;
	const char *value;

	if (!split(setting, &name, &value))
		return false;
	for (int i = 0; i < (int) lengthof(harmless); i++)
		if (pg_strcasecmp(name, harmless[i]) == 0)
			return false;
	if (strchr(name, '.') != NULL)
		return true;
	for (int i = 0; i < (int) lengthof(harmless_beginnings); i++)
		if (pg_strncasecmp(name, harmless_beginnings[i], strlen(harmless_beginnings[i])) == 0)
			return false;
	return true;
}

/* The value is checked as for SET, so that what does not exist is an error. */
void
vp_settings_check(List *settings)
{
	ListCell   *lc;

	foreach(lc, settings)
	{
		char	   *name;
		const char *value;

		if (!split(lfirst(lc), &name, &value))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid setting \"%s\"", (char *) lfirst(lc)),
					 errhint("Write name=value, for example 'work_mem=64MB'.")));
		refuse_setting(name);
		(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, false, 0, false);
	}
}

List *
vp_settings_record(const char *search_path)
{
	List	   *settings = NIL;

	settings = lappend(settings, psprintf("search_path=%s", search_path));

	/* off is no way to see other rows, only an error instead of less rows */
	settings = lappend(settings, pstrdup("row_security=on"));
	for (int i = 0; i < (int) lengthof(recorded); i++)
	{
		const char *value = GetConfigOption(recorded[i], true, false);

		if (value != NULL)
			settings = lappend(settings,
							   psprintf("%s=%s", recorded[i], value));
	}
	return settings;
}

void
vp_settings_apply(List *settings)
{
	ListCell   *lc;

	foreach(lc, settings)
	{
		char	   *name;
		const char *value;
		const char *now;

		if (!split(lfirst(lc), &name, &value))
			elog(ERROR, "invalid recorded setting \"%s\"", (char *) lfirst(lc));
		now = GetConfigOption(name, true, false);
		if (now == NULL || strcmp(now, value) != 0)
			(void) set_config_option(name, value,
									 superuser() ? PGC_SUSET : PGC_USERSET,
									 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
}
