-- Attacks: code of others with my rights.  A role that may define assets tries
-- to make superusers, readers and other owners run its functions as themselves.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE ROLE regress_at_mallory;
CREATE ROLE regress_at_victim;
CREATE ROLE regress_at_reader;
CREATE ROLE regress_at_boss SUPERUSER;
SELECT current_database() AS db \gset
GRANT CREATE ON DATABASE :"db" TO regress_at_mallory, regress_at_victim;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_at_mallory, regress_at_victim;

-- Who ran the spy?  A sequence for each role: they outlive errors and rollbacks.
CREATE SCHEMA at_log;
GRANT USAGE ON SCHEMA at_log TO PUBLIC;
CREATE SEQUENCE at_log.regress_at_mallory;
CREATE SEQUENCE at_log.regress_at_victim;
CREATE SEQUENCE at_log.regress_at_reader;
CREATE SEQUENCE at_log.others;
GRANT ALL ON ALL SEQUENCES IN SCHEMA at_log TO PUBLIC;
CREATE FUNCTION at_log.ran_as() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text;
	ran bool;
	list text := '';
BEGIN
	FOREACH name IN ARRAY ARRAY['regress_at_mallory', 'regress_at_victim', 'regress_at_reader', 'others'] LOOP
		EXECUTE format('SELECT is_called FROM at_log.%I', name) INTO ran;
		list := list || CASE WHEN ran THEN name || ' ' ELSE '' END;
		PERFORM setval(format('at_log.%I', name), 1, false);
	END LOOP;
	RETURN CASE list WHEN '' THEN 'nobody' ELSE trim(list) END;
END $$;

SET ROLE regress_at_victim;
CREATE SCHEMA at_vsrc;
GRANT USAGE ON SCHEMA at_vsrc TO PUBLIC;
CREATE TABLE at_vsrc.t AS SELECT i AS id, 'secret ' || i AS s FROM generate_series(1, 10) i;
SELECT vibepiper.define_pipeline('at_v');
GRANT USAGE ON SCHEMA at_v TO PUBLIC;
SET ROLE regress_at_mallory;
CREATE SCHEMA at_m_src;
GRANT USAGE ON SCHEMA at_m_src TO PUBLIC;
CREATE FUNCTION at_m_src.spy(x anyelement) RETURNS anyelement LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	PERFORM nextval(CASE WHEN current_user ~ '^regress_at_' THEN 'at_log.' || current_user ELSE 'at_log.others' END);
	RETURN x;
END $$;
CREATE TABLE at_m_src.t AS SELECT i AS id, i % 5 AS k FROM generate_series(1, 100) i;
GRANT SELECT ON at_m_src.t TO PUBLIC;
SELECT vibepiper.define_pipeline('at_m');
GRANT USAGE ON SCHEMA at_m TO PUBLIC;
RESET ROLE;
SELECT at_log.ran_as();

-- "An asset runs as its owner": in a superuser's run, at a superuser's and a reader's miss.
SET ROLE regress_at_mallory;
SELECT vibepiper.define_asset('at_m.plain', 'SELECT at_m_src.spy(id) AS id FROM at_m_src.t');
GRANT SELECT ON at_m.plain TO regress_at_reader;
SET ROLE regress_at_reader;
SELECT count(*) FROM at_m.plain;
RESET ROLE;
SELECT count(*) FROM at_m.plain;
SELECT asset, status FROM vibepiper.run('at_m', parallel => false);
SELECT at_log.ran_as();
SELECT count(*) FROM at_m.plain;
SELECT * FROM vibepiper.plan('at_m');
SELECT vibepiper.is_fresh('at_m.plain'), vibepiper.explain_asset('at_m.plain') <> '' AS explained;
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'at_m';
SELECT at_log.ran_as();

-- "Index expressions run as the table's owner": when they are tried, built,
-- analyzed, and when a query is planned that reads the asset.
SET ROLE regress_at_mallory;
CREATE FUNCTION at_m_src.f(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN x; END';
RESET ROLE;
SELECT vibepiper.define_asset('at_m.indexed', 'SELECT id, k FROM at_m_src.t', indexes => ARRAY['((id + at_m_src.spy(2)))', '(at_m_src.f(id))', '(at_m_src.spy(k))']);
SELECT asset, status FROM vibepiper.run('at_m', 'indexed', parallel => false);
SELECT at_log.ran_as();
-- a function that was harmless when the index was built
SET ROLE regress_at_mallory;
CREATE OR REPLACE FUNCTION at_m_src.f(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT at_m_src.spy(6)';
GRANT SELECT ON at_m.indexed TO regress_at_victim, regress_at_reader;
SET ROLE regress_at_victim;
SELECT vibepiper.define_asset('at_v.above', 'SELECT count(*) AS n FROM at_m.indexed WHERE id = 3');
-- each in a session that has not seen the index yet
\c -
SELECT count(*) FROM at_m.indexed WHERE id = 3;
\c -
PREPARE p AS SELECT count(*) FROM at_m.indexed WHERE id = $1;
EXECUTE p(1);
\c -
DO $$ BEGIN EXECUTE 'EXPLAIN SELECT 1 FROM at_m.indexed LIMIT 0'; END $$;
\c -
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM at_m.indexed ORDER BY id;
FETCH 1 FROM c;
COMMIT;
\c -
DO $$ BEGIN PERFORM 1 FROM at_m.indexed; END $$;
\c -
CREATE TEMP TABLE copied AS SELECT * FROM at_m.indexed;
\c -
UPDATE at_vsrc.t SET s = s FROM at_m.indexed i WHERE i.id = t.id;
\c -
SET client_min_messages = warning;
SELECT asset, status FROM vibepiper.run('at_v', parallel => false);
\c -
SET ROLE regress_at_reader;
SELECT count(*) FROM at_m.indexed WHERE id = 3;
RESET ROLE;
\c -
VACUUM ANALYZE;
SELECT at_log.ran_as();
SET client_min_messages = warning;

-- Predicates of indexes are estimated, too: they take no users' functions.
SET ROLE regress_at_mallory;
CREATE FUNCTION at_m_src.same(int, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN at_m_src.spy($1) = $2; END';
CREATE OPERATOR at_m_src.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = at_m_src.same, RESTRICT = eqsel, JOIN = eqjoinsel);
SELECT vibepiper.define_asset('at_m.p1', 'SELECT id FROM at_m_src.t', indexes => ARRAY['(id) WHERE at_m_src.spy(1) = 1']);
SELECT vibepiper.define_asset('at_m.p2', 'SELECT id FROM at_m_src.t', indexes => ARRAY['(id) WHERE id > 0 OR id OPERATOR(at_m_src.===) 3']);
SELECT vibepiper.define_asset('at_m.p3', 'SELECT id FROM at_m_src.t', indexes => ARRAY['(id) WHERE id > 0']);
RESET ROLE;
SELECT at_log.ran_as();

-- "Operators planted on a search path": after the definition, for the next slot.
CREATE SCHEMA at_shared;
GRANT USAGE, CREATE ON SCHEMA at_shared TO regress_at_victim, regress_at_mallory;
SET ROLE regress_at_victim;
SET search_path = at_v, at_shared;
CREATE TABLE at_vsrc.names AS SELECT 'a'::varchar AS n, 1 AS id;
SELECT vibepiper.define_asset('at_v.planted_query', $$SELECT upper(n) AS u, n = 'a' AS is_a FROM at_vsrc.names$$);
SELECT vibepiper.define_asset('at_v.planted_index', 'SELECT n, id FROM at_vsrc.names', indexes => ARRAY[$$(upper(n), (n = 'a'))$$]);
SELECT vibepiper.define_asset('at_v.qualified_index', 'SELECT n, id FROM at_vsrc.names', indexes => ARRAY[$$(pg_catalog.upper(n))$$]);
RESET search_path;
SET ROLE regress_at_mallory;
CREATE FUNCTION at_shared.upper(varchar) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN at_m_src.spy($1::text); END';
CREATE FUNCTION at_shared.eq(varchar, varchar) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN at_m_src.spy(true); END';
CREATE OPERATOR at_shared.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = at_shared.eq);
CREATE FUNCTION at_shared.eq(varchar, text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN at_m_src.spy(true); END';
CREATE OPERATOR at_shared.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = at_shared.eq);
RESET ROLE;
SET search_path = at_shared, public;
SELECT asset, status, rows FROM vibepiper.run('at_v', 'planted_query qualified_index', parallel => false);
SELECT asset, status, rows FROM vibepiper.run('at_v', 'planted_index', parallel => false);
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'at_v';
SELECT count(*) > 0 AS tasks FROM vibepiper.tasks;
SELECT vibepiper.explain_asset('at_v.planted_query') <> '' AS explained, vibepiper.invalidate('at_v.planted_query') AS invalidated;
RESET search_path;
SELECT at_log.ran_as();

-- What a source does is done as the asset's owner: views, policies, checks,
-- generated columns, indexes, statistics; stored and missing, inlined or not.
SET ROLE regress_at_mallory;
CREATE VIEW at_m_src.v AS SELECT at_m_src.spy(id) AS id FROM at_m_src.t WHERE id = 1;
CREATE TABLE at_m_src.policed AS SELECT 1 AS id;
ALTER TABLE at_m_src.policed ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON at_m_src.policed USING (at_m_src.spy(id) = id);
CREATE TABLE at_m_src.indexed AS SELECT 1 AS id;
CREATE INDEX ON at_m_src.indexed (id) WHERE at_m_src.spy(true);
CREATE INDEX ON at_m_src.indexed ((id + at_m_src.spy(1)));
CREATE TABLE at_m_src.counted AS SELECT i AS id FROM generate_series(1, 10) i;
CREATE STATISTICS at_m_src.st ON (id + at_m_src.spy(1)), id FROM at_m_src.counted;
ANALYZE at_m_src.counted;
CREATE TABLE at_m_src.parent (id int);
CREATE TABLE at_m_src.child (CHECK (id > 0 OR at_m_src.spy(9) = 9)) INHERITS (at_m_src.parent);
INSERT INTO at_m_src.child VALUES (1);
CREATE TABLE at_m_src.divided (id int) PARTITION BY RANGE ((id + at_m_src.spy(0)));
CREATE TABLE at_m_src.divided1 PARTITION OF at_m_src.divided FOR VALUES FROM (0) TO (10);
INSERT INTO at_m_src.divided VALUES (1);
CREATE TABLE at_m_src.generated (id int, g int GENERATED ALWAYS AS (at_m_src.spy(id)) STORED);
INSERT INTO at_m_src.generated VALUES (1);
GRANT SELECT ON ALL TABLES IN SCHEMA at_m_src TO regress_at_victim;
SET ROLE regress_at_victim;
SELECT source, vibepiper.define_asset('at_v.on_' || source, 'SELECT id FROM at_m_src.' || source)
FROM unnest('{v,policed,indexed,counted,parent,divided,generated}'::text[]) source;
RESET ROLE;
CREATE FUNCTION at_log.read_all() RETURNS TABLE (asset text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR asset IN SELECT a.asset FROM vibepiper.assets a WHERE a.asset LIKE 'at_v.on%' ORDER BY 1 LOOP
		EXECUTE format('SELECT count(*) FROM %s WHERE id > 0', asset) INTO n;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT at_log.ran_as() <> '' AS reset;
\c -
SELECT * FROM at_log.read_all();
SELECT at_log.ran_as();
\c -
SELECT asset, status FROM vibepiper.run('at_v', 'on_*', parallel => false);
SELECT at_log.ran_as();
\c -
SELECT * FROM at_log.read_all();
SELECT at_log.ran_as();

-- "With SECURITY_RESTRICTED_OPERATION": what an asset's code tries in the
-- session of a superuser, in a run and at a miss.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE at_log.attempt (n int GENERATED ALWAYS AS IDENTITY, statement text);
GRANT SELECT ON at_log.attempt TO PUBLIC;
INSERT INTO at_log.attempt (statement) VALUES
	('SET ROLE regress_at_boss'), ('RESET ROLE'), ('SET SESSION AUTHORIZATION regress_at_boss'), ('RESET SESSION AUTHORIZATION'),
	('SELECT set_config(''role'', ''none'', false)'), ('SELECT set_config(''session_authorization'', ''default'', false)'),
	('CREATE TEMP TABLE x (a int)'), ('CREATE TEMP VIEW x AS SELECT 1'), ('CREATE TEMP SEQUENCE x'),
	('CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (at_m_src.spy(value) <> '''')'), ('CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS ''SELECT 1'''),
	('CREATE TYPE pg_temp.mood AS ENUM (''a'')'), ('CREATE TYPE pg_temp.pair AS (a int)'),
	('CREATE TABLE at_m_src.made (a int)'), ('ALTER TABLE at_m_src.t ADD z int'), ('DROP TABLE at_m_src.counted'), ('GRANT ALL ON SCHEMA at_m_src TO PUBLIC'),
	('CREATE OR REPLACE VIEW at_m.plain AS SELECT 1 AS id'), ('DROP VIEW at_m.plain'), ('DROP OWNED BY regress_at_mallory CASCADE'), ('REASSIGN OWNED BY regress_at_mallory TO regress_at_victim'),
	('ALTER ROLE regress_at_mallory SUPERUSER'), ('LISTEN x'), ('PREPARE x AS SELECT 1'), ('DEALLOCATE ALL'), ('DISCARD PLANS'),
	('DECLARE x CURSOR WITH HOLD FOR SELECT at_m_src.spy(1)'), ('COPY (SELECT 1) TO PROGRAM ''true'''), ('SELECT lo_export(1, ''/dev/null'')'),
	('SELECT vibepiper.define_asset(''at_m.x'', ''SELECT 1 AS x'')'), ('SELECT vibepiper.define_assets(''at_m'', ''[]'', prune => true)'), ('SELECT vibepiper.define_pipeline(''at_m'')'),
	('SELECT vibepiper.run(''at_m'', parallel => false)'), ('SELECT vibepiper.drop_asset(''at_m.plain'')'), ('SELECT vibepiper.drop_pipeline(''at_m'', cascade => true)'),
	('SELECT vibepiper.invalidate(''at_m.plain'')'), ('SELECT vibepiper.purge(''at_m'')'), ('SELECT vibepiper.rollback(''at_m'', 1)'), ('SELECT vibepiper.release(''at_m'')'),
	('SELECT vibepiper.plan(''at_v'')'), ('SELECT vibepiper.explain_asset(''at_v.above'')'), ('SELECT vibepiper.asset_query(''at_v.above'')'),
	('SELECT * FROM at_v.above'), ('SELECT * FROM at_vsrc.t'), ('SELECT hash_seed FROM vibepiper.installation'),
	('SET search_path = at_m_src'), ('SET TimeZone = ''Asia/Tokyo'''), ('SET vibepiper.on_miss = error'), ('SELECT set_config(''at.x'', ''y'', false)');
SET ROLE regress_at_mallory;
CREATE FUNCTION at_m_src.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done as ' || current_user;
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state OR object_in_use THEN
	RETURN 'refused';
END $$;
SELECT vibepiper.define_asset('at_m.attack', 'SELECT n, statement, at_m_src.try(statement) AS result FROM at_log.attempt');
SELECT vibepiper.define_asset('at_m.attack_at_miss', 'SELECT n, statement, at_m_src.try(statement) AS result FROM at_log.attempt', lazy => true);
RESET ROLE;
SET SESSION AUTHORIZATION regress_at_boss;
BEGIN;
SET LOCAL TimeZone = 'UTC';
SELECT asset, status FROM vibepiper.run('at_m', 'attack', parallel => false);
SELECT statement, result FROM at_m.attack ORDER BY n;
SELECT current_user, session_user, current_setting('search_path'), current_setting('TimeZone'), current_setting('vibepiper.on_miss'), current_setting('at.x', true) <> '' AS set;
SELECT name FROM pg_prepared_statements;
SELECT 'my own text'::text;
COMMIT;
SELECT count(*) FROM at_m.attack a JOIN at_m.attack_at_miss m USING (n) WHERE a.result <> m.result;
SELECT 'my own text'::text, current_user, current_setting('search_path');
SELECT count(*) FROM pg_type WHERE pg_type_is_visible(oid) AND typname IN ('mood', 'pair');
SELECT to_regclass('at_m_src.made') AS made, to_regclass('at_m_src.counted') AS dropped;
SELECT at_log.ran_as();

RESET SESSION AUTHORIZATION;

-- Triggers that asset code leaves to the end of the transaction.
SET ROLE regress_at_mallory;
CREATE TABLE at_m_src.queue (x int);
CREATE FUNCTION at_m_src.later() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM at_m_src.spy(1); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON at_m_src.queue DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_m_src.later();
CREATE FUNCTION at_m_src.enqueue(x int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO at_m_src.queue VALUES (x); RETURN x; END';
CREATE FUNCTION at_m_src.immutable_enqueue(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN at_m_src.enqueue(x); END';
CREATE FUNCTION at_m_src.check_later(x int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN at_m_src.enqueue(x) = x; END';
CREATE DOMAIN at_m_src.late AS int CHECK (at_m_src.check_later(value));
SELECT vibepiper.define_asset('at_m.later', 'SELECT at_m_src.enqueue(id) AS id FROM at_m_src.t WHERE id = 1');
-- nor while the query is analyzed, where a literal is checked
BEGIN;
SELECT vibepiper.define_asset('at_m.late_literal', $$SELECT '{7}'::at_m_src.late[] AS x$$);
COMMIT;
SELECT at_log.ran_as();
SELECT vibepiper.define_asset('at_m.later_domain', 'SELECT id::at_m_src.late AS id FROM at_m_src.t WHERE id = 1');
RESET ROLE;
BEGIN;
SELECT asset, status, error FROM vibepiper.run('at_m', 'later later_domain', parallel => false, on_failure => 'report');
COMMIT;
SELECT * FROM at_m.later;
SELECT * FROM at_m.later_domain;
-- an administrator defines what mallory wrote
BEGIN;
SELECT vibepiper.define_asset('at_m.late_index', 'SELECT id FROM at_m_src.t', indexes => ARRAY['((id + at_m_src.immutable_enqueue(1)))']);
COMMIT;
SELECT at_log.ran_as();

-- Settings are set as the owner.
SELECT vibepiper.define_asset('at_m.set', 'SELECT current_user::text AS u', settings => '{role=regress_at_boss}');
SELECT vibepiper.define_asset('at_m.set', 'SELECT current_user::text AS u', settings => '{session_authorization=regress_at_boss}');
SELECT vibepiper.define_asset('at_m.set', 'SELECT current_user::text AS u', settings => '{session_replication_role=replica}');

-- The other way round: a reader's objects and settings in an owner's code.
SET ROLE regress_at_victim;
CREATE TABLE at_vsrc.inner_table AS SELECT 'genuine'::text AS x;
SET search_path = at_vsrc;
CREATE FUNCTION at_vsrc.get() RETURNS SETOF text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN QUERY SELECT x FROM inner_table WHERE x = ''genuine''; END';
SELECT vibepiper.define_asset('at_v.shadowed', 'SELECT get AS x, current_setting(''search_path'') LIKE ''%at_m_src%'' AS readers_path FROM at_vsrc.get()', lazy => true);
RESET search_path;
GRANT SELECT ON at_v.shadowed TO regress_at_mallory;
SET ROLE regress_at_mallory;
CREATE TEMP TABLE inner_table AS SELECT 'false'::text AS x;
CREATE FUNCTION at_m_src.eq(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN at_m_src.spy(true); END';
CREATE OPERATOR at_m_src.= (LEFTARG = text, RIGHTARG = text, FUNCTION = at_m_src.eq);
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (at_m_src.spy(value) <> 'genuine');
SET search_path = pg_temp, at_m_src, pg_catalog;
SELECT x, readers_path FROM at_v.shadowed;
RESET search_path;
DROP TABLE pg_temp.inner_table;
DROP DOMAIN pg_temp.text;
RESET ROLE;
SELECT at_log.ran_as();

SELECT vibepiper.drop_pipeline('at_v', cascade => true);
SELECT vibepiper.drop_pipeline('at_m', cascade => true);
DROP OWNED BY regress_at_mallory, regress_at_victim, regress_at_reader CASCADE;
DROP SCHEMA IF EXISTS at_log, at_shared, at_m, at_v CASCADE;
DROP ROLE regress_at_mallory, regress_at_victim, regress_at_reader, regress_at_boss;
