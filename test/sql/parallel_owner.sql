-- Parallel runs and rights: who runs, as whom assets are computed, what they leave behind, who sees what.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
SET vibepiper.max_workers = 2;
SET TimeZone = 'UTC';

CREATE ROLE regress_po_owner;
CREATE ROLE regress_po_second;
CREATE ROLE regress_po_member LOGIN IN ROLE regress_po_owner;
CREATE ROLE regress_po_other LOGIN;
CREATE ROLE regress_po_stats IN ROLE pg_read_all_stats;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_po_owner, regress_po_second, regress_po_other;
SELECT current_database() AS db \gset
GRANT CREATE ON DATABASE :"db" TO regress_po_owner, regress_po_other;
CREATE SCHEMA po_src;
GRANT USAGE, CREATE ON SCHEMA po_src TO PUBLIC;
CREATE TABLE po_src.t AS SELECT 1 AS id;
GRANT SELECT ON po_src.t TO PUBLIC;
CREATE TABLE po_src.hidden AS SELECT 1 AS id;
CREATE FUNCTION po_src.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- Only owners run, retry, wait and cancel, themselves or as members of the owner
SET ROLE regress_po_owner;
SELECT vibepiper.define_pipeline('po', publish => 'succeeded', settings => '{work_mem=1MB, DateStyle=ISO}');
SELECT vibepiper.define_asset('po.a', 'SELECT id, current_user::text AS who FROM po_src.t');
SELECT vibepiper.define_asset('po.secret_error', 'SELECT (''secret '' || id)::int AS n FROM po_src.t');
SELECT asset, status FROM vibepiper.run('po', on_failure => 'report');
SELECT max(run_id) AS run_id FROM vibepiper.runs \gset
RESET ROLE;
SET ROLE regress_po_other;
SELECT vibepiper.run('po');
SELECT call, po_src.sqlstate(format('SELECT vibepiper.%s(%s)', call, :run_id)) FROM unnest('{retry_run,wait_run,cancel_run}'::text[]) call;
SELECT vibepiper.run('po', wait => false, overlap => 'join');
RESET ROLE;
SET ROLE regress_po_member;
SELECT asset, status FROM vibepiper.run('po', 'a', force => true);
SELECT vibepiper.wait_run(:run_id), vibepiper.cancel_run(:run_id);
SELECT po_src.sqlstate(format('SELECT vibepiper.retry_run(%s)', :run_id));
RESET ROLE;
SELECT role, count(*) FROM vibepiper.runs WHERE pipeline = 'po' GROUP BY 1 ORDER BY 1;
-- a run in progress
SELECT pg_advisory_lock(7617769);
SET vibepiper.debug_point = 'run.filled=wait';
SELECT run_id FROM vibepiper.run('po', 'a', force => true, wait => false) \gset
RESET vibepiper.debug_point;
DO $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
        OR NOT EXISTS (SELECT FROM vibepiper.run_progress WHERE running = 1) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
SET ROLE regress_po_other;
SELECT call, po_src.sqlstate(format('SELECT vibepiper.%s(%s)', call, :run_id)) FROM unnest('{retry_run,wait_run,cancel_run}'::text[]) call;
SELECT po_src.sqlstate($$SELECT vibepiper.run('po', overlap => 'join')$$);
-- others see that and how it runs, but no query: not in pg_stat_activity either
SELECT pipeline, phase, assets, running FROM vibepiper.run_progress;
SELECT asset, phase FROM vibepiper.run_workers;
SELECT backend_type, query FROM pg_stat_activity WHERE pid IN (SELECT pid FROM vibepiper.run_workers UNION SELECT leader_pid FROM vibepiper.run_progress) ORDER BY 1;
SELECT left(po_src.sqlstate('SELECT pg_terminate_backend(pid) FROM vibepiper.run_workers'), 5), left(po_src.sqlstate('SELECT pg_cancel_backend(leader_pid) FROM vibepiper.run_progress'), 5);
RESET ROLE;
SET ROLE regress_po_stats;
SELECT backend_type, regexp_replace(query, 'run \d+', 'run N') AS query FROM pg_stat_activity WHERE pid IN (SELECT pid FROM vibepiper.run_workers UNION SELECT leader_pid FROM vibepiper.run_progress) ORDER BY 1;
RESET ROLE;
SELECT pg_advisory_unlock(7617769);
SELECT vibepiper.wait_run(:run_id);

-- Error messages are the owner's, in tables and in what the run says
CREATE FUNCTION po_src.sees() RETURNS TABLE (status text, code text, message text, last_error text) LANGUAGE sql AS $$
    SELECT t.status, t.error_sqlstate, t.error_message, a.last_error FROM vibepiper.tasks t JOIN vibepiper.assets a USING (asset) WHERE asset = 'po.secret_error'
$$;
SET ROLE regress_po_owner;
SELECT * FROM po_src.sees();
SET ROLE regress_po_member;
SELECT * FROM po_src.sees();
SET ROLE regress_po_stats;
SELECT * FROM po_src.sees();
SET ROLE regress_po_other;
SELECT * FROM po_src.sees();
RESET ROLE;

-- As whom, and under which settings an asset is computed: each as its owner, as recorded when it was defined
CREATE FUNCTION po_src.here(OUT who text, OUT session text, OUT path text, OUT zone text, OUT style text, OUT memory text, OUT role text) LANGUAGE sql VOLATILE AS $$
    SELECT current_user::text, session_user::text, current_setting('search_path'), current_setting('TimeZone'), current_setting('DateStyle'), current_setting('work_mem'), current_setting('role')
$$;
SET ROLE regress_po_owner;
SET TimeZone = 'Asia/Tokyo';
SET search_path = po_src, public;
SELECT vibepiper.define_asset('po.here', 'SELECT h.*, timestamptz ''2026-01-01 00:00:00+00''::text AS t FROM here() h');
SELECT vibepiper.define_asset('po.here2', 'SELECT h.* FROM po_src.here() h', settings => '{work_mem=2MB}');
RESET search_path;
SET TimeZone = 'UTC';
RESET ROLE;
SELECT vibepiper.define_asset('po.here3', 'SELECT h.* FROM po_src.here() h');
ALTER VIEW po.here3 OWNER TO regress_po_second;
SELECT asset, owner FROM vibepiper.assets WHERE asset LIKE 'po.here%' ORDER BY 1;
SET SESSION AUTHORIZATION regress_po_member;
SET work_mem = '3MB';
SELECT asset, status, error FROM vibepiper.run('po', 'here*', on_failure => 'report');
RESET work_mem;
RESET SESSION AUTHORIZATION;
SELECT who, session, path, zone, style, memory, role, t FROM po.here;
SELECT * FROM po.here2;
SELECT who, session, path, memory, role FROM po.here3;
SELECT role FROM vibepiper.runs ORDER BY run_id DESC LIMIT 1;
-- whoever the session is, the assets' owners are the same
SET ROLE regress_po_second;
SELECT po_src.sqlstate($$SELECT vibepiper.run('po', 'here3')$$);
RESET ROLE;
-- a serial run of this session gives the same, but for who that is
CREATE TABLE po_src.kept AS SELECT who, path, zone, style, memory, role FROM po.here UNION ALL SELECT who, path, zone, style, memory, role FROM po.here2 UNION ALL SELECT who, path, zone, style, memory, role FROM po.here3;
SELECT asset, status FROM vibepiper.run('po', 'here*', force => true, parallel => false);
SELECT who, path, zone, style, memory, role FROM po.here UNION ALL SELECT who, path, zone, style, memory, role FROM po.here2 UNION ALL SELECT who, path, zone, style, memory, role FROM po.here3 EXCEPT ALL TABLE po_src.kept;
SELECT bool_and(session = session_user) AS this_session FROM (SELECT session FROM po.here UNION ALL SELECT session FROM po.here2) s;
-- rights of the owner, not of the caller, count
SET ROLE regress_po_owner;
SELECT po_src.sqlstate($$SELECT vibepiper.define_asset('po.hidden', 'SELECT id FROM po_src.hidden')$$);
RESET ROLE;
GRANT SELECT ON po_src.hidden TO regress_po_owner;
SET ROLE regress_po_owner;
SELECT vibepiper.define_asset('po.hidden', 'SELECT id FROM po_src.hidden');
RESET ROLE;
REVOKE SELECT ON po_src.hidden FROM regress_po_owner;
SELECT asset, status, error FROM vibepiper.run('po', 'hidden', on_failure => 'report');
SELECT vibepiper.drop_asset('po.hidden');

-- SET ROLE within a transaction; a SECURITY DEFINER function of the pipeline's owner
BEGIN;
SET LOCAL ROLE regress_po_owner;
SELECT asset, status FROM vibepiper.run('po', 'a', force => true);
COMMIT;
SET ROLE regress_po_owner;
CREATE FUNCTION po_src.run_it() RETURNS TABLE (asset text, status text) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT asset, status FROM vibepiper.run('po', 'a here', force => true)
$$;
RESET ROLE;
SET SESSION AUTHORIZATION regress_po_other;
SELECT current_user, po_src.sqlstate($$SELECT vibepiper.run('po')$$);
SELECT * FROM po_src.run_it();
RESET SESSION AUTHORIZATION;
SELECT who, session FROM po.here;
SELECT role FROM vibepiper.runs ORDER BY run_id DESC LIMIT 1;
-- What an asset's function does stays in its task: the worker's next task finds nothing of it
SET ROLE regress_po_owner;
SELECT vibepiper.define_pipeline('po_leaves', max_workers => 1, publish => 'succeeded');
CREATE FUNCTION po_src.leave(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    CASE what
        WHEN 'setting' THEN PERFORM set_config('work_mem', '77MB', false), set_config('po.custom', 'left', false), set_config('search_path', 'po_src', false),
            set_config('TimeZone', 'Asia/Tokyo', false), set_config('synchronous_commit', 'off', false), set_config('application_name', 'left', false);
        WHEN 'lock' THEN PERFORM pg_advisory_lock(77), pg_advisory_lock_shared(78), pg_advisory_xact_lock(79);
        WHEN 'prepared' THEN EXECUTE 'PREPARE left_behind AS SELECT 1';
        WHEN 'temp' THEN EXECUTE 'CREATE TEMP TABLE left_behind (x int)';
        WHEN 'role' THEN EXECUTE 'SET ROLE regress_po_second';
        WHEN 'listen' THEN EXECUTE 'LISTEN left_behind';
        WHEN 'cursor' THEN EXECUTE 'DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1';
        WHEN 'isolation' THEN EXECUTE 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY';
        WHEN 'commit' THEN EXECUTE 'COMMIT';
        WHEN 'debug' THEN PERFORM set_config('vibepiper.debug_point', 'worker.begun=error', false);
        WHEN 'run' THEN PERFORM vibepiper.run('po');
        WHEN 'retry' THEN PERFORM vibepiper.retry_run(max(run_id)) FROM vibepiper.runs;
        WHEN 'wait' THEN PERFORM vibepiper.wait_run(max(run_id)) FROM vibepiper.runs;
        WHEN 'cancel' THEN PERFORM vibepiper.cancel_run(max(run_id)) FROM vibepiper.runs;
        WHEN 'fail' THEN PERFORM po_src.leave('setting'), po_src.leave('lock'); RAISE 'after that';
    END CASE;
    RETURN what;
END $$;
CREATE FUNCTION po_src.found() RETURNS TABLE (what text, value text) LANGUAGE sql VOLATILE AS $$
    SELECT name, setting FROM pg_settings WHERE name IN ('work_mem', 'search_path', 'TimeZone', 'application_name', 'role', 'default_transaction_read_only', 'transaction_isolation')
    UNION ALL SELECT 'po.custom', nullif(current_setting('po.custom', true), '')
    UNION ALL SELECT 'locks', string_agg(objid::text, ' ') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
    UNION ALL SELECT 'prepared', string_agg(name, ' ') FROM pg_prepared_statements
    UNION ALL SELECT 'temp', count(*)::text FROM pg_class WHERE pg_my_temp_schema() = relnamespace
    UNION ALL SELECT 'listen', string_agg(c, ' ') FROM pg_listening_channels() c
    UNION ALL SELECT 'cursor', string_agg(name, ' ') FROM pg_cursors WHERE is_holdable
    UNION ALL SELECT 'who', current_user
    UNION ALL SELECT 'pid', pg_backend_pid()::text
$$;
-- fail has the longest path behind it, so it is first; then a chain in which each looks for what the one before left
SELECT vibepiper.define_asset('po_leaves.fail', $$SELECT po_src.leave('fail') AS x$$, retries => 1);
DO $$
DECLARE
    kinds text[] := '{setting,lock,isolation}';
    before text := NULL;
BEGIN
    FOR i IN 1 .. 8 LOOP
        PERFORM vibepiper.define_asset('po_leaves.skip' || i, 'SELECT 1 AS x', depends_on => ARRAY['po_leaves.' || coalesce('skip' || nullif(i - 1, 0), 'fail')]);
    END LOOP;
    FOR i IN 0 .. 3 LOOP
        IF i > 0 THEN
            PERFORM vibepiper.define_asset('po_leaves.left' || i, format('SELECT po_src.leave(%L) AS x', kinds[i]), depends_on => ARRAY[before]);
            before := 'po_leaves.left' || i;
        END IF;
        PERFORM vibepiper.define_asset('po_leaves.found' || i, 'SELECT what, value FROM po_src.found()', depends_on => CASE WHEN before IS NOT NULL THEN ARRAY[before] END);
        before := 'po_leaves.found' || i;
    END LOOP;
END $$;
RESET ROLE;
SET SESSION AUTHORIZATION regress_po_member;
SELECT asset, status, error FROM vibepiper.run('po_leaves', on_failure => 'report') WHERE status <> 'skipped' ORDER BY asset;
RESET SESSION AUTHORIZATION;
-- fail was first, and one worker did it all
SELECT array_agg(asset ORDER BY started_at) FROM vibepiper.tasks WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs) AND attempts > 0;
SELECT what, value FROM po_leaves.found0 WHERE what <> 'pid' ORDER BY 1;
SELECT 1 AS n, * FROM (TABLE po_leaves.found1 EXCEPT TABLE po_leaves.found0) d UNION ALL SELECT 2, * FROM (TABLE po_leaves.found2 EXCEPT TABLE po_leaves.found0) d UNION ALL SELECT 3, * FROM (TABLE po_leaves.found3 EXCEPT TABLE po_leaves.found0) d;
-- what it may not do at all
SET ROLE regress_po_owner;
SELECT count(vibepiper.define_asset('po_leaves.try_' || what, format('SELECT po_src.leave(%L) AS x', what))) FROM unnest('{prepared,temp,role,listen,cursor,commit,debug,run,retry,wait,cancel}'::text[]) what;
RESET ROLE;
SELECT asset, status, error FROM vibepiper.run('po_leaves', 'try_*', on_failure => 'report') ORDER BY asset;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid IN (77, 78, 79);

SELECT count(vibepiper.drop_pipeline(p, cascade => true)::text) FROM unnest('{po,po_leaves}'::text[]) p;
DROP SCHEMA po, po_leaves, po_src CASCADE;
DROP OWNED BY regress_po_owner, regress_po_second, regress_po_member, regress_po_other, regress_po_stats CASCADE;
DROP ROLE regress_po_member, regress_po_owner, regress_po_second, regress_po_other, regress_po_stats;
