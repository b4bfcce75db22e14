-- Parallel runs while they go on: run_progress and run_workers, states, overlap.
-- A worker waits at a named point as long as this session holds the lock 7617769.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;

CREATE SCHEMA pp_src;
CREATE TABLE pp_src.t AS SELECT i AS id, repeat('x', 100) AS x FROM generate_series(1, 1000) i;
-- Wait until so many processes of runs wait for this session, and so many tasks are shown as running
CREATE PROCEDURE pp_src.wait_for(waiting int, running int) LANGUAGE plpgsql AS $$
BEGIN
    WHILE waiting <> (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7617769 AND NOT granted
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
        OR running <> (SELECT coalesce(sum(r.running), 0) FROM vibepiper.run_progress r) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
CREATE VIEW pp_src.runs AS SELECT pipeline, phase, leader_pid > 0 AS led, CASE WHEN phase = 'running' THEN workers END AS workers, elapsed > '0' AS has_elapsed, remaining >= '0' AS has_remaining, assets,
    waiting, running, built, unchanged, cached, deferred, failed, skipped, cancelled, snapshots,
    assets = waiting + running + built + unchanged + cached + deferred + failed + skipped + cancelled AS sums_up FROM vibepiper.run_progress;
CREATE VIEW pp_src.workers AS SELECT pid > 0 AS has_pid, asset, phase, rows, bytes > 100 * rows AS has_bytes, elapsed > '0' AS has_elapsed FROM vibepiper.run_workers;

SELECT vibepiper.define_pipeline('pp', max_workers => 1);
SELECT asset, change FROM vibepiper.define_assets('pp', '[
    {"name": "a", "query": "SELECT id, x FROM pp_src.t", "indexes": ["UNIQUE (id)", "(x)"]},
    {"name": "b", "query": "SELECT id FROM a WHERE id <= 10"},
    {"name": "c", "query": "SELECT count(*) AS n FROM b"},
    {"name": "fresh", "query": "SELECT 1 AS x"},
    {"name": "lazy", "query": "SELECT 1 AS x", "lazy": true},
    {"name": "z", "query": "SELECT 1 / 0 AS x"},
    {"name": "z_down", "query": "SELECT x FROM z"}]');
SELECT asset, status FROM vibepiper.run('pp', 'fresh');
TABLE vibepiper.run_progress;
TABLE vibepiper.run_workers;

-- Each phase of a task
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'leader.inserted=wait';
SELECT run_id FROM vibepiper.run('pp', wait => false) \gset
CALL pp_src.wait_for(1, 0);
TABLE pp_src.runs;
SELECT status FROM vibepiper.runs WHERE run_id = :run_id;
SELECT vibepiper.cancel_run(:run_id);
SELECT vibepiper.wait_run(:run_id);
SET vibepiper.debug_point = 'leader.locked=wait';
SELECT run_id FROM vibepiper.run('pp', wait => false) \gset
CALL pp_src.wait_for(1, 0);
TABLE pp_src.runs;
SELECT vibepiper.cancel_run(:run_id);
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:run_id);
CREATE FUNCTION pp_src.look(point text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM pg_advisory_lock(7617769);
    PERFORM set_config('vibepiper.debug_point', point || '=wait', false);
    SELECT run_id INTO id FROM vibepiper.run('pp', 'a', force => true, wait => false);
    CALL pp_src.wait_for(1, CASE WHEN point LIKE 'leader%' THEN 0 ELSE 1 END);
    RETURN id;
END $$;
CREATE FUNCTION pp_src.go_on(id bigint) RETURNS text LANGUAGE sql AS $$
    SELECT pg_advisory_unlock(7617769);
    SELECT vibepiper.wait_run(id)
$$;
SELECT pp_src.look('worker.begun') AS run_id \gset
TABLE pp_src.workers;
SELECT pp_src.go_on(:run_id);
INSERT INTO pp_src.t VALUES (1001, repeat('x', 100));
SELECT pp_src.look('run.filled') AS run_id \gset
TABLE pp_src.workers;
SELECT asset, state FROM vibepiper.assets WHERE asset = 'pp.a';
SELECT pp_src.go_on(:run_id);
INSERT INTO pp_src.t VALUES (1002, repeat('x', 100));
SELECT pp_src.look('run.indexed') AS run_id \gset
TABLE pp_src.workers;
SELECT pp_src.go_on(:run_id);
INSERT INTO pp_src.t VALUES (1003, repeat('x', 100));
SELECT pp_src.look('run.analyzed') AS run_id \gset
TABLE pp_src.workers;
SELECT pp_src.go_on(:run_id);
INSERT INTO pp_src.t VALUES (1004, repeat('x', 100));
SELECT pp_src.look('run.stored') AS run_id \gset
TABLE pp_src.workers;
SELECT pp_src.go_on(:run_id);
-- the same rows again
SELECT pp_src.look('run.unchanged') AS run_id \gset
TABLE pp_src.workers;
SELECT pp_src.go_on(:run_id);
SELECT status, unchanged FROM vibepiper.runs WHERE run_id = :run_id;
-- done, and not published yet
SELECT pp_src.look('leader.publishing') AS run_id \gset
TABLE pp_src.runs;
TABLE pp_src.workers;
SELECT pp_src.go_on(:run_id);
-- published: the row says that it has ended before the run lets go
SELECT pp_src.look('leader.committed') AS run_id \gset
SELECT phase FROM pp_src.runs;
SELECT status FROM vibepiper.runs WHERE run_id = :run_id;
SELECT pp_src.go_on(:run_id);
-- published one by one
SELECT vibepiper.define_pipeline('pp', max_workers => 1, publish => 'asset');
SELECT pp_src.look('worker.recorded') AS run_id \gset
TABLE pp_src.workers;
SELECT pp_src.go_on(:run_id);
SELECT vibepiper.define_pipeline('pp', max_workers => 1);

-- A source that is rewritten under the run's snapshot: it begins again with a new one, and mixes nothing
SELECT pp_src.look('worker.begun') AS run_id \gset
TRUNCATE pp_src.t;
INSERT INTO pp_src.t SELECT i, 'new' FROM generate_series(1, 20) i;
SELECT pp_src.go_on(:run_id);
SELECT count(*), min(x), max(x) FROM pp.a;
SELECT asset, status, attempts, rows FROM vibepiper.tasks WHERE run_id = :run_id;
SELECT status, error, built, failed FROM vibepiper.runs WHERE run_id = :run_id;
-- a partition that comes and one that is rewritten; one that is new since the snapshot is not in it
CREATE TABLE pp_src.parted (id int, x text) PARTITION BY RANGE (id);
CREATE TABLE pp_src.parted1 PARTITION OF pp_src.parted FOR VALUES FROM (1) TO (10);
CREATE TABLE pp_src.parted2 AS SELECT i AS id, 'two' AS x FROM generate_series(10, 19) i;
INSERT INTO pp_src.parted SELECT i, 'one' FROM generate_series(1, 9) i;
SELECT vibepiper.define_asset('pp.a', 'SELECT id, x FROM pp_src.parted', indexes => '{UNIQUE (id),(x)}');
SELECT pp_src.look('worker.begun') AS run_id \gset
ALTER TABLE pp_src.parted ATTACH PARTITION pp_src.parted2 FOR VALUES FROM (10) TO (20);
SELECT pp_src.go_on(:run_id);
SELECT x, count(*) FROM pp.a GROUP BY 1 ORDER BY 1;
SELECT pp_src.look('worker.begun') AS run_id \gset
CREATE TABLE pp_src.parted3 PARTITION OF pp_src.parted FOR VALUES FROM (20) TO (30);
INSERT INTO pp_src.parted VALUES (20, 'three');
SELECT pp_src.go_on(:run_id);
SELECT x, count(*) FROM pp.a GROUP BY 1 ORDER BY 1;
SELECT pp_src.look('worker.begun') AS run_id \gset
ALTER TABLE pp_src.parted DETACH PARTITION pp_src.parted1;
SELECT pp_src.go_on(:run_id);
SELECT x, count(*) FROM pp.a GROUP BY 1 ORDER BY 1;
-- What is dropped meanwhile
SELECT vibepiper.define_asset('pp.a', 'SELECT id, x FROM pp_src.t', indexes => '{UNIQUE (id),(x)}');
CREATE TABLE pp_src.goes AS SELECT 1 AS x;
SELECT vibepiper.define_asset('pp.gone', 'SELECT x FROM pp_src.goes'), vibepiper.define_asset('pp.beside', 'SELECT 1 AS x');
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'leader.publishing=wait';
SELECT run_id FROM vibepiper.run('pp', 'gone beside', wait => false) \gset
CALL pp_src.wait_for(1, 0);
DROP TABLE pp_src.goes CASCADE;
SELECT pp_src.go_on(:run_id);
SELECT status, error, built, failed FROM vibepiper.runs WHERE run_id = :run_id;
SELECT asset, status, error_sqlstate, error_message FROM vibepiper.tasks WHERE run_id = :run_id ORDER BY 1;
SELECT state FROM vibepiper.assets WHERE asset = 'pp.beside';
CREATE TABLE pp_src.goes AS SELECT 1 AS x;
SELECT vibepiper.define_asset('pp.gone', 'SELECT x FROM pp_src.goes');
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'worker.begun=wait';
SELECT run_id FROM vibepiper.run('pp', 'gone', wait => false) \gset
CALL pp_src.wait_for(1, 1);
DROP TABLE pp_src.goes CASCADE;
SELECT pp_src.go_on(:run_id);
SELECT asset, status, error_sqlstate, error_message FROM vibepiper.tasks WHERE run_id = :run_id ORDER BY 1;
SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relname LIKE 'gone%';
SELECT vibepiper.drop_asset('pp.beside');

-- Counts, at the n-th task: a, b, c have the longest path and are first, then z, z_down is skipped
SELECT pg_advisory_lock(7617769);
SELECT vibepiper.invalidate('pp.a');
SET vibepiper.debug_point = 'run.filled#2=wait';
SELECT run_id FROM vibepiper.run('pp', wait => false) \gset
CALL pp_src.wait_for(1, 1);
TABLE pp_src.runs;
SELECT asset, phase, rows FROM pp_src.workers;
-- what others see of the run meanwhile
SELECT status, finished_at, built, elapsed FROM vibepiper.runs WHERE run_id = :run_id;
SELECT count(*) FROM vibepiper.tasks WHERE run_id = :run_id;
-- joined by another call, which is told the same number; another one is refused
SELECT run_id = :run_id AS the_same, status FROM vibepiper.run('pp', overlap => 'join', wait => false);
DO $$BEGIN PERFORM vibepiper.run('pp', overlap => 'refuse'); EXCEPTION WHEN object_in_use THEN RAISE INFO 'refused'; END$$;
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:run_id);
SELECT status, built, unchanged, cached, deferred, failed, skipped FROM vibepiper.runs WHERE run_id = :run_id;
RESET vibepiper.debug_point;

-- Several workers, and two runs at a time; one of them waits for the other
SELECT vibepiper.define_pipeline('pp2', max_workers => 3);
SELECT count(vibepiper.define_asset('pp2.p' || i, 'SELECT id + ' || i || ' AS id FROM pp_src.t WHERE id <= 100')) FROM generate_series(1, 5) i;
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'run.filled=wait';
SELECT run_id AS first FROM vibepiper.run('pp2', wait => false) \gset
CALL pp_src.wait_for(3, 3);
SELECT run_id AS second FROM vibepiper.run('pp', 'fresh', force => true, wait => false) \gset
CALL pp_src.wait_for(4, 4);
RESET vibepiper.debug_point;
SELECT run_id AS third FROM vibepiper.run('pp2', 'p1', wait => false) \gset
SELECT * FROM pp_src.runs ORDER BY pipeline, phase;
SELECT r.pipeline, w.phase, count(*), min(rows), max(rows), count(DISTINCT w.pid) FROM vibepiper.run_workers w JOIN vibepiper.run_progress r USING (run_id) WHERE r.phase = 'running' GROUP BY 1, 2 ORDER BY 1;
SELECT run_id = :second AS is_second, phase FROM vibepiper.run_progress WHERE pipeline = 'pp';
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'pp2' AND state = 'building';
-- one that waits for its turn can be cancelled
SELECT vibepiper.cancel_run(:third);
SELECT vibepiper.wait_run(:third);
SELECT status, error, built FROM vibepiper.runs WHERE run_id = :third;
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:first), vibepiper.wait_run(:second);
SELECT status, built, unchanged FROM vibepiper.runs WHERE run_id IN (:first, :second) ORDER BY run_id;

-- An asset that wants to be alone has nothing beside it
SELECT vibepiper.define_asset('pp2.p3', 'SELECT count(*) AS id FROM pp_src.t', parallel => false);
CREATE FUNCTION pp_src.beside() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    n int;
BEGIN
    SELECT count(*) - 1 INTO n FROM vibepiper.run_workers w WHERE w.asset IS NOT NULL;
    RETURN n;
END $$;
SELECT count(vibepiper.define_asset('pp2.alone' || i, $$SELECT pp_src.beside() AS n$$, parallel => false)) FROM generate_series(1, 4) i;
SELECT status, count(*) FROM vibepiper.run('pp2', force => true) GROUP BY 1 ORDER BY 1;
SELECT a1.n, a2.n, a3.n, a4.n FROM pp2.alone1 a1, pp2.alone2 a2, pp2.alone3 a3, pp2.alone4 a4;

-- Estimates: a run of assets that took their time before
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'run.filled=wait';
SELECT run_id FROM vibepiper.run('pp2', 'p1 p2', force => true, wait => false, max_workers => 1) \gset
CALL pp_src.wait_for(1, 1);
RESET vibepiper.debug_point;
SELECT remaining >= '0' AS is_there, remaining < '1 hour' AS sane, waiting, running FROM vibepiper.run_progress;
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:run_id);
TABLE vibepiper.run_progress;
TABLE vibepiper.run_workers;

SELECT count(vibepiper.drop_pipeline(p, cascade => true)::text) FROM unnest('{pp,pp2}'::text[]) p;
DROP SCHEMA pp, pp2, pp_src CASCADE;
