-- Dropping assets and pipelines, and what users do to stubs and schemas by hand.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE FUNCTION pg_temp.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

-- What is left of pipelines dr*: stubs, definitions, slots, rows of the catalog
CREATE FUNCTION pg_temp.left_over() RETURNS TABLE (what text, n bigint) LANGUAGE sql AS $$
    SELECT 'definitions', count(*) FROM pg_class WHERE relnamespace = 'vibepiper_def'::regnamespace AND relname LIKE 'dr%'
    UNION ALL SELECT 'slots of nobody', count(*) FROM pg_class c WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r'
        AND NOT EXISTS (SELECT FROM vibepiper.slot s JOIN vibepiper.asset USING (asset_id) WHERE s.slot = c.oid)
    UNION ALL SELECT 'rows of nobody', (SELECT count(*) FROM vibepiper.slot WHERE asset_id NOT IN (SELECT asset_id FROM vibepiper.asset))
        + (SELECT count(*) FROM vibepiper.version WHERE asset_id NOT IN (SELECT asset_id FROM vibepiper.asset))
        + (SELECT count(*) FROM vibepiper.mapping WHERE def NOT IN (SELECT def FROM vibepiper.asset))
        + (SELECT count(*) FROM vibepiper.publication WHERE asset_id NOT IN (SELECT asset_id FROM vibepiper.asset))
        + (SELECT count(*) FROM vibepiper.dependency WHERE asset_id NOT IN (SELECT asset_id FROM vibepiper.asset) OR upstream_id NOT IN (SELECT asset_id FROM vibepiper.asset))
    UNION ALL SELECT 'assets without views', count(*) FROM vibepiper.asset a
        WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = a.stub) OR NOT EXISTS (SELECT FROM pg_class WHERE oid = a.def)
    UNION ALL SELECT 'assets', count(*) FROM vibepiper.assets WHERE pipeline LIKE 'dr%'
$$;

CREATE SCHEMA dr_src;
CREATE TABLE dr_src.t AS SELECT i AS id FROM generate_series(1, 5) i;
SELECT vibepiper.define_pipeline('dr');
CREATE FUNCTION dr_src.define_all() RETURNS void LANGUAGE sql AS $$
    SELECT vibepiper.define_asset('dr.a', 'SELECT id FROM dr_src.t');
    SELECT vibepiper.define_asset('dr.b', 'SELECT id FROM dr.a');
    SELECT vibepiper.define_asset('dr.c', 'SELECT id FROM dr.b');
    SELECT vibepiper.define_asset('dr.d', 'SELECT b.id FROM dr.b JOIN dr.c USING (id)');
    SELECT vibepiper.define_asset('dr.by_hand', 'SELECT 1 AS x', depends_on => '{a}');
    SELECT count(*) FROM vibepiper.run('dr', parallel => false);
$$;
SELECT dr_src.define_all();

-- Not while something reads it
SELECT vibepiper.drop_asset('dr.b');
SELECT vibepiper.drop_asset('dr.b', cascade => false);
SELECT vibepiper.drop_asset('dr.b', cascade => NULL);
SELECT vibepiper.drop_asset('dr.a');
CREATE VIEW dr_src.v AS SELECT id FROM dr.d;
SELECT pg_temp.sqlstate($$SELECT vibepiper.drop_asset('dr.d')$$);
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
-- with cascade: assets and views
SELECT vibepiper.drop_asset('dr.b', cascade => true);
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT to_regclass('dr_src.v');
SELECT * FROM pg_temp.left_over();
SELECT vibepiper.drop_asset('dr.a', cascade => true);
SELECT * FROM pg_temp.left_over();

-- Rolled back with its transaction
SELECT dr_src.define_all();
BEGIN;
SELECT vibepiper.drop_asset('dr.a', cascade => true);
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'dr';
ROLLBACK;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT count(*) FROM dr.d;
SELECT * FROM pg_temp.left_over();
-- dropped and made again in one transaction
BEGIN;
SELECT vibepiper.drop_asset('dr.a', cascade => true);
SELECT dr_src.define_all();
COMMIT;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;

-- DROP VIEW of a stub
DROP VIEW dr.b;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
DROP VIEW dr.d;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
DROP VIEW dr.b CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT * FROM pg_temp.left_over();
SELECT asset, status FROM vibepiper.run('dr', parallel => false);
-- with DROP ... CASCADE of a source's table, several at once
SELECT dr_src.define_all();
DROP TABLE dr_src.t;
DROP TABLE dr_src.t CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT * FROM pg_temp.left_over();
CREATE TABLE dr_src.t AS SELECT i AS id FROM generate_series(1, 5) i;
SELECT dr_src.define_all();
-- an upstream that only depends_on names is found again, too
SELECT upstream, declared FROM vibepiper.dependencies WHERE asset = 'dr.by_hand';
DROP VIEW dr.c, dr.d, dr.by_hand;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
-- a definition cannot be dropped while its stub is there
SELECT pg_temp.sqlstate('DROP VIEW vibepiper_def."dr.b"') <> 'no error' AS refused;
DROP VIEW vibepiper_def."dr.b" CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT * FROM pg_temp.left_over();
-- and in a transaction that is rolled back
SELECT dr_src.define_all();
BEGIN;
DROP VIEW dr.a CASCADE;
ROLLBACK;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT count(*) FROM dr.d;

-- Renaming a stub, its column, its schema
ALTER VIEW dr.b RENAME TO "B two";
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT count(*) FROM dr."B two";
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'dr.c';
SELECT asset, status FROM vibepiper.run('dr', '"B two"+', force => true, parallel => false);
SELECT vibepiper.define_asset('dr."B two"', 'SELECT id FROM dr.a');
-- a new asset may take the old name
SELECT vibepiper.define_asset('dr.b', 'SELECT id + 100 AS id FROM dr.a');
SELECT asset, status FROM vibepiper.run('dr', 'b', parallel => false);
SELECT min(id) FROM dr.b;
SELECT min(id) FROM dr."B two";
SELECT vibepiper.drop_asset('dr.b');
ALTER SCHEMA dr RENAME TO dr2;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT schemas FROM vibepiper.pipelines WHERE pipeline = 'dr';
SELECT count(*) FROM dr2.d;
SELECT asset, status FROM vibepiper.run('dr', force => true, parallel => false);
ALTER SCHEMA dr2 RENAME TO dr;
-- a source's name and column
ALTER TABLE dr_src.t RENAME TO t2;
ALTER TABLE dr_src.t2 RENAME COLUMN id TO number;
SELECT action, reason FROM vibepiper.plan('dr', 'a');
SELECT source FROM vibepiper.sources WHERE asset = 'dr.a';
SELECT asset, status, rows FROM vibepiper.run('dr', 'a', force => true, parallel => false);
SELECT vibepiper.define_asset('dr.a', 'SELECT number AS id FROM dr_src.t2');
ALTER TABLE dr_src.t2 RENAME COLUMN number TO id;
ALTER TABLE dr_src.t2 RENAME TO t;
-- a column of a stub: the asset still reads, or says what is wrong
ALTER VIEW dr.by_hand RENAME COLUMN x TO z;
SELECT pg_temp.sqlstate('SELECT z FROM dr.by_hand');
-- not to a schema that is not the pipeline's
CREATE SCHEMA dr_elsewhere;
ALTER VIEW dr.c SET SCHEMA dr_elsewhere;
SELECT asset, status FROM vibepiper.run('dr', force => true, parallel => false) WHERE asset LIKE '%.c';
SELECT count(*) FROM vibepiper.plan('dr');

-- DROP SCHEMA
DROP SCHEMA dr;
DROP SCHEMA dr CASCADE;
DROP SCHEMA dr_elsewhere CASCADE;
SELECT * FROM pg_temp.left_over();
SELECT pipeline, schemas, assets FROM vibepiper.pipelines WHERE pipeline = 'dr';
SELECT vibepiper.drop_pipeline('dr');

-- DROP SCHEMA of one of two, with dependents in the other
SELECT vibepiper.define_pipeline('dr', schemas => '{dr,dr_two}');
SELECT dr_src.define_all();
SELECT vibepiper.define_asset('dr_two.e', 'SELECT id FROM dr.d');
SELECT vibepiper.define_asset('dr_two.f', 'SELECT 1 AS x');
DROP SCHEMA dr CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT * FROM pg_temp.left_over();
SELECT asset, status FROM vibepiper.run('dr', parallel => false);

-- Functions and types that definitions use
CREATE TYPE dr_src.mood AS ENUM ('sad', 'ok', 'happy');
CREATE FUNCTION dr_src.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
SELECT vibepiper.define_asset('dr_two.uses', $$SELECT dr_src.f(id) AS id, 'ok'::dr_src.mood AS mood FROM dr_src.t$$);
SELECT asset, status FROM vibepiper.run('dr', 'uses', parallel => false);
SELECT pg_temp.sqlstate('DROP FUNCTION dr_src.f(int)');
SELECT pg_temp.sqlstate('DROP TYPE dr_src.mood');
DROP FUNCTION dr_src.f(int) CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
DROP TYPE dr_src.mood;
CREATE TYPE dr_src.mood AS ENUM ('sad', 'ok', 'happy');
SELECT vibepiper.define_asset('dr_two.uses', $$SELECT 'ok'::dr_src.mood AS mood FROM dr_src.t$$);
SELECT asset, status FROM vibepiper.run('dr', 'uses', parallel => false);
DROP TYPE dr_src.mood CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dr' ORDER BY 1;
SELECT * FROM pg_temp.left_over();

SELECT vibepiper.drop_pipeline('dr', cascade => true);
SELECT * FROM pg_temp.left_over();
SELECT vibepiper.drop_pipeline('dr');
-- the history of runs stays
SELECT count(*) > 5 AS kept FROM vibepiper.runs WHERE pipeline = 'dr';
DROP SCHEMA dr_two, dr_src CASCADE;
