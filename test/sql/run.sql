-- run: what it returns, records and publishes; transactions around it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE FUNCTION pg_temp.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

CREATE SCHEMA ru_src;
CREATE TABLE ru_src.t (id int, x text);
INSERT INTO ru_src.t SELECT i, 'x' || i FROM generate_series(1, 4) i;
SELECT vibepiper.define_pipeline('ru');
SELECT asset, change FROM vibepiper.define_assets('ru', $$[
    {"name": "a", "query": "SELECT id, x FROM ru_src.t", "indexes": ["UNIQUE (id)"]},
    {"name": "b", "query": "SELECT id FROM a WHERE id % 2 = 0"},
    {"name": "c", "query": "SELECT count(*) AS n, sum(a.id) AS s FROM a LEFT JOIN b USING (id)"}]$$);

-- What it returns, and what it records
SELECT asset, status, reason, rows, elapsed > '0' AS took_time, bytes > 0 AS has_size, error, run_id = max(run_id) OVER () AS one_run
FROM vibepiper.run('ru', parallel => false);
SELECT pipeline, kind, selection, force, publish, role = current_user::regrole AS mine, status, finished_at >= started_at AS ended,
       elapsed >= '0' AS took_time, built, unchanged, cached, deferred, failed, skipped
FROM vibepiper.runs WHERE pipeline = 'ru';
SELECT asset, status, reason, rows, bytes > 0 AS has_size, started_at IS NOT NULL AS started, elapsed > '0' AS took_time, version_id IS NOT NULL AS version, error_message
FROM vibepiper.tasks WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = 'ru') ORDER BY asset;
SELECT asset, published, rows, invalidated, current_code, v.run_id = (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = 'ru') AS this_run,
       expires_at, built_at = as_of OR built_at > as_of AS sane
FROM vibepiper.versions v WHERE asset LIKE 'ru.%' ORDER BY asset;
SELECT asset, state, reason, rows, last_error FROM vibepiper.assets WHERE pipeline = 'ru' ORDER BY asset;
TABLE ru.c;

-- Nothing to do: one run row, no task rows
SELECT asset, status, reason, rows, elapsed, bytes, error FROM vibepiper.run('ru', parallel => false);
SELECT built, unchanged, cached, deferred, failed, skipped, (SELECT count(*) FROM vibepiper.tasks t WHERE t.run_id = r.run_id) AS tasks
FROM vibepiper.runs r WHERE pipeline = 'ru' ORDER BY run_id DESC LIMIT 1;
SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'ru';
-- and no other writes: no version, no slot
SELECT asset, count(*) FROM vibepiper.versions WHERE asset LIKE 'ru.%' GROUP BY 1 ORDER BY 1;

-- force: the same rows are unchanged, others are built; downstream of the selection stays
SELECT asset, status, reason, rows, bytes FROM vibepiper.run('ru', force => true, parallel => false);
INSERT INTO ru_src.t VALUES (5, 'five');
SELECT asset, status, reason FROM vibepiper.run('ru', 'a', force => true, parallel => false);
TABLE ru.c;
SELECT asset, state, reason FROM vibepiper.assets WHERE pipeline = 'ru' ORDER BY asset;
SELECT asset, status, reason FROM vibepiper.run('ru', parallel => false);
TABLE ru.c;
SELECT selection, force, built, unchanged, cached, (SELECT count(*) FROM vibepiper.tasks t WHERE t.run_id = r.run_id) AS tasks
FROM vibepiper.runs r WHERE pipeline = 'ru' ORDER BY run_id;

-- Bad arguments
SELECT vibepiper.run('ru', parallel => NULL);
SELECT vibepiper.run('nobody', parallel => false);
SELECT vibepiper.run(NULL, parallel => false);
SELECT vibepiper.run('ru', parallel => false, force => NULL);
SELECT vibepiper.run('ru', parallel => false, fail_fast => NULL);
SELECT vibepiper.run('ru', parallel => false, on_failure => 'ignore');
SELECT vibepiper.run('ru', parallel => false, on_failure => NULL);

-- Rolled back with the caller's transaction; the next run works
BEGIN;
DELETE FROM ru_src.t WHERE id = 5;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
TABLE ru.c;
SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'ru';
ROLLBACK;
TABLE ru.c;
SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'ru';
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
-- to a savepoint
BEGIN;
UPDATE ru_src.t SET id = 6 WHERE id = 5;
SAVEPOINT s;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
TABLE ru.c;
ROLLBACK TO s;
TABLE ru.c;
SELECT asset, status FROM vibepiper.run('ru', parallel => false);
SAVEPOINT s2;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
RELEASE s2;
TABLE ru.c;
COMMIT;
TABLE ru.c;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
-- in a PL/pgSQL block that fails, and in one that doesn't
DO $$
BEGIN
    UPDATE ru_src.t SET id = 7 WHERE id = 6;
    BEGIN
        PERFORM vibepiper.run('ru', force => true, parallel => false);
        RAISE INFO 'inside: %', (SELECT s FROM ru.c);
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        RAISE INFO 'caught: %', (SELECT s FROM ru.c);
    END;
    PERFORM vibepiper.run('ru', force => true, parallel => false);
    RAISE INFO 'at the end: %', (SELECT s FROM ru.c);
END $$;
TABLE ru.c;

-- Several runs in one transaction, each sees what was done before
BEGIN;
UPDATE ru_src.t SET id = 8 WHERE id = 7;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
TABLE ru.c;
UPDATE ru_src.t SET id = 9 WHERE id = 8;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
TABLE ru.c;
UPDATE ru_src.t SET id = 10 WHERE id = 9;
SELECT asset, status FROM vibepiper.run('ru', 'a', force => true, parallel => false);
SELECT asset, status FROM vibepiper.run('ru', parallel => false);
TABLE ru.c;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'ru' ORDER BY asset;
COMMIT;
TABLE ru.c;
SELECT asset, status FROM vibepiper.run('ru', parallel => false);

-- Defined, run, changed and run again in one transaction
BEGIN;
SELECT vibepiper.define_pipeline('ru_tx');
SELECT vibepiper.define_asset('ru_tx.x', 'SELECT 1 AS x');
SELECT asset, status FROM vibepiper.run('ru_tx', parallel => false);
SELECT vibepiper.define_asset('ru_tx.x', 'SELECT 2 AS x');
SELECT asset, status FROM vibepiper.run('ru_tx', parallel => false);
SELECT vibepiper.define_asset('ru_tx.x', 'SELECT 3 AS x, 4 AS y');
SELECT * FROM ru_tx.x;
SELECT asset, status FROM vibepiper.run('ru_tx', parallel => false);
SELECT * FROM ru_tx.x;
SELECT vibepiper.define_asset('ru_tx.x', 'SELECT 5 AS y');
SELECT * FROM ru_tx.x;
SELECT asset, status FROM vibepiper.run('ru_tx', parallel => false);
COMMIT;
SELECT * FROM ru_tx.x;

-- Inside functions of several kinds
CREATE FUNCTION ru_src.in_sql() RETURNS SETOF text LANGUAGE sql AS $$SELECT status FROM vibepiper.run('ru', force => true, parallel => false)$$;
CREATE FUNCTION ru_src.in_plpgsql() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    SELECT count(*) INTO n FROM vibepiper.run('ru', force => true, parallel => false);
    RETURN n;
END $$;
CREATE PROCEDURE ru_src.in_procedure() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..3 LOOP
        PERFORM vibepiper.run('ru', force => true, parallel => false);
        COMMIT;
    END LOOP;
END $$;
SELECT * FROM ru_src.in_sql();
SELECT ru_src.in_plpgsql();
CALL ru_src.in_procedure();
-- as part of a bigger query, in the select list, in a cursor, prepared
SELECT r.status, t.x FROM vibepiper.run('ru', 'a', parallel => false) r, ru_src.t t WHERE t.id < 3 ORDER BY 2;
SELECT (vibepiper.run('ru', 'a', parallel => false)).status;
BEGIN;
DECLARE cur CURSOR FOR SELECT status FROM vibepiper.run('ru', force => true, parallel => false);
FETCH 1 FROM cur;
FETCH ALL FROM cur;
COMMIT;
PREPARE again AS SELECT asset, status FROM vibepiper.run('ru', parallel => false);
EXECUTE again;
EXECUTE again;
DEALLOCATE again;
CREATE TABLE ru_src.log AS SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
SELECT * FROM ru_src.log ORDER BY 1;

-- An asset that runs a pipeline is refused, whichever way it is computed
CREATE FUNCTION ru_src.runs_it(pipeline text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vibepiper.run(pipeline, force => true, parallel => false);
    RETURN 1;
END $$;
SELECT vibepiper.define_pipeline('ru_rec');
SELECT vibepiper.define_asset('ru_rec.recursive', $$SELECT ru_src.runs_it('ru_rec') AS x$$);
SELECT vibepiper.define_asset('ru_rec.other', $$SELECT ru_src.runs_it('ru') AS x$$);
SELECT pg_temp.sqlstate($$SELECT * FROM vibepiper.run('ru_rec', 'recursive', parallel => false)$$) <> 'no error' AS refused;
SELECT asset, status FROM vibepiper.run('ru_rec', 'recursive', parallel => false, on_failure => 'report');
SELECT error_sqlstate <> '54001' AS said_so FROM vibepiper.tasks WHERE asset = 'ru_rec.recursive' ORDER BY run_id DESC LIMIT 1;
SELECT asset, status FROM vibepiper.run('ru_rec', 'other', parallel => false, on_failure => 'report');
SELECT error_sqlstate <> '54001' AS said_so FROM vibepiper.tasks WHERE asset = 'ru_rec.other' ORDER BY run_id DESC LIMIT 1;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'ru' ORDER BY asset;
-- REPEATABLE READ and SERIALIZABLE
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM ru_src.t;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
TABLE ru.c;
UPDATE ru_src.t SET id = 11 WHERE id = 10;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
TABLE ru.c;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE ru_src.t SET id = 12 WHERE id = 11;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
TABLE ru.c;
COMMIT;
TABLE ru.c;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
-- PREPARE TRANSACTION of a run
BEGIN;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
UPDATE ru_src.t SET id = 13 WHERE id = 12;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);
PREPARE TRANSACTION 'ru';
SELECT gid FROM pg_prepared_xacts WHERE gid = 'ru';
TABLE ru.c;
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);

-- A timeout and a cancellation leave nothing
SELECT vibepiper.define_asset('ru.slow', 'SELECT pg_sleep(case when id > 0 then 60 end)::text AS x FROM ru.a');
SELECT count(*) AS runs FROM vibepiper.runs WHERE pipeline = 'ru' \gset
SET statement_timeout = '300ms';
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false, on_failure => 'report');
RESET statement_timeout;
SELECT count(*) = :runs AS no_run_left FROM vibepiper.runs WHERE pipeline = 'ru';
SELECT count(*) FROM vibepiper.versions WHERE asset = 'ru.slow';
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'ru' ORDER BY asset;
-- caught inside a transaction
SET statement_timeout = '300ms';
DO $$
BEGIN
    PERFORM vibepiper.run('ru', 'slow', parallel => false, on_failure => 'report');
EXCEPTION WHEN query_canceled THEN
    RAISE INFO 'cancelled: % runs', (SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'ru' AND status = 'running');
END $$;
RESET statement_timeout;
SELECT vibepiper.drop_asset('ru.slow');
SELECT asset, status FROM vibepiper.run('ru', force => true, parallel => false);

-- The caller's identity and settings are put back
SHOW search_path;
SELECT current_user = session_user AS same;
SET work_mem = '5MB';
SELECT vibepiper.define_asset('ru.settings', 'SELECT current_setting(''work_mem'') AS w', settings => '{work_mem=7MB}');
SELECT asset, status FROM vibepiper.run('ru', 'settings', parallel => false);
TABLE ru.settings;
SHOW work_mem;
RESET work_mem;

-- An asset's query may not define, drop, invalidate or purge
CREATE FUNCTION ru_src.does_it(statement text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 1;
END $$;
SELECT count(vibepiper.define_asset('ru_rec.s' || n, format('SELECT ru_src.does_it(%L) AS x', statement)))
FROM unnest(ARRAY['SELECT vibepiper.define_asset(''ru_rec.new'', ''SELECT 1 AS x'')', 'SELECT vibepiper.drop_asset(''ru_rec.s1'')',
    'SELECT vibepiper.drop_pipeline(''ru_rec'', true)', 'SELECT vibepiper.invalidate(''ru_rec.s4'')', 'SELECT vibepiper.purge(''ru_rec'')']) WITH ORDINALITY u(statement, n);
SELECT asset, status FROM vibepiper.run('ru_rec', 's*', parallel => false, on_failure => 'report');
SELECT asset FROM vibepiper.assets WHERE pipeline = 'ru_rec' ORDER BY 1;

SELECT vibepiper.drop_pipeline(p, cascade => true) FROM unnest('{ru,ru_tx,ru_rec}'::text[]) p;
DROP SCHEMA ru, ru_tx, ru_rec, ru_src CASCADE;
