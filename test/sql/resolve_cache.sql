-- Plans and cursors that outlive publications: each execution reads what its
-- own snapshot says.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE SCHEMA cache_src;
SET search_path = cache_src, public;

-- Every stored row has the number of its publication in column v.
CREATE TABLE src (id int PRIMARY KEY, grp int, v int);
INSERT INTO src SELECT i, i % 50, 0 FROM generate_series(1, 2000) i;
SELECT vibepiper.define_pipeline('cache', keep_versions => 1);
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v FROM cache_src.src', indexes => '{UNIQUE (id) INCLUDE (v),(grp)}');
SELECT vibepiper.define_asset('cache.b', 'SELECT grp, min(v) AS v, count(*) AS n FROM cache.a GROUP BY grp', indexes => '{(grp)}');
CREATE FUNCTION publish() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE cache_src.src SET v = v + 1;
	RETURN QUERY SELECT asset || ' ' || status FROM vibepiper.run('cache', parallel => false, force => true);
END $$;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(line, '_\d+_\d+', '_#', 'g');
	END LOOP;
END $$;
-- how many plans has a prepared statement used?
CREATE FUNCTION plans_of(which text) RETURNS text LANGUAGE sql AS
	$$ SELECT format('generic %s, custom %s', generic_plans, custom_plans) FROM pg_prepared_statements WHERE name = which $$;
SELECT publish();

-- Statements of all kinds of scans, with generic plans.
SET plan_cache_mode = force_generic_plan;
PREPARE seq AS SELECT min(v), max(v), count(*) FROM cache.a;
PREPARE join_(int) AS SELECT a.v, p.v, b.v, b.n FROM cache.a JOIN cache.a p ON p.id = a.id + 1 JOIN cache.b ON b.grp = a.grp WHERE a.id = $1;
PREPARE subplan(int) AS SELECT id, v, (SELECT b.v FROM cache.b WHERE b.grp = s.grp OFFSET 0), EXISTS (SELECT FROM cache.a WHERE a.id = s.id AND a.v = s.v) FROM src s WHERE id = $1;
PREPARE cte AS WITH w AS MATERIALIZED (SELECT * FROM cache.a) SELECT min(v), (SELECT max(v) FROM w) FROM w;
PREPARE whole(int) AS SELECT a, row_to_json(a) FROM cache.a WHERE id = $1;
PREPARE setop(int) AS SELECT v FROM cache.a WHERE id = $1 UNION ALL SELECT v FROM cache.b WHERE grp = $1;
PREPARE by_id(int) AS SELECT grp, v FROM cache.a WHERE id = $1;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
PREPARE index_only(int) AS SELECT id, v FROM cache.a WHERE id < $1;
PREPARE max_id AS SELECT max(id) FROM cache.a;
PREPARE ordered AS SELECT v FROM cache.a ORDER BY grp DESC LIMIT 1;
EXECUTE index_only(2);
EXECUTE max_id;
EXECUTE ordered;
EXECUTE by_id(2);
EXECUTE setop(2);
EXECUTE subplan(2);
SET enable_bitmapscan = on;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
PREPARE bitmap(int) AS SELECT count(*), min(v), max(v) FROM cache.a WHERE grp = $1 OR id = $1;
PREPARE bitmap_and(int) AS SELECT count(*), min(v), max(v) FROM cache.a WHERE grp = $1 AND id < 1000 AND id > 500;
EXECUTE bitmap(2);
EXECUTE bitmap_and(2);
RESET enable_seqscan;
RESET enable_indexscan;
RESET enable_indexonlyscan;
EXECUTE join_(2);
CREATE PROCEDURE all_of_them() LANGUAGE plpgsql AS $$
DECLARE s text; r record; line text = '';
BEGIN
	FOREACH s IN ARRAY ARRAY['seq', 'join_(7)', 'subplan(7)', 'cte', 'whole(7)', 'setop(7)', 'by_id(7)',
			'index_only(3)', 'max_id', 'ordered', 'bitmap(7)', 'bitmap_and(7)'] LOOP
		FOR r IN EXECUTE 'EXECUTE ' || s LOOP line := line || format('%s: %s; ', s, r); END LOOP;
	END LOOP;
	RAISE NOTICE '%', line;
END $$;
SET client_min_messages = notice;
CALL all_of_them();
SELECT plan_of('EXECUTE index_only(3)');
SELECT plan_of('EXECUTE bitmap(7)');
SELECT plan_of('EXECUTE by_id(3)');
SELECT plan_of('EXECUTE join_(3)');
SELECT publish();
CALL all_of_them();
-- the plan for another slot has the other slot's indexes
SELECT plan_of('EXECUTE index_only(3)');
SELECT plan_of('EXECUTE bitmap(7)');
-- slots rotate
CREATE PROCEDURE publish_often(n int) LANGUAGE plpgsql AS $$
DECLARE got int[] = '{}';
BEGIN
	FOR i IN 1 .. n LOOP
		PERFORM cache_src.publish();
		COMMIT;
		got := got || (SELECT min(v) FROM cache.a) || (SELECT v FROM cache.b WHERE grp = 1);
	END LOOP;
	RAISE NOTICE '% % slots', got, (SELECT count(*) FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub = 'cache.a'::regclass);
END $$;
CALL publish_often(10);
CALL all_of_them();
SELECT publish();
CALL all_of_them();
SELECT publish();
SELECT publish();
CALL all_of_them();
-- none was planned anew
SELECT plans_of('seq'), plans_of('index_only'), plans_of('by_id');
SELECT vibepiper.purge('cache') IS NOT NULL;
CALL all_of_them();

-- inside a transaction and its subtransactions
BEGIN;
SELECT publish();
EXECUTE seq;
EXECUTE index_only(2);
SAVEPOINT s;
SELECT publish();
EXECUTE seq;
EXECUTE by_id(5);
ROLLBACK TO s;
EXECUTE seq;
EXECUTE by_id(5);
ROLLBACK;
EXECUTE seq;
EXECUTE by_id(5);
EXECUTE index_only(2);

-- custom plans, and the choice between both
SET plan_cache_mode = force_custom_plan;
EXECUTE by_id(9);
SELECT publish();
EXECUTE by_id(9);
EXECUTE seq;
RESET plan_cache_mode;
PREPARE choice(int) AS SELECT v FROM cache.a WHERE id = $1;
DO $$ BEGIN FOR i IN 1 .. 5 LOOP EXECUTE 'EXECUTE choice(' || i || ')'; END LOOP; END $$;
EXECUTE choice(6);
SELECT plans_of('choice');
SELECT publish();
EXECUTE choice(6);
SELECT publish();
EXECUTE choice(7);
SELECT plans_of('choice');

-- PL/pgSQL keeps generic plans, too
CREATE FUNCTION p_static(i int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE x int; y int;
BEGIN
	SELECT v INTO x FROM cache.a WHERE id = i;
	FOR y IN SELECT v FROM cache.b WHERE grp = i LOOP x := x * 1000 + y; END LOOP;
	RETURN x;
END $$;
CREATE FUNCTION p_stable(i int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM cache.a WHERE id = i); END $$;
CREATE FUNCTION f_sql(i int) RETURNS int LANGUAGE sql STABLE AS 'SELECT v FROM cache.a WHERE id = i';
CREATE FUNCTION f_rows(i int) RETURNS TABLE (x int) LANGUAGE sql STABLE AS 'SELECT v FROM cache.a WHERE id = i';
PREPARE functions AS SELECT p_static(3), p_stable(3), f_sql(3), f.x FROM f_rows(3) f;
SET plan_cache_mode = force_generic_plan;
EXECUTE functions;
SELECT publish();
EXECUTE functions;
DO $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		RAISE NOTICE '% % % %', cache_src.p_static(3), cache_src.p_stable(3), cache_src.f_sql(3), (SELECT x FROM cache_src.f_rows(3));
		PERFORM cache_src.publish();
	END LOOP;
END $$;
EXECUTE functions;
-- in one statement, functions that are volatile see what it published, others don't
SELECT p_static(3), p_stable(3), publish, p_static(3), p_stable(3) FROM publish();

-- a change of the inlined function replaces the plan
PREPARE inlined AS SELECT x, 'a' FROM f_rows(3);
EXECUTE inlined;
CREATE OR REPLACE FUNCTION f_rows(i int) RETURNS TABLE (x int) LANGUAGE sql STABLE AS 'SELECT -v FROM cache.a WHERE id = i';
EXECUTE inlined;
CREATE OR REPLACE FUNCTION f_rows(i int) RETURNS TABLE (x int) LANGUAGE sql STABLE AS 'SELECT v FROM cache.a WHERE id = i';
EXECUTE inlined;

-- cursors
BEGIN;
SELECT min(v) AS before FROM cache.a \gset
DECLARE c CURSOR FOR SELECT id, v - :before AS v FROM cache.a WHERE id < 1000 ORDER BY id;
DECLARE s SCROLL CURSOR FOR SELECT id, v - :before AS v FROM cache.a ORDER BY id;
DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT id, v - :before AS v FROM cache.a JOIN cache.b USING (grp, v) ORDER BY id;
FETCH 1 FROM c;
SELECT publish();
SELECT publish();
FETCH 1 FROM c;
FETCH 2 FROM s;
FETCH LAST FROM s;
FETCH BACKWARD 2 FROM s;
SELECT publish();
FETCH ABSOLUTE 1 FROM s;
FETCH 2 FROM h;
SELECT min(v) - :before AS newest FROM cache.a;
COMMIT;
SELECT publish();
FETCH 1 FROM h;
FETCH FIRST FROM h;
FETCH LAST FROM h;
MOVE BACKWARD ALL IN h;
FETCH 1 FROM h;
CLOSE h;
-- held although it was never fetched from, and opened by a generic plan
BEGIN;
SELECT min(v) AS before FROM cache.a \gset
DO $$ DECLARE c refcursor = 'from_do'; BEGIN OPEN c SCROLL FOR SELECT id, v FROM cache.a WHERE id < 4 ORDER BY id; END $$;
DECLARE h CURSOR WITH HOLD FOR SELECT DISTINCT v - :before AS v FROM cache.a;
SELECT publish();
SELECT count(*) FROM src WHERE v = :before + 1;
FETCH 1 FROM from_do \gset z_
SELECT :z_v - :before AS old;
COMMIT;
SELECT publish();
FETCH ALL FROM h;
CLOSE h;
-- a loop over a cursor, publishing inside
DO $$
DECLARE r record; got int[] = '{}'; first int;
BEGIN
	SELECT min(v) INTO first FROM cache.a;
	FOR r IN SELECT id, v FROM cache.a WHERE id <= 4 ORDER BY id LOOP
		PERFORM cache_src.publish();
		got := got || (r.v - first) || (SELECT v - first FROM cache.a WHERE id = r.id);
	END LOOP;
	RAISE NOTICE '%', got;
END $$;
-- procedures that commit between
CREATE PROCEDURE committing() LANGUAGE plpgsql AS $$
DECLARE r record; got int[] = '{}'; first int;
BEGIN
	SELECT min(v) INTO first FROM cache.a;
	FOR r IN SELECT id, v FROM cache.a WHERE id <= 3 ORDER BY id LOOP
		PERFORM cache_src.publish();
		COMMIT;
		got := got || (r.v - first) || (SELECT v - first FROM cache.a WHERE id = r.id);
		UPDATE cache_src.src SET v = v + 1;
		PERFORM vibepiper.run('cache', parallel => false, force => true);
		got := got || (SELECT v - first FROM cache.a WHERE id = r.id);
		ROLLBACK;
		got := got || (SELECT v - first FROM cache.a WHERE id = r.id);
	END LOOP;
	RAISE NOTICE '%', got;
END $$;
CALL committing();

-- the same plan at several depths, with publications between
CREATE FUNCTION nested(depth int) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE r record; got int[] = '{}';
BEGIN
	FOR r IN SELECT id, v FROM cache.a WHERE id <= 2 ORDER BY id LOOP
		IF depth > 0 AND r.id = 1 THEN
			PERFORM cache_src.publish();
			got := got || cache_src.nested(depth - 1);
		END IF;
		got := got || r.v;
	END LOOP;
	RETURN got;
END $$;
SELECT array_agg(n - min) FROM (SELECT n, min(n) OVER () FROM unnest(nested(3)) n) s;
SELECT array_agg(n - min) FROM (SELECT n, min(n) OVER () FROM unnest(nested(3)) n) s;
DO $$
BEGIN
	PERFORM cache_src.nested(2);
	PERFORM 1 / 0 FROM cache_src.nested(1);
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE '% %', cache_src.nested(0) = (SELECT ARRAY[v, v] FROM cache.a WHERE id = 1), (SELECT min(v) = max(v) FROM cache.a);
END $$;
SELECT (SELECT DISTINCT n FROM unnest(nested(0)) n) = (SELECT max(v) FROM cache.a) AS newest;

-- isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT min(v) AS before FROM cache.a \gset
SELECT publish();
SELECT min(v) - :before AS own FROM cache.a;
EXECUTE by_id(3) \gset
SELECT :v - :before AS own;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT min(v) - :before AS newest FROM cache.a;
SELECT publish();
SELECT min(v) - :before AS own FROM cache.a;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT min(v) - :before AS newest FROM cache.a;
EXECUTE by_id(3) \gset
SELECT :v - :before AS newest;
COMMIT;

-- parallel plans
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT plan_of('SELECT count(*), min(v) FROM cache.a');
SELECT count(*), min(v) - :before AS v, max(v) - :before AS v FROM cache.a;
PREPARE parallel_seq AS SELECT count(*), min(v), max(v) FROM cache.a;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
PREPARE parallel_index(int) AS SELECT count(*), min(v), max(v) FROM cache.a WHERE id > $1;
SELECT plan_of('EXECUTE parallel_index(1)');
RESET enable_seqscan;
RESET enable_bitmapscan;
EXECUTE parallel_seq \gset a_
EXECUTE parallel_index(1000) \gset b_
SELECT publish();
EXECUTE parallel_seq \gset c_
EXECUTE parallel_index(1000) \gset d_
SELECT :a_count, :a_min - :before AS a, :a_max - :before AS a, :b_count, :b_min - :before AS b, :c_count, :c_min - :before AS c, :c_max - :before AS c, :d_count, :d_max - :before AS d;
-- a parallel run, inside a transaction
BEGIN;
SELECT publish();
SELECT publish();
EXECUTE parallel_seq \gset e_
EXECUTE parallel_index(1000) \gset f_
SELECT :e_min - :before AS e, :e_max - :before AS e, :f_count, :f_min - :before AS f;
ROLLBACK;
EXECUTE parallel_seq \gset e_
SELECT :e_min - :before AS e, :e_max - :before AS e;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET min_parallel_index_scan_size;
RESET max_parallel_workers_per_gather;

-- changed indexes: the old plan is still right
PREPARE two(int) AS SELECT id, v >= 0 FROM cache.a WHERE id = $1;
EXECUTE two(4);
SELECT plan_of('EXECUTE two(4)');
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v FROM cache_src.src', indexes => '{(grp)}');
EXECUTE two(4);
SELECT plan_of('EXECUTE two(4)');
SELECT publish();
EXECUTE two(4);
SELECT plan_of('EXECUTE two(4)');
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v FROM cache_src.src', indexes => '{(grp),"(v, id)",UNIQUE (id) INCLUDE (v)}');
SELECT publish();
EXECUTE two(4);
CALL all_of_them();
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v FROM cache_src.src');
SELECT publish();
EXECUTE two(4);
SELECT plan_of('EXECUTE two(4)');
BEGIN;
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v FROM cache_src.src', indexes => '{UNIQUE (id) INCLUDE (v),(grp)}');
SELECT publish();
EXECUTE two(4);
SELECT plan_of('EXECUTE two(4)');
ROLLBACK;
EXECUTE two(4);
SELECT plan_of('EXECUTE two(4)');
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v FROM cache_src.src', indexes => '{UNIQUE (id) INCLUDE (v),(grp)}');
SELECT publish();

-- other code of the same columns: read as published, then as run
PREPARE code(int) AS SELECT id, v >= 0 FROM cache.a WHERE id = $1;
EXECUTE code(4);
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, -v AS v FROM cache_src.src', indexes => '{UNIQUE (id) INCLUDE (v),(grp)}');
EXECUTE code(4);
SELECT publish();
EXECUTE code(4);
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v FROM cache_src.src', indexes => '{UNIQUE (id) INCLUDE (v),(grp)}');
EXECUTE code(4);
SELECT publish();
EXECUTE code(4);

-- rollback of a pipeline is seen
SELECT vibepiper.define_pipeline('cache', keep_versions => 5);
SELECT publish();
SELECT max(run_id) AS good, min(v) AS before FROM vibepiper.runs, cache.a WHERE pipeline = 'cache' \gset
SELECT publish();
EXECUTE by_id(3) \gset
SELECT :v - :before AS after;
SELECT asset FROM vibepiper.rollback('cache', :good);
EXECUTE by_id(3) \gset
SELECT :v - :before AS undone;
EXECUTE parallel_index(1) \gset x_
SELECT :x_min - :before AS undone, :x_max - :before AS undone;
BEGIN;
SELECT vibepiper.release('cache');
SELECT publish();
EXECUTE by_id(3) \gset
SELECT :v - :before AS after;
ROLLBACK;
EXECUTE by_id(3) \gset
SELECT :v - :before AS undone;
SELECT vibepiper.release('cache');

-- a renamed stub
ALTER VIEW cache.a RENAME TO a_renamed;
SELECT v - :before AS undone FROM cache.a_renamed WHERE id = 3;
EXECUTE by_id(3) \gset
SELECT :v - :before AS undone;
ALTER VIEW cache.a_renamed RENAME TO a;
SELECT v - :before AS undone FROM cache.a WHERE id = 3;

-- dropped and defined again: the statement survives like on a table
PREPARE survivor AS SELECT count(*) FROM cache.b;
EXECUTE survivor;
SELECT vibepiper.drop_asset('cache.b');
EXECUTE survivor;
SELECT vibepiper.define_asset('cache.b', 'SELECT grp, min(v) AS v, count(*) AS n FROM cache.a GROUP BY grp', indexes => '{(grp)}');
EXECUTE survivor;
SELECT publish();
EXECUTE survivor;
EXECUTE join_(7) \gset y_
SELECT :y_n;

-- more columns: a plan that names its columns goes on, before and after the run
PREPARE named AS SELECT count(id), min(v) >= 0 FROM cache.a;
PREPARE star AS SELECT * FROM cache.a WHERE id = 0;
EXECUTE named;
EXECUTE star;
SELECT vibepiper.define_asset('cache.a', 'SELECT id, grp, v, id + grp AS more FROM cache_src.src', indexes => '{UNIQUE (id) INCLUDE (v)}');
EXECUTE named;
EXECUTE star;
SELECT more FROM cache.a WHERE id = 60;
SELECT plan_of('SELECT more FROM cache.a WHERE id = 60');
EXECUTE by_id(3) \gset
SELECT publish();
EXECUTE named;
SELECT more FROM cache.a WHERE id = 60;
SELECT plan_of('SELECT more FROM cache.a WHERE id = 60');

-- a transaction that has published can't be prepared, one that has read can
BEGIN;
SELECT publish();
PREPARE TRANSACTION 'cache';
BEGIN;
SELECT count(*) FROM cache.a;
PREPARE TRANSACTION 'cache';
SELECT publish();
SELECT publish();
EXECUTE named;
ROLLBACK PREPARED 'cache';

DEALLOCATE ALL;
SET client_min_messages = warning;
DROP SCHEMA cache_src CASCADE;
SELECT vibepiper.drop_pipeline('cache', cascade => true);
DROP SCHEMA cache;
