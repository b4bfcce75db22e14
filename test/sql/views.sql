-- The views over what is defined, stored and done.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA vi_src;
CREATE TABLE vi_src.t AS SELECT 1 AS id;
CREATE TABLE vi_src."Odd table" (id int);
CREATE VIEW vi_src.over_odd AS SELECT id FROM vi_src."Odd table";
SELECT vibepiper.define_pipeline('vi', description => 'shown');
SELECT vibepiper.define_asset('vi.a', 'SELECT id FROM vi_src.t', cache_ttl => '1 hour');
SELECT vibepiper.define_asset('vi."B"', 'SELECT a.id FROM vi.a JOIN vi_src.over_odd USING (id)');
SELECT vibepiper.define_asset('vi.lazy', 'SELECT id FROM vi."B"', lazy => true, depends_on => '{a}');

SELECT pipeline, assets, description FROM vibepiper.pipelines WHERE pipeline = 'vi';
SELECT asset, state, reason FROM vibepiper.assets WHERE pipeline = 'vi' ORDER BY asset COLLATE "C";
SELECT * FROM vibepiper.dependencies WHERE asset LIKE 'vi.%' ORDER BY asset COLLATE "C", upstream COLLATE "C";
SELECT * FROM vibepiper.sources WHERE asset LIKE 'vi.%' ORDER BY asset COLLATE "C", source COLLATE "C";
SELECT asset, status FROM vibepiper.run('vi', parallel => false);
SELECT asset, state, reason, rows, bytes IS NOT NULL AS sized, elapsed > '0' AS took_time, built_at <= clock_timestamp() AS built, as_of <= built_at AS known
FROM vibepiper.assets WHERE pipeline = 'vi' ORDER BY asset COLLATE "C";
SELECT asset, published, rows, expires_at = as_of + interval '1 hour' AS expires, slot LIKE 'vibepiper\_store.%' AS in_store, slot::regclass IS NOT NULL AS there
FROM vibepiper.versions WHERE asset LIKE 'vi.%' ORDER BY asset COLLATE "C";
-- the same rows have the same hash, others another one
SELECT vibepiper.define_asset('vi.a2', 'SELECT id FROM vi.a');
SELECT vibepiper.define_asset('vi.a3', 'SELECT id + 1 AS id FROM vi.a');
SELECT asset, status FROM vibepiper.run('vi', 'a2 a3', parallel => false);
SELECT o.asset, o.data_hash = a.data_hash AS same FROM vibepiper.versions o, vibepiper.versions a WHERE a.asset = 'vi.a' AND o.asset IN ('vi.a2', 'vi.a3') ORDER BY 1;
-- unchanged: as_of moves, built_at does not
SELECT as_of AS before_as_of, built_at AS before_built_at FROM vibepiper.assets WHERE asset = 'vi.a' \gset
SELECT asset, status FROM vibepiper.run('vi', 'a', force => true, parallel => false);
SELECT as_of > :'before_as_of' AS as_of_moved, built_at = :'before_built_at' AS same_version FROM vibepiper.assets WHERE asset = 'vi.a';

-- Under an older snapshot the views show what was
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT state FROM vibepiper.assets WHERE asset = 'vi.a';
COMMIT;

-- Joined with each other, in a sub-query, with a condition on the asset, EXPLAIN
SELECT a.asset, count(t.*) AS tasks FROM vibepiper.assets a LEFT JOIN vibepiper.tasks t USING (asset) WHERE a.pipeline = 'vi' GROUP BY 1 ORDER BY a.asset COLLATE "C";
SELECT asset FROM vibepiper.assets a WHERE pipeline = 'vi' AND EXISTS (SELECT FROM vibepiper.sources s WHERE s.asset = a.asset AND kind = 'r') ORDER BY asset COLLATE "C";

-- History outlives assets and pipelines; the rest does not
SELECT vibepiper.drop_pipeline('vi', cascade => true);
SELECT status, built + unchanged AS done FROM vibepiper.runs WHERE pipeline = 'vi' ORDER BY run_id;
SELECT asset, status, reason FROM vibepiper.tasks WHERE asset LIKE 'vi.%' ORDER BY run_id, asset COLLATE "C";
SELECT (SELECT count(*) FROM vibepiper.pipelines WHERE pipeline = 'vi') AS pipelines, (SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'vi') AS assets,
    (SELECT count(*) FROM vibepiper.versions WHERE asset LIKE 'vi.%') AS versions, (SELECT count(*) FROM vibepiper.dependencies WHERE asset LIKE 'vi.%') AS dependencies,
    (SELECT count(*) FROM vibepiper.sources WHERE asset LIKE 'vi.%') AS sources;
-- a new pipeline of that name has a history of its own
SELECT vibepiper.define_pipeline('vi');
SELECT vibepiper.define_asset('vi.a', 'SELECT 1 AS id');
SELECT asset, state, last_error FROM vibepiper.assets WHERE pipeline = 'vi';
SELECT count(*) > 0 AS kept FROM vibepiper.runs WHERE pipeline = 'vi';
SELECT min(run_id) AS old_run FROM vibepiper.runs WHERE pipeline = 'vi' \gset
DO $$
BEGIN
    PERFORM vibepiper.rollback('vi', (SELECT min(run_id) FROM vibepiper.runs WHERE pipeline = 'vi'));
EXCEPTION WHEN undefined_object THEN
    RAISE INFO 'not its run';
END $$;

SELECT vibepiper.drop_pipeline('vi', cascade => true);
DROP SCHEMA vi, vi_src CASCADE;
