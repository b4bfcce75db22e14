-- rollback: publish again what an earlier run left, pinned until a forced run or release().
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA ro_src;
CREATE TABLE ro_src.t AS SELECT 1 AS v;
SELECT vibepiper.define_pipeline('ro', keep_versions => 4);
SELECT vibepiper.define_asset('ro.a', 'SELECT v FROM ro_src.t');
SELECT vibepiper.define_asset('ro.b', 'SELECT v * 10 AS v FROM ro.a');
SELECT vibepiper.define_asset('ro.still', 'SELECT 7 AS v');

-- Runs 1, 2 and 3 by these names, as ids differ
CREATE FUNCTION ro_src.step(value int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE id bigint;
BEGIN
    UPDATE ro_src.t SET v = value;
    SELECT max(run_id) INTO id FROM vibepiper.run('ro', force => true, parallel => false);
    RETURN id;
END $$;
CREATE FUNCTION pg_temp.plain(t text) RETURNS text LANGUAGE sql AS $$SELECT regexp_replace(t, 'run \d+', 'run N', 'g')$$;
CREATE VIEW ro_src.now AS SELECT a.v AS a, b.v AS b, s.v AS still FROM ro.a, ro.b, ro.still s;
SELECT ro_src.step(1) AS run1 \gset
SELECT ro_src.step(2) AS run2 \gset
SELECT ro_src.step(3) AS run3 \gset
TABLE ro_src.now;

SELECT asset, from_version > to_version AS older FROM vibepiper.rollback('ro', :run1);
TABLE ro_src.now;
SELECT kind, status, role = current_user::regrole AS mine, finished_at IS NOT NULL AS ended FROM vibepiper.runs WHERE pipeline = 'ro' ORDER BY run_id DESC LIMIT 1;
SELECT asset, pinned_run = :run1 AS pinned, state, pg_temp.plain(reason) AS reason FROM vibepiper.assets WHERE pipeline = 'ro' ORDER BY 1;
-- runs leave it alone, and say so
SELECT asset, action, pg_temp.plain(reason) AS reason FROM vibepiper.plan('ro');
SELECT vibepiper.invalidate('ro.a');
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('ro', parallel => false);
TABLE ro_src.now;
SELECT pg_temp.plain(split_part(vibepiper.explain_asset('ro.a'), E'\n', 1));
-- to another run, forward, the same again
SELECT asset, from_version < to_version AS newer FROM vibepiper.rollback('ro', :run3);
TABLE ro_src.now;
SELECT count(*) FROM vibepiper.rollback('ro', :run3);
SELECT count(*) FROM vibepiper.rollback('ro', :run2);
TABLE ro_src.now;
-- the id of a rollback is a run's, too
SELECT max(run_id) AS rollback_id FROM vibepiper.runs WHERE pipeline = 'ro' \gset
SELECT count(*) FROM vibepiper.rollback('ro', :run3);
SELECT count(*) FROM vibepiper.rollback('ro', :rollback_id);
TABLE ro_src.now;
-- a run in which nothing was to do, or that failed, stands for what was published then
SELECT max(run_id) AS idle_id FROM vibepiper.run('ro', parallel => false) \gset
SELECT count(*) FROM vibepiper.rollback('ro', :run1);
SELECT count(*) FROM vibepiper.rollback('ro', :idle_id);
TABLE ro_src.now;

-- release: pins end, what is stale is rebuilt
SELECT vibepiper.release('ro');
SELECT vibepiper.release('ro');
SELECT asset, pinned_run FROM vibepiper.assets WHERE pipeline = 'ro' ORDER BY 1;
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('ro', parallel => false);
SELECT asset, status FROM vibepiper.run('ro', force => true, parallel => false);
TABLE ro_src.now;
-- a forced run ends the pins of what it builds
SELECT count(*) FROM vibepiper.rollback('ro', :run2);
SELECT asset, status FROM vibepiper.run('ro', 'a', force => true, parallel => false);
SELECT asset, pinned_run IS NOT NULL AS pinned FROM vibepiper.assets WHERE pipeline = 'ro' ORDER BY 1;
SELECT asset, status, pg_temp.plain(reason) AS reason FROM vibepiper.run('ro', parallel => false);
TABLE ro_src.now;
SELECT asset, status FROM vibepiper.run('ro', force => true, parallel => false);
SELECT asset, pinned_run IS NOT NULL AS pinned FROM vibepiper.assets WHERE pipeline = 'ro' ORDER BY 1;
TABLE ro_src.now;
-- a forced build that fails does not
UPDATE ro_src.t SET v = 2147483647;
SELECT count(*) FROM vibepiper.rollback('ro', :run2);
SELECT asset, status, error FROM vibepiper.run('ro', force => true, parallel => false, on_failure => 'report');
SELECT asset, pinned_run IS NOT NULL AS pinned FROM vibepiper.assets WHERE pipeline = 'ro' ORDER BY 1;
TABLE ro_src.now;
SELECT vibepiper.release('ro') > 0 AS released;

-- The transaction rolls it back
BEGIN;
SELECT count(*) FROM vibepiper.rollback('ro', :run3);
TABLE ro_src.now;
ROLLBACK;
TABLE ro_src.now;
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'ro' AND pinned_run IS NOT NULL;
BEGIN;
SELECT count(*) FROM vibepiper.rollback('ro', :run3);
SAVEPOINT s;
SELECT count(*) FROM vibepiper.rollback('ro', :run2);
TABLE ro_src.now;
ROLLBACK TO s;
TABLE ro_src.now;
COMMIT;
TABLE ro_src.now;
SELECT vibepiper.release('ro') > 0 AS released;

-- An asset that came later has no version of then: it is left alone
SELECT vibepiper.define_asset('ro.later', 'SELECT 8 AS v');
SELECT ro_src.step(4) AS run4 \gset
SELECT asset FROM vibepiper.rollback('ro', :run3) ORDER BY 1;
SELECT asset, pinned_run IS NOT NULL AS pinned FROM vibepiper.assets WHERE pipeline = 'ro' ORDER BY 1;
SELECT vibepiper.release('ro') > 0 AS released;

-- Errors: unknown runs, versions that are gone, other columns
SELECT vibepiper.rollback('ro', 0);
SELECT vibepiper.rollback('ro', -1);
SELECT pg_temp.plain('x') FROM vibepiper.rollback('nobody', 1);
SELECT vibepiper.rollback('ro', NULL);
SELECT vibepiper.rollback(NULL, 1);
SELECT vibepiper.define_pipeline('ro_other');
SELECT max(run_id) AS other_run FROM vibepiper.run('ro_other', parallel => false) \gset
CREATE FUNCTION pg_temp.message(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE h text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ': ' || pg_temp.plain(SQLERRM) || ' (' || h || ')';
END $$;
SELECT max(run_id) AS last FROM vibepiper.runs \gset
SELECT pg_temp.message(format($$SELECT vibepiper.rollback('ro', %s)$$, :last + 1000));
SELECT max(run_id) AS other_run FROM vibepiper.runs WHERE pipeline = 'ro_other' \gset
SELECT ro_src.step(5) AS run5 \gset
SELECT ro_src.step(6) AS run6 \gset
SELECT ro_src.step(7) AS run7 \gset
SELECT vibepiper.purge('ro', keep_versions => 2) > 0 AS purged;
SELECT pg_temp.message(format($$SELECT vibepiper.rollback('ro', %s)$$, :run1));
TABLE ro_src.now;
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'ro' AND pinned_run IS NOT NULL;
SELECT count(*) FROM vibepiper.rollback('ro', :run6);
TABLE ro_src.now;
SELECT vibepiper.define_asset('ro.b', 'SELECT v * 10 AS v, 1 AS extra FROM ro.a');
SELECT pg_temp.message(format($$SELECT vibepiper.rollback('ro', %s)$$, :run7));
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'ro' AND pinned_run IS NOT NULL;
SELECT vibepiper.release('ro') > 0 AS released;
SELECT ro_src.step(8) AS run8 \gset
SELECT pg_temp.message(format($$SELECT vibepiper.rollback('ro', %s)$$, :run7));
SELECT a, b FROM ro_src.now;

SELECT vibepiper.drop_pipeline('ro_other');
DROP VIEW ro_src.now;
SELECT vibepiper.drop_pipeline('ro', cascade => true);
DROP SCHEMA ro, ro_other, ro_src CASCADE;
