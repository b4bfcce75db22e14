-- A name that means several versions reads as one relation.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE SCHEMA parts_src;
SET search_path = parts_src, public;
CREATE FUNCTION test_publish_parts(text, bigint[]) RETURNS void LANGUAGE c AS '$libdir/vibepiper', 'vp_test_publish_parts';
CREATE TABLE src (id int, grp int, s text);
INSERT INTO src SELECT i, i % 10, 'low ' || i FROM generate_series(1, 1000) i;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(line, '_\d+_\d+', '_#', 'g');
	END LOOP;
END $$;
SELECT vibepiper.define_pipeline('parts', keep_versions => 5);
SELECT vibepiper.define_asset('parts.a', 'SELECT id, grp, s FROM parts_src.src', indexes => '{UNIQUE (id),(grp)}');
SELECT vibepiper.define_asset('parts.b', 'SELECT grp, count(*) AS n FROM parts.a GROUP BY grp');
SELECT asset, status, rows FROM vibepiper.run('parts', parallel => false);
SELECT version_id AS low FROM vibepiper.versions WHERE asset = 'parts.a' AND published \gset
UPDATE src SET id = id + 1000, s = 'high ' || id;
SELECT asset, status, rows FROM vibepiper.run('parts', parallel => false, force => true);
SELECT version_id AS high FROM vibepiper.versions WHERE asset = 'parts.a' AND published \gset
DELETE FROM src WHERE id > 1010;
UPDATE src SET id = id + 1000, s = 'top ' || id;
SELECT asset, status, rows FROM vibepiper.run('parts', parallel => false, force => true);
SELECT version_id AS top FROM vibepiper.versions WHERE asset = 'parts.a' AND published \gset

-- generic plans, made for one part
SET plan_cache_mode = force_generic_plan;
PREPARE all_rows AS SELECT count(*), min(id), max(id), count(DISTINCT s) FROM parts.a;
PREPARE by_id(int) AS SELECT s FROM parts.a WHERE id = $1;
PREPARE by_grp(int) AS SELECT count(*), max(id) FROM parts.a WHERE grp = $1;
PREPARE joined(int) AS SELECT x.s, y.s FROM parts.a x LEFT JOIN parts.a y ON y.id = x.id + 995 WHERE x.id = $1;
PREPARE sub AS SELECT (SELECT count(*) FROM parts.a), EXISTS (SELECT FROM parts.a WHERE id = 1), (SELECT sum(n) FROM parts.b);
PREPARE ordered AS SELECT id FROM parts.a ORDER BY id DESC LIMIT 2;
PREPARE whole AS SELECT a FROM parts.a WHERE id IN (1, 1001, 2001) ORDER BY id;
CREATE PROCEDURE look() LANGUAGE plpgsql AS $$
DECLARE q text; r record; line text = '';
BEGIN
	FOREACH q IN ARRAY ARRAY['all_rows', 'by_id(7)', 'by_id(1007)', 'by_id(2007)', 'by_grp(3)', 'joined(6)', 'joined(1006)', 'sub', 'ordered', 'whole'] LOOP
		line := line || q || ':';
		FOR r IN EXECUTE 'EXECUTE ' || q LOOP line := line || ' ' || r::text; END LOOP;
		line := line || '; ';
	END LOOP;
	RAISE WARNING '%', line;
END $$;
CALL look();
SELECT test_publish_parts('parts.a', ARRAY[:low]);
CALL look();
SELECT test_publish_parts('parts.a', ARRAY[:low, :high]);
CALL look();
SELECT plan_of('SELECT s FROM parts.a WHERE id = 1007');
SELECT plan_of('EXECUTE by_id(1007)');
SELECT plan_of('SELECT count(*) FROM parts.a');
SELECT plan_of('SELECT id FROM parts.a ORDER BY id LIMIT 1');
-- made for two parts: other two, three, one
PREPARE two(int) AS SELECT count(*), min(s), max(s) FROM parts.a WHERE grp = $1;
PREPARE two_all AS SELECT count(*), min(id), max(id) FROM parts.a;
SET enable_seqscan = off;
PREPARE two_index(int) AS SELECT id, s FROM parts.a WHERE id % 1000 = $1 ORDER BY id;
EXECUTE two_index(7);
RESET enable_seqscan;
EXECUTE two(3);
EXECUTE two_all;
SELECT test_publish_parts('parts.a', ARRAY[:low, :top]);
EXECUTE two(3);
EXECUTE two_all;
EXECUTE two_index(7);
CALL look();
SELECT test_publish_parts('parts.a', ARRAY[:top, :high]);
EXECUTE two(3);
EXECUTE two_all;
EXECUTE two_index(7);
SELECT plan_of('EXECUTE two_index(7)');
SELECT test_publish_parts('parts.a', ARRAY[:top, :high, :low]);
EXECUTE two(3);
EXECUTE two_all;
EXECUTE two_index(7);
CALL look();
SELECT test_publish_parts('parts.a', ARRAY[:high]);
EXECUTE two(3);
EXECUTE two_all;
EXECUTE two_index(7);
CALL look();
-- rolled back
BEGIN;
SELECT test_publish_parts('parts.a', ARRAY[:low, :top]);
EXECUTE two_all;
SAVEPOINT s;
SELECT test_publish_parts('parts.a', ARRAY[:low, :top, :high]);
EXECUTE two_all;
ROLLBACK TO s;
EXECUTE two_all;
ROLLBACK;
EXECUTE two_all;

-- everywhere
SELECT test_publish_parts('parts.a', ARRAY[:low, :high]);
CREATE VIEW v AS SELECT grp, count(*) AS n, max(id) AS m FROM parts.a GROUP BY grp;
CREATE FUNCTION f(int) RETURNS SETOF parts.a LANGUAGE sql STABLE AS 'SELECT * FROM parts.a WHERE grp = $1';
SELECT sum(n), max(m) FROM v;
SELECT count(*), count(DISTINCT f) FROM f(3) f;
SELECT a, row_to_json(a) FROM parts.a WHERE id IN (5, 1005) ORDER BY id;
SELECT count(*) FROM parts.a x JOIN parts.a y ON y.id = x.id + 1000;
SELECT count(*) FROM parts.a x LEFT JOIN parts.a y ON y.id = x.id + 1000 WHERE y IS NULL;
SELECT count(*) FROM (TABLE parts.a UNION TABLE parts.a) u;
SELECT count(*) FROM (TABLE parts.a UNION ALL TABLE parts.a) u;
WITH w AS MATERIALIZED (SELECT * FROM parts.a) SELECT count(*) FROM w x JOIN w y USING (id);
SELECT g, (SELECT count(*) FROM parts.a WHERE grp = g) FROM generate_series(8, 10) g;
SELECT g, l.* FROM generate_series(8, 9) g, LATERAL (SELECT min(id), max(id) FROM parts.a WHERE grp = g) l;
SELECT id FROM parts.a WHERE grp = 3 ORDER BY id DESC LIMIT 1 OFFSET 100;
SELECT id FROM parts.a FOR UPDATE;
SELECT count(*) FROM vibepiper.read_asset('vibepiper_def."parts.a"') AS t(id int, grp int, s text);
SELECT count(*) FROM ROWS FROM (vibepiper.read_asset('vibepiper_def."parts.a"') AS (id int, grp int, s text), generate_series(1, 2));
CREATE TABLE copied AS SELECT * FROM parts.a;
UPDATE copied c SET s = 'x' FROM parts.a WHERE a.id = c.id AND a.id IN (1, 1001);
SELECT count(*) FROM copied WHERE s = 'x';
DELETE FROM copied USING parts.a WHERE a.id = copied.id;
SELECT count(*) FROM copied;
MERGE INTO copied c USING parts.a ON a.id = c.id WHEN NOT MATCHED THEN INSERT VALUES (a.id, a.grp, a.s);
SELECT count(*) FROM copied;
COPY (SELECT max(id) FROM parts.a) TO STDOUT;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM parts.a ORDER BY id;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM parts.a;
FETCH 1 FROM c;
SELECT test_publish_parts('parts.a', ARRAY[:top]);
FETCH LAST FROM c;
COMMIT;
MOVE ALL IN h;
SELECT count(*) FROM parts.a;
CLOSE h;
SELECT test_publish_parts('parts.a', ARRAY[:low, :high]);
-- what reads it is computed from all parts
SELECT asset, status FROM vibepiper.run('parts', 'b', parallel => false, force => true);
SELECT * FROM parts.b WHERE grp = 3;
-- in parallel
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT plan_of('SELECT count(*), max(id) FROM parts.a');
SELECT count(*), max(id) FROM parts.a;
PREPARE parallel_two AS SELECT count(*), min(id), max(id) FROM parts.a;
EXECUTE parallel_two;
SELECT test_publish_parts('parts.a', ARRAY[:top, :high]);
EXECUTE parallel_two;
SELECT test_publish_parts('parts.a', ARRAY[:top]);
EXECUTE parallel_two;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- rights
SELECT test_publish_parts('parts.a', ARRAY[:low, :high]);
CREATE ROLE parts_reader;
CREATE ROLE parts_nobody;
GRANT USAGE ON SCHEMA parts TO parts_reader, parts_nobody;
GRANT SELECT (id) ON parts.a TO parts_reader;
SET ROLE parts_reader;
SELECT count(id) FROM parts.a;
SELECT count(s) FROM parts.a;
SET ROLE parts_nobody;
SELECT count(*) FROM parts.a;
RESET ROLE;
-- the next run is of one part again; other columns are a miss
EXECUTE two_all;
SELECT asset, status, rows FROM vibepiper.run('parts', parallel => false, force => true);
EXECUTE two_all;
CALL look();
SELECT test_publish_parts('parts.a', ARRAY[:low, :high]);
SELECT vibepiper.define_asset('parts.a', 'SELECT id, grp, s, 1 AS one FROM parts_src.src', indexes => '{UNIQUE (id),(grp)}');
EXECUTE two_all;
SELECT sum(one) FROM parts.a;
SELECT asset, status, rows FROM vibepiper.run('parts', 'a', parallel => false);
EXECUTE two_all;
SELECT sum(one) FROM parts.a;

DEALLOCATE ALL;
DROP OWNED BY parts_reader, parts_nobody;
DROP ROLE parts_reader, parts_nobody;
DROP SCHEMA parts_src CASCADE;
SELECT vibepiper.drop_pipeline('parts', cascade => true);
DROP SCHEMA parts;
