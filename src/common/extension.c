/*
 * extension.c
 *	  The extension's own objects in this database, looked up once.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "common/extension.h"
#include "common/shmem.h"

PG_FUNCTION_INFO_V1(vp_preload_check);

static VpExtension cache;
static bool cache_valid = false;
static bool invalidated = false;	/* since the look-up began */
static bool callback_registered = false;

static void
forget(Datum arg, int cacheid, uint32 hashvalue)
{
	cache_valid = false;
	invalidated = true;
}

static Oid
extension_owner(Oid extension)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

static Oid
read_asset_function(Oid schema)
{
	Oid			types[1] = {REGCLASSOID};
	oidvector  *args = buildoidvector(types, 1);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("read_asset"),
						   PointerGetDatum(args),
						   ObjectIdGetDatum(schema));
}

/* Look everything up; false while the extension is only partly there. */
static bool
look_up(VpExtension *ext)
{
	memset(ext, 0, sizeof(*ext));
	ext->schema = get_namespace_oid("vibepiper", true);
	if (!OidIsValid(ext->schema))
		return true;
	ext->extension = get_extension_oid("vibepiper", true);
	if (!OidIsValid(ext->extension))
		return false;
	ext->owner = extension_owner(ext->extension);
	ext->def_schema = get_namespace_oid("vibepiper_def", true);
	ext->store_schema = get_namespace_oid("vibepiper_store", true);
	ext->read_asset = read_asset_function(ext->schema);
	ext->mapping = get_relname_relid("mapping", ext->schema);
	ext->mapping_pkey = get_relname_relid("mapping_pkey", ext->schema);
	ext->asset = get_relname_relid("asset", ext->schema);
	ext->asset_def_key = get_relname_relid("asset_def_key", ext->schema);
	ext->asset_pkey = get_relname_relid("asset_pkey", ext->schema);
	ext->asset_pipeline_id_idx = get_relname_relid("asset_pipeline_id_idx", ext->schema);
	ext->version = get_relname_relid("version", ext->schema);
	ext->version_pkey = get_relname_relid("version_pkey", ext->schema);
	ext->pipeline = get_relname_relid("pipeline", ext->schema);
	ext->installed = OidIsValid(ext->def_schema) &&
		OidIsValid(ext->store_schema) && OidIsValid(ext->read_asset) &&
		OidIsValid(ext->mapping_pkey) && OidIsValid(ext->asset_def_key) &&
		OidIsValid(ext->asset_pkey) && OidIsValid(ext->asset_pipeline_id_idx) &&
		OidIsValid(ext->version_pkey) && OidIsValid(ext->pipeline);
	return ext->installed;
}

const VpExtension *
vp_extension(void)
{
	/* pg_upgrade makes our objects one by one: they are as any others */
	if (IsBinaryUpgrade || cache_valid)
		return &cache;
	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget, (Datum) 0);
		callback_registered = true;
	}

	/* an invalidation that arrives during the look-up must win, or an error */
	invalidated = false;
	cache_valid = look_up(&cache) && !invalidated;
	return &cache;
}

const VpExtension *
vp_extension_required(void)
{
	const VpExtension *ext = vp_extension();

	if (!vp_preloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("vibepiper must be loaded at server start"),
				 errhint("Add vibepiper to the setting shared_preload_libraries and restart the server.")));
	if (!ext->installed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"vibepiper\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION vibepiper.")));
	return ext;
}

/* CREATE EXTENSION calls this before it creates anything. */
Datum
vp_preload_check(PG_FUNCTION_ARGS)
{
	if (!vp_preloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("vibepiper must be loaded at server start"),
				 errhint("Add vibepiper to the setting shared_preload_libraries and restart the server.")));
	PG_RETURN_VOID();
}
