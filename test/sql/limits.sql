-- Sizes: columns, bytes of text, nesting, depth, width, paths.  10,000 assets are in t/020_many_assets.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION pg_temp.err(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || left(SQLERRM, 60);
END $$;
CREATE FUNCTION pg_temp.define(name text, query text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.err(format('SELECT vibepiper.define_asset(%L, %L)', name, query))
$$;
CREATE FUNCTION pg_temp.columns(n int, pattern text) RETURNS text LANGUAGE sql AS $$
    SELECT 'SELECT ' || string_agg(format(pattern || ' AS c%s', i), ', ') FROM generate_series(1, n) i
$$;
SELECT vibepiper.define_pipeline('li');

-- 1,600 columns, the most that a view or a table has: defined, in a batch, read before and after a run
SELECT vibepiper.define_asset('li.wide', pg_temp.columns(1600, '1'));
SELECT c1 + c1600 FROM li.wide;
SELECT * FROM vibepiper.define_assets('li', jsonb_build_array(jsonb_build_object('name', 'wide_reader', 'query', 'SELECT * FROM wide_batch'),
    jsonb_build_object('name', 'wide_batch', 'query', pg_temp.columns(1600, '2'), 'indexes', ARRAY['(c1, c1600)'])));
SELECT c1 + c1600 FROM li.wide_reader;
SELECT asset, status, rows FROM vibepiper.run('li', parallel => false);
SELECT c1 + c1600 FROM li.wide;
SELECT c1 + c1600 FROM li.wide_reader;
SELECT asset, status FROM vibepiper.run('li', force => true, parallel => false);
-- one more is too many, also for an asset that is there, or in a batch
SELECT pg_temp.define('li.wider', pg_temp.columns(1601, '1')), pg_temp.define('li.wide', pg_temp.columns(1601, '1')),
    pg_temp.err(format('SELECT vibepiper.define_assets(''li'', %L)', jsonb_build_array(jsonb_build_object('name', 'wider', 'query', pg_temp.columns(1601, '1')))));
-- PostgreSQL has words of its own for more than the list of a query can hold
SELECT left(pg_temp.define('li.wider', pg_temp.columns(1700, '1')), 5);
SELECT c1600 FROM li.wide;
-- columns are added up to there
SELECT vibepiper.define_asset('li.grows', pg_temp.columns(1599, '1'));
SELECT vibepiper.define_asset('li.grows', pg_temp.columns(1600, '1'));
SELECT c1600 FROM li.grows;
-- rows that no page holds are computed when read, and fail in a run like an INSERT of them
SELECT vibepiper.define_asset('li.fat', pg_temp.columns(1600, '1::int8'));
SELECT c1600 FROM li.fat;
SELECT status, error FROM vibepiper.run('li', 'fat', parallel => false, on_failure => 'report');
SELECT c1600 FROM li.fat;
SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relname LIKE 'fat%';
-- as long as it fits, out of line
SELECT vibepiper.define_asset('li.long', pg_temp.columns(300, 'repeat(md5(i::text), 100)') || ' FROM generate_series(1, 3) i');
SELECT status, rows FROM vibepiper.run('li', 'long', parallel => false);
SELECT sum(length(c300)) FROM li.long;
SELECT status FROM vibepiper.run('li', 'long', force => true, parallel => false);

-- A query of 10 MB: one literal; a list of 10,000
SELECT vibepiper.define_asset('li.literal', format('SELECT length(%L) AS n', repeat('x', 10 * 1024 * 1024)));
SELECT status, rows FROM vibepiper.run('li', 'literal', parallel => false);
SELECT n FROM li.literal;
SELECT length(vibepiper.asset_query('li.literal'));
SELECT vibepiper.define_asset('li.list', (SELECT format('SELECT i FROM generate_series(9999, 10001) i WHERE repeat(''x'', 100) || i IN (%s)', string_agg(format('''%s%s''', repeat('x', 100), i), ',')) FROM generate_series(1, 10000) i));
SELECT pg_size_pretty(length(query)::numeric) FROM vibepiper.assets WHERE asset = 'li.list';
SELECT count(*) FROM li.list;
SELECT pg_temp.define('li.error', repeat('-- comment' || chr(10), 100000) || 'SELECT nosuch');
SELECT pg_temp.define('li.error', 'SELECT ''' || repeat('x', 1024 * 1024));
-- many arms
SELECT vibepiper.define_asset('li.arms', (SELECT string_agg('SELECT ' || i || ' AS x', ' UNION ALL ') FROM generate_series(1, 1000) i));
SELECT count(*), sum(x) FROM li.arms;
SELECT status, rows FROM vibepiper.run('li', 'arms', parallel => false);
SELECT count(*), sum(x) FROM li.arms;
SELECT pg_temp.define('li.error', (SELECT string_agg('SELECT ' || i || ' AS x', ' UNION ALL ') FROM generate_series(1, 50000) i));

-- Nesting: what PostgreSQL can do is done, the rest is its error and no crash
SELECT vibepiper.define_asset('li.nested', repeat('SELECT x FROM (', 200) || 'SELECT 1 AS x' || repeat(') s', 200));
SELECT x FROM li.nested;
SELECT status FROM vibepiper.run('li', 'nested', parallel => false);
SELECT vibepiper.define_asset('li.parens', 'SELECT ' || repeat('(', 4000) || '1' || repeat(')', 4000) || ' AS x');
SELECT vibepiper.define_asset('li.sum', 'SELECT 1' || repeat(' + 1', 1000) || ' AS x');
SELECT p.x, s.x FROM li.parens p, li.sum s;
SELECT pg_temp.define('li.error', 'SELECT 1' || repeat(' + 1', 100000) || ' AS x');
SELECT left(pg_temp.define('li.error', 'SELECT ' || repeat('(', 100000) || '1' || repeat(')', 100000) || ' AS x'), 5);
SELECT left(pg_temp.define('li.error', repeat('SELECT x FROM (', 30000) || 'SELECT 1 AS x' || repeat(') s', 30000)), 5);
SELECT left(pg_temp.define('li.error', 'SELECT 1 AS x WHERE ' || repeat('EXISTS (SELECT 1 WHERE ', 30000) || 'true' || repeat(')', 30000)), 5);
SELECT left(pg_temp.define('li.error', 'SELECT ' || repeat('abs(', 100000) || '1' || repeat(')', 100000) || ' AS x'), 5);
SELECT left(pg_temp.define('li.error', 'SELECT ARRAY' || repeat('[', 100000) || '1' || repeat(']', 100000) || ' AS x'), 5);
SELECT left(pg_temp.err(format('SELECT vibepiper.define_assets(''li'', %L)', jsonb_build_array(jsonb_build_object('name', 'error', 'query', 'SELECT 1' || repeat(' + 1', 100000) || ' AS x')))), 5);
SELECT left(pg_temp.err(format('SELECT vibepiper.define_asset(''li.error'', ''SELECT 1 AS x'', indexes => ARRAY[%L])', repeat('(', 100000) || 'x' || repeat(')', 100000))), 5);
SELECT asset FROM vibepiper.assets WHERE asset IN ('li.error', 'li.wider');

-- A ladder of 30 diamonds, each asset reading the one below it twice: 2^30 paths, 31 assets
SELECT change, count(*) FROM vibepiper.define_assets('li', (
    SELECT jsonb_agg(jsonb_build_object('name', 'd' || i, 'query', CASE i WHEN 0 THEN 'SELECT 1::int8 AS x' ELSE format('SELECT a.x + b.x AS x FROM d%s a, d%1$s b', i - 1) END))
    FROM generate_series(0, 30) i)) GROUP BY 1;
SELECT clock_timestamp() AS began \gset
SELECT x FROM li.d30;
SELECT a.x + b.x FROM li.d30 a, li.d30 b;
SELECT count(*) FROM vibepiper.plan('li', '+d30');
SELECT count(*) FROM vibepiper.run('li', '+d30', parallel => false) WHERE status = 'built';
SELECT x FROM li.d30;
-- without d0 again: what is stored above it does not help a reader of what is missing
SELECT vibepiper.define_asset('li.d30', 'SELECT a.x + b.x AS x, 1 AS y FROM li.d29 a, li.d29 b');
SELECT x FROM li.d30;
SELECT vibepiper.invalidate('li.d0');
SELECT status, count(*) FROM vibepiper.run('li', '@d30', parallel => false) GROUP BY 1 ORDER BY 1;
-- each path by itself would take hours
SELECT clock_timestamp() - :'began' < '30 s' AS in_time;
-- lazy ones, too, also when they can't be inlined
SELECT change, count(*) FROM vibepiper.define_assets('li', (
    SELECT jsonb_agg(jsonb_build_object('name', 'z' || i, 'lazy', true, 'query', CASE i WHEN 0 THEN 'SELECT 1::int8 AS x, current_setting(''work_mem'') AS m' ELSE format('SELECT a.x + b.x AS x, a.m FROM z%s a JOIN z%1$s b USING (m)', i - 1) END))
    FROM generate_series(0, 30) i)) GROUP BY 1;
SELECT x FROM li.z30;

-- Depth 1,000
SELECT vibepiper.define_pipeline('li_deep');
SELECT change, count(*) FROM vibepiper.define_assets('li_deep', (
    SELECT jsonb_agg(jsonb_build_object('name', 'n' || i, 'query', CASE i WHEN 1 THEN 'SELECT 1 AS x' ELSE format('SELECT x + 1 AS x FROM n%s', i - 1) END) ORDER BY i DESC)
    FROM generate_series(1, 1000) i)) GROUP BY 1;
SELECT x FROM li_deep.n1000;
SELECT (array_agg(asset))[1000], count(*) FROM vibepiper.plan('li_deep');
SELECT count(*) FROM vibepiper.plan('li_deep', '998+n1000');
SELECT pg_temp.define('li_deep.n1', 'SELECT x FROM li_deep.n1000');
SELECT status, count(*) FROM vibepiper.run('li_deep', parallel => false) GROUP BY 1;
SELECT x FROM li_deep.n1000;
SELECT status, count(*) FROM vibepiper.run('li_deep', parallel => false) GROUP BY 1;
SELECT vibepiper.invalidate('li_deep.n1');
SELECT state, count(*) FROM vibepiper.assets WHERE pipeline = 'li_deep' GROUP BY 1;
SELECT split_part(vibepiper.explain_asset('li_deep.n1000'), E'\n', 1);
SELECT vibepiper.drop_asset('li_deep.n1', cascade => true);
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'li_deep';

-- 100 that read one
SELECT vibepiper.define_pipeline('li_fan');
SELECT change, count(*) FROM vibepiper.define_assets('li_fan', (
    SELECT jsonb_agg(jsonb_build_object('name', 'n' || i, 'query', CASE i WHEN 0 THEN 'SELECT 1 AS x' ELSE format('SELECT x + %s AS x FROM n0', i) END))
    FROM generate_series(0, 100) i)) GROUP BY 1;
SELECT status, count(*) FROM vibepiper.run('li_fan', parallel => false) GROUP BY 1;
SELECT vibepiper.invalidate('li_fan.n0', downstream => false);
SELECT action, count(*) FROM vibepiper.plan('li_fan') GROUP BY 1 ORDER BY 1;
SELECT status, count(*) FROM vibepiper.run('li_fan', parallel => false) GROUP BY 1 ORDER BY 1;
-- a column at the end is added; one of another type is given to all that read it, unless one of them can't do with it
SELECT vibepiper.define_asset('li_fan.n0', 'SELECT 1 AS x, 2 AS y');
SELECT vibepiper.define_asset('li_fan.n0', 'SELECT 1::int8 AS x');
SELECT pg_typeof(a.x), pg_typeof(b.x) FROM li_fan.n1 a, li_fan.n100 b;
SELECT left(pg_temp.define('li_fan.n0', 'SELECT ''1'' AS x'), 5);
SELECT pg_typeof(x) FROM li_fan.n0;
SELECT pg_temp.err('SELECT vibepiper.drop_asset(''li_fan.n0'')');
SELECT vibepiper.drop_asset('li_fan.n0', cascade => true);

SELECT vibepiper.drop_pipeline(p, cascade => true) FROM unnest('{li,li_deep,li_fan}'::text[]) p;
SELECT count(*) FROM pg_class WHERE relnamespace IN ('li'::regnamespace, 'li_deep'::regnamespace, 'li_fan'::regnamespace);
DROP SCHEMA li, li_deep, li_fan;
