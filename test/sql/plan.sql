-- plan: actions and reasons; the selection.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA pl_src;
CREATE TABLE pl_src.orders AS SELECT i AS id, i % 3 AS customer FROM generate_series(1, 9) i;
CREATE TABLE pl_src."Odd name" AS SELECT 1 AS id;
SELECT vibepiper.define_pipeline('pl', schemas => '{pl,pl_more}');
SELECT asset, change FROM vibepiper.define_assets('pl', $$[
    {"name": "stg_orders", "query": "SELECT id, customer FROM pl_src.orders", "tags": ["staging", "Daily"]},
    {"name": "stg_odd", "query": "SELECT id FROM pl_src.\"Odd name\"", "tags": ["staging", "two words"]},
    {"name": "left_side", "query": "SELECT id, customer FROM stg_orders WHERE id < 5"},
    {"name": "right_side", "query": "SELECT id, customer FROM stg_orders WHERE id >= 5", "tags": ["Daily"]},
    {"name": "mart", "query": "SELECT customer, count(*) AS n FROM (TABLE left_side UNION ALL TABLE right_side) s GROUP BY customer"},
    {"name": "dash", "query": "SELECT sum(n) AS n FROM mart JOIN stg_odd ON true"},
    {"name": "lazy_one", "query": "SELECT n FROM dash", "lazy": true},
    {"name": "pl_more.\"Mixed\"", "query": "SELECT 1 AS x"},
    {"name": "pl_more.stg_orders", "query": "SELECT 2 AS x"}]$$);

-- Nothing is built: everything to do, in the order in which it would be done; nothing is done
SELECT * FROM vibepiper.plan('pl');
SELECT count(*) FROM vibepiper.versions WHERE asset LIKE 'pl%';
SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'pl';

-- Selections
CREATE FUNCTION pl_src.sel(selection text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(replace(asset, 'pl.', ''), ' ' ORDER BY asset COLLATE "C") FROM vibepiper.plan('pl', selection)
$$;
SELECT s AS selection, pl_src.sel(s) AS assets FROM unnest(ARRAY[
    'mart', 'pl.mart', '+mart', 'mart+', '+mart+', '1+mart', 'mart+1', '1+mart+1', '0+mart', '@left_side', '@stg_odd',
    'tag:staging', 'tag:Daily', 'tag:"two words"', 'tag:staging+', 'tag:staging,tag:Daily', 'tag:st*',
    'source:orders', 'source:pl_src.orders', 'source:pl_src.orders+', 'source:"Odd name"', 'source:*',
    '*', '*side', 'l*', 'stg_*', 'pl_more.*', '*.stg_orders', 'pl_more."Mixed"', '"Mixed"',
    'mart dash', 'mart  dash,stg_odd+', '+mart,tag:Daily', 'stg_orders+ -mart+', '-mart', '-mart -dash', '-tag:staging mart+', '+dash -stg_odd',
    'MART', 'stg_orders', 'lazy_one', ' mart ', E'mart\n\tdash']) s;
SELECT vibepiper.plan('pl', 'martt');
SELECT vibepiper.plan('pl', 'tag:dayly');
SELECT vibepiper.plan('pl', 'source:order');
SELECT vibepiper.plan('pl', 'orders');
SELECT vibepiper.plan('pl', 'source:mart');
SELECT vibepiper.plan('pl', 'mixed');
SELECT vibepiper.plan('pl', 'mart -mart');
SELECT vibepiper.plan('pl', 'mart,dash');
SELECT vibepiper.plan('pl', '');
SELECT vibepiper.plan('pl', '   ');
SELECT vibepiper.plan('pl', 'mart,');
SELECT vibepiper.plan('pl', '+');
SELECT vibepiper.plan('pl', 'mart++');
SELECT vibepiper.plan('pl', '"mart');
SELECT vibepiper.plan('pl', 'a.b.c');
SELECT vibepiper.plan('pl', '@mart+');
SELECT vibepiper.plan('pl', 'owner:me');
SELECT vibepiper.plan('pl', '99999999999+mart');
SELECT vibepiper.plan('pl', 'xyz*');
SELECT vibepiper.plan(NULL);
SELECT vibepiper.plan('pl', force => NULL);
-- run takes the same
SELECT vibepiper.run('pl', 'martt', parallel => false);
SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'pl';

-- Actions and reasons
SELECT asset, status, reason FROM vibepiper.run('pl', '+mart', parallel => false);
SELECT * FROM vibepiper.plan('pl');
SELECT asset, status, reason FROM vibepiper.run('pl', parallel => false);
SELECT asset, action, reason FROM vibepiper.plan('pl');
SELECT vibepiper.invalidate('pl.stg_orders', downstream => false);
SELECT asset, action, reason FROM vibepiper.plan('pl');
-- only what is selected counts as rebuilt first
SELECT asset, action, reason FROM vibepiper.plan('pl', 'mart');
SELECT asset, action, reason FROM vibepiper.plan('pl', 'mart', force => true);
SELECT asset, action, reason FROM vibepiper.plan('pl', force => true);
SELECT asset, status, reason FROM vibepiper.run('pl', 'stg_orders', parallel => false);
SELECT asset, action, reason FROM vibepiper.plan('pl', '-tag:staging');
-- an upstream that changed without what is downstream
INSERT INTO pl_src.orders VALUES (10, 1);
SELECT asset, status, reason FROM vibepiper.run('pl', 'stg_orders', force => true, parallel => false);
SELECT asset, action, reason FROM vibepiper.plan('pl');
SELECT asset, action, reason FROM vibepiper.plan('pl', 'mart+');
SELECT asset, status, reason FROM vibepiper.run('pl', parallel => false);
-- code, options, cache, cache_ttl
SELECT vibepiper.define_asset('pl.left_side', 'SELECT id, customer FROM pl.stg_orders WHERE id <= 4');
SELECT asset, action, reason FROM vibepiper.plan('pl', 'left_side+');
SELECT asset, status, reason FROM vibepiper.run('pl', 'left_side+', parallel => false);
SELECT vibepiper.define_asset('pl.left_side', 'SELECT id, customer FROM pl.stg_orders WHERE id <= 4', cache => false);
SELECT asset, action, reason FROM vibepiper.plan('pl', 'left_side+');
SELECT asset, status, reason FROM vibepiper.run('pl', 'left_side+', parallel => false);
SELECT vibepiper.define_asset('pl.left_side', 'SELECT id, customer FROM pl.stg_orders WHERE id <= 4', cache_ttl => '1 hour');
SELECT asset, action, reason FROM vibepiper.plan('pl', 'left_side');
SELECT vibepiper.define_asset('pl.left_side', 'SELECT id, customer FROM pl.stg_orders WHERE id <= 4', cache_ttl => '0');
SELECT asset, action, reason FROM vibepiper.plan('pl', 'left_side+');
SELECT state, reason FROM vibepiper.assets WHERE asset = 'pl.left_side';
SELECT asset, status, reason FROM vibepiper.run('pl', 'left_side+', parallel => false);
SELECT vibepiper.define_asset('pl.left_side', 'SELECT id, customer FROM pl.stg_orders WHERE id <= 4');
-- dependencies that are added by hand
SELECT vibepiper.define_asset('pl.right_side', 'SELECT id, customer FROM pl.stg_orders WHERE id >= 5', depends_on => '{stg_odd}');
SELECT asset, action, reason FROM vibepiper.plan('pl', 'right_side');
SELECT asset, status, reason FROM vibepiper.run('pl', 'right_side', parallel => false);
-- a lazy one turns eager, and back
SELECT vibepiper.define_asset('pl.lazy_one', 'SELECT n FROM pl.dash');
SELECT asset, action, reason FROM vibepiper.plan('pl', 'lazy_one');
SELECT asset, status, reason FROM vibepiper.run('pl', 'lazy_one', parallel => false);
SELECT vibepiper.define_asset('pl.lazy_one', 'SELECT n FROM pl.dash', lazy => true);
SELECT asset, action, reason FROM vibepiper.plan('pl', 'lazy_one');
SELECT n FROM pl.lazy_one;

-- A pipeline without assets
SELECT vibepiper.define_pipeline('pl_empty');
SELECT * FROM vibepiper.plan('pl_empty');
SELECT vibepiper.plan('pl_empty', 'a');
SELECT asset FROM vibepiper.run('pl_empty', parallel => false);
SELECT status, built, cached FROM vibepiper.runs WHERE pipeline = 'pl_empty';
SELECT vibepiper.purge('pl_empty'), vibepiper.release('pl_empty');

-- In a read-only transaction a plan is allowed, a run is not
BEGIN READ ONLY;
SELECT count(*) FROM vibepiper.plan('pl');
SELECT count(*) FROM vibepiper.assets WHERE pipeline = 'pl';
SELECT vibepiper.run('pl', parallel => false);
ROLLBACK;

SELECT vibepiper.drop_pipeline(p, cascade => true) FROM unnest('{pl,pl_empty}'::text[]) p;
DROP SCHEMA pl, pl_more, pl_empty, pl_src CASCADE;
