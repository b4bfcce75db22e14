-- What differs from a table: the section of that name in doc/reference.md, line by line.
-- Codes are enough; messages differ between versions of the server.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE SCHEMA differs_src;
CREATE TABLE differs_src.t (id int PRIMARY KEY, amount int);
INSERT INTO differs_src.t SELECT i, i % 7 FROM generate_series(1, 1000) i;
SELECT vibepiper.define_pipeline('differs');
SELECT vibepiper.define_asset('differs.a', 'SELECT id, amount FROM differs_src.t', indexes => '{UNIQUE (id)}', description => 'An asset');
SELECT vibepiper.define_asset('differs.logged', 'SELECT id FROM differs_src.t', storage => 'logged');
SELECT asset, status FROM vibepiper.run('differs', parallel => false);
\set VERBOSITY sqlstate

-- Writing
INSERT INTO differs.a VALUES (1);
UPDATE differs.a SET amount = 1;
DELETE FROM differs.a;
TRUNCATE differs.a;
COPY differs.a FROM STDIN;
\.
DO $$
BEGIN
    MERGE INTO differs.a USING differs_src.t ON a.id = t.id WHEN MATCHED THEN DELETE;
EXCEPTION WHEN feature_not_supported OR object_not_in_prerequisite_state THEN
    RAISE WARNING 'refused';
END $$;
-- a trigger can do what a write should do
CREATE FUNCTION differs_src.write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO differs_src.t VALUES (NEW.*);
    RETURN NEW;
END $$;
CREATE TRIGGER write INSTEAD OF INSERT ON differs.a FOR EACH ROW EXECUTE FUNCTION differs_src.write();
INSERT INTO differs.a VALUES (1001, 1) RETURNING id;
SELECT count(*) FROM differs.a;
SELECT count(*) FROM differs_src.t;
DROP TRIGGER write ON differs.a;

-- Row locks
SELECT id FROM differs.a WHERE id = 1 FOR UPDATE;
SELECT id FROM differs.a WHERE id = 1 FOR KEY SHARE;
SELECT a.id FROM differs.a JOIN differs_src.t USING (id) WHERE id = 1 FOR UPDATE;
SELECT a.id FROM differs.a JOIN differs_src.t USING (id) WHERE id = 1 FOR UPDATE OF t;

-- System columns, samples
SELECT ctid FROM differs.a;
SELECT xmin FROM differs.a;
SELECT tableoid FROM differs.a;
SELECT id FROM differs.a TABLESAMPLE system (10);

-- COPY: a query, not the name
COPY differs.a TO STDOUT;
COPY (SELECT id, amount FROM differs.a ORDER BY id LIMIT 2) TO STDOUT;

-- Indexes, keys, constraints, statistics, triggers on rows, row security
CREATE INDEX ON differs.a (amount);
ALTER TABLE differs.a ADD PRIMARY KEY (id);
CREATE TABLE differs_src.refers (id int REFERENCES differs.a (id));
CREATE STATISTICS differs_src.s ON id, amount FROM differs.a;
CREATE TRIGGER after AFTER INSERT ON differs.a FOR EACH ROW EXECUTE FUNCTION differs_src.write();
CREATE POLICY p ON differs.a USING (true);
CREATE TABLE differs_src.child () INHERITS (differs.a);
-- a unique index is not a key of the view: other columns are not implied by GROUP BY
SELECT id, amount FROM differs.a GROUP BY id;
SELECT id FROM differs.a GROUP BY id HAVING id < 3 ORDER BY id;

-- Maintenance
VACUUM differs.a;
ANALYZE differs.a;
CLUSTER differs.a;
REINDEX TABLE differs.a;
REFRESH MATERIALIZED VIEW differs.a;

-- A lock on the view is only that: it holds up who drops or changes the asset
BEGIN;
LOCK TABLE differs.a IN ACCESS SHARE MODE;
SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND n.nspname IN ('differs', 'differs_src', 'vibepiper_def', 'vibepiper_store');
COMMIT;

-- Catalogs: a view without size, keys and statistics; what is stored has them
SELECT relkind, relhasindex, reltuples, relpages, relpersistence, pg_total_relation_size(oid) FROM pg_class WHERE oid = 'differs.a'::regclass;
SELECT table_type, is_insertable_into FROM information_schema.tables WHERE table_schema = 'differs' AND table_name = 'a';
SELECT count(*) FROM pg_stats WHERE schemaname = 'differs';
SELECT count(*) FROM pg_stat_user_tables WHERE schemaname = 'differs';
SELECT count(*) FROM pg_stats s JOIN vibepiper.versions v ON v.slot = format('%I.%I', s.schemaname, s.tablename) WHERE v.asset = 'differs.a';
SELECT count(*) FROM pg_stat_user_tables s JOIN vibepiper.versions v ON v.slot = format('%I.%I', s.schemaname, s.relname) WHERE v.asset = 'differs.a';

-- Logical replication: neither asset nor schema; FOR ALL TABLES takes in what the extension stores
-- (a warning about wal_level is of no interest here)
SET client_min_messages = error;
CREATE PUBLICATION differs_p FOR TABLE differs.a;
CREATE PUBLICATION differs_p FOR TABLES IN SCHEMA differs;
SELECT count(*) FROM pg_publication_tables WHERE pubname = 'differs_p';
DROP PUBLICATION differs_p;
CREATE PUBLICATION differs_p FOR ALL TABLES;
SELECT count(DISTINCT schemaname) FROM pg_publication_tables WHERE pubname = 'differs_p' AND schemaname IN ('vibepiper', 'vibepiper_store');
SELECT asset, status FROM vibepiper.run('differs', force => true, parallel => false);
DROP PUBLICATION differs_p;
RESET client_min_messages;

-- The same as with a table
SELECT a FROM differs.a WHERE id = 3;
SELECT count(*) FROM ONLY differs.a WHERE a IS NOT NULL;
SELECT (a).amount FROM differs.a WHERE id = 3;
CREATE FUNCTION differs_src.of_row(differs.a) RETURNS int LANGUAGE sql AS 'SELECT $1.amount';
SELECT differs_src.of_row(a), a.of_row FROM differs.a WHERE id = 3;
SET search_path = differs_src, public;
SELECT of_row(a), a.of_row FROM differs.a WHERE id = 3;
RESET search_path;
CREATE TABLE differs_src.alike (LIKE differs.a);
CREATE TABLE differs_src.copy AS TABLE differs.a;
CREATE VIEW differs_src.over AS SELECT id FROM differs.a;
CREATE MATERIALIZED VIEW differs_src.stored AS SELECT count(*) FROM differs_src.over;
SELECT count FROM differs_src.stored;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM differs.a ORDER BY id;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
COMMIT;

\set VERBOSITY terse
DROP FUNCTION differs_src.of_row(differs.a);
DROP SCHEMA differs_src CASCADE;
SELECT vibepiper.drop_pipeline('differs', cascade => true);
DROP SCHEMA differs;
