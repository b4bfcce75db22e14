-- What isn't followed makes an asset stale at every run, unless cache_ttl says
-- how long a result is good
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
CREATE SCHEMA fu_src;
CREATE TABLE fu_src.t (id int, at timestamp);
INSERT INTO fu_src.t VALUES (1, '2020-01-01'), (2, '2020-01-02');
CREATE SEQUENCE fu_src.s;
CREATE FUNCTION fu_src.marked_volatile() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION fu_src.says_stable() RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN random() >= 0; END';
CREATE FUNCTION fu_src.clock() RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN current_date IS NOT NULL; END';
CREATE FUNCTION fu_src.body() RETURNS bool LANGUAGE sql STABLE BEGIN ATOMIC SELECT now() IS NOT NULL; END;
-- literals, in dynamic SQL too; others only begin so
CREATE FUNCTION fu_src.today() RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM fu_src.t WHERE at > 'Today'); END $$;
CREATE FUNCTION fu_src.noon() RETURNS bool LANGUAGE sql STABLE AS $$ SELECT EXISTS (SELECT FROM fu_src.t WHERE at > ' tomorrow 12:00'::timestamp) $$;
CREATE FUNCTION fu_src.quoted() RETURNS bool LANGUAGE plpgsql STABLE AS $$
DECLARE b bool; BEGIN EXECUTE 'SELECT ''now''::timestamp IS NULL' INTO b; RETURN b; END $$;
CREATE FUNCTION fu_src.not_now() RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 'nowhere' < 'today is another day' AND 'now-a-days' <> ''; END $$;
CREATE FUNCTION fu_src.indirect() RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fu_src.clock(); END';
CREATE FUNCTION fu_src.dynamic() RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE n int;
BEGIN
	EXECUTE 'SELECT ' || 'fu_src.marked_volatile' || '()' INTO n;
	RETURN n;
END $$;
-- a word that isn't called isn't a call
CREATE FUNCTION fu_src.steady() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE now int := 1; age bigint;
BEGIN
	SELECT count(*) + now INTO age FROM fu_src.t;
	RETURN age;
END $$;
CREATE FUNCTION fu_src.policy_setting() RETURNS int LANGUAGE sql STABLE AS $$ SELECT coalesce(current_setting('fu.n', true), '1')::int $$;
CREATE FUNCTION fu_src.catalog() RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) = 0 FROM pg_class); END';
CREATE FUNCTION fu_src.sequence() RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT last_value = 0 FROM fu_src.s); END';
CREATE FUNCTION fu_src.runs() RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) = 0 FROM vibepiper.runs); END';
CREATE FUNCTION fu_src.found() RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN to_regclass('fu_src.nothing') IS NULL; END $$;
CREATE VIEW fu_src.v AS SELECT id, at > now() AS future FROM fu_src.t;
SELECT vibepiper.define_pipeline('fu');
SELECT asset, change FROM vibepiper.define_assets('fu', '[
	{"name": "steady", "query": "SELECT id, fu_src.steady() AS n FROM fu_src.t"},
	{"name": "random", "query": "SELECT random() > 2 AS never FROM fu_src.t"},
	{"name": "clock", "query": "SELECT id FROM fu_src.t WHERE at < now()"},
	{"name": "today", "query": "SELECT CURRENT_DATE >= at AS past FROM fu_src.t"},
	{"name": "age", "query": "SELECT age(at) IS NULL AS n FROM fu_src.t"},
	{"name": "session", "query": "SELECT SESSION_USER IS NULL AS n"},
	{"name": "setting", "query": "SELECT fu_src.policy_setting() AS n"},
	{"name": "pid", "query": "SELECT pg_backend_pid() = 0 AS n"},
	{"name": "catalog", "query": "SELECT fu_src.catalog() AS n"},
	{"name": "sequence", "query": "SELECT fu_src.sequence() AS n"},
	{"name": "member", "query": "SELECT pg_has_role(''pg_monitor'', ''pg_read_all_stats'', ''MEMBER'') AS m"},
	{"name": "right", "query": "SELECT has_table_privilege(''pg_monitor'', ''fu_src.t'', ''SELECT'') AS r"},
	{"name": "found", "query": "SELECT to_regclass(''fu_src.nothing'') IS NULL AS n"},
	{"name": "named", "query": "SELECT (id + 1000000)::regclass::text AS n FROM fu_src.t"},
	{"name": "in_text", "query": "SELECT fu_src.found() AS n"},
	{"name": "typed", "query": "SELECT pg_typeof(id) = ''int''::regtype AS n FROM fu_src.t"},
	{"name": "runs", "query": "SELECT fu_src.runs() AS n"},
	{"name": "sample", "query": "SELECT id FROM fu_src.t TABLESAMPLE BERNOULLI (100)"},
	{"name": "sample2", "query": "SELECT id FROM fu_src.t TABLESAMPLE BERNOULLI (100) REPEATABLE (1)"},
	{"name": "view", "query": "SELECT id, future FROM fu_src.v"},
	{"name": "marked", "query": "SELECT fu_src.marked_volatile() AS n"},
	{"name": "literal", "query": "SELECT fu_src.today() AS n"},
	{"name": "noon", "query": "SELECT fu_src.noon() AS n"},
	{"name": "quoted", "query": "SELECT fu_src.quoted() AS n"},
	{"name": "not_now", "query": "SELECT fu_src.not_now() AS n"},
	{"name": "says_stable", "query": "SELECT fu_src.says_stable() AS n"},
	{"name": "indirect", "query": "SELECT fu_src.indirect() AS n"},
	{"name": "body", "query": "SELECT fu_src.body() AS n"},
	{"name": "dynamic", "query": "SELECT fu_src.dynamic() AS n"},
	{"name": "limited", "query": "SELECT random() > 2 AS never FROM fu_src.t", "cache_ttl": "1 day"},
	{"name": "lazy", "query": "SELECT random() > 2 AS never FROM fu_src.t", "lazy": true},
	{"name": "of_lazy", "query": "SELECT never FROM lazy"},
	{"name": "after", "query": "SELECT count(*) AS n FROM clock"}]');
SELECT count(*) FROM vibepiper.run('fu') WHERE status = 'built';
SELECT asset, action, reason FROM vibepiper.plan('fu') ORDER BY asset;
-- the same rows: downstream is left alone
SELECT status, count(*) FROM vibepiper.run('fu') GROUP BY 1 ORDER BY 1;
SELECT status, count(*) FROM vibepiper.run('fu', parallel => false) GROUP BY 1 ORDER BY 1;
-- a row of a source is a change as always
INSERT INTO fu_src.t VALUES (3, '2020-01-03');
SELECT action, reason FROM vibepiper.plan('fu', 'limited');
SELECT status, reason FROM vibepiper.run('fu', 'limited');

-- How long cache_ttl says that a version is good, be it published or stored
CREATE FUNCTION fu_src.age(stub regclass, by interval) RETURNS void LANGUAGE sql AS $$
	UPDATE vibepiper.version SET as_of = as_of - $2 WHERE asset_id = (SELECT asset_id FROM vibepiper.asset WHERE asset.stub = $1) $$;
SELECT vibepiper.define_pipeline('fu_ttl');
SELECT vibepiper.define_asset('fu_ttl.steady', 'SELECT id FROM fu_src.t', cache_ttl => '1 h');
SELECT vibepiper.define_asset('fu_ttl.after', 'SELECT count(*) AS n FROM fu_ttl.steady');
SELECT vibepiper.define_asset('fu_ttl.random', 'SELECT random() > 2 AS never FROM fu_src.t', cache_ttl => '1 h');
SELECT asset, status FROM vibepiper.run('fu_ttl');
SELECT asset, action, reason FROM vibepiper.plan('fu_ttl') ORDER BY asset;
SELECT fu_src.age('fu_ttl.steady', '30 min'), fu_src.age('fu_ttl.random', '30 min');
SELECT asset, action, reason FROM vibepiper.plan('fu_ttl') ORDER BY asset;
SELECT fu_src.age('fu_ttl.random', '90 min');
SELECT asset, action, reason FROM vibepiper.plan('fu_ttl') ORDER BY asset;
SELECT fu_src.age('fu_ttl.steady', '90 min');
SELECT asset, action, reason FROM vibepiper.plan('fu_ttl') ORDER BY asset;
-- the same rows once more are good for as long again
SELECT asset, status, reason FROM vibepiper.run('fu_ttl') ORDER BY asset;
SELECT asset, action, reason FROM vibepiper.plan('fu_ttl') ORDER BY asset;
SELECT fu_src.age('fu_ttl.steady', '2 h');
SELECT asset, status, reason FROM vibepiper.run('fu_ttl', parallel => false) ORDER BY asset;
SELECT asset, action, reason FROM vibepiper.plan('fu_ttl') ORDER BY asset;
-- stored
SELECT vibepiper.define_asset('fu_ttl.steady', 'SELECT -id AS id FROM fu_src.t', cache_ttl => '1 h');
SELECT asset, status FROM vibepiper.run('fu_ttl', 'steady');
SELECT vibepiper.define_asset('fu_ttl.steady', 'SELECT id FROM fu_src.t', cache_ttl => '1 h');
SELECT action, reason FROM vibepiper.plan('fu_ttl', 'steady');
BEGIN;
SELECT fu_src.age('fu_ttl.steady', '2 h');
SELECT action, reason FROM vibepiper.plan('fu_ttl', 'steady');
SELECT status, reason FROM vibepiper.run('fu_ttl', 'steady', parallel => false);
ROLLBACK;
SELECT action, reason FROM vibepiper.plan('fu_ttl', 'steady');
SELECT status, reason FROM vibepiper.run('fu_ttl', 'steady');
SELECT id FROM fu_ttl.steady ORDER BY id;
SELECT vibepiper.drop_pipeline('fu_ttl', cascade => true);
DROP SCHEMA fu_ttl;

-- What a function calls without saying so; in a serial run the second asset finds it prepared
CREATE TYPE fu_src.pair AS (a int, b text);
CREATE FUNCTION fu_src.to_pair(int) RETURNS fu_src.pair LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN ROW($1, clock_timestamp()::text)::fu_src.pair; END';
CREATE CAST (int AS fu_src.pair) WITH FUNCTION fu_src.to_pair(int) AS ASSIGNMENT;
CREATE FUNCTION fu_src.by_default(t timestamptz DEFAULT clock_timestamp()) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN t::text; END';
CREATE FUNCTION fu_src.calls_default() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fu_src.by_default(); END';
CREATE FUNCTION fu_src.calls_other() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN fu_src.by_default('2026-01-01'); END $$;
CREATE FUNCTION fu_src.casts() RETURNS text LANGUAGE plpgsql STABLE AS 'DECLARE p fu_src.pair; BEGIN p := 1; RETURN p.b; END';
SELECT vibepiper.define_pipeline('fu_hidden');
SELECT count(*) FROM vibepiper.define_assets('fu_hidden', '[
	{"name": "default1", "query": "SELECT fu_src.calls_default() AS x"},
	{"name": "default2", "query": "SELECT fu_src.calls_default() AS x"},
	{"name": "given1", "query": "SELECT fu_src.calls_other() AS x"},
	{"name": "given2", "query": "SELECT fu_src.calls_other() AS x"},
	{"name": "cast1", "query": "SELECT fu_src.casts() AS x"},
	{"name": "cast2", "query": "SELECT fu_src.casts() AS x"}]');
SELECT asset, status FROM vibepiper.run('fu_hidden', parallel => false) ORDER BY asset;
SELECT asset, action, reason FROM vibepiper.plan('fu_hidden') ORDER BY asset;
SELECT vibepiper.drop_pipeline('fu_hidden', cascade => true);
DROP SCHEMA fu_hidden CASCADE;

-- Where and in whose database
CREATE FUNCTION fu_src.schema_of_text() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN current_schema; END';
CREATE ROLE fu_policy;
CREATE TABLE fu_src.stored (id int);
ALTER TABLE fu_src.stored ENABLE ROW LEVEL SECURITY;
CREATE POLICY first ON fu_src.stored USING (ctid <= '(0,2)');
CREATE FUNCTION fu_src.reads_stored() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM fu_src.stored); END';
SELECT vibepiper.define_pipeline('fu_more');
SELECT count(*) FROM vibepiper.define_assets('fu_more', '[
	{"name": "schema", "query": "SELECT current_schema::text AS x"},
	{"name": "schema_of_text", "query": "SELECT fu_src.schema_of_text() AS x"},
	{"name": "catalog", "query": "SELECT current_catalog::text AS x"},
	{"name": "ctid", "query": "SELECT ctid::text AS x FROM fu_src.t"},
	{"name": "locked", "query": "SELECT xmax::text AS x FROM fu_src.t"},
	{"name": "policy", "query": "SELECT fu_src.reads_stored() AS x"},
	{"name": "age", "query": "SELECT age(xmin) AS x FROM fu_src.t"},
	{"name": "zone", "query": "SELECT (time ''12:00'')::timetz AS x"},
	{"name": "user", "query": "SELECT current_user::text AS x"}]');
GRANT SELECT ON fu_src.stored TO fu_policy;
GRANT USAGE ON SCHEMA fu_src TO fu_policy;
GRANT CREATE ON SCHEMA fu_more TO fu_policy;
ALTER VIEW fu_more.policy OWNER TO fu_policy;
SELECT count(*) FROM vibepiper.run('fu_more');
SELECT asset, action, reason FROM vibepiper.plan('fu_more') ORDER BY asset;
SELECT vibepiper.drop_pipeline('fu_more', cascade => true);
DROP SCHEMA fu_more CASCADE;

-- A policy that reads a setting, for whom it is meant
CREATE ROLE fu_role;
GRANT USAGE ON SCHEMA fu_src TO fu_role;
GRANT CREATE ON SCHEMA fu TO fu_role;
CREATE TABLE fu_src.secured (n int);
INSERT INTO fu_src.secured VALUES (1), (2);
GRANT SELECT ON fu_src.secured TO fu_role;
ALTER TABLE fu_src.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_setting ON fu_src.secured USING (n = current_setting('fu.n', true)::int);
CREATE VIEW fu_src.of_role AS SELECT n FROM fu_src.secured;
ALTER VIEW fu_src.of_role OWNER TO fu_role;
CREATE FUNCTION fu_src.reads_secured() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER AS 'BEGIN RETURN (SELECT sum(n) FROM fu_src.secured); END';
ALTER FUNCTION fu_src.reads_secured() OWNER TO fu_role;
SELECT vibepiper.define_asset('fu.policy', 'SELECT n FROM fu_src.secured');
SELECT vibepiper.define_asset('fu.policy_view', 'SELECT n FROM fu_src.of_role');
SELECT vibepiper.define_asset('fu.policy_function', 'SELECT fu_src.reads_secured() AS n');
ALTER VIEW fu.policy OWNER TO fu_role;
SELECT asset, status FROM vibepiper.run('fu', 'policy policy_view policy_function');
SELECT asset, action, reason FROM vibepiper.plan('fu', 'policy policy_view policy_function') ORDER BY asset;
SET fu.n = 2;
SELECT asset, status, reason FROM vibepiper.run('fu', 'policy policy_view policy_function', parallel => false) ORDER BY asset;
SELECT (SELECT array_agg(n) FROM fu.policy) AS policy, (SELECT array_agg(n) FROM fu.policy_view) AS view, (SELECT n FROM fu.policy_function) AS function;
RESET fu.n;
-- ... and for whom it isn't, until it is
CREATE ROLE fu_exempt BYPASSRLS;
GRANT USAGE ON SCHEMA fu_src TO fu_exempt;
GRANT CREATE ON SCHEMA fu TO fu_exempt;
GRANT SELECT ON fu_src.secured TO fu_exempt;
SELECT vibepiper.define_asset('fu.policy_owner', 'SELECT n FROM fu_src.secured');
SELECT vibepiper.define_asset('fu.policy_exempt', 'SELECT n FROM fu_src.secured');
ALTER VIEW fu.policy_exempt OWNER TO fu_exempt;
SELECT asset, status FROM vibepiper.run('fu', 'policy_owner policy_exempt') ORDER BY asset;
SELECT asset, status FROM vibepiper.run('fu', 'policy_owner policy_exempt') ORDER BY asset;
ALTER ROLE fu_exempt NOBYPASSRLS;
SELECT asset, status, reason FROM vibepiper.run('fu', 'policy_owner policy_exempt') ORDER BY asset;
SELECT asset, action, reason FROM vibepiper.plan('fu', 'policy_owner policy_exempt') ORDER BY asset;
SELECT (SELECT array_agg(n ORDER BY n) FROM fu.policy_owner) AS owner, (SELECT array_agg(n) FROM fu.policy_exempt) AS exempt;

-- Foreign tables, as partitions, too
CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SERVER fu_files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE fu_src.foreign_rows (line text) SERVER fu_files OPTIONS (filename 'PG_VERSION');
CREATE TABLE fu_src.part (line text) PARTITION BY LIST (line);
CREATE TABLE fu_src.part1 PARTITION OF fu_src.part FOR VALUES IN ('1');
CREATE TABLE fu_src.parent (line text);
SELECT vibepiper.define_asset('fu.of_part', 'SELECT count(*) > 0 AS some FROM fu_src.part');
SELECT vibepiper.define_asset('fu.of_parent', 'SELECT count(*) > 0 AS some FROM fu_src.parent');
SELECT asset, status FROM vibepiper.run('fu', 'of_part of_parent') ORDER BY asset;
CREATE FOREIGN TABLE fu_src.child () INHERITS (fu_src.parent) SERVER fu_files OPTIONS (filename 'PG_VERSION');
ALTER TABLE fu_src.part ATTACH PARTITION fu_src.foreign_rows DEFAULT;
SELECT asset, status, reason FROM vibepiper.run('fu', 'of_part of_parent') ORDER BY asset;
SELECT a.some, b.some FROM fu.of_part a, fu.of_parent b;
SELECT vibepiper.define_asset('fu.of_foreign', 'SELECT count(*) AS n FROM fu_src.foreign_rows');
SELECT vibepiper.define_asset('fu.of_part', 'SELECT count(*) AS n FROM fu_src.part');
SELECT vibepiper.define_asset('fu.of_foreign_ttl', 'SELECT count(*) AS n FROM fu_src.foreign_rows', cache_ttl => '1 h');
SELECT count(*) FROM vibepiper.run('fu', 'of_foreign of_part of_foreign_ttl') WHERE status = 'built';
SELECT asset, action, reason FROM vibepiper.plan('fu', 'of_foreign of_part of_foreign_ttl');

RESET vibepiper.progress;
SELECT vibepiper.drop_pipeline('fu', cascade => true);
DROP SCHEMA fu, fu_src CASCADE;
DROP SERVER fu_files;
DROP ROLE fu_role, fu_exempt, fu_policy;
