-- What came in after the first year, after load.sql:
--
--     psql -v increment=2019-09-01 -f doc/jaffle/increment.sql
--
-- then 2019-09-rest, then 2019-10.  A month's first increment is loaded into a
-- table of its own, which then becomes the partition of that month.

\if :{?data}
\else
    \set data test/data/jaffle-shop
\endif
\setenv JAFFLE_SHOP_INCREMENT :data/increments/:increment

BEGIN;

CREATE TEMP TABLE new_orders (LIKE raw.orders) ON COMMIT DROP;
\copy new_orders from program 'gzip -dc "$JAFFLE_SHOP_INCREMENT/raw_orders.csv.gz"' with (format csv, header)

SELECT to_char(min(ordered_at), '"orders_"YYYY_MM') AS partition,
       date_trunc('month', min(ordered_at)) AS first_day,
       date_trunc('month', min(ordered_at)) + interval '1 month' AS next_month,
       to_regclass(to_char(min(ordered_at), '"raw.orders_"YYYY_MM')) IS NULL AS is_new
FROM new_orders
\gset

\if :is_new
    CREATE TABLE raw.:"partition" (LIKE raw.orders);
    INSERT INTO raw.:"partition" TABLE new_orders;
    ALTER TABLE raw.orders ATTACH PARTITION raw.:"partition" FOR VALUES FROM (:'first_day') TO (:'next_month');
\else
    INSERT INTO raw.orders TABLE new_orders;
\endif

\copy raw.customers from program 'gzip -dc "$JAFFLE_SHOP_INCREMENT/raw_customers.csv.gz"' with (format csv, header)
\copy raw.items from program 'gzip -dc "$JAFFLE_SHOP_INCREMENT/raw_items.csv.gz"' with (format csv, header)

COMMIT;
