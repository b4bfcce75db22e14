-- Assets follow what is done to their views, schemas, sources and owners by hand.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE ROLE regress_fo_one;
CREATE ROLE regress_fo_two;
CREATE ROLE regress_fo_reader;
GRANT USAGE ON SCHEMA vibepiper TO regress_fo_one, regress_fo_two;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_fo_one, regress_fo_two;

CREATE FUNCTION pg_temp.views() RETURNS TABLE (view text, kind text, owner text) LANGUAGE sql AS $$
    SELECT c.oid::regclass::text, CASE WHEN a.stub = c.oid THEN 'stub' WHEN a.def = c.oid THEN 'definition' WHEN p.view = c.oid THEN 'pipeline' ELSE 'slots' END,
        string_agg(DISTINCT c.relowner::regrole::text, ' ')
    FROM pg_class c LEFT JOIN vibepiper.asset a ON c.oid IN (a.stub, a.def) LEFT JOIN vibepiper.pipeline p ON c.oid = p.view
    WHERE a.asset_id IS NOT NULL OR p.pipeline_id IS NOT NULL GROUP BY 1, 2
    UNION ALL
    SELECT 'of ' || a.stub::regclass, 'slots', string_agg(DISTINCT c.relowner::regrole::text, ' ')
    FROM pg_class c JOIN vibepiper.slot s ON s.slot = c.oid JOIN vibepiper.asset a USING (asset_id) GROUP BY 1
    ORDER BY 2, 1$$;

CREATE SCHEMA fo_src;
CREATE TABLE fo_src.t (id int, x text);
INSERT INTO fo_src.t SELECT i, 'x' || i FROM generate_series(1, 10) i;
CREATE FUNCTION fo_src.helper() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM t); END';
GRANT USAGE ON SCHEMA fo_src TO regress_fo_one, regress_fo_two;
GRANT SELECT ON fo_src.t TO regress_fo_one, regress_fo_two;
SELECT vibepiper.define_pipeline('fo', schemas => '{fo,fo_more}');
SET search_path = fo_src, public;
SELECT vibepiper.define_asset('fo.a', 'SELECT id, x, helper() AS h FROM t', indexes => '{(id)}');
RESET search_path;
SELECT vibepiper.define_asset('fo.b', 'SELECT count(*) AS n FROM fo.a');
SELECT vibepiper.define_asset('fo.c', 'SELECT 1 AS one', depends_on => '{a,b}');
SELECT asset, status FROM vibepiper.run('fo', parallel => false);
SELECT * FROM pg_temp.views();

-- Renaming: stubs, schemas, sources, columns of sources
ALTER VIEW fo.a RENAME TO "A.x";
SELECT vibepiper.rename_asset('fo.b', 'fo_more.bb');
SELECT asset, depends_on, state, reason FROM vibepiper.assets WHERE pipeline = 'fo' ORDER BY 1;
SELECT asset, upstream, declared FROM vibepiper.dependencies WHERE asset LIKE 'fo%' ORDER BY 1, 2;
ALTER SCHEMA fo RENAME TO fo_new;
ALTER SCHEMA fo_src RENAME TO fo_source;
ALTER TABLE fo_source.t RENAME TO table_t;
ALTER TABLE fo_source.table_t RENAME x TO text;
CREATE VIEW fo_source.t AS SELECT * FROM fo_source.table_t;
GRANT SELECT ON fo_source.t TO PUBLIC;
SELECT * FROM pg_temp.views();
SELECT pipeline, schemas FROM vibepiper.pipelines WHERE pipeline = 'fo';
SELECT asset, depends_on, state, reason FROM vibepiper.assets WHERE pipeline = 'fo' ORDER BY 1;
SELECT source FROM vibepiper.sources WHERE asset LIKE 'fo%';
SELECT asset, status FROM vibepiper.run('fo', parallel => false, force => true);
SELECT n FROM fo_more.bb;
SELECT count(*), min(x), max(h) FROM fo_new."A.x";
-- the note that a dump has says the present names
SELECT n.note->>'depends_on' AS depends_on, n.note->'environment'->>0 AS path
FROM (SELECT obj_description(def)::jsonb AS note FROM vibepiper.asset WHERE stub IN ('fo_new.c'::regclass, 'fo_new."A.x"'::regclass)) n ORDER BY 1;
-- the text as it was written does not fit any more; what is rebuilt comes from the definition
SELECT vibepiper.asset_query('fo_more.bb');
SELECT vibepiper.define_asset('fo_new."A.x"', 'SELECT x.id::bigint AS id, x.text AS x, 1 AS h FROM fo_source.table_t x');
SELECT * FROM vibepiper.define_assets('fo', '[{"name": "fo_new.\"A.x\"", "query": "SELECT text AS x, id FROM fo_source.table_t"}]');
SELECT n FROM fo_more.bb;
-- long names are shortened, also when that makes them collide
SELECT vibepiper.rename_asset('fo_new.c', repeat('n', 63));
SELECT vibepiper.define_asset('fo_new.' || repeat('n', 62), 'SELECT 1 AS x');
SELECT length(relname) FROM pg_class WHERE relname LIKE 'fo\_new%nnn%' AND relnamespace = 'vibepiper_def'::regnamespace ORDER BY 1;
SELECT vibepiper.rename_asset('fo_new.' || repeat('n', 63), 'c');
SELECT vibepiper.drop_asset('fo_new.' || repeat('n', 62));

-- Refused: names that are taken, schemas that are not the pipeline's, others' assets, definitions by hand
SELECT vibepiper.rename_asset('fo_new.c', 'A.x');
SELECT vibepiper.rename_asset('fo_new.c', '"A.x"');
SELECT vibepiper.rename_asset('fo_new.c', 'fo_source.c');
SELECT vibepiper.rename_asset('fo_new.c', 'nowhere.c');
SELECT vibepiper.rename_asset('fo_new.d', 'fo_new.e');
SELECT vibepiper.rename_asset(NULL, 'fo_new.e');
SELECT vibepiper.rename_asset('fo_new.c', NULL);
SELECT vibepiper.rename_asset('fo_new.c', '');
SELECT vibepiper.rename_asset('fo_new.c', 'fo_new.c');
ALTER VIEW fo_new.c SET SCHEMA fo_source;
ALTER VIEW vibepiper_def."fo_new.c" RENAME TO x;
ALTER VIEW vibepiper_def."fo_new.c" SET SCHEMA fo_new;
COMMENT ON VIEW vibepiper_def."fo_new.c" IS 'mine';
COMMENT ON VIEW vibepiper_def.fo IS '{"vibepiper": "pipeline", "publish": "sometimes"}';
GRANT USAGE ON SCHEMA fo_new, fo_more TO regress_fo_one, regress_fo_two;
COMMENT ON COLUMN vibepiper_def."fo_new.c".one IS 'mine';
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO vibepiper_def.fo DO INSTEAD SELECT 'fo'::text AS pipeline, ARRAY['public'::regnamespace] AS schemas;
ALTER VIEW fo_new.c RENAME COLUMN one TO two;
ALTER TABLE fo_new.c RENAME COLUMN one TO two;
COMMENT ON COLUMN fo_new.c.one IS 'a column of the stub may have a comment';
SET ROLE regress_fo_one;
SELECT vibepiper.rename_asset('fo_new.c', 'd');
RESET ROLE;

-- Owners: of one asset, either view; of the pipeline
GRANT CREATE ON SCHEMA fo_new, fo_more TO regress_fo_one, regress_fo_two;
ALTER VIEW fo_new."A.x" OWNER TO regress_fo_one;
SELECT * FROM pg_temp.views();
SELECT vibepiper.define_asset('fo_new.me', 'SELECT current_user AS me');
SELECT * FROM fo_new.me;
SELECT asset, status FROM vibepiper.run('fo', 'me', parallel => false);
ALTER VIEW vibepiper_def."fo_new.me" OWNER TO regress_fo_two;
SELECT * FROM pg_temp.views() WHERE view ~ 'me';
-- a stored version is the one that the former owner made until it is computed again
SELECT * FROM fo_new.me;
SELECT asset, status FROM vibepiper.run('fo', 'me', force => true, parallel => false);
SELECT * FROM fo_new.me;
ALTER VIEW vibepiper_def.fo OWNER TO regress_fo_one;
SELECT pipeline, owner FROM vibepiper.pipelines WHERE pipeline = 'fo';
-- who is neither can't
SET ROLE regress_fo_two;
ALTER VIEW fo_new."A.x" OWNER TO regress_fo_two;
SELECT vibepiper.define_asset('fo_new.mine', 'SELECT 1 AS x');
RESET ROLE;
\set VERBOSITY terse
DROP ROLE regress_fo_two;
\set VERBOSITY default
REASSIGN OWNED BY regress_fo_two TO regress_fo_one;
SELECT * FROM pg_temp.views();
SET ROLE regress_fo_one;
SELECT vibepiper.define_asset('fo_new.mine', 'SELECT 1 AS x');
SELECT vibepiper.define_pipeline('fo', schemas => '{fo_new,fo_more}', keep_versions => 1);
SELECT status FROM vibepiper.run('fo', 'mine', parallel => false);
RESET ROLE;
-- a pipeline without assets keeps its owner from being dropped, too
SET ROLE regress_fo_two;
SELECT vibepiper.define_pipeline('fo_empty', schemas => '{fo_more2}');
RESET ROLE;
GRANT CREATE ON DATABASE :DBNAME TO regress_fo_two;
SET ROLE regress_fo_two;
SELECT vibepiper.define_pipeline('fo_empty', schemas => '{fo_more2}');
RESET ROLE;
\set VERBOSITY terse
DROP ROLE regress_fo_two;
\set VERBOSITY default
DROP OWNED BY regress_fo_two;
SELECT count(*) FROM vibepiper.pipelines WHERE pipeline = 'fo_empty';

-- Dropping a source says which assets need it; with CASCADE they go
DROP TABLE fo_source.table_t;
DROP VIEW fo_source.t;
ALTER TABLE fo_source.table_t DROP COLUMN text;
DO $$
DECLARE
    hint text;
BEGIN
    ALTER TABLE fo_source.table_t ALTER id TYPE bigint;
EXCEPTION WHEN feature_not_supported THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RAISE WARNING '%: %', SQLERRM, hint;
END $$;
DROP TABLE fo_source.table_t CASCADE;
SELECT asset FROM vibepiper.assets WHERE pipeline = 'fo' ORDER BY 1;
SELECT count(*) FROM vibepiper.query_text WHERE definition LIKE 'fo\_%';
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'fo';
-- Without the pipeline's view its assets are none, until it is there again
SET client_min_messages = notice;
DROP VIEW vibepiper_def.fo;
SET client_min_messages = warning;
SELECT count(*) FROM vibepiper.pipelines WHERE pipeline = 'fo';
SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relname ~ '^(c|me|mine)_' AND relkind = 'r';
SELECT * FROM fo_new.mine;
SELECT vibepiper.define_asset('fo_new.mine', 'SELECT 1 AS x');
CREATE VIEW vibepiper_def.fo AS SELECT 'fo'::text AS pipeline, ARRAY['fo_new'::regnamespace, 'fo_more'::regnamespace] AS schemas;
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'fo' ORDER BY 1;
SELECT * FROM fo_new.mine;
SELECT vibepiper.drop_pipeline('fo', cascade => true);

-- Adoption without a dump: nothing to do; views of others; what is no asset
SELECT * FROM vibepiper.adopt_assets();
CREATE VIEW fo_source.calls AS SELECT * FROM vibepiper.read_asset('pg_class'::regclass) AS t(x int);
SELECT vibepiper.define_pipeline('fo2');
SELECT vibepiper.define_asset('fo2.a', 'SELECT 1 AS x');
-- a view that reads an asset's definition by itself reads that asset
CREATE VIEW fo_source.direct AS SELECT * FROM vibepiper.read_asset('vibepiper_def."fo2.a"'::regclass) AS t(x int);
SELECT vibepiper.define_asset('fo2.through', 'SELECT x FROM fo_source.direct');
SELECT upstream FROM vibepiper.dependencies WHERE asset = 'fo2.through';

-- what is no pipeline's view can't look like one
SELECT vibepiper.define_asset('fo2.looks', $$SELECT 'fo'::text AS pipeline, ARRAY['public'::regnamespace] AS schemas$$);
SELECT vibepiper.define_asset('fo2.looks', $$SELECT 'fo'::text AS pipeline, ARRAY['public']::text[] AS schemas$$);
-- nor does a note that lacks most of it do harm
CREATE VIEW vibepiper_def.fo3 AS SELECT 'fo3'::text AS pipeline, ARRAY['fo_source'::regnamespace] AS schemas;
COMMENT ON VIEW vibepiper_def.fo3 IS '{"vibepiper": "pipeline"}';
SELECT pipeline, schemas, publish, on_miss, keep_versions FROM vibepiper.pipelines WHERE pipeline = 'fo3';
CREATE VIEW vibepiper_def.fo4 AS SELECT 'fo4'::text AS pipeline, ARRAY['fo_source'::regnamespace] AS schemas;
SELECT * FROM vibepiper.adopt_assets();
DROP VIEW vibepiper_def.fo4;
CREATE VIEW vibepiper_def.fo4 AS SELECT 'fo4'::text AS pipeline, ARRAY['fo_new'::regnamespace] AS schemas;
COMMENT ON VIEW vibepiper_def.fo4 IS '{"vibepiper": "pipeline", "publish": "sometimes"}';
COMMENT ON VIEW vibepiper_def.fo4 IS '{"vibepiper": broken';
SELECT vibepiper.drop_pipeline('fo3');
SELECT vibepiper.drop_pipeline('fo4');

DROP SCHEMA fo_new, fo_more, fo_source, fo2 CASCADE;
SELECT count(*) FROM vibepiper.pipelines WHERE pipeline LIKE 'fo%';
SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_def'::regnamespace AND relname LIKE 'fo%';
REVOKE ALL ON SCHEMA vibepiper FROM regress_fo_one, regress_fo_two;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vibepiper FROM regress_fo_one, regress_fo_two;
REVOKE CREATE ON DATABASE :DBNAME FROM regress_fo_two;
DROP ROLE regress_fo_one, regress_fo_two, regress_fo_reader;
