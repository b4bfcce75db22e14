-- The three ways to publish, with and without failures.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA pm_src;
CREATE TABLE pm_src.t (v int, divisor int);
INSERT INTO pm_src.t VALUES (1, 1);
--  first -> second -> last        first shows what was published while the run went on
--  breaks -> after                breaks fails when divisor is 0
CREATE PROCEDURE pm_src.make(name text, mode text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vibepiper.define_pipeline(name, publish => mode);
    PERFORM vibepiper.define_assets(name, replace($q$[
        {"name": "first", "query": "SELECT v FROM pm_src.t"},
        {"name": "second", "query": "SELECT v + 100 AS v FROM first"},
        {"name": "breaks", "query": "SELECT v / divisor AS v FROM pm_src.t", "depends_on": ["second"]},
        {"name": "after", "query": "SELECT v FROM breaks"},
        {"name": "last", "query": "SELECT f.v AS f, s.v AS s FROM first f, second s", "depends_on": ["breaks"]}]$q$, 'PIPE', name)::jsonb);
END $$;
CALL pm_src.make('pm_run', 'run');
CALL pm_src.make('pm_succeeded', 'succeeded');
CALL pm_src.make('pm_asset', 'asset');
SELECT pipeline, publish FROM vibepiper.pipelines WHERE pipeline LIKE 'pm%' ORDER BY 1;

CREATE VIEW pm_src.published AS
    SELECT 'pm_run' AS pipeline, (SELECT v FROM pm_run.first), (SELECT v FROM pm_run.second) AS second, (SELECT f FROM pm_run.last) AS last_f
    UNION ALL SELECT 'pm_succeeded', (SELECT v FROM pm_succeeded.first), (SELECT v FROM pm_succeeded.second), (SELECT f FROM pm_succeeded.last)
    UNION ALL SELECT 'pm_asset', (SELECT v FROM pm_asset.first), (SELECT v FROM pm_asset.second), (SELECT f FROM pm_asset.last);
SELECT p, asset, status FROM unnest('{pm_run,pm_succeeded,pm_asset}'::text[]) p, LATERAL vibepiper.run(p, parallel => false);
TABLE pm_src.published;

-- A failure in the middle
UPDATE pm_src.t SET v = 2, divisor = 0;
SELECT p, asset, status, reason FROM unnest('{pm_run,pm_succeeded,pm_asset}'::text[]) p,
    LATERAL vibepiper.run(p, force => true, parallel => false, on_failure => 'report');
TABLE pm_src.published;
SELECT pipeline, publish, status, built, failed, skipped FROM vibepiper.runs WHERE pipeline LIKE 'pm%' ORDER BY run_id;
SELECT asset, published, count(*) FROM vibepiper.versions WHERE asset LIKE 'pm%' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT asset, state, reason FROM vibepiper.assets WHERE pipeline LIKE 'pm%' ORDER BY 1;
-- with an error at the end, all three are undone
UPDATE pm_src.t SET v = 3;
SELECT vibepiper.run('pm_run', force => true, parallel => false);
SELECT vibepiper.run('pm_succeeded', force => true, parallel => false);
SELECT vibepiper.run('pm_asset', force => true, parallel => false);
TABLE pm_src.published;

-- Mended: 'run' has published nothing, so what it had before is still what counts; the others go on
UPDATE pm_src.t SET v = 2, divisor = 1;
SELECT p, asset, status, regexp_replace(reason, 'run \d+', 'run N') AS reason FROM unnest('{pm_run,pm_succeeded,pm_asset}'::text[]) p,
    LATERAL vibepiper.run(p, parallel => false);
TABLE pm_src.published;

-- When each is published: a function that is called in the middle of a run looks at the mapping
CREATE TABLE pm_src.seen (pipeline text, mapped bool);
CREATE FUNCTION pm_src.look(pipeline text, def regclass) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pm_src.seen SELECT look.pipeline, (SELECT v.run_id = (SELECT max(run_id) FROM vibepiper.run) FROM vibepiper.mapping m JOIN vibepiper.version v USING (version_id) WHERE m.def = look.def);
    RETURN 1;
END $$;
SELECT vibepiper.define_asset(p || '.last', format('SELECT f.v AS f, pm_src.look(%L, %L) AS s FROM %I.first f, %I.second s', p, format('vibepiper_def."%s.first"', p)::regclass::oid, p, p))
FROM unnest('{pm_run,pm_succeeded,pm_asset}'::text[]) p;
UPDATE pm_src.t SET v = 4;
SELECT p, count(*) FROM unnest('{pm_run,pm_succeeded,pm_asset}'::text[]) p, LATERAL vibepiper.run(p, 'first second last', force => true, parallel => false) GROUP BY 1 ORDER BY 1;
SELECT pipeline, mapped AS published_before_the_end FROM pm_src.seen ORDER BY 1;
TABLE pm_src.published;

-- A selection publishes what it selected and nothing else
UPDATE pm_src.t SET v = 5;
SELECT asset, status FROM vibepiper.run('pm_run', 'first', force => true, parallel => false);
SELECT first.v, second.v FROM pm_run.first, pm_run.second;
SELECT asset, status, reason FROM vibepiper.run('pm_run', parallel => false);
SELECT first.v, second.v FROM pm_run.first, pm_run.second;

-- Another mode for a pipeline that has versions already
SELECT vibepiper.define_pipeline('pm_run', publish => 'asset');
UPDATE pm_src.t SET v = 6, divisor = 0;
SELECT asset, status FROM vibepiper.run('pm_run', force => true, parallel => false, on_failure => 'report');
SELECT first.v, second.v FROM pm_run.first, pm_run.second;

SELECT vibepiper.drop_pipeline(p, cascade => true) FROM unnest('{pm_run,pm_succeeded,pm_asset}'::text[]) p;
DROP SCHEMA pm_run, pm_succeeded, pm_asset, pm_src CASCADE;
