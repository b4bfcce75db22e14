-- What define_asset and the others refuse, and how they say it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE FUNCTION pg_temp.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

CREATE SCHEMA de_src;
CREATE TABLE de_src.t (id int, x text);
SELECT vibepiper.define_pipeline('de');
SELECT vibepiper.define_asset('de.a', 'SELECT id, x FROM de_src.t');
SELECT vibepiper.define_asset('de.b', 'SELECT id FROM de.a');

-- One SELECT and nothing else
SELECT vibepiper.define_asset('de.e', '');
SELECT vibepiper.define_asset('de.e', '  -- nothing
 ; ');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x; SELECT 2 AS x');
SELECT vibepiper.define_asset('de.e', 'DELETE FROM de_src.t');
SELECT vibepiper.define_asset('de.e', 'CREATE TABLE de_src.u (x int)');
SELECT vibepiper.define_asset('de.e', 'SELECT id INTO de_src.u FROM de_src.t');
SELECT vibepiper.define_asset('de.e', 'WITH d AS (DELETE FROM de_src.t RETURNING id) SELECT id FROM d');
SELECT vibepiper.define_asset('de.e', 'SELECT id FROM de_src.t FOR UPDATE');
SELECT vibepiper.define_asset('de.e', 'SELECT id FROM (SELECT id FROM de_src.t FOR SHARE) s');
SELECT vibepiper.define_asset('de.e', 'EXPLAIN SELECT 1 AS x');
SELECT vibepiper.define_asset('de.e', 'SELECT $1 AS x');
-- these are SELECTs
SELECT vibepiper.define_asset('de.values', 'VALUES (1, ''a''), (2, ''b'')');
SELECT vibepiper.define_asset('de.table', 'TABLE de_src.t');
SELECT vibepiper.define_asset('de.parens', '((SELECT 1 AS x) UNION ALL (SELECT 2)) ORDER BY 1 LIMIT 1');
SELECT * FROM de.parens;

-- Errors point into the text of the user
SELECT vibepiper.define_asset('de.e', 'SELECT id, FROM de_src.t');
SELECT vibepiper.define_asset('de.e', 'SELECT id
FROM de_src.t
WHERE nonsense > 3');
SELECT vibepiper.define_asset('de.e', 'SELEKT 1');
SELECT vibepiper.define_asset('de.e', 'SELECT ''ü'', no_such_column AS x FROM de_src.t');
SELECT vibepiper.define_asset('de.e', 'SELECT ''not closed');
SELECT vibepiper.define_asset('de.a', 'SELECT id, y FROM de_src.t');
SELECT vibepiper.asset_query('de.a');

-- Columns
SELECT vibepiper.define_asset('de.e', 'SELECT id, 1 + 1 FROM de_src.t');
SELECT vibepiper.define_asset('de.e', 'SELECT id, x AS id FROM de_src.t');
SELECT vibepiper.define_asset('de.e', 'SELECT t.*, u.* FROM de_src.t t JOIN de_src.t u USING (id)');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS ctid');
SELECT vibepiper.define_asset('de.e', 'SELECT FROM de_src.t');
SELECT vibepiper.define_asset('de.e', 'SELECT ''unknown is text'' AS x, NULL AS y');
SELECT pg_typeof(x), pg_typeof(y) FROM de.e;
SELECT vibepiper.define_asset('de.record', 'SELECT ROW(1, 2) AS r');
SELECT vibepiper.define_asset('de.polymorphic', 'SELECT ''{}''::anyarray AS r');

-- What it may not read
SELECT vibepiper.define_asset('de.f', 'SELECT relname FROM pg_class');
SELECT vibepiper.define_asset('de.f', 'SELECT table_name FROM information_schema.tables');
SELECT vibepiper.define_asset('de.f', 'SELECT 1 AS x WHERE EXISTS (SELECT FROM pg_stat_activity)');
CREATE TEMP TABLE de_temp (x int);
SELECT vibepiper.define_asset('de.f', 'SELECT x FROM pg_temp.de_temp');
SELECT vibepiper.define_asset('de.f', 'SELECT x FROM de_temp');
CREATE TEMP VIEW de_temp_view AS SELECT x FROM de_temp;
SELECT vibepiper.define_asset('de.f', 'SELECT x FROM pg_temp.de_temp_view');
-- not through a view either
CREATE VIEW de_src.catalog_view AS SELECT relname FROM pg_class;
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.f', 'SELECT relname FROM de_src.catalog_view')$$);
-- nor what belongs to the extension
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.f', 'SELECT asset FROM vibepiper.assets')$$);
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.f', 'SELECT asset_id FROM vibepiper.asset')$$);
SELECT asset, status FROM vibepiper.run('de', 'a', parallel => false);
SELECT slot FROM vibepiper.versions WHERE asset = 'de.a' AND published \gset
SELECT pg_temp.sqlstate(format($$SELECT vibepiper.define_asset('de.f', 'SELECT id FROM %s')$$, :'slot'));

-- Circles, with their paths
SELECT vibepiper.define_asset('de.a', 'SELECT id, x FROM de.a');
SELECT vibepiper.define_asset('de.a', 'SELECT id, NULL::text AS x FROM de.b');
SELECT vibepiper.define_asset('de.c', 'SELECT id FROM de.b');
SELECT vibepiper.define_asset('de.a', 'SELECT id, x FROM de_src.t WHERE id IN (SELECT id FROM de.c)');
CREATE VIEW de_src.over_c AS SELECT id, 'x'::text AS x FROM de.c;
CREATE VIEW de_src.over_over_c AS SELECT * FROM de_src.over_c;
SELECT vibepiper.define_asset('de.a', 'SELECT id, x FROM de_src.over_over_c');
SELECT vibepiper.define_asset('de.a', 'SELECT id, x FROM de_src.t', depends_on => '{c}');
SELECT vibepiper.asset_query('de.a');
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'de.a';
-- nothing else moved
SELECT asset, status FROM vibepiper.run('de', 'a+', parallel => false);

-- Names that are taken, or no names
CREATE TABLE de.a_table (x int);
SELECT vibepiper.define_asset('de.a_table', 'SELECT 1 AS x');
CREATE VIEW de.a_view AS SELECT 1 AS x;
SELECT vibepiper.define_asset('de.a_view', 'SELECT 1 AS x');
CREATE TYPE de.a_type AS (x int);
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.a_type', 'SELECT 1 AS x')$$);
CREATE TYPE de.an_enum AS ENUM ('x');
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.an_enum', 'SELECT 1 AS x')$$);
SELECT vibepiper.define_asset('db.de.x', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('de.', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('de."unclosed', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('de.""', 'SELECT 1 AS x');
-- a name that is too long must not become another asset's
SELECT vibepiper.define_asset('de.' || repeat('n', 63), 'SELECT 1 AS x');
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.' || repeat('n', 64), 'SELECT 2 AS x')$$);
SELECT * FROM de.nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn;

-- Bad options
SELECT vibepiper.define_asset(NULL, 'SELECT 1 AS x');
SELECT vibepiper.define_asset('de.e', NULL);
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', cache => NULL);
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', lazy => NULL);
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', parallel => NULL);
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', retries => NULL);
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', retries => -1);
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', retry_delay => '-1 s');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', timeout => '-1 s');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', cache_ttl => '-1 day');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', storage => 'temp');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', on_miss => 'none');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', settings => '{work_mem}');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', settings => '{work_mem=much}');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', indexes => '{nonsense}');
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', indexes => '{(no_such_column)}')$$);
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', indexes => '{(x; DROP TABLE de_src.t)}');
SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', indexes => '{"(x); DROP TABLE de_src.t"}');
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', indexes => '{NULL}')$$);
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', tags => '{a,NULL}')$$);
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', depends_on => '{NULL}')$$);
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', indexes => '{USING nonsense (x)}')$$);
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.e', 'SELECT point(1, 1) AS x', indexes => '{(x)}')$$);
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('de.e', 'SELECT 1 AS x', indexes => '{"CONCURRENTLY (x)"}')$$);
-- indexes that work: expression, partial, brin, include, unique with white space
SELECT vibepiper.define_asset('de.indexed', 'SELECT id, x FROM de_src.t',
    indexes => '{" unique  (id)",(lower(x)),"(x) WHERE id > 3","USING brin (id)","(id) INCLUDE (x)","(x DESC NULLS LAST)","USING hash (x)"}');
INSERT INTO de_src.t SELECT i, 'X' || i FROM generate_series(1, 10) i;
SELECT asset, status, rows FROM vibepiper.run('de', 'indexed', parallel => false);
SELECT regexp_replace(indexdef, ' INDEX .* USING ', ' INDEX ... USING ') AS index FROM pg_indexes
WHERE schemaname = 'vibepiper_store' AND tablename = (SELECT split_part(slot, '.', 2) FROM vibepiper.versions WHERE asset = 'de.indexed' AND published)
ORDER BY regexp_replace(indexdef, ' INDEX .* USING ', ' INDEX ... USING ') COLLATE "C";
SELECT asset, status, rows FROM vibepiper.run('de', 'indexed', force => true, parallel => false);

-- Unknown assets: near names, and what is no asset
SELECT vibepiper.asset_query('de.aa');
SELECT vibepiper.asset_query('de_src.t');
SELECT vibepiper.asset_query('quite.something');
SELECT vibepiper.asset_query('a.b.c');
SELECT vibepiper.asset_query(NULL);
SELECT vibepiper.drop_asset('de.bb');
SELECT vibepiper.drop_asset(NULL);
SELECT vibepiper.invalidate('de.bb');
SELECT vibepiper.is_fresh('de_src.t');
SELECT vibepiper.explain_asset('vibepiper_def."de.a"');

-- Definitions and versions are not changed by hand
SELECT pg_temp.sqlstate('CREATE OR REPLACE VIEW vibepiper_def."de.a" AS SELECT 1 AS id, ''x''::text AS x');
SELECT pg_temp.sqlstate('ALTER VIEW vibepiper_def."de.a" RENAME TO other');
SELECT pg_temp.sqlstate('INSERT INTO de.a VALUES (1, ''x'')') <> 'no error' AS refused;
SELECT pg_temp.sqlstate(format('INSERT INTO %s VALUES (1, ''x'')', :'slot'));
SELECT pg_temp.sqlstate(format('COPY %s FROM PROGRAM ''echo 1''', :'slot')) <> 'no error' AS refused;
SELECT pg_temp.sqlstate(format('TRUNCATE %s', :'slot'));
SELECT pg_temp.sqlstate(format('DROP TABLE %s', :'slot')) <> 'no error' AS refused;
SELECT pg_temp.sqlstate(format('ALTER TABLE %s ADD COLUMN y int', :'slot'));
SELECT pg_temp.sqlstate(format('ALTER TABLE %s DROP COLUMN x', :'slot'));
SELECT pg_temp.sqlstate(format('ALTER TABLE %s RENAME COLUMN x TO z', :'slot'));
SELECT pg_temp.sqlstate(format('ALTER TABLE %s SET LOGGED', :'slot'));
SELECT pg_temp.sqlstate(format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', :'slot'));
SELECT pg_temp.sqlstate(format('CREATE INDEX ON %s (id)', :'slot'));
SELECT pg_temp.sqlstate(format('CREATE RULE r AS ON INSERT TO %s DO NOTHING', :'slot'));
SELECT pg_temp.sqlstate(format('CREATE TABLE de.child () INHERITS (%s)', :'slot')) <> 'no error' AS refused;
SELECT pg_temp.sqlstate('CREATE TABLE vibepiper_store.mine (x int)') <> 'no error' AS refused;
-- not after a failure in the same transaction either, neither of a definition nor of a task
SELECT vibepiper.define_asset('de.duplicates', 'SELECT 1 AS x FROM generate_series(1, 2)', indexes => '{UNIQUE (x)}');
BEGIN;
SAVEPOINT s;
SELECT vibepiper.define_asset('de.an_enum', 'SELECT 1 AS x');
ROLLBACK TO s;
SELECT pg_temp.sqlstate(format('TRUNCATE %s', :'slot'));
ROLLBACK;
BEGIN;
SELECT asset, status, regexp_replace(error, '"[a-z]+_\d+_\d+[^"]*"', '"..."') AS error FROM vibepiper.run('de', 'duplicates', parallel => false, on_failure => 'report');
SELECT pg_temp.sqlstate(format('TRUNCATE %s', :'slot'));
ROLLBACK;
SELECT count(*) FROM de.a;

SELECT vibepiper.drop_pipeline('de', cascade => true);
DROP TABLE IF EXISTS vibepiper_store.mine;
DROP VIEW de_temp_view;
DROP SCHEMA de, de_src CASCADE;
