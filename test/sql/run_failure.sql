-- Tasks that fail: what is skipped, said, recorded and done again.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

-- Run ids differ from run to run
CREATE FUNCTION pg_temp.plain(t text) RETURNS text LANGUAGE sql AS $$SELECT regexp_replace(t, 'run \d+', 'run N', 'g')$$;

CREATE SCHEMA rf_src;
CREATE TABLE rf_src.t (id int, x text);
INSERT INTO rf_src.t SELECT i, i::text FROM generate_series(1, 4) i;
SELECT vibepiper.define_pipeline('rf');
--      good -> good2 -----.
--      bad  -> child  ----+-> grandchild
--      other              (reads nothing of them)
SELECT asset, change FROM vibepiper.define_assets('rf', $$[
    {"name": "good", "query": "SELECT id, x FROM rf_src.t"},
    {"name": "good2", "query": "SELECT id FROM good"},
    {"name": "bad", "query": "SELECT id, x::int AS n FROM rf_src.t"},
    {"name": "child", "query": "SELECT id, n FROM bad"},
    {"name": "grandchild", "query": "SELECT id, n FROM child JOIN good2 USING (id)"},
    {"name": "other", "query": "SELECT count(*) AS n FROM rf_src.t"}]$$);
INSERT INTO rf_src.t VALUES (5, 'five');

-- It ends in an error by default, which undoes all
SELECT vibepiper.run('rf', parallel => false);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'rf';
SELECT count(*) FROM vibepiper.versions WHERE asset LIKE 'rf.%';

-- Or reports
SELECT asset, status, pg_temp.plain(reason) AS reason, rows, error FROM vibepiper.run('rf', parallel => false, on_failure => 'report');
SELECT status, built, unchanged, cached, deferred, failed, skipped FROM vibepiper.runs WHERE pipeline = 'rf';
SELECT asset, status, reason, rows, version_id IS NOT NULL AS version, started_at IS NOT NULL AS started, error_sqlstate, error_message
FROM vibepiper.tasks WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = 'rf') ORDER BY asset;
-- publish => 'run': all or nothing; readers get what the definition says
SELECT asset, state, reason, last_error FROM vibepiper.assets WHERE pipeline = 'rf' ORDER BY asset;
SELECT asset, published FROM vibepiper.versions WHERE asset LIKE 'rf.%' ORDER BY asset;
SELECT count(*) FROM rf.good;
SELECT count(*) FROM rf.bad;

-- The next run computes again what was finished and not published: it would be of another instant
UPDATE rf_src.t SET x = '5' WHERE id = 5;
SELECT asset, action, reason FROM vibepiper.plan('rf');
SELECT asset, status, pg_temp.plain(reason) AS reason, rows FROM vibepiper.run('rf', parallel => false);
SELECT status, built, unchanged, cached, failed, skipped FROM vibepiper.runs WHERE pipeline = 'rf' ORDER BY run_id DESC LIMIT 1;
SELECT asset, state, last_error FROM vibepiper.assets WHERE pipeline = 'rf' ORDER BY asset;
SELECT count(*), sum(n) FROM rf.grandchild;
SELECT asset, status FROM vibepiper.run('rf', parallel => false);

-- So it is whatever happens in between
CREATE PROCEDURE rf_src.break() LANGUAGE sql AS $$UPDATE rf_src.t SET x = 'broken' WHERE id = 5$$;
CREATE PROCEDURE rf_src.mend() LANGUAGE sql AS $$UPDATE rf_src.t SET x = '5' WHERE id = 5$$;
CALL rf_src.break();
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', force => true, parallel => false, on_failure => 'report');
CALL rf_src.mend();
SELECT vibepiper.invalidate('rf.good');
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', parallel => false);
CALL rf_src.break();
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', force => true, parallel => false, on_failure => 'report');
CALL rf_src.mend();
SELECT vibepiper.define_asset('rf.good', 'SELECT id, x FROM rf_src.t WHERE id <> 2');
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', parallel => false);
SELECT count(*) FROM rf.good2;
CALL rf_src.break();
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', force => true, parallel => false, on_failure => 'report');
CALL rf_src.mend();
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', force => true, parallel => false);
SELECT vibepiper.define_asset('rf.other', 'SELECT count(*) AS n FROM rf_src.t', cache => false);
INSERT INTO rf_src.t VALUES (6, 'six');
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', 'other bad', force => true, parallel => false, on_failure => 'report');
DELETE FROM rf_src.t WHERE id = 6;
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', 'other bad', parallel => false);
SELECT n FROM rf.other;
SELECT vibepiper.define_asset('rf.other', 'SELECT count(*) AS n FROM rf_src.t');
SELECT vibepiper.define_asset('rf.other', 'SELECT count(*) AS n FROM rf_src.t', cache_ttl => '0');
INSERT INTO rf_src.t VALUES (6, 'six');
SELECT asset, status FROM vibepiper.run('rf', 'other bad', force => true, parallel => false, on_failure => 'report');
DELETE FROM rf_src.t WHERE id = 6;
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('rf', 'other bad', parallel => false);
SELECT n FROM rf.other;
SELECT vibepiper.define_asset('rf.other', 'SELECT count(*) AS n FROM rf_src.t');
SELECT asset, status FROM vibepiper.run('rf', force => true, parallel => false);

-- fail_fast stops at the first failure
CALL rf_src.break();
SELECT asset, status, reason FROM vibepiper.run('rf', force => true, fail_fast => true, parallel => false, on_failure => 'report');
SELECT status, failed, skipped FROM vibepiper.runs WHERE pipeline = 'rf' ORDER BY run_id DESC LIMIT 1;
SELECT vibepiper.run('rf', force => true, fail_fast => true, parallel => false);
-- several failures
SELECT vibepiper.define_asset('rf.bad2', 'SELECT 1 / (id - 5) AS x FROM rf_src.t');
SELECT vibepiper.run('rf', force => true, parallel => false);
SELECT vibepiper.run('rf', '+grandchild bad2', force => true, parallel => false);
SELECT asset, status, error FROM vibepiper.run('rf', force => true, parallel => false, on_failure => 'report') WHERE status <> 'built' AND status <> 'unchanged';
SELECT asset, state, reason, last_error FROM vibepiper.assets WHERE pipeline = 'rf' ORDER BY asset;
CALL rf_src.mend();
SELECT asset, status, error FROM vibepiper.run('rf', 'bad', force => true, parallel => false);
SELECT asset, state, last_error FROM vibepiper.assets WHERE pipeline = 'rf' ORDER BY asset;
-- only a failed asset's own downstream within the selection is skipped
CALL rf_src.break();
SELECT asset, status, reason FROM vibepiper.run('rf', 'bad grandchild good', force => true, parallel => false, on_failure => 'report');
CALL rf_src.mend();
SELECT vibepiper.drop_asset('rf.bad2');

-- SQLSTATE, message, detail, hint and context of the error
CREATE FUNCTION rf_src.fail() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'it failed: %', 'ü' USING ERRCODE = 'VP001', DETAIL = 'the detail', HINT = 'the hint';
END $$;
SELECT vibepiper.define_asset('rf.detailed', 'SELECT rf_src.fail() AS x');
SELECT asset, status, error FROM vibepiper.run('rf', 'detailed', parallel => false, on_failure => 'report');
\x on
SELECT error_sqlstate, error_message, error_detail, error_hint, error_context FROM vibepiper.tasks WHERE asset = 'rf.detailed';
\x off
SELECT vibepiper.run('rf', 'detailed', parallel => false);
SELECT vibepiper.drop_asset('rf.detailed');

-- Each task is undone alone: what it did before it failed is not there, what others did is
CREATE TABLE rf_src.log (x text);
CREATE FUNCTION rf_src.log_it(t text, fail bool) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rf_src.log VALUES (t);
    IF fail THEN RAISE 'no'; END IF;
    RETURN 1;
END $$;
SELECT vibepiper.define_asset('rf.log_ok', $$SELECT rf_src.log_it('ok', false) AS x$$);
SELECT vibepiper.define_asset('rf.log_bad', $$SELECT rf_src.log_it('bad', true) AS x$$);
SELECT vibepiper.define_asset('rf.log_ok2', $$SELECT rf_src.log_it('ok2', false) AS x$$);
SELECT asset, status, error FROM vibepiper.run('rf', 'log_*', parallel => false, on_failure => 'report');
SELECT x FROM rf_src.log;

-- Other ways to fail: a unique index, a cast in the middle of many rows, no right on a source, a missing function, memory
SELECT vibepiper.define_asset('rf.unique', 'SELECT i % 3 AS x FROM generate_series(1, 5) i', indexes => '{UNIQUE (x)}');
SELECT vibepiper.define_asset('rf.late', 'SELECT 1 / (5000 - i) AS x FROM generate_series(1, 6000) i');
SELECT vibepiper.define_asset('rf.index_expression', 'SELECT i AS x FROM generate_series(1, 3) i', indexes => '{((1 / (x - 2)))}');
SELECT vibepiper.define_asset('rf.wide', 'SELECT repeat(''x'', 10000) AS x', indexes => '{(x)}');
SELECT asset, status, regexp_replace(error, '"[a-z]+_\d+_\d+[^"]*"', '"..."') AS error FROM vibepiper.run('rf', 'unique late index_expression wide', parallel => false, on_failure => 'report');
SELECT asset, state FROM vibepiper.assets WHERE asset IN ('rf."unique"', 'rf.late', 'rf.index_expression') ORDER BY 1;
-- they left no slots
SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r' AND relname ~ '^(unique|late|index_expression|wide)_';
SELECT vibepiper.drop_asset('rf.' || a) FROM unnest('{unique,late,index_expression,wide,log_ok,log_bad,log_ok2}'::text[]) a;

-- An asset that fails again and again keeps what was published, and no more slots
SELECT asset, status FROM vibepiper.run('rf', force => true, parallel => false);
CALL rf_src.break();
SELECT count(r) FROM generate_series(1, 5), LATERAL vibepiper.run('rf', force => true, parallel => false, on_failure => 'report') r WHERE r.status = 'failed';
SELECT max(n) <= 3 AS bounded FROM (SELECT count(*) AS n FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) JOIN vibepiper.pipeline p USING (pipeline_id)
    WHERE p.name = 'rf' GROUP BY asset_id) s;
SELECT count(*), sum(n) FROM rf.grandchild;
SELECT asset, state, reason, last_error FROM vibepiper.assets WHERE asset IN ('rf.bad', 'rf.child') ORDER BY 1;

SELECT vibepiper.drop_pipeline('rf', cascade => true);
DROP SCHEMA rf, rf_src CASCADE;
