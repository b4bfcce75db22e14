/*
 * point.c
 *	  Named points of the code, at which a test makes a session fail, crash or
 *	  wait.
 */
#include "postgres.h"

#include <signal.h>

#include "common/string.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "common/point.h"

typedef enum VpPointAction
{
	VP_POINT_ERROR, VP_POINT_CRASH, VP_POINT_WAIT
} VpPointAction;

/* 'name=action' or 'name#n=action', taken apart. */
typedef struct VpPointSetting
{
	int			name_length;
	int			nth;			/* 0: each time */
	VpPointAction action;
} VpPointSetting;

const char *vp_point_armed = NULL;

static char *debug_point = NULL;
static int	times_reached = 0;	/* since it was armed */

static bool
parse_action(const char *text, VpPointAction *action)
{
	if (strcmp(text, "error") == 0)
		*action = VP_POINT_ERROR;
	else if (strcmp(text, "crash") == 0)
		*action = VP_POINT_CRASH;
	else if (strcmp(text, "wait") == 0)
		*action = VP_POINT_WAIT;
	else
		return false;
	return true;
}

static bool
parse(const char *text, VpPointSetting *setting)
{
	const char *rest;
	char	   *end;

	setting->name_length = (int) strcspn(text, "#=");
	setting->nth = 0;
	rest = text + setting->name_length;
	if (*rest == '#')
	{
		setting->nth = strtoint(rest + 1, &end, 10);
		if (end == rest + 1 || setting->nth < 1)
			return false;
		rest = end;
	}
	return setting->name_length > 0 && *rest == '=' &&
		parse_action(rest + 1, &setting->action);
}

static bool
check_debug_point(char **newval, void **extra, GucSource source)
{
	VpPointSetting setting;

	if (**newval == '\0' || parse(*newval, &setting))
		return true;
	GUC_check_errdetail("Write name=action or name#n=action; actions are error, crash and wait.");
	return false;
}

static void
assign_debug_point(const char *newval, void *extra)
{
	vp_point_armed = newval != NULL && *newval != '\0' ? newval : NULL;
	times_reached = 0;
}

static void
wait_for_lock(void)
{
	Datum		key = Int64GetDatum(VP_POINT_LOCK);

	(void) DirectFunctionCall1(pg_advisory_lock_shared_int8, key);
	(void) DirectFunctionCall1(pg_advisory_unlock_shared_int8, key);
}

void
vp_point_reached(const char *name, bool may_fail)
{
	VpPointSetting setting;

	if (!parse(vp_point_armed, &setting) ||
		(int) strlen(name) != setting.name_length ||
		strncmp(name, vp_point_armed, setting.name_length) != 0)
		return;
	if (setting.nth != 0 && ++times_reached != setting.nth)
		return;
	switch (setting.action)
	{
		case VP_POINT_ERROR:
			if (may_fail)
				ereport(ERROR,
						(errcode(ERRCODE_INTERNAL_ERROR),
						 errmsg("point \"%s\" was reached", name)));
			break;
		case VP_POINT_CRASH:
			kill(MyProcPid, SIGKILL);
			break;
		case VP_POINT_WAIT:
			wait_for_lock();
			break;
	}
}

void
vp_point_init(void)
{
	DefineCustomStringVariable("vibepiper.debug_point",
							   "Makes this session fail, crash or wait at a named point, for tests.",
							   "name=action or name#n=action; actions are error, crash and wait.",
							   &debug_point, "", PGC_SUSET,
							   GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							   check_debug_point, assign_debug_point, NULL);
}
