/*
 * analyze.h
 *	  From the text of an asset's query to what it means.
 */
#ifndef VP_ANALYZE_H
#define VP_ANALYZE_H

#include "postgres.h"

#include "nodes/parsenodes.h"

typedef struct VpAnalyzed
{
	const char *text;
	RawStmt    *raw;			/* the one SELECT; analyze copies of it */
	Query	   *query;
	List	   *upstreams;		/* of int: asset ids, each once */
	List	   *sources;		/* of Oid, each once */
} VpAnalyzed;

/* Parse only: error unless it is one SELECT. */
extern RawStmt *vp_analyze_parse(const char *text);

/*
 * Parse and analyze as the given owner under the recorded settings, and check
 * everything that an asset's query must be.  Errors point into the text.
 */
extern VpAnalyzed *vp_analyze(const char *text, List *environment, Oid owner);

/*
 * Assets (ids) and other relations that a query reads, through views too; the
 * view `self`, whose query it is, does not count (InvalidOid: it is stored in none).
 * Returns a definition among them that no asset has, if any.
 */
extern Oid	vp_analyze_reads(Query *query, Oid self, List **upstreams, List **sources);

/*
 * Names of relations that a parsed query mentions and that aren't its own
 * CTEs: a list of RangeVar.
 */
extern List *vp_analyze_mentioned(RawStmt *raw);

/* Makes errors inside point into the text; pop with error_context_stack. */
extern void vp_analyze_error_callback(void *text);

#endif							/* VP_ANALYZE_H */
