/*
 * settings.h
 *	  Lists of settings, 'name=value': check, record, apply.
 */
#ifndef VP_SETTINGS_H
#define VP_SETTINGS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Error (22023) if one isn't 'name=value' with a value that can be set. */
extern void vp_settings_check(List *settings);

/*
 * Everything of this session that can change a query's result, as
 * 'name=value'; the search_path is the argument.
 */
extern List *vp_settings_record(const char *search_path);

/* Can it change the rows of a query, not just how they are found? */
extern bool vp_setting_changes_rows(const char *setting);

/* Set them until the caller's AtEOXact_GUC(false, level). */
extern void vp_settings_apply(List *settings);

#endif							/* VP_SETTINGS_H */
