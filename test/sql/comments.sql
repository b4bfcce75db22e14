-- Everything that users see has a comment.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

-- Views and their columns
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'vibepiper'::regnamespace AND c.relkind = 'v' AND obj_description(c.oid) IS NULL;
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'vibepiper'::regnamespace AND c.relkind = 'v' AND col_description(c.oid, a.attnum) IS NULL;
-- Functions, schemas, the extension
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'vibepiper'::regnamespace AND obj_description(p.oid) IS NULL;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vibepiper%' AND obj_description(oid) IS NULL;
SELECT obj_description(oid) IS NOT NULL AS commented FROM pg_extension WHERE extname = 'vibepiper';

-- These checks look at something
SELECT count(*) >= 7 AS views FROM pg_class WHERE relnamespace = 'vibepiper'::regnamespace AND relkind = 'v';
SELECT count(*) >= 15 AS functions FROM pg_proc WHERE pronamespace = 'vibepiper'::regnamespace;

-- Comments of functions that users call show how
SELECT p.proname FROM pg_proc p
WHERE p.pronamespace = 'vibepiper'::regnamespace AND obj_description(p.oid) !~ 'Example: SELECT '
    AND p.proname NOT IN ('read_asset', 'on_sql_drop', 'on_ddl_command_end', 'may_see', 'asset_states', 'schemas_of', 'detached')
ORDER BY 1;
-- and no comment ends in a blank or holds a tab
SELECT count(*) FROM pg_description d WHERE d.description ~ '(\s$|\t)' AND
    (classoid = 'pg_proc'::regclass AND objoid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'vibepiper'::regnamespace)
     OR classoid = 'pg_class'::regclass AND objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'vibepiper'::regnamespace));

-- SQL functions have a search_path; nothing but the documented is PUBLIC's
SELECT p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'vibepiper'::regnamespace AND l.lanname IN ('sql', 'plpgsql') AND NOT coalesce(array_to_string(p.proconfig, ' ') LIKE '%search_path%', false);
SELECT p.proname FROM pg_proc p
WHERE p.pronamespace = 'vibepiper'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1;
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'vibepiper'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND has_table_privilege('public', c.oid, 'SELECT') ORDER BY 1;
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'vibepiper'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege('public', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES');
SELECT n, has_schema_privilege('public', n, 'USAGE') AS usage, has_schema_privilege('public', n, 'CREATE') AS "create"
FROM unnest('{vibepiper,vibepiper_def,vibepiper_store}'::text[]) n;
