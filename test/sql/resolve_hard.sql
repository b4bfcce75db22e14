-- Hard cases of reading and building, each once a bug.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE SCHEMA hard_src;
CREATE TABLE hard_src.t (id int, v int);
INSERT INTO hard_src.t SELECT g, g FROM generate_series(1, 100) AS g;
SELECT vibepiper.define_pipeline('hard', keep_versions => 1);

-- A refilled slot checks its unique indexes as a new one does
SELECT vibepiper.define_asset('hard.u', 'SELECT id, v FROM hard_src.t', indexes => '{UNIQUE (id)}');
SELECT asset, status FROM vibepiper.run('hard', parallel => false);
UPDATE hard_src.t SET v = v + 1;
SELECT asset, status FROM vibepiper.run('hard', force => true, parallel => false);
UPDATE hard_src.t SET v = v + 1;
SELECT asset, status FROM vibepiper.run('hard', force => true, parallel => false);
SELECT count(DISTINCT slot) < 3 AS refilled FROM vibepiper.versions WHERE asset = 'hard.u';
INSERT INTO hard_src.t VALUES (100, 0);
SELECT asset, status, regexp_replace(error, '"[^"]*"', 'INDEX') AS error
FROM vibepiper.run('hard', force => true, parallel => false, on_failure => 'report');
SELECT count(*), count(DISTINCT id) FROM hard.u;
DELETE FROM hard_src.t WHERE v = 0;

-- Indexes that are rebuilt concurrently get other Oids
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
PREPARE point(int) AS SELECT v FROM hard.u WHERE id = $1;
EXECUTE point(7);
SELECT c.oid::regclass AS slot FROM pg_class AS c JOIN vibepiper.versions AS v ON c.oid = v.slot::regclass
WHERE v.asset = 'hard.u' AND v.published \gset
REINDEX TABLE CONCURRENTLY :slot;
EXECUTE point(7);
EXECUTE point(8);
UPDATE hard_src.t SET v = -v;
SELECT asset, status FROM vibepiper.run('hard', force => true, parallel => false);
EXECUTE point(7);
DEALLOCATE point;
RESET enable_seqscan;
RESET plan_cache_mode;

-- A right on one column of the stub is no right to read it all
CREATE ROLE regress_hard_reader;
GRANT USAGE ON SCHEMA hard TO regress_hard_reader;
GRANT SELECT (id) ON hard.u TO regress_hard_reader;
SELECT 'vibepiper_def."hard.u"'::regclass::oid AS def \gset
SET ROLE regress_hard_reader;
SELECT count(id) FROM hard.u;
SELECT max(v) FROM hard.u;
SELECT count(*) FROM vibepiper.read_asset(:def) AS t(id int, v int);
RESET ROLE;

-- Nor is the right to delete through it, with a trigger that stands in for that
CREATE FUNCTION hard_src.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER nothing INSTEAD OF DELETE ON hard.u FOR EACH ROW EXECUTE FUNCTION hard_src.nothing();
GRANT DELETE ON hard.u TO regress_hard_reader;
SET ROLE regress_hard_reader;
DELETE FROM hard.u USING vibepiper.read_asset(:def) AS t(id int, v int) WHERE t.id = 1 RETURNING t.v;
RESET ROLE;
DROP TRIGGER nothing ON hard.u;

-- Behind a view with security_invoker the owner's rights count, before and after a run
CREATE VIEW hard_src.invoker WITH (security_invoker = true) AS SELECT id FROM hard_src.t;
SELECT vibepiper.define_asset('hard.inv', 'SELECT id FROM hard_src.invoker');
GRANT SELECT ON hard.inv TO regress_hard_reader;
SET ROLE regress_hard_reader;
SELECT count(*) FROM hard.inv;
RESET ROLE;
SELECT asset, status FROM vibepiper.run('hard', 'inv', parallel => false);
SET ROLE regress_hard_reader;
SELECT count(*) FROM hard.inv;
RESET ROLE;

-- A leaky function sees the asset's rows only, whether stored or not
SELECT vibepiper.define_asset('hard.few', 'SELECT id, v FROM hard_src.t WHERE id <= 2');
CREATE FUNCTION hard_src.leak(int) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS
	$$BEGIN RAISE WARNING 'sees %', $1; RETURN true; END$$;
SELECT count(*) FROM hard.few WHERE hard_src.leak(id);

-- Functions that run in parallel workers know what the run staged, too
SELECT vibepiper.define_asset('hard.p', 'SELECT 1 AS x');
CREATE FUNCTION hard_src.x() RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE AS
	$$BEGIN RETURN (SELECT x FROM hard.p); END$$;
SELECT vibepiper.define_asset('hard.q', 'SELECT hard_src.x() AS x, id FROM hard_src.t', depends_on => '{hard.p}',
	settings => '{parallel_setup_cost=0,parallel_tuple_cost=0,min_parallel_table_scan_size=0}');
SELECT asset, status FROM vibepiper.run('hard', 'p q', parallel => false);
SELECT vibepiper.define_asset('hard.p', 'SELECT 2 AS x');
SELECT asset, status FROM vibepiper.run('hard', 'p q', parallel => false);
SELECT x, count(*) FROM hard.q GROUP BY x;

-- A computed miss sees what its statement sees, not what that does meanwhile
CREATE TABLE hard_src.w (n int);
INSERT INTO hard_src.w VALUES (1), (2);
CREATE FUNCTION hard_src.add() RETURNS int LANGUAGE sql AS 'INSERT INTO hard_src.w VALUES (3) RETURNING n';
CREATE FUNCTION hard_src.same(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1';
SELECT vibepiper.define_asset('hard.w', 'SELECT hard_src.same(count(*)) AS c FROM hard_src.w');
SELECT hard_src.add(), (SELECT c FROM hard.w);
SELECT c FROM hard.w;

-- An asset that was moved into another pipeline's schema isn't that pipeline's
CREATE ROLE regress_hard_other;
GRANT USAGE ON SCHEMA vibepiper TO regress_hard_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_hard_other;
CREATE SCHEMA hard_other AUTHORIZATION regress_hard_other;
SET ROLE regress_hard_other;
SELECT vibepiper.define_pipeline('hard_other');
RESET ROLE;
ALTER VIEW hard.p SET SCHEMA hard_other;

-- Recursion of one cached plan while a publication lies between its levels
CREATE FUNCTION hard_src.down(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	result text := '';
BEGIN
	FOR r IN SELECT v FROM hard.u WHERE id IN (7, 8) ORDER BY id LOOP
		IF n > 0 THEN
			UPDATE hard_src.t SET v = v + 1000;
			PERFORM vibepiper.run('hard', 'u', force => true, parallel => false);
			result := result || '(' || hard_src.down(n - 1) || ')';
		END IF;
		result := result || r.v || ' ';
	END LOOP;
	RETURN result;
END$$;
SELECT hard_src.down(2);

SELECT vibepiper.drop_pipeline('hard_other', cascade => true);
SELECT vibepiper.drop_pipeline('hard', cascade => true);
DROP SCHEMA hard, hard_other, hard_src CASCADE;
REVOKE ALL ON SCHEMA vibepiper FROM regress_hard_other;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vibepiper FROM regress_hard_other;
DROP ROLE regress_hard_reader, regress_hard_other;
