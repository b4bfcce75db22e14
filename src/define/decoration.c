/*
 * decoration.c
 *	  What users put on a stub: grants, comments, options, security labels.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_seclabel.h"
#include "commands/comment.h"
#include "commands/seclabel.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "define/decoration.h"

static int
members_of(Datum acl, bool isnull, Oid **members)
{
	*members = NULL;
	return isnull ? 0 : aclmembers(DatumGetAclPCopy(acl), members);
}

/* Grants and options; both relations have the same owner. */
static void
copy_class(Oid from, Oid to)
{
	Relation	rel = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	source = SearchSysCache1(RELOID, ObjectIdGetDatum(from));
	HeapTuple	target = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(to));
	static const AttrNumber copied[] = {Anum_pg_class_relacl, Anum_pg_class_reloptions};
	Datum		values[Natts_pg_class] = {0};
	bool		nulls[Natts_pg_class] = {0};
	bool		replaces[Natts_pg_class] = {0};
	Oid			owner = ((Form_pg_class) GETSTRUCT(target))->relowner;
	Oid		   *had;
	Oid		   *gets;
	int			nhad;
	int			ngets;
	bool		isnull;
	Datum		acl = SysCacheGetAttr(RELOID, target, Anum_pg_class_relacl, &isnull);

	nhad = members_of(acl, isnull, &had);
	for (int i = 0; i < (int) lengthof(copied); i++)
	{
		int			n = copied[i] - 1;

		values[n] = SysCacheGetAttr(RELOID, source, copied[i], &nulls[n]);
		replaces[n] = true;
	}
	ngets = members_of(values[Anum_pg_class_relacl - 1], nulls[Anum_pg_class_relacl - 1],
					   &gets);
	target = heap_modify_tuple(target, RelationGetDescr(rel), values, nulls, replaces);
	CatalogTupleUpdate(rel, &target->t_self, target);
	updateAclDependencies(RelationRelationId, to, 0, owner, nhad, had, ngets, gets);
	ReleaseSysCache(source);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
copy_column_acl(Oid to, AttrNumber attnum, Oid owner, Datum acl)
{
	Relation	rel = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	target = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(to),
											 Int16GetDatum(attnum));
	Datum		values[Natts_pg_attribute] = {0};
	bool		nulls[Natts_pg_attribute] = {0};
	bool		replaces[Natts_pg_attribute] = {0};
	Oid		   *members;
	int			n = members_of(acl, false, &members);

	values[Anum_pg_attribute_attacl - 1] = acl;
	replaces[Anum_pg_attribute_attacl - 1] = true;
	target = heap_modify_tuple(target, RelationGetDescr(rel), values, nulls, replaces);
	CatalogTupleUpdate(rel, &target->t_self, target);
	updateAclDependencies(RelationRelationId, to, attnum, owner, 0, NULL, n, members);
	table_close(rel, RowExclusiveLock);
}

static void
copy_label(Oid from, int32 from_column, Oid to, int32 to_column)
{
	Relation	rel = table_open(SecLabelRelationId, AccessShareLock);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	ObjectAddress object;

	ObjectAddressSubSet(object, RelationRelationId, to, to_column);
	ScanKeyInit(&keys[0], Anum_pg_seclabel_objoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(from));
	ScanKeyInit(&keys[1], Anum_pg_seclabel_classoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[2], Anum_pg_seclabel_objsubid, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(from_column));
	scan = systable_beginscan(rel, SecLabelObjectIndexId, true, NULL, 3, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		provider = heap_getattr(tuple, Anum_pg_seclabel_provider,
											RelationGetDescr(rel), &isnull);
		Datum		label = heap_getattr(tuple, Anum_pg_seclabel_label,
										 RelationGetDescr(rel), &isnull);

		SetSecurityLabel(&object, TextDatumGetCString(provider),
						 TextDatumGetCString(label));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
copy_texts(Oid from, int32 from_column, Oid to, int32 to_column)
{
	char	   *comment = GetComment(from, RelationRelationId, from_column);

	if (comment != NULL)
		CreateComments(to, RelationRelationId, to_column, comment);
	copy_label(from, from_column, to, to_column);
}

static void
copy_column(Oid from, AttrNumber from_column, Oid to, AttrNumber to_column, Oid owner)
{
	HeapTuple	source = SearchSysCache2(ATTNUM, ObjectIdGetDatum(from),
										 Int16GetDatum(from_column));
	bool		isnull;
	Datum		acl = SysCacheGetAttr(ATTNUM, source, Anum_pg_attribute_attacl, &isnull);

	if (!isnull)
		copy_column_acl(to, to_column, owner, acl);
	ReleaseSysCache(source);
	copy_texts(from, from_column, to, to_column);
}

void
vp_decoration_copy(Oid from, Oid to)
{
	Relation	old = relation_open(from, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(old);

	copy_class(from, to);
	copy_texts(from, 0, to, 0);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AttrNumber	column = get_attnum(to, NameStr(att->attname));

		if (column != InvalidAttrNumber)
			copy_column(from, att->attnum, to, column, old->rd_rel->relowner);
	}
	relation_close(old, NoLock);
	CommandCounterIncrement();
}
