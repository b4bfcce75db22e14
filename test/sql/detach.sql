-- detach_source() and attach_source(): a migration alters a source while readers go on.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE ROLE regress_det_source;
CREATE ROLE regress_det_reader;
GRANT USAGE ON SCHEMA vibepiper TO regress_det_source, regress_det_reader;
GRANT EXECUTE ON FUNCTION vibepiper.detach_source(regclass), vibepiper.attach_source(regclass) TO regress_det_source, regress_det_reader;

CREATE SCHEMA det_src;
GRANT USAGE ON SCHEMA det_src TO regress_det_source;
CREATE TABLE det_src.t (id int, v numeric(8,2), "Odd name" char(3), at timestamptz);
CREATE TABLE det_src.other (id int);
INSERT INTO det_src.t SELECT i, i / 3.0, 'ab', '2026-01-01' FROM generate_series(1, 10) i;
INSERT INTO det_src.other SELECT generate_series(1, 10);
SELECT vibepiper.define_pipeline('det');
SELECT vibepiper.define_asset('det.a', 'SELECT * FROM det_src.t', indexes => '{(id)}');
SELECT vibepiper.define_asset('det.total', 'SELECT sum(v) AS total, ''x''::varchar(5) COLLATE "C" AS c, ARRAY[1.5::numeric(4,1)] AS arr FROM det_src.t JOIN det_src.other USING (id)');
SELECT vibepiper.define_asset('det.over', 'SELECT a.*, total FROM det.a CROSS JOIN det.total');
SELECT vibepiper.define_asset('det.lazy', 'SELECT id FROM det_src.t', lazy => true);
SELECT vibepiper.define_asset('det.not_built', 'SELECT id FROM det_src.t');
SELECT asset, status FROM vibepiper.run('det', '-not_built', parallel => false);
GRANT SELECT ON det.a TO regress_det_reader;
GRANT USAGE ON SCHEMA det, det_src TO regress_det_reader;

-- It is in the way without
DO $$
DECLARE
    hint text;
BEGIN
    ALTER TABLE det_src.t ALTER v TYPE float8;
EXCEPTION WHEN feature_not_supported THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RAISE WARNING '%: %', SQLERRM, hint;
END $$;
PREPARE reads AS SELECT count(*), sum(v) FROM det.a;
EXECUTE reads;

-- One transaction: detach, alter, attach
BEGIN;
SELECT * FROM vibepiper.detach_source('det_src.t');
SELECT asset, detached_sources FROM vibepiper.assets WHERE pipeline = 'det' ORDER BY 1;
ALTER TABLE det_src.t ALTER v TYPE float8;
-- the published versions are read meanwhile, what can't be computed says why
EXECUTE reads;
SELECT count(*), sum(v) FROM det.over;
SAVEPOINT s;
SELECT * FROM det.lazy;
ROLLBACK TO s;
SELECT * FROM det.not_built;
ROLLBACK TO s;
SELECT asset, status, error FROM vibepiper.run('det', 'a not_built', force => true, parallel => false, on_failure => 'report');
SELECT asset, source FROM vibepiper.sources WHERE asset LIKE 'det.%' ORDER BY 1, 2;
SELECT split_part(vibepiper.explain_asset('det.a'), E'\n', 2);
SELECT split_part(vibepiper.explain_asset('det.not_built'), E'\n', 3);
SELECT * FROM vibepiper.attach_source('det_src.t') ORDER BY 1;
COMMIT;
SELECT asset, detached_sources, state, reason FROM vibepiper.assets WHERE pipeline = 'det' ORDER BY 1;
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'det' AND table_name IN ('a', 'over', 'total') ORDER BY table_name, ordinal_position;
EXECUTE reads;
SELECT asset, status FROM vibepiper.run('det', parallel => false);
EXECUTE reads;

-- Nothing has changed: all is as fresh as before
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
SELECT * FROM vibepiper.attach_source('det_src.t') ORDER BY 1;
SELECT asset, status FROM vibepiper.run('det', parallel => false);
SELECT vibepiper.define_asset('det.a', 'SELECT * FROM det_src.t', indexes => '{(id)}');

-- Columns added, dropped; SELECT * gets what is there
BEGIN;
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
ALTER TABLE det_src.t DROP at, ADD new_one int DEFAULT 7;
SELECT * FROM vibepiper.attach_source('det_src.t') ORDER BY 1;
COMMIT;
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'det.over'::regclass AND attnum > 0;
SELECT count(*), min(new_one) FROM det.over;
SELECT asset, status FROM vibepiper.run('det', parallel => false);

-- A column that a query needs is gone: all stays detached
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
ALTER TABLE det_src.t RENAME v TO w;
SELECT * FROM vibepiper.attach_source('det_src.t');
SELECT asset FROM vibepiper.assets WHERE detached_sources IS NOT NULL ORDER BY 1;
SELECT count(*) FROM det.over;
-- a new query attaches one asset by itself
SELECT vibepiper.define_asset('det.total', 'SELECT sum(w) AS total FROM det_src.t');
SELECT asset FROM vibepiper.assets WHERE detached_sources IS NOT NULL ORDER BY 1;
SELECT * FROM vibepiper.attach_source('det_src.t');
SELECT asset, status FROM vibepiper.run('det', parallel => false);

-- From two sources
SELECT vibepiper.define_asset('det.two', 'SELECT id FROM det_src.t JOIN det_src.other USING (id)');
SELECT * FROM vibepiper.detach_source('det_src.other');
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
SELECT detached_sources FROM vibepiper.assets WHERE asset = 'det.two';
SELECT * FROM vibepiper.attach_source('det_src.other') ORDER BY 1;
SELECT count(*) FROM det.two;
SELECT * FROM vibepiper.attach_source('det_src.t') ORDER BY 1;
SELECT count(*) FROM det.two;

-- another source of the asset is not the one it is detached from, whoever says so
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
SELECT * FROM vibepiper.attach_source('det_src.other');
SELECT asset FROM vibepiper.assets WHERE asset = 'det.two' AND detached_sources IS NOT NULL;
SELECT count(*) FROM vibepiper.attach_source('det_src.t');

-- Another table takes the source's place
BEGIN;
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
CREATE TABLE det_src.t_new AS SELECT id, w, "Odd name", new_one FROM det_src.t WHERE id <= 5;
DROP TABLE det_src.t;
ALTER TABLE det_src.t_new RENAME TO t;
SELECT * FROM vibepiper.attach_source('det_src.t') ORDER BY 1;
COMMIT;
SELECT asset, status, rows FROM vibepiper.run('det', parallel => false);
SELECT count(*) FROM det.a;
SELECT source FROM vibepiper.sources WHERE asset = 'det.a';
-- renamed while detached
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
ALTER TABLE det_src.t RENAME TO t2;
SELECT count(*) FROM vibepiper.attach_source('det_src.t2');
ALTER TABLE det_src.t2 RENAME TO t;
SELECT count(*) FROM vibepiper.attach_source('det_src.t');

-- Rights: the source's owner may, or who owns all the assets; nobody else
ALTER TABLE det_src.t OWNER TO regress_det_source;
SET ROLE regress_det_reader;
SELECT * FROM vibepiper.detach_source('det_src.other');
SELECT * FROM vibepiper.detach_source('det.a');
RESET ROLE;
SET ROLE regress_det_source;
SELECT * FROM vibepiper.detach_source('det_src.t') ORDER BY 1;
ALTER TABLE det_src.t ADD one_more int;
SELECT * FROM vibepiper.attach_source('det_src.t') ORDER BY 1;
RESET ROLE;

-- Bad arguments
SELECT * FROM vibepiper.detach_source(NULL);
SELECT * FROM vibepiper.detach_source('pg_class');
SELECT * FROM vibepiper.detach_source(4242424242::oid);
SELECT * FROM vibepiper.attach_source('det_src.t');
SELECT * FROM vibepiper.detach_source('det_src.none');

-- Dropped while detached
SELECT count(*) FROM vibepiper.detach_source('det_src.t');
SELECT vibepiper.drop_asset('det.two');
DROP TABLE det_src.t;
SELECT count(*) FROM det.a;
SELECT vibepiper.drop_pipeline('det', cascade => true);
SELECT count(*) FROM pg_class WHERE relname ~ 'det[._]' AND relnamespace IN ('vibepiper_def'::regnamespace, 'vibepiper_store'::regnamespace);
DROP SCHEMA det, det_src CASCADE;
REVOKE ALL ON SCHEMA vibepiper FROM regress_det_source, regress_det_reader;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vibepiper FROM regress_det_source, regress_det_reader;
DROP ROLE regress_det_source, regress_det_reader;
