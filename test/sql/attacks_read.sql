-- Attacks: reading what one may not read, managing what is another's.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE ROLE regress_ar_mallory;
CREATE ROLE regress_ar_victim;
CREATE ROLE regress_ar_reader;
CREATE ROLE regress_ar_nobody;
SELECT current_database() AS db \gset
GRANT CREATE ON DATABASE :"db" TO regress_ar_mallory, regress_ar_victim;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_ar_mallory, regress_ar_victim;

SET ROLE regress_ar_victim;
CREATE SCHEMA ar_vsrc;
CREATE TABLE ar_vsrc.t AS SELECT i AS id, CASE WHEN i % 10 = 0 THEN 'private ' ELSE 'public ' END || i % 20 AS s, 'common' AS c FROM generate_series(1, 1000) i;
CREATE TABLE ar_vsrc.wrong AS SELECT 'top secret'::text AS x;
CREATE FUNCTION ar_vsrc.one() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
SELECT vibepiper.define_pipeline('ar_v');
GRANT USAGE ON SCHEMA ar_v TO PUBLIC;
SELECT name, vibepiper.define_asset('ar_v.' || name, query, indexes => indexes, lazy => lazy)
FROM (VALUES ('stored', 'SELECT id, s, c FROM ar_vsrc.t', '{(id)}'::text[], false),
	('inlined', 'SELECT id, s, c FROM ar_vsrc.t WHERE s LIKE ''public%''', NULL, true),
	('computed', 'SELECT id, s, c FROM ar_vsrc.t WHERE id > ar_vsrc.one()', NULL, true),
	('changing', 'SELECT id FROM ar_vsrc.t', NULL, false),
	('fails', 'SELECT x::int AS x FROM ar_vsrc.wrong', NULL, false)) a(name, query, indexes, lazy);
SELECT asset, status FROM vibepiper.run('ar_v', parallel => false, on_failure => 'report');
SELECT asset, status FROM vibepiper.run('ar_v', '-fails', parallel => false);
GRANT SELECT ON ar_v.stored, ar_v.inlined, ar_v.changing TO regress_ar_reader;
SET ROLE regress_ar_mallory;
CREATE SCHEMA ar_m_src;
GRANT USAGE ON SCHEMA ar_m_src TO PUBLIC;
SELECT vibepiper.define_pipeline('ar_m');
SELECT vibepiper.define_asset('ar_m.own', 'SELECT 1 AS id, ''x''::text AS s, ''y''::text AS c');
GRANT USAGE ON SCHEMA ar_m TO PUBLIC;
-- what an operator or function of mallory's gets to see
CREATE FUNCTION ar_m_src.peek(text, text) RETURNS bool LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
	IF $1 LIKE 'private%' THEN
		RAISE WARNING 'seen: something private';
	END IF;
	RETURN true;
END $$;
CREATE OPERATOR ar_m_src.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = ar_m_src.peek, RESTRICT = eqsel, JOIN = eqjoinsel);
-- the outcome of a statement that should be refused; what is not refused is undone
CREATE FUNCTION ar_m_src.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION 'done' USING ERRCODE = 'U0000';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE sqlstate WHEN '42501' THEN 'denied' WHEN 'U0000' THEN 'DONE' ELSE sqlstate || ' ' || sqlerrm END;
END $$;
RESET ROLE;
SELECT c.oid AS def FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'vibepiper_def' AND c.relname = 'ar_v.stored' \gset
SELECT slot FROM vibepiper.versions WHERE asset = 'ar_v.stored' AND published \gset
\set columns '(id int, s text, c text)'

-- "Reading needs SELECT on the stub": every way to read that mallory has.
CREATE TABLE ar_m_src.attempt (n int GENERATED ALWAYS AS IDENTITY, statement text);
GRANT SELECT ON ar_m_src.attempt TO PUBLIC;
INSERT INTO ar_m_src.attempt (statement) VALUES
	('SELECT 1 FROM {stub}'), ('SELECT count(*) FROM {stub} WHERE false'), ('TABLE {stub}'), ('EXPLAIN SELECT 1 FROM {stub}'), ('EXPLAIN ANALYZE SELECT 1 FROM {stub}'),
	('SELECT (SELECT max(id) FROM {stub})'), ('WITH w AS MATERIALIZED (SELECT * FROM {stub}) SELECT 1 FROM w'), ('SELECT 1 WHERE EXISTS (SELECT FROM {stub})'),
	('SELECT 1 UNION SELECT id FROM {stub}'), ('SELECT 1 FROM ar_m.own JOIN {stub} s USING (id)'), ('SELECT 1 FROM ar_m.own o, LATERAL (SELECT 1 FROM {stub} s WHERE s.id = o.id) x'),
	('VALUES ((SELECT s FROM {stub} LIMIT 1))'), ('SELECT s FROM {stub} FOR UPDATE'), ('LOCK TABLE {stub} IN ACCESS SHARE MODE'),
	('CREATE TABLE ar_m_src.x AS SELECT * FROM {stub}'), ('SELECT * INTO ar_m_src.x FROM {stub}'), ('CREATE MATERIALIZED VIEW ar_m_src.x AS SELECT * FROM {stub}'),
	('DECLARE x CURSOR FOR SELECT * FROM {stub}'),
	('SELECT * FROM ts_stat(''SELECT to_tsvector(s) FROM {stub}'')'), ('UPDATE ar_m_src.own SET id = 2 FROM {stub} s'), ('INSERT INTO ar_m_src.own SELECT id FROM {stub}'),
	('DELETE FROM ar_m_src.own USING {stub} s'), ('MERGE INTO ar_m_src.own o USING {stub} s ON o.id = s.id WHEN MATCHED THEN DELETE'),
	('SELECT vibepiper.is_fresh(''{stub}'')');
SET ROLE regress_ar_mallory;
CREATE TABLE ar_m_src.own AS SELECT 1 AS id;
SELECT statement, ar_m_src.try(replace(statement, '{stub}', 'ar_v.stored')) AS stored, ar_m_src.try(replace(statement, '{stub}', 'ar_v.inlined')) AS inlined,
	ar_m_src.try(replace(statement, '{stub}', 'ar_v.computed')) AS computed
FROM ar_m_src.attempt ORDER BY n;
-- through views, rules, functions and policies of its own
CREATE VIEW ar_m_src.v AS SELECT * FROM ar_v.stored;
CREATE VIEW ar_m_src.i WITH (security_invoker) AS SELECT * FROM ar_v.stored;
CREATE VIEW ar_m_src.b WITH (security_barrier) AS SELECT * FROM ar_v.inlined;
CREATE FUNCTION ar_m_src.f() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT s FROM ar_v.stored';
CREATE FUNCTION ar_m_src.d() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT s FROM ar_v.stored';
CREATE FUNCTION ar_m_src.s() RETURNS SETOF text LANGUAGE sql STABLE SET work_mem = '1MB' AS 'SELECT s FROM ar_v.stored';
CREATE FUNCTION ar_m_src.p() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM ar_v.computed); END';
CREATE RULE r AS ON INSERT TO ar_m_src.own DO ALSO SELECT * FROM ar_v.stored;
CREATE TABLE ar_m_src.policed AS SELECT 1 AS id;
ALTER TABLE ar_m_src.policed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON ar_m_src.policed USING (EXISTS (SELECT FROM ar_v.stored s WHERE s.id = policed.id));
GRANT SELECT ON ar_m_src.v, ar_m_src.i, ar_m_src.b TO PUBLIC;
SELECT statement, ar_m_src.try(statement) FROM unnest(ARRAY['TABLE ar_m_src.v', 'TABLE ar_m_src.i', 'TABLE ar_m_src.b', 'SELECT * FROM ar_m_src.f()', 'SELECT ar_m_src.f()', 'SELECT * FROM ar_m_src.d()',
	'SELECT * FROM ar_m_src.s()', 'SELECT ar_m_src.p()', 'INSERT INTO ar_m_src.own VALUES (1)', 'TABLE ar_m_src.policed']) statement;
SET ROLE regress_ar_reader;
SELECT statement, ar_m_src.try(statement) FROM unnest(ARRAY['TABLE ar_m_src.v', 'TABLE ar_m_src.i', 'TABLE ar_m_src.b', 'SELECT * FROM ar_m_src.f()', 'SELECT ar_m_src.f()', 'SELECT * FROM ar_m_src.d()', 'SELECT * FROM ar_m_src.s()']) statement;
RESET ROLE;

-- "A direct call, or one in a stub that was repointed, needs SELECT on the stub for the caller."
SET ROLE regress_ar_mallory;
SELECT ar_m_src.try(format('SELECT 1 FROM vibepiper.read_asset(%L) AS t%s', :'def', :'columns')) AS direct,
	ar_m_src.try(format('SELECT 1 FROM vibepiper.read_asset(%s::oid) AS t%s', :'def', :'columns')) AS by_expression,
	ar_m_src.try(format('SELECT 1 FROM ROWS FROM (vibepiper.read_asset(%L) AS %s) WITH ORDINALITY', :'def', :'columns')) AS with_ordinality,
	ar_m_src.try(format('SELECT 1 FROM ar_m.own o, LATERAL vibepiper.read_asset(%L) AS t%s', :'def', :'columns')) AS beside_own;
CREATE OR REPLACE VIEW ar_m.own AS SELECT * FROM vibepiper.read_asset(:'def'::regclass) AS own(id int, s text, c text);
CREATE VIEW ar_m_src.direct AS SELECT t.s FROM vibepiper.read_asset(:'def'::regclass) AS t(id int, s text, c text);
GRANT SELECT ON ar_m.own, ar_m_src.direct TO PUBLIC;
SELECT ar_m_src.try('TABLE ar_m.own') AS repointed, ar_m_src.try('TABLE ar_m_src.direct') AS direct;
SET ROLE regress_ar_nobody;
SELECT ar_m_src.try('TABLE ar_m.own') AS repointed, ar_m_src.try('TABLE ar_m_src.direct') AS direct;
SET ROLE regress_ar_reader;
SELECT count(*) FROM ar_m.own;
SELECT count(*) FROM ar_m_src.direct;
-- a run or a definition does not give what its owner may not read
SET ROLE regress_ar_mallory;
SELECT ar_m_src.try($$SELECT vibepiper.define_asset('ar_m.steal', 'SELECT s FROM ar_v.stored')$$) AS stub,
	ar_m_src.try($$SELECT vibepiper.define_asset('ar_m.steal', 'SELECT s FROM ar_vsrc.t')$$) AS source,
	ar_m_src.try(format($$SELECT vibepiper.define_asset('ar_m.steal', 'SELECT s FROM %s')$$, :'slot')) AS slot,
	ar_m_src.try($$SELECT vibepiper.define_asset('ar_m.steal', 'SELECT s FROM vibepiper_def."ar_v.stored"')$$) AS definition;
SELECT vibepiper.define_asset('ar_m.through_view', 'SELECT s FROM ar_m_src.v');
SELECT asset, status, error FROM vibepiper.run('ar_m', 'through_view', parallel => false, on_failure => 'report');
SELECT ar_m_src.try('TABLE ar_m.through_view') AS through_view;
-- also when a superuser runs it
RESET ROLE;
SELECT asset, status, error FROM vibepiper.run('ar_m', 'through_view', parallel => false, on_failure => 'report');
SELECT ar_m_src.try('TABLE ar_m.through_view') AS through_view;

-- Plans and cursors of one role in the hands of another.
SET plan_cache_mode = force_generic_plan;
PREPARE stored AS SELECT count(*) FROM ar_v.stored;
PREPARE inlined AS SELECT count(*) FROM ar_v.inlined;
PREPARE computed AS SELECT count(*) FROM ar_v.computed;
PREPARE changing AS SELECT count(*) FROM ar_v.changing;
EXECUTE stored;
EXECUTE inlined;
EXECUTE computed;
EXECUTE changing;
SET ROLE regress_ar_mallory;
EXECUTE stored;
EXECUTE inlined;
EXECUTE computed;
EXECUTE changing;
RESET ROLE;
-- plans that are made anew: there is no version of these columns, then another one
SELECT vibepiper.define_asset('ar_v.changing', 'SELECT id, 1 AS more FROM ar_vsrc.t');
SET ROLE regress_ar_mallory;
EXECUTE changing;
SET ROLE regress_ar_reader;
EXECUTE changing;
RESET ROLE;
EXECUTE changing;
SELECT asset, status FROM vibepiper.run('ar_v', 'changing', parallel => false);
SET ROLE regress_ar_mallory;
EXECUTE changing;
SET ROLE regress_ar_reader;
EXECUTE changing;
RESET ROLE;
-- an open cursor keeps the rights with which it was opened, as with tables
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM ar_v.stored ORDER BY id;
DECLARE d CURSOR FOR SELECT id FROM ar_v.computed ORDER BY id;
SET ROLE regress_ar_mallory;
FETCH 1 FROM c;
FETCH 1 FROM d;
SAVEPOINT s;
DECLARE e CURSOR FOR SELECT id FROM ar_v.stored;
ROLLBACK TO s;
RESET ROLE;
COMMIT;
RESET plan_cache_mode;
DEALLOCATE ALL;

-- "Readers plan with its statistics", and get nothing else from them.
CREATE FUNCTION ar_m_src.estimate(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
SET ROLE regress_ar_reader;
SELECT ar_m_src.estimate($$SELECT 1 FROM ar_v.stored WHERE c = 'common'$$) AS common, ar_m_src.estimate($$SELECT 1 FROM ar_v.stored WHERE c = 'rare'$$) AS rare,
	ar_m_src.estimate($$SELECT 1 FROM ar_v.stored WHERE id = 7$$) AS one;
SELECT count(*) FROM pg_stats WHERE schemaname = 'vibepiper_store';
SET ROLE regress_ar_mallory;
SELECT count(*) FROM pg_stats WHERE schemaname = 'vibepiper_store' AND tablename = split_part(:'slot', '.', 2);
-- estimation would call the operator with the most common values
SELECT ar_m_src.try($$EXPLAIN SELECT 1 FROM ar_v.stored WHERE s OPERATOR(ar_m_src.===) 'x'$$) AS stub,
	ar_m_src.try($$EXPLAIN SELECT 1 FROM ar_v.stored a WHERE NOT EXISTS (SELECT FROM ar_v.stored b WHERE b.s OPERATOR(ar_m_src.===) a.s)$$) AS sublink,
	ar_m_src.try($$EXPLAIN SELECT 1 FROM ar_m_src.v WHERE s OPERATOR(ar_m_src.===) 'x'$$) AS view,
	ar_m_src.try($$EXPLAIN SELECT 1 FROM ar_m_src.f() AS s WHERE s OPERATOR(ar_m_src.===) 'x'$$) AS function,
	ar_m_src.try($$EXPLAIN SELECT 1 FROM ar_m.own WHERE s OPERATOR(ar_m_src.===) 'x'$$) AS repointed,
	ar_m_src.try(format($$EXPLAIN SELECT 1 FROM vibepiper.read_asset(%L) AS t%s WHERE s OPERATOR(ar_m_src.===) 'x'$$, :'def', :'columns')) AS direct;
RESET ROLE;
GRANT SELECT (id) ON ar_v.stored, ar_v.inlined TO regress_ar_mallory;
SET ROLE regress_ar_mallory;
SELECT count(id) FROM ar_v.stored WHERE id <= 10;
SELECT ar_m_src.try($$EXPLAIN SELECT id FROM ar_v.stored WHERE s OPERATOR(ar_m_src.===) 'x'$$) AS stored,
	ar_m_src.try($$SELECT id FROM ar_v.stored WHERE s OPERATOR(ar_m_src.===) 'x'$$) AS stored,
	ar_m_src.try($$SELECT id FROM ar_v.inlined WHERE s OPERATOR(ar_m_src.===) 'x'$$) AS inlined,
	ar_m_src.try($$SELECT x FROM ar_v.stored x$$) AS whole_row, ar_m_src.try($$SELECT id FROM ar_v.stored ORDER BY s$$) AS ordered,
	ar_m_src.try(format($$SELECT id FROM vibepiper.read_asset(%L) AS t%s$$, :'def', :'columns')) AS direct;
RESET ROLE;
REVOKE SELECT (id) ON ar_v.stored, ar_v.inlined FROM regress_ar_mallory;

-- "Leaky functions in predicates": what a definition or a barrier takes out
-- isn't seen, at a hit and at both kinds of misses.
SET ROLE regress_ar_victim;
CREATE VIEW ar_v.barrier WITH (security_barrier) AS SELECT id, s FROM ar_v.stored WHERE s LIKE 'public%';
CREATE VIEW ar_v.barrier_at_miss WITH (security_barrier) AS SELECT id, s FROM ar_v.computed WHERE s LIKE 'public%';
SELECT vibepiper.define_asset('ar_v.filtered', 'SELECT id, s FROM ar_v.stored WHERE s LIKE ''public%''', lazy => true);
SELECT vibepiper.define_asset('ar_v.filtered_twice', 'SELECT id, s FROM ar_v.filtered WHERE id < 100', lazy => true);
GRANT SELECT ON ar_v.inlined, ar_v.barrier, ar_v.barrier_at_miss, ar_v.filtered, ar_v.filtered_twice TO regress_ar_mallory;
SET ROLE regress_ar_mallory;
CREATE FUNCTION ar_m_src.peeks(relation text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	query text;
	n bigint;
	counts text := '';
BEGIN
	FOREACH query IN ARRAY ARRAY[
		'SELECT 1 FROM %s WHERE ar_m_src.peek(s, s)',
		'SELECT 1 FROM %s WHERE s OPERATOR(ar_m_src.===) ''x''',
		'SELECT 1 FROM %s a JOIN generate_series(1, 1000) g ON g = a.id AND ar_m_src.peek(a.s, '''')',
		'SELECT 1 FROM generate_series(1, 1000) g LEFT JOIN %s a ON g = a.id AND ar_m_src.peek(a.s, '''')',
		'SELECT 1 FROM %s a, LATERAL (SELECT ar_m_src.peek(a.s, '''') AS p OFFSET 0) x WHERE x.p',
		'SELECT 1 FROM (SELECT DISTINCT s FROM %s) x WHERE ar_m_src.peek(s, s)',
		'SELECT 1 FROM %s WHERE 1 / (CASE WHEN s LIKE ''private%%'' THEN 0 ELSE 1 END) = 1'] LOOP
		EXECUTE 'SELECT count(*) FROM (' || format(query, relation) || ') x' INTO n;
		counts := counts || n || ' ';
	END LOOP;
	RETURN counts;
END $$;
SELECT relation, ar_m_src.peeks(relation) FROM unnest('{ar_v.inlined,ar_v.barrier,ar_v.barrier_at_miss,ar_v.filtered,ar_v.filtered_twice}'::text[]) relation;
RESET ROLE;
-- options on the stub itself take nothing away from the checks
ALTER VIEW ar_v.stored SET (security_invoker = true);
SET ROLE regress_ar_mallory;
SELECT ar_m_src.try('TABLE ar_v.stored');
SET ROLE regress_ar_reader;
SELECT count(*) FROM ar_v.stored;
RESET ROLE;
ALTER VIEW ar_v.stored RESET (security_invoker);

-- "Queries and error details are shown to owners and pg_read_all_stats only."
SET ROLE regress_ar_mallory;
SELECT ar_m_src.try($$SELECT vibepiper.explain_asset('ar_v.fails')$$) AS explain, ar_m_src.try($$SELECT vibepiper.asset_query('ar_v.fails')$$) AS query, ar_m_src.try($$SELECT vibepiper.plan('ar_v')$$) AS plan;
SELECT count(*) FROM vibepiper.assets a WHERE a::text ~ 'top secret|ar_vsrc' AND pipeline = 'ar_v';
SELECT count(*) FROM vibepiper.tasks t WHERE t::text ~ 'top secret' AND asset = 'ar_v.fails';
-- an upstream that is only declared, and not mallory's to read, is not computed for it
CREATE FUNCTION ar_m_src.one() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
SELECT ar_m_src.try($$SELECT vibepiper.define_asset('ar_m.declares', 'SELECT ar_m_src.one() AS x', depends_on => '{ar_v.fails}', lazy => true), 1 / count(*) FROM ar_m.declares$$) !~ 'top secret' AS hidden;
SELECT coalesce(sum(1), 0) FROM vibepiper.dependencies WHERE upstream = 'ar_v.fails' AND asset = 'ar_m.declares';
RESET ROLE;

-- "Managing needs ownership": stubs, definitions, slots, schemas, functions.
TRUNCATE ar_m_src.attempt;
INSERT INTO ar_m_src.attempt (statement) VALUES
	('DROP VIEW ar_v.stored'), ('DROP VIEW ar_v.stored CASCADE'), ('CREATE OR REPLACE VIEW ar_v.stored AS SELECT 1 AS id'), ('ALTER VIEW ar_v.stored RENAME TO x'), ('ALTER VIEW ar_v.stored RENAME COLUMN id TO x'),
	('ALTER VIEW ar_v.stored SET SCHEMA ar_m'), ('ALTER VIEW ar_v.stored OWNER TO regress_ar_mallory'), ('ALTER VIEW ar_v.stored SET (security_invoker)'), ('COMMENT ON VIEW ar_v.stored IS ''x'''),
	('GRANT SELECT ON ar_v.stored TO regress_ar_mallory'), ('CREATE RULE x AS ON INSERT TO ar_v.stored DO INSTEAD NOTHING'),
	('CREATE TRIGGER x INSTEAD OF INSERT ON ar_v.stored FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
	('ALTER SCHEMA ar_v RENAME TO x'), ('DROP SCHEMA ar_v CASCADE'), ('CREATE VIEW ar_v.x AS SELECT 1'),
	('TABLE vibepiper_def."ar_v.stored"'), ('TABLE vibepiper_def."ar_m.own"'), ('DROP VIEW vibepiper_def."ar_m.own"'), ('GRANT SELECT ON vibepiper_def."ar_m.own" TO PUBLIC'),
	('TABLE {slot}'), ('GRANT SELECT ON {slot} TO PUBLIC'), ('LOCK TABLE {slot}'), ('ALTER TABLE {slot} OWNER TO regress_ar_mallory'), ('COMMENT ON TABLE {slot} IS ''x'''),
	('CREATE STATISTICS ar_m_src.x ON id, s FROM {slot}'), ('CREATE TRIGGER x BEFORE INSERT ON {slot} EXECUTE FUNCTION suppress_redundant_updates_trigger()'), ('CREATE POLICY x ON {slot}'),
	('CREATE TABLE ar_m_src.x (LIKE {slot})'), ('SELECT s FROM {slot} FOR UPDATE'), ('COPY {slot} TO STDOUT'), ('TRUNCATE {slot}'), ('DROP TABLE {slot}'),
	('GRANT SELECT ON ALL TABLES IN SCHEMA vibepiper_store TO PUBLIC'), ('GRANT USAGE ON SCHEMA vibepiper_store TO PUBLIC'),
	('CREATE VIEW vibepiper_def.x AS SELECT 1'), ('CREATE FUNCTION vibepiper.run(text) RETURNS int LANGUAGE sql AS ''SELECT 1'''), ('CREATE OPERATOR vibepiper.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)'),
	('DROP SCHEMA vibepiper_store CASCADE'), ('DROP EXTENSION vibepiper CASCADE'), ('DROP FUNCTION vibepiper.read_asset(regclass)'), ('ALTER EVENT TRIGGER vibepiper_on_sql_drop DISABLE'),
	('UPDATE vibepiper.mapping SET part = 1'), ('INSERT INTO vibepiper.asset_states() SELECT 1'),
	('SELECT vibepiper.define_asset(''ar_v.stored'', ''SELECT 1 AS id'')'), ('SELECT vibepiper.define_asset(''ar_v.new'', ''SELECT 1 AS id'')'), ('SELECT vibepiper.define_assets(''ar_v'', ''[]'', prune => true)'),
	('SELECT vibepiper.define_pipeline(''ar_v'')'), ('SELECT vibepiper.define_pipeline(''ar_x'', schemas => ''{ar_v}'')'), ('SELECT vibepiper.drop_asset(''ar_v.stored'', cascade => true)'), ('SELECT vibepiper.drop_pipeline(''ar_v'', cascade => true)'),
	('SELECT vibepiper.run(''ar_v'', parallel => false)'), ('SELECT vibepiper.invalidate(''ar_v.stored'')'), ('SELECT vibepiper.rollback(''ar_v'', 1)'), ('SELECT vibepiper.release(''ar_v'')'), ('SELECT vibepiper.purge(''ar_v'')'),
	('DROP OWNED BY regress_ar_victim CASCADE'), ('REASSIGN OWNED BY regress_ar_victim TO regress_ar_mallory'), ('REASSIGN OWNED BY regress_ar_mallory TO regress_ar_victim'), ('DROP ROLE regress_ar_victim');
SET ROLE regress_ar_mallory;
SELECT asset, status FROM vibepiper.run('ar_m', 'own', parallel => false);
-- refused at all, whatever the code
SELECT statement, ar_m_src.try(replace(statement, '{slot}', :'slot')) <> 'DONE' AS refused FROM ar_m_src.attempt ORDER BY n;
SELECT ar_m_src.try(format('TABLE %s', slot)) AS own_slot, ar_m_src.try(format('GRANT SELECT ON %s TO PUBLIC', slot)) AS own_slot, ar_m_src.try(format('CREATE STATISTICS ar_m_src.x ON id, s FROM %s', slot)) AS own_slot
FROM vibepiper.versions WHERE asset = 'ar_m.own' AND published;
RESET ROLE;
SELECT ar_m_src.try('DROP SCHEMA vibepiper_store CASCADE') LIKE '2BP01%' AS refused, ar_m_src.try('DROP SCHEMA vibepiper_def CASCADE') LIKE '2BP01%' AS refused;
-- what is everybody's
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'vibepiper'::regnamespace AND has_function_privilege('regress_ar_nobody', p.oid, 'EXECUTE') ORDER BY p.proname;
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname IN ('vibepiper', 'vibepiper_store') AND relkind IN ('r', 'v', 'S') AND has_table_privilege('regress_ar_nobody', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') ORDER BY 1;
SELECT nspname, has_schema_privilege('regress_ar_nobody', oid, 'USAGE') AS usage, has_schema_privilege('regress_ar_nobody', oid, 'CREATE') AS create FROM pg_namespace WHERE nspname LIKE 'vibepiper%' ORDER BY 1;
-- who may write all data does not become a superuser by it
CREATE ROLE regress_ar_writer IN ROLE pg_write_all_data, pg_read_all_data;
GRANT USAGE ON SCHEMA ar_m_src TO regress_ar_writer;
SET ROLE regress_ar_writer;
SELECT statement, ar_m_src.try(statement) FROM unnest(ARRAY[
	'UPDATE vibepiper.pipeline SET view = 10', 'UPDATE vibepiper.asset SET environment = NULL', 'UPDATE vibepiper.mapping SET slot = 1260',
	'INSERT INTO vibepiper.query_text SELECT NULL, NULL', 'DELETE FROM vibepiper.version', 'UPDATE vibepiper.runs SET status = NULL',
	'WITH w AS (DELETE FROM vibepiper.mapping RETURNING def) SELECT * FROM w', 'MERGE INTO vibepiper.mapping m USING ar_v.stored s ON m.part = s.id WHEN MATCHED THEN DELETE',
	'TRUNCATE vibepiper.run']) statement;
SELECT left(ar_m_src.try(format('DELETE FROM %s', :'slot')), 5) AS slot;
RESET ROLE;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_ar_tablespace LOCATION '';
-- names and clauses are no statements, and ask for rights
SET ROLE regress_ar_mallory;
CREATE FUNCTION ar_m_src.with_index(clause text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN vibepiper.define_asset('ar_m.clauses', 'SELECT 1 AS x', indexes => ARRAY[clause]);
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
SELECT clause, ar_m_src.with_index(clause) FROM unnest(ARRAY['(x); DROP TABLE ar_m_src.own', '(x) --', '.other (x)', '(x)); SELECT (1', 'UNIQUE', '', 'uniquear_m_src.own (id)',
	'(x) WHERE (SELECT true)', '(x) WHERE random() > 0', '((SELECT 1))', '(ar_m_src.own.id)', 'USING nothing (x)', '(x) TABLESPACE regress_ar_tablespace']) clause;
SELECT ar_m_src.try($$SELECT vibepiper.define_asset('ar_m.clauses', 'SELECT 1 AS x', indexes => '{(x)}', settings => '{default_tablespace=regress_ar_tablespace}')$$);
SELECT vibepiper.define_asset('ar_m."a""; DROP TABLE ar_m_src.own; --"', 'SELECT 1 AS "x"";y", 2 AS "select"', description => $$'; DROP TABLE ar_m_src.own$$);
SELECT asset, status FROM vibepiper.run('ar_m', '"a""; DROP TABLE ar_m_src.own; --"', parallel => false);
SELECT * FROM ar_m."a""; DROP TABLE ar_m_src.own; --";
SELECT vibepiper.define_pipeline('p"; DROP TABLE ar_m_src.own', schemas => ARRAY['s"; DROP TABLE ar_m_src.own']);
SELECT vibepiper.drop_pipeline('p"; DROP TABLE ar_m_src.own');
SELECT count(*) FROM ar_m_src.own;
RESET ROLE;
DROP TABLESPACE regress_ar_tablespace;

-- default privileges of an owner are not those of slots
SET ROLE regress_ar_mallory;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
SELECT vibepiper.define_asset('ar_m.generous', 'SELECT 1 AS x');
SELECT asset, status FROM vibepiper.run('ar_m', 'generous', parallel => false);
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC;
RESET ROLE;
SELECT has_table_privilege('regress_ar_nobody', 'ar_m.generous', 'SELECT') AS stub, has_table_privilege('regress_ar_nobody', slot, 'SELECT') AS slot FROM vibepiper.versions WHERE asset = 'ar_m.generous';

-- invalidate() reaches what the caller owns: others' assets find out by the data hash.
SET ROLE regress_ar_mallory;
SELECT vibepiper.define_asset('ar_m.base', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('ar_m.after_victim', 'SELECT 2 AS x');
GRANT SELECT ON ar_m.base TO regress_ar_victim;
SET ROLE regress_ar_victim;
SELECT vibepiper.define_asset('ar_v.on_base', 'SELECT x FROM ar_m.base');
GRANT SELECT ON ar_v.on_base TO regress_ar_mallory;
SET ROLE regress_ar_mallory;
SELECT vibepiper.define_asset('ar_m.after_victim', 'SELECT x FROM ar_v.on_base');
SELECT asset, status FROM vibepiper.run('ar_m', 'base', parallel => false);
SET ROLE regress_ar_victim;
SELECT asset, status FROM vibepiper.run('ar_v', 'on_base', parallel => false);
SET ROLE regress_ar_mallory;
SELECT asset, status FROM vibepiper.run('ar_m', 'after_victim', parallel => false);
SELECT vibepiper.invalidate('ar_m.base');
SELECT asset, invalidated FROM vibepiper.versions WHERE asset IN ('ar_m.base', 'ar_v.on_base', 'ar_m.after_victim') AND published ORDER BY 1;
SELECT asset, status FROM vibepiper.run('ar_m', 'base after_victim', parallel => false);
RESET ROLE;
SELECT vibepiper.invalidate('ar_m.base');

-- Roles that go.
SELECT ar_m_src.try('DROP ROLE regress_ar_mallory') LIKE '2BP01%' AS has_objects;
SELECT vibepiper.drop_asset('ar_v.on_base', cascade => true);
DROP OWNED BY regress_ar_mallory CASCADE;
SELECT count(*) FROM vibepiper.assets WHERE owner = 'regress_ar_mallory'::regrole;
SELECT count(*) FROM pg_class WHERE relowner = 'regress_ar_mallory'::regrole;
SELECT count(*) FROM vibepiper.pipelines WHERE owner = 'regress_ar_mallory'::regrole;
DROP ROLE regress_ar_mallory;
SET ROLE regress_ar_reader;
SELECT count(*) FROM ar_v.stored;
RESET ROLE;
SELECT vibepiper.drop_pipeline('ar_v', cascade => true);
DROP OWNED BY regress_ar_victim, regress_ar_reader, regress_ar_nobody, regress_ar_writer CASCADE;
DROP SCHEMA IF EXISTS ar_v, ar_m, ar_m_src, ar_vsrc CASCADE;
DROP ROLE regress_ar_victim, regress_ar_reader, regress_ar_nobody, regress_ar_writer;
