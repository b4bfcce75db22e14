-- Failures in parallel runs: what is published, said, tried again, timed out, and run again.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
SET vibepiper.max_workers = 2;

CREATE SCHEMA pf_src;
CREATE TABLE pf_src.t (id int, x text);
CREATE FUNCTION pf_src.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS OR query_canceled THEN
    RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, 'run \d+', 'run N');
END $$;
-- Run ids differ from run to run
CREATE FUNCTION pf_src.plain(t text) RETURNS text LANGUAGE sql AS $$SELECT regexp_replace(t, '([rR])un \d+', '\1un N', 'g')$$;
CREATE VIEW pf_src.last_run AS SELECT status, error, parallel, retry_of IS NOT NULL AS is_retry, built, unchanged, cached, failed, skipped
    FROM vibepiper.runs WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs);
CREATE VIEW pf_src.last_tasks AS SELECT asset, status, pf_src.plain(reason) AS reason, attempts, error_sqlstate, error_message
    FROM vibepiper.tasks WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs) ORDER BY asset;

-- One pipeline for each mode:  good -> good2 ---.
--                              bad  -> child ---+-> grandchild
--                              other              (reads nothing of them)
-- and same, that reads good and always has the same rows
SELECT p, vibepiper.define_pipeline('pf_' || p, publish => p) FROM unnest('{run,succeeded,asset}'::text[]) p;
SELECT p, count(a) FROM unnest('{run,succeeded,asset}'::text[]) p, LATERAL vibepiper.define_assets('pf_' || p, '[
    {"name": "good", "query": "SELECT id, x FROM pf_src.t"},
    {"name": "good2", "query": "SELECT id FROM good"},
    {"name": "bad", "query": "SELECT id, x::int AS n FROM pf_src.t"},
    {"name": "child", "query": "SELECT id, n FROM bad"},
    {"name": "grandchild", "query": "SELECT id, n FROM child JOIN good2 USING (id)"},
    {"name": "other", "query": "SELECT count(*) AS n FROM pf_src.t"},
    {"name": "same", "query": "SELECT min(id) AS m FROM good"}]') a GROUP BY p ORDER BY p;
CREATE FUNCTION pf_src.published(pipeline text) RETURNS TABLE (good bigint, good2 bigint, bad bigint, child bigint, grandchild bigint, other bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE replace('SELECT (SELECT count(*) FROM P.good), (SELECT count(*) FROM P.good2), (SELECT count(*) FROM P.bad), (SELECT count(*) FROM P.child),
        (SELECT count(*) FROM P.grandchild), (SELECT n FROM P.other)', 'P', pipeline);
END $$;
INSERT INTO pf_src.t SELECT i, i::text FROM generate_series(1, 4) i;
SELECT p, asset, status FROM unnest('{run,succeeded,asset}'::text[]) p, LATERAL vibepiper.run('pf_' || p) WHERE status <> 'built';

-- An error by default, with the messages of what failed
INSERT INTO pf_src.t VALUES (5, 'five');
SELECT vibepiper.run('pf_run', force => true);
SELECT vibepiper.run('pf_succeeded', force => true);
\echo :LAST_ERROR_SQLSTATE
SELECT vibepiper.run('pf_asset', force => true);
-- but what the mode publishes is published: the run is not the caller's transaction
SELECT * FROM pf_src.published('pf_run');
SELECT * FROM pf_src.published('pf_succeeded');
SELECT * FROM pf_src.published('pf_asset');
SELECT pipeline, status, error, built, failed, skipped FROM vibepiper.runs WHERE pipeline LIKE 'pf%' AND status = 'failed' ORDER BY run_id;
SELECT * FROM pf_src.last_tasks;
SELECT asset, state, reason, last_error FROM vibepiper.assets WHERE pipeline = 'pf_succeeded' ORDER BY 1;

-- Reported on request
INSERT INTO pf_src.t VALUES (6, '6');
SELECT asset, status, reason, rows, error FROM vibepiper.run('pf_run', force => true, on_failure => 'report');
SELECT * FROM pf_src.published('pf_run');
SELECT asset, status, reason, rows, error FROM vibepiper.run('pf_succeeded', force => true, on_failure => 'report');
SELECT * FROM pf_src.published('pf_succeeded');
-- who doesn't wait gets the number, however soon the run has failed
SELECT count(r.run_id) FROM generate_series(1, 3), LATERAL vibepiper.run('pf_run', 'bad', force => true, wait => false) r;
SELECT count(vibepiper.wait_run(run_id)) FROM (SELECT run_id FROM vibepiper.runs WHERE pipeline = 'pf_run' ORDER BY run_id DESC LIMIT 3) AS r;
SELECT status, error FROM vibepiper.runs WHERE pipeline = 'pf_run' ORDER BY run_id DESC LIMIT 3;
-- several failures; the longest texts
SELECT vibepiper.define_asset('pf_run.bad2', 'SELECT 1 / (id - 6) AS n FROM pf_src.t');
CREATE FUNCTION pf_src.shout() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RAISE SQLSTATE 'P4242' USING MESSAGE = repeat('no ', 400), DETAIL = repeat('d', 2000), HINT = 'hint';
END $$;
SELECT vibepiper.define_asset('pf_run.bad3', 'SELECT pf_src.shout() AS n');
DO $$
DECLARE
    message text; detail text; hint text;
BEGIN
    PERFORM vibepiper.run('pf_run', 'bad* other');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE INFO E'%\n%\n%', message, regexp_replace(detail, '(no ){20,}', '(a lot of no) '), hint;
END $$;
-- whole in the table
SELECT asset, error_sqlstate, length(error_message), length(error_detail), error_hint, error_context FROM vibepiper.tasks
WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs) AND asset = 'pf_run.bad3';
SELECT vibepiper.drop_asset('pf_run.bad2'), vibepiper.drop_asset('pf_run.bad3');

-- fail_fast: bad is first, with one worker, as it has the longest path; then nothing is begun
SELECT vibepiper.define_pipeline('pf_fast', publish => 'succeeded', max_workers => 1);
SELECT count(*) FROM vibepiper.define_assets('pf_fast', '[
    {"name": "a_bad", "query": "SELECT id, x::int AS n FROM pf_src.t"},
    {"name": "b", "query": "SELECT n FROM a_bad"}, {"name": "c", "query": "SELECT n FROM b"}, {"name": "d", "query": "SELECT n FROM c"},
    {"name": "beside", "query": "SELECT 1 AS x"}]');
SELECT asset, status, reason FROM vibepiper.run('pf_fast', fail_fast => true, on_failure => 'report');
SELECT * FROM pf_src.last_run;
SELECT vibepiper.run('pf_fast', fail_fast => true);
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'pf_fast' ORDER BY 1;
SELECT asset, status, reason FROM vibepiper.run('pf_fast', on_failure => 'report');
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'pf_fast' ORDER BY 1;

-- What would be done at the end of a task's transaction can't make it fail then: it fails at once
CREATE TABLE pf_src.log (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION pf_src.log_it(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pf_src.log VALUES (n);
    RETURN n;
END $$;
SELECT vibepiper.define_pipeline('pf_commit', publish => 'asset');
SELECT count(*) FROM vibepiper.define_assets('pf_commit', '[
    {"name": "a", "query": "SELECT pf_src.log_it(i % 2) AS n FROM generate_series(1, 3) i"},
    {"name": "b", "query": "SELECT n FROM a"},
    {"name": "c", "query": "SELECT pf_src.log_it(7) AS n"}]');
SELECT asset, status, reason, rows, error FROM vibepiper.run('pf_commit', on_failure => 'report');
TABLE pf_src.log;
SELECT * FROM pf_src.last_tasks;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'pf_commit' ORDER BY 1;

-- Retries: errors that can pass.  A sequence counts, since nothing undoes that
CREATE FUNCTION pf_src.fails(name text, times int, code text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    n int := nextval('pf_src.' || name);
BEGIN
    IF n <= times THEN
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = format('failure %s of %s', n, code);
    END IF;
    RETURN n;
END $$;
CREATE TABLE pf_src.codes (name text, code text, passes bool);
INSERT INTO pf_src.codes VALUES ('r08006', '08006', true), ('r40001', '40001', true), ('r40p01', '40P01', true), ('r53100', '53100', true), ('r53200', '53200', true), ('r55p03', '55P03', true),
    ('r57p01', '57P01', true), ('r57p02', '57P02', true), ('r57p03', '57P03', true), ('r58030', '58030', true), ('n22012', '22012', false), ('n23505', '23505', false), ('n42p01', '42P01', false), ('n55000', '55000', false), ('n55006', '55006', false), ('n57000', '57000', false), ('n57014', '57014', false), ('np0001', 'P0001', false), ('nxx000', 'XX000', false);
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN TABLE pf_src.codes LOOP EXECUTE 'CREATE SEQUENCE pf_src.' || r.name; END LOOP;
END $$;
CREATE FUNCTION pf_src.restart() RETURNS void LANGUAGE sql AS $$SELECT setval('pf_src.' || name, 1, false) FROM pf_src.codes$$;
SELECT vibepiper.define_pipeline('pf_retry', publish => 'succeeded');
SELECT count(vibepiper.define_asset('pf_retry.' || name, format('SELECT pf_src.fails(%L, 2, %L) AS n', name, code), retries => 2, retry_delay => '1 ms')) FROM pf_src.codes;
SELECT vibepiper.define_asset('pf_retry.reads_one', 'SELECT n FROM pf_retry.r40001');
SELECT asset, status, reason, error FROM vibepiper.run('pf_retry', on_failure => 'report') ORDER BY asset;
SELECT * FROM pf_src.last_tasks;
TABLE pf_retry.reads_one;
SELECT parallel, status, built, failed, skipped, error FROM vibepiper.runs WHERE pipeline = 'pf_retry';
-- serial runs do the same
SELECT pf_src.restart() IS NULL AS restarted;
CREATE TEMP TABLE parallel_tasks AS TABLE pf_src.last_tasks;
SELECT status, count(*) FROM vibepiper.run('pf_retry', '-n57014 -r57p01 -r57p02', parallel => false, force => true, on_failure => 'report') GROUP BY 1 ORDER BY 1;
SELECT asset, attempts, error_sqlstate, error_message FROM pf_src.last_tasks EXCEPT SELECT asset, attempts, error_sqlstate, error_message FROM parallel_tasks;
-- (in this session a cancellation or a shutdown is not a task's failure)
SELECT pf_src.sqlstate(format('SELECT vibepiper.run(''pf_retry'', %L, parallel => false, force => true, on_failure => ''report'')', name)) FROM unnest('{n57014,r57p01,r57p02}'::text[]) name;
-- one failure too many; without retries
SELECT vibepiper.drop_asset('pf_retry.' || name) FROM pf_src.codes WHERE name !~ '^r40';
SELECT pf_src.restart() IS NULL AS restarted;
SELECT vibepiper.define_asset('pf_retry.r40001', $$SELECT pf_src.fails('r40001', 3, '40001') AS n$$, retries => 2, retry_delay => '0');
SELECT vibepiper.define_asset('pf_retry.r40p01', $$SELECT pf_src.fails('r40p01', 1, '40P01') AS n$$);
SELECT asset, status, reason, error FROM vibepiper.run('pf_retry', on_failure => 'report', force => true) ORDER BY asset;
SELECT * FROM pf_src.last_tasks;
SELECT asset, status, reason, error FROM vibepiper.run('pf_retry', on_failure => 'report', force => true) ORDER BY asset;
SELECT * FROM pf_src.last_tasks;
-- a run that is out of time doesn't wait for the next attempt
SELECT pf_src.restart() IS NULL AS restarted;
SELECT vibepiper.define_asset('pf_retry.r40001', $$SELECT pf_src.fails('r40001', 3, '40001') AS n$$, retries => 2, retry_delay => '1 hour');
SELECT vibepiper.run('pf_retry', 'r40001', parallel => false, force => true, timeout => '1 min');
-- a lock that is not to be had
CREATE FUNCTION pf_src.lock_it() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('pf_src.r55p03');
    LOCK TABLE pf_src.log IN ACCESS EXCLUSIVE MODE NOWAIT;
    RETURN 1;
END $$;
SELECT setval('pf_src.r55p03', 1, false);
SELECT vibepiper.define_asset('pf_retry.locks', 'SELECT pf_src.lock_it() AS x', retries => 3, retry_delay => '0');
BEGIN;
LOCK TABLE pf_src.log IN ACCESS SHARE MODE;
SELECT asset, status, error FROM vibepiper.run('pf_retry', 'locks', on_failure => 'report');
COMMIT;
SELECT last_value FROM pf_src.r55p03;
SELECT * FROM pf_src.last_tasks;

-- Timeouts: of an asset, in parallel and serial runs
SELECT vibepiper.define_pipeline('pf_time', publish => 'succeeded');
SELECT count(*) FROM vibepiper.define_assets('pf_time', '[
    {"name": "slow", "query": "SELECT pg_sleep(60)::text AS x", "timeout": "0.1 s", "retries": 5, "retry_delay": "0 s"},
    {"name": "after_it", "query": "SELECT x FROM slow"},
    {"name": "quick", "query": "SELECT 1 AS x", "timeout": "100000 years"}]');
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', on_failure => 'report');
SELECT * FROM pf_src.last_tasks;
SELECT x FROM pf_time.quick;
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', parallel => false, force => true, on_failure => 'report');
SELECT * FROM pf_src.last_tasks;
-- a function that catches cancellations catches this one, too, as it would catch statement_timeout
CREATE FUNCTION pf_src.stubborn() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM pg_sleep(60);
    EXCEPTION WHEN query_canceled THEN
        RETURN 1;
    END;
    RETURN 2;
END $$;
SELECT vibepiper.define_asset('pf_time.stubborn', 'SELECT pf_src.stubborn() AS x', timeout => '3 s');
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', 'stubborn', on_failure => 'report');
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', 'stubborn', parallel => false, on_failure => 'report');
SELECT vibepiper.drop_asset('pf_time.stubborn');
-- none
SELECT vibepiper.define_asset('pf_time.unlimited', 'SELECT pg_sleep(0.1)::text AS x', timeout => '0');
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', 'unlimited', timeout => '0', on_failure => 'report');
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', 'unlimited', parallel => false, force => true, timeout => '0', on_failure => 'report');
SELECT vibepiper.drop_asset('pf_time.unlimited');
-- of a run: nothing is published
SELECT vibepiper.define_asset('pf_time.slow', 'SELECT pg_sleep(60)::text AS x');
SELECT pf_src.sqlstate($$SELECT vibepiper.run('pf_time', '+after_it', force => true, timeout => '2 s')$$);
SELECT * FROM pf_src.last_run;
SELECT asset, status, reason, error_sqlstate, error_message FROM pf_src.last_tasks;
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', '+after_it', force => true, timeout => '2 s', on_failure => 'report');
SELECT pf_src.sqlstate($$SELECT vibepiper.run('pf_time', '+after_it', force => true, parallel => false, timeout => '0.2 s')$$);
SELECT pf_src.sqlstate($$SELECT vibepiper.run('pf_time', 'slow', force => true, parallel => false, timeout => '0.2 s')$$);
SELECT run_id FROM vibepiper.run('pf_time', 'slow', timeout => '0.2 s', wait => false) \gset
SELECT vibepiper.wait_run(:run_id);
-- of an asset and of the run, whichever is first
SELECT vibepiper.define_asset('pf_time.slow', 'SELECT pg_sleep(60)::text AS x', timeout => '0.1 s');
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', '+after_it', timeout => '10 min', on_failure => 'report');
SELECT asset, status, reason, error FROM vibepiper.run('pf_time', 'quick', force => true, timeout => '1 min');

-- retry_run: what failed, was skipped, or was computed and not published; under a snapshot of its own
DELETE FROM pf_src.t WHERE x = 'five';
SELECT p, status, count(*) FROM unnest('{run,succeeded,asset}'::text[]) p, LATERAL vibepiper.run('pf_' || p, force => true) GROUP BY 1, 2 ORDER BY 1, 2;
INSERT INTO pf_src.t VALUES (5, 'five');
SELECT p, sum(vibepiper.invalidate('pf_' || p || '.' || a)) FROM unnest('{run,succeeded,asset}'::text[]) p, unnest('{good,bad}'::text[]) a GROUP BY 1 ORDER BY 1;
SELECT p, asset, status, reason FROM unnest('{run,succeeded,asset}'::text[]) p, LATERAL vibepiper.run('pf_' || p, on_failure => 'report');
SELECT max(run_id) FILTER (WHERE pipeline = 'pf_run') AS run_run, max(run_id) FILTER (WHERE pipeline = 'pf_succeeded') AS succeeded_run,
       max(run_id) FILTER (WHERE pipeline = 'pf_asset') AS asset_run, max(run_id) FILTER (WHERE pipeline = 'pf_fast') AS fast_run FROM vibepiper.runs \gset
-- the same failure again
SELECT pf_src.sqlstate(format('SELECT vibepiper.retry_run(%s)', :succeeded_run));
SELECT * FROM pf_src.last_run;
-- now it can
UPDATE pf_src.t SET x = '5' WHERE id = 5;
INSERT INTO pf_src.t VALUES (7, '7');
SELECT asset, status, pf_src.plain(reason) AS reason, rows, error, run_id > :run_run AS another_run FROM vibepiper.retry_run(:run_run);
SELECT * FROM pf_src.published('pf_run');
SELECT r.*, retry_of = :run_run AS retries_it, force, selection FROM pf_src.last_run r, vibepiper.runs WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs);
SELECT * FROM pf_src.last_tasks;
SELECT asset, status, pf_src.plain(reason) AS reason, rows FROM vibepiper.retry_run(:succeeded_run);
SELECT * FROM pf_src.published('pf_succeeded');
SELECT asset, status, pf_src.plain(reason) AS reason, rows FROM vibepiper.retry_run(:asset_run, parallel => false);
SELECT * FROM pf_src.published('pf_asset');
SELECT parallel, status, retry_of = :asset_run AS retries_it FROM vibepiper.runs ORDER BY run_id DESC LIMIT 1;
-- it can be retried again, which computes the same again
SELECT asset, status, pf_src.plain(reason) AS reason FROM vibepiper.retry_run(:succeeded_run);
SELECT * FROM pf_src.last_run;
-- selection and force are the run's; not waited for
SELECT vibepiper.define_asset('pf_run.bad', 'SELECT id, (x || ''!'')::int AS n FROM pf_src.t');
SELECT asset, status FROM vibepiper.run('pf_run', 'bad other', force => true, on_failure => 'report');
SELECT vibepiper.define_asset('pf_run.bad', 'SELECT id, x::int + 1 AS n FROM pf_src.t');
SELECT max(run_id) AS run_id FROM vibepiper.runs \gset
SELECT run_id AS retry, asset, status IN ('running', 'succeeded') AS begun FROM vibepiper.retry_run(:run_id, wait => false, max_workers => 1) \gset
SELECT vibepiper.wait_run(:retry), :'begun';
SELECT retry_of = :run_id AS retries_it, selection, force, status, built, unchanged FROM vibepiper.runs WHERE run_id = :retry;
-- a cancelled run
SELECT vibepiper.invalidate('pf_run.good');
INSERT INTO pf_src.t VALUES (8, '8');
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'run.filled=wait';
SELECT run_id FROM vibepiper.run('pf_run', 'good+', max_workers => 1, wait => false) \gset
RESET vibepiper.debug_point;
DO $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
SELECT vibepiper.cancel_run(:run_id), vibepiper.wait_run(:run_id);
SELECT pg_advisory_unlock(7617769);
SELECT * FROM pf_src.last_run;
SELECT * FROM pf_src.last_tasks;
SELECT * FROM pf_src.published('pf_run');
SELECT asset, status, pf_src.plain(reason) AS reason, rows FROM vibepiper.retry_run(:run_id);
SELECT * FROM pf_src.published('pf_run');
SELECT * FROM pf_src.last_run;
-- of a run that fail_fast stopped, and of its retry
SELECT asset, status, pf_src.plain(reason) AS reason FROM vibepiper.retry_run(:fast_run);
-- what can't be retried: it succeeded; a rollback; this transaction has written what it reads
SELECT pf_src.sqlstate(format('SELECT vibepiper.retry_run(%s)', max(run_id))) FROM vibepiper.runs;
SELECT pf_src.sqlstate(format('SELECT vibepiper.retry_run(%s, parallel => false)', max(run_id))) FROM vibepiper.runs;
SELECT count(*) FROM vibepiper.rollback('pf_asset', :asset_run);
SELECT pf_src.sqlstate(format('SELECT vibepiper.retry_run(%s)', max(run_id))) FROM vibepiper.runs;
BEGIN;
INSERT INTO pf_src.t VALUES (9, '9');
SELECT pf_src.sqlstate(format('SELECT vibepiper.retry_run(%s)', :run_run));
ROLLBACK;
-- its selection selects nothing any more
SELECT asset, status FROM vibepiper.run('pf_commit', 'a b', on_failure => 'report');
SELECT max(run_id) AS run_id FROM vibepiper.runs \gset
SELECT vibepiper.drop_asset('pf_commit.a', cascade => true);
SELECT pf_src.sqlstate(format('SELECT vibepiper.retry_run(%s)', :run_id));

SELECT count(vibepiper.drop_pipeline(p, cascade => true)::text) FROM unnest('{pf_run,pf_succeeded,pf_asset,pf_fast,pf_commit,pf_retry,pf_time}'::text[]) p;
DROP SCHEMA pf_run, pf_succeeded, pf_asset, pf_fast, pf_commit, pf_retry, pf_time, pf_src CASCADE;
