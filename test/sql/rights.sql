-- Who may define, run, manage, read and see what.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE ROLE regress_ri_owner;
CREATE ROLE regress_ri_member IN ROLE regress_ri_owner;
CREATE ROLE regress_ri_other;
CREATE ROLE regress_ri_reader;
CREATE ROLE regress_ri_stats IN ROLE pg_read_all_stats;
CREATE ROLE regress_ri_nobody;
-- what an administrator grants to those who build pipelines
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_ri_owner, regress_ri_other;
SELECT current_database() AS db \gset
GRANT CREATE ON DATABASE :"db" TO regress_ri_owner, regress_ri_other;
CREATE SCHEMA ri_src;
CREATE TABLE ri_src.t AS SELECT 1 AS id, 'secret'::text AS x;
CREATE TABLE ri_src.hidden AS SELECT 1 AS id;
GRANT USAGE ON SCHEMA ri_src TO regress_ri_owner, regress_ri_other;
GRANT SELECT ON ri_src.t TO regress_ri_owner;

-- Nothing is PUBLIC's
SET ROLE regress_ri_nobody;
SELECT vibepiper.define_pipeline('ri');
SELECT vibepiper.define_asset('ri.a', 'SELECT 1 AS x');
SELECT vibepiper.define_assets('ri', '[]');
SELECT vibepiper.drop_asset('ri.a');
SELECT vibepiper.drop_pipeline('ri');
SELECT vibepiper.plan('ri');
SELECT vibepiper.run('ri', parallel => false);
SELECT vibepiper.invalidate('ri.a');
SELECT vibepiper.purge('ri');
SELECT vibepiper.rollback('ri', 1);
SELECT vibepiper.release('ri');
SELECT vibepiper.asset_query('ri.a');
SELECT vibepiper.explain_asset('ri.a');
SELECT count(*) FROM vibepiper.asset;
SELECT count(*) FROM vibepiper.version;
SELECT hash_seed FROM vibepiper.installation;
SELECT count(*) >= 0 AS views_are FROM vibepiper.assets;
RESET ROLE;

-- An owner who is no superuser
SET ROLE regress_ri_owner;
SELECT vibepiper.define_pipeline('ri');
SELECT vibepiper.define_asset('ri.a', 'SELECT id, x FROM ri_src.t', indexes => '{UNIQUE (id)}', description => 'described');
SELECT vibepiper.define_asset('ri.b', 'SELECT id FROM ri.a');
SELECT vibepiper.define_asset('ri.no_right', 'SELECT id FROM ri_src.hidden');
SELECT asset, status FROM vibepiper.run('ri', parallel => false);
SELECT * FROM ri.a;
SELECT asset, owner FROM vibepiper.assets WHERE pipeline = 'ri' ORDER BY 1;
SELECT vibepiper.define_asset('ri.a', 'SELECT id, x, 1 AS more FROM ri_src.t', indexes => '{UNIQUE (id)}');
SELECT asset, status FROM vibepiper.run('ri', parallel => false);
SELECT vibepiper.invalidate('ri.a');
SELECT vibepiper.is_fresh('ri.a'), vibepiper.purge('ri') >= 0 AS purged;
SELECT asset, status FROM vibepiper.run('ri', parallel => false);
SELECT DISTINCT relowner::regrole, relacl FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r' AND relname LIKE 'a\_%';
-- a schema that the owner may not create in, settings that are not the owner's to set
SELECT vibepiper.define_pipeline('ri_no', schemas => '{ri_src}');
SELECT vibepiper.define_pipeline('ri_set', settings => '{log_statement=none}');
SELECT vibepiper.define_asset('ri.set', 'SELECT 1 AS x', settings => '{session_replication_role=replica}');
RESET ROLE;

-- A member of the owner's role manages, too, and the owner stays the owner
SET ROLE regress_ri_member;
SELECT asset, status FROM vibepiper.run('ri', force => true, parallel => false);
SELECT vibepiper.define_asset('ri.c', 'SELECT id FROM ri.b');
SELECT asset, status FROM vibepiper.run('ri', parallel => false);
SELECT DISTINCT owner FROM vibepiper.assets WHERE pipeline = 'ri';
SELECT vibepiper.drop_asset('ri.c');
RESET ROLE;

-- Another user who may use the functions does not reach this pipeline
SET ROLE regress_ri_other;
SELECT vibepiper.define_pipeline('ri');
SELECT vibepiper.define_pipeline('ri_x', schemas => '{ri}');
SELECT vibepiper.define_asset('ri.a', 'SELECT 1 AS id, ''x'' AS x, 1 AS more');
SELECT vibepiper.define_asset('ri.d', 'SELECT 1 AS id');
SELECT vibepiper.define_assets('ri', '[]', prune => true);
SELECT vibepiper.define_assets('ri', '[]', dry_run => true);
SELECT vibepiper.drop_asset('ri.a');
SELECT vibepiper.drop_pipeline('ri', cascade => true);
SELECT vibepiper.plan('ri');
SELECT vibepiper.run('ri', parallel => false);
SELECT vibepiper.invalidate('ri.a');
SELECT vibepiper.purge('ri');
SELECT vibepiper.rollback('ri', 1);
SELECT vibepiper.release('ri');
SELECT vibepiper.asset_query('ri.a');
SELECT vibepiper.explain_asset('ri.a');
SELECT vibepiper.is_fresh('ri.a');
SELECT * FROM ri.a;
SELECT vibepiper.define_pipeline('ri_other');
SELECT vibepiper.define_asset('ri_other.steals', 'SELECT x FROM ri.a');
SELECT vibepiper.define_asset('ri_other.steals', 'SELECT x FROM ri_src.t');
SELECT vibepiper.define_asset('ri_other.own', 'SELECT 1 AS x');
SELECT vibepiper.define_asset('ri_other.own', 'SELECT 1 AS x', depends_on => '{ri.a}') IN ('options changed') AS declared;
SELECT asset, status FROM vibepiper.run('ri_other', parallel => false);
DROP VIEW ri.a;
RESET ROLE;

-- Reading needs SELECT on the stub, and nothing on the source
GRANT USAGE ON SCHEMA ri TO regress_ri_reader;
SET ROLE regress_ri_reader;
SELECT * FROM ri.a;
RESET ROLE;
GRANT SELECT ON ri.a TO regress_ri_reader;
SET ROLE regress_ri_reader;
SELECT * FROM ri.a;
SELECT * FROM ri.b;
SELECT * FROM ri_src.t;
SELECT vibepiper.is_fresh('ri.a');
SELECT vibepiper.is_fresh('ri.b');
SELECT vibepiper.asset_query('ri.a');
DO $$
BEGIN
    EXECUTE 'SELECT 1 FROM ' || (SELECT slot FROM vibepiper.versions WHERE asset = 'ri.a' AND published);
EXCEPTION WHEN insufficient_privilege THEN
    RAISE INFO 'denied';
END $$;
DO $$
BEGIN
    PERFORM 1 FROM vibepiper_def."ri.a";
EXCEPTION WHEN insufficient_privilege THEN
    RAISE INFO 'denied';
END $$;
SELECT vibepiper.may_see('regress_ri_owner'::regrole);
RESET ROLE;

-- Queries and errors are the owner's, and pg_read_all_stats'
SET ROLE regress_ri_owner;
SELECT vibepiper.define_asset('ri.fails', 'SELECT x::int AS x FROM ri_src.t');
SELECT asset, status FROM vibepiper.run('ri', 'fails', parallel => false, on_failure => 'report');
RESET ROLE;
CREATE FUNCTION ri_src.sees(OUT query bool, OUT last_error bool, OUT message bool, OUT state text) LANGUAGE sql SECURITY INVOKER AS $$
    SELECT a.query IS NOT NULL, a.last_error IS NOT NULL, t.error_message IS NOT NULL OR t.error_context IS NOT NULL, t.error_sqlstate
    FROM vibepiper.assets a JOIN vibepiper.tasks t USING (asset) WHERE asset = 'ri.fails'
$$;
GRANT USAGE ON SCHEMA ri_src TO PUBLIC;
SET ROLE regress_ri_owner;
SELECT * FROM ri_src.sees();
SET ROLE regress_ri_member;
SELECT * FROM ri_src.sees();
SET ROLE regress_ri_stats;
SELECT * FROM ri_src.sees();
SET ROLE regress_ri_reader;
SELECT * FROM ri_src.sees();
SET ROLE regress_ri_other;
SELECT * FROM ri_src.sees();
RESET ROLE;
-- what it is called and its state are not hidden; the definition's text is not in a view that others may read
SET ROLE regress_ri_nobody;
SELECT asset, pipeline, state FROM vibepiper.assets WHERE asset = 'ri.fails';
SELECT settings IS NULL AND query IS NULL AS hidden FROM vibepiper.assets WHERE asset = 'ri.fails';
RESET ROLE;

-- Computed as the owner, in a run and at a miss: rights of the owner, not of who runs or reads
SET ROLE regress_ri_owner;
SELECT vibepiper.define_asset('ri.who', 'SELECT current_user::text AS who, session_user = current_user AS same FROM ri_src.t');
RESET ROLE;
GRANT SELECT ON ri.who TO regress_ri_reader;
SET ROLE regress_ri_reader;
SELECT who FROM ri.who;
RESET ROLE;
SELECT asset, status FROM vibepiper.run('ri', 'who', parallel => false);
SELECT who FROM ri.who;
-- with a right that was taken away since, a run fails and readers keep what was stored
REVOKE SELECT ON ri_src.t FROM regress_ri_owner;
SELECT asset, status, error FROM vibepiper.run('ri', 'a', force => true, parallel => false, on_failure => 'report');
SET ROLE regress_ri_reader;
SELECT id, x FROM ri.a;
RESET ROLE;
GRANT SELECT ON ri_src.t TO regress_ri_owner;

-- DROP OWNED takes assets along; REASSIGN OWNED hands them over
SET ROLE regress_ri_other;
SELECT vibepiper.define_asset('ri_other.more', 'SELECT 2 AS x');
SELECT asset, status FROM vibepiper.run('ri_other', parallel => false);
RESET ROLE;
REASSIGN OWNED BY regress_ri_other TO regress_ri_owner;
SELECT asset, owner FROM vibepiper.assets WHERE pipeline = 'ri_other' ORDER BY 1;
SET ROLE regress_ri_owner;
SELECT x FROM ri_other.more;
SELECT vibepiper.define_asset('ri_other.more', 'SELECT 3 AS x');
SELECT asset, status FROM vibepiper.run('ri_other', 'more', force => true, parallel => false);
RESET ROLE;
SELECT pipeline, owner FROM vibepiper.pipelines WHERE pipeline LIKE 'ri%' ORDER BY 1;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vibepiper FROM regress_ri_owner, regress_ri_other;
DROP OWNED BY regress_ri_owner CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline LIKE 'ri%' ORDER BY 1;
SELECT count(*) FROM pg_class WHERE relowner = 'regress_ri_owner'::regrole;

SELECT vibepiper.drop_pipeline(pipeline, cascade => true) FROM vibepiper.pipelines WHERE pipeline LIKE 'ri%';
DROP OWNED BY regress_ri_owner, regress_ri_member, regress_ri_other, regress_ri_reader, regress_ri_stats, regress_ri_nobody CASCADE;
DROP SCHEMA IF EXISTS ri, ri_other, ri_src CASCADE;
DROP ROLE regress_ri_member, regress_ri_owner, regress_ri_other, regress_ri_reader, regress_ri_stats, regress_ri_nobody;
