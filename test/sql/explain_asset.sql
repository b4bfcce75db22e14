-- explain_asset: a text for each state.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA ex_src;
CREATE TABLE ex_src.t (x text);
INSERT INTO ex_src.t VALUES ('1');
SELECT vibepiper.define_pipeline('ex');
SELECT asset, change FROM vibepiper.define_assets('ex', $$[
    {"name": "base", "query": "SELECT x FROM ex_src.t"},
    {"name": "number", "query": "SELECT x::int AS n FROM base"},
    {"name": "sum", "query": "SELECT sum(n) AS n FROM number"},
    {"name": "dashboard", "query": "SELECT n FROM sum"},
    {"name": "lazy_one", "query": "SELECT n FROM sum", "lazy": true}]$$);

-- Without what differs from run to run
CREATE FUNCTION ex_src.plain(asset text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(l, 'run \d+', 'run N', 'g'), '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME', 'g'),
        '\d+ (bytes|kB)', 'SIZE', 'g'), 'computed in .*?\.( |$)', 'computed in DURATION.\1')
    FROM regexp_split_to_table(vibepiper.explain_asset(asset), E'\n') l
$$;

SELECT ex_src.plain('ex.dashboard');
SELECT ex_src.plain('ex.lazy_one');
SELECT asset, status FROM vibepiper.run('ex', parallel => false);
SELECT ex_src.plain('ex.dashboard');
SELECT ex_src.plain('ex.lazy_one');
-- computed again, the same rows
SELECT asset, status FROM vibepiper.run('ex', 'dashboard', force => true, parallel => false);
SELECT ex_src.plain('ex.dashboard');
-- stale: the deepest cause
SELECT vibepiper.invalidate('ex.base', downstream => false);
SELECT ex_src.plain('ex.base');
SELECT ex_src.plain('ex.number');
SELECT ex_src.plain('ex.dashboard');
-- failed, and what is downstream of it
UPDATE ex_src.t SET x = 'two';
SELECT asset, status FROM vibepiper.run('ex', parallel => false, on_failure => 'report');
SELECT ex_src.plain('ex.base');
SELECT ex_src.plain('ex.number');
SELECT ex_src.plain('ex.dashboard');
SELECT asset, status FROM vibepiper.run('ex', 'base number', force => true, parallel => false, on_failure => 'report');
SELECT ex_src.plain('ex.number');
-- redefined, cache_ttl, cache off
UPDATE ex_src.t SET x = '2';
SELECT vibepiper.define_asset('ex.number', 'SELECT x::int + 1 AS n FROM ex.base');
SELECT ex_src.plain('ex.dashboard');
SELECT asset, status FROM vibepiper.run('ex', force => true, parallel => false);
SELECT vibepiper.define_asset('ex.base', 'SELECT x FROM ex_src.t', cache_ttl => '0');
SELECT ex_src.plain('ex.base');
SELECT vibepiper.define_asset('ex.base', 'SELECT x FROM ex_src.t', cache => false);
SELECT ex_src.plain('ex.base');
SELECT vibepiper.define_asset('ex.base', 'SELECT x FROM ex_src.t');
-- pinned
SELECT min(run_id) AS first FROM vibepiper.runs WHERE pipeline = 'ex' \gset
SELECT count(*) FROM vibepiper.rollback('ex', :first);
SELECT ex_src.plain('ex.dashboard');
SELECT vibepiper.release('ex') > 0 AS released;
-- an upstream in another pipeline
SELECT vibepiper.define_pipeline('ex2');
SELECT vibepiper.define_asset('ex2.top', 'SELECT n FROM ex.dashboard');
SELECT asset, status FROM vibepiper.run('ex2', parallel => false);
SELECT asset, status FROM vibepiper.run('ex', force => true, parallel => false);
SELECT ex_src.plain('ex2.top');
-- on_miss => 'error' before it is built
SELECT vibepiper.define_asset('ex2.strict', 'SELECT 1 AS x', on_miss => 'error');
SELECT vibepiper.explain_asset('ex2.strict') LIKE '%computed when they read%' AS wrong;
SELECT vibepiper.explain_asset('ex.nothing');
SELECT vibepiper.explain_asset(NULL);

SELECT vibepiper.drop_pipeline('ex2', cascade => true);
SELECT vibepiper.drop_pipeline('ex', cascade => true);
DROP SCHEMA ex, ex2, ex_src CASCADE;
