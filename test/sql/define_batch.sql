-- define_assets: any order, prune, dry_run, shapes, circles, names, size.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE FUNCTION pg_temp.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

CREATE SCHEMA db_src;
CREATE TABLE db_src.t (id int, x text);
INSERT INTO db_src.t VALUES (1, 'one'), (2, 'two');
SELECT vibepiper.define_pipeline('db', schemas => '{db,db_more}');

-- Any order, every field, unqualified names
CREATE TABLE db_src.batch AS SELECT $$[
    {"name": "top", "query": "SELECT count(*) AS n FROM middle, db_more.other"},
    {"name": "db_more.other", "query": "SELECT id FROM db.bottom"},
    {"name": "middle", "query": "WITH q AS (SELECT id, x FROM bottom) SELECT id, x FROM q", "indexes": ["UNIQUE (id)"], "tags": ["a", "b"]},
    {"name": "bottom", "query": "SELECT id, x FROM db_src.t", "cache": false, "cache_ttl": "1 day", "lazy": false, "parallel": false,
     "storage": "logged", "on_miss": "error", "settings": ["work_mem=8MB"], "hints": "h", "retries": 2, "retry_delay": "3 s",
     "timeout": "1 min", "description": "all fields"},
    {"name": "declared", "query": "SELECT 1 AS x", "depends_on": ["top"]}
]$$::jsonb AS assets;
SELECT d.* FROM db_src.batch b, vibepiper.define_assets('db', b.assets, dry_run => true) d;
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'db';
SELECT count(*) FROM pg_class WHERE relnamespace = 'db'::regnamespace;
SELECT d.* FROM db_src.batch b, vibepiper.define_assets('db', b.assets) d;
SELECT asset, upstream, declared FROM vibepiper.dependencies WHERE asset LIKE 'db%' ORDER BY 1, 2;
\x on
SELECT cache, cache_ttl, lazy, parallel, storage, on_miss, indexes, settings, hints, depends_on, tags, retries, retry_delay, timeout, description
FROM vibepiper.assets WHERE asset = 'db.bottom';
SELECT cache, cache_ttl, lazy, parallel, storage, on_miss, indexes, settings, hints, depends_on, tags, retries, retry_delay, timeout, description
FROM vibepiper.assets WHERE asset = 'db.middle';
\x off
SELECT asset, status, rows FROM vibepiper.run('db', parallel => false);
SELECT n FROM db.top;
-- the same again
SELECT d.* FROM db_src.batch b, vibepiper.define_assets('db', b.assets) d;
SELECT d.* FROM db_src.batch b, vibepiper.define_assets('db', b.assets, prune => true, dry_run => true) d;
-- null fields mean the defaults
SELECT * FROM vibepiper.define_assets('db', '[{"name": "bottom", "query": "SELECT id, x FROM db_src.t", "cache": null, "storage": null, "retry_delay": null,
    "retries": null, "tags": null, "lazy": null, "parallel": null}]', dry_run => true);

-- A dry run of changes, and of prune; it leaves nothing
SELECT * FROM vibepiper.define_assets('db', $$[
    {"name": "bottom", "query": "SELECT id, x FROM db_src.t WHERE id > 0", "cache": false},
    {"name": "middle", "query": "WITH q AS (SELECT id, x FROM bottom) SELECT id, x FROM q", "tags": ["c"]},
    {"name": "fresh", "query": "SELECT id FROM bottom"}]$$, prune => true, dry_run => true);
SELECT asset, tags FROM vibepiper.assets WHERE pipeline = 'db' ORDER BY 1;
SELECT action, reason FROM vibepiper.plan('db', 'top');
SELECT * FROM vibepiper.define_assets('db', $$[
    {"name": "bottom", "query": "SELECT id, x FROM db_src.t WHERE id > 0", "cache": false},
    {"name": "middle", "query": "WITH q AS (SELECT id, x FROM bottom) SELECT id, x FROM q", "tags": ["c"]},
    {"name": "fresh", "query": "SELECT id FROM bottom"}]$$, prune => true);
SELECT asset, tags FROM vibepiper.assets WHERE pipeline = 'db' ORDER BY 1;
SELECT relname FROM pg_class WHERE relnamespace IN ('db'::regnamespace, 'db_more'::regnamespace) ORDER BY 1;
-- prune is refused when something else reads what goes, and says who
SELECT vibepiper.define_pipeline('db_reader');
SELECT vibepiper.define_asset('db_reader.r', 'SELECT id FROM db.fresh');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "bottom", "query": "SELECT id, x FROM db_src.t"}]', prune => true);
CREATE VIEW db_src.on_middle AS SELECT id FROM db.middle;
SELECT vibepiper.drop_pipeline('db_reader', cascade => true);
SELECT pg_temp.sqlstate($$SELECT * FROM vibepiper.define_assets('db', '[{"name": "bottom", "query": "SELECT id, x FROM db_src.t"}]', prune => true)$$);
SELECT asset FROM vibepiper.assets WHERE pipeline = 'db' ORDER BY 1;
DROP VIEW db_src.on_middle;
-- an empty batch with prune drops all
SELECT * FROM vibepiper.define_assets('db', '[]');
SELECT * FROM vibepiper.define_assets('db', '[]', prune => true, dry_run => true);
SELECT * FROM vibepiper.define_assets('db', '[]', prune => true);
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'db';

-- Circles
SELECT * FROM vibepiper.define_assets('db', $$[
    {"name": "a", "query": "SELECT x FROM c"},
    {"name": "b", "query": "SELECT x FROM a"},
    {"name": "c", "query": "SELECT x FROM b"},
    {"name": "d", "query": "SELECT x FROM c"}]$$);
SELECT * FROM vibepiper.define_assets('db', '[{"name": "self", "query": "SELECT x FROM self"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "a", "query": "SELECT 1 AS x", "depends_on": ["b"]}, {"name": "b", "query": "SELECT x FROM a"}]');
-- through a view, with what is there already
SELECT vibepiper.define_asset('db.a', 'SELECT 1 AS x');
CREATE VIEW db_src.on_a AS SELECT x FROM db.a;
SELECT * FROM vibepiper.define_assets('db', '[{"name": "a", "query": "SELECT x FROM b"}, {"name": "b", "query": "SELECT x FROM db_src.on_a"}]');
SELECT vibepiper.asset_query('db.a');
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'db';
-- two assets change places: no circle at the end, and none on the way
SELECT * FROM vibepiper.define_assets('db', '[{"name": "p", "query": "SELECT 1 AS x"}, {"name": "q", "query": "SELECT x FROM p"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "p", "query": "SELECT x FROM q"}, {"name": "q", "query": "SELECT 1 AS x"}]');
SELECT asset, upstream FROM vibepiper.dependencies WHERE asset IN ('db.p', 'db.q');
DROP VIEW db_src.on_a;

-- CTE names that hide assets are no dependencies, and no circle
SELECT * FROM vibepiper.define_assets('db', $$[
    {"name": "u", "query": "WITH v AS (SELECT 1 AS x) SELECT x FROM v"},
    {"name": "v", "query": "WITH w AS (SELECT x FROM u) SELECT x FROM w"},
    {"name": "w", "query": "WITH w AS (SELECT x FROM v) SELECT x FROM w"}]$$);
SELECT asset, upstream FROM vibepiper.dependencies WHERE asset IN ('db.u', 'db.v', 'db.w') ORDER BY 1, 2;
-- a CTE's name inside is not its name outside
SELECT * FROM vibepiper.define_assets('db', $$[
    {"name": "outer_one", "query": "SELECT x FROM (WITH inner_one AS (SELECT 2 AS x) SELECT x FROM inner_one) s UNION ALL SELECT x FROM inner_one"},
    {"name": "inner_one", "query": "SELECT 1 AS x"},
    {"name": "later", "query": "WITH RECURSIVE one AS (SELECT x FROM two), two AS (SELECT 1 AS x) SELECT x FROM one"},
    {"name": "two", "query": "WITH one AS (SELECT x FROM later), later AS (SELECT 1 AS x) SELECT one.x FROM one, later"}]$$);
SELECT asset, upstream FROM vibepiper.dependencies WHERE asset IN ('db.outer_one', 'db.later', 'db.two') ORDER BY 1, 2;
-- names inside functions' bodies, strings and comments are no dependencies
SELECT * FROM vibepiper.define_assets('db', $$[{"name": "s1", "query": "SELECT 'FROM s2' AS x -- FROM s2"}, {"name": "s2", "query": "SELECT x FROM s1"}]$$);

-- Shapes
SELECT * FROM vibepiper.define_assets('db', NULL);
SELECT * FROM vibepiper.define_assets(NULL, '[]');
SELECT * FROM vibepiper.define_assets('nobody', '[]');
SELECT * FROM vibepiper.define_assets('db', '[]', prune => NULL);
SELECT * FROM vibepiper.define_assets('db', '[]', dry_run => NULL);
SELECT * FROM vibepiper.define_assets('db', '{"name": "a", "query": "SELECT 1 AS x"}');
SELECT * FROM vibepiper.define_assets('db', '"text"');
SELECT * FROM vibepiper.define_assets('db', 'null');
SELECT * FROM vibepiper.define_assets('db', '[1]');
SELECT * FROM vibepiper.define_assets('db', '[null]');
SELECT * FROM vibepiper.define_assets('db', '[[]]');
SELECT * FROM vibepiper.define_assets('db', '[{}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "a", "query": "SELECT 1 AS x"}, {"name": "b"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"query": "SELECT 1 AS x"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": null, "query": "SELECT 1 AS x"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "a", "query": null}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "a", "query": "SELECT 1 AS x", "qeury": "x"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "a", "query": "SELECT 1 AS x", "index": ["(x)"]}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "a", "query": "SELECT 1 AS x", "something else": 1}]');
-- fields of the wrong type, and values that are none: which field of which asset
CREATE FUNCTION pg_temp.refused(field text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    context text;
BEGIN
    PERFORM vibepiper.define_assets('db', format('[{"name": "a", "query": "SELECT 1 AS x"}, {"name": "b", "query": "SELECT 1 AS x", %s}]', field)::jsonb);
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), substring(context from '^(?:field|definition) [^\n]*'));
END $$;
SELECT field, pg_temp.refused(field) FROM unnest(ARRAY[
    '"name": ["b"]', '"name": 1', '"query": {"a": 1}', '"query": false', '"cache": 1', '"cache": "perhaps"', '"lazy": "true"', '"parallel": []', '"storage": 1', '"storage": "temp"', '"on_miss": ["error"]',
    '"hints": {"a": 1}', '"description": 1', '"indexes": "(x)"', '"indexes": {}', '"settings": [["work_mem=1MB"]]', '"settings": [{}]', '"settings": ["work_mem=much"]', '"depends_on": "a"', '"depends_on": [1]', '"depends_on": ["a.b.c"]', '"depends_on": ["c"]',
    '"tags": "a"', '"tags": {"a": 1}', '"tags": [1, true]', '"tags": [["a"]]', '"tags": ["a", null]', '"tags": [""]', '"retries": -1', '"retries": 101', '"retries": 1.5', '"retries": 99999999999', '"retries": "3"', '"retries": true',
    '"cache_ttl": 5', '"cache_ttl": "soon"', '"cache_ttl": ""', '"cache_ttl": "-1 s"', '"cache_ttl": "178000000 years"', '"retry_delay": {}', '"retry_delay": "1 sec 2 often"', '"timeout": false']) field;
-- a number may be written in any way that is an integer
BEGIN;
SELECT change FROM vibepiper.define_assets('db', '[{"name": "a", "query": "SELECT 1 AS x", "retries": 1e1}]');
SELECT retries FROM vibepiper.assets WHERE asset = 'db.a';
ROLLBACK;

-- Twice in a batch; a name that is not the pipeline's; a failing one says which, and nothing is defined
SELECT * FROM vibepiper.define_assets('db', '[{"name": "twice", "query": "SELECT 1 AS x"}, {"name": "db.twice", "query": "SELECT 2 AS x"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "db_src.a", "query": "SELECT 1 AS x"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "no_such.a", "query": "SELECT 1 AS x"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "ok", "query": "SELECT 1 AS x"}, {"name": "broken", "query": "SELECT nonsense FROM ok"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "ok", "query": "SELECT 1 AS x"}, {"name": "broken", "query": "SELEKT"}]');
-- in a dry run, too, and the session goes on
SELECT * FROM vibepiper.define_assets('db', '[{"name": "ok", "query": "SELECT 1 AS x"}, {"name": "broken", "query": "SELECT nonsense FROM ok"}]', dry_run => true);
SELECT count(*) FROM vibepiper.assets WHERE asset IN ('db.ok', 'db.twice', 'db.broken');

-- An upstream's columns change together with what reads them
SELECT * FROM vibepiper.define_assets('db', '[{"name": "base", "query": "SELECT id, x FROM db_src.t"}, {"name": "reader", "query": "SELECT id, x FROM base"}]');
SELECT * FROM vibepiper.define_assets('db', '[{"name": "base", "query": "SELECT id, x, 1 AS y FROM db_src.t"}, {"name": "reader", "query": "SELECT id, x, y FROM base"}]');
SELECT * FROM db.reader ORDER BY id;

-- A thousand assets: a chain, and a fan
SELECT vibepiper.define_pipeline('db_chain');
SELECT vibepiper.define_pipeline('db_fan');
SELECT clock_timestamp() AS began \gset
SELECT change, count(*) FROM vibepiper.define_assets('db_chain', (
    SELECT jsonb_agg(jsonb_build_object('name', 'n' || i, 'query', CASE WHEN i = 1000 THEN 'SELECT 1 AS x' ELSE format('SELECT x + 1 AS x FROM n%s', i + 1) END) ORDER BY i)
    FROM generate_series(1, 1000) i)) GROUP BY 1;
SELECT change, count(*) FROM vibepiper.define_assets('db_fan', (
    SELECT jsonb_agg(jsonb_build_object('name', 'n' || i, 'query', CASE WHEN i = 1 THEN 'SELECT 1 AS x' ELSE 'SELECT x FROM n1' END) ORDER BY i DESC)
    FROM generate_series(1, 1000) i)) GROUP BY 1;
SELECT change, count(*) FROM vibepiper.define_assets('db_fan', (
    SELECT jsonb_agg(jsonb_build_object('name', 'n' || i, 'query', CASE WHEN i = 1 THEN 'SELECT 1 AS x' ELSE 'SELECT x FROM n1' END) ORDER BY i)
    FROM generate_series(1, 1000) i)) GROUP BY 1;
SELECT clock_timestamp() - :'began' < '60 s' AS in_time;
SELECT count(*), count(DISTINCT upstream) FROM vibepiper.dependencies WHERE asset LIKE 'db\_chain.%';
SELECT count(*), count(DISTINCT upstream) FROM vibepiper.dependencies WHERE asset LIKE 'db\_fan.%';
SELECT (array_agg(asset))[1] AS first, count(*), count(DISTINCT action) FROM vibepiper.plan('db_chain');
SELECT count(*) FROM vibepiper.define_assets('db_chain', '[{"name": "n1000", "query": "SELECT x FROM n1"}]');
SELECT vibepiper.define_asset('db_chain.n997', 'SELECT x FROM db_chain.n995');

SELECT vibepiper.drop_pipeline('db_fan', cascade => true);
SELECT vibepiper.drop_pipeline('db_chain', cascade => true);
SELECT count(*) FROM pg_class WHERE relnamespace IN ('db_chain'::regnamespace, 'db_fan'::regnamespace);
SELECT vibepiper.drop_pipeline('db', cascade => true);
DROP SCHEMA db, db_more, db_src, db_chain, db_fan, db_reader CASCADE;
