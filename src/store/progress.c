/*
 * progress.c
 *	  How far the task is that this backend is executing, for others to see.
 */
#include "postgres.h"

#include "store/progress.h"

VpProgress *vp_progress = NULL;

const char *
vp_phase_name(VpPhase phase)
{
	switch (phase)
	{
		case VP_PHASE_IDLE:
			return "idle";
		case VP_PHASE_QUEUED:
			return "queued";
		case VP_PHASE_COMPUTING:
			return "computing";
		case VP_PHASE_INDEXING:
			return "indexing";
		case VP_PHASE_ANALYZING:
			return "analyzing";
		case VP_PHASE_STORING:
			return "storing";
		case VP_PHASE_PUBLISHING:
			return "publishing";
	}
	return NULL;
}
