-- Index clauses are looked up once, when they are defined.  A first run makes
-- a slot after the definition, a second one another.
SET client_min_messages = warning;
\set SHOW_CONTEXT errors
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE SCHEMA ic_src;
CREATE SCHEMA ic_lib;
CREATE TABLE ic_src.t AS SELECT i AS id, ('n' || i)::varchar AS n, date '2026-01-01' + i AS day, timestamptz '2026-01-01 00:00+00' + i * interval '1 day' AS at,
	interval '1 day' * i AS age, NULLIF(i, 3) AS three FROM generate_series(1, 5) i;
SELECT vibepiper.define_pipeline('ic');
-- The stored indexes, without what names the slot; newest slot last.
CREATE FUNCTION ic_src.indexes_of(asset text) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
	SELECT regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX \S+ ON \S+ USING ', ' INDEX ... USING ')
	FROM vibepiper.versions v JOIN pg_index i ON i.indrelid = v.slot::regclass WHERE v.asset = $1 AND v.published ORDER BY i.indexrelid
$$;

-- Everything that a clause may say, and constants in forms that settings change
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET TimeZone = 'Asia/Tokyo';
SET transform_null_equals = on;
SET search_path = ic_src, public;
SELECT vibepiper.define_asset('ic.every', 'SELECT id, n, day, at, age, three FROM t', indexes => ARRAY['unique (id) INCLUDE (n) WITH (fillfactor = 70)',
	'(n COLLATE "C" text_pattern_ops DESC NULLS LAST, lower(n))', 'USING brin (day, id) WITH (pages_per_range = 2)', $$(id) WHERE day > '3.1.2026' AND n <> 'it''s \'$$,
	$$(id) WHERE at < '2026-01-01 12:00' AND age > '1 2:00:00'$$, '(id) WHERE three = NULL', '(n) TABLESPACE pg_default', '((id % 2), (n || three))', '(three) WHERE n LIKE ''a%'' OR id = ANY (''{1,2}'')']);
RESET ALL;
SET client_min_messages = warning;
SELECT asset, status FROM vibepiper.run('ic', 'every', parallel => false);
SELECT * FROM ic_src.indexes_of('ic.every');
-- the next slot, in a session with other settings, has the same
SET DateStyle = 'SQL, DMY';
CREATE TEMP TABLE before AS SELECT * FROM ic_src.indexes_of('ic.every') AS i;
UPDATE ic_src.t SET id = -id WHERE id = 1;
SELECT asset, status FROM vibepiper.run('ic', 'every', parallel => false, force => true);
SELECT count(*), count(DISTINCT slot) FROM vibepiper.versions WHERE asset = 'ic.every';
SELECT count(*) FROM (SELECT * FROM before EXCEPT SELECT * FROM ic_src.indexes_of('ic.every')) d;
RESET DateStyle;

-- A better match of somebody else's, on the search path
CREATE ROLE regress_ic_owner;
CREATE ROLE regress_ic_other;
GRANT USAGE ON SCHEMA vibepiper, ic_src TO regress_ic_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_ic_owner;
GRANT USAGE, CREATE ON SCHEMA ic_lib TO regress_ic_owner, regress_ic_other;
GRANT SELECT ON ic_src.t TO regress_ic_owner;
SELECT current_database() AS db \gset
GRANT CREATE ON DATABASE :"db" TO regress_ic_owner;
SET ROLE regress_ic_owner;
SET search_path = ic_lib, ic_src;
CREATE FUNCTION ic_lib.mine(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''mine '' || $1';
CREATE FUNCTION ic_lib.any_of(x anyelement) RETURNS anyelement LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN x; END';
SELECT vibepiper.define_pipeline('ico');
SELECT vibepiper.define_asset('ico.planted', 'SELECT id, n FROM t', indexes => ARRAY['(upper(n), (n = ''a''), mine(n))', '(n) WHERE n > ''b''']);
SELECT vibepiper.define_asset('ico.exact', 'SELECT id, n FROM t', indexes => ARRAY['(any_of(id))']);
SET ROLE regress_ic_other;
CREATE FUNCTION ic_lib.upper(varchar) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''planted''; END';
CREATE FUNCTION ic_lib.mine(varchar) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''planted''; END';
CREATE FUNCTION ic_lib.any_of(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''planted''; END';
CREATE FUNCTION ic_lib.eq(varchar, varchar) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''planted''; END';
CREATE OPERATOR ic_lib.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = ic_lib.eq);
CREATE OPERATOR ic_lib.> (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = ic_lib.eq);
SET ROLE regress_ic_owner;
SELECT asset, status FROM vibepiper.run('ico', 'planted', parallel => false);
SELECT * FROM ic_src.indexes_of('ico.planted');
-- in the schema of a polymorphic function there may be a better one yet: it isn't called
SELECT count(*) FROM vibepiper.run('ico', 'exact', parallel => false, on_failure => 'report');
SELECT t.status, t.error_sqlstate, t.error_message, t.error_context FROM vibepiper.tasks t WHERE asset = 'ico.exact' AND status = 'failed';
RESET ROLE;
DROP FUNCTION ic_lib.upper(varchar), ic_lib.mine(varchar), ic_lib.any_of(int), ic_lib.eq(varchar, varchar) CASCADE;

-- Another definition looks up again; what the names mean now is another index
SET search_path = ic_lib, ic_src;
SELECT vibepiper.define_asset('ic.again', 'SELECT id, n FROM t', indexes => ARRAY['(upper(n))']);
SELECT asset, status FROM vibepiper.run('ic', 'again', parallel => false);
CREATE FUNCTION ic_lib.upper(varchar) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
SELECT vibepiper.define_asset('ic.again', 'SELECT id, n FROM t', indexes => ARRAY['(upper(n))']);
SELECT vibepiper.define_asset('ic.again', 'SELECT id, n FROM t WHERE true', indexes => ARRAY['(upper(n))']);
SELECT asset, status FROM vibepiper.run('ic', 'again', parallel => false);
SELECT * FROM ic_src.indexes_of('ic.again');
RESET search_path;

-- Renamed: a schema is followed
CREATE SCHEMA "Ic.Odd";
CREATE TYPE "Ic.Odd".mood AS ENUM ('low', 'high');
CREATE FUNCTION "Ic.Odd"."Ic.Odd"(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE COLLATION "Ic.Odd".odd FROM "C";
SELECT vibepiper.define_asset('ic.names', 'SELECT id, n, (CASE WHEN id > 2 THEN ''high'' ELSE ''low'' END)::"Ic.Odd".mood AS m, n::text AS "Ic.Odd" FROM ic_src.t',
	indexes => ARRAY['(m, (m = ''low'')) WHERE m < ''high''', '("Ic.Odd"."Ic.Odd"(n) COLLATE "Ic.Odd".odd)', '(("Ic.Odd" || ''"Ic.Odd".''))', '(id) WHERE n <> ''"Ic.Odd".x''']);
ALTER SCHEMA "Ic.Odd" RENAME TO ic_even;
SELECT asset, status FROM vibepiper.run('ic', 'names', parallel => false);
SELECT * FROM ic_src.indexes_of('ic.names');
-- anything else is an error that names the clause, until it is defined again
CREATE TYPE ic_lib.mood AS ENUM ('low', 'high');
SET search_path = ic_lib, ic_src;
SELECT vibepiper.define_asset('ic.typed', 'SELECT id, (CASE WHEN id > 2 THEN ''high'' ELSE ''low'' END)::mood AS m FROM t', indexes => ARRAY['(id) WHERE m < ''high''']);
ALTER TYPE ic_lib.mood RENAME TO temper;
SELECT count(*) FROM vibepiper.run('ic', 'typed', parallel => false, on_failure => 'report');
SELECT t.status, t.error_sqlstate, t.error_message, t.error_hint, t.error_context FROM vibepiper.tasks t WHERE asset = 'ic.typed' AND status = 'failed';
SELECT vibepiper.define_asset('ic.typed', 'SELECT id, (CASE WHEN id > 2 THEN ''high'' ELSE ''low'' END)::temper AS m FROM t', indexes => ARRAY['(id) WHERE m < ''high''']);
SELECT asset, status FROM vibepiper.run('ic', 'typed', parallel => false);
SELECT vibepiper.define_asset('ic.typed', 'SELECT id, (CASE WHEN id > 2 THEN ''high'' ELSE ''low'' END)::temper AS m FROM t', indexes => ARRAY['(id) WHERE m < ''high''']);
RESET search_path;

-- Columns that change take the clauses of what reads them along
SELECT vibepiper.define_asset('ic.up', 'SELECT id, n FROM ic_src.t');
SELECT vibepiper.define_asset('ic.down', 'SELECT * FROM ic.up', indexes => ARRAY['(n)', '(lower(n))']);
SELECT vibepiper.define_asset('ic.up', 'SELECT id, n::"char" AS n FROM ic_src.t');
SELECT asset, status FROM vibepiper.run('ic', 'up+', parallel => false);
SELECT * FROM ic_src.indexes_of('ic.down');
\set VERBOSITY terse
SELECT vibepiper.define_asset('ic.up', 'SELECT id, id AS n FROM ic_src.t');
\set VERBOSITY default

-- Left out is gone
SELECT vibepiper.define_asset('ic.down', 'SELECT * FROM ic.up');
SELECT asset, status FROM vibepiper.run('ic', 'down', parallel => false, force => true);
SELECT * FROM ic_src.indexes_of('ic.down');

SELECT vibepiper.drop_pipeline('ic', cascade => true);
SELECT vibepiper.drop_pipeline('ico', cascade => true);
DROP SCHEMA ic, ico, ic_src, ic_lib, ic_even CASCADE;
REVOKE CREATE ON DATABASE :"db" FROM regress_ic_owner;
DROP OWNED BY regress_ic_owner, regress_ic_other;
DROP ROLE regress_ic_owner, regress_ic_other;
