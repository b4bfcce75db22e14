/*
 * blockers.c
 *	  The user's own objects that keep a stub from being made anew.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "common/spi.h"
#include "define/blockers.h"

/*
 * Dependents of the stub, its row type included, and theirs in turn; a rule
 * stands for the view whose query it is.  Definitions of assets follow by
 * themselves, and views that were set aside will go, so the walk ends there.
 */
#define BLOCKERS \
	"WITH RECURSIVE n(classid, objid, objsubid) AS (" \
	" SELECT 'pg_class'::regclass::oid, $1, 0" \
	" UNION" \
	" SELECT x.* FROM n" \
	" JOIN pg_depend d ON d.refclassid = n.classid AND d.refobjid = n.objid" \
	"  AND n.objsubid IN (0, d.refobjsubid)" \
	" LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid" \
	"  AND r.rulename = '_RETURN'," \
	" LATERAL (SELECT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass::oid END," \
	"  coalesce(r.ev_class, d.objid), CASE WHEN r.oid IS NULL THEN d.objsubid ELSE 0 END)" \
	"  AS x(classid, objid, objsubid)" \
	" WHERE NOT (x.classid = 'pg_class'::regclass AND (x.objid = ANY ($2)" \
	"  OR EXISTS (SELECT FROM vibepiper.asset a WHERE a.def = x.objid))))"

/* PostgreSQL has no function that gives the DDL of a policy. */
#define POLICY_DDL \
	"(SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname," \
	" p.polrelid::regclass, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END," \
	" CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'" \
	" WHEN 'd' THEN 'DELETE' ELSE 'ALL' END," \
	" (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ')" \
	"  FROM unnest(p.polroles) role))" \
	" || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')" \
	" || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')" \
	" FROM pg_policy p WHERE p.oid = n.objid)"

#define DDL \
	"CASE n.classid" \
	" WHEN 'pg_class'::regclass THEN (SELECT CASE" \
	"  WHEN n.objsubid > 0 THEN (SELECT format('ALTER TABLE %s ADD COLUMN %I %s', c.oid::regclass," \
	"   t.attname, format_type(t.atttypid, t.atttypmod)) FROM pg_attribute t" \
	"   WHERE t.attrelid = c.oid AND t.attnum = n.objsubid)" \
	"  WHEN c.relkind = 'v' THEN format('CREATE VIEW %s%s AS%s', c.oid::regclass," \
	"   ' WITH (' || array_to_string(c.reloptions, ', ') || ')', E'\\n' || pg_get_viewdef(c.oid))" \
	"  WHEN c.relkind = 'm' THEN format('CREATE MATERIALIZED VIEW %s AS%s', c.oid::regclass," \
	"   E'\\n' || rtrim(pg_get_viewdef(c.oid), ';')) || coalesce((SELECT" \
	"   string_agg(E';\\n' || pg_get_indexdef(i.indexrelid), '' ORDER BY i.indexrelid)" \
	"   FROM pg_index i WHERE i.indrelid = c.oid), '')" \
	"  END FROM pg_class c WHERE c.oid = n.objid)" \
	" WHEN 'pg_proc'::regclass THEN (SELECT pg_get_functiondef(p.oid) FROM pg_proc p" \
	"  WHERE p.oid = n.objid AND p.prokind <> 'a')" \
	" WHEN 'pg_rewrite'::regclass THEN pg_get_ruledef(n.objid)" \
	" WHEN 'pg_trigger'::regclass THEN pg_get_triggerdef(n.objid)" \
	" WHEN 'pg_policy'::regclass THEN " POLICY_DDL \
	" WHEN 'pg_constraint'::regclass THEN (SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s'," \
	"  k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k" \
	"  WHERE k.oid = n.objid AND k.conrelid <> 0)" \
	" WHEN 'pg_attrdef'::regclass THEN (SELECT format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s'," \
	"  e.adrelid::regclass, t.attname, pg_get_expr(e.adbin, e.adrelid))" \
	"  FROM pg_attrdef e JOIN pg_attribute t ON t.attrelid = e.adrelid AND t.attnum = e.adnum" \
	"  WHERE e.oid = n.objid)" \
	" END"

/*
 * What PostgreSQL makes and drops with a relation is not in the way: row and
 * array types, own query, and (of matviews that are) indexes and TOAST tables.
 */
#define NOT_OWN \
	" WHERE (n.classid, n.objid) <> ('pg_class'::regclass::oid, $1)" \
	" AND NOT (n.classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t" \
	"  LEFT JOIN pg_type e ON e.oid = t.typelem WHERE t.oid = n.objid" \
	"  AND (t.typrelid <> 0 OR e.typrelid <> 0)))" \
	" AND NOT (n.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class c" \
	"  WHERE c.oid = n.objid AND c.relkind IN ('i', 't')))"

void
vp_blockers_refuse(const VpAsset *asset, List *asides)
{
	static VpStatement statement = {
		BLOCKERS " SELECT pg_describe_object(n.classid, n.objid, n.objsubid), " DDL
		" FROM n" NOT_OWN " ORDER BY n.objid, n.objsubid", 2, {OIDOID, OIDARRAYOID}
	};
	Datum		values[2] = {ObjectIdGetDatum(asset->stub), vp_oids_datum(asides)};
	StringInfoData names;
	StringInfoData ddl;
	VpSpi		spi;
	uint64		n;

	initStringInfo(&names);
	initStringInfo(&ddl);
	vp_spi_open(&spi);
	n = vp_spi_run(&statement, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *text = vp_col_text(&spi, i, 2);

		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", vp_col_text(&spi, i, 1));
		if (text == NULL)
			continue;
		while (*text != '\0' && strchr("; \n", text[strlen(text) - 1]) != NULL)
			text[strlen(text) - 1] = '\0';
		appendStringInfo(&ddl, "\n%s;", text);
	}
	vp_spi_close(&spi);
	if (n > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot change columns of asset %s because other objects depend on it",
						asset->display),
				 errdetail("In the way: %s.%s", names.data, ddl.data),
				 errhint("Drop these objects, define the asset, and create them again; the detail has the commands.")));
}
