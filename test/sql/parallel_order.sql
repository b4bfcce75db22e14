-- Parallel runs: which task is next.  What takes longest to the end is first: by what the published versions took,
-- or else by rows; and a task waits for its own upstreams, for nothing else.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;

CREATE SCHEMA pq_src;
CREATE TABLE pq_src.big AS SELECT i AS id FROM generate_series(1, 10000) i;
CREATE TABLE pq_src.ten AS SELECT i AS id FROM generate_series(1, 10) i;
CREATE TABLE pq_src.one AS SELECT 1 AS id;
ANALYZE pq_src.big, pq_src.ten, pq_src.one;
SELECT vibepiper.define_pipeline('pq', max_workers => 1);
SELECT count(*) FROM vibepiper.define_assets('pq', '[
    {"name": "a_small", "query": "SELECT id, now() AS t FROM pq_src.one"},
    {"name": "b1", "query": "SELECT id, now() AS t FROM pq_src.ten"},
    {"name": "b2", "query": "SELECT id, t FROM b1"},
    {"name": "b3", "query": "SELECT id, t FROM b2"},
    {"name": "c_big", "query": "SELECT id, now() AS t FROM pq_src.big"}]');
CREATE VIEW pq_src.done_in_order AS SELECT string_agg(asset, ' ' ORDER BY started_at) AS done_in_order FROM vibepiper.tasks WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs);

-- no history: rows of the sources, and how many assets there are to the end
SELECT status, count(*) FROM vibepiper.run('pq') GROUP BY 1;
TABLE pq_src.done_in_order;
-- history: what is small by rows takes longest
CREATE FUNCTION pq_src.took(name text, elapsed interval) RETURNS interval LANGUAGE sql AS $$
    UPDATE vibepiper.version SET elapsed = took.elapsed WHERE version_id = (SELECT max(version_id) FROM vibepiper.versions WHERE asset = name) RETURNING version.elapsed
$$;
SELECT pq_src.took('pq.a_small', '1 h'), pq_src.took('pq.b1', '1 s'), pq_src.took('pq.b2', '1 s'), pq_src.took('pq.b3', '1 s'), pq_src.took('pq.c_big', '1.5 s');
SELECT status, count(*) FROM vibepiper.run('pq', force => true) GROUP BY 1;
TABLE pq_src.done_in_order;
-- the end of a chain does
SELECT pq_src.took('pq.a_small', '0.1 s'), pq_src.took('pq.b1', '0.1 s'), pq_src.took('pq.b2', '0.1 s'), pq_src.took('pq.b3', '1 h'), pq_src.took('pq.c_big', '1.5 s');
SELECT status, count(*) FROM vibepiper.run('pq', force => true) GROUP BY 1;
TABLE pq_src.done_in_order;

-- One worker is held up; the chain beside it goes on to its end
SELECT vibepiper.define_pipeline('pq', max_workers => 2);
SELECT vibepiper.define_asset('pq.held', 'SELECT pg_advisory_xact_lock_shared(7617770)::text AS x');
SELECT vibepiper.define_asset('pq.after_it', 'SELECT x FROM pq.held');
SELECT pg_advisory_lock(7617770);
SELECT run_id FROM vibepiper.run('pq', 'b* held after_it', force => true, wait => false) \gset
CREATE FUNCTION pq_src.chain_is_done() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 6000 LOOP
        IF EXISTS (SELECT FROM vibepiper.run_progress WHERE built = 3 AND running = 1 AND waiting = 1) THEN
            RETURN true;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN false;
END $$;
SELECT pq_src.chain_is_done();
SELECT asset FROM vibepiper.run_workers WHERE asset IS NOT NULL;
SELECT pg_advisory_unlock(7617770);
SELECT vibepiper.wait_run(:run_id);

SELECT vibepiper.drop_pipeline('pq', cascade => true);
DROP SCHEMA pq, pq_src CASCADE;
