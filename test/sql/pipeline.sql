-- Pipelines: define, redefine, refuse.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

-- The SQLSTATE that a statement ends with, where its words are not the point
CREATE FUNCTION pg_temp.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

CREATE VIEW pipes AS
    SELECT pipeline, owner, schemas, assets, max_workers, publish, storage, on_miss, settings, keep_versions, description
    FROM vibepiper.pipelines ORDER BY pipeline COLLATE "C";

-- Defaults: one schema of the pipeline's name, created
SELECT vibepiper.define_pipeline('pd');
\x on
SELECT schemas, assets, max_workers, publish, storage, on_miss, settings, keep_versions, description,
       owner = current_user::regrole AS mine
FROM vibepiper.pipelines WHERE pipeline = 'pd';
\x off
SELECT nspowner::regrole = current_user::regrole AS mine FROM pg_namespace WHERE nspname = 'pd';

-- All arguments, existing and new schemas
CREATE SCHEMA pd_b;
SELECT vibepiper.define_pipeline('pd', schemas => '{pd_b,pd,pd_c}', max_workers => 3, publish => 'succeeded',
    storage => 'logged', on_miss => 'error', settings => '{work_mem=8MB,"search_path = pd, public"}',
    keep_versions => 5, description => 'It''s a pipeline');
SELECT schemas, max_workers, publish, storage, on_miss, settings, keep_versions, description
FROM pipes WHERE pipeline = 'pd';
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pd%';

-- Omitted arguments mean their defaults again; the schemas stay behind
SELECT vibepiper.define_pipeline('pd');
SELECT schemas, max_workers, publish, storage, on_miss, settings, keep_versions, description
FROM pipes WHERE pipeline = 'pd';
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pd%';
-- and what it gave up is free for another
SELECT vibepiper.define_pipeline('pd2', schemas => '{pd_b}');

-- A schema of another pipeline, a schema twice, reserved ones
SELECT vibepiper.define_pipeline('pd3', schemas => '{pd_b}');
SELECT vibepiper.define_pipeline('pd3', schemas => '{pd3,pd3}');
SELECT vibepiper.define_pipeline('pd3', schemas => '{pg_catalog}');
SELECT vibepiper.define_pipeline('pd3', schemas => '{pg_temp}');
SELECT vibepiper.define_pipeline('pd3', schemas => '{information_schema}');
SELECT vibepiper.define_pipeline('pd3', schemas => '{vibepiper}');
SELECT vibepiper.define_pipeline('pd3', schemas => '{vibepiper_def}');
SELECT vibepiper.define_pipeline('vibepiper_store');
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_pipeline('pd3', schemas => '{""}')$$) <> 'no error' AS refused;
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_pipeline('pd3', schemas => '{pd3,NULL}')$$);
-- nothing of the failed ones is left
SELECT pipeline FROM pipes WHERE pipeline LIKE 'pd%';
SELECT nspname FROM pg_namespace WHERE nspname = 'pd3';

-- Bad values
SELECT vibepiper.define_pipeline(NULL);
SELECT vibepiper.define_pipeline('');
SELECT vibepiper.define_pipeline(repeat('x', 64));
SELECT vibepiper.define_pipeline('pd3', publish => 'never');
SELECT vibepiper.define_pipeline('pd3', publish => NULL);
SELECT vibepiper.define_pipeline('pd3', storage => 'temp');
SELECT vibepiper.define_pipeline('pd3', storage => NULL);
SELECT vibepiper.define_pipeline('pd3', on_miss => 'Compute');
SELECT vibepiper.define_pipeline('pd3', on_miss => NULL);
SELECT vibepiper.define_pipeline('pd3', keep_versions => 0);
SELECT vibepiper.define_pipeline('pd3', keep_versions => 1001);
SELECT vibepiper.define_pipeline('pd3', keep_versions => NULL);
SELECT vibepiper.define_pipeline('pd3', max_workers => 0);
SELECT vibepiper.define_pipeline('pd3', max_workers => -1);
SELECT vibepiper.define_pipeline('pd3', settings => '{work_mem}');
SELECT vibepiper.define_pipeline('pd3', settings => '{=3}');
SELECT vibepiper.define_pipeline('pd3', settings => '{work_mem=a lot}');
SELECT vibepiper.define_pipeline('pd3', settings => '{no_such_setting=1}');
SELECT vibepiper.define_pipeline('pd3', settings => '{shared_buffers=1GB}');
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_pipeline('pd3', settings => '{work_mem=1MB,NULL}')$$);
SELECT pipeline FROM pipes WHERE pipeline LIKE 'pd%';

-- Limits that are allowed
SELECT vibepiper.define_pipeline('pd', keep_versions => 1000, max_workers => 1);
SELECT vibepiper.define_pipeline(repeat('x', 63));
SELECT length(schemas[1]::text) FROM pipes WHERE pipeline LIKE 'xxx%';

-- Names that need quotes, and Unicode
SELECT vibepiper.define_pipeline('Größe "2" — Ωmega''s');
SELECT vibepiper.define_pipeline('PD Upper', schemas => ARRAY['PD Upper', 'übersicht', 'a.b', 'sel"ect']);
SELECT pipeline, schemas FROM pipes WHERE pipeline IN ('Größe "2" — Ωmega''s', 'PD Upper');
SELECT vibepiper.define_asset('"PD Upper"."A b"', 'SELECT 1 AS "X y"');
SELECT vibepiper.define_asset('"a.b"."c.d"', 'SELECT "X y" FROM "A b"');
SELECT vibepiper.define_asset('"sel""ect"."fr""om"', 'SELECT "X y" + 1 AS "ü" FROM "c.d"');
SELECT vibepiper.define_asset('übersicht.größe', 'SELECT ü AS "Ü" FROM "fr""om"');
SELECT asset, status, reason, rows FROM vibepiper.run('PD Upper', parallel => false);
SELECT * FROM übersicht.größe;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'PD Upper' ORDER BY asset COLLATE "C";
SELECT asset, upstream FROM vibepiper.dependencies WHERE asset LIKE 'übersicht.%' OR asset LIKE '"%' ORDER BY asset COLLATE "C";

-- A pipeline can't give up a schema that has assets of it
SELECT vibepiper.define_pipeline('PD Upper', schemas => ARRAY['PD Upper', 'a.b', 'sel"ect']);
SELECT schemas FROM pipes WHERE pipeline = 'PD Upper';

-- Unknown pipelines: near names
SELECT vibepiper.drop_pipeline('PD Uper');
SELECT vibepiper.drop_pipeline('quite another name altogether');
SELECT vibepiper.drop_pipeline(NULL);
SELECT * FROM vibepiper.plan('pd22');

-- With assets only with cascade; schemas stay
SELECT vibepiper.drop_pipeline('PD Upper');
SELECT vibepiper.drop_pipeline('PD Upper', cascade => NULL);
SELECT vibepiper.drop_pipeline('PD Upper', cascade => true);
SELECT count(*) FROM pg_class WHERE relnamespace IN ('"PD Upper"'::regnamespace, '"a.b"'::regnamespace, '"sel""ect"'::regnamespace, 'übersicht'::regnamespace);
SELECT count(*) FROM pg_class WHERE relnamespace IN ('vibepiper_def'::regnamespace, 'vibepiper_store'::regnamespace)
    AND relname ~ '(A b|c\.d|fr"om|größe)';

-- on_miss of the pipeline reaches assets that don't say
SELECT vibepiper.define_pipeline('pd');
SELECT vibepiper.define_asset('pd.inherits', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('pd.says', 'SELECT 1 AS x', on_miss => 'compute');
SELECT vibepiper.define_pipeline('pd', on_miss => 'error');
SELECT asset, on_miss FROM vibepiper.assets WHERE pipeline = 'pd' ORDER BY 1;
SELECT * FROM pd.inherits;
SELECT * FROM pd.says;
SELECT vibepiper.define_pipeline('pd');
SELECT * FROM pd.inherits;

-- An empty list of schemas is no list
SELECT vibepiper.define_pipeline('pd4', schemas => '{}');
SELECT schemas FROM pipes WHERE pipeline = 'pd4';

-- A pipeline goes with its last schema
CREATE SCHEMA pd_gone;
SELECT vibepiper.define_pipeline('pd_lost', schemas => '{pd_gone}');
SELECT vibepiper.define_asset('pd_gone.a', 'SELECT 1 AS x');
DROP SCHEMA pd_gone CASCADE;
SELECT pipeline, schemas, assets FROM pipes WHERE pipeline = 'pd_lost';
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('pd_gone.a', 'SELECT 1 AS x')$$);
SELECT pg_temp.sqlstate($$SELECT * FROM vibepiper.define_assets('pd_lost', '[{"name": "a", "query": "SELECT 1 AS x"}]')$$);
SELECT pg_temp.sqlstate($$SELECT * FROM vibepiper.define_assets('pd_lost', '[{"name": "pd_gone.a", "query": "SELECT 1 AS x"}]')$$);
SELECT * FROM vibepiper.plan('pd_lost');
SELECT asset, status FROM vibepiper.run('pd_lost', parallel => false);
SELECT vibepiper.define_pipeline('pd_lost', schemas => '{pd_gone}');
SELECT vibepiper.define_asset('pd_gone.a', 'SELECT 1 AS x');
SELECT asset, status FROM vibepiper.run('pd_lost', parallel => false);
-- one of two
SELECT vibepiper.define_pipeline('pd_lost', schemas => '{pd_gone,pd_left}');
SELECT vibepiper.define_asset('pd_left.b', 'SELECT x FROM pd_gone.a');
DROP SCHEMA pd_gone CASCADE;
SELECT schemas, assets FROM pipes WHERE pipeline = 'pd_lost';
SELECT pg_temp.sqlstate($$SELECT * FROM vibepiper.define_assets('pd_lost', '[{"name": "a", "query": "SELECT 1 AS x"}]')$$) <> 'XX000' AS sane;
SELECT vibepiper.define_asset('pd_left.c', 'SELECT 1 AS x');
SELECT asset, status FROM vibepiper.run('pd_lost', parallel => false);

-- Rolled back with its transaction
BEGIN;
SELECT vibepiper.define_pipeline('pd_tx');
SELECT vibepiper.define_asset('pd_tx.a', 'SELECT 1 AS x');
ROLLBACK;
SELECT count(*) FROM pipes WHERE pipeline = 'pd_tx';
SELECT count(*) FROM pg_namespace WHERE nspname = 'pd_tx';

DROP VIEW pipes;
SELECT vibepiper.drop_pipeline(pipeline, cascade => true) FROM vibepiper.pipelines
    WHERE pipeline LIKE 'pd%' OR pipeline LIKE 'xxx%' OR pipeline LIKE 'Größe%' ORDER BY pipeline COLLATE "C";
SELECT format('DROP SCHEMA %I', nspname) FROM pg_namespace
    WHERE nspname LIKE 'pd%' OR nspname LIKE 'xxx%' OR nspname LIKE 'Größe%' OR nspname IN ('PD Upper', 'übersicht', 'a.b', 'sel"ect')
    ORDER BY nspname COLLATE "C" \gexec
