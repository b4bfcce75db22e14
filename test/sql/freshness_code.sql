-- Changes of code make an asset stale, wherever it is: functions that functions
-- call, what names mean to them, types, operators, roles
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
CREATE SCHEMA fc_src;
CREATE SCHEMA fc_first;
CREATE TABLE fc_src.t (id int PRIMARY KEY, v text);
INSERT INTO fc_src.t SELECT i, 'v' || i FROM generate_series(1, 3) i;
SELECT vibepiper.define_pipeline('fc');
CREATE FUNCTION fc_src.stale() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ': ' || CASE action WHEN 'build' THEN '' ELSE action || ', ' END || reason, ', ' ORDER BY asset), 'nothing')
		FROM vibepiper.plan('fc') WHERE action NOT IN ('cached', 'deferred', 'maybe') $$;
-- serial, so that functions stay prepared in this process
CREATE FUNCTION fc_src.refresh() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ' ' || status || CASE status WHEN 'cached' THEN ' (' || reason || ')' ELSE '' END, ', ' ORDER BY asset), 'nothing')
			|| '; then stale: ' || fc_src.stale()
		FROM vibepiper.run('fc', parallel => false) WHERE status <> 'cached' OR reason <> 'fresh' $$;

-- Inner functions: in an expression, folded, inlined, prepared for another asset before
CREATE FUNCTION fc_src.simple(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION fc_src.folded(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION fc_src.inlined(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1 + 1';
CREATE FUNCTION fc_src.outer1() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE x int := fc_src.simple(1); n bigint;
BEGIN
	x := x + fc_src.inlined(x);
	SELECT fc_src.folded(1) + count(*) INTO n FROM fc_src.t;
	RETURN n + x;
END $$;
SELECT vibepiper.define_asset('fc.inner1', 'SELECT fc_src.outer1() AS n');
SELECT vibepiper.define_asset('fc.inner2', 'SELECT fc_src.outer1() * 2 AS n');
SELECT fc_src.refresh();
CREATE OR REPLACE FUNCTION fc_src.simple(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 + 100; END';
SELECT fc_src.stale();
SELECT fc_src.refresh();
CREATE OR REPLACE FUNCTION fc_src.folded(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 100; END';
SELECT fc_src.stale();
SELECT fc_src.refresh();
CREATE OR REPLACE FUNCTION fc_src.inlined(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1 + 100';
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT n FROM fc.inner1;
-- a default of an argument
CREATE FUNCTION fc_src.dflt(a int, b int DEFAULT 5) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN a + b; END';
CREATE FUNCTION fc_src.usedflt() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fc_src.dflt(1); END';
SELECT vibepiper.define_asset('fc.dflt', 'SELECT fc_src.usedflt() AS n');
SELECT fc_src.refresh();
CREATE OR REPLACE FUNCTION fc_src.dflt(a int, b int DEFAULT 50) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN a + b; END';
SELECT fc_src.stale();
SELECT fc_src.refresh();
-- named by a body that was parsed
CREATE FUNCTION fc_src.atomic() RETURNS int LANGUAGE sql STABLE BEGIN ATOMIC SELECT fc_src.simple(1); END;
SELECT vibepiper.define_asset('fc.atomic', 'SELECT fc_src.atomic() AS n');
SELECT fc_src.refresh();
CREATE OR REPLACE FUNCTION fc_src.simple(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
SELECT fc_src.stale();
SELECT fc_src.refresh();

-- What names mean
CREATE TABLE fc_src.tt AS SELECT 1 AS n;
CREATE FUNCTION fc_src.by_path() RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = fc_first, fc_src, pg_temp
	AS 'BEGIN RETURN (SELECT sum(n) FROM tt); END';
CREATE FUNCTION fc_src.overloaded(numeric) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION fc_src.overload() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fc_src.overloaded(1); END';
CREATE FUNCTION fc_src.dynamic() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE n bigint;
BEGIN
	EXECUTE 'SELECT count(*) FROM fc_src."Not There"' INTO n;
	RETURN n;
EXCEPTION WHEN undefined_table THEN
	RETURN -1;
END $$;
SELECT vibepiper.define_asset('fc.by_path', 'SELECT fc_src.by_path() AS n');
SELECT vibepiper.define_asset('fc.overload', 'SELECT fc_src.overload() AS n');
SELECT vibepiper.define_asset('fc.dynamic', 'SELECT fc_src.dynamic() AS n');
SELECT fc_src.refresh();
CREATE TABLE fc_src.unrelated AS SELECT 1 AS n;
CREATE SCHEMA fc_elsewhere CREATE TABLE tt (n int);
CREATE TABLE pg_temp.tt (n int);
SELECT fc_src.stale();
CREATE TABLE fc_first.tt AS SELECT 10 AS n;
SELECT fc_src.stale();
SELECT fc_src.refresh();
CREATE FUNCTION fc_src.overloaded(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2; END';
SELECT fc_src.stale();
SELECT fc_src.refresh();
CREATE TABLE fc_src."Not There" ();
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT b.n AS by_path, o.n AS overload, d.n AS dynamic FROM fc.by_path b, fc.overload o, fc.dynamic d;
-- a function earlier on the path, found by a process that knew the other one, and by a new one
CREATE FUNCTION fc_src.f(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION fc_src.g(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION fc_src.calls_f() RETURNS int LANGUAGE plpgsql STABLE SET search_path = fc_first, fc_src, pg_temp AS 'BEGIN RETURN f(1); END';
CREATE FUNCTION fc_src.calls_g() RETURNS int LANGUAGE plpgsql STABLE SET search_path = fc_first, fc_src, pg_temp AS 'BEGIN RETURN g(1); END';
SELECT vibepiper.define_asset('fc.calls_f', 'SELECT fc_src.calls_f() AS n');
SELECT vibepiper.define_asset('fc.calls_g', 'SELECT fc_src.calls_g() AS n');
SELECT fc_src.refresh();
CREATE FUNCTION fc_elsewhere.f(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 0; END';
SELECT fc_src.stale();
CREATE FUNCTION fc_first.f(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 + 100; END';
SELECT fc_src.stale();
SELECT fc_src.refresh();
CREATE FUNCTION fc_first.g(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 + 200; END';
SELECT fc_src.stale();
SELECT asset, status, reason FROM vibepiper.run('fc', parallel => true) WHERE status <> 'cached';
SELECT fc_src.stale(), f.n AS f, g.n AS g FROM fc.calls_f f, fc.calls_g g;
SELECT vibepiper.drop_asset('fc.calls_f'), vibepiper.drop_asset('fc.calls_g');
-- the asset's own recorded path
SET search_path = fc_first, fc_src;
CREATE FUNCTION own_path() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM t); END';
SELECT vibepiper.define_asset('fc.own_path', 'SELECT own_path() AS n');
RESET search_path;
SELECT fc_src.refresh();
CREATE TABLE fc_first.t ();
SELECT fc_src.stale();
SELECT fc_src.refresh();
-- a function that finds temporary tables first can't be part of an asset, if it does
CREATE FUNCTION fc_src.temporary() RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = fc_src
	AS 'BEGIN RETURN (SELECT count(*) FROM tt); END';
SELECT vibepiper.define_asset('fc.temporary', 'SELECT fc_src.temporary() AS n');
SELECT status, error FROM vibepiper.run('fc', 'temporary', parallel => false, on_failure => 'report');
SELECT status, error FROM vibepiper.run('fc', 'temporary', on_failure => 'report');
SELECT vibepiper.drop_asset('fc.temporary');
DROP TABLE pg_temp.tt;

-- Types
CREATE TYPE fc_src.colour AS ENUM ('red', 'green');
CREATE TYPE fc_src.pair AS (a int, b int);
CREATE DOMAIN fc_src.positive AS int CHECK (VALUE > 0);
CREATE TABLE fc_src.typed (c fc_src.colour, p fc_src.pair, n int);
INSERT INTO fc_src.typed VALUES ('red', (1, 2), 3);
CREATE FUNCTION fc_src.in_domain(int) RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN $1::fc_src.positive;
EXCEPTION WHEN check_violation THEN
	RETURN -1;
END $$;
SELECT vibepiper.define_asset('fc.colour', 'SELECT c::text FROM fc_src.typed');
SELECT vibepiper.define_asset('fc.pair', 'SELECT p::text FROM fc_src.typed');
SELECT vibepiper.define_asset('fc.domain', 'SELECT fc_src.in_domain(n) AS n FROM fc_src.t, fc_src.typed');
SELECT vibepiper.define_asset('fc.number', 'SELECT id FROM fc_src.t');
SELECT fc_src.refresh();
ALTER TYPE fc_src.colour RENAME VALUE 'red' TO 'crimson';
SELECT fc_src.stale();
SELECT fc_src.refresh();
ALTER TYPE fc_src.pair ADD ATTRIBUTE c int CASCADE;
SELECT fc_src.stale();
SELECT fc_src.refresh();
ALTER DOMAIN fc_src.positive ADD CHECK (VALUE > 10);
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT c.c, p.p, d.n FROM fc.colour c, fc.pair p, fc.domain d LIMIT 1;

-- Operators, casts, support functions, text search
CREATE OPERATOR fc_src.%%% (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION fc_src.operated() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2 OPERATOR(fc_src.%%%) 3; END';
SELECT vibepiper.define_asset('fc.operated', 'SELECT fc_src.operated() AS n');
SELECT fc_src.refresh();
BEGIN;
DROP OPERATOR fc_src.%%% (int, int);
CREATE OPERATOR fc_src.%%% (FUNCTION = int4mul, LEFTARG = int, RIGHTARG = int);
COMMIT;
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT fc_src.stale(), n FROM fc.operated;
-- the functions of operators and casts of the query itself, called and inlined
CREATE FUNCTION fc_src.plus(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2; END';
CREATE FUNCTION fc_src.plus_inlined(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE OPERATOR fc_src.### (FUNCTION = fc_src.plus, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR fc_src.## (FUNCTION = fc_src.plus_inlined, LEFTARG = int, RIGHTARG = int);
CREATE TYPE fc_src.wrapped AS (n int);
CREATE FUNCTION fc_src.wrap(int) RETURNS fc_src.wrapped LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ROW($1)::fc_src.wrapped; END';
CREATE FUNCTION fc_src.unwrap(fc_src.wrapped) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.n';
CREATE CAST (int AS fc_src.wrapped) WITH FUNCTION fc_src.wrap(int);
CREATE CAST (fc_src.wrapped AS int) WITH FUNCTION fc_src.unwrap(fc_src.wrapped);
SELECT vibepiper.define_pipeline('fc_ops');
SELECT asset, change FROM vibepiper.define_assets('fc_ops', '[
	{"name": "called", "query": "SELECT id OPERATOR(fc_src.###) 1 AS n FROM fc_src.t"},
	{"name": "folded", "query": "SELECT 1 OPERATOR(fc_src.###) 1 AS n"},
	{"name": "inlined", "query": "SELECT id OPERATOR(fc_src.##) 1 AS n FROM fc_src.t"},
	{"name": "compared", "query": "SELECT id FROM fc_src.t WHERE 4 IN (SELECT t.id OPERATOR(fc_src.##) u.id FROM fc_src.t u)"},
	{"name": "cast_called", "query": "SELECT id::fc_src.wrapped::text AS n FROM fc_src.t"},
	{"name": "cast_inlined", "query": "SELECT ROW(id)::fc_src.wrapped::int AS n FROM fc_src.t"},
	{"name": "neither", "query": "SELECT id + 1 AS n FROM fc_src.t"}]');
SELECT count(*) FROM vibepiper.run('fc_ops') WHERE status = 'built';
CREATE OR REPLACE FUNCTION fc_src.plus(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2 + 100; END';
SELECT asset, action, reason FROM vibepiper.plan('fc_ops') WHERE action <> 'cached' ORDER BY asset;
SELECT asset, status FROM vibepiper.run('fc_ops') WHERE status <> 'cached' ORDER BY asset;
CREATE OR REPLACE FUNCTION fc_src.plus_inlined(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2 + 1';
SELECT asset, action, reason FROM vibepiper.plan('fc_ops') WHERE action <> 'cached' ORDER BY asset;
SELECT asset, status FROM vibepiper.run('fc_ops') WHERE status <> 'cached' ORDER BY asset;
-- casts can be meant where no text says so, so more than these are computed
CREATE OR REPLACE FUNCTION fc_src.wrap(int) RETURNS fc_src.wrapped LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ROW($1 + 100)::fc_src.wrapped; END';
SELECT asset, action, reason FROM vibepiper.plan('fc_ops', 'cast_called neither') ORDER BY asset;
SELECT asset, status FROM vibepiper.run('fc_ops') WHERE status = 'built';
CREATE OR REPLACE FUNCTION fc_src.unwrap(fc_src.wrapped) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.n + 100';
SELECT asset, action, reason FROM vibepiper.plan('fc_ops', 'cast_inlined neither') ORDER BY asset;
SELECT asset, status FROM vibepiper.run('fc_ops') WHERE status = 'built';
SELECT (SELECT array_agg(n ORDER BY n) FROM fc_ops.called) AS called, (SELECT n FROM fc_ops.folded) AS folded,
	(SELECT array_agg(n ORDER BY n) FROM fc_ops.inlined) AS inlined, (SELECT array_agg(id ORDER BY id) FROM fc_ops.compared) AS compared,
	(SELECT array_agg(n ORDER BY n) FROM fc_ops.cast_called) AS cast_called, (SELECT array_agg(n ORDER BY n) FROM fc_ops.cast_inlined) AS cast_inlined;
SELECT vibepiper.drop_pipeline('fc_ops', cascade => true);
DROP SCHEMA fc_ops;
DROP CAST (int AS fc_src.wrapped);
DROP CAST (fc_src.wrapped AS int);
-- a cast in an assignment, which names nothing
CREATE FUNCTION fc_src.to_pair(text) RETURNS fc_src.pair LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (1, 1, 1)::fc_src.pair; END';
CREATE FUNCTION fc_src.to_pair2(text) RETURNS fc_src.pair LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (2, 2, 2)::fc_src.pair; END';
CREATE CAST (text AS fc_src.pair) WITH FUNCTION fc_src.to_pair(text) AS ASSIGNMENT;
CREATE FUNCTION fc_src.assigned() RETURNS text LANGUAGE plpgsql STABLE AS $$ DECLARE x fc_src.pair; BEGIN x := 'pair'::text; RETURN x::text; END $$;
SELECT vibepiper.define_asset('fc.assigned', 'SELECT fc_src.assigned() AS n');
SELECT fc_src.refresh();
DROP CAST (text AS fc_src.pair);
CREATE CAST (text AS fc_src.pair) WITH FUNCTION fc_src.to_pair2(text) AS ASSIGNMENT;
SELECT vibepiper.is_fresh('fc.assigned'), vibepiper.is_fresh('fc.number');
SELECT fc_src.refresh() LIKE '%fc.assigned built%' AS built;
SELECT fc_src.stale(), n FROM fc.assigned;
CREATE OR REPLACE FUNCTION fc_src.to_pair2(text) RETURNS fc_src.pair LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (3, 3, 3)::fc_src.pair; END';
SELECT vibepiper.is_fresh('fc.assigned'), vibepiper.is_fresh('fc.number');
SELECT fc_src.refresh() LIKE '%fc.assigned built%' AS built;
CREATE TEXT SEARCH CONFIGURATION fc_src.words (COPY = simple);
SELECT vibepiper.define_asset('fc.words', $$SELECT to_tsvector('fc_src.words', 'the cats') AS words$$);
SELECT fc_src.refresh();
ALTER TEXT SEARCH CONFIGURATION fc_src.words ALTER MAPPING FOR asciiword WITH english_stem;
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT words FROM fc.words;

-- Roles, under row security
CREATE ROLE fc_role;
CREATE ROLE fc_group;
GRANT USAGE ON SCHEMA fc_src TO fc_role;
CREATE TABLE fc_src.secured (n int);
INSERT INTO fc_src.secured VALUES (1), (2);
GRANT SELECT ON fc_src.secured TO fc_role;
ALTER TABLE fc_src.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON fc_src.secured USING (n = 1);
CREATE POLICY more ON fc_src.secured TO fc_group USING (n = 2);
CREATE VIEW fc_src.of_role AS SELECT n FROM fc_src.secured;
ALTER VIEW fc_src.of_role OWNER TO fc_role;
SELECT vibepiper.define_asset('fc.secured', 'SELECT n FROM fc_src.of_role');
SELECT fc_src.refresh();
GRANT fc_group TO fc_role;
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT array_agg(n ORDER BY n) FROM fc.secured;
REVOKE fc_group FROM fc_role;
SELECT fc_src.refresh();
ALTER ROLE fc_role BYPASSRLS;
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT array_agg(n ORDER BY n) FROM fc.secured;

-- Operators in a view and a policy, folded when another asset's function was prepared
CREATE FUNCTION fc_src.plus_in_view(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2; END';
CREATE FUNCTION fc_src.plus_in_policy(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2; END';
CREATE OPERATOR fc_src.+# (FUNCTION = fc_src.plus_in_view, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR fc_src.+## (FUNCTION = fc_src.plus_in_policy, LEFTARG = int, RIGHTARG = int);
CREATE VIEW fc_src.folded_view AS SELECT id FROM fc_src.t WHERE id < 1 OPERATOR(fc_src.+#) 1;
CREATE TABLE fc_src.folded_policy (n int);
ALTER TABLE fc_src.folded_policy ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON fc_src.folded_policy USING (n < 1 OPERATOR(fc_src.+##) 1);
GRANT SELECT ON fc_src.folded_policy TO fc_role;
CREATE FUNCTION fc_src.reads_view() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM fc_src.folded_view); END';
CREATE FUNCTION fc_src.reads_policy() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER AS 'BEGIN RETURN (SELECT count(*) FROM fc_src.folded_policy); END';
ALTER FUNCTION fc_src.reads_policy() OWNER TO fc_role;
ALTER ROLE fc_role NOBYPASSRLS;
SELECT count(*) FROM vibepiper.define_assets('fc', '[
	{"name": "view1", "query": "SELECT fc_src.reads_view() AS n"},
	{"name": "view2", "query": "SELECT fc_src.reads_view() * 2 AS n"},
	{"name": "policy1", "query": "SELECT fc_src.reads_policy() AS n"},
	{"name": "policy2", "query": "SELECT fc_src.reads_policy() * 2 AS n"}]');
SELECT fc_src.refresh();
CREATE OR REPLACE FUNCTION fc_src.plus_in_view(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2 + 1; END';
SELECT fc_src.stale();
CREATE OR REPLACE FUNCTION fc_src.plus_in_policy(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + $2 + 1; END';
SELECT fc_src.stale();
SELECT fc_src.refresh();

-- The row type of a table that isn't read, in a query and for a variable
CREATE TABLE fc_src.row_type (a numeric(10, 2), b int);
CREATE FUNCTION fc_src.of_row() RETURNS text LANGUAGE plpgsql STABLE AS $$ DECLARE r fc_src.row_type; BEGIN r.a := 1.23; RETURN r.a::text; END $$;
SELECT vibepiper.define_asset('fc.row2', 'SELECT fc_src.of_row() AS n');
SELECT fc_src.refresh();
ALTER TABLE fc_src.row_type ALTER a TYPE numeric(10, 0);
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT n FROM fc.row2;
SELECT vibepiper.define_asset('fc.row1', $$SELECT (jsonb_populate_record(NULL::fc_src.row_type, '{"a": 1, "b": 2}')).b AS n$$);
SELECT vibepiper.define_asset('fc.row3', 'SELECT to_jsonb(row(1, 2)::fc_src.row_type) AS n');
SELECT fc_src.refresh();
ALTER TABLE fc_src.row_type RENAME b TO c;
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT row1.n, row3.n FROM fc.row1, fc.row3;

-- Order by an operator of one's own
CREATE FUNCTION fc_src.lt(int, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 < $2; END';
CREATE FUNCTION fc_src.cmp(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 - $2; END';
CREATE OPERATOR fc_src.<<~ (FUNCTION = fc_src.lt, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR CLASS fc_src.ints FOR TYPE int USING btree AS OPERATOR 1 fc_src.<<~, OPERATOR 3 =, FUNCTION 1 fc_src.cmp(int, int);
SELECT vibepiper.define_asset('fc.ordered', 'SELECT array_agg(i ORDER BY i USING OPERATOR(fc_src.<<~)) AS a FROM generate_series(1, 3) i');
SELECT fc_src.refresh();
CREATE OR REPLACE FUNCTION fc_src.cmp(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $2 - $1; END';
SELECT action, reason FROM vibepiper.plan('fc', 'ordered');
SELECT status FROM vibepiper.run('fc', 'ordered');
SELECT a FROM fc.ordered;
SELECT fc_src.refresh() IS NOT NULL;

-- A dictionary that the query names
CREATE TEXT SEARCH DICTIONARY fc_src.simple (TEMPLATE = simple);
SELECT vibepiper.define_asset('fc.lexized', $$SELECT ts_lexize('fc_src.simple', 'the') AS l$$);
SELECT fc_src.refresh();
ALTER TEXT SEARCH DICTIONARY fc_src.simple (stopwords = 'english');
SELECT action, reason FROM vibepiper.plan('fc', 'lexized');
SELECT fc_src.refresh() IS NOT NULL;
SELECT l FROM fc.lexized;

-- A collation that a text names
CREATE COLLATION fc_src.co (LOCALE = 'C');
CREATE FUNCTION fc_src.collated() RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 'a' < 'B' COLLATE fc_src.co; END $$;
SELECT vibepiper.define_asset('fc.collated', 'SELECT fc_src.collated() AS n');
SELECT fc_src.refresh();
DROP COLLATION fc_src.co;
CREATE COLLATION fc_src.co (LOCALE = 'POSIX');
SELECT action, reason FROM vibepiper.plan('fc', 'collated');
SELECT fc_src.refresh() IS NOT NULL;

-- The name of who computes it
SELECT vibepiper.define_pipeline('fc_user');
CREATE FUNCTION fc_src.who() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN current_user; END';
CREATE FUNCTION fc_src.definer() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER AS 'BEGIN RETURN current_user; END';
ALTER FUNCTION fc_src.definer() OWNER TO fc_role;
CREATE TABLE fc_src.of_users (u text);
INSERT INTO fc_src.of_users VALUES ('fc_role'), ('fc_renamed');
ALTER TABLE fc_src.of_users ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON fc_src.of_users USING (u = current_user);
GRANT SELECT ON fc_src.of_users TO fc_role;
SELECT count(*) FROM vibepiper.define_assets('fc_user', '[
	{"name": "query", "query": "SELECT current_user::text AS u"},
	{"name": "function", "query": "SELECT fc_src.who() AS u"},
	{"name": "definer", "query": "SELECT fc_src.definer() AS u"},
	{"name": "policy", "query": "SELECT u FROM fc_src.of_users"},
	{"name": "by_name", "query": "SELECT getpgusername()::text AS u"},
	{"name": "other", "query": "SELECT 1 AS u"}]');
GRANT USAGE, CREATE ON SCHEMA fc_user TO fc_role;
ALTER VIEW fc_user.query OWNER TO fc_role;
ALTER VIEW fc_user.function OWNER TO fc_role;
ALTER VIEW fc_user.policy OWNER TO fc_role;
ALTER VIEW fc_user.by_name OWNER TO fc_role;
ALTER VIEW fc_user.other OWNER TO fc_role;
SELECT asset, status FROM vibepiper.run('fc_user') ORDER BY asset;
CREATE ROLE fc_unrelated;
SELECT asset, action, reason FROM vibepiper.plan('fc_user') WHERE action <> 'cached';
ALTER ROLE fc_role RENAME TO fc_renamed;
SELECT asset, status, reason FROM vibepiper.run('fc_user') ORDER BY asset;
SELECT a.u, b.u, c.u, d.u FROM fc_user.query a, fc_user.function b, fc_user.definer c, fc_user.policy d;
ALTER ROLE fc_renamed RENAME TO fc_role;
DROP ROLE fc_unrelated;
SELECT vibepiper.drop_pipeline('fc_user', cascade => true);
DROP SCHEMA fc_user CASCADE;
DROP FUNCTION fc_src.definer();

-- Who it belongs to: with whose rights it is computed
SELECT vibepiper.define_pipeline('fc_owner');
SELECT vibepiper.define_asset('fc_owner.mine', 'SELECT current_user = ''fc_role'' AS his');
GRANT USAGE, CREATE ON SCHEMA fc_owner TO fc_role;
SELECT count(*) FROM vibepiper.run('fc_owner');
ALTER VIEW fc_owner.mine OWNER TO fc_role;
SELECT status, reason FROM vibepiper.run('fc_owner');
SELECT * FROM fc_owner.mine;
SELECT status, reason FROM vibepiper.run('fc_owner');
SELECT vibepiper.drop_pipeline('fc_owner', cascade => true);
DROP SCHEMA fc_owner;

-- Assets that only a function reads, or a lazy asset of another pipeline
SELECT vibepiper.define_pipeline('fc2');
SELECT vibepiper.define_asset('fc2.x', 'SELECT id FROM fc_src.t');
SELECT vibepiper.define_asset('fc2.lazy1', 'SELECT id FROM fc2.x', lazy => true);
SELECT vibepiper.define_asset('fc2.lazy2', 'SELECT id FROM fc2.lazy1', lazy => true);
CREATE FUNCTION fc_src.reads_asset() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT sum(id) FROM fc2.x); END';
SELECT vibepiper.define_asset('fc.by_lazy', 'SELECT sum(id) AS n FROM fc2.lazy2');
SELECT vibepiper.define_asset('fc.by_function', 'SELECT fc_src.reads_asset() AS n');
SELECT count(*) FROM vibepiper.run('fc2');
SELECT fc_src.refresh();
SELECT vibepiper.run('fc2', 'x', force => true) IS NOT NULL AS run;
SELECT fc_src.stale();
INSERT INTO fc_src.t VALUES (4, 'v4');
SELECT fc_src.stale();
SELECT count(*) FROM vibepiper.run('fc2');
SELECT fc_src.stale();
SELECT fc_src.refresh();
SELECT l.n AS by_lazy, f.n AS by_function FROM fc.by_lazy l, fc.by_function f;

-- Computed with other libraries that order text: as if, by another hash of their versions in what a version remembers
-- (VpMeaning in freshness/meaning.h, of the kind that is last)
UPDATE vibepiper.version v SET sources = set_byte(v.sources, n, get_byte(v.sources, n) # 1)
	FROM (SELECT version_id, position(collations IN sources) - 1 + length(collations) AS n
			FROM vibepiper.version JOIN vibepiper.asset USING (asset_id), (VALUES ('\x0a000000'::bytea || decode(repeat('00', 12), 'hex'))) m(collations)
			WHERE stub = 'fc.inner1'::regclass AND published) p
	WHERE v.version_id = p.version_id;
SELECT fc_src.stale();
SELECT fc_src.refresh();

RESET vibepiper.progress;
SELECT vibepiper.drop_pipeline('fc', cascade => true);
SELECT vibepiper.drop_pipeline('fc2', cascade => true);
DROP SCHEMA fc, fc2, fc_src, fc_first, fc_elsewhere CASCADE;
DROP ROLE fc_role, fc_group;
