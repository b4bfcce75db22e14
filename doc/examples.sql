-- The examples of reference.md, in order.  Made by:
--   awk '/^```sql$/ { on = 1; next } /^```/ { on = 0 } on' doc/reference.md
CREATE EXTENSION IF NOT EXISTS vibepiper;

CREATE SCHEMA raw;
CREATE TABLE raw.orders (id int PRIMARY KEY, customer int, amount numeric, ordered_at timestamp);
INSERT INTO raw.orders
SELECT i, i % 10, i % 37, timestamp '2026-01-01' + make_interval(hours => i)
FROM generate_series(1, 1000) AS i;
CREATE TABLE raw.customers (id int PRIMARY KEY, name text);
INSERT INTO raw.customers SELECT i, 'customer ' || i FROM generate_series(0, 9) AS i;
SELECT vibepiper.define_pipeline('shop', description => 'What the shop sells');
SELECT vibepiper.define_asset('shop.orders', $$
    SELECT id, customer, amount, ordered_at::date AS day
    FROM raw.orders
    WHERE amount > 0
$$, indexes => ARRAY['UNIQUE (id)', '(customer)'], tags => ARRAY['staging']);

SELECT vibepiper.define_asset('shop.revenue', $$
    SELECT day, count(*) AS orders, sum(amount) AS revenue
    FROM shop.orders
    GROUP BY day
$$, indexes => ARRAY['UNIQUE (day)'], description => 'Revenue by day');

-- the same meaning: unchanged
SELECT vibepiper.define_asset('shop.revenue', $$
    select day, count(*) as orders, sum(amount) as revenue  -- by day
    from shop.orders group by day
$$, indexes => ARRAY['UNIQUE (day)'], description => 'Revenue by day');
SELECT * FROM vibepiper.define_assets('shop', '[
    {"name": "best_customers", "query": "SELECT name, revenue FROM revenue_by_customer ORDER BY revenue DESC LIMIT 3"},
    {"name": "revenue_by_customer", "tags": ["mart"], "query":
        "SELECT c.name, sum(o.amount) AS revenue FROM orders o JOIN raw.customers c ON c.id = o.customer GROUP BY c.name"}
]');
SELECT vibepiper.asset_query('shop.best_customers');
SELECT vibepiper.define_asset('shop.scratch', 'SELECT 1 AS one');
SELECT vibepiper.drop_asset('shop.scratch');
SELECT vibepiper.rename_asset('shop.best_customers', 'top_customers');
SELECT asset FROM vibepiper.plan('shop', 'top_customers');
SELECT vibepiper.rename_asset('shop.top_customers', 'best_customers');
BEGIN;
SELECT * FROM vibepiper.detach_source('raw.orders');
ALTER TABLE raw.orders ALTER COLUMN amount TYPE numeric(12, 2);
SELECT count(*) > 0 AS read FROM vibepiper.assets WHERE detached_sources IS NOT NULL;
SELECT * FROM vibepiper.attach_source('raw.orders');
COMMIT;
SELECT * FROM vibepiper.adopt_assets();
SELECT asset FROM vibepiper.plan('shop', '+revenue');
SELECT asset FROM vibepiper.plan('shop', 'source:raw.customers+ -tag:mart');
SELECT * FROM vibepiper.plan('shop');
SELECT asset, status, reason, rows FROM vibepiper.run('shop');
SELECT * FROM shop.best_customers ORDER BY revenue DESC, name;
-- nothing to do: no process is started
SELECT asset, status, reason FROM vibepiper.run('shop');
SELECT status FROM vibepiper.run('shop', force => true, wait => false);
SELECT vibepiper.wait_run(max(run_id)) FROM vibepiper.runs WHERE pipeline = 'shop';
SELECT vibepiper.cancel_run(max(run_id)) AS was_running FROM vibepiper.runs WHERE pipeline = 'shop';
SELECT vibepiper.define_asset('shop.fragile', 'SELECT 1 / count(*) AS x FROM raw.customers WHERE id < 0');
SELECT asset, status, error FROM vibepiper.run('shop', 'fragile', on_failure => 'report');
INSERT INTO raw.customers VALUES (-1, 'the first');
SELECT asset, status, reason FROM vibepiper.retry_run((SELECT max(run_id) FROM vibepiper.runs WHERE status = 'failed'));
SELECT vibepiper.drop_asset('shop.fragile');
UPDATE raw.customers SET name = 'the best customer' WHERE id = 3;
SELECT vibepiper.invalidate('shop.revenue_by_customer', downstream => false);
SELECT asset, action, reason FROM vibepiper.plan('shop', 'revenue_by_customer+');
SELECT asset, status, reason FROM vibepiper.run('shop');
SELECT vibepiper.is_fresh('shop.revenue');
SELECT split_part(vibepiper.explain_asset('shop.revenue'), E'\n', 1);
-- to the run before the last one
SELECT asset FROM vibepiper.rollback('shop', (SELECT run_id FROM vibepiper.runs WHERE pipeline = 'shop' ORDER BY run_id DESC OFFSET 1 LIMIT 1)) ORDER BY asset;
SELECT name FROM shop.best_customers WHERE name LIKE 'the%';
SELECT asset, action FROM vibepiper.plan('shop') WHERE reason LIKE 'pinned to run %';
SELECT vibepiper.release('shop') > 0 AS released;
SELECT vibepiper.purge('shop', keep_versions => 1) >= 0 AS purged;
SELECT asset, state, reason, rows FROM vibepiper.assets WHERE pipeline = 'shop' ORDER BY asset;
SELECT asset, upstream FROM vibepiper.dependencies WHERE asset LIKE 'shop.%' ORDER BY asset, upstream;
SELECT asset, source FROM vibepiper.sources WHERE asset LIKE 'shop.%' ORDER BY asset, source;
SELECT kind, status, built, unchanged, cached FROM vibepiper.runs WHERE pipeline = 'shop' ORDER BY run_id DESC LIMIT 4;
EXPLAIN (COSTS OFF) SELECT amount FROM shop.orders WHERE id = 77;
PREPARE revenue_of AS SELECT revenue FROM shop.revenue WHERE day = $1;
EXECUTE revenue_of('2026-01-15');
UPDATE raw.orders SET amount = amount + 1 WHERE ordered_at::date = '2026-01-15';
SELECT vibepiper.invalidate('shop.orders') AS invalidated;
SELECT count(*) AS built FROM vibepiper.run('shop') WHERE status = 'built';
EXECUTE revenue_of('2026-01-15');
SELECT vibepiper.define_asset('shop.unbuilt', 'SELECT count(*) AS n FROM shop.orders');
SELECT n > 0 AS computed FROM shop.unbuilt;
SET vibepiper.on_miss = 'error';
DO $$
BEGIN
    PERFORM * FROM shop.unbuilt;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RAISE NOTICE '%', SQLERRM;
END $$;
RESET vibepiper.on_miss;
CREATE ROLE shop_reader;
GRANT USAGE ON SCHEMA shop TO shop_reader;
GRANT SELECT ON shop.revenue TO shop_reader;
SET ROLE shop_reader;
SELECT count(*) FROM shop.revenue;
RESET ROLE;
REVOKE ALL ON shop.revenue FROM shop_reader;
REVOKE ALL ON SCHEMA shop FROM shop_reader;
DROP ROLE shop_reader;
SELECT vibepiper.drop_pipeline('shop', cascade => true);
DROP SCHEMA shop;
DROP SCHEMA raw CASCADE;
