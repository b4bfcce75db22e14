-- Parallel runs: the default; they do and say what a serial run does.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
SET vibepiper.max_workers = 3;

CREATE SCHEMA pr_src;
CREATE TABLE pr_src.t (id int, x text);
INSERT INTO pr_src.t SELECT i, i::text FROM generate_series(1, 4) i;
CREATE FUNCTION pr_src.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
-- Wait until a process of a run waits for this session, which holds the lock of named points
CREATE PROCEDURE pr_src.wait_for_point() LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7617769 AND NOT granted
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- Two pipelines alike: pr is run in parallel, prs serially
CREATE FUNCTION pr_src.define(pipeline text) RETURNS TABLE (a text, c text) LANGUAGE sql AS $$
    SELECT vibepiper.define_pipeline(pipeline);
    SELECT asset, change FROM vibepiper.define_assets(pipeline, '[
        {"name": "a", "query": "SELECT id, x FROM pr_src.t", "indexes": ["UNIQUE (id)"], "tags": ["base"]},
        {"name": "b", "query": "SELECT id FROM a WHERE id % 2 = 0"},
        {"name": "c", "query": "SELECT a.id, b.id AS even FROM a LEFT JOIN b USING (id)", "tags": ["top"]},
        {"name": "n", "query": "SELECT id, x::int AS n FROM pr_src.t WHERE x NOT LIKE ''x%''"},
        {"name": "m", "query": "SELECT sum(n) AS s FROM n JOIN c USING (id)"},
        {"name": "lazy", "query": "SELECT count(*) AS n FROM c", "lazy": true},
        {"name": "on_lazy", "query": "SELECT n + 1 AS n FROM lazy"},
        {"name": "always", "query": "SELECT 1 AS x", "cache": false}]')
$$;
SELECT * FROM pr_src.define('pr');
SELECT count(*) FROM pr_src.define('prs');

-- Run both; the parallel run's rows, and whether the serial run's are the same but for the time
CREATE FUNCTION pr_src.both(arguments text = 'selection => NULL')
RETURNS TABLE (asset text, status text, reason text, rows bigint, error text, same_as_serial bool) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        SELECT asset, p.status, p.reason, p.rows, p.error, p.ctid IS NOT DISTINCT FROM s.ctid AND
            (p.status, p.reason, p.rows, p.bytes, p.error, p.took, p.one) IS NOT DISTINCT FROM (s.status, s.reason, s.rows, s.bytes, s.error, s.took, s.one)
        FROM pr_src.plain('pr', %1$L) p FULL JOIN pr_src.plain('prs', %2$L || ', parallel => false') s USING (asset) ORDER BY p.ctid$q$,
        arguments, replace(arguments, 'pr.', 'prs.'));
END $$;
CREATE FUNCTION pr_src.plain(pipeline text, arguments text)
RETURNS TABLE (ctid bigint, asset text, status text, reason text, rows bigint, bytes bigint, error text, took bool, one bool) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        SELECT ordinality, replace(asset, 'prs.', 'pr.'), status, regexp_replace(replace(reason, 'prs.', 'pr.'), 'run \d+', 'run N'), rows, bytes, error,
            elapsed > '0', run_id = max(run_id) OVER () FROM vibepiper.run(%L, on_failure => 'report', %s) WITH ORDINALITY$q$, pipeline, arguments);
END $$;

SELECT * FROM pr_src.both();
TABLE pr.c ORDER BY 1;
SELECT * FROM pr.m, pr.on_lazy;
-- what is recorded of them: the same, but for "parallel"
SELECT bool_and(parallel) AS parallel, pipeline, kind, selection, force, publish, role = current_user::regrole AS mine, status, error, retry_of,
       finished_at >= started_at AS ended, elapsed > '0' AS took_time, built, unchanged, cached, deferred, failed, skipped
FROM vibepiper.runs WHERE pipeline IN ('pr', 'prs') GROUP BY run_id, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 ORDER BY pipeline;
CREATE VIEW pr_src.recorded AS
    SELECT pipeline, replace(asset, 'prs.', 'pr.') AS asset, t.status, replace(reason, 'prs.', 'pr.') AS reason, rows, bytes, t.started_at BETWEEN r.started_at AND r.finished_at AS within,
        t.elapsed >= compute_elapsed + index_elapsed + analyze_elapsed AS sums_up, version_id IS NOT NULL AS version, attempts, error_sqlstate, error_message
    FROM vibepiper.tasks t JOIN vibepiper.runs r USING (run_id) WHERE run_id IN (SELECT max(run_id) FROM vibepiper.runs GROUP BY pipeline);
SELECT asset, status, reason, rows, bytes > 0 AS size, within, sums_up, version, attempts, error_sqlstate, count(DISTINCT pipeline), array_agg(DISTINCT pipeline)
FROM pr_src.recorded WHERE pipeline IN ('pr', 'prs') GROUP BY bytes, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ORDER BY asset;
SELECT asset, state, reason, rows FROM vibepiper.assets WHERE pipeline = 'pr' ORDER BY asset;

-- cached, and unchanged
SELECT * FROM pr_src.both();
SELECT vibepiper.invalidate(p || '.a', downstream => false) FROM unnest('{pr,prs}'::text[]) p;
SELECT * FROM pr_src.both('selection => ''@a''');
-- early cutoff: a changes, b doesn't
INSERT INTO pr_src.t VALUES (5, '5');
SELECT vibepiper.invalidate(p || '.a', downstream => false) FROM unnest('{pr,prs}'::text[]) p;
SELECT * FROM pr_src.both();
TABLE pr.c ORDER BY 1;
-- forced, all and some
SELECT * FROM pr_src.both('force => true');
SELECT * FROM pr_src.both('selection => ''b+1 tag:base'', force => true');
SELECT * FROM pr_src.both('selection => ''pr.m''');
SELECT * FROM pr_src.both('selection => ''lazy''');
SELECT run_id = max(run_id) OVER () AS last, selection, force, cached, deferred FROM vibepiper.runs WHERE pipeline = 'pr' ORDER BY run_id DESC LIMIT 3;

-- failed and skipped: m is downstream of n; nothing is published, what was computed is kept
INSERT INTO pr_src.t VALUES (6, 'six');
SELECT * FROM pr_src.both('force => true');
SELECT count(*) FROM pr.a;
SELECT asset, status, reason, version, attempts, error_sqlstate, error_message, count(DISTINCT pipeline)
FROM pr_src.recorded WHERE pipeline IN ('pr', 'prs') GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY asset;
-- what was computed and not published: published is still the old version, and it is fresh
SELECT * FROM pr_src.both('selection => ''a b c''');
-- where nothing was published, it is computed again
SELECT vibepiper.define_asset(p || '.new', 'SELECT count(*) AS n FROM b') FROM unnest('{pr,prs}'::text[]) p;
SELECT * FROM pr_src.both('selection => ''new n'', force => true');
SELECT * FROM pr_src.both('selection => ''new''');
SELECT vibepiper.drop_asset(p || '.new') FROM unnest('{pr,prs}'::text[]) p;
-- cancelled by fail_fast: all are downstream of a, which fails
SELECT vibepiper.define_asset(p || '.a', 'SELECT id, x::int::text AS x FROM pr_src.t', indexes => '{UNIQUE (id)}', tags => '{base}') FROM unnest('{pr,prs}'::text[]) p;
SELECT * FROM pr_src.both('selection => ''a b c'', force => true, fail_fast => true');
SELECT status, error, built, failed, skipped FROM vibepiper.runs WHERE pipeline = 'pr' ORDER BY run_id DESC LIMIT 1;
DELETE FROM pr_src.t WHERE id = 6;
SELECT * FROM pr_src.both();

-- Pins: a run leaves them alone, a forced one ends them
SELECT max(run_id) FILTER (WHERE pipeline = 'pr') AS pr_run, max(run_id) FILTER (WHERE pipeline = 'prs') AS prs_run FROM vibepiper.runs \gset
INSERT INTO pr_src.t VALUES (14, '14');
SELECT status, count(*), bool_and(same_as_serial) FROM pr_src.both('force => true') GROUP BY 1 ORDER BY 1;
SELECT asset FROM vibepiper.rollback('pr', :pr_run) ORDER BY 1;
SELECT count(*) FROM vibepiper.rollback('prs', :prs_run);
SELECT * FROM pr_src.both();
SELECT * FROM pr_src.both('force => true, selection => ''a n''');
SELECT asset, pinned_run IS NOT NULL AS pinned FROM vibepiper.assets WHERE pipeline = 'pr' ORDER BY 1;
SELECT vibepiper.release('pr') = vibepiper.release('prs') AS as_many;
SELECT * FROM pr_src.both();

-- Assets of another pipeline as upstreams: read as published, not run
SELECT vibepiper.define_pipeline('pr_down');
SELECT vibepiper.define_asset('pr_down.d', 'SELECT id FROM pr.b');
SELECT vibepiper.define_asset('pr_down.e', 'SELECT count(*) AS n FROM pr_down.d JOIN pr.a USING (id)');
UPDATE pr_src.t SET id = 8 WHERE id = 1;
SELECT asset, status, reason, rows FROM vibepiper.run('pr_down');
TABLE pr_down.e;
SELECT asset, status, rows FROM vibepiper.run('pr', 'a+', force => true);
SELECT asset, status, reason, rows FROM vibepiper.run('pr_down');
TABLE pr_down.e;
SELECT asset, status, reason FROM vibepiper.run('pr_down');

-- Nothing to do: no process, a row in runs
SET vibepiper.debug_point = 'leader.inserted=error';
SELECT asset, status FROM vibepiper.run('pr_down');
SELECT asset, status FROM vibepiper.run('pr_down', 'e');
SELECT run_id > 0 AS has_id, asset, status, reason, rows, elapsed, bytes, error FROM vibepiper.run('pr_down', wait => false);
SELECT vibepiper.wait_run(run_id) FROM vibepiper.run('pr_down', wait => false);
SELECT parallel, status, selection, cached, elapsed >= '0' AS took_time FROM vibepiper.runs WHERE pipeline = 'pr_down' ORDER BY run_id DESC LIMIT 3;
-- no asset at all
SELECT vibepiper.define_pipeline('pr_empty');
SELECT asset, status FROM vibepiper.run('pr_empty');
SELECT asset, status FROM vibepiper.run('pr_empty', wait => false);
SELECT parallel, status, built, cached FROM vibepiper.runs WHERE pipeline = 'pr_empty';
-- the point would have been reached
SELECT regexp_replace(pr_src.sqlstate($$SELECT status FROM vibepiper.run('pr_down', force => true)$$), '\d+:', 'N:');
SELECT status, regexp_replace(error, '"[a-z.]+"', '"..."') AS error FROM vibepiper.runs WHERE pipeline = 'pr_down' ORDER BY run_id DESC LIMIT 1;
RESET vibepiper.debug_point;
-- a selection that matches nothing, wholly or in part; the same words, and no run
\set before '(SELECT count(*) FROM vibepiper.runs)'
SELECT :before AS runs \gset
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr', 'nothing')$$);
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr', 'a -a')$$);
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr', 'a')$$);
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr', 'tag:none')$$) = pr_src.sqlstate($$SELECT vibepiper.run('pr', 'tag:none', parallel => false)$$);
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr', '')$$) = pr_src.sqlstate($$SELECT vibepiper.run('pr', '', parallel => false)$$);
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr_empty', 'a')$$);
SELECT :before - :runs AS more;

-- An asset with 200 upstreams
SELECT vibepiper.define_pipeline('pr_wide');
SELECT count(*) FROM vibepiper.define_assets('pr_wide', (SELECT jsonb_agg(jsonb_build_object('name', 'u' || i, 'query', 'SELECT ' || i || ' AS x')) FROM generate_series(1, 200) i)
    || jsonb_build_array(jsonb_build_object('name', 'all_of_them', 'query', (SELECT string_agg('SELECT x FROM u' || i, ' UNION ALL ') FROM generate_series(1, 200) i))));
SELECT status, count(*), min(rows), max(rows) FROM vibepiper.run('pr_wide') GROUP BY 1;
SELECT count(*), sum(x) FROM pr_wide.all_of_them;
SELECT count(*) FROM vibepiper.dependencies WHERE asset = 'pr_wide.all_of_them';
SELECT vibepiper.invalidate('pr_wide.u' || i, downstream => false) FROM generate_series(7, 8) i;
SELECT asset, status, reason FROM vibepiper.run('pr_wide') WHERE status <> 'cached' OR asset = 'pr_wide.all_of_them' ORDER BY 1;

-- A chain of 200, on one worker and on many
SELECT vibepiper.define_pipeline('pr_chain');
SELECT count(*) FROM vibepiper.define_assets('pr_chain', (SELECT jsonb_agg(jsonb_build_object('name', 'c' || i, 'query',
    CASE i WHEN 1 THEN 'SELECT 1 AS x' ELSE 'SELECT x + 1 AS x FROM c' || i - 1 END)) FROM generate_series(1, 200) i));
SELECT status, count(*) FROM vibepiper.run('pr_chain', max_workers => 1) GROUP BY 1;
TABLE pr_chain.c200;
SELECT vibepiper.define_asset('pr_chain.c1', 'SELECT 11 AS x');
SELECT status, count(*) FROM vibepiper.run('pr_chain', max_workers => 8) GROUP BY 1;
TABLE pr_chain.c200;

-- A diamond of diamonds
SELECT vibepiper.define_pipeline('pr_diamond', max_workers => 2);
SELECT count(*) FROM vibepiper.define_assets('pr_diamond', '[{"name": "d0", "query": "SELECT 1 AS x"}]' || (SELECT jsonb_agg(jsonb_build_object('name', s || i,
    'query', CASE s WHEN 'd' THEN format('SELECT l.x + r.x AS x FROM l%1$s l, r%1$s r', i) ELSE format('SELECT x FROM d%s', i - 1) END)) FROM generate_series(1, 10) i, unnest('{l,r,d}'::text[]) s));
SELECT status, count(*) FROM vibepiper.run('pr_diamond') GROUP BY 1;
TABLE pr_diamond.d10;

-- Names that need quotes, of 63 bytes
SELECT repeat('é', 31) || '"' AS name, repeat('A ', 31) || '.' AS other \gset
SELECT vibepiper.define_pipeline(:'name');
SELECT vibepiper.define_asset(quote_ident(:'name') || '.' || quote_ident(:'name'), 'SELECT 1 AS x');
SELECT vibepiper.define_asset(quote_ident(:'name') || '.' || quote_ident(:'other'), format('SELECT 1 / (x - 1) AS x FROM %I', :'name'));
SELECT asset, status, reason, rows, error FROM vibepiper.run(:'name', on_failure => 'report');
SELECT pr_src.sqlstate(format('SELECT vibepiper.run(%L)', :'name'));
SELECT vibepiper.define_asset(quote_ident(:'name') || '.' || quote_ident(:'other'), format('SELECT x + 1 AS x FROM %I', :'name'));
SELECT asset, status, reason, rows, error FROM vibepiper.run(:'name', quote_ident(:'name') || '+');
SELECT x FROM :"name".:"other";

-- Not waited for: one row; waited for later
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'leader.snapshot=wait';
SELECT run_id, asset, status, reason, rows, elapsed, bytes, error FROM vibepiper.run('pr_down', force => true, wait => false) \gset
\echo :asset :status :reason :rows :elapsed :bytes :error
CALL pr_src.wait_for_point();
RESET vibepiper.debug_point;
SELECT status, finished_at, error FROM vibepiper.runs WHERE run_id = :run_id;
SELECT vibepiper.wait_run(:run_id, timeout => '0');
SELECT vibepiper.wait_run(:run_id, '10 ms');
SELECT pr_src.sqlstate(format('SELECT vibepiper.run(%L, overlap => %L)', 'pr_down', 'refuse')) = format('55006 run %s of pipeline "pr_down" is in progress', :run_id) AS refused;
SELECT pr_src.sqlstate(format('SELECT vibepiper.retry_run(%s)', :run_id)) = format('55006 run %s is still in progress', :run_id) AS refused;
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:run_id);
SELECT vibepiper.wait_run(:run_id, '0');
SELECT status, built, unchanged FROM vibepiper.runs WHERE run_id = :run_id;
SELECT vibepiper.cancel_run(:run_id);

-- Cancelled: nothing is published, the row says who did it
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'leader.loaded=wait';
INSERT INTO pr_src.t VALUES (10, '10');
SELECT run_id FROM vibepiper.run('pr', 'a b', force => true, wait => false) \gset
CALL pr_src.wait_for_point();
RESET vibepiper.debug_point;
SELECT vibepiper.cancel_run(:run_id);
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:run_id);
SELECT vibepiper.cancel_run(:run_id);
SELECT status, error, built, failed, skipped, finished_at >= started_at AS ended FROM vibepiper.runs WHERE run_id = :run_id;
SELECT asset, status, reason, rows, attempts, error_sqlstate FROM vibepiper.tasks WHERE run_id = :run_id ORDER BY 1;
SELECT count(*) FROM pr.a WHERE id = 10;
SELECT state FROM vibepiper.assets WHERE asset = 'pr.a';

-- Transactions around it: the run is not undone with them
BEGIN;
SELECT asset, status FROM vibepiper.run('pr', 'a', force => true);
SELECT count(*) FROM pr.a WHERE id = 10;
ROLLBACK;
SELECT count(*) FROM pr.a WHERE id = 10;
DELETE FROM pr_src.t WHERE id = 10;
BEGIN;
SAVEPOINT s;
SELECT asset, status FROM vibepiper.run('pr', 'a', force => true);
ROLLBACK TO s;
SELECT count(*) FROM pr.a WHERE id = 10;
COMMIT;
-- in a DO block, a function, after an error that was caught
INSERT INTO pr_src.t VALUES (11, '11');
DO $$
DECLARE
    n int;
BEGIN
    BEGIN
        PERFORM vibepiper.run('pr', 'nothing');
    EXCEPTION WHEN undefined_object THEN
        RAISE INFO '%', SQLERRM;
    END;
    BEGIN
        PERFORM vibepiper.run('pr', 'a', force => true);
        SELECT count(*) INTO n FROM pr.a WHERE id = 11;
        RAISE 'undone, after it has seen %', n;
    EXCEPTION WHEN raise_exception THEN
        RAISE INFO '%', SQLERRM;
    END;
    SELECT count(*) INTO n FROM pr.a WHERE id = 11;
    RAISE INFO '%', n;
END $$;
CREATE FUNCTION pr_src.run_it(OUT before bigint, OUT statuses text[], OUT after bigint) LANGUAGE plpgsql AS $$
BEGIN
    SELECT count(*) INTO before FROM pr.a;
    SELECT array_agg(status) INTO statuses FROM vibepiper.run('pr', 'a', force => true);
    SELECT count(*) INTO after FROM pr.a;
END $$;
INSERT INTO pr_src.t VALUES (12, '12');
SELECT * FROM pr_src.run_it();
-- REPEATABLE READ: the run sees what is committed, the caller keeps what he saw
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM pr.b;
SELECT asset, status FROM vibepiper.run('pr', '@b', force => true);
SELECT count(*) FROM pr.b;
SELECT asset, status FROM vibepiper.run('pr', '@b');
COMMIT;
SELECT count(*) FROM pr.b;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT asset, status FROM vibepiper.run('pr', 'b', force => true);
COMMIT;
-- what the run couldn't see
BEGIN;
INSERT INTO pr_src.t VALUES (13, '13');
SELECT vibepiper.run('pr');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT vibepiper.define_asset('pr.more', 'SELECT 1 AS x');
SELECT vibepiper.run('pr');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT count(*) > 0 AS ran FROM vibepiper.run('pr', parallel => false);
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr')$$);
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr', wait => false)$$);
ROLLBACK;
BEGIN;
LOCK TABLE pr_src.t IN ACCESS EXCLUSIVE MODE;
SELECT pr_src.sqlstate($$SELECT vibepiper.run('pr')$$);
ROLLBACK;
-- what it would wait for: a lock of this transaction on a table that only a function reads
CREATE TABLE pr_src.behind AS SELECT 1 AS x;
CREATE FUNCTION pr_src.look_behind() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT x FROM pr_src.behind); END$$;
SELECT vibepiper.define_asset('pr.blocked', 'SELECT pr_src.look_behind() AS x');
SET deadlock_timeout = '10 ms';
BEGIN;
LOCK TABLE pr_src.behind IN ACCESS EXCLUSIVE MODE;
SELECT vibepiper.run('pr', 'blocked');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
RESET deadlock_timeout;
SELECT vibepiper.wait_run(max(run_id)) FROM vibepiper.runs;
SELECT status, error FROM vibepiper.runs ORDER BY run_id DESC LIMIT 1;
SELECT asset, status FROM vibepiper.run('pr', 'blocked');
-- a caller who is cancelled ends his run, but not one that was begun without waiting
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'run.filled=wait';
SELECT run_id FROM vibepiper.run('pr', 'blocked', force => true, wait => false) \gset
CALL pr_src.wait_for_point();
RESET vibepiper.debug_point;
SET statement_timeout = '200 ms';
SELECT vibepiper.wait_run(:run_id);
SELECT asset FROM vibepiper.run('pr', overlap => 'join');
RESET statement_timeout;
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:run_id);
-- each asset under a snapshot of its own
SELECT asset, status, reason FROM vibepiper.run('pr', '@b', force => true, consistent => false);
SELECT parallel, status, unchanged FROM vibepiper.runs ORDER BY run_id DESC LIMIT 1;
-- slots that no longer fit go with the task
SELECT vibepiper.define_asset('pr.blocked', 'SELECT pr_src.look_behind() AS x, 1 AS more', indexes => '{(x)}');
SELECT asset, status, reason FROM vibepiper.run('pr', 'blocked');
SELECT vibepiper.define_asset('pr.blocked', 'SELECT pr_src.look_behind() AS x', storage => 'logged');
SELECT asset, status, reason FROM vibepiper.run('pr', 'blocked');
SELECT asset, status, reason FROM vibepiper.run('pr', 'blocked', force => true);
SELECT asset, status, reason FROM vibepiper.run('pr', 'blocked', force => true);
SELECT count(*) <= 2 AS few FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r' AND relname LIKE 'blocked\_%';
TABLE pr.blocked;
-- read-only: it can't run, but wait
SELECT run_id FROM vibepiper.run('pr', 'b', force => true, wait => false) \gset
SET default_transaction_read_only = on;
SELECT vibepiper.run('pr');
\echo :LAST_ERROR_SQLSTATE
SELECT vibepiper.retry_run(:run_id);
\echo :LAST_ERROR_SQLSTATE
SELECT vibepiper.wait_run(:run_id);
SELECT vibepiper.cancel_run(:run_id);
RESET default_transaction_read_only;
-- the caller's settings for sessions don't hold in workers
ALTER ROLE CURRENT_USER SET statement_timeout = '1ms';
ALTER ROLE CURRENT_USER SET lock_timeout = '1ms';
ALTER ROLE CURRENT_USER SET default_transaction_read_only = on;
ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'serializable';
ALTER ROLE CURRENT_USER SET default_transaction_deferrable = on;
SELECT vibepiper.define_asset('pr.settings', $$SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' || current_setting('transaction_isolation') || ' ' || pg_sleep(0.002)::text AS s$$);
SELECT asset, status, error FROM vibepiper.run('pr', 'settings', on_failure => 'report');
ALTER ROLE CURRENT_USER RESET statement_timeout;
ALTER ROLE CURRENT_USER RESET lock_timeout;
ALTER ROLE CURRENT_USER RESET default_transaction_read_only;
ALTER ROLE CURRENT_USER RESET default_transaction_isolation;
ALTER ROLE CURRENT_USER RESET default_transaction_deferrable;
TABLE pr.settings;

-- Arguments
SELECT vibepiper.run(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT call, pr_src.sqlstate('SELECT vibepiper.' || call) AS error FROM unnest(ARRAY[
    'run(''no_such'')', 'run('''')', 'run(''pr'', '','')', 'run(''pr'', parallel => NULL)', 'run(''pr'', max_workers => 0)', 'run(''pr'', max_workers => -1)', 'run(''pr'', force => NULL)',
    'run(''pr'', wait => NULL)', 'run(''pr'', fail_fast => NULL)', 'run(''pr'', on_failure => NULL)', 'run(''pr'', on_failure => ''Error'')', 'run(''pr'', overlap => NULL)',
    'run(''pr'', overlap => '''')', 'run(''pr'', consistent => NULL)', 'run(''pr'', timeout => ''-1 s'')',
    'retry_run(NULL)', 'retry_run(0)', 'retry_run(-1)', 'retry_run(9223372036854775807)',
    'wait_run(NULL)', 'wait_run(0)', 'wait_run(-1)', 'wait_run(9223372036854775807)',
    'cancel_run(NULL)', 'cancel_run(0)', 'cancel_run(-1)', 'cancel_run(9223372036854775807)']) call;
SELECT call, pr_src.sqlstate(replace('SELECT vibepiper.' || call, ':run', (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = 'pr_empty')::text)) AS error FROM unnest(ARRAY[
    'retry_run(:run, parallel => NULL)', 'retry_run(:run, max_workers => 0)', 'retry_run(:run, wait => NULL)', 'retry_run(:run, on_failure => NULL)', 'retry_run(:run, on_failure => ''x'')',
    'wait_run(:run, ''-1 s'')', 'wait_run(:run, NULL)', 'wait_run(:run)', 'cancel_run(:run)']) call;
-- as many workers as one likes, and as long a time
SELECT asset, status FROM vibepiper.run('pr', 'b', force => true, max_workers => 2147483647, timeout => '100000 years');

SELECT count(vibepiper.drop_pipeline(p, cascade => true)::text) FROM unnest(ARRAY[:'name', 'pr', 'prs', 'pr_down', 'pr_empty', 'pr_wide', 'pr_chain', 'pr_diamond']) p;
-- a run of a pipeline that is no more
SELECT count(*) FROM vibepiper.runs WHERE run_id = :run_id;
SELECT pr_src.sqlstate(format('SELECT vibepiper.wait_run(%s)', :run_id)) LIKE '42704 %' AS gone;
DROP SCHEMA :"name", pr, prs, pr_down, pr_empty, pr_wide, pr_chain, pr_diamond, pr_src CASCADE;
