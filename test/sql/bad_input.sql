-- Bad input of every kind: the error's class, its words, and that nothing changes by it.
-- More of it stands beside what it belongs to:
--   define_errors  a query that isn't one SELECT, DML in a CTE, syntax errors with their position, duplicate and
--                  anonymous columns, zero columns, temporary relations and system catalogs, circles, a negative ttl
--   define_batch   jsonb of the wrong shape, circles in a batch
--   pipeline       a schema of another pipeline, reserved schemas, names that need quotes, near names
--   plan           selections that match nothing or don't parse
--   rights         no rights on a source, not the owner
--   limits         sizes
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
\pset format unaligned
\pset tuples_only on

-- What a statement ends with, in the words that the user reads
CREATE FUNCTION pg_temp.err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || SQLERRM || coalesce(E'\n    DETAIL: ' || nullif(detail, ''), '') || coalesce(E'\n    HINT: ' || nullif(hint, ''), '');
END $$;
-- The same for a definition with this query, or with this option
CREATE FUNCTION pg_temp.query(query text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.err(format('SELECT vibepiper.define_asset(''bi.x'', %L)', query))
$$;
CREATE FUNCTION pg_temp.option(option text, value text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.err(format('SELECT vibepiper.define_asset(''bi.x'', ''SELECT id, x FROM bi_src.t'', %s => %s)', option, value))
$$;

CREATE SCHEMA bi_src;
CREATE TABLE bi_src.t AS SELECT i AS id, i::text AS x FROM generate_series(1, 3) i;
SELECT vibepiper.define_pipeline('bi');
SELECT vibepiper.define_asset('bi.orders', 'SELECT id, x FROM bi_src.t', tags => '{daily}');
SELECT vibepiper.define_asset('bi.revenue', 'SELECT count(*) AS n FROM bi.orders');
SELECT count(*) FROM vibepiper.run('bi', parallel => false) WHERE status = 'built';
-- everything that could change by a mistake
CREATE VIEW bi_src.everything AS
    SELECT (SELECT string_agg(p::text, ';' ORDER BY p::text) FROM vibepiper.pipeline p) AS pipelines,
           (SELECT string_agg(a::text, ';' ORDER BY a.asset_id) FROM vibepiper.asset a) AS assets,
           (SELECT string_agg(d::text, ';' ORDER BY d::text) FROM vibepiper.dependency d) AS dependencies,
           (SELECT string_agg(v::text, ';' ORDER BY v::text) FROM vibepiper.version v) AS versions,
           (SELECT string_agg(m::text, ';' ORDER BY m::text) FROM vibepiper.mapping m) AS mappings,
           (SELECT string_agg(nspname, ';' ORDER BY nspname) FROM pg_namespace) AS schemas,
           (SELECT string_agg(relnamespace || relname, ';' ORDER BY relnamespace || relname) FROM pg_class
            WHERE relkind IN ('r', 'v', 'i') AND relnamespace::regnamespace::text ~ '^(bi|vibepiper_def|vibepiper_store)$') AS relations;
CREATE TABLE bi_src.before AS SELECT * FROM bi_src.everything;

-- NULL for each argument of each function; what is not said here may be null
\set arguments 'SELECT p.oid, p.pronargs, p.proname, a.name, a.n, format_type(p.proargtypes[a.n - 1], NULL) AS type FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY a(name, n) WHERE p.pronamespace = ''vibepiper''::regnamespace AND a.n <= p.pronargs AND p.proname IN (''define_pipeline'', ''define_asset'', ''define_assets'', ''drop_asset'', ''drop_pipeline'', ''asset_query'', ''plan'', ''run'', ''invalidate'', ''is_fresh'', ''explain_asset'', ''rollback'', ''release'', ''purge'')'
CREATE FUNCTION pg_temp.call(fn text, arg text, value text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT vibepiper.%I(%s)', fn, string_agg(format('%I => %s', k, v), ', '))
    FROM (SELECT arg, value
          UNION ALL
          SELECT k, v FROM (VALUES ('define_pipeline', 'name', '''bi'''), ('define_asset', 'name', '''bi.new'''), ('define_asset', 'query', '''SELECT 1 AS x'''),
              ('define_assets', 'pipeline', '''bi'''), ('define_assets', 'assets', '''[]'''), ('drop_asset', 'name', '''bi.revenue'''), ('drop_pipeline', 'name', '''bi'''),
              ('asset_query', 'name', '''bi.orders'''), ('plan', 'pipeline', '''bi'''), ('run', 'pipeline', '''bi'''), ('run', 'parallel', 'false'), ('invalidate', 'name', '''bi.orders'''),
              ('is_fresh', 'name', '''bi.orders'''), ('explain_asset', 'name', '''bi.orders'''), ('rollback', 'pipeline', '''bi'''), ('rollback', 'to_run', '0'), ('release', 'pipeline', '''bi'''),
              ('purge', 'pipeline', '''bi''')) needed(f, k, v) WHERE f = fn AND k <> arg) a(k, v)
$$;
SELECT format('%s: %s', proname, e)
FROM (:arguments) a, pg_temp.err(format('DO $d$ BEGIN PERFORM %s; RAISE EXCEPTION SQLSTATE ''00001''; END $d$', substr(pg_temp.call(proname, name, 'NULL'), 8))) e
WHERE e NOT LIKE '00001%' ORDER BY proname, n;

-- Names: of each function, what is no name, too long, unknown, near, no asset
SELECT format('%s(%s): %s', proname, value, e)
FROM (:arguments) a, unnest(ARRAY['', '.', 'bi.', '"bi', 'a.b.c', repeat('n', 64), repeat('ü', 32), 'bi.ordres', 'bi_src.t', 'vibepiper.asset', '%s%n', E'bi.new\nline']) value,
    pg_temp.err(pg_temp.call(proname, name, quote_literal(value))) e
WHERE name = 'name' AND proname IN ('asset_query', 'drop_asset', 'is_fresh') ORDER BY proname, value COLLATE "C";
SELECT format('%s(%s): %s', proname, value, e)
FROM (:arguments) a, unnest(ARRAY['', 'bii', repeat('n', 64), '%s%n', 'bi.orders']) value, pg_temp.err(pg_temp.call(proname, name, quote_literal(value))) e
WHERE name = 'pipeline' AND proname IN ('plan', 'release') ORDER BY proname, value COLLATE "C";
-- the others say the same
SELECT proname, string_agg(DISTINCT e, ' ') FROM (:arguments) a, pg_temp.err(pg_temp.call(proname, name, '''bj.ordrs''')) e
WHERE name = 'name' AND proname NOT LIKE '%pipeline' GROUP BY 1 ORDER BY 1;
SELECT proname, e FROM (:arguments) a, pg_temp.err(pg_temp.call(proname, name, '''bj''')) e
WHERE name = 'pipeline' OR proname = 'drop_pipeline' AND name = 'name' ORDER BY 1;
SELECT pg_temp.err($$SELECT vibepiper.define_asset(E'bi.new\n.line', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_asset('unqualified', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bj.a', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bi."', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bi.""', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bi_src.t', 'SELECT 1 AS x')$$);
-- too long by bytes, not by characters; not cut off within one
SELECT pg_temp.err(format('SELECT vibepiper.define_asset(%L, ''SELECT 1 AS x'')', 'bi.' || repeat('€', 22)));
SELECT pg_temp.err(format('SELECT vibepiper.define_asset(%L, ''SELECT 1 AS x'')', repeat('€', 22) || '.a'));
SELECT pg_temp.err(format('SELECT vibepiper.define_pipeline(%L)', repeat('€', 22)));
-- near names as they can be written; without a schema, and with a wrong one, only the relation's name has to be near
BEGIN;
SELECT vibepiper.define_pipeline('BI Upper', schemas => '{"BI Upper",bi_more}');
SELECT vibepiper.define_asset('"BI Upper"."Net sales"', 'SELECT 1 AS x'), vibepiper.define_asset('bi_more.orders', 'SELECT 1 AS x'), vibepiper.define_asset('bi."€€.x"', 'SELECT 1 AS x');
SELECT n, pg_temp.err(format('SELECT vibepiper.asset_query(%L)', n)) FROM unnest(ARRAY['"BI Upper"."Net sale"', '"BI Upper"."Nett ""sales"', '"Net sails"', 'bi."€€.y"', '"€€.y"', 'orders', 'ordres', 'bi_mor.orders', 'nowhere.ordrs', 'nowhere.nothing']) n;
SELECT pg_temp.err($$SELECT vibepiper.define_asset('"BI Uper".x', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bi_mroe.x', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bi_src.x', 'SELECT 1 AS x')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('BI Upper', '[{"name": "bi.x", "query": "SELECT 1 AS x"}]')$$);
SELECT pg_temp.option('depends_on', $$'{"\"Net sale\""}'$$), pg_temp.option('depends_on', $$'{revenu}'$$);
ROLLBACK;

-- Queries
SELECT q, pg_temp.query(q) FROM unnest(ARRAY[
    'SELECT * FROM nowhere', 'SELECT * FROM nowhere.t', 'SELECT * FROM bi.ordres', 'SELECT idd FROM bi.orders', 'SELECT o.id FROM bi.orders',
    'SELECT 1 AS x WHERE EXISTS (WITH d AS (DELETE FROM bi_src.t RETURNING id) SELECT id FROM d)',
    'WITH a AS (SELECT id FROM bi_src.t FOR UPDATE) SELECT id FROM a', 'SELECT id FROM bi.orders FOR KEY SHARE',
    'SELECT', 'SELECT WHERE true', 'SELECT 1 AS x; ; SELECT 2 AS x', 'BEGIN', 'DO $d$ BEGIN END $d$', 'SET work_mem = 1', 'EXECUTE p', 'MERGE INTO bi_src.t USING bi_src.t s ON true WHEN MATCHED THEN DO NOTHING',
    'SELECT count(*), count(*) FROM bi.orders', 'SELECT a AS "A", b AS a, c AS "A" FROM (SELECT 1 AS a, 2 AS b, 3 AS c) s', 'SELECT 1 AS x, -1', 'SELECT (SELECT 1)', 'SELECT 1 AS xmin',
    'SELECT * FROM bi.orders o, bi.revenue r, bi.orders p', format('SELECT 1 AS %s, 2 AS %sb', repeat('a', 63), repeat('a', 63)),
    'SELECT t FROM (SELECT 1 AS a) t', 'SELECT ''x''::cstring AS c', 'SELECT pg_sleep(0) AS v', 'SELECT ARRAY[ROW(1)] AS r',
    'SELECT a || b AS x FROM (SELECT ''a'' COLLATE "C" AS a, ''b'' COLLATE "POSIX" AS b) s', 'SELECT x FROM bi_src.t WHERE id = $1', 'SELECT 1/0 AS x, FROM t']) q;
-- text of an unknown type is text
BEGIN;
SELECT vibepiper.define_asset('bi.x', 'SELECT ''a'' AS a, NULL AS n, ''b''::unknown AS u');
SELECT pg_typeof(a), pg_typeof(n), pg_typeof(u) FROM bi.x;
ROLLBACK;
-- where it is, in the text of the user, also when that is not ASCII or in a batch
SELECT vibepiper.define_asset('bi.x', 'SELECT ''€€€'' AS "€",
  nosuch€ FROM bi_src.t');
SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x,\n  nosuch FROM bi_src.t"}]');

-- Names that hold what quotes, formats and lines are made of, in every message
BEGIN;
SELECT vibepiper.define_asset('bi."a""b.c\d%s%n
e"', 'SELECT 1 AS "x%s""\ y"');
SELECT vibepiper.define_asset('bi."r%d"', 'SELECT "x%s""\ y" FROM bi."a""b.c\d%s%n
e"');
SELECT asset, status FROM vibepiper.run('bi', '"r%d" "a""b.c\d%s%n
e"', parallel => false);
SELECT * FROM bi."r%d";
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bi."a""b.c\d%s%n
e"', 'SELECT "x%s""\ y" FROM bi."r%d"')$$);
SELECT pg_temp.err($$SELECT vibepiper.drop_asset('bi."a""b.c\d%s%n
e"')$$);
SELECT vibepiper.define_asset('bi."f%s"', 'SELECT 1 / (random() * 0)::int AS "x%d"');
SELECT pg_temp.err($$SELECT vibepiper.run('bi', '"f%s"', parallel => false)$$);
SELECT pg_temp.err($$SELECT vibepiper.plan('bi', '"%s%n"')$$);
SELECT pg_temp.err($$SELECT vibepiper.plan('bi', 'tag:%s%n')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "%s", "query": "SELECT 1 AS x", "x%n": 1}]')$$);
ROLLBACK;
-- composed and decomposed are two names, as everywhere in PostgreSQL; only ASCII folds in this locale
BEGIN;
SELECT vibepiper.define_asset(U&'bi."\00e9"', 'SELECT ''composed'' AS x'), vibepiper.define_asset(U&'bi.E\0301', 'SELECT ''decomposed'' AS x');
SELECT (SELECT x FROM bi.U&"\00e9"), (SELECT x FROM bi.U&"e\0301");
SELECT asset, action FROM vibepiper.plan('bi', U&'E\0301');
SELECT asset, action FROM vibepiper.plan('bi', U&'\00e9');
ROLLBACK;

-- Circles: with what is there, over a batch; a long path is cut short
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "y", "query": "SELECT n FROM bi.revenue"}, {"name": "orders", "query": "SELECT n::int AS id, NULL::text AS x FROM y"}]')$$);
SELECT pg_temp.err(format('SELECT vibepiper.define_assets(''bi'', %L)', (
    SELECT jsonb_agg(jsonb_build_object('name', 'c' || i, 'query', 'SELECT x FROM c' || i % 20 + 1)) FROM generate_series(1, 20) i)));

-- Options
SELECT o, v, pg_temp.option(o, v) FROM (VALUES
    ('cache_ttl', $$'-1 s'$$), ('cache_ttl', $$'1 day -25 hours'$$), ('retry_delay', $$'-1 us'$$), ('timeout', $$'-1 mon'$$), ('retries', '-2147483648'), ('retries', '101'),
    ('cache_ttl', $$'100001 years'$$), ('cache_ttl', $$'5900000 years -2124000000 days'$$), ('retry_delay', $$'2147483647 days'$$), ('timeout', $$'2147483647 hours'$$), ('tags', $$'{a,""}'$$),
    ('storage', $$''$$), ('storage', $$'LOGGED'$$), ('on_miss', $$'%s'$$), ('indexes', $$'{{(id)},{(x)}}'$$), ('settings', $$'{{a=1},{b=1}}'$$), ('tags', $$'{{a,b}}'$$), ('depends_on', $$'{{bi.orders}}'$$),
    ('depends_on', $$'{bi.ordres}'$$), ('depends_on', $$'{bi_src.t}'$$), ('depends_on', $$'{""}'$$), ('depends_on', $$'{a.b.c}'$$), ('tags', $$'{NULL}'$$), ('indexes', $$'{NULL}'$$), ('settings', $$'{NULL}'$$)) t(o, v);
SELECT pg_temp.err($$SELECT vibepiper.define_pipeline('bi', schemas => '{{bi,bi2},{bi3,bi4}}')$$);
-- the longest one; a longer one would be more than a timestamp holds
BEGIN;
SELECT vibepiper.define_asset('bi.x', 'SELECT 1 AS x', cache_ttl => '100000 years');
SELECT status FROM vibepiper.run('bi', 'x', parallel => false);
SELECT action FROM vibepiper.plan('bi', 'x');
SELECT vibepiper.is_fresh('bi.x'), vibepiper.is_fresh('bi.orders');
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'bi' ORDER BY 1;
SELECT expires_at = as_of + interval '100000 years' FROM vibepiper.versions WHERE asset = 'bi.x';
-- as a superuser can write it: this asset never expires, and the others are what they are
UPDATE vibepiper.asset SET cache_ttl = '178000000 years' WHERE stub = 'bi.x'::regclass;
SELECT action FROM vibepiper.plan('bi', 'x');
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'bi' ORDER BY 1;
SELECT asset, expires_at > as_of FROM vibepiper.versions WHERE asset LIKE 'bi.%' ORDER BY 1;
ROLLBACK;
-- a month is a month
BEGIN;
SELECT vibepiper.define_asset('bi.x', 'SELECT 1 AS x', cache_ttl => '1 month');
SELECT status FROM vibepiper.run('bi', 'x', parallel => false);
SELECT expires_at = as_of + interval '1 month' FROM vibepiper.versions WHERE asset = 'bi.x';
ROLLBACK;

-- Settings: what is no setting, what says who computes, what belongs to the session
SELECT s, pg_temp.option('settings', format('ARRAY[%L]', s)) FROM unnest(ARRAY['', ' ', 'work_mem', '=1', ' = 1', 'work_mem=', 'work_mem=much', 'no_such=1', 'my.=1', 'vibepiper.no_such=1', 'vibepiper.on_miss=never',
    'role=postgres', 'ROLE = none', 'session_authorization=default', 'transaction_read_only=off', 'transaction_isolation=serializable', 'transaction_deferrable=on',
    'client_encoding=LATIN1', 'exit_on_error=on', 'seed=0.5', 'server_version=1', 'shared_buffers=1GB', 'log_connections=on', 'TimeZone=Nowhere', 'default_tablespace=nowhere',
    'default_text_search_config=nowhere']) s;
SELECT pg_temp.err($$SELECT vibepiper.define_pipeline('bi', settings => '{role=none}')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x", "settings": ["role=none"]}]')$$);
-- an asset's owner sets them: what that role may not, a superuser can't give to its asset either
BEGIN;
CREATE ROLE regress_bi_owner;
CREATE SCHEMA bi_owned AUTHORIZATION regress_bi_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_bi_owner;
SET LOCAL ROLE regress_bi_owner;
SELECT vibepiper.define_pipeline('bi_owned');
RESET ROLE;
SELECT pg_temp.err($$SELECT vibepiper.define_asset('bi_owned.x', 'SELECT 1 AS x', settings => '{session_replication_role=replica}')$$);
GRANT SET ON PARAMETER session_replication_role TO regress_bi_owner;
SELECT vibepiper.define_asset('bi_owned.x', 'SELECT current_setting(''session_replication_role'') AS x', settings => '{session_replication_role=replica}');
SELECT status FROM vibepiper.run('bi_owned', parallel => false);
SELECT x FROM bi_owned.x;
ROLLBACK;
-- these can be set; a value may hold '=', and be empty
BEGIN;
SELECT vibepiper.define_asset('bi.x', 'SELECT current_setting(''my.x'') AS x, current_setting(''search_path'') AS path, current_setting(''work_mem'') AS mem',
    settings => '{my.x=a=b , "search_path =",work_mem=1MB,work_mem=2MB,session_replication_role=replica}');
SELECT * FROM bi.x;
SELECT status FROM vibepiper.run('bi', 'x', parallel => false);
SELECT * FROM bi.x;
SELECT current_setting('my.x', true), current_setting('session_replication_role');
ROLLBACK;

-- Index clauses
SELECT c, pg_temp.option('indexes', format('ARRAY[%L]', c)) FROM unnest(ARRAY['', ' ', '()', '(id', 'id', '(nosuch)', '(id); DROP TABLE bi_src.t', '(id) /*', '(id) TABLESPACE nosuch', '(id) WITH (fillfactor = 5)', '(id) WITH (nosuch = 1)',
    '(id) INCLUDE (nosuch)', '(id) WHERE EXISTS (SELECT 1)', '(id) WHERE random() > 0.5', '(random())', '((SELECT 1))', '(id nosuch_ops)', 'my_index (id)', 'ONLY (id)', 'IF NOT EXISTS (id)', 'CONCURRENTLY (id)',
    'UNIQUE', 'UNIQUE CONCURRENTLY (id)', 'uniqueness (id)', 'unique_ (id)', 'USING nosuch (id)', 'USING gin (x)', '(count(*))', '(generate_series(1, 2))', '(ctid)', '($1)', '(x COLLATE nosuch)', '(id) WHERE 1', '(id) WHERE bi_src.t.id > 1',
    '(id), (x)', 'ON bi_src.t (id)', '(id) ON bi_src.t (id)']) c;
-- these are none: comments, what follows the columns, more than once the same
BEGIN;
SELECT vibepiper.define_asset('bi.x', 'SELECT id, x FROM bi_src.t', indexes => ARRAY['(id) -- comment', '/* comment */ (x)', 'UNIQUE(id)', 'unique (id) NULLS NOT DISTINCT', '(id)', '(id);', '(id) WITH (fillfactor = 50)', '(x text_pattern_ops DESC)', '(id) TABLESPACE pg_default']);
SELECT status, rows FROM vibepiper.run('bi', 'x', parallel => false);
SELECT count(*) FROM pg_index i JOIN vibepiper.versions v ON i.indrelid = v.slot::regclass WHERE asset = 'bi.x';
ROLLBACK;

-- run's other arguments
SELECT a, pg_temp.err('SELECT vibepiper.run(''bi'', parallel => false, ' || a || ')') FROM unnest(ARRAY['max_workers => 0', 'max_workers => -1', 'overlap => ''never''', 'on_failure => ''ignore''', 'timeout => ''-1 s''']) a;
SELECT count(*) FROM vibepiper.run('bi', parallel => false, max_workers => 3, wait => false, overlap => 'refuse', consistent => false, timeout => '1 h') WHERE status = 'cached';
SELECT pg_temp.err($$SELECT vibepiper.purge('bi', 0)$$), pg_temp.err($$SELECT vibepiper.rollback('bi', -1)$$), pg_temp.err($$SELECT vibepiper.rollback('bi', 9223372036854775807)$$);

-- Selections
SELECT s, pg_temp.err(format('SELECT vibepiper.plan(''bi'', %L)', s)) FROM unnest(ARRAY['+++orders', '++orders', 'orders++', '@@orders', '@+orders', '+@orders', '@', '+', '-', '--orders', 'orders -', '1+', '+1', '99999999999+orders', 'orders+99999999999', '1000001+orders',
    ',', 'orders,,revenue', ',orders', '"', '""', '"orders', 'orders"', '(orders)', 'tag:', 'tag:"', 'source:', 'source:.', 'TAG:Daily', 'x:y', 'bi.', '.orders', 'bi..orders', 'bi.orders.id', '*.*.*', 'a\b', 'orders;revenue']) s;
SELECT count(*) FROM vibepiper.plan('bi', '1000000+revenue') a, vibepiper.plan('bi', E'\t\n revenue\r\n') b;
-- of a megabyte: names, commas, quotes; a message shows the beginning only
SELECT count(*) FROM vibepiper.plan('bi', repeat('orders ', 150000));
SELECT count(*) FROM vibepiper.plan('bi', 'orders' || repeat(',+revenue', 100000));
SELECT pg_temp.err(format('SELECT vibepiper.plan(''bi'', %L)', repeat('orders ', 150000) || 'ordres'));
SELECT pg_temp.err(format('SELECT vibepiper.plan(''bi'', %L)', repeat('+', 1000000)));
SELECT pg_temp.err(format('SELECT vibepiper.plan(''bi'', %L)', '"' || repeat('€', 300000)));
SELECT pg_temp.err(format('SELECT vibepiper.plan(''bi'', %L)', 'tag:' || repeat('x', 1000000)));
SELECT pg_temp.err(format('SELECT vibepiper.plan(''bi'', %L)', repeat('*x', 500000)));
SELECT pg_temp.err(format('SELECT vibepiper.plan(''bi'', %L)', repeat('orders ', 150000) || '-*'));

-- jsonb: the last of duplicate keys counts, as in every jsonb; null is the default; deep nesting is no crash
BEGIN;
SELECT * FROM vibepiper.define_assets('bi', '[{"name": "a", "name": "x", "query": "SELECT 1 AS x", "tags": null, "cache_ttl": null}]');
ROLLBACK;
SELECT pg_temp.err(format('SELECT vibepiper.define_assets(''bi'', %L)', repeat('[', 1000) || repeat(']', 1000)));
SELECT pg_temp.err(format('SELECT vibepiper.define_assets(''bi'', %L)', repeat('[', 1000000))) LIKE '54001%';
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x"}, []]')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "", "query": "SELECT 1 AS x"}]')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x", "": 1}]')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x", "Cache": true}]')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x", "storage": "temp"}]')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x", "cache_ttl": "-1 s"}]')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "a.b.c", "query": "SELECT 1 AS x"}]')$$);
SELECT pg_temp.err($$SELECT vibepiper.define_assets('bi', '[{"name": "x", "query": "SELECT 1 AS x", "depends_on": ["ordres"]}]')$$);

-- After all that, everything is as it was
SELECT e.pipelines = b.pipelines, e.assets = b.assets, e.dependencies = b.dependencies, e.versions = b.versions, e.mappings = b.mappings,
    e.schemas = b.schemas, e.relations = b.relations FROM bi_src.everything e, bi_src.before b;
SELECT kind, status, count(*) FROM vibepiper.runs WHERE pipeline = 'bi' GROUP BY 1, 2;
SELECT * FROM bi.revenue;

SELECT vibepiper.drop_pipeline('bi', cascade => true);
DROP SCHEMA bi, bi_src CASCADE;
