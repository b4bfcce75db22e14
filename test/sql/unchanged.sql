-- Early cutoff: which rows count as the same.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA un_src;
CREATE TYPE un_src.pair AS (l int, r text);
CREATE TYPE un_src.mood AS ENUM ('sad', 'happy');
CREATE DOMAIN un_src.positive AS int CHECK (VALUE > 0);
SELECT vibepiper.define_pipeline('un');

-- try(a, b): is an asset that gives the rows of query b, after a, unchanged, and is what reads it left alone?
CREATE TABLE un_src.which (b bool);
INSERT INTO un_src.which VALUES (false);
CREATE FUNCTION un_src.try(a text, b text, OUT status text, OUT downstream text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE un_src.which SET b = false;
    PERFORM vibepiper.define_asset('un.x', format('SELECT q.* FROM (%s) q WHERE NOT (SELECT b FROM un_src.which) UNION ALL SELECT q.* FROM (%s) q WHERE (SELECT b FROM un_src.which)', a, b));
    PERFORM vibepiper.define_asset('un.reads_x', 'SELECT count(*) AS n FROM un.x');
    PERFORM vibepiper.run('un', parallel => false);
    UPDATE un_src.which SET b = true;
    PERFORM vibepiper.invalidate('un.x', downstream => false);
    SELECT max(r.status) FILTER (WHERE r.asset = 'un.x'), max(r.status) FILTER (WHERE r.asset = 'un.reads_x')
        INTO status, downstream FROM vibepiper.run('un', parallel => false) r;
    PERFORM vibepiper.drop_asset('un.x', cascade => true);
END $$;
CREATE FUNCTION un_src.try_all(VARIADIC cases text[]) RETURNS TABLE (a text, b text, status text, downstream text) LANGUAGE sql AS $$
    SELECT cases[i], cases[i + 1], t.* FROM generate_series(1, array_length(cases, 1), 2) i, un_src.try(cases[i], cases[i + 1]) t ORDER BY i
$$;

-- The same rows
SELECT * FROM un_src.try_all(
    'SELECT 1 AS x', 'SELECT 1 AS x',
    'SELECT i AS x FROM generate_series(1, 1000) i', 'SELECT i AS x FROM generate_series(1000, 1, -1) i',
    'SELECT NULL::int AS x', 'SELECT NULL::int AS x',
    'SELECT 1 AS x WHERE false', 'SELECT 2 AS x WHERE false',
    'SELECT x FROM (VALUES (1), (1), (2)) v(x)', 'SELECT x FROM (VALUES (2), (1), (1)) v(x)',
    'SELECT ''a''::text AS x', 'SELECT ''a'' || '''' AS x',
    'SELECT ''{1,2}''::int[] AS x', 'SELECT ARRAY[1, 2] AS x',
    'SELECT ''{"a": 1, "b": [1, 2]}''::jsonb AS x', 'SELECT ''{"b":[1,2],"a":1}''::jsonb AS x',
    'SELECT ROW(1, ''a'')::un_src.pair AS x', 'SELECT (1, ''a'')::un_src.pair AS x',
    'SELECT ''happy''::un_src.mood AS x', 'SELECT max(m) AS x FROM unnest(enum_range(NULL::un_src.mood)) m',
    'SELECT 5::un_src.positive AS x', 'SELECT (2 + 3)::un_src.positive AS x',
    'SELECT 1.50::numeric AS x', 'SELECT 0.75::numeric + 0.75 AS x',
    'SELECT ''2024-01-01''::date AS d, ''1 day''::interval AS i', 'SELECT ''2023-12-31''::date + 1, ''1 day''::interval',
    'SELECT repeat(''x'', 100000) AS x', 'SELECT repeat(''xx'', 50000) AS x');

-- Other rows
SELECT * FROM un_src.try_all(
    'SELECT 1 AS x', 'SELECT 2 AS x',
    'SELECT 1 AS x', 'SELECT 1 AS x FROM generate_series(1, 2)',
    'SELECT 1 AS x', 'SELECT 1 AS x FROM generate_series(1, 3)',
    'SELECT x FROM (VALUES (1), (1), (2)) v(x)', 'SELECT x FROM (VALUES (1), (2), (2)) v(x)',
    'SELECT x FROM (VALUES (1), (4)) v(x)', 'SELECT x FROM (VALUES (2), (3)) v(x)',
    'SELECT 1 AS x', 'SELECT 1 AS x WHERE false',
    'SELECT NULL::int AS x', 'SELECT 1 AS x WHERE false',
    'SELECT NULL::int AS x', 'SELECT 0 AS x',
    'SELECT NULL::text AS x', 'SELECT '''' AS x',
    'SELECT 1 AS x, NULL::int AS y', 'SELECT NULL::int AS x, 1 AS y',
    'SELECT 1 AS x, 2 AS y', 'SELECT 2 AS x, 1 AS y',
    'SELECT ''ab'' AS x, ''c'' AS y', 'SELECT ''a'' AS x, ''bc'' AS y',
    'SELECT ''a'' AS x', 'SELECT ''a '' AS x',
    'SELECT ''{1,2}''::int[] AS x', 'SELECT ''{2,1}''::int[] AS x',
    'SELECT ''{}''::int[] AS x', 'SELECT NULL::int[] AS x',
    'SELECT ROW(1, NULL)::un_src.pair AS x', 'SELECT ROW(1, '''')::un_src.pair AS x',
    'SELECT ''sad''::un_src.mood AS x', 'SELECT ''happy''::un_src.mood AS x',
    'SELECT 1.5::numeric AS x', 'SELECT 1.50::numeric AS x',
    'SELECT 0.0::float8 AS x', 'SELECT ''-0''::float8 AS x',
    'SELECT repeat(''x'', 100000) AS x', 'SELECT repeat(''x'', 99999) || ''y'' AS x');

-- Compressed, external and short values: how a value came in does not matter
CREATE TABLE un_src.t (c text, e text, s text);
ALTER TABLE un_src.t ALTER c SET STORAGE EXTENDED, ALTER e SET STORAGE EXTERNAL, ALTER s SET STORAGE PLAIN;
INSERT INTO un_src.t VALUES (repeat('compress', 10000), repeat('external', 10000), 'short');
SELECT pg_column_size(c) < 10000 AS compressed, pg_column_size(e) = 80000 AS external FROM un_src.t;
SELECT * FROM un_src.try_all(
    'SELECT c, e, s FROM un_src.t', 'SELECT repeat(''compress'', 10000), repeat(''external'', 10000), ''short''',
    'SELECT repeat(''compress'', 10000) AS c, repeat(''external'', 10000) AS e, ''short'' AS s', 'SELECT c, e, s FROM un_src.t',
    'SELECT e AS x FROM un_src.t', 'SELECT lower(upper(e)) FROM un_src.t',
    'SELECT array_agg(c) AS x FROM un_src.t', 'SELECT ARRAY[repeat(''compress'', 10000)]',
    'SELECT ROW(1, c)::un_src.pair AS x FROM un_src.t', 'SELECT ROW(1, repeat(''compress'', 10000))::un_src.pair',
    'SELECT jsonb_build_object(''c'', c, ''e'', e) AS x FROM un_src.t', 'SELECT jsonb_build_object(''e'', repeat(''external'', 10000), ''c'', repeat(''compress'', 10000))');
-- read back as they were
SELECT vibepiper.define_asset('un.toasted', 'SELECT c, e, s, ARRAY[c, e] AS a, ROW(1, e)::un_src.pair AS p FROM un_src.t');
SELECT asset, status FROM vibepiper.run('un', 'toasted', parallel => false);
SELECT x.c = t.c AND x.e = t.e AND x.s = t.s AND x.a = ARRAY[t.c, t.e] AND (x.p).r = t.e AS same FROM un.toasted x, un_src.t t;
DELETE FROM un_src.t;
VACUUM un_src.t;
SELECT md5(c), md5(e), md5((p).r) = md5(e) AS same FROM un.toasted;
SELECT asset, status FROM vibepiper.run('un', 'toasted', force => true, parallel => false);
SELECT count(*) FROM un.toasted;
INSERT INTO un_src.t VALUES (repeat('compress', 10000), repeat('external', 10000), 'short');
SELECT asset, status FROM vibepiper.run('un', 'toasted', force => true, parallel => false);
SELECT asset, status FROM vibepiper.run('un', 'toasted', force => true, parallel => false);

-- Every type at once; zero rows, one row, many
SELECT vibepiper.define_asset('un.types', $$SELECT i AS id, i::smallint AS i2, i::bigint AS i8, i::real AS f4, i::float8 AS f8, i / 7.0 AS n, 'x' || i AS t, ('x' || i)::varchar(20) AS vc,
    rpad('x', 5)::char(10) AS c, 'x'::"char" AS ch, ('n' || i)::name AS nm, i % 2 = 0 AS b, '2024-01-01'::date + i AS d, '2024-01-01'::timestamp + i * interval '1 hour' AS ts,
    '2024-01-01 00:00+00'::timestamptz + i * interval '1 min' AS tstz, '12:00'::time AS tm, '12:00+01'::timetz AS tmtz, i * interval '1 month' AS iv, decode(lpad(to_hex(i), 8, '0'), 'hex') AS by,
    md5(i::text)::uuid AS u, '10.0.0.1'::inet + i AS ip, '10.0.0.0/8'::cidr AS ci, '08:00:2b:01:02:03'::macaddr AS mac, point(i, i) AS pt, box(point(0, 0), point(i, i)) AS bx, i::bit(16) AS bi, i::bit(16)::varbit AS vb,
    int4range(i, i + 10) AS r, '{[1,3),[5,7)}'::int4multirange AS mr, to_tsvector('simple', 'a b ' || i) AS tv, 'a & b'::tsquery AS tq, '{"a": null}'::json AS j, jsonb_build_object('i', i, 'n', null) AS jb,
    ARRAY[[i, NULL], [1, 2]] AS a2, ARRAY[]::text[] AS a0, ROW(i, NULL)::un_src.pair AS pr, ARRAY[ROW(i, 'x')::un_src.pair] AS apr, 'happy'::un_src.mood AS m, i::un_src.positive AS dm, '<a>x</a>'::text AS x,
    pg_lsn '0/1' + i AS l, i::oid AS o, 'pg_class'::regclass AS rc, i::money AS mo, NULL::int AS nul
    FROM generate_series(1, 300) i$$);
SELECT asset, status, rows FROM vibepiper.run('un', 'types', parallel => false);
SELECT asset, status, rows FROM vibepiper.run('un', 'types', force => true, parallel => false);
SELECT count(*) AS differences FROM (
    (SELECT types::text AS row FROM un.types EXCEPT ALL SELECT def::text FROM vibepiper_def."un.types" def) UNION ALL
    (SELECT def::text FROM vibepiper_def."un.types" def EXCEPT ALL SELECT types::text FROM un.types)) x;
-- a value added to the enum, a domain made stricter: the rows stay the same
ALTER TYPE un_src.mood ADD VALUE 'glad' BEFORE 'happy';
SELECT asset, status, rows FROM vibepiper.run('un', 'types', force => true, parallel => false);
ALTER DOMAIN un_src.positive ADD CONSTRAINT not_seven CHECK (VALUE <> 7) NOT VALID;
SELECT asset, status, error FROM vibepiper.run('un', 'types', force => true, parallel => false, on_failure => 'report');
SELECT count(*) FROM un.types;

-- Wide rows: 1,600 columns are a table's limit
SELECT vibepiper.define_asset('un.wide', 'SELECT ' || string_agg(format('i + %s AS c%s', n, n), ', ' ORDER BY n) || ' FROM generate_series(1, 3) i') FROM generate_series(1, 1600) n;
SELECT asset, status, rows FROM vibepiper.run('un', 'wide', parallel => false);
SELECT c1, c800, c1600 FROM un.wide ORDER BY 1;
SELECT asset, status, rows FROM vibepiper.run('un', 'wide', force => true, parallel => false);
SELECT vibepiper.define_asset('un.wide_nulls', 'SELECT ' || string_agg(format('CASE WHEN i = %s THEN i END AS c%s', n, n), ', ' ORDER BY n) || ' FROM generate_series(1, 1600) i') FROM generate_series(1, 1600) n;
SELECT asset, status, rows FROM vibepiper.run('un', 'wide_nulls', parallel => false);
SELECT count(c1), sum(c1600) FROM un.wide_nulls;
SELECT vibepiper.define_asset('un.too_wide', 'SELECT ' || string_agg(format('%s AS c%s', n, n), ', ') || '') FROM generate_series(1, 1601) n;
-- rows that don't fit into a page fail, and say so
SELECT vibepiper.define_asset('un.too_big', 'SELECT ' || string_agg(format('repeat(''%s'', 20)::name AS c%s', chr(97 + n % 26), n), ', ') || '') FROM generate_series(1, 200) n;
SELECT asset, status, error FROM vibepiper.run('un', 'too_big', parallel => false, on_failure => 'report');

-- Through a chain: the rows that are the same stop the wave, wherever that is
CREATE TABLE un_src.numbers AS SELECT i FROM generate_series(1, 10) i;
SELECT asset, change FROM vibepiper.define_assets('un', $$[
    {"name": "n1", "query": "SELECT i FROM un_src.numbers"},
    {"name": "n2", "query": "SELECT i % 2 AS odd, count(*) AS n FROM n1 GROUP BY 1"},
    {"name": "n3", "query": "SELECT odd FROM n2"},
    {"name": "n4", "query": "SELECT count(*) AS n FROM n3"},
    {"name": "n5", "query": "SELECT n4.n, n2.n AS m FROM n4, n2"}]$$);
SELECT asset, status FROM vibepiper.run('un', 'n1+', parallel => false);
UPDATE un_src.numbers SET i = i + 10;
SELECT vibepiper.invalidate('un.n1', downstream => false);
SELECT asset, status, reason FROM vibepiper.run('un', 'n1+', parallel => false);
INSERT INTO un_src.numbers VALUES (21);
SELECT vibepiper.invalidate('un.n1', downstream => false);
SELECT asset, status, reason FROM vibepiper.run('un', 'n1+', parallel => false);
SELECT asset, status, reason FROM vibepiper.run('un', 'n1+', parallel => false);
-- back to older rows: they are what is published now that counts
DELETE FROM un_src.numbers WHERE i = 21;
SELECT vibepiper.invalidate('un.n1', downstream => false);
SELECT asset, status FROM vibepiper.run('un', 'n1+', parallel => false);
TABLE un.n5 ORDER BY 1, 2;

SELECT vibepiper.drop_pipeline('un', cascade => true);
DROP SCHEMA un, un_src CASCADE;
