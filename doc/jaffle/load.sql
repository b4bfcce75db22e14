-- Schema raw: a sandwich shop's first year, September 2018 to August 2019.
-- "data" is the folder of the CSV files; the default suits psql at the top of the tree.

\if :{?data}
\else
    \set data test/data/jaffle-shop
\endif
\setenv JAFFLE_SHOP :data

CREATE SCHEMA raw;

CREATE TABLE raw.customers (
    id   uuid PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE raw.stores (
    id        uuid PRIMARY KEY,
    name      text NOT NULL,
    opened_at timestamp,
    tax_rate  numeric
);

CREATE TABLE raw.products (
    sku         text PRIMARY KEY,
    name        text NOT NULL,
    type        text,
    price       int,            -- cents, as all money here
    description text
);

CREATE TABLE raw.supplies (
    id         text,
    name       text,
    cost       int,
    perishable bool,
    sku        text,
    PRIMARY KEY (id, sku)
);

-- A partition for each month
CREATE TABLE raw.orders (
    id          uuid,
    customer    uuid,
    ordered_at  timestamp,
    store_id    uuid,
    subtotal    int,
    tax_paid    int,
    order_total int
) PARTITION BY RANGE (ordered_at);

CREATE TABLE raw.items (
    id       uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    sku      text NOT NULL
);

SELECT format('CREATE TABLE raw.%I PARTITION OF raw.orders FOR VALUES FROM (%L) TO (%L)',
              to_char(month, '"orders_"YYYY_MM'), month, month + interval '1 month')
FROM generate_series(timestamp '2018-09-01', '2019-08-01', '1 month') AS month
\gexec

\copy raw.customers from program 'gzip -dc "$JAFFLE_SHOP/raw_customers.csv.gz"' with (format csv, header)
\copy raw.stores from program 'gzip -dc "$JAFFLE_SHOP/raw_stores.csv.gz"' with (format csv, header)
\copy raw.products from program 'gzip -dc "$JAFFLE_SHOP/raw_products.csv.gz"' with (format csv, header)
\copy raw.supplies from program 'gzip -dc "$JAFFLE_SHOP/raw_supplies.csv.gz"' with (format csv, header)
\copy raw.orders from program 'gzip -dc "$JAFFLE_SHOP/raw_orders.csv.gz"' with (format csv, header)
\copy raw.items from program 'gzip -dc "$JAFFLE_SHOP/raw_items.csv.gz"' with (format csv, header)

ANALYZE raw.customers, raw.stores, raw.products, raw.supplies, raw.orders, raw.items;
