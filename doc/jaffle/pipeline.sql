-- Pipeline "jaffle": from the raw tables of load.sql to what a sandwich shop asks.
--
--   staging       stg_customers  stg_stores  stg_products  stg_supplies  stg_orders  stg_items
--   in between    supply_costs           stg_supplies
--                 store_starts           stg_orders
--                 priced_items (lazy)    stg_items, stg_products, supply_costs
--   marts         order_items            priced_items, stg_orders
--                 orders                 stg_orders, order_items
--                 customers              stg_customers, orders
--                 stores                 stg_stores, store_starts
--                 products               stg_products, supply_costs; stg_supplies through a function
--                 product_sales          order_items, products
--                 daily_revenue          orders, stores
--                 monthly_revenue        daily_revenue
--
-- Marts stand in schema jaffle, the rest in jaffle_prep.  Sums and averages are
-- of numerics, so they are the same in any order of the rows.

SELECT vibepiper.define_pipeline('jaffle', schemas => '{jaffle, jaffle_prep}',
    description => 'Orders of the jaffle shop: what sells, where, to whom');

CREATE FUNCTION jaffle_prep.dollars(cents int) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT round(cents / 100.0, 2)';

CREATE FUNCTION jaffle_prep.segment(orders bigint, spent numeric) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    IF orders = 0 THEN
        RETURN 'no orders yet';
    ELSIF orders < 25 THEN
        RETURN 'guest';
    END IF;
    RETURN CASE WHEN spent / orders >= 15 THEN 'regular, large orders' ELSE 'regular' END;
END $$;

-- What a product is made of.  That this reads an asset can't be seen from outside.
CREATE FUNCTION jaffle_prep.ingredients(product text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN (SELECT string_agg(s.supply, ', ' ORDER BY s.supply)
            FROM jaffle_prep.stg_supplies AS s
            WHERE s.product_id = product AND s.perishable);
END $$;


-- Staging: names, types, dollars -------------------------------------------

SELECT vibepiper.define_asset('jaffle_prep.stg_customers', $$
    SELECT id AS customer_id, name AS customer_name FROM raw.customers
$$, indexes => ARRAY['UNIQUE (customer_id)'], tags => ARRAY['staging']);

SELECT vibepiper.define_asset('jaffle_prep.stg_stores', $$
    SELECT id AS store_id, name AS store_name, opened_at::date AS opened_on, tax_rate FROM raw.stores
$$, indexes => ARRAY['UNIQUE (store_id)'], tags => ARRAY['staging']);

SELECT vibepiper.define_asset('jaffle_prep.stg_products', $$
    SELECT sku AS product_id,
           btrim(name) AS product_name,
           type = 'jaffle' AS is_food,
           jaffle_prep.dollars(price) AS price
    FROM raw.products
$$, indexes => ARRAY['UNIQUE (product_id)'], tags => ARRAY['staging']);

SELECT vibepiper.define_asset('jaffle_prep.stg_supplies', $$
    SELECT id AS supply_id,
           sku AS product_id,
           name AS supply,
           jaffle_prep.dollars(cost) AS cost,
           perishable
    FROM raw.supplies
$$, indexes => ARRAY['UNIQUE (product_id, supply_id)'], tags => ARRAY['staging']);

SELECT vibepiper.define_asset('jaffle_prep.stg_orders', $$
    SELECT id AS order_id,
           customer AS customer_id,
           store_id,
           ordered_at,
           ordered_at::date AS ordered_on,
           jaffle_prep.dollars(subtotal) AS subtotal,
           jaffle_prep.dollars(tax_paid) AS tax_paid,
           jaffle_prep.dollars(order_total) AS order_total
    FROM raw.orders
$$, indexes => ARRAY['UNIQUE (order_id)', 'USING brin (ordered_on)'], tags => ARRAY['staging']);

SELECT vibepiper.define_asset('jaffle_prep.stg_items', $$
    SELECT id AS item_id, order_id, sku AS product_id FROM raw.items
$$, indexes => ARRAY['UNIQUE (item_id)', '(order_id)'], tags => ARRAY['staging']);


-- In between ---------------------------------------------------------------

SELECT vibepiper.define_asset('jaffle_prep.supply_costs', $$
    SELECT product_id,
           sum(cost) AS supply_cost,
           coalesce(sum(cost) FILTER (WHERE perishable), 0) AS perishable_cost
    FROM jaffle_prep.stg_supplies
    GROUP BY product_id
$$, indexes => ARRAY['UNIQUE (product_id)'],
    description => 'What the supplies of a product cost');

SELECT vibepiper.define_asset('jaffle_prep.store_starts', $$
    SELECT store_id, min(ordered_on) AS first_order_on
    FROM jaffle_prep.stg_orders
    GROUP BY store_id
$$, indexes => ARRAY['UNIQUE (store_id)'],
    description => 'When a store had its first order; more orders change nothing');

SELECT vibepiper.define_asset('jaffle_prep.priced_items', $$
    SELECT i.item_id, i.order_id, i.product_id, p.product_name, p.is_food, p.price, c.supply_cost
    FROM jaffle_prep.stg_items AS i
    JOIN jaffle_prep.stg_products AS p USING (product_id)
    LEFT JOIN jaffle_prep.supply_costs AS c USING (product_id)
$$, lazy => true,
    description => 'Items with price and cost; not stored, order_items has the same and more');


-- Marts --------------------------------------------------------------------

SELECT vibepiper.define_asset('jaffle.order_items', $$
    SELECT i.item_id,
           i.order_id,
           o.ordered_on,
           o.store_id,
           i.product_id,
           i.product_name,
           i.is_food,
           i.price,
           i.supply_cost
    FROM jaffle_prep.priced_items AS i
    JOIN jaffle_prep.stg_orders AS o USING (order_id)
$$, indexes => ARRAY['UNIQUE (item_id)', '(order_id)', '(product_id, ordered_on)'], tags => ARRAY['mart'],
    description => 'Each item sold');

SELECT vibepiper.define_asset('jaffle.orders', $$
    SELECT o.order_id,
           o.customer_id,
           o.store_id,
           o.ordered_on,
           o.order_total,
           o.tax_paid,
           coalesce(i.food_items, 0) AS food_items,
           coalesce(i.drink_items, 0) AS drink_items,
           o.subtotal - coalesce(i.supply_cost, 0) AS gross_profit,
           row_number() OVER (PARTITION BY o.customer_id
                              ORDER BY o.ordered_at, o.order_id) AS order_of_customer
    FROM jaffle_prep.stg_orders AS o
    LEFT JOIN (
        SELECT order_id,
               count(*) FILTER (WHERE is_food) AS food_items,
               count(*) FILTER (WHERE NOT is_food) AS drink_items,
               sum(supply_cost) AS supply_cost
        FROM jaffle.order_items
        GROUP BY order_id
    ) AS i USING (order_id)
$$, indexes => ARRAY['UNIQUE (order_id)', '(customer_id, order_of_customer)', '(ordered_on)'], tags => ARRAY['mart'],
    description => 'Each order, with what was in it and what it earned');

SELECT vibepiper.define_asset('jaffle.customers', $$
    SELECT c.customer_id,
           c.customer_name,
           count(o.order_id) AS orders,
           min(o.ordered_on) AS first_order_on,
           max(o.ordered_on) AS last_order_on,
           coalesce(sum(o.order_total), 0) AS spent,
           jaffle_prep.segment(count(o.order_id), coalesce(sum(o.order_total), 0)) AS segment
    FROM jaffle_prep.stg_customers AS c
    LEFT JOIN jaffle.orders AS o USING (customer_id)
    GROUP BY c.customer_id, c.customer_name
$$, indexes => ARRAY['UNIQUE (customer_id)', '(segment)'], tags => ARRAY['mart'],
    description => 'Each customer, with what he or she ordered so far');

SELECT vibepiper.define_asset('jaffle.stores', $$
    SELECT s.store_id, s.store_name, s.tax_rate, s.opened_on, f.first_order_on
    FROM jaffle_prep.stg_stores AS s
    LEFT JOIN jaffle_prep.store_starts AS f USING (store_id)
$$, indexes => ARRAY['UNIQUE (store_id)'], tags => ARRAY['mart'],
    description => 'Each store; some are still to open');

SELECT vibepiper.define_asset('jaffle.products', $$
    SELECT p.product_id,
           p.product_name,
           p.is_food,
           p.price,
           c.supply_cost,
           round(100 * (p.price - c.supply_cost) / p.price, 1) AS margin_percent,
           jaffle_prep.ingredients(p.product_id) AS ingredients
    FROM jaffle_prep.stg_products AS p
    LEFT JOIN jaffle_prep.supply_costs AS c USING (product_id)
$$, indexes => ARRAY['UNIQUE (product_id)'], depends_on => ARRAY['jaffle_prep.stg_supplies'], tags => ARRAY['mart'],
    description => 'The menu');

SELECT vibepiper.define_asset('jaffle.product_sales', $$
    SELECT date_trunc('month', i.ordered_on::timestamp)::date AS month,
           i.product_id,
           p.product_name,
           count(*) AS items,
           sum(i.price) AS revenue,
           round(100 * sum(i.price) / sum(sum(i.price)) OVER (PARTITION BY date_trunc('month', i.ordered_on::timestamp)), 1) AS percent_of_month
    FROM jaffle.order_items AS i
    JOIN jaffle.products AS p USING (product_id)
    GROUP BY date_trunc('month', i.ordered_on::timestamp), i.product_id, p.product_name
$$, indexes => ARRAY['UNIQUE (month, product_id)'], tags => ARRAY['mart'],
    description => 'Items and revenue by month and product');

SELECT vibepiper.define_asset('jaffle.daily_revenue', $$
    SELECT o.ordered_on,
           s.store_id,
           s.store_name,
           o.ordered_on - s.first_order_on AS day_of_store,
           count(*) AS orders,
           sum(o.order_total - o.tax_paid) AS revenue,
           sum(o.gross_profit) AS gross_profit
    FROM jaffle.orders AS o
    JOIN jaffle.stores AS s USING (store_id)
    GROUP BY o.ordered_on, s.store_id, s.store_name, s.first_order_on
$$, indexes => ARRAY['UNIQUE (ordered_on, store_id)'], tags => ARRAY['mart'],
    description => 'Orders and revenue by day and store');

SELECT vibepiper.define_asset('jaffle.monthly_revenue', $$
    SELECT date_trunc('month', ordered_on::timestamp)::date AS month,
           store_id,
           store_name,
           sum(orders)::bigint AS orders,
           sum(revenue) AS revenue,
           max(revenue) AS best_day,
           sum(revenue) - lag(sum(revenue)) OVER (PARTITION BY store_id ORDER BY date_trunc('month', ordered_on::timestamp)) AS change
    FROM jaffle.daily_revenue
    GROUP BY date_trunc('month', ordered_on::timestamp), store_id, store_name
$$, indexes => ARRAY['UNIQUE (month, store_id)'], tags => ARRAY['mart'],
    description => 'Revenue by month and store, and the change from the month before');
