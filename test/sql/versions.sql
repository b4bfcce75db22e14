-- Versions and slots: how many are kept, that they are used again, purge, invalidate.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA ve_src;
CREATE TABLE ve_src.t AS SELECT 1 AS v;
SELECT vibepiper.define_pipeline('ve');
SELECT vibepiper.define_asset('ve.a', 'SELECT v, repeat(''x'', 5000) AS pad FROM ve_src.t', indexes => '{(v)}');
SELECT vibepiper.define_asset('ve.b', 'SELECT v + 1 AS v FROM ve.a');

-- Runs in transactions of their own: rows differ each time
CREATE PROCEDURE ve_src.rebuild(n int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        UPDATE ve_src.t SET v = v + 1;
        PERFORM vibepiper.run('ve', force => true, parallel => false);
        COMMIT;
    END LOOP;
END $$;
CREATE VIEW ve_src.slots AS
    SELECT a.asset, count(*) AS slots, count(s.version_id) AS filled
    FROM vibepiper.slot s JOIN vibepiper.asset x USING (asset_id) JOIN vibepiper.assets a ON a.asset = format('ve.%s', (SELECT relname FROM pg_class WHERE oid = x.stub))
    GROUP BY 1 ORDER BY 1;

CALL ve_src.rebuild(1);
TABLE ve_src.slots;
CALL ve_src.rebuild(1);
TABLE ve_src.slots;
CALL ve_src.rebuild(1);
TABLE ve_src.slots;
-- keep_versions is 2: three slots at most, however many runs
SELECT array_agg(slot ORDER BY slot) AS names FROM vibepiper.versions WHERE asset LIKE 've.%' \gset
SELECT array_agg(relname ORDER BY relname) AS names FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r'
    AND oid IN (SELECT slot FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub IN ('ve.a'::regclass, 've.b'::regclass)) \gset
CALL ve_src.rebuild(20);
SELECT asset, slots <= 3 AS bounded FROM ve_src.slots;
SELECT asset, count(*) FILTER (WHERE published) AS published, count(*) <= 3 AS bounded FROM vibepiper.versions WHERE asset LIKE 've.%' GROUP BY 1 ORDER BY 1;
-- and their names are stable
SELECT array_agg(relname ORDER BY relname) @> :'names' AS same_names FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r'
    AND oid IN (SELECT slot FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub IN ('ve.a'::regclass, 've.b'::regclass));
SELECT count(*) = 0 AS no_others FROM pg_class c WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r'
    AND NOT EXISTS (SELECT FROM vibepiper.slot s WHERE s.slot = c.oid);
SELECT v, length(pad) FROM ve.a;
SELECT v FROM ve.b;
SELECT run_id IS NOT NULL AS has_run, current_code, invalidated, expires_at FROM vibepiper.versions WHERE asset LIKE 've.%' AND published;
-- a version's rows can be read from its slot, by its owner
SELECT slot FROM vibepiper.versions WHERE asset = 've.b' AND published \gset
SELECT v - (SELECT v FROM ve.b) AS difference FROM :slot;

-- Unchanged runs use none up
SELECT count(r) FROM generate_series(1, 5), LATERAL vibepiper.run('ve', force => true, parallel => false) r WHERE r.status = 'unchanged';
SELECT asset, slots <= 3 AS bounded FROM ve_src.slots;
-- many runs in one transaction need one slot each; later ones refill them
BEGIN;
UPDATE ve_src.t SET v = v + 1;
SELECT count(*) FROM vibepiper.run('ve', force => true, parallel => false);
UPDATE ve_src.t SET v = v + 1;
SELECT count(*) FROM vibepiper.run('ve', force => true, parallel => false);
UPDATE ve_src.t SET v = v + 1;
SELECT count(*) FROM vibepiper.run('ve', force => true, parallel => false);
UPDATE ve_src.t SET v = v + 1;
SELECT count(*) FROM vibepiper.run('ve', force => true, parallel => false);
COMMIT;
CREATE TABLE ve_src.before AS SELECT * FROM ve_src.slots;
CALL ve_src.rebuild(10);
SELECT asset, s.slots <= b.slots AS no_more FROM ve_src.slots s JOIN ve_src.before b USING (asset) ORDER BY 1;

-- purge: what is not among the newest goes, and what is published stays
SELECT vibepiper.purge('ve') >= 0 AS done;
SELECT asset, count(*), count(*) FILTER (WHERE published) AS published FROM vibepiper.versions WHERE asset LIKE 've.%' GROUP BY 1 ORDER BY 1;
SELECT vibepiper.purge('ve', keep_versions => 1);
SELECT asset, count(*), count(*) FILTER (WHERE published) AS published FROM vibepiper.versions WHERE asset LIKE 've.%' GROUP BY 1 ORDER BY 1;
TABLE ve_src.slots;
SELECT b.v - t.v AS one FROM ve.b, ve_src.t;
SELECT vibepiper.purge('ve', keep_versions => 1);
SELECT vibepiper.purge('ve', keep_versions => 0);
SELECT vibepiper.purge('ve', keep_versions => -1);
SELECT vibepiper.purge('nobody');
SELECT vibepiper.purge(NULL);
-- rolled back
CALL ve_src.rebuild(2);
BEGIN;
SELECT vibepiper.purge('ve', keep_versions => 1) > 0 AS some;
SELECT count(*) FROM vibepiper.versions WHERE asset = 've.a';
ROLLBACK;
SELECT count(*) FROM vibepiper.versions WHERE asset = 've.a';
SELECT b.v - t.v AS one FROM ve.b, ve_src.t;
-- a transaction that can still see an older version keeps it: here, this one
BEGIN;
UPDATE ve_src.t SET v = v + 1;
SELECT count(*) FROM vibepiper.run('ve', force => true, parallel => false);
SELECT vibepiper.purge('ve', keep_versions => 1) >= 0 AS done;
SELECT b.v - t.v AS one FROM ve.b, ve_src.t;
ROLLBACK;
SELECT b.v - t.v AS one FROM ve.b, ve_src.t;
CALL ve_src.rebuild(1);
SELECT b.v - t.v AS one FROM ve.b, ve_src.t;

-- More and fewer versions
SELECT vibepiper.define_pipeline('ve', keep_versions => 5);
CALL ve_src.rebuild(12);
SELECT asset, count(*) BETWEEN 5 AND 6 AS five_or_six FROM vibepiper.versions WHERE asset LIKE 've.%' GROUP BY 1 ORDER BY 1;
SELECT vibepiper.define_pipeline('ve', keep_versions => 1);
CALL ve_src.rebuild(3);
SELECT vibepiper.purge('ve') > 0 AS some;
SELECT asset, count(*) FROM vibepiper.versions WHERE asset LIKE 've.%' GROUP BY 1 ORDER BY 1;
CALL ve_src.rebuild(5);
SELECT asset, slots <= 4 AS bounded FROM ve_src.slots;

-- Another shape: the old slots go
SELECT vibepiper.define_asset('ve.a', 'SELECT v, repeat(''x'', 5000) AS pad, 1 AS more FROM ve_src.t', indexes => '{(v),(more)}');
CALL ve_src.rebuild(4);
SELECT asset, slots <= 4 AS bounded FROM ve_src.slots;
SELECT DISTINCT count(*) FROM pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT slot FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub = 've.a'::regclass) GROUP BY attrelid ORDER BY 1;
SELECT DISTINCT count(*) FROM pg_index WHERE indrelid IN (SELECT slot FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub = 've.a'::regclass) GROUP BY indrelid ORDER BY 1;

-- Logged storage
SELECT DISTINCT relpersistence FROM pg_class WHERE oid IN (SELECT slot FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub = 've.a'::regclass);
SELECT vibepiper.define_asset('ve.a', 'SELECT v, repeat(''x'', 5000) AS pad, 1 AS more FROM ve_src.t', indexes => '{(v),(more)}', storage => 'logged');
SELECT asset, action FROM vibepiper.plan('ve');
SELECT asset, status FROM vibepiper.run('ve', 'a', force => true, parallel => false);
SELECT relpersistence FROM pg_class WHERE oid = (SELECT slot::regclass FROM vibepiper.versions WHERE asset = 've.a' AND published);
CALL ve_src.rebuild(5);
SELECT relpersistence, count(*) <= 3 AS bounded FROM pg_class WHERE oid IN (SELECT slot FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub = 've.a'::regclass) GROUP BY 1 ORDER BY 1;

-- invalidate: with what is downstream, or without; counts assets that have versions
SELECT vibepiper.define_asset('ve.c', 'SELECT v FROM ve.b');
SELECT vibepiper.invalidate('ve.c');
SELECT vibepiper.invalidate('ve.a');
SELECT asset, state, reason FROM vibepiper.assets WHERE pipeline = 've' ORDER BY 1;
SELECT vibepiper.is_fresh('ve.a'), vibepiper.is_fresh('ve.b'), vibepiper.is_fresh('ve.c');
SELECT b.v - t.v AS one FROM ve.b, ve_src.t;
SELECT asset, status, reason FROM vibepiper.run('ve', parallel => false);
SELECT vibepiper.is_fresh('ve.a'), vibepiper.is_fresh('ve.b'), vibepiper.is_fresh('ve.c');
SELECT vibepiper.invalidate('ve.a', downstream => false);
SELECT asset, state, reason FROM vibepiper.assets WHERE pipeline = 've' ORDER BY 1;
SELECT vibepiper.invalidate('ve.a', downstream => NULL);
SELECT vibepiper.invalidate(NULL);
BEGIN;
SELECT vibepiper.invalidate('ve.b');
ROLLBACK;
SELECT vibepiper.is_fresh('ve.b');
SELECT asset, status, reason FROM vibepiper.run('ve', parallel => false);
-- across pipelines
SELECT vibepiper.define_pipeline('ve2');
SELECT vibepiper.define_asset('ve2.d', 'SELECT v FROM ve.c');
SELECT asset, status, reason FROM vibepiper.run('ve2', parallel => false);
SELECT vibepiper.invalidate('ve.b');
SELECT asset, action, reason FROM vibepiper.plan('ve2');
SELECT asset, status, reason FROM vibepiper.run('ve', parallel => false);
SELECT asset, status, reason FROM vibepiper.run('ve2', parallel => false);
UPDATE ve_src.t SET v = v + 1;
SELECT asset, status, reason FROM vibepiper.run('ve', force => true, parallel => false);
SELECT asset, status, reason FROM vibepiper.run('ve2', parallel => false);
SELECT d.v - t.v AS one FROM ve2.d, ve_src.t;

SELECT vibepiper.drop_pipeline('ve2', cascade => true);
SELECT vibepiper.drop_pipeline('ve', cascade => true);
DROP SCHEMA ve, ve2, ve_src CASCADE;
