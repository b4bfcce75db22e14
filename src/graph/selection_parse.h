/*
 * selection_parse.h
 *	  From the text of a selection to terms.  Private to src/graph/; the
 *	  grammar stands in selection.h.
 */
#ifndef VP_SELECTION_PARSE_H
#define VP_SELECTION_PARSE_H

#include "graph/pattern.h"
#include "nodes/pg_list.h"

/* The greatest depth that may be written; no graph is that deep. */
#define VP_SELECTION_MAX_DEPTH	1000000

/* Depth of a "+" without a number. */
#define VP_SELECTION_ALL		(-1)

typedef enum VpSelectionMethod
{
	VP_SELECT_NAME,
	VP_SELECT_TAG,
	VP_SELECT_SOURCE
} VpSelectionMethod;

typedef struct VpSelectionPart
{
	VpSelectionMethod method;
	VpPattern  *schema;			/* NULL for a tag or an unqualified name */
	VpPattern  *name;
	char	   *written;		/* the method as written, without operators */
	bool		closure;		/* "@" in front */
	int			up;				/* depth upstream, 0 without "+" */
	int			down;			/* depth downstream, 0 without "+" */
} VpSelectionPart;

typedef struct VpSelectionTerm
{
	bool		exclude;		/* "-" in front */
	List	   *parts;			/* of VpSelectionPart *, not NIL */
} VpSelectionTerm;

/*
 * The terms (list of VpSelectionTerm *, not NIL) of a selection.  All new
 * memory in the current context.  ERRCODE_SYNTAX_ERROR as said in
 * selection.h.  O(length).
 */
extern List *vp_selection_parse(const char *selection);

/* A selection, or a part of one, for a message: long ones are cut off. */
extern char *vp_selection_shown(const char *text);

#endif							/* VP_SELECTION_PARSE_H */
