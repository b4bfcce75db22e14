-- Reading assets in every place where a relation can stand.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE SCHEMA places_src;
SET search_path = places_src, public;

CREATE TABLE item (id int PRIMARY KEY, grp int NOT NULL, price numeric(8,2), name text, parent int);
INSERT INTO item SELECT i, i % 7, i * 1.5, 'item ' || i, nullif(i / 2, 0) FROM generate_series(1, 700) i;

-- rows that differ between two queries
CREATE FUNCTION differs(a text, b text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('WITH x AS MATERIALIZED (%s), y AS MATERIALIZED (%s)
		SELECT count(*) FROM ((TABLE x EXCEPT ALL TABLE y) UNION ALL (TABLE y EXCEPT ALL TABLE x)) d', a, b) INTO n;
	RETURN n;
END $$;

-- a plan without the numbers in the names of slots
CREATE FUNCTION plan_of(query text, options text = 'COSTS OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
		CONTINUE WHEN line ~ '(Index Searches|Replaces):';
		line := regexp_replace(line, 'InitPlan minmax_', 'InitPlan ');
		line := regexp_replace(line, 'unnamed_subquery(_\d+)?|"\*SELECT\* \d+"', 'unnamed');
		line := regexp_replace(line, '_\d+_\d+', '_#', 'g');
		line := regexp_replace(line, ' \(returns \$\d+\)', '');
		RETURN NEXT regexp_replace(line, 'actual rows=(\d+)[.0]* loops', 'rows=\1 loops');
	END LOOP;
END $$;

SELECT vibepiper.define_pipeline('places');
SELECT vibepiper.define_asset('places.items', 'SELECT id, grp, price, name, parent FROM places_src.item',
	indexes => '{UNIQUE (id),(grp)}');
SELECT vibepiper.define_asset('places.groups', 'SELECT grp, count(*) AS n, sum(price) AS total FROM places.items GROUP BY grp',
	indexes => '{(grp)}');
SELECT asset, status, reason, rows FROM vibepiper.run('places', parallel => false);

-- From here on the sources differ from what is stored: item_then and groups_then
-- are what a reader must get.
CREATE TABLE item_then AS SELECT * FROM item;
CREATE UNIQUE INDEX ON item_then (id);
CREATE VIEW groups_then AS SELECT grp, count(*) AS n, sum(price) AS total FROM item_then GROUP BY grp;
ANALYZE item_then;
UPDATE item SET price = price + 1, name = 'changed';

SELECT differs('TABLE places.items', 'TABLE item_then');
SELECT differs('TABLE places.groups', 'TABLE groups_then');
SELECT differs('TABLE places.items', 'TABLE item') > 0 AS source_has_changed;

-- plans are those of a table
SELECT plan_of('SELECT * FROM places.items WHERE id = 5');
SELECT plan_of('SELECT count(*) FROM places.items');
SET enable_seqscan = off;
SELECT plan_of('SELECT id FROM places.items WHERE id < 10');
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT plan_of('SELECT name FROM places.items WHERE id < 10 OR grp = 3');
SELECT differs('SELECT name FROM places.items WHERE id < 10 OR grp = 3', 'SELECT name FROM item_then WHERE id < 10 OR grp = 3');
RESET enable_seqscan;
RESET enable_indexscan;
RESET enable_indexonlyscan;
SELECT plan_of('SELECT max(id) FROM places.items');
-- statistics are used: 100 of 700 rows
SELECT regexp_replace(line, '.* rows=(\d+) .*', '\1') AS estimate
FROM plan_of('SELECT * FROM places.items WHERE grp = 3', 'COSTS ON') line LIMIT 1;

-- joins
SELECT differs('SELECT i.id, g.n FROM places.items i JOIN places.groups g USING (grp)',
	'SELECT i.id, g.n FROM item_then i JOIN groups_then g USING (grp)');
SELECT differs('SELECT i.id, p.name FROM places.items i LEFT JOIN places.items p ON p.id = i.parent',
	'SELECT i.id, p.name FROM item_then i LEFT JOIN item_then p ON p.id = i.parent');
SELECT differs('SELECT i.id, p::text FROM places.items p RIGHT JOIN places.items i ON p.id = i.parent AND p.grp = 1',
	'SELECT i.id, p::text FROM item_then p RIGHT JOIN item_then i ON p.id = i.parent AND p.grp = 1');
SELECT differs('SELECT a.id, b.id AS bid FROM places.items a FULL JOIN places.items b ON a.id = b.id + 3',
	'SELECT a.id, b.id AS bid FROM item_then a FULL JOIN item_then b ON a.id = b.id + 3');
SELECT differs('SELECT * FROM places.groups NATURAL JOIN (VALUES (1), (3)) v(grp)',
	'SELECT * FROM groups_then NATURAL JOIN (VALUES (1), (3)) v(grp)');
SELECT plan_of('SELECT i.name, p.name FROM places.items i JOIN places.items p ON p.id = i.parent WHERE i.id = 70');

-- sub-queries
SELECT (SELECT sum(price) FROM places.items) = (SELECT sum(price) FROM item_then) AS scalar;
SELECT differs('SELECT id, (SELECT n FROM places.groups g WHERE g.grp = i.grp) FROM places.items i',
	'SELECT id, (SELECT n FROM groups_then g WHERE g.grp = i.grp) FROM item_then i');
SELECT differs('SELECT id FROM item_then i WHERE EXISTS (SELECT FROM places.items p WHERE p.id = i.parent AND p.grp = 2)',
	'SELECT id FROM item_then i WHERE EXISTS (SELECT FROM item_then p WHERE p.id = i.parent AND p.grp = 2)');
SELECT differs('SELECT id FROM places.items WHERE parent IN (SELECT id FROM places.items WHERE grp = 2)',
	'SELECT id FROM item_then WHERE parent IN (SELECT id FROM item_then WHERE grp = 2)');
SELECT differs('SELECT id FROM places.items WHERE id NOT IN (SELECT parent FROM places.items WHERE parent IS NOT NULL)',
	'SELECT id FROM item_then WHERE id NOT IN (SELECT parent FROM item_then WHERE parent IS NOT NULL)');
SELECT differs('SELECT g.grp, l.id FROM places.groups g, LATERAL (SELECT id FROM places.items i WHERE i.grp = g.grp ORDER BY id DESC LIMIT 2) l',
	'SELECT g.grp, l.id FROM groups_then g, LATERAL (SELECT id FROM item_then i WHERE i.grp = g.grp ORDER BY id DESC LIMIT 2) l');
SELECT ARRAY(SELECT id FROM places.items WHERE grp = 6 AND id < 30 ORDER BY id);
SELECT id FROM places.items ORDER BY (SELECT n FROM places.groups LIMIT 1), id
	LIMIT (SELECT min(grp) + 2 FROM places.groups) OFFSET (SELECT max(grp) FROM places.groups);
SELECT CASE WHEN EXISTS (SELECT FROM places.items WHERE id = 700) THEN (SELECT name FROM places.items WHERE id = 700) END;
SELECT * FROM generate_series(1, (SELECT min(grp) + 2 FROM places.groups)) s;
SELECT * FROM (VALUES ((SELECT count(*) FROM places.items)), ((SELECT count(*) FROM places.groups))) v(n);
SELECT count(*) FILTER (WHERE grp IN (SELECT grp FROM places.groups WHERE grp < 3)) FROM places.items;

-- CTEs
SELECT differs('WITH w AS MATERIALIZED (SELECT * FROM places.items) SELECT a.id, b.name FROM w a JOIN w b ON a.parent = b.id',
	'SELECT a.id, b.name FROM item_then a JOIN item_then b ON a.parent = b.id');
SELECT differs('WITH w AS NOT MATERIALIZED (SELECT * FROM places.items) SELECT a.id, b.name FROM w a JOIN w b ON a.parent = b.id',
	'SELECT a.id, b.name FROM item_then a JOIN item_then b ON a.parent = b.id');
SELECT differs('WITH RECURSIVE up AS (SELECT id, parent FROM places.items WHERE id = 700
	UNION ALL SELECT i.id, i.parent FROM up JOIN places.items i ON i.id = up.parent) SELECT * FROM up',
	'WITH RECURSIVE up AS (SELECT id, parent FROM item_then WHERE id = 700
	UNION ALL SELECT i.id, i.parent FROM up JOIN item_then i ON i.id = up.parent) SELECT * FROM up');
SELECT plan_of('WITH w AS MATERIALIZED (SELECT id, parent FROM places.items) SELECT FROM w a JOIN w b ON a.parent = b.id');

-- views on assets, views on views
CREATE VIEW v_items AS SELECT id, grp, name FROM places.items WHERE grp < 5;
CREATE VIEW v_v AS SELECT v.*, g.n FROM v_items v JOIN places.groups g USING (grp);
CREATE VIEW v_barrier WITH (security_barrier) AS SELECT * FROM v_v WHERE n > 0;
CREATE RECURSIVE VIEW v_up(id, parent) AS
	SELECT id, parent FROM places.items WHERE id = 600 UNION ALL
	SELECT i.id, i.parent FROM v_up JOIN places.items i ON i.id = v_up.parent;
SELECT differs('TABLE v_items', 'SELECT id, grp, name FROM item_then WHERE grp < 5');
SELECT differs('TABLE v_v', 'SELECT i.id, i.grp, i.name, g.n FROM item_then i JOIN groups_then g USING (grp) WHERE grp < 5');
SELECT differs('TABLE v_barrier', 'SELECT i.id, i.grp, i.name, g.n FROM item_then i JOIN groups_then g USING (grp) WHERE grp < 5');
SELECT differs('TABLE v_up', 'SELECT id, parent FROM item_then WHERE id IN (600, 300, 150, 75, 37, 18, 9, 4, 2, 1)');
SELECT plan_of('SELECT name FROM v_barrier WHERE id = 9');

-- SQL functions
CREATE FUNCTION f_inlined(int) RETURNS TABLE (id int, name text) LANGUAGE sql STABLE
	AS 'SELECT id, name FROM places.items WHERE grp = $1';
CREATE FUNCTION f_atomic(g int DEFAULT 4) RETURNS TABLE (id int, name text) LANGUAGE sql STABLE
	BEGIN ATOMIC SELECT i.id, i.name FROM places.items i WHERE i.grp = g; END;
CREATE FUNCTION f_outer(a int, b int) RETURNS TABLE (id int, name text) LANGUAGE sql STABLE
	AS 'SELECT * FROM f_inlined(a) UNION ALL SELECT * FROM f_atomic(b)';
CREATE FUNCTION f_volatile(int) RETURNS TABLE (id int, name text) LANGUAGE sql VOLATILE
	AS 'SELECT id, name FROM places.items WHERE grp = $1';
CREATE FUNCTION f_definer(int) RETURNS TABLE (id int, name text) LANGUAGE sql STABLE SECURITY DEFINER
	AS 'SELECT id, name FROM places.items WHERE grp = $1';
CREATE FUNCTION f_rows(int) RETURNS SETOF places.items LANGUAGE sql STABLE
	AS 'SELECT * FROM places.items WHERE grp = $1';
CREATE FUNCTION f_scalar(int) RETURNS bigint LANGUAGE sql STABLE
	AS 'SELECT n FROM places.groups WHERE grp = $1';
CREATE FUNCTION f_view(int) RETURNS TABLE (id int, n bigint) LANGUAGE sql STABLE
	AS 'SELECT id, n FROM v_v WHERE grp = $1';
CREATE FUNCTION f_recursive(int) RETURNS SETOF int LANGUAGE sql STABLE
	AS 'SELECT id FROM places.items WHERE id = $1 UNION ALL SELECT f_recursive(id) FROM places.items WHERE id = $1 / 2';
SELECT f, differs(format('SELECT * FROM %s', f), 'SELECT id, name FROM item_then WHERE grp = 4')
FROM unnest(ARRAY['f_inlined(4)', 'f_atomic(g => 4)', 'f_atomic()', 'f_volatile(4)', 'f_definer(4)']) f;
SELECT differs('SELECT * FROM f_outer(4, 5)', 'SELECT id, name FROM item_then WHERE grp IN (4, 5)');
SELECT differs('SELECT * FROM f_rows(4)', 'SELECT * FROM item_then WHERE grp = 4');
SELECT differs('SELECT g, f_scalar(g) FROM generate_series(0, 8) g', 'SELECT g, (SELECT n FROM groups_then WHERE grp = g) FROM generate_series(0, 8) g');
SELECT differs('SELECT * FROM f_view(3)', 'SELECT id, n FROM item_then JOIN groups_then USING (grp) WHERE grp = 3');
SELECT differs('SELECT g.grp, f.* FROM places.groups g, f_inlined(g.grp) f', 'SELECT grp, id, name FROM item_then');
SELECT differs('SELECT g.grp, f.* FROM places.groups g LEFT JOIN LATERAL f_rows(g.grp) f ON f.id < 10',
	'SELECT g.grp, i.* FROM groups_then g LEFT JOIN item_then i ON i.grp = g.grp AND i.id < 10');
SELECT differs('SELECT f.* FROM f_inlined((SELECT min(grp) + 4 FROM places.groups)) f', 'SELECT id, name FROM item_then WHERE grp = 4');
SELECT count(*) FROM f_inlined(4) WITH ORDINALITY;
SELECT count(*) FROM ROWS FROM (f_inlined(4), f_atomic(5)) AS t(a, b, c, d);
SELECT (f_inlined(4)).id ORDER BY 1 LIMIT 2;
SELECT array_agg(f_recursive) FROM f_recursive(700);
-- what is inlined has the index of the asset
SELECT plan_of('SELECT name FROM f_inlined(4) WHERE id = 53');
SELECT plan_of('SELECT name FROM f_atomic() WHERE id = 53');
SELECT plan_of('SELECT name FROM f_outer(1, 2) WHERE id = 53');

-- PL/pgSQL
CREATE FUNCTION p_static(g int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN SELECT count(*) INTO n FROM places.items WHERE grp = g; RETURN n; END $$;
CREATE FUNCTION p_stable(g int) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN (SELECT count(*) FROM places.items WHERE grp = g); END $$;
CREATE FUNCTION p_dynamic(g int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM places.items WHERE grp = $1' INTO n USING g; RETURN n; END $$;
CREATE FUNCTION p_loop(g int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint = 0; r record; BEGIN FOR r IN SELECT * FROM places.items WHERE grp = g LOOP n := n + 1; END LOOP; RETURN n; END $$;
CREATE FUNCTION p_cursor(g int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint = 0; i places.items; c CURSOR FOR SELECT * FROM places.items WHERE grp = g;
BEGIN OPEN c; LOOP FETCH c INTO i; EXIT WHEN NOT FOUND; n := n + 1; END LOOP; CLOSE c; RETURN n; END $$;
CREATE FUNCTION p_query(g int) RETURNS SETOF places.items LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY SELECT * FROM places.items WHERE grp = g; END $$;
SELECT p_static(1), p_stable(1), p_dynamic(1), p_loop(1), p_cursor(1), (SELECT count(*) FROM p_query(1));
SELECT p_static(grp), p_stable(grp), p_dynamic(grp), p_loop(grp), p_cursor(grp) FROM places.groups WHERE grp < 2;

-- a DO block that runs the pipeline and reads in the same block
CREATE PROCEDURE check_reads(what text) LANGUAGE plpgsql AS $$
DECLARE now_ numeric; stored numeric;
BEGIN
	SELECT sum(price) INTO now_ FROM places_src.item;
	SELECT sum(price) INTO stored FROM places.items;
	RAISE NOTICE '%: % %', what, CASE WHEN stored = now_ THEN 'new rows' ELSE 'old rows' END,
		CASE WHEN (SELECT sum(total) FROM places.groups) = stored THEN 'in both' ELSE 'in one' END;
END $$;
SET client_min_messages = notice;
BEGIN;
DO $$
BEGIN
	CALL places_src.check_reads('before');
	PERFORM vibepiper.run('places', parallel => false, force => true);
	CALL places_src.check_reads('after');
	UPDATE places_src.item SET price = price + 1;
	CALL places_src.check_reads('source changed');
	PERFORM vibepiper.run('places', parallel => false, force => true);
	CALL places_src.check_reads('after');
	BEGIN
		UPDATE places_src.item SET price = price + 1;
		PERFORM vibepiper.run('places', parallel => false, force => true);
		CALL places_src.check_reads('inside');
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN
		CALL places_src.check_reads('undone');
	END;
END $$;
ROLLBACK;
CALL check_reads('after rollback');
-- in one statement: what reads after run() in the same statement has the statement's snapshot
SELECT r.status, (SELECT sum(price) FROM places.items) = (SELECT sum(price) FROM item_then) AS old_rows
FROM vibepiper.run('places', 'items', parallel => false, force => true) r;
SELECT sum(price) = (SELECT sum(price) FROM item) AS new_rows FROM places.items;
SET client_min_messages = warning;

-- back to what item_then holds
BEGIN;
TRUNCATE item;
INSERT INTO item SELECT * FROM item_then;
SELECT count(*) FROM vibepiper.run('places', parallel => false, force => true);
COMMIT;
UPDATE item SET price = -1;
SELECT differs('TABLE places.items', 'TABLE item_then'), differs('TABLE places.groups', 'TABLE groups_then');

-- statements that write elsewhere
CREATE TABLE copy_of AS SELECT * FROM places.items;
SELECT differs('TABLE copy_of', 'TABLE item_then');
DELETE FROM copy_of;
INSERT INTO copy_of SELECT * FROM places.items WHERE grp = 1;
INSERT INTO copy_of SELECT * FROM places.items WHERE id = 2 RETURNING id, (SELECT count(*) FROM places.groups);
WITH w AS (INSERT INTO copy_of SELECT * FROM places.items WHERE grp = 2 RETURNING grp)
	SELECT count(*), (SELECT n FROM places.groups WHERE grp = 2) FROM w;
DELETE FROM copy_of WHERE ctid = (SELECT min(ctid) FROM copy_of WHERE id = 2);
SELECT differs('TABLE copy_of', 'SELECT * FROM item_then WHERE grp IN (1, 2)');
UPDATE copy_of c SET name = i.name || '!' FROM places.items i WHERE i.id = c.id AND i.grp = 1;
SELECT count(*) FROM copy_of WHERE name LIKE '%!';
UPDATE copy_of SET price = (SELECT total FROM places.groups g WHERE g.grp = copy_of.grp);
SELECT count(*) FROM copy_of c JOIN groups_then g ON g.grp = c.grp AND g.total = c.price;
DELETE FROM copy_of c USING places.items i WHERE i.id = c.id AND i.grp = 1;
SELECT count(*) FROM copy_of;
MERGE INTO copy_of c USING places.items i ON i.id = c.id
	WHEN MATCHED AND i.id > 100 THEN DELETE
	WHEN MATCHED THEN UPDATE SET price = i.price, name = i.name
	WHEN NOT MATCHED AND EXISTS (SELECT FROM places.groups g WHERE g.grp = i.grp AND g.grp = 3) THEN INSERT VALUES (i.id, i.grp, i.price, i.name, i.parent);
SELECT differs('TABLE copy_of', 'SELECT * FROM item_then WHERE grp = 2 AND id <= 100 OR grp = 3');
INSERT INTO copy_of TABLE places.items;
CREATE UNIQUE INDEX ON item_then (id, grp);
INSERT INTO item SELECT * FROM places.items ON CONFLICT (id) DO UPDATE
	SET price = (SELECT price FROM places.items i WHERE i.id = excluded.id);
SELECT differs('TABLE item', 'TABLE item_then');
COPY (SELECT id, name FROM places.items WHERE id < 4 ORDER BY id) TO STDOUT;
COPY (SELECT count(*) FROM places.groups) TO STDOUT CSV HEADER;
CREATE MATERIALIZED VIEW mv AS SELECT grp, count(*) AS n FROM places.items GROUP BY grp;
CREATE UNIQUE INDEX ON mv (grp);
SELECT differs('TABLE mv', 'SELECT grp, n FROM groups_then');
REFRESH MATERIALIZED VIEW mv;
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
SELECT differs('TABLE mv', 'SELECT grp, n FROM groups_then');
DO $$ BEGIN PERFORM vibepiper.run('places', parallel => false); CREATE TEMP TABLE t_in_do AS SELECT * FROM places.items; END $$;
SELECT count(*) FROM t_in_do;
CREATE TABLE with_trigger (id int);
CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN new.id := new.id + (SELECT count(*) FROM places.items); RETURN new; END $$;
CREATE TRIGGER t BEFORE INSERT ON with_trigger FOR EACH ROW EXECUTE FUNCTION on_insert();
INSERT INTO with_trigger VALUES (1), (2) RETURNING id;
CREATE RULE r AS ON DELETE TO with_trigger DO INSTEAD INSERT INTO with_trigger SELECT -n FROM places.groups WHERE grp = 1;
DELETE FROM with_trigger;
SELECT id FROM with_trigger ORDER BY id;

-- whole rows
SELECT t FROM places.items t WHERE id = 3;
SELECT t.* FROM places.items t WHERE id = 3;
SELECT row_to_json(t) FROM places.items t WHERE id = 3;
SELECT (t).name, (t).id + 1 AS next FROM (SELECT t FROM places.items t WHERE id = 3) s;
SELECT (s.t).* FROM (SELECT t FROM places.items t WHERE id = 3 OFFSET 0) s;
SELECT t = (SELECT u FROM places.items u WHERE id = 3) AS same, pg_typeof(t), t IS NOT NULL AS is_not_null FROM places.items t WHERE id = 3;
SELECT to_jsonb(t) - 'price' FROM places.groups t WHERE grp = 1;
SELECT count(t), count(DISTINCT t) FROM places.items t;
SELECT i, p FROM places.items i LEFT JOIN places.items p ON p.id = i.parent AND p.id > 1 WHERE i.id IN (3, 5) ORDER BY i.id;
CREATE FUNCTION takes(places.items) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.name';
SELECT takes(t), t.takes FROM places.items t WHERE id = 3;
SELECT name FROM places.items t ORDER BY t DESC LIMIT 1;
SELECT count(*) FROM (SELECT ROW(t.*) FROM places.items t UNION SELECT ROW(t.*) FROM item_then t) x;

-- set operations, grouping, window functions
SELECT differs('TABLE places.items EXCEPT ALL TABLE item_then', 'SELECT * FROM item_then WHERE false');
SELECT count(*) FROM (TABLE places.items UNION ALL TABLE places.items) u;
SELECT count(*) FROM (TABLE places.items UNION TABLE places.items) u;
SELECT count(*) FROM (SELECT id FROM places.items INTERSECT SELECT grp FROM places.groups) u;
SELECT plan_of('SELECT id FROM places.items WHERE id = 4 UNION ALL SELECT n FROM places.groups WHERE grp = 4');
SELECT differs('SELECT id, row_number() OVER (PARTITION BY grp ORDER BY id), sum(price) OVER w, lag(name) OVER w FROM places.items WINDOW w AS (ORDER BY id)',
	'SELECT id, row_number() OVER (PARTITION BY grp ORDER BY id), sum(price) OVER w, lag(name) OVER w FROM item_then WINDOW w AS (ORDER BY id)');
SELECT differs('SELECT grp, id % 3, count(*), grouping(grp) FROM places.items GROUP BY CUBE (grp, id % 3)',
	'SELECT grp, id % 3, count(*), grouping(grp) FROM item_then GROUP BY CUBE (grp, id % 3)');
SELECT DISTINCT ON (grp) grp, id FROM places.items ORDER BY grp, id DESC LIMIT 3;
SELECT id FROM places.items ORDER BY id FETCH FIRST 2 ROWS ONLY;
SELECT grp FROM places.groups ORDER BY n, grp FETCH FIRST 1 ROWS WITH TIES;

-- partitioned joins
CREATE TABLE part (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (350);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (350) TO (1000);
INSERT INTO part SELECT id, name FROM item_then;
ANALYZE part;
SET enable_partitionwise_join = on;
SELECT differs('SELECT p.v, i.grp FROM part p JOIN places.items i USING (id)', 'SELECT name, grp FROM item_then');
SELECT differs('SELECT p.v, q.v AS w, i.grp FROM part p JOIN part q USING (id) LEFT JOIN places.items i USING (id)', 'SELECT name, name AS w, grp FROM item_then');
UPDATE part SET v = i.grp::text FROM places.items i WHERE i.id = part.id;
SELECT count(*) FROM part JOIN item_then i ON i.id = part.id AND i.grp::text = part.v;
RESET enable_partitionwise_join;

-- EXPLAIN, in its forms
SELECT plan_of('SELECT name FROM places.items WHERE id = 5', 'COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF');
SELECT plan_of('SELECT * FROM places.items WHERE id = 5', 'COSTS OFF, VERBOSE');
SELECT plan_of('SELECT t FROM places.groups t', 'COSTS OFF, VERBOSE');
SELECT plan_of('CREATE TABLE never AS SELECT * FROM places.items');
SELECT plan_of('DECLARE c CURSOR FOR SELECT * FROM places.items');
SELECT plan_of('DELETE FROM copy_of USING places.groups g WHERE g.grp = copy_of.grp');

-- row security whose policy reads an asset
CREATE TABLE guarded (id int);
INSERT INTO guarded SELECT generate_series(1, 20);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded USING (EXISTS (SELECT FROM places.items i WHERE i.id = guarded.id AND i.grp = 3));
CREATE ROLE places_reader;
GRANT USAGE ON SCHEMA places_src, places TO places_reader;
GRANT SELECT ON guarded, places.items TO places_reader;
SET ROLE places_reader;
SELECT array_agg(id ORDER BY id) FROM guarded;
RESET ROLE;

-- rows of an asset can't be locked, nor written
SELECT * FROM places.items FOR UPDATE;
SELECT * FROM places.items i JOIN item_then USING (id) FOR SHARE OF i;
SELECT count(*) FROM (SELECT 1 FROM places.items i JOIN item_then t USING (id) FOR SHARE OF t) x;
SELECT * FROM v_v FOR NO KEY UPDATE;
SELECT * FROM (SELECT * FROM places.items) s FOR KEY SHARE;
SELECT id FROM item_then WHERE id IN (SELECT id FROM places.items WHERE id = 9 FOR UPDATE);
SELECT id FROM item_then WHERE id IN (SELECT id FROM places.items WHERE id = 9) FOR UPDATE;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM places.items FOR UPDATE;
ROLLBACK;
DO $$ BEGIN PERFORM * FROM places.items FOR UPDATE SKIP LOCKED; END $$;
DELETE FROM places.items;
UPDATE places.items SET name = '';
INSERT INTO places.items VALUES (1);
SELECT * FROM places.items TABLESAMPLE SYSTEM (10);

DROP OWNED BY places_reader;
DROP ROLE places_reader;
DROP SCHEMA places_src CASCADE;
SELECT vibepiper.drop_pipeline('places', cascade => true);
DROP SCHEMA places;
