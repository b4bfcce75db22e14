-- The same rows three times: tables in "tab", plain views of them in "vie",
-- assets in "shop".  Indexes and statistics are the same.

CREATE SCHEMA tab;
CREATE SCHEMA vie;

CREATE TABLE tab.customers AS
	SELECT i AS id, 'customer ' || i AS name, i % 50 AS region FROM generate_series(1, 1000) i;
CREATE TABLE tab.products AS
	SELECT i AS id, 'product ' || i AS name, i % 20 AS kind FROM generate_series(1, 500) i;
CREATE TABLE tab.orders AS
	SELECT i AS id, i * 7 % 1000 + 1 AS customer, i * 13 % 500 + 1 AS product, i % 97 + 0.5::float8 AS amount,
		date '2026-01-01' + i % 365 AS day
	FROM generate_series(1, 100000) i;
CREATE UNIQUE INDEX ON tab.customers (id);
CREATE UNIQUE INDEX ON tab.products (id);
CREATE UNIQUE INDEX ON tab.orders (id);
CREATE INDEX ON tab.orders (customer);
VACUUM ANALYZE tab.customers, tab.products, tab.orders;

CREATE VIEW vie.customers AS SELECT * FROM tab.customers;
CREATE VIEW vie.products AS SELECT * FROM tab.products;
CREATE VIEW vie.orders AS SELECT * FROM tab.orders;

SELECT vibepiper.define_pipeline('shop') \g /dev/null
SELECT vibepiper.define_asset('shop.customers', 'SELECT * FROM tab.customers', indexes => '{UNIQUE (id)}'),
	vibepiper.define_asset('shop.products', 'SELECT * FROM tab.products', indexes => '{UNIQUE (id)}'),
	vibepiper.define_asset('shop.orders', 'SELECT * FROM tab.orders', indexes => '{UNIQUE (id),(customer)}') \g /dev/null
SELECT * FROM vibepiper.run('shop', parallel => false) \g /dev/null
