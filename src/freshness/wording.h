/*
 * wording.h
 *	  What the text of a function may name.
 *
 * PL/pgSQL and the other languages keep their functions as text, in which names
 * are looked up when the function runs, and what they meant then isn't to be
 * had: expressions that were prepared earlier in the process, inlined or folded
 * show nothing.  So every word of the text counts as a name.  That says too
 * much (a table may be called as a variable is), never too little, unless the
 * name is put together at run time.
 */
#ifndef VP_WORDING_H
#define VP_WORDING_H

#include "postgres.h"

#include "access/htup.h"
#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"

/* The words of a text that can be names, sorted, each once; char *. */
extern List *vp_wording_names(const char *text);

/* Those after which a parenthesis opens. */
extern List *vp_wording_calls(const char *text);

/* Is it one of these names? */
extern bool vp_wording_has(List *names, const char *name);

/*
 * All functions of that name, in any schema; of Oid.  Not to be changed, and
 * gone when the next name is asked for.
 */
extern List *vp_wording_functions(const char *name);

/* Of a function, a row of pg_proc: what names may stand in.  palloc'd. */
extern char *vp_wording_text(HeapTuple function);

/* The schemas of a search_path that exist; temporary ones aside.  Of Oid. */
extern List *vp_wording_schemas(const char *search_path);

/*
 * A search_path, and behind it those that functions come with: what they call
 * runs under these, too.
 */
extern char *vp_wording_paths(const char *search_path, List *functions);

/*
 * Users' functions, relations, types, operators and collations that such a text
 * may mean: in the schemas of the path and in those that it names.
 * ObjectAddress *, sorted.
 */
extern List *vp_wording_objects(const char *text, List *path);

/* May it search text by a configuration? */
extern bool vp_wording_searches_text(const char *text);

#endif							/* VP_WORDING_H */
