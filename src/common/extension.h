/*
 * extension.h
 *	  The extension's own objects in this database, looked up once.
 *
 * The answer is cached per backend and dropped when a schema changes; it
 * never holds locks.  Outside a transaction nothing may be asked.
 */
#ifndef VP_EXTENSION_H
#define VP_EXTENSION_H

#include "postgres.h"

typedef struct VpExtension
{
	bool		installed;
	Oid			extension;
	Oid			owner;			/* who runs the bookkeeping queries */
	Oid			schema;			/* vibepiper */
	Oid			def_schema;		/* vibepiper_def */
	Oid			store_schema;	/* vibepiper_store */
	Oid			read_asset;		/* function */
	Oid			mapping;		/* tables and their indexes */
	Oid			mapping_pkey;
	Oid			asset;
	Oid			asset_def_key;
	Oid			asset_pkey;
	Oid			asset_pipeline_id_idx;
	Oid			version;
	Oid			version_pkey;
	Oid			pipeline;
} VpExtension;

/* Never NULL; look at ->installed. */
extern const VpExtension *vp_extension(void);

/* As above, and an error (55000) if it isn't installed or not preloaded. */
extern const VpExtension *vp_extension_required(void);

extern bool vp_preloaded(void);

#endif							/* VP_EXTENSION_H */
