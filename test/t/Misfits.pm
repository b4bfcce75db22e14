# What does not fit in the catalog of a database with the extension.
package Misfits;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = ('$misfits');

# A query, a line for each misfit.
our $misfits = q{
	SELECT format('slot %s of asset %s has no relation', s.slot, s.asset_id) FROM vibepiper.slot s
		WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.slot AND c.relnamespace = 'vibepiper_store'::regnamespace)
	UNION ALL
	SELECT format('relation %s is no slot', c.oid::regclass) FROM pg_class c
		WHERE c.relnamespace = 'vibepiper_store'::regnamespace AND c.relkind = 'r' AND c.oid NOT IN (SELECT slot FROM vibepiper.slot)
	UNION ALL
	SELECT format('relation %s does not belong to the extension', c.oid::regclass) FROM pg_class c
		WHERE c.relnamespace = 'vibepiper_store'::regnamespace AND c.relkind = 'r'
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	UNION ALL
	SELECT format('%s has another persistence', s.slot::regclass) FROM vibepiper.slot s JOIN pg_class c ON c.oid = s.slot
		WHERE c.relpersistence <> s.persistence
	UNION ALL
	SELECT format('index %s is not valid', i.indexrelid::regclass) FROM pg_index i
		WHERE i.indrelid IN (SELECT slot FROM vibepiper.slot) AND NOT (indisvalid AND indisready AND indislive)
	UNION ALL
	SELECT format('%s holds version %s, which is not', s.slot::regclass, s.version_id) FROM vibepiper.slot s
		WHERE s.version_id IS NOT NULL AND NOT EXISTS (SELECT FROM vibepiper.version v WHERE v.version_id = s.version_id
			AND v.slot = s.slot AND v.asset_id = s.asset_id AND v.filenode = pg_relation_filenode(s.slot))
	UNION ALL
	SELECT format('version %s is in no slot', v.version_id) FROM vibepiper.version v
		WHERE NOT EXISTS (SELECT FROM vibepiper.slot s WHERE s.version_id = v.version_id AND s.slot = v.slot)
	UNION ALL
	SELECT format('%s has several versions', v.slot::regclass) FROM vibepiper.version v GROUP BY v.slot HAVING count(*) > 1
	UNION ALL
	SELECT format('the mapping of %s does not fit', m.def::regclass) FROM vibepiper.mapping m
		WHERE NOT EXISTS (SELECT FROM vibepiper.version v JOIN vibepiper.asset a USING (asset_id)
			WHERE v.version_id = m.version_id AND a.def = m.def AND v.published AND v.slot = m.slot AND v.filenode = m.filenode
				AND v.incarnation = m.incarnation AND v.signature = m.signature AND (v.rows > 0) = m.nonempty)
	UNION ALL
	SELECT format('version %s is published and not mapped', v.version_id) FROM vibepiper.version v
		WHERE v.published AND NOT EXISTS (SELECT FROM vibepiper.mapping m WHERE m.version_id = v.version_id)
	UNION ALL
	SELECT format('publication %s of asset %s is not mapped', p.run_id, p.asset_id) FROM vibepiper.publication p JOIN vibepiper.asset a USING (asset_id)
		WHERE run_id = (SELECT max(run_id) FROM vibepiper.publication l WHERE l.asset_id = p.asset_id)
			AND NOT EXISTS (SELECT FROM vibepiper.mapping m WHERE m.def = a.def AND m.version_id = p.version_id)
	UNION ALL
	SELECT format('run %s is %s', run_id, status) FROM vibepiper.runs WHERE status NOT IN ('succeeded', 'failed', 'cancelled')
	UNION ALL
	SELECT format('task of run %s is %s', run_id, status) FROM vibepiper.task
		WHERE status NOT IN ('built', 'unchanged', 'failed', 'skipped', 'cancelled')
	UNION ALL
	SELECT format('task of run %s, which is not', run_id) FROM vibepiper.task WHERE run_id NOT IN (SELECT run_id FROM vibepiper.run)
	UNION ALL
	SELECT format('asset %s is pinned', asset_id) FROM vibepiper.asset WHERE pinned_run IS NOT NULL
	ORDER BY 1};

1;
