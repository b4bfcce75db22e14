-- Who may read an asset, as whom its query runs, and what nobody may do.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE ROLE rights_owner;
CREATE ROLE rights_other;
CREATE ROLE rights_reader;
CREATE ROLE rights_nobody;
CREATE SCHEMA rights_src;
CREATE TABLE rights_src.item (id int, who text, secret text);
INSERT INTO rights_src.item SELECT i, CASE i % 2 WHEN 0 THEN 'rights_reader' ELSE 'rights_owner' END, 'secret ' || i FROM generate_series(1, 6) i;
GRANT USAGE ON SCHEMA rights_src TO rights_owner, rights_other;
GRANT SELECT ON rights_src.item TO rights_owner, rights_other;
GRANT CREATE ON DATABASE :DBNAME TO rights_owner, rights_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO rights_owner, rights_other;
CREATE SCHEMA rights_tools;
GRANT USAGE, CREATE ON SCHEMA rights_tools TO PUBLIC;
-- a direct call of read_asset, as text: roles can't look up definitions by name
CREATE FUNCTION rights_tools.direct(stub text, columns text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE def oid;
BEGIN
	SELECT c.oid INTO def FROM pg_class c WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'vibepiper_def') AND relname = stub;
	RETURN QUERY EXECUTE format('SELECT t::text FROM vibepiper.read_asset(%L::regclass) AS t(%s)', def, columns);
END $$;

SET ROLE rights_owner;
SELECT vibepiper.define_pipeline('rights');
SELECT vibepiper.define_asset('rights.a', 'SELECT id, who, secret FROM rights_src.item', indexes => '{(id)}');
SELECT vibepiper.define_asset('rights.b', 'SELECT count(*) AS n FROM rights.a');
SELECT vibepiper.define_asset('rights.m', 'SELECT id, secret FROM rights_src.item');
SELECT vibepiper.define_asset('rights.f', 'SELECT id, upper(secret) AS secret, current_user::text AS computed_by FROM rights_src.item WHERE id = 1');
SELECT asset, status FROM vibepiper.run('rights', 'a b', parallel => false);
GRANT USAGE ON SCHEMA rights TO rights_reader, rights_other, rights_nobody;
GRANT SELECT ON rights.a, rights.b, rights.m, rights.f TO rights_reader;
RESET ROLE;

-- SELECT on the stub is enough, and needed: stored, inlined, computed
SET ROLE rights_reader;
SELECT count(*) FROM rights.a;
SELECT n FROM rights.b;
SELECT count(secret) FROM rights.m;
SELECT * FROM rights.f;
SELECT count(*) FROM rights_src.item;
SELECT count(*) FROM rights_tools.direct('rights.a', 'id int, who text, secret text');
SELECT count(*) FROM rights_tools.direct('rights.m', 'id int, secret text');
SELECT rights_tools.direct('rights.f', 'id int, secret text, computed_by text');
SET ROLE rights_nobody;
SELECT count(*) FROM rights.a;
SELECT n FROM rights.b;
SELECT count(*) FROM rights.m;
SELECT * FROM rights.f;
SELECT 1 FROM rights.f LIMIT 0;
SELECT rights_tools.direct('rights.a', 'id int, who text, secret text');
SELECT rights_tools.direct('rights.m', 'id int, secret text');
SELECT rights_tools.direct('rights.f', 'id int, secret text, computed_by text');
PREPARE nobody AS SELECT count(*) FROM rights.a;
EXECUTE nobody;
-- the owner of the extension's objects gives nothing away either
SELECT count(*) FROM vibepiper.asset;
SELECT count(*) FROM vibepiper.mapping;
RESET ROLE;

-- a cached plan asks for the rights of whoever executes it
SET plan_cache_mode = force_generic_plan;
PREPARE a AS SELECT count(*) FROM rights.a;
PREPARE m AS SELECT count(*) FROM rights.m;
PREPARE f AS SELECT * FROM rights.f;
EXECUTE a;
EXECUTE m;
EXECUTE f;
SET ROLE rights_nobody;
EXECUTE a;
EXECUTE m;
EXECUTE f;
SET ROLE rights_reader;
EXECUTE a;
EXECUTE m;
EXECUTE f;
RESET ROLE;
SET ROLE rights_owner;
SELECT status FROM vibepiper.run('rights', 'a', parallel => false, force => true);
RESET ROLE;
SET ROLE rights_nobody;
EXECUTE a;
SET ROLE rights_reader;
EXECUTE a;
RESET ROLE;
REVOKE SELECT ON rights.a FROM rights_reader;
SET ROLE rights_reader;
EXECUTE a;
RESET ROLE;
GRANT SELECT ON rights.a TO rights_reader;
RESET plan_cache_mode;

-- rights on columns
GRANT SELECT (id) ON rights.a TO rights_nobody;
GRANT SELECT (id) ON rights.m TO rights_nobody;
SET ROLE rights_nobody;
SELECT sum(id) FROM rights.a;
SELECT sum(id) FROM rights.m;
SELECT max(secret) FROM rights.a;
SELECT max(secret) FROM rights.m;
SELECT rights_tools.direct('rights.a', 'id int, who text, secret text');
SELECT rights_tools.direct('rights.m', 'id int, secret text');
RESET ROLE;
REVOKE SELECT (id) ON rights.a, rights.m FROM rights_nobody;

-- the owner loses the source: stored rows stay, missing ones can't be computed
REVOKE SELECT ON rights_src.item FROM rights_owner;
SET ROLE rights_reader;
SELECT count(*) FROM rights.a;
SELECT count(*) FROM rights.m;
SELECT * FROM rights.f;
RESET ROLE;
SELECT count(*) FROM rights.m;
GRANT SELECT ON rights_src.item TO rights_owner;

-- views on stubs: rights of the view's owner
GRANT SELECT ON rights.a, rights.m, rights.f TO rights_other;
SET ROLE rights_other;
CREATE VIEW rights_tools.v AS SELECT id, secret FROM rights.a WHERE who = current_user;
CREATE VIEW rights_tools.vm AS SELECT m.id, f.computed_by FROM rights.m JOIN rights.f USING (id);
CREATE VIEW rights_tools.barrier WITH (security_barrier) AS SELECT id, secret FROM rights.a WHERE who = current_user;
CREATE VIEW rights_tools.invoker WITH (security_invoker) AS SELECT id, secret FROM rights.a WHERE who = current_user;
GRANT SELECT ON rights_tools.v, rights_tools.vm, rights_tools.barrier, rights_tools.invoker TO rights_nobody, rights_reader;
SET ROLE rights_nobody;
SELECT count(*) FROM rights_tools.v;
SELECT * FROM rights_tools.vm;
SELECT count(*) FROM rights_tools.invoker;
SET ROLE rights_reader;
SELECT * FROM rights_tools.v ORDER BY id;
SELECT * FROM rights_tools.invoker ORDER BY id;
-- a leaky function sees only what the barrier lets through
CREATE FUNCTION rights_tools.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'leaked %', $1; RETURN true; END $$;
SELECT id FROM rights_tools.barrier WHERE rights_tools.leak(secret) ORDER BY id;
RESET ROLE;
REVOKE SELECT ON rights.a, rights.f FROM rights_other;
SET ROLE rights_nobody;
SELECT count(*) FROM rights_tools.v;
SELECT * FROM rights_tools.vm;
SET ROLE rights_reader;
SELECT count(*) FROM rights_tools.v;
SELECT count(*) FROM rights_tools.invoker;
RESET ROLE;
GRANT SELECT ON rights.a, rights.f TO rights_other;

-- SQL functions: inlined ones ask for the caller's rights, SECURITY DEFINER ones for their owner's
SET ROLE rights_other;
CREATE FUNCTION rights_tools.inlined() RETURNS TABLE (id int, secret text) LANGUAGE sql STABLE AS 'SELECT id, secret FROM rights.a';
CREATE FUNCTION rights_tools.inlined_view() RETURNS TABLE (id int, secret text) LANGUAGE sql STABLE AS 'SELECT id, secret FROM rights_tools.barrier';
CREATE FUNCTION rights_tools.definer() RETURNS TABLE (id int, secret text) LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT id, secret FROM rights.a';
CREATE FUNCTION rights_tools.plpgsql() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM rights.a); END $$;
SET ROLE rights_nobody;
SELECT count(*) FROM rights_tools.inlined();
SELECT count(*) FROM rights_tools.inlined_view();
SELECT count(*) FROM rights_tools.definer();
SELECT rights_tools.plpgsql();
SET ROLE rights_reader;
SELECT count(*) FROM rights_tools.inlined();
SELECT count(*) FROM rights_tools.inlined_view();
SELECT rights_tools.plpgsql();
RESET ROLE;
REVOKE EXECUTE ON FUNCTION rights_tools.inlined() FROM PUBLIC;
SET ROLE rights_reader;
SELECT count(*) FROM rights_tools.inlined();
RESET ROLE;

-- row security on a source: rows are those that the owner sees, for every reader
ALTER TABLE rights_src.item ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rights_src.item USING (who = current_user);
SET ROLE rights_reader;
SELECT count(*) FROM rights.a;
SELECT array_agg(id ORDER BY id) FROM rights.m;
RESET ROLE;
SELECT array_agg(id ORDER BY id) FROM rights.m;
SET ROLE rights_owner;
SELECT array_agg(id ORDER BY id) FROM rights.m;
SELECT asset, status, rows FROM vibepiper.run('rights', 'a m', parallel => false, force => true);
SET ROLE rights_reader;
SELECT array_agg(id ORDER BY id) FROM rights.a;
SELECT array_agg(id ORDER BY id) FROM rights.m;
RESET ROLE;
-- plans of queries that join an asset with a table of row security belong to a role
GRANT USAGE ON SCHEMA rights_src TO rights_reader;
GRANT SELECT ON rights_src.item TO rights_reader;
CREATE POLICY all_of_them ON rights_src.item TO rights_owner USING (true);
CREATE FUNCTION rights_tools.joined() RETURNS TABLE (id int, who text) LANGUAGE sql STABLE
	AS 'SELECT i.id, i.who FROM rights_src.item i, (SELECT FROM rights.b) b';
CREATE FUNCTION rights_tools.plain() RETURNS TABLE (id int, who text) LANGUAGE sql STABLE
	AS 'SELECT i.id, i.who FROM rights_src.item i, (SELECT 1) b';
PREPARE direct_join AS SELECT array_agg(i.id ORDER BY id) FROM rights_src.item i, rights.b;
PREPARE joined AS SELECT array_agg(id ORDER BY id) FROM rights_tools.joined();
PREPARE plain AS SELECT array_agg(id ORDER BY id) FROM rights_tools.plain();
SET plan_cache_mode = force_generic_plan;
SET ROLE rights_reader;
EXECUTE direct_join;
EXECUTE plain;
EXECUTE joined;
SET ROLE rights_owner;
EXECUTE direct_join;
EXECUTE plain;
EXECUTE joined;
SET ROLE rights_reader;
EXECUTE direct_join;
EXECUTE joined;
RESET ROLE;
RESET plan_cache_mode;
DROP POLICY own ON rights_src.item;
DROP POLICY all_of_them ON rights_src.item;
ALTER TABLE rights_src.item DISABLE ROW LEVEL SECURITY;

-- What the owner put into a definition doesn't run as its reader.
SET ROLE rights_owner;
CREATE FUNCTION rights.log(anyelement) RETURNS anyelement LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'runs as %', current_user; RETURN $1; END $$;
CREATE FUNCTION rights.check(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'checks as %', current_user; RETURN true; END $$;
CREATE DOMAIN rights.checked AS text CHECK (rights.check(value));
CREATE TYPE rights.pair AS (a int, b rights.checked);
CREATE VIEW rights.helper AS SELECT id, rights.log(secret) AS secret FROM rights_src.item WHERE id = 1;
CREATE FUNCTION rights.rows() RETURNS TABLE (id int, secret text) LANGUAGE sql STABLE AS 'SELECT id, rights.log(secret) FROM rights_src.item WHERE id = 1';
SELECT vibepiper.define_asset('rights.trap_function', 'SELECT id FROM rights_src.item WHERE id = 1 AND rights.log(id) = 1');
SELECT vibepiper.define_asset('rights.trap_view', 'SELECT secret FROM rights.helper');
SELECT vibepiper.define_asset('rights.trap_rows', 'SELECT * FROM rights.rows()');
SELECT vibepiper.define_asset('rights.trap_domain', 'SELECT secret::rights.checked AS s FROM rights_src.item WHERE id = 1');
SELECT vibepiper.define_asset('rights.trap_array', 'SELECT array[secret]::rights.checked[] AS s FROM rights_src.item WHERE id = 1');
SELECT vibepiper.define_asset('rights.trap_row', 'SELECT row(id, secret)::rights.pair AS s FROM rights_src.item WHERE id = 1');
SELECT vibepiper.define_asset('rights.trap_json', $$SELECT (jsonb_populate_record(NULL::rights.pair, jsonb_build_object('b', secret))).b AS s FROM rights_src.item WHERE id = 1$$);
SELECT vibepiper.define_asset('rights.trap_order', 'SELECT id FROM rights_src.item WHERE id = 1 ORDER BY rights.log(id)');
SELECT vibepiper.define_asset('rights.trap_limit', 'SELECT id FROM rights_src.item WHERE id = 1 LIMIT rights.log(1)');
SELECT vibepiper.define_asset('rights.trap_values', 'SELECT x FROM (VALUES (rights.log(1))) v(x), rights_src.item WHERE id = 1');
SELECT vibepiper.define_asset('rights.trap_cte', 'WITH w AS MATERIALIZED (SELECT rights.log(id) AS id FROM rights_src.item WHERE id = 1) SELECT * FROM w');
SELECT vibepiper.define_asset('rights.trap_sub', 'SELECT id, (SELECT rights.log(1)) FROM rights_src.item WHERE id = 1');
SELECT vibepiper.define_asset('rights.trap_above', 'SELECT count(*) AS n FROM rights.trap_function');
RESET ROLE;
DO $$
DECLARE a text;
BEGIN
	FOR a IN SELECT asset FROM vibepiper.assets WHERE asset LIKE 'rights.trap%' ORDER BY asset LOOP
		RAISE WARNING '%', a;
		EXECUTE format('SELECT count(t::text) FROM %s t', a);
	END LOOP;
END $$;

-- A stub that was repointed by hand needs SELECT on the asset that it reads now.
SET ROLE rights_other;
SELECT vibepiper.define_pipeline('rights_o');
SELECT vibepiper.define_asset('rights_o.a', 'SELECT id, who, secret FROM rights_src.item WHERE false');
GRANT USAGE ON SCHEMA rights_o TO PUBLIC;
GRANT SELECT ON rights_o.a TO rights_nobody, rights_reader;
SELECT status FROM vibepiper.run('rights_o', parallel => false);
SELECT count(*) FROM rights_o.a;
RESET ROLE;
REVOKE SELECT ON rights.a FROM rights_other;
SELECT 'vibepiper_def."rights.a"'::regclass::oid AS def, 'vibepiper_def."rights.m"'::regclass::oid AS def_m \gset
SET ROLE rights_other;
CREATE OR REPLACE VIEW rights_o.a AS SELECT * FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text);
SELECT count(*) FROM rights_o.a;
SET ROLE rights_nobody;
SELECT count(*) FROM rights_o.a;
SET ROLE rights_reader;
SELECT count(*) FROM rights_o.a;
SET ROLE rights_other;
-- also when other's stub stands beside it
CREATE VIEW rights_tools.beside AS SELECT t.* FROM rights_o.a, vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text);
SELECT count(*) FROM rights_tools.beside;
RESET ROLE;
SELECT vibepiper.drop_pipeline('rights_o', cascade => true);
GRANT SELECT ON rights.a TO rights_other;

-- nor does a right to update the stub give one to read the asset
SET ROLE rights_owner;
CREATE FUNCTION rights.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER nothing INSTEAD OF UPDATE ON rights.a FOR EACH ROW EXECUTE FUNCTION rights.nothing();
GRANT UPDATE ON rights.a TO rights_nobody;
SET ROLE rights_nobody;
UPDATE rights.a SET who = 'x' FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text) RETURNING t.*;
SET ROLE rights_owner;
REVOKE UPDATE ON rights.a FROM rights_nobody;
DROP TRIGGER nothing ON rights.a;
RESET ROLE;

-- Direct calls
SELECT count(*) FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text);
SELECT t, t.secret FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text) WHERE id = 1;
\set VERBOSITY terse
SELECT * FROM vibepiper.read_asset(:'def'::regclass) WITH ORDINALITY AS t(id, who, secret, o);
\set VERBOSITY default
SELECT * FROM ROWS FROM (vibepiper.read_asset(:'def'::regclass) AS (id int, who text, secret text)) WITH ORDINALITY ORDER BY ordinality LIMIT 1;
SELECT count(*) FROM ROWS FROM (vibepiper.read_asset(:'def'::regclass) AS (id int, who text, secret text), generate_series(1, 9));
SELECT count(*) FROM LATERAL ROWS FROM (vibepiper.read_asset(:'def'::regclass) AS (id int, who text, secret text)) t;
SELECT count(*) FROM generate_series(1, 2) g, LATERAL vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text) WHERE t.id = g;
SELECT count(*) FROM (VALUES (:'def'::regclass), (:'def'::regclass)) v(d), LATERAL vibepiper.read_asset(d) AS t(id int, who text, secret text);
SELECT count(*) FROM vibepiper.read_asset((SELECT :'def'::regclass)) AS t(id int, who text, secret text);
SELECT count(*) FROM vibepiper.read_asset(:def::oid) AS t(id int, who text, secret text);
SELECT count(*) FROM vibepiper.read_asset(definition => :'def'::regclass) AS t(a int, b text, c text);
SELECT count(*) FROM vibepiper.read_asset(NULL) AS t(id int, who text, secret text);
PREPARE direct(regclass) AS SELECT count(*) FROM vibepiper.read_asset($1) AS t(id int, who text, secret text);
EXECUTE direct(:'def');
SET plan_cache_mode = force_generic_plan;
EXECUTE direct(:'def');
EXECUTE direct(NULL);
EXECUTE direct('rights.a');
RESET plan_cache_mode;
SELECT count(*) FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text);
SELECT count(*) FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text, more int);
SELECT count(*) FROM vibepiper.read_asset(:'def'::regclass) AS t(id bigint, who text, secret text);
SELECT count(*) FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who varchar, secret text);
SELECT count(*) FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text COLLATE "C", secret text);
SELECT count(*) FROM vibepiper.read_asset(:'def_m'::regclass) AS t(id int);
SELECT count(*) FROM vibepiper.read_asset('rights.a'::regclass) AS t(id int, who text, secret text);
SELECT count(*) FROM vibepiper.read_asset('pg_class'::regclass) AS t(id int);
SELECT count(*) FROM vibepiper.read_asset(0::oid) AS t(id int);
SELECT count(*) FROM vibepiper.read_asset('rights_src.item'::regclass) AS t(id int);
\set VERBOSITY terse
SELECT * FROM vibepiper.read_asset(:'def'::regclass);
\set VERBOSITY default
SELECT vibepiper.read_asset(:'def'::regclass);
SELECT count(*) FROM (SELECT vibepiper.read_asset(:'def'::regclass)) s;
SELECT count(*) FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text) FOR UPDATE;
SELECT id FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text) FOR UPDATE;
CREATE TABLE rights_tools.copied AS SELECT * FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text, secret text);
SELECT count(*) FROM rights_tools.copied;
-- a stub whose view has another list of columns
CREATE VIEW rights_tools.wrong AS SELECT * FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, who text);
SELECT * FROM rights_tools.wrong;

-- Slots are nobody's to change: not the owner's, not a superuser's.
SELECT slot FROM vibepiper.versions WHERE asset = 'rights.a' AND published \gset
SELECT relname AS index FROM pg_class WHERE oid = (SELECT min(indexrelid) FROM pg_index WHERE indrelid = :'slot'::regclass) \gset
-- messages without the numbers of slots; whatever is not refused is undone
CREATE FUNCTION rights_tools.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || regexp_replace(sqlerrm, '_\d+_\d+', '_#', 'g');
END $$;
CREATE TEMP TABLE attempt (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO attempt (statement) VALUES
	('INSERT INTO {slot} VALUES (1)'), ('UPDATE {slot} SET id = 1'), ('DELETE FROM {slot}'),
	('MERGE INTO {slot} t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE'),
	('WITH w AS (DELETE FROM {slot} RETURNING 1) SELECT count(*) FROM w'),
	('WITH w AS (INSERT INTO {slot} VALUES (1)) SELECT 1'),
	('COPY {slot} FROM PROGRAM ''echo 1,1,1'' CSV'), ('TRUNCATE {slot}'),
	('ALTER TABLE {slot} ADD COLUMN x int'), ('ALTER TABLE {slot} DROP COLUMN id'), ('ALTER TABLE {slot} ALTER COLUMN id TYPE bigint'),
	('ALTER TABLE {slot} RENAME TO x'), ('ALTER TABLE {slot} RENAME COLUMN id TO x'), ('ALTER TABLE {slot} SET SCHEMA public'),
	('ALTER TABLE {slot} OWNER TO rights_reader'), ('ALTER TABLE {slot} SET LOGGED'), ('ALTER TABLE {slot} SET (fillfactor = 50)'),
	('ALTER TABLE {slot} ENABLE ROW LEVEL SECURITY'), ('ALTER TABLE {slot} ADD CHECK (id > 0)'), ('ALTER TABLE {slot} ALTER COLUMN id SET DEFAULT 1'),
	('CREATE POLICY p ON {slot}'), ('CREATE INDEX ON {slot} (who)'), ('CREATE RULE r AS ON DELETE TO {slot} DO INSTEAD NOTHING'),
	('CREATE TRIGGER t BEFORE INSERT ON {slot} EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
	('CREATE TABLE rights_tools.child () INHERITS ({slot})'),
	('CLUSTER {slot} USING {index}'), ('DROP TABLE {slot}'), ('DROP TABLE {slot} CASCADE'),
	('DROP INDEX vibepiper_store.{index}'), ('ALTER INDEX vibepiper_store.{index} RENAME TO x');
SELECT statement, rights_tools.try(replace(replace(statement, '{slot}', :'slot'), '{index}', :'index')) FROM attempt ORDER BY n;
GRANT USAGE, CREATE ON SCHEMA vibepiper_store TO rights_owner;
GRANT SELECT ON attempt TO rights_owner;
SET ROLE rights_owner;
SELECT statement, rights_tools.try(replace(replace(statement, '{slot}', :'slot'), '{index}', :'index')) FROM attempt WHERE n <= 8 ORDER BY n;
RESET ROLE;
REVOKE USAGE, CREATE ON SCHEMA vibepiper_store FROM rights_owner;
-- views on a slot, by which one might write
CREATE VIEW rights_tools.on_slot AS SELECT * FROM :slot;
SELECT rights_tools.try('DELETE FROM rights_tools.on_slot');
DROP VIEW rights_tools.on_slot;
SELECT id, who, secret FROM rights.a ORDER BY id;
-- maintenance passes them by
SET client_min_messages = error;
VACUUM FULL :slot;
VACUUM (FULL, VERBOSE false) rights_tools.copied, :slot;
SET client_min_messages = warning;
VACUUM FULL;
VACUUM;
REINDEX TABLE :slot;
ANALYZE;
SELECT id, who, secret FROM rights.a ORDER BY id;
SET enable_seqscan = off;
SELECT secret FROM rights.a WHERE id = 3;
RESET enable_seqscan;
SET ROLE rights_owner;
SELECT asset, status FROM vibepiper.run('rights', 'a', parallel => false, force => true);
RESET ROLE;
VACUUM (FULL, ANALYZE);
SELECT count(*) FROM rights.a;

DEALLOCATE ALL;
SELECT vibepiper.drop_pipeline('rights', cascade => true);
DROP SCHEMA rights_src, rights_tools CASCADE;
DROP SCHEMA rights CASCADE;
DROP SCHEMA rights_o CASCADE;
DROP OWNED BY rights_owner, rights_other, rights_reader, rights_nobody;
DROP ROLE rights_owner, rights_other, rights_reader, rights_nobody;
