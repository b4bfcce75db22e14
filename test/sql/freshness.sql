-- Which changes of sources make an asset stale, and which don't
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
CREATE SCHEMA fr_src;
CREATE TABLE fr_src.t (id int PRIMARY KEY, v text);
INSERT INTO fr_src.t SELECT i, 'v' || i FROM generate_series(1, 10) i;
CREATE TABLE fr_src.child (id int REFERENCES fr_src.t ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE fr_src.hidden (n int);
INSERT INTO fr_src.hidden VALUES (1);
CREATE TABLE fr_src.other (n int);
CREATE FUNCTION fr_src.hidden_rows() RETURNS bigint LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN (SELECT count(*) FROM fr_src.hidden); END $$;
SELECT vibepiper.define_pipeline('fr');
SELECT vibepiper.define_asset('fr.a', 'SELECT id, v FROM fr_src.t');
SELECT vibepiper.define_asset('fr.b', 'SELECT count(*) AS n FROM fr_src.child');
SELECT vibepiper.define_asset('fr.c', 'SELECT fr_src.hidden_rows() AS n');
SELECT vibepiper.define_asset('fr.d', 'SELECT count(*) AS n FROM fr.a, fr.c');
SELECT asset, status, reason FROM vibepiper.run('fr');
SELECT asset, status, reason FROM vibepiper.run('fr');

-- what is stale, and after a run nothing is
CREATE FUNCTION fr_src.stale() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ': ' || CASE action WHEN 'build' THEN '' ELSE action || ', ' END || reason, ', ' ORDER BY asset), 'nothing')
		FROM vibepiper.plan('fr') WHERE action NOT IN ('cached', 'deferred', 'maybe') $$;
-- which assets haven't the rows of their definitions
CREATE FUNCTION fr_src.wrong() RETURNS text LANGUAGE plpgsql SET search_path = fr_src, pg_temp AS $$
DECLARE asset text; same bool; wrong text := '';
BEGIN
	FOR asset IN SELECT a.asset FROM vibepiper.assets a WHERE a.asset LIKE 'fr.%' ORDER BY 1 LOOP
		EXECUTE format('SELECT NOT EXISTS ((TABLE %1$s EXCEPT ALL TABLE vibepiper_def.%2$I) UNION ALL (TABLE vibepiper_def.%2$I EXCEPT ALL TABLE %1$s))',
			asset, asset) INTO same;
		IF NOT same THEN wrong := wrong || '; wrong: ' || asset; END IF;
	END LOOP;
	RETURN wrong;
END $$;
CREATE FUNCTION fr_src.refresh() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ' ' || status || CASE status WHEN 'cached' THEN ' (' || reason || ')' ELSE '' END, ', ' ORDER BY asset), 'nothing')
			|| '; then stale: ' || fr_src.stale() || fr_src.wrong()
		FROM vibepiper.run('fr') WHERE status <> 'cached' OR reason <> 'fresh' $$;

-- Rows
INSERT INTO fr_src.t VALUES (11, 'v11');
SELECT fr_src.stale(), fr_src.refresh();
UPDATE fr_src.t SET v = 'w' WHERE id = 11;
SELECT fr_src.stale(), fr_src.refresh();
DELETE FROM fr_src.t WHERE id = 11;
SELECT fr_src.stale(), fr_src.refresh();
MERGE INTO fr_src.t USING (VALUES (12, 'v12')) AS n (id, v) ON t.id = n.id WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.v);
SELECT fr_src.stale(), fr_src.refresh();
COPY fr_src.child FROM stdin;
12
\.
SELECT fr_src.stale(), fr_src.refresh();
-- a cascade
DELETE FROM fr_src.t WHERE id = 12;
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.child VALUES (1);
SELECT fr_src.stale(), fr_src.refresh();
TRUNCATE fr_src.child;
SELECT fr_src.stale(), fr_src.refresh();
MERGE INTO fr_src.t USING (VALUES (10, 'w')) AS n (id, v) ON t.id = n.id WHEN MATCHED THEN UPDATE SET v = n.v;
SELECT fr_src.stale(), fr_src.refresh();
MERGE INTO fr_src.t USING (VALUES (10)) AS n (id) ON t.id = n.id WHEN MATCHED THEN DELETE;
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.t VALUES (10, 'v10');
SELECT fr_src.refresh();
-- cascades, seen from who names only the other end
CREATE TABLE fr_src.k (id int PRIMARY KEY);
CREATE TABLE fr_src.k_child (id int REFERENCES fr_src.k ON UPDATE CASCADE);
INSERT INTO fr_src.k VALUES (1), (2);
INSERT INTO fr_src.k_child VALUES (1);
SELECT vibepiper.define_asset('fr.k', 'SELECT id FROM fr_src.k_child');
SELECT fr_src.refresh();
UPDATE fr_src.k SET id = 3 WHERE id = 2;
SELECT fr_src.stale();
UPDATE fr_src.k SET id = 4 WHERE id = 1;
SELECT fr_src.stale(), fr_src.refresh();
SELECT id FROM fr.k;
TRUNCATE fr_src.k CASCADE;
SELECT fr_src.stale(), fr_src.refresh();
SELECT vibepiper.drop_asset('fr.k');
-- with a CTE, in a function, in a DO block, by a trigger
WITH w AS (INSERT INTO fr_src.hidden VALUES (2) RETURNING n) SELECT n FROM w;
SELECT fr_src.stale(), fr_src.refresh();
CREATE FUNCTION fr_src.write_hidden() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fr_src.hidden VALUES (3); RETURN NULL; END $$;
CREATE TRIGGER write_hidden AFTER INSERT ON fr_src.other EXECUTE FUNCTION fr_src.write_hidden();
INSERT INTO fr_src.other VALUES (1);
SELECT fr_src.stale(), fr_src.refresh();
DO $$ BEGIN UPDATE fr_src.hidden SET n = 4 WHERE n = 3; END $$;
SELECT fr_src.stale(), fr_src.refresh();
-- replication of rows fires no triggers
SET session_replication_role = replica;
INSERT INTO fr_src.child VALUES (100);
RESET session_replication_role;
SELECT fr_src.stale(), fr_src.refresh();

-- No change
UPDATE fr_src.t SET v = 'none' WHERE false;
UPDATE fr_src.t SET v = 'none' WHERE id < 0;
DELETE FROM fr_src.t WHERE id < 0;
SELECT count(*) FROM (SELECT FROM fr_src.t FOR UPDATE) l;
EXPLAIN (COSTS OFF) INSERT INTO fr_src.t VALUES (20, 'v');
BEGIN; INSERT INTO fr_src.t VALUES (20, 'v'); ROLLBACK;
INSERT INTO fr_src.t VALUES (1, 'again') ON CONFLICT DO NOTHING;
-- ... by who wrote another table
BEGIN;
UPDATE fr_src.child SET id = 1;
UPDATE fr_src.t SET v = 'none' WHERE id < 0;
DELETE FROM fr_src.t WHERE id < 0;
INSERT INTO fr_src.t SELECT 20, 'v' WHERE false;
INSERT INTO fr_src.t VALUES (1, 'again') ON CONFLICT DO NOTHING;
MERGE INTO fr_src.t USING (VALUES (1)) AS n (id) ON t.id = n.id WHEN MATCHED THEN DO NOTHING;
COPY fr_src.t FROM stdin;
\.
SELECT count(*) FROM (SELECT FROM fr_src.t FOR UPDATE) l;
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
VACUUM fr_src.t;
VACUUM FULL fr_src.t;
CLUSTER fr_src.t USING t_pkey;
REINDEX TABLE fr_src.t;
ANALYZE fr_src.t;
CREATE INDEX ON fr_src.t (v);
COMMENT ON TABLE fr_src.t IS 'some text';
ALTER TABLE fr_src.t RENAME COLUMN v TO w;
ALTER TABLE fr_src.t RENAME TO renamed;
SELECT fr_src.stale();
-- A temporary table doesn't come before the one that a function names
SET search_path = fr_src;
CREATE FUNCTION unqualified() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT count(*) FROM hidden); END $$;
SELECT vibepiper.define_asset('fr.unqualified', 'SELECT unqualified() AS n');
RESET search_path;
SELECT fr_src.refresh();
CREATE TEMP TABLE hidden (n int);
SELECT fr_src.stale();
SELECT status FROM vibepiper.run('fr', 'unqualified', parallel => false, force => true);
SELECT fr_src.stale();
INSERT INTO pg_temp.hidden VALUES (1);
SELECT fr_src.stale();
SELECT vibepiper.drop_asset('fr.unqualified');
ALTER TABLE fr_src.renamed RENAME TO t;
ALTER TABLE fr_src.t RENAME COLUMN w TO v;
SELECT fr_src.stale(), fr_src.refresh();

-- Subtransactions
BEGIN;
SAVEPOINT s;
INSERT INTO fr_src.t VALUES (21, 'v');
ROLLBACK TO s;
COMMIT;
SELECT fr_src.stale();
BEGIN;
SAVEPOINT s;
INSERT INTO fr_src.t VALUES (21, 'v');
SAVEPOINT s2;
RELEASE s;
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
BEGIN;
SAVEPOINT s;
TRUNCATE fr_src.child;
ROLLBACK TO s;
COMMIT;
SELECT fr_src.stale();

-- Own changes, before they are committed
BEGIN;
INSERT INTO fr_src.t VALUES (22, 'v');
SELECT fr_src.stale();
SAVEPOINT s;
INSERT INTO fr_src.hidden VALUES (5);
SELECT fr_src.stale();
ROLLBACK TO s;
SELECT fr_src.stale();
-- a serial run sees them, and knows that it did
SELECT asset, status, reason FROM vibepiper.run('fr', parallel => false);
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale();
-- a parallel run can't see them, not even what only a function reads
BEGIN;
INSERT INTO fr_src.hidden VALUES (6);
SELECT vibepiper.run('fr');
ROLLBACK;
-- written, computed, written again
BEGIN;
INSERT INTO fr_src.t VALUES (23, 'v');
SELECT count(*) FROM vibepiper.run('fr', parallel => false) WHERE status = 'built';
INSERT INTO fr_src.t VALUES (24, 'v');
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
-- what was computed between is what the second one of two runs sees
BEGIN;
DELETE FROM fr_src.t WHERE id = 23;
SELECT count(*) FROM vibepiper.run('fr', parallel => false) WHERE status = 'built';
SAVEPOINT s;
DELETE FROM fr_src.t WHERE id = 24;
SELECT count(*) FROM vibepiper.run('fr', parallel => false) WHERE status = 'built';
ROLLBACK TO s;
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale();
-- TRUNCATE and reload
BEGIN;
TRUNCATE fr_src.child;
INSERT INTO fr_src.child VALUES (2), (3);
SELECT count(*) FROM vibepiper.run('fr', parallel => false) WHERE status = 'built';
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale();
BEGIN;
TRUNCATE fr_src.child;
INSERT INTO fr_src.child VALUES (2), (3);
SELECT count(*) FROM vibepiper.run('fr', parallel => false) WHERE status = 'unchanged';
TRUNCATE fr_src.child;
INSERT INTO fr_src.child VALUES (4), (5);
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();

-- An old snapshot sees what was fresh then, and what is newer isn't right for it
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM fr_src.t;
SELECT fr_src.stale();
COMMIT;

-- While nothing is counted, locks tell
BEGIN;
SET LOCAL track_counts = off;
INSERT INTO fr_src.t VALUES (30, 'v');
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
SET track_counts = off;
COPY fr_src.child FROM stdin;
6
\.
RESET track_counts;
SELECT fr_src.stale(), fr_src.refresh();
BEGIN;
SET LOCAL track_counts = off;
TRUNCATE fr_src.child;
RESET track_counts;
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
-- ... written while it was off, counted again before the end
BEGIN;
SET LOCAL track_counts = off;
INSERT INTO fr_src.child VALUES (1);
SET LOCAL track_counts = on;
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
BEGIN;
SET LOCAL track_counts = off;
MERGE INTO fr_src.child USING (VALUES (1), (2)) AS n (id) ON child.id = n.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (n.id);
SET LOCAL track_counts = on;
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
BEGIN;
SET LOCAL track_counts = off;
WITH w AS (INSERT INTO fr_src.child VALUES (3) RETURNING id) SELECT id FROM w;
SET LOCAL track_counts = on;
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
BEGIN;
SET LOCAL track_counts = off;
UPDATE fr_src.t SET v = 'uncounted' WHERE id = 2;
SET LOCAL track_counts = on;
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
BEGIN;
SET LOCAL track_counts = off;
COPY fr_src.child FROM stdin;
4
\.
SET LOCAL track_counts = on;
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
TRUNCATE fr_src.child;
SELECT fr_src.stale(), fr_src.refresh();
-- still, who did nothing at all changed nothing
SET track_counts = off;
UPDATE fr_src.t SET v = 'none' WHERE false;
RESET track_counts;
SELECT fr_src.stale(), fr_src.refresh();

-- Partitions and children
CREATE TABLE fr_src.p (k int, v int) PARTITION BY RANGE (k);
CREATE TABLE fr_src.p1 PARTITION OF fr_src.p FOR VALUES FROM (0) TO (10);
CREATE TABLE fr_src.p2 PARTITION OF fr_src.p FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (k);
CREATE TABLE fr_src.p2a PARTITION OF fr_src.p2 FOR VALUES FROM (10) TO (15);
CREATE TABLE fr_src.i (k int);
CREATE TABLE fr_src.i1 (extra int) INHERITS (fr_src.i);
SELECT vibepiper.define_asset('fr.p', 'SELECT k, v FROM fr_src.p');
SELECT vibepiper.define_asset('fr.i', 'SELECT k FROM fr_src.i');
SELECT vibepiper.define_asset('fr.o', 'SELECT k FROM ONLY fr_src.i');
SELECT fr_src.refresh();
INSERT INTO fr_src.p VALUES (1, 1);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.p1 VALUES (2, 2);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.p2a VALUES (11, 2);
SELECT fr_src.stale(), fr_src.refresh();
UPDATE fr_src.p SET k = 12 WHERE k = 1;
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.i1 VALUES (1, 1);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.i VALUES (1);
SELECT fr_src.stale(), fr_src.refresh();
-- an empty one more is no change; its first row is
CREATE TABLE fr_src.p3 PARTITION OF fr_src.p FOR VALUES FROM (20) TO (30);
SELECT fr_src.stale();
INSERT INTO fr_src.p VALUES (20, 1);
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.p DETACH PARTITION fr_src.p3;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.p ATTACH PARTITION fr_src.p3 FOR VALUES FROM (20) TO (30);
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.i1 NO INHERIT fr_src.i;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.i1 INHERIT fr_src.i;
SELECT fr_src.stale(), fr_src.refresh();
DROP TABLE fr_src.p3;
SELECT fr_src.stale(), fr_src.refresh();

-- Altering what only a function knows
ALTER TABLE fr_src.hidden ALTER n TYPE bigint;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.hidden ALTER n TYPE bigint USING n * 2;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.hidden RENAME COLUMN n TO m;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.hidden RENAME TO renamed;
CREATE TABLE fr_src.hidden AS SELECT 1 AS m;
SELECT fr_src.stale(), fr_src.refresh();
DROP TABLE fr_src.hidden;
CREATE TABLE fr_src.hidden AS SELECT 1 AS m;
SELECT fr_src.stale(), fr_src.refresh();
-- ... and the function
CREATE OR REPLACE FUNCTION fr_src.hidden_rows() RETURNS bigint LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN (SELECT count(*) FROM fr_src.hidden) + 1; END $$;
SELECT fr_src.stale(), fr_src.refresh();
BEGIN;
CREATE OR REPLACE FUNCTION fr_src.hidden_rows() RETURNS bigint LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN 0; END $$;
SELECT fr_src.stale();
ROLLBACK;
SELECT fr_src.stale();
ALTER FUNCTION fr_src.hidden_rows() COST 10;
CREATE FUNCTION fr_src.unrelated() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT fr_src.stale();
-- A view between, and a function that is inlined
CREATE VIEW fr_src.v AS SELECT id FROM fr_src.t;
CREATE FUNCTION fr_src.tax(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
SELECT vibepiper.define_asset('fr.v', 'SELECT id, fr_src.tax(id) AS tax FROM fr_src.v');
SELECT fr_src.refresh();
CREATE OR REPLACE VIEW fr_src.v AS SELECT id FROM fr_src.t WHERE id > 5;
SELECT fr_src.stale(), fr_src.refresh();
ALTER VIEW fr_src.v RENAME TO v2;
SELECT fr_src.stale();
CREATE OR REPLACE FUNCTION fr_src.tax(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3';
SELECT fr_src.stale(), fr_src.refresh();
SELECT sum(tax) = sum(id) * 3 AS right FROM fr.v;

-- A function known to a function only, by its name
CREATE FUNCTION fr_src.inner1() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION fr_src.inner2() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2; END';
CREATE FUNCTION fr_src.outer1() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fr_src.inner1(); END';
SELECT vibepiper.define_asset('fr.f', 'SELECT fr_src.outer1() AS n');
SELECT fr_src.refresh();
BEGIN;
ALTER FUNCTION fr_src.inner1() RENAME TO inner0;
ALTER FUNCTION fr_src.inner2() RENAME TO inner1;
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();
ALTER FUNCTION fr_src.outer1() RENAME TO outer2;
SELECT fr_src.stale();
-- Whole rows have the names of columns in them
SELECT vibepiper.define_asset('fr.whole', 'SELECT to_jsonb(t) AS row FROM fr_src.t');
SELECT fr_src.refresh();
ALTER TABLE fr_src.t RENAME COLUMN v TO w;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.t RENAME COLUMN w TO v;
SELECT fr_src.stale(), fr_src.refresh();
-- An aggregate whose transition function reads a table, in a query for parallel workers
CREATE FUNCTION fr_src.transition(bigint, int) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE
	AS 'BEGIN RETURN $1 + $2 + (SELECT count(*) FROM fr_src.other WHERE n = -1); END';
CREATE AGGREGATE fr_src.total(int) (SFUNC = fr_src.transition, STYPE = bigint, INITCOND = 0, COMBINEFUNC = int8pl, PARALLEL = SAFE);
SELECT vibepiper.define_asset('fr.agg', 'SELECT fr_src.total(id) AS n FROM fr_src.t',
	settings => '{parallel_setup_cost=0,parallel_tuple_cost=0,min_parallel_table_scan_size=0,parallel_leader_participation=off}');
SELECT fr_src.refresh();
INSERT INTO fr_src.other VALUES (-1);
SELECT fr_src.stale(), fr_src.refresh();
-- Parents that share a child, and a partition older than its parent
CREATE TABLE fr_src.leaf (k int);
INSERT INTO fr_src.leaf VALUES (1);
CREATE TABLE fr_src.mid (k int) PARTITION BY LIST (k);
ALTER TABLE fr_src.mid ATTACH PARTITION fr_src.leaf DEFAULT;
CREATE TABLE fr_src.pa (k int);
CREATE TABLE fr_src.pb (k int);
CREATE TABLE fr_src.pc () INHERITS (fr_src.pa, fr_src.pb);
INSERT INTO fr_src.pc VALUES (1);
SELECT vibepiper.define_asset('fr.mid', 'SELECT k FROM fr_src.mid');
SELECT vibepiper.define_asset('fr.parents', 'SELECT k FROM fr_src.pa UNION ALL SELECT k FROM fr_src.pb');
SELECT fr_src.refresh();
CREATE TABLE fr_src.unrelated (n int);
SELECT fr_src.stale();
INSERT INTO fr_src.pc VALUES (2);
INSERT INTO fr_src.leaf VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();
-- Columns that come and go are of no matter to who takes others, but to who takes whole rows
CREATE TABLE fr_src.wide (k int, v int);
INSERT INTO fr_src.wide VALUES (1, 1);
CREATE FUNCTION fr_src.all_of(t text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$ DECLARE j jsonb; BEGIN EXECUTE 'SELECT jsonb_agg(r) FROM fr_src.' || t || ' r' INTO j; RETURN j; END $$;
SELECT vibepiper.define_asset('fr.narrow', 'SELECT k FROM fr_src.wide');
SELECT vibepiper.define_asset('fr.joined', 'SELECT k FROM fr_src.wide a JOIN fr_src.wide b USING (k)');
SELECT vibepiper.define_asset('fr.rows', 'SELECT to_jsonb(w) AS j FROM fr_src.wide w');
SELECT vibepiper.define_asset('fr.by_function', 'SELECT k, fr_src.all_of(''wide'') AS j FROM fr_src.wide');
SELECT fr_src.refresh();
ALTER TABLE fr_src.wide ADD COLUMN z int;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.wide DROP COLUMN v;
SELECT fr_src.stale(), fr_src.refresh();
ALTER TABLE fr_src.wide RENAME k TO key;
SELECT fr_src.stale(), fr_src.refresh();
SELECT (SELECT k FROM fr.narrow), (SELECT k FROM fr.joined), (SELECT j FROM fr.rows), (SELECT j FROM fr.by_function) AS by_function;
-- the same of who has children
CREATE TABLE fr_src.ranged (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE fr_src.ranged1 PARTITION OF fr_src.ranged FOR VALUES FROM (1) TO (10);
INSERT INTO fr_src.ranged VALUES (1, 1);
SELECT vibepiper.define_asset('fr.ranged', 'SELECT id FROM fr_src.ranged');
SELECT fr_src.refresh();
ALTER TABLE fr_src.ranged ADD COLUMN z int;
ALTER TABLE fr_src.ranged RENAME v TO w;
SELECT fr_src.stale(), fr_src.refresh();
-- A policy for other roles
CREATE ROLE fr_role;
CREATE TABLE fr_src.secured (n int);
ALTER TABLE fr_src.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON fr_src.secured USING (n = 1);
SELECT vibepiper.define_asset('fr.secured', 'SELECT n FROM fr_src.secured');
SELECT fr_src.refresh();
ALTER POLICY few ON fr_src.secured TO fr_role;
SELECT fr_src.stale(), fr_src.refresh();

-- A TRUNCATE in a subtransaction, a run in it, and as many rows as before
BEGIN;
INSERT INTO fr_src.child VALUES (1), (2), (3);
SAVEPOINT s;
TRUNCATE fr_src.child;
SELECT count(*) FROM vibepiper.run('fr', 'b', parallel => false) WHERE status = 'built';
RELEASE s;
SELECT fr_src.stale();
INSERT INTO fr_src.child VALUES (1), (2), (3);
SELECT fr_src.stale();
COMMIT;
SELECT fr_src.stale(), fr_src.refresh();

-- A materialized view as source
CREATE MATERIALIZED VIEW fr_src.m AS SELECT count(*) AS n FROM fr_src.t;
CREATE UNIQUE INDEX ON fr_src.m (n);
SELECT vibepiper.define_asset('fr.m', 'SELECT n FROM fr_src.m');
SELECT fr_src.refresh();
REFRESH MATERIALIZED VIEW CONCURRENTLY fr_src.m;
SELECT fr_src.stale();
REFRESH MATERIALIZED VIEW fr_src.m;
SELECT fr_src.stale(), fr_src.refresh();

-- Another table access method
CREATE ACCESS METHOD fr_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE fr_src.am (n int) USING fr_heap;
SELECT vibepiper.define_asset('fr.am', 'SELECT n FROM fr_src.am');
SELECT fr_src.refresh();
SELECT fr_src.refresh();
INSERT INTO fr_src.am VALUES (1);
SELECT fr_src.stale(), fr_src.refresh();
SELECT count(*) FROM (SELECT FROM fr_src.am FOR UPDATE) l;
SELECT fr_src.stale();

-- Tables that only functions in SQL, dynamic statements or functions of the server read
CREATE TABLE fr_src.l1 AS SELECT 1 AS n;
CREATE TABLE fr_src.l2 AS SELECT 1 AS n;
CREATE TABLE fr_src.l3 AS SELECT 1 AS n;
CREATE TABLE fr_src.l4 AS SELECT 1 AS n;
CREATE TABLE fr_src.l5 AS SELECT 1 AS n;
CREATE TABLE fr_src.l6 AS SELECT 1 AS n;
CREATE TABLE fr_src.l7 AS SELECT to_tsvector('simple', 'one') AS v;
CREATE TABLE fr_src.l8 AS SELECT 1 AS n;
CREATE FUNCTION fr_src.inlined() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT n FROM fr_src.l1';
CREATE FUNCTION fr_src.with_setting() RETURNS SETOF int LANGUAGE sql STABLE SET work_mem = '1MB' AS 'SELECT n FROM fr_src.l2';
CREATE FUNCTION fr_src.definer() RETURNS SETOF int LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT n FROM fr_src.l3';
CREATE FUNCTION fr_src.body() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM fr_src.l4; END;
CREATE FUNCTION fr_src.text_body() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM fr_src.l5';
CREATE FUNCTION fr_src.put_together(which int) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE n bigint;
BEGIN
	EXECUTE 'SELECT count(*) FROM fr_src.l' || which INTO n;
	RETURN n;
END $$;
CREATE FUNCTION fr_src.folded() RETURNS bigint LANGUAGE sql IMMUTABLE SET work_mem = '1MB' AS 'SELECT count(*) FROM fr_src.l8';
SELECT vibepiper.define_asset('fr.l1', 'SELECT n FROM fr_src.inlined() AS n');
SELECT vibepiper.define_asset('fr.l2', 'SELECT n FROM fr_src.with_setting() AS n');
SELECT vibepiper.define_asset('fr.l3', 'SELECT n FROM fr_src.definer() AS n');
SELECT vibepiper.define_asset('fr.l4', 'SELECT fr_src.body() AS n');
SELECT vibepiper.define_asset('fr.l5', 'SELECT fr_src.text_body() AS n');
SELECT vibepiper.define_asset('fr.l6', 'SELECT fr_src.put_together(6) AS n');
SELECT vibepiper.define_asset('fr.l7', $$SELECT word, ndoc FROM ts_stat('SELECT v FROM fr_src.' || 'l7')$$, cache_ttl => '1 day');
SELECT vibepiper.define_asset('fr.l8', 'SELECT fr_src.folded() AS n');
SELECT fr_src.refresh();
INSERT INTO fr_src.l1 VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.l2 VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.l3 VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.l4 VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.l5 VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.l6 VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.l7 VALUES (to_tsvector('simple', 'two'));
SELECT fr_src.stale(), fr_src.refresh();
INSERT INTO fr_src.l8 VALUES (2);
SELECT fr_src.stale(), fr_src.refresh();

-- More changes than the ring of a source holds
DO $$ BEGIN FOR i IN 1 .. 70 LOOP INSERT INTO fr_src.other VALUES (i); COMMIT; END LOOP; END $$;
SELECT fr_src.stale(), fr_src.refresh();

RESET vibepiper.progress;
DROP TABLE pg_temp.hidden;
SELECT vibepiper.drop_pipeline('fr', cascade => true);
DROP SCHEMA fr, fr_src CASCADE;
DROP ACCESS METHOD fr_heap;
DROP ROLE fr_role;
