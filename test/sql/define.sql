-- define_asset: create, the same again, options, code, columns, names, dependencies.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

-- The SQLSTATE that a statement ends with, where its words are not the point
CREATE FUNCTION pg_temp.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

CREATE SCHEMA df_src;
CREATE TABLE df_src.orders (id int PRIMARY KEY, day date, amount numeric, customer text);
INSERT INTO df_src.orders SELECT i, '2024-01-01'::date + i % 10, i * 1.5, 'c' || i % 7 FROM generate_series(1, 100) i;
CREATE TABLE df_src.customers (customer text, country text);
INSERT INTO df_src.customers SELECT 'c' || i, CASE WHEN i % 2 = 0 THEN 'DE' ELSE 'FR' END FROM generate_series(0, 6) i;
SELECT vibepiper.define_pipeline('df');

-- What is there once it is defined
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day');
SELECT relkind, relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user) AS mine
FROM pg_class WHERE oid IN ('df.daily'::regclass, 'vibepiper_def."df.daily"'::regclass);
SELECT substring(pg_get_viewdef('df.daily'::regclass) FROM 'vibepiper[.]read_asset.*') AS stub;
\x on
SELECT asset, pipeline, state, reason, built_at, rows, run_id, last_error, cache, cache_ttl, lazy, parallel, storage, on_miss,
       indexes, settings, hints, depends_on, tags, retries, retry_delay, timeout, pinned_run, description, query, changed_at = defined_at AS never_changed
FROM vibepiper.assets WHERE asset = 'df.daily';
\x off
SELECT * FROM vibepiper.sources WHERE asset = 'df.daily';
SELECT vibepiper.asset_query('df.daily');
-- it reads as its definition before it is built
SELECT count(*), sum(n) FROM df.daily;

-- The same again: white space, comments and keyword case are no change
SELECT asset, status, rows FROM vibepiper.run('df', parallel => false);
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day');
SELECT vibepiper.define_asset('df.daily', $$
    select  day, -- a comment
            SUM(amount) as amount, /* another /* nested */ */
            Count(*) aS n
    from DF_SRC . orders
    group  by   "day" ;
$$);
SELECT asset, status, reason FROM vibepiper.run('df', parallel => false);
-- but the text is kept as it was written last
SELECT vibepiper.define_asset('df.daily', 'SELECT  day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day -- last');
SELECT vibepiper.asset_query('df.daily');
SELECT query FROM vibepiper.assets WHERE asset = 'df.daily';

-- The same again takes no lock on the stub, the definition or the version that bothers a reader
BEGIN;
SELECT vibepiper.define_asset('df.daily', 'select day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day');
SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND (c.oid = 'df.daily'::regclass OR c.relnamespace IN ('vibepiper_def'::regnamespace, 'vibepiper_store'::regnamespace))
    AND l.mode <> 'AccessShareLock';
COMMIT;
BEGIN;
SELECT vibepiper.define_asset('df.daily', 'select day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day');
SELECT count(*) FROM pg_locks l
WHERE l.pid = pg_backend_pid() AND l.relation = 'df.daily'::regclass;
COMMIT;
BEGIN;
SELECT * FROM vibepiper.define_assets('df', '[{"name": "daily", "query": "select day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day"}]');
SELECT count(*) FROM pg_locks l
WHERE l.pid = pg_backend_pid() AND l.relation = 'df.daily'::regclass;
COMMIT;

-- Changed options alone: nothing is invalidated
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day',
    tags => '{a,b}', hints => 'h', retries => 2, retry_delay => '2 s', timeout => '1 min', description => 'Days', parallel => false, on_miss => 'error', settings => '{work_mem=8MB}', cache_ttl => '1 day');
SELECT action, reason FROM vibepiper.plan('df');
SELECT obj_description('df.daily'::regclass);
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day',
    tags => '{a,b}', hints => 'h', retries => 2, retry_delay => '2 s', timeout => '1 min', description => 'Days', parallel => false, on_miss => 'error', settings => '{work_mem=8MB}', cache_ttl => '24:00:00');
SELECT tags, hints, retries, retry_delay, timeout, description, parallel, on_miss, settings, cache_ttl FROM vibepiper.assets WHERE asset = 'df.daily';
SELECT asset, change, detail FROM vibepiper.define_assets('df', $$[{"name": "daily", "query": "SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day"}]$$);
SELECT tags, hints, retries, retry_delay, timeout, description, parallel, on_miss, settings, cache_ttl FROM vibepiper.assets WHERE asset = 'df.daily';
SELECT obj_description('df.daily'::regclass);
SELECT action, reason FROM vibepiper.plan('df');
-- indexes: the next version has them; until then the stored one is read on
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders GROUP BY day', indexes => '{UNIQUE (day)}');
SELECT action, reason FROM vibepiper.plan('df');
INSERT INTO df_src.orders VALUES (0, '2024-02-01', 0, 'c0');
SELECT count(*) AS as_stored FROM df.daily;
DELETE FROM df_src.orders WHERE id = 0;
SELECT asset, status, reason FROM vibepiper.run('df', force => true, parallel => false);
SELECT count(*) FROM pg_index i JOIN vibepiper.versions v ON i.indrelid = v.slot::regclass WHERE v.asset = 'df.daily' AND v.published AND i.indisunique;

-- Changed code: stale, and read on as it is stored as long as the columns stay
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders WHERE id > 50 GROUP BY day');
SELECT action, reason FROM vibepiper.plan('df');
SELECT state, reason, changed_at > defined_at AS changed FROM vibepiper.assets WHERE asset = 'df.daily';
SELECT sum(n) FROM df.daily;
SELECT asset, status, reason FROM vibepiper.run('df', parallel => false);
SELECT sum(n) FROM df.daily;
-- and back again before a run: what is stored is right again
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders WHERE id > 60 GROUP BY day');
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n FROM df_src.orders WHERE id > 50 GROUP BY day');
SELECT action, reason FROM vibepiper.plan('df');
-- a constant, a string and an operator matter, though they look alike
SELECT vibepiper.define_asset('df.k', $$SELECT 'a :location 12' AS x$$);
SELECT vibepiper.define_asset('df.k', $$SELECT 'a :location 13' AS x$$);
SELECT vibepiper.define_asset('df.k', $$SELECT 'A :location 13' AS x$$);
SELECT vibepiper.define_asset('df.k', $$SELECT 'A :location  13' AS x$$);
SELECT vibepiper.define_asset('df.k', $$SELECT $q$A :location  13$q$ AS x$$);
SELECT vibepiper.drop_asset('df.k');

-- Columns added at the end: grants and dependents stay
CREATE ROLE regress_df_reader;
GRANT SELECT ON df.daily TO regress_df_reader;
CREATE VIEW df_src.on_daily AS SELECT day, n FROM df.daily;
SELECT 'df.daily'::regclass::oid AS stub \gset
SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS amount, count(*) AS n, max(id) AS last FROM df_src.orders WHERE id > 50 GROUP BY day');
SELECT 'df.daily'::regclass::oid = :stub AS same_stub;
SELECT has_table_privilege('regress_df_reader', 'df.daily', 'SELECT');
SELECT max(last), sum(n) FROM df.daily;
SELECT sum(n) FROM df_src.on_daily;
SELECT asset, status, reason FROM vibepiper.run('df', parallel => false);
SELECT max(last), sum(n) FROM df.daily;
SELECT sum(n) FROM df_src.on_daily;

-- Other changes of columns are refused while a user's view depends on the stub, not for other assets
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS total, count(*) AS n FROM df_src.orders GROUP BY day')$$);
SELECT sum(n) FROM df_src.on_daily;
SELECT vibepiper.define_asset('df.monthly', $$SELECT extract(month FROM day)::int AS month, sum(n) AS n FROM df.daily GROUP BY 1$$);
DROP VIEW df_src.on_daily;
SELECT pg_temp.sqlstate($$SELECT vibepiper.define_asset('df.daily', 'SELECT day, sum(amount) AS total, count(*) AS n FROM df_src.orders GROUP BY day')$$);
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'df' AND table_name = 'daily' ORDER BY ordinal_position;
-- The stub is made anew, with the grants
SELECT vibepiper.drop_asset('df.monthly');
SELECT vibepiper.define_asset('df.daily', 'SELECT day::timestamp AS day, sum(amount)::int AS total FROM df_src.orders GROUP BY day', description => 'made anew');
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'df' AND table_name = 'daily' ORDER BY ordinal_position;
SELECT has_table_privilege('regress_df_reader', 'df.daily', 'SELECT');
SELECT obj_description('df.daily'::regclass);
SELECT state, reason FROM vibepiper.assets WHERE asset = 'df.daily';
SELECT count(*), sum(total) FROM df.daily;
SELECT asset, status, reason FROM vibepiper.run('df', parallel => false);
SELECT count(*), sum(total) FROM df.daily;
SET ROLE regress_df_reader;
SELECT count(*) FROM df.daily;
RESET ROLE;
GRANT USAGE ON SCHEMA df TO regress_df_reader;
SET ROLE regress_df_reader;
SELECT count(*) FROM df.daily;
RESET ROLE;
-- fewer columns, and a column's collation
SELECT vibepiper.define_asset('df.daily', 'SELECT day::timestamp AS day FROM df_src.orders GROUP BY day');
SELECT vibepiper.define_asset('df.texts', 'SELECT customer FROM df_src.customers');
SELECT vibepiper.define_asset('df.texts', 'SELECT customer COLLATE "C" AS customer FROM df_src.customers');
SELECT collation_name FROM information_schema.columns WHERE table_schema = 'df' AND table_name = 'texts';
SELECT vibepiper.define_asset('df.texts', 'SELECT customer::varchar(10) AS customer FROM df_src.customers');
SELECT vibepiper.define_asset('df.texts', 'SELECT customer::varchar(20) AS customer FROM df_src.customers');
SELECT asset, status, reason FROM vibepiper.run('df', parallel => false);
SELECT count(*) FROM df.texts;

-- Unqualified names: the pipeline's schemas first, then the caller's search_path
CREATE SCHEMA df_own;
CREATE SCHEMA df_path;
CREATE TABLE df_path.t (x text);
INSERT INTO df_path.t VALUES ('from the path');
CREATE TABLE df_own.t (x text);
INSERT INTO df_own.t VALUES ('from the second schema');
SELECT vibepiper.define_pipeline('dfn', schemas => '{dfn,df_own}');
SET search_path = df_path, public;
SELECT vibepiper.define_asset('dfn.reads_t', 'SELECT x FROM t');
SELECT * FROM dfn.reads_t;
SELECT source FROM vibepiper.sources WHERE asset = 'dfn.reads_t';
DROP TABLE df_own.t CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'dfn';
SELECT vibepiper.define_asset('dfn.reads_t', 'SELECT x FROM t');
SELECT source FROM vibepiper.sources WHERE asset = 'dfn.reads_t';
-- the asset that is defined later wins when it is defined again: its meaning is another
SELECT vibepiper.define_asset('dfn.t', $$SELECT 'an asset' AS x$$);
SELECT * FROM dfn.reads_t;
SELECT vibepiper.define_asset('dfn.reads_t', 'SELECT x FROM t');
SELECT * FROM dfn.reads_t;
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'dfn.reads_t';
-- the caller's search_path is put back, after errors too
SHOW search_path;
SELECT vibepiper.define_asset('dfn.bad', 'SELECT x FROM nowhere');
SHOW search_path;
-- an unqualified asset name is in the pipeline that owns the first such schema of the search_path
SET search_path = public, df_own, dfn;
SELECT vibepiper.define_asset('where_am_i', 'SELECT 1 AS x');
SELECT asset FROM vibepiper.assets WHERE asset LIKE '%where_am_i';
SELECT vibepiper.asset_query('where_am_i');
RESET search_path;
SELECT vibepiper.define_asset('nowhere', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('public.nowhere', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('no_such_schema.nowhere', 'SELECT 1 AS x');

-- Dependencies come from the query, wherever the asset stands in it
SELECT vibepiper.define_pipeline('dfd');
SELECT vibepiper.define_asset('dfd.' || a, format('SELECT id, day, customer, %L AS who FROM df_src.orders', a)) FROM unnest('{a,b,c,d,e,f,g}'::text[]) a;
CREATE VIEW df_src.over_a AS SELECT * FROM dfd.a;
CREATE VIEW df_src.over_over_a AS SELECT o.*, c.country FROM df_src.over_a o JOIN df_src.customers c USING (customer);
SELECT vibepiper.define_asset('dfd.all_ways', $$
    WITH RECURSIVE w AS (SELECT id, who FROM dfd.b WHERE id < 3),
         r AS (SELECT id FROM dfd.c WHERE id = 1 UNION ALL SELECT r.id + 1 FROM r WHERE r.id < 3),
         unused AS (SELECT 1 FROM dfd.g),
         a AS (SELECT 1 AS id)          -- hides nothing: the asset is qualified
    SELECT o.id, o.who, o.country,
           (SELECT max(id) FROM dfd.d) AS d,
           EXISTS (SELECT FROM dfd.e e WHERE e.id = o.id) AS e
    FROM df_src.over_over_a o
    WHERE o.id IN (SELECT id FROM w UNION SELECT id FROM r)
    UNION ALL
    SELECT f.id, l.who, NULL, 0, false FROM dfd.f f, LATERAL (SELECT b2.who FROM dfd.b b2 WHERE b2.id = f.id) l WHERE f.id < 3
    INTERSECT
    TABLE dfd.shape
$$);
SELECT vibepiper.define_asset('dfd.shape', $$SELECT id, who, NULL::text AS country, 0 AS d, false AS e FROM dfd.b WHERE false$$);
SELECT vibepiper.define_asset('dfd.all_ways', $$
    WITH RECURSIVE w AS (SELECT id, who FROM dfd.b WHERE id < 3),
         r AS (SELECT id FROM dfd.c WHERE id = 1 UNION ALL SELECT r.id + 1 FROM r WHERE r.id < 3),
         unused AS (SELECT 1 FROM dfd.g),
         a AS (SELECT 1 AS id)
    SELECT o.id, o.who, o.country,
           (SELECT max(id) FROM dfd.d) AS d,
           EXISTS (SELECT FROM dfd.e e WHERE e.id = o.id) AS e
    FROM df_src.over_over_a o
    WHERE o.id IN (SELECT id FROM w UNION SELECT id FROM r)
    UNION ALL
    SELECT f.id, l.who, NULL, 0, false FROM dfd.f f, LATERAL (SELECT b2.who FROM dfd.b b2 WHERE b2.id = f.id) l WHERE f.id < 3
    EXCEPT
    TABLE dfd.shape
$$);
SELECT upstream, declared FROM vibepiper.dependencies WHERE asset = 'dfd.all_ways' ORDER BY 1;
SELECT source, kind FROM vibepiper.sources WHERE asset = 'dfd.all_ways' ORDER BY 1;
-- a view in between that is replaced: the asset depends on what it reads now
SELECT vibepiper.define_asset('dfd.through', 'SELECT id, who FROM df_src.over_a');
CREATE OR REPLACE VIEW df_src.over_a AS SELECT * FROM dfd.b;
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'dfd.through';
-- and if that made it read itself, the view is refused
CREATE OR REPLACE VIEW df_src.over_a AS SELECT id, NULL::date AS day, NULL::text AS customer, who FROM dfd.through;
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'dfd.through';
CREATE OR REPLACE VIEW df_src.over_a AS SELECT * FROM dfd.a;
SELECT vibepiper.drop_asset('dfd.through');
-- a CTE that hides an asset's name is no dependency
SELECT vibepiper.define_asset('dfd.hides', 'WITH a AS (SELECT 1 AS id) SELECT id FROM a');
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'dfd.hides';
-- depends_on adds, and an upstream that the query shows anyway is not declared
SELECT vibepiper.define_asset('dfd.hides', 'WITH a AS (SELECT 1 AS id) SELECT a.id FROM a, dfd.b LIMIT 1', depends_on => '{a,dfd.b,"\"dfd\".\"c\""}');
SELECT upstream, declared FROM vibepiper.dependencies WHERE asset = 'dfd.hides' ORDER BY 1;
SELECT asset, status FROM vibepiper.run('dfd', '+hides', parallel => false);
SELECT vibepiper.define_asset('dfd.hides', 'WITH a AS (SELECT 1 AS id) SELECT a.id FROM a, dfd.b LIMIT 1', depends_on => '{no_such}');
SELECT vibepiper.define_asset('dfd.hides', 'WITH a AS (SELECT 1 AS id) SELECT a.id FROM a, dfd.b LIMIT 1', depends_on => '{hides}');
SELECT vibepiper.define_asset('dfd.hides', 'WITH a AS (SELECT 1 AS id) SELECT a.id FROM a, dfd.b LIMIT 1', depends_on => '{df_src.orders}');
-- other kinds of sources
CREATE MATERIALIZED VIEW df_src.mv AS SELECT 1 AS x;
CREATE TABLE df_src.parted (x int) PARTITION BY RANGE (x);
CREATE TABLE df_src.parted_1 PARTITION OF df_src.parted FOR VALUES FROM (0) TO (10);
CREATE TYPE df_src.pair AS (l int, r text);
SELECT vibepiper.define_asset('dfd.kinds', $$SELECT m.x, p.x AS y, g, v.column1, j.*
    FROM df_src.mv m LEFT JOIN df_src.parted p USING (x), generate_series(1, 2) g, (VALUES (1), (2)) v,
         json_to_recordset('[{"k": 1}]') AS j(k int)$$);
SELECT source, kind FROM vibepiper.sources WHERE asset = 'dfd.kinds' ORDER BY 1;
SELECT * FROM dfd.kinds ORDER BY g, column1;
-- another pipeline's asset
SELECT vibepiper.define_asset('df.across', 'SELECT count(*) AS n FROM dfd.a');
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'df.across';
SELECT asset, status, reason FROM vibepiper.run('df', 'across', parallel => false);

-- Names as long as they can be: the definition's is shortened
SELECT vibepiper.define_asset('dfd.' || repeat('n', 63), 'SELECT 1 AS x');
SELECT vibepiper.define_asset('dfd.' || repeat('n', 62) || 'm', 'SELECT 2 AS x');
SELECT vibepiper.define_asset('dfd.' || repeat('ü', 31), 'SELECT 3 AS "Spalte ü"');
SELECT asset, status, rows FROM vibepiper.run('dfd', 'nnn* üüü*', parallel => false);
SELECT x FROM dfd.nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn;
SELECT x FROM dfd.nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnm;
SELECT * FROM dfd.üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü;

-- Options as the query sees them: settings that change the result, and the recorded ones
SELECT vibepiper.define_asset('dfd.zone', $$SELECT '2024-01-01 12:00+00'::timestamptz::text AS t, to_char(1234.5, '9G999D9') AS n$$);
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SELECT * FROM dfd.zone;
SELECT asset, status FROM vibepiper.run('dfd', 'zone', parallel => false);
SELECT * FROM dfd.zone;
-- the same text under other settings is another meaning where it depends on them, and only there
SELECT vibepiper.define_asset('dfd.zone', $$SELECT '2024-01-01 12:00+00'::timestamptz::text AS t, to_char(1234.5, '9G999D9') AS n$$);
SELECT vibepiper.define_asset('dfd.shape', $$SELECT id, who, NULL::text AS country, 0 AS d, false AS e FROM dfd.b WHERE false$$);
SELECT asset, status, reason FROM vibepiper.run('dfd', 'zone', parallel => false);
SELECT * FROM dfd.zone;
RESET TimeZone;
RESET DateStyle;
SELECT * FROM dfd.zone;
SELECT vibepiper.define_asset('dfd.zone', $$SELECT current_setting('vp_df.x', true) AS x$$, settings => '{"vp_df.x=from its settings"}');
SELECT * FROM dfd.zone;
SELECT asset, status FROM vibepiper.run('dfd', 'zone', parallel => false);
SELECT * FROM dfd.zone;
SHOW TimeZone;

SELECT vibepiper.drop_pipeline(p, cascade => true) FROM unnest('{df,dfn,dfd}'::text[]) p;
DROP SCHEMA df, dfn, dfd, df_own, df_path, df_src CASCADE;
DROP ROLE regress_df_reader;
