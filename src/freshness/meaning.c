/*
 * meaning.c
 *	  What the objects are by which a version was computed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "commands/policy.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/asset.h"
#include "catalog/pipeline.h"
#include "catalog/slots.h"
#include "common/names.h"
#include "compat/compat.h"
#include "freshness/code.h"
#include "freshness/meaning.h"
#include "freshness/wording.h"
#include "store/resolve.h"

/* From pg_locale.h, which needs the headers of ICU. */
extern char *get_collation_actual_version(char collprovider, const char *collcollate);

static void
append_columns(StringInfo buf, Relation rel, bool by_name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (attr->attisdropped)
			appendStringInfoString(buf, "-,");
		else
			appendStringInfo(buf, "%u %d %u %s,", attr->atttypid, attr->atttypmod,
							 attr->attcollation, by_name ? NameStr(attr->attname) : "");
	}
}

/* Of virtual columns: computed when they are read. */
static void
append_expressions(StringInfo buf, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; desc->constr != NULL && i < desc->constr->num_defval; i++)
	{
		const AttrDefault *value = &desc->constr->defval[i];

		if (TupleDescAttr(desc, value->adnum - 1)->attgenerated == VP_GENERATED_VIRTUAL)
			appendStringInfo(buf, "%d %s", value->adnum, value->adbin);
	}
}

static void
append_policies(StringInfo buf, Relation rel)
{
	ListCell   *lc;

	appendStringInfo(buf, "rls %d %d", rel->rd_rel->relrowsecurity,
					 rel->rd_rel->relforcerowsecurity);
	if (!rel->rd_rel->relrowsecurity || rel->rd_rsdesc == NULL)
		return;
	appendStringInfo(buf, " %u", rel->rd_rel->relowner);
	foreach(lc, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(lc);
		char	   *qual = nodeToString(policy->qual);

		appendStringInfo(buf, " %c %d %s", policy->polcmd, policy->permissive, qual);
		for (int i = 0; i < ARR_DIMS(policy->roles)[0]; i++)
			appendStringInfo(buf, " %u", ((Oid *) ARR_DATA_PTR(policy->roles))[i]);
		pfree(qual);
	}
}

static void
append_relation(StringInfo buf, Relation rel, bool by_name)
{
	VpHash		query;

	appendStringInfo(buf, "%c", rel->rd_rel->relkind);
	if (by_name)
		appendStringInfo(buf, " %s", vp_relation_name(RelationGetRelid(rel)));

	/* those that a definition takes can't change their types under it */
	if (by_name || rel->rd_rel->relkind == RELKIND_VIEW)
		append_columns(buf, rel, by_name);
	append_expressions(buf, rel);
	if (rel->rd_rel->relkind != RELKIND_VIEW)
	{
		append_policies(buf, rel);
		return;
	}
	query = vp_code_hash(copyObject(get_view_query(rel)), false, NIL);
	appendBinaryStringInfo(buf, (char *) &query, sizeof(query));
}

/* A column of a row of pg_proc or pg_aggregate, as text. */
static void
append_column(StringInfo buf, int cache, HeapTuple tuple, AttrNumber number, Oid output)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(cache, tuple, number, &isnull);

	appendStringInfoChar(buf, '\n');
	if (!isnull)
		appendStringInfoString(buf, OidOutputFunctionCall(output, value));
}

static void
append_aggregate(StringInfo buf, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	appendStringInfo(buf, "\n%u %u %u %u %u %u %u %u", form->aggtransfn, form->aggfinalfn,
					 form->aggmtransfn, form->aggminvtransfn, form->aggmfinalfn,
					 form->aggsortop, form->aggtranstype, form->aggmtranstype);
	appendStringInfo(buf, " %u %u %u %d %d %d %c %c %c", form->aggcombinefn,
					 form->aggserialfn, form->aggdeserialfn, form->aggnumdirectargs,
					 form->aggfinalextra, form->aggmfinalextra, form->aggkind,
					 form->aggfinalmodify, form->aggmfinalmodify);
	append_column(buf, AGGFNOID, tuple, Anum_pg_aggregate_agginitval, F_TEXTOUT);
	append_column(buf, AGGFNOID, tuple, Anum_pg_aggregate_aggminitval, F_TEXTOUT);
	ReleaseSysCache(tuple);
}

/* What counts for the result; not its costs or rights. */
static bool
append_function(StringInfo buf, Oid function, bool by_name)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	appendStringInfo(buf, "%u %u %u %u %d %d %d %c %c", form->prolang, form->provariadic,
					 form->prosecdef ? form->proowner : InvalidOid, form->prorettype,
					 form->prosecdef, form->proisstrict, form->proretset, form->prokind,
					 form->provolatile);
	if (by_name)
		appendStringInfo(buf, "\n%u %s", form->pronamespace, NameStr(form->proname));
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proargtypes, F_OIDVECTOROUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proargdefaults, F_PG_NODE_TREE_OUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proallargtypes, F_ARRAY_OUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proargmodes, F_ARRAY_OUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proargnames, F_ARRAY_OUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_prosrc, F_TEXTOUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_probin, F_TEXTOUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_prosqlbody, F_PG_NODE_TREE_OUT);
	append_column(buf, PROCOID, tuple, Anum_pg_proc_proconfig, F_ARRAY_OUT);
	if (form->prokind == PROKIND_AGGREGATE)
		append_aggregate(buf, function);
	ReleaseSysCache(tuple);
	return true;
}

static bool
append_relation_of(StringInfo buf, Oid relid, bool by_name)
{
	Relation	rel = RelationIdGetRelation(relid);

	if (!RelationIsValid(rel))
		return false;
	append_relation(buf, rel, by_name);
	RelationClose(rel);
	return true;
}

/* The objects that its text may mean, if any. */
static bool
append_wording(StringInfo buf, Oid function, List *path)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		return false;
	foreach(lc, vp_wording_objects(vp_wording_text(tuple), path))
	{
		const ObjectAddress *object = lfirst(lc);

		appendStringInfo(buf, "%u %u,", object->classId, object->objectId);
	}
	ReleaseSysCache(tuple);
	return true;
}

/* Chosen columns of the rows that an index finds by an Oid. */
static void
append_rows(StringInfo buf, Oid catalog, Oid index, AttrNumber key_column, Oid key_value,
			const AttrNumber *columns, int ncolumns)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, key_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key_value));
	scan = systable_beginscan(rel, index, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		for (int i = 0; i < ncolumns; i++)
		{
			bool		isnull;
			Datum		value = heap_getattr(tuple, columns[i], desc, &isnull);
			Oid			output;
			bool		varlena;

			getTypeOutputInfo(TupleDescAttr(desc, columns[i] - 1)->atttypid, &output, &varlena);
			appendStringInfo(buf, "\n%s", isnull ? "" : OidOutputFunctionCall(output, value));
		}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
append_labels(StringInfo buf, Oid type)
{
	static const AttrNumber columns[] = {
		Anum_pg_enum_oid, Anum_pg_enum_enumsortorder, Anum_pg_enum_enumlabel
	};

	append_rows(buf, EnumRelationId, EnumTypIdLabelIndexId, Anum_pg_enum_enumtypid, type,
				columns, lengthof(columns));
}

static void
append_constraints(StringInfo buf, Oid domain)
{
	static const AttrNumber columns[] = {Anum_pg_constraint_contype, Anum_pg_constraint_conbin};

	append_rows(buf, ConstraintRelationId, ConstraintTypidIndexId, Anum_pg_constraint_contypid,
				domain, columns, lengthof(columns));
}

static void
append_range(StringInfo buf, Oid range)
{
	static const AttrNumber columns[] = {
		Anum_pg_range_rngsubtype, Anum_pg_range_rngcollation, Anum_pg_range_rngsubopc,
		Anum_pg_range_rngcanonical
	};

	append_rows(buf, RangeRelationId, RangeTypidIndexId, Anum_pg_range_rngtypid, range,
				columns, lengthof(columns));
}

/* The row type of a table, too: a query may make rows of it that the table hasn't. */
static void
append_row(StringInfo buf, Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);

	if (!RelationIsValid(rel))
		return;
	append_columns(buf, rel, true);
	RelationClose(rel);
}

static bool
append_type(StringInfo buf, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	appendStringInfo(buf, "%s %u %c %d %u %d %d %u %u %u", NameStr(form->typname),
					 form->typnamespace, form->typtype, form->typlen, form->typbasetype,
					 form->typtypmod, form->typnotnull, form->typinput, form->typoutput,
					 form->typcollation);
	if (form->typtype == TYPTYPE_ENUM)
		append_labels(buf, type);
	else if (form->typtype == TYPTYPE_DOMAIN)
		append_constraints(buf, type);
	else if (form->typtype == TYPTYPE_RANGE)
		append_range(buf, type);
	else if (form->typtype == TYPTYPE_COMPOSITE)
		append_row(buf, form->typrelid);
	ReleaseSysCache(tuple);
	return true;
}

/* The sum of a catalog's rows; of those of users, if they have Oids. */
static void
append_catalog(StringInfo buf, Oid catalog, bool users)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	VpHash		sum = {0};
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		if (users && DatumGetObjectId(heap_getattr(tuple, 1, RelationGetDescr(rel),
												   &isnull)) < FirstNormalObjectId)
			continue;
		vp_hash_add(&sum, vp_hash_bytes((char *) tuple->t_data + tuple->t_data->t_hoff,
										tuple->t_len - tuple->t_data->t_hoff, 0));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	appendBinaryStringInfo(buf, (char *) &sum, sizeof(sum));
}

static void
append_casts(StringInfo buf)
{
	append_catalog(buf, CastRelationId, true);
	append_catalog(buf, OperatorClassRelationId, true);
	append_catalog(buf, AccessMethodOperatorRelationId, true);
	append_catalog(buf, AccessMethodProcedureRelationId, true);
}

static void
append_text_search(StringInfo buf)
{
	append_catalog(buf, TSConfigRelationId, true);
	append_catalog(buf, TSConfigMapRelationId, false);
	append_catalog(buf, TSDictionaryRelationId, false);
}

static void
append_roles(StringInfo buf)
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		if (form->rolsuper || form->rolbypassrls || !form->rolinherit)
			appendStringInfo(buf, "%u %d %d %d,", form->oid, form->rolsuper,
							 form->rolbypassrls, form->rolinherit);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	append_catalog(buf, AuthMemRelationId, false);
}

static bool
append_role(StringInfo buf, Oid role)
{
	const char *name = GetUserNameFromId(role, true);

	if (name == NULL)
		return false;
	appendStringInfoString(buf, name);
	return true;
}

static char *
database_collation_version(void)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		version;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(MyDatabaseId);
	fcinfo->args[0].isnull = false;
	version = pg_database_collation_actual_version(fcinfo);
	return fcinfo->isnull ? "" : TextDatumGetCString(version);
}

/* The versions that the libraries have, as long as a process lives. */
static void
append_collations(StringInfo buf)
{
	static VpHash hash = {0};

	if (hash.low == 0)
	{
		char	   *libc = get_collation_actual_version(COLLPROVIDER_LIBC, "en_US.UTF-8");
		char	   *icu = get_collation_actual_version(COLLPROVIDER_ICU, "und");
		char	   *all = psprintf("%s\n%s\n%s", database_collation_version(),
								   libc ? libc : "", icu ? icu : "");

		hash = vp_hash_bytes(all, strlen(all), 0);
	}
	appendBinaryStringInfo(buf, (char *) &hash, sizeof(hash));
}

bool
vp_meaning_columns(Oid stub, VpHash *hash)
{
	Relation	rel = RelationIdGetRelation(stub);

	if (!RelationIsValid(rel))
		return false;
	*hash = vp_hash_columns(RelationGetDescr(rel));
	RelationClose(rel);
	return true;
}

/* The sum of what its slots hold, as the data hash of several parts is. */
static bool
asset_hash(const VpAsset *asset, VpHash *hash)
{
	VpResolution res;
	ListCell   *lc;

	memset(hash, 0, sizeof(VpHash));
	if (!vp_resolve_at_once(asset->def, GetActiveSnapshot(), &res))
		return false;
	if (!res.hit || !vp_columns_match(asset->def, res.slot))
		*hash = vp_code_hash_in_place(asset->code_hash, asset->owner,
									  vp_pipeline_settings(asset->pipeline_id),
									  asset->options.settings);
	else if (res.slots == NIL)
		*hash = vp_slot_data_hash(res.slot);
	else
		foreach(lc, res.slots)
			vp_hash_add(hash, vp_slot_data_hash(lfirst_oid(lc)));
	return true;
}

static bool
meaning_of_asset(VpMeaning *meaning)
{
	const VpAsset *asset = vp_asset_by_id((int32) meaning->objid);

	if (asset == NULL)
		return false;
	return meaning->kind == VP_MEANING_COLUMNS ?
		vp_meaning_columns(asset->stub, &meaning->hash) : asset_hash(asset, &meaning->hash);
}

static bool
append(StringInfo buf, const VpMeaning *meaning, List *path)
{
	switch (meaning->kind)
	{
		case VP_MEANING_RELATION:
			return append_relation_of(buf, meaning->objid, meaning->by_name);
		case VP_MEANING_TYPE:
			return append_type(buf, meaning->objid);
		case VP_MEANING_FUNCTION:
			return append_function(buf, meaning->objid, meaning->by_name);
		case VP_MEANING_WORDING:
			return append_wording(buf, meaning->objid, path);
		case VP_MEANING_ROLE:
			return append_role(buf, meaning->objid);
		case VP_MEANING_CASTS:
			append_casts(buf);
			break;
		case VP_MEANING_TEXT_SEARCH:
			append_text_search(buf);
			break;
		case VP_MEANING_COLUMNS:
		case VP_MEANING_ASSET:
			break;				/* has a hash already */
		case VP_MEANING_ROLES:
			append_roles(buf);
			break;
		case VP_MEANING_COLLATIONS:
			append_collations(buf);
			break;
	}
	return true;
}

/* Of the whole database: known until a catalog that it is made of changes. */
static VpHash whole[VP_MEANING_COLLATIONS + 1];
static bool whole_known[VP_MEANING_COLLATIONS + 1];
static uint64 whole_forgotten = 0;	/* how often, of any kind */

static void
forget_whole(Datum arg, int cache, uint32 hash)
{
	whole_known[DatumGetInt32(arg)] = false;
	whole_forgotten++;
}

bool
vp_meaning_of(VpMeaning *meaning, List *path)
{
	bool		is_whole = !OidIsValid(meaning->objid);
	uint64		forgotten = whole_forgotten;
	StringInfoData buf;
	bool		found;

	if (vp_meaning_is_of_asset(meaning->kind))
		return meaning_of_asset(meaning);
	if (is_whole && whole_known[meaning->kind])
	{
		meaning->hash = whole[meaning->kind];
		return true;
	}
	initStringInfo(&buf);
	found = append(&buf, meaning, path);
	meaning->hash = vp_hash_bytes(buf.data, buf.len, 0);
	if (is_whole)
	{
		whole[meaning->kind] = meaning->hash;
		whole_known[meaning->kind] = forgotten == whole_forgotten;
	}
	pfree(buf.data);
	return found;
}

bool
vp_meaning_changes_unseen(VpMeaningKind kind)
{
	return kind == VP_MEANING_ROLE || vp_meaning_is_of_asset(kind) || kind == VP_MEANING_ROLES ||
		kind == VP_MEANING_COLLATIONS;
}

bool
vp_meaning_is_of_asset(VpMeaningKind kind)
{
	return kind == VP_MEANING_COLUMNS || kind == VP_MEANING_ASSET;
}

/*
 * A function with the types of its arguments: all with their schemas, but for
 * PostgreSQL's own types, which nobody writes so.
 */
static char *
function_name(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	StringInfoData buf;
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))	/* just dropped: its number */
		return format_procedure_qualified(function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s(", quote_qualified_identifier(get_namespace_name(proc->pronamespace),
															 NameStr(proc->proname)));
	for (int i = 0; i < proc->pronargs; i++)
	{
		Oid			type = proc->proargtypes.values[i];

		appendStringInfo(&buf, "%s%s", i > 0 ? "," : "",
						 type < FirstUnpinnedObjectId ? format_type_be(type) :
						 format_type_be_qualified(type));
	}
	appendStringInfoChar(&buf, ')');
	ReleaseSysCache(tuple);
	return buf.data;
}

static char *
relation_difference(Oid relid, bool dropped)
{
	if (dropped)
		return pstrdup("a source was dropped");
	return psprintf(get_rel_relkind(relid) == RELKIND_VIEW ? "view %s was altered" :
					"source %s was altered", vp_relation_name(relid));
}

static char *
asset_difference(int32 id, bool dropped)
{
	const VpAsset *asset = dropped ? NULL : vp_asset_by_id(id);

	if (asset == NULL)
		return pstrdup("an upstream was dropped");
	return psprintf("upstream %s changed", asset->display);
}

char *
vp_meaning_difference(const VpMeaning *meaning, bool dropped)
{
	switch (meaning->kind)
	{
		case VP_MEANING_RELATION:
			return relation_difference(meaning->objid, dropped);
		case VP_MEANING_TYPE:
			return dropped ? pstrdup("a type was dropped") :
				psprintf("type %s was altered", format_type_be_qualified(meaning->objid));
		case VP_MEANING_FUNCTION:
			return dropped ? pstrdup("a function was dropped") :
				psprintf("function %s changed", function_name(meaning->objid));
		case VP_MEANING_WORDING:
			return dropped ? pstrdup("a function was dropped") :
				psprintf("function %s may mean other objects", function_name(meaning->objid));
		case VP_MEANING_ROLE:
			return dropped ? pstrdup("a role was dropped") :
				psprintf("role %s was renamed", quote_identifier(GetUserNameFromId(meaning->objid, false)));
		case VP_MEANING_CASTS:
			return pstrdup("casts or operator classes changed");
		case VP_MEANING_TEXT_SEARCH:
			return pstrdup("text search changed");
		case VP_MEANING_COLUMNS:
		case VP_MEANING_ASSET:
			return asset_difference((int32) meaning->objid, dropped);
		case VP_MEANING_ROLES:
			return pstrdup("roles changed, and it reads tables with row security");
		case VP_MEANING_COLLATIONS:
			return pstrdup("collation versions changed");
	}
	return NULL;
}

void
vp_meaning_init(void)
{
	static const struct
	{
		int			cache;
		VpMeaningKind kind;
	}			parts[] = {
		{CASTSOURCETARGET, VP_MEANING_CASTS},
		{CLAOID, VP_MEANING_CASTS}, {AMOPSTRATEGY, VP_MEANING_CASTS},
		{AMPROCNUM, VP_MEANING_CASTS}, {TSCONFIGOID, VP_MEANING_TEXT_SEARCH},
		{TSCONFIGMAP, VP_MEANING_TEXT_SEARCH}, {TSDICTOID, VP_MEANING_TEXT_SEARCH},
		{AUTHOID, VP_MEANING_ROLES}, {AUTHMEMMEMROLE, VP_MEANING_ROLES}
	};

	for (int i = 0; i < (int) lengthof(parts); i++)
		CacheRegisterSyscacheCallback(parts[i].cache, forget_whole, Int32GetDatum(parts[i].kind));
}
