-- What an asset reads of other assets, through functions, lazy or never built ones:
-- columns, code, settings, chains of other pipelines
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
CREATE SCHEMA fa_src;
CREATE TABLE fa_src.t (id int PRIMARY KEY, v text);
INSERT INTO fa_src.t SELECT i, 'v' || i FROM generate_series(1, 3) i;
SELECT vibepiper.define_pipeline('fa');
SELECT vibepiper.define_pipeline('fa2');
CREATE FUNCTION fa_src.stale() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ': ' || CASE action WHEN 'build' THEN '' ELSE action || ', ' END || reason, ', ' ORDER BY asset), 'nothing')
		FROM vibepiper.plan('fa') WHERE action NOT IN ('cached', 'deferred') $$;
CREATE FUNCTION fa_src.refresh() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ' ' || status || CASE status WHEN 'cached' THEN ' (' || reason || ')' ELSE '' END, ', ' ORDER BY asset), 'nothing')
			|| '; then stale: ' || fa_src.stale()
		FROM vibepiper.run('fa', parallel => false) WHERE status NOT IN ('cached', 'deferred') OR reason NOT IN ('fresh', 'lazy: computed when read') $$;

-- Columns of an asset that a function reads: names, types, their order
SELECT vibepiper.define_asset('fa.up', 'SELECT 1 AS a, 2 AS b');
CREATE FUNCTION fa_src.reads_a() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT a FROM fa.up); END';
CREATE FUNCTION fa_src.reads_row() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT to_jsonb(u)::text FROM fa.up u); END';
CREATE FUNCTION fa_src.inlined() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT a FROM fa.up';
SELECT vibepiper.define_asset('fa.declared', 'SELECT fa_src.reads_a() AS n', depends_on => ARRAY['fa.up']);
SELECT vibepiper.define_asset('fa.undeclared', 'SELECT fa_src.reads_a() AS n');
SELECT vibepiper.define_asset('fa.whole', 'SELECT fa_src.reads_row() AS r', depends_on => ARRAY['fa.up']);
SELECT vibepiper.define_asset('fa.inlined', 'SELECT n FROM fa_src.inlined() n', depends_on => ARRAY['fa.up']);
SELECT vibepiper.define_asset('fa.both', 'SELECT b, fa_src.reads_a() AS n FROM fa.up');
SELECT vibepiper.define_asset('fa.itself', 'SELECT a FROM fa.up');
SELECT fa_src.refresh();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.up', 'SELECT 1 AS b, 2 AS a');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT d.n AS declared, u.n AS undeclared, w.r AS whole, i.n AS inlined, b.b, b.n AS both, s.a AS itself
	FROM fa.declared d, fa.undeclared u, fa.whole w, fa.inlined i, fa.both b, fa.itself s;
-- other types of the same bytes
SELECT vibepiper.define_asset('fa.typed', 'SELECT 1 AS a');
CREATE FUNCTION fa_src.reads_text() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT a::text FROM fa.typed); END';
SELECT vibepiper.define_asset('fa.as_text', 'SELECT fa_src.reads_text() AS t', depends_on => ARRAY['fa.typed']);
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.typed', $$SELECT date '2000-01-02' AS a$$);
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT t FROM fa.as_text;
-- the same rows in the same columns, another query: computed anew, and nothing after it
SELECT vibepiper.define_asset('fa.up', 'SELECT 1 AS b, 1 + 1 AS a');
SELECT fa_src.stale();
SELECT fa_src.refresh();
-- another column at the end
SELECT vibepiper.define_asset('fa.up', 'SELECT 1 AS b, 2 AS a, 3 AS c');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT r FROM fa.whole;
-- a statement that defines something else
CREATE VIEW fa_src.unrelated AS SELECT 1 AS n;
SELECT fa_src.stale();
-- made anew with the columns that it had, before it is built: it may be the same
SELECT vibepiper.drop_asset('fa.both');
SELECT vibepiper.define_asset('fa.up', 'SELECT 1 AS x, 2 AS a, 3 AS c');
SELECT vibepiper.define_asset('fa.up', 'SELECT 1 AS b, 2 AS a, 3 AS c');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT vibepiper.drop_asset('fa.up', cascade => true), vibepiper.drop_asset('fa.typed', cascade => true);
SELECT fa_src.stale();
SELECT vibepiper.drop_asset('fa.undeclared');

-- Lazy and never built ones that functions read: their code, and what they read in turn
SELECT vibepiper.define_asset('fa.lazy', 'SELECT 1 AS a', lazy => true);
SELECT vibepiper.define_asset('fa2.unbuilt', 'SELECT 2 AS a');
CREATE FUNCTION fa_src.reads_lazy() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT a FROM fa.lazy); END';
CREATE FUNCTION fa_src.reads_unbuilt() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT a FROM fa2.unbuilt); END';
SELECT vibepiper.define_asset('fa.by_lazy', 'SELECT fa_src.reads_lazy() AS n');
SELECT vibepiper.define_asset('fa.by_declared', 'SELECT fa_src.reads_lazy() AS n', depends_on => ARRAY['fa.lazy']);
SELECT vibepiper.define_asset('fa.by_unbuilt', 'SELECT fa_src.reads_unbuilt() AS n');
SELECT fa_src.refresh();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.lazy', 'SELECT 10 AS a', lazy => true);
SELECT fa_src.stale();
SELECT vibepiper.define_asset('fa2.unbuilt', 'SELECT 20 AS a');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT l.n AS by_lazy, d.n AS by_declared, u.n AS by_unbuilt FROM fa.by_lazy l, fa.by_declared d, fa.by_unbuilt u;
-- of another process
SELECT vibepiper.define_asset('fa.lazy', 'SELECT 11 AS a', lazy => true), vibepiper.define_asset('fa2.unbuilt', 'SELECT 21 AS a');
SELECT asset, status, reason FROM vibepiper.run('fa', parallel => true);
SELECT fa_src.stale();
-- what they were once
SELECT vibepiper.define_asset('fa.lazy', 'SELECT 10 AS a', lazy => true), vibepiper.define_asset('fa2.unbuilt', 'SELECT 20 AS a');
SELECT fa_src.stale();
SELECT fa_src.refresh();
-- lazy ones of lazy ones, of an asset, of a function, of a table
CREATE FUNCTION fa_src.one() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
SELECT vibepiper.define_asset('fa.stored', 'SELECT 100 AS n');
SELECT vibepiper.define_asset('fa.lazy0', 'SELECT count(*)::int + n AS n FROM fa_src.t, fa.stored GROUP BY n', lazy => true);
SELECT vibepiper.define_asset('fa.lazy', 'SELECT n + fa_src.one() AS a FROM fa.lazy0', lazy => true);
SELECT fa_src.refresh();
SELECT fa_src.refresh();
CREATE OR REPLACE FUNCTION fa_src.one() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2; END';
SELECT fa_src.stale();
SELECT fa_src.refresh();
DELETE FROM fa_src.t WHERE id = 3;
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.stored', 'SELECT 200 AS n');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.lazy0', 'SELECT count(*)::int + n + 1000 AS n FROM fa_src.t, fa.stored GROUP BY n', lazy => true);
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT l.n AS by_lazy, d.n AS by_declared FROM fa.by_lazy l, fa.by_declared d;
-- types that only their queries name, and what can't be followed
CREATE TYPE fa_src.colour AS ENUM ('red', 'green');
SELECT vibepiper.define_asset('fa.lazy', $$SELECT length('red'::fa_src.colour::text) AS a$$, lazy => true);
SELECT fa_src.refresh();
ALTER TYPE fa_src.colour RENAME VALUE 'red' TO 'crimson';
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.lazy', $$SELECT CASE WHEN current_date > '2000-01-01' THEN 1 END AS a$$, lazy => true);
SELECT fa_src.refresh();
-- stored now, lazy then
SELECT vibepiper.define_asset('fa.lazy', 'SELECT 5 AS a');
SELECT fa_src.refresh();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.lazy', 'SELECT 5 AS a', lazy => true);
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.lazy', 'SELECT 6 AS a', lazy => true);
SELECT fa_src.refresh();
-- built, at last
SELECT asset, status FROM vibepiper.run('fa2');
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa2.unbuilt', 'SELECT 22 AS a');
SELECT fa_src.stale();
SELECT asset, status FROM vibepiper.run('fa2');
SELECT fa_src.stale();
SELECT fa_src.refresh();
-- it has a version of other columns, so who reads it computes it
SELECT vibepiper.define_asset('fa2.unbuilt', 'SELECT 23 AS a, 1 AS more');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa2.unbuilt', 'SELECT 24 AS a, 1 AS more');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT n FROM fa.by_unbuilt;
-- another owner
CREATE ROLE fa_role;
GRANT USAGE, CREATE ON SCHEMA fa, fa_src TO fa_role;
ALTER VIEW fa.lazy OWNER TO fa_role;
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT vibepiper.drop_asset('fa.lazy', cascade => true), vibepiper.drop_asset('fa.by_lazy'), vibepiper.drop_asset('fa.by_unbuilt');
SELECT vibepiper.drop_asset('fa.lazy0'), vibepiper.drop_asset('fa.stored');

-- Chains and diamonds of another pipeline, lazy or never built
SELECT vibepiper.define_asset('fa2.l1', 'SELECT 1 AS a', lazy => true);
SELECT vibepiper.define_asset('fa2.l2', 'SELECT a FROM fa2.l1', lazy => true);
SELECT vibepiper.define_asset('fa2.u1', 'SELECT 1 AS a');
SELECT vibepiper.define_asset('fa2.u2', 'SELECT a FROM fa2.u1');
SELECT vibepiper.define_asset('fa.of_lazy', 'SELECT a FROM fa2.l2');
SELECT vibepiper.define_asset('fa.of_unbuilt', 'SELECT a FROM fa2.u2');
SELECT count(*) FROM (SELECT vibepiper.define_asset('fa2.c' || i, CASE i WHEN 1 THEN 'SELECT 1 AS a'
	ELSE format('SELECT x.a FROM fa2.c%s x JOIN fa2.c%s y ON x.a = y.a', i - 1, greatest(i - 2, 1)) END, lazy => i % 2 = 0) FROM generate_series(1, 12) i) s;
SELECT vibepiper.define_asset('fa.of_chain', 'SELECT a FROM fa2.c12');
SELECT fa_src.refresh();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa2.l1', 'SELECT 10 AS a', lazy => true);
SELECT vibepiper.define_asset('fa2.u1', 'SELECT 10 AS a');
SELECT vibepiper.define_asset('fa2.c1', 'SELECT 10 AS a');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT l.a AS of_lazy, u.a AS of_unbuilt, c.a AS of_chain FROM fa.of_lazy l, fa.of_unbuilt u, fa.of_chain c;
SELECT vibepiper.define_asset('fa2.l1', 'SELECT 11 AS a', lazy => true), vibepiper.define_asset('fa2.u1', 'SELECT 11 AS a'), vibepiper.define_asset('fa2.c1', 'SELECT 11 AS a');
SELECT asset, status, reason FROM vibepiper.run('fa', parallel => true);
SELECT l.a AS of_lazy, u.a AS of_unbuilt, c.a AS of_chain FROM fa.of_lazy l, fa.of_unbuilt u, fa.of_chain c;
-- one in the middle is built: what lies behind it counts by its rows
SELECT asset, status FROM vibepiper.run('fa2', '+u2');
SELECT fa_src.refresh();
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa2.u1', 'SELECT 12 AS a');
SELECT fa_src.stale();
SELECT asset, status FROM vibepiper.run('fa2', '+u2');
SELECT fa_src.stale();
SELECT fa_src.refresh();
-- back again: through the other pipeline the own one
SELECT vibepiper.define_asset('fa.own', 'SELECT max(id) AS a FROM fa_src.t');
SELECT vibepiper.define_asset('fa2.l1', 'SELECT a FROM fa.own', lazy => true);
SELECT fa_src.refresh();
SELECT fa_src.refresh();
INSERT INTO fa_src.t VALUES (7, 'v7');
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT a FROM fa.of_lazy;
INSERT INTO fa_src.t VALUES (8, 'v8');
SELECT asset, status, reason FROM vibepiper.run('fa', parallel => true);
SELECT fa_src.stale(), (SELECT a FROM fa.of_lazy);
SELECT vibepiper.drop_asset('fa.of_lazy'), vibepiper.drop_asset('fa.of_unbuilt'), vibepiper.drop_asset('fa.of_chain');

-- Settings of what is computed where it is read
SELECT vibepiper.define_asset('fa.zone', $$SELECT to_char(timestamptz '2026-01-01 00:00+00', 'HH24:MI') AS a$$, lazy => true, settings => ARRAY['TimeZone=UTC']);
SELECT vibepiper.define_asset('fa2.zone', $$SELECT to_char(timestamptz '2026-01-01 00:00+00', 'HH24:MI') AS a$$, settings => ARRAY['TimeZone=UTC']);
CREATE FUNCTION fa_src.reads_zone() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT a FROM fa.zone); END';
SELECT vibepiper.define_asset('fa.of_zone', 'SELECT a FROM fa.zone');
SELECT vibepiper.define_asset('fa.by_zone', 'SELECT fa_src.reads_zone() AS a');
SELECT vibepiper.define_asset('fa.of_other', 'SELECT a FROM fa2.zone');
SELECT fa_src.refresh();
SELECT vibepiper.define_asset('fa.zone', $$SELECT to_char(timestamptz '2026-01-01 00:00+00', 'HH24:MI') AS a$$, lazy => true, settings => ARRAY['TimeZone=Asia/Tokyo']);
SELECT fa_src.stale();
SELECT vibepiper.define_asset('fa2.zone', $$SELECT to_char(timestamptz '2026-01-01 00:00+00', 'HH24:MI') AS a$$, settings => ARRAY['TimeZone=Asia/Tokyo']);
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT o.a AS of_zone, b.a AS by_zone, f.a AS of_other FROM fa.of_zone o, fa.by_zone b, fa.of_other f;
-- those of planning change no rows
SELECT vibepiper.define_asset('fa.zone', $$SELECT to_char(timestamptz '2026-01-01 00:00+00', 'HH24:MI') AS a$$, lazy => true,
	settings => ARRAY['TimeZone=Asia/Tokyo', 'work_mem=8MB', 'enable_seqscan=off', 'jit=off']);
SELECT fa_src.stale();
-- the pipeline's, of the other one, and of its own
SELECT vibepiper.define_asset('fa2.zone', $$SELECT to_char(timestamptz '2026-01-01 00:00+00', 'HH24:MI') AS a$$);
SELECT vibepiper.define_asset('fa.zone', $$SELECT to_char(timestamptz '2026-01-01 00:00+00', 'HH24:MI') AS a$$, lazy => true);
SELECT fa_src.refresh();
SELECT vibepiper.define_pipeline('fa2', settings => ARRAY['TimeZone=Asia/Kolkata']);
SELECT fa_src.stale();
SELECT vibepiper.define_pipeline('fa', settings => ARRAY['TimeZone=Asia/Kolkata']);
SELECT fa_src.stale();
SELECT fa_src.refresh();
SELECT o.a AS of_zone, b.a AS by_zone, f.a AS of_other FROM fa.of_zone o, fa.by_zone b, fa.of_other f;
-- a stored version is left alone
SELECT asset, status FROM vibepiper.run('fa2', 'zone');
SELECT fa_src.refresh();
SELECT vibepiper.define_pipeline('fa2', settings => ARRAY['TimeZone=UTC']);
SELECT fa_src.stale();

RESET vibepiper.progress;
SELECT vibepiper.drop_pipeline('fa', cascade => true);
SELECT vibepiper.drop_pipeline('fa2', cascade => true);
DROP SCHEMA fa, fa2, fa_src CASCADE;
DROP ROLE fa_role;
