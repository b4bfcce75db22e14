-- A pipeline of 15 assets, in the shape of the demo's: four cleaned sources,
-- joins and aggregates of them, one report on top.  Small, and each time its
-- rows are others, so that every run publishes all 15.
CREATE SCHEMA raw;
CREATE TABLE raw.customers AS SELECT i AS id, 'c' || i AS name, i % 7 AS region FROM generate_series(1, 200) i;
CREATE TABLE raw.products AS SELECT i AS id, 'p' || i AS name, i % 11 AS kind FROM generate_series(1, 100) i;
CREATE TABLE raw.stores AS SELECT i AS id, 's' || i AS name FROM generate_series(1, 10) i;
CREATE TABLE raw.orders AS
	SELECT i AS id, i % 200 + 1 AS customer, i % 100 + 1 AS product, i % 10 + 1 AS store, date '2026-01-01' + i % 90 AS day, i % 37 AS amount
	FROM generate_series(1, 1000) i;
ALTER TABLE raw.customers ADD PRIMARY KEY (id);
ALTER TABLE raw.products ADD PRIMARY KEY (id);
ALTER TABLE raw.stores ADD PRIMARY KEY (id);
ALTER TABLE raw.orders ADD PRIMARY KEY (id);
VACUUM ANALYZE;

SELECT vibepiper.define_pipeline('fifteen', keep_versions => 1);
SELECT asset FROM vibepiper.define_assets('fifteen', jsonb_build_array(
	jsonb_build_object('name', 'customers', 'indexes', '["UNIQUE (id)"]'::jsonb, 'query', 'SELECT id, name, region, now() AS made FROM raw.customers'),
	jsonb_build_object('name', 'products', 'indexes', '["UNIQUE (id)"]'::jsonb, 'query', 'SELECT id, name, kind, now() AS made FROM raw.products'),
	jsonb_build_object('name', 'stores', 'indexes', '["UNIQUE (id)"]'::jsonb, 'query', 'SELECT id, name, now() AS made FROM raw.stores'),
	jsonb_build_object('name', 'orders', 'indexes', '["UNIQUE (id)", "(customer)", "(day)"]'::jsonb,
		'query', 'SELECT id, customer, product, store, day, amount, now() AS made FROM raw.orders WHERE amount > 0'),
	jsonb_build_object('name', 'order_details', 'indexes', '["UNIQUE (id)"]'::jsonb,
		'query', 'SELECT o.id, o.day, o.amount, c.region, p.kind, s.name AS store, o.made FROM fifteen.orders o
			JOIN fifteen.customers c ON c.id = o.customer JOIN fifteen.products p ON p.id = o.product JOIN fifteen.stores s ON s.id = o.store'),
	jsonb_build_object('name', 'by_region', 'indexes', '["UNIQUE (id)"]'::jsonb,
		'query', 'SELECT region AS id, count(*) AS orders, sum(amount) AS amount, max(made) AS made FROM fifteen.order_details GROUP BY region'),
	jsonb_build_object('name', 'by_kind', 'indexes', '["UNIQUE (id)"]'::jsonb,
		'query', 'SELECT kind AS id, count(*) AS orders, sum(amount) AS amount, max(made) AS made FROM fifteen.order_details GROUP BY kind'),
	jsonb_build_object('name', 'by_store', 'indexes', '["UNIQUE (store)"]'::jsonb,
		'query', 'SELECT store, count(*) AS orders, sum(amount) AS amount, max(made) AS made FROM fifteen.order_details GROUP BY store'),
	jsonb_build_object('name', 'by_day', 'indexes', '["UNIQUE (day)"]'::jsonb,
		'query', 'SELECT day, count(*) AS orders, sum(amount) AS amount, max(made) AS made FROM fifteen.order_details GROUP BY day'),
	jsonb_build_object('name', 'by_customer', 'indexes', '["UNIQUE (id)"]'::jsonb,
		'query', 'SELECT c.id, c.name, count(*) AS orders, sum(o.amount) AS amount, max(o.made) AS made
			FROM fifteen.orders o JOIN fifteen.customers c ON c.id = o.customer GROUP BY c.id, c.name'),
	jsonb_build_object('name', 'by_product', 'indexes', '["UNIQUE (id)"]'::jsonb,
		'query', 'SELECT p.id, p.name, count(*) AS orders, sum(o.amount) AS amount, max(o.made) AS made
			FROM fifteen.orders o JOIN fifteen.products p ON p.id = o.product GROUP BY p.id, p.name'),
	jsonb_build_object('name', 'by_month', 'indexes', '["UNIQUE (month)"]'::jsonb,
		'query', 'SELECT date_trunc(''month'', day) AS month, sum(amount) AS amount, max(made) AS made FROM fifteen.by_day GROUP BY 1'),
	jsonb_build_object('name', 'best_customers',
		'query', 'SELECT id, name, amount, made FROM fifteen.by_customer ORDER BY amount DESC, id LIMIT 10'),
	jsonb_build_object('name', 'best_days',
		'query', 'SELECT day, amount, made FROM fifteen.by_day ORDER BY amount DESC, day LIMIT 10'),
	jsonb_build_object('name', 'report',
		'query', 'SELECT (SELECT count(*) FROM fifteen.by_region) AS regions, (SELECT count(*) FROM fifteen.by_kind) AS kinds,
			(SELECT max(amount) FROM fifteen.by_store) AS store, (SELECT max(amount) FROM fifteen.by_product) AS product,
			(SELECT max(amount) FROM fifteen.by_month) AS month, (SELECT sum(amount) FROM fifteen.best_customers) AS best,
			(SELECT max(made) FROM fifteen.best_days) AS made')));
