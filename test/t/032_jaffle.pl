# A pipeline of 17 assets over a shop's year, and what came in later: after each
# change, which assets a run computes, which it leaves alone, and why.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $test = dirname(dirname(abs_path(__FILE__)));
my $node = PostgreSQL::Test::Cluster->new('jaffle');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nmax_worker_processes = 16");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Run a script of doc/jaffle, with psql's variables.
sub script
{
	my ($name, %variables) = @_;
	my %all = (data => "$test/data/jaffle-shop", ON_ERROR_STOP => 1, %variables);
	$node->command_ok([ 'psql', '-Xqo', '/dev/null', '-d', 'postgres', (map { ('-v', "$_=$all{$_}") } sort keys %all), '-f', "$test/../doc/jaffle/$name.sql" ],
		join(' ', "$name.sql", values %variables));
	return;
}

# Rows of two columns as a hash.
sub pairs { return { map { split /\|/, $_, 2 } split /\n/, sql($_[0]) }; }

my $lazy = 'jaffle_prep.priced_items';
my @assets;

# What is expected of all assets, if only what is said of some isn't usual.
sub expected
{
	my (%said) = @_;
	return { (map { ($_ => 'cached: fresh') } @assets), $lazy => 'deferred: lazy: computed when read', %said };
}

sub plan_is
{
	my ($what, %said) = @_;
	is_deeply(pairs(q{SELECT asset, action || ': ' || reason FROM vibepiper.plan('jaffle')}), expected(%said), "$what: plan");
	return;
}

sub published { return pairs(q{SELECT asset, version_id FROM vibepiper.versions WHERE published AND asset LIKE 'jaffle%'}); }

# A run by four workers.  What it computed is written down as tasks; whose rows
# are others has a new version, everything else the old one.
sub run_is
{
	my ($what, $options, %said) = @_;
	my $before = published();
	my $result = pairs(qq{SET vibepiper.progress = off;
		SELECT asset, status || ': ' || reason FROM vibepiper.run('jaffle', max_workers => 4$options)});
	is_deeply($result, expected(%said), "$what: run");
	is_deeply(pairs(q{SELECT asset, status || ': ' || reason FROM vibepiper.tasks WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs)}),
		\%said, "$what: tasks");
	my $after = published();
	my @new = sort grep { ($before->{$_} // 0) != $after->{$_} } keys %$after;
	is_deeply(\@new, [ sort grep { $said{$_} =~ /^built/ } keys %said ], "$what: new versions");
	right($what);
	return;
}

# Every asset has the rows of its definition, and the sums are those of the raw
# tables.  Afterwards nothing is stale.
sub right
{
	my ($what) = @_;
	my $differs = join(' UNION ALL ', map {
		qq{(WITH stored AS MATERIALIZED (SELECT * FROM $_), defined AS MATERIALIZED (SELECT * FROM vibepiper_def."$_")
			SELECT '$_' WHERE EXISTS (TABLE stored EXCEPT ALL TABLE defined) OR EXISTS (TABLE defined EXCEPT ALL TABLE stored))}
	} @assets);
	is(sql($differs), '', "$what: every asset equals its definition");
	is(sql(q{
		SELECT (SELECT (count(*), sum(order_total) * 100, sum(tax_paid) * 100, sum(food_items + drink_items)) FROM jaffle.orders),
			(SELECT (count(*), sum(orders)) FROM jaffle.customers),
			(SELECT (sum(orders), sum(revenue) * 100) FROM jaffle.monthly_revenue),
			(SELECT sum(gross_profit) * 100 FROM jaffle.daily_revenue),
			(SELECT (sum(items), sum(revenue) * 100) FROM jaffle.product_sales)}), sql(q{
		WITH items AS (SELECT p.price, (SELECT sum(cost) FROM raw.supplies s WHERE s.sku = i.sku) AS cost
			FROM raw.items i JOIN raw.products p USING (sku) WHERE order_id IN (SELECT id FROM raw.orders))
		SELECT (SELECT (count(*), sum(order_total) * 1.00, sum(tax_paid) * 1.00, (SELECT count(*) FROM items)) FROM raw.orders),
			(SELECT (count(*), (SELECT count(*) FROM raw.orders)) FROM raw.customers),
			(SELECT (count(*), sum(subtotal) * 1.00) FROM raw.orders),
			(SELECT sum(subtotal) - (SELECT sum(cost) FROM items) * 1.00 FROM raw.orders),
			(SELECT (count(*), sum(price) * 1.00) FROM items)}), "$what: the sums are those of the raw tables");
	plan_is("$what, after it");
	return;
}

sub no_change
{
	my ($what) = @_;
	plan_is($what);
	run_is($what, '');
	return;
}

# The same reason for several assets
sub same { my ($text, @names) = @_; return map { ($_ => $text) } @names; }

# The first year
sql('CREATE EXTENSION vibepiper');
script('load');
script('pipeline');
@assets = split /\n/, sql(q{SELECT asset FROM vibepiper.assets WHERE pipeline = 'jaffle'});
my @stored = grep { $_ ne $lazy } @assets;
is(scalar(@assets), 17, 'assets');
plan_is('the first year', same('build: never built', @stored));
run_is('the first year', '', same('built: never built', @stored));
is(sql('SELECT count(*) FROM jaffle.order_items'), 14136, 'all items of the first year');
is(sql('SELECT count(*) FROM jaffle.stores WHERE first_order_on = opened_on'), 2, 'two stores began on the day they opened');
no_change('again');

# What leaves everything as it is
sql('VACUUM raw.orders, raw.items, raw.customers');
sql('VACUUM FULL raw.products');
sql('ANALYZE raw.orders');
sql(q{UPDATE raw.items SET sku = 'JAF-001' WHERE sku = 'no such product'; DELETE FROM raw.orders WHERE ordered_at < '2018-01-01'});
sql(q{BEGIN; INSERT INTO raw.customers VALUES (gen_random_uuid(), 'nobody'); UPDATE raw.products SET price = price + 100; TRUNCATE raw.items;
	CREATE TABLE raw.orders_2030 PARTITION OF raw.orders FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
	INSERT INTO raw.orders SELECT id, customer, '2030-01-01' FROM raw.orders_2018_09; ROLLBACK});
sql(q{CREATE INDEX ON raw.orders (customer);
	CREATE TABLE raw.orders_2031 PARTITION OF raw.orders FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')});
no_change('VACUUM, no rows, a rollback, an index, an empty partition');

# What came in later: orders, items and customers, so not what the shop sells.
# The first orders of the stores are still the first, so the stores are left alone.
my %planned = (
	'jaffle_prep.stg_customers' => 'build: source raw.customers changed',
	'jaffle_prep.stg_orders' => 'build: source raw.orders changed',
	'jaffle_prep.stg_items' => 'build: source raw.items changed',
	same('maybe: upstream jaffle_prep.stg_orders is rebuilt first', 'jaffle_prep.store_starts', 'jaffle.order_items'),
	'jaffle.orders' => 'maybe: upstream jaffle_prep.stg_orders is rebuilt first',
	'jaffle.customers' => 'maybe: upstream jaffle_prep.stg_customers is rebuilt first',
	'jaffle.stores' => 'maybe: upstream jaffle_prep.store_starts is rebuilt first',
	'jaffle.product_sales' => 'maybe: upstream jaffle.order_items is rebuilt first',
	'jaffle.daily_revenue' => 'maybe: upstream jaffle.orders is rebuilt first',
	'jaffle.monthly_revenue' => 'maybe: upstream jaffle.daily_revenue is rebuilt first');
my %computed = (
	'jaffle_prep.stg_customers' => 'built: source raw.customers changed',
	'jaffle_prep.stg_orders' => 'built: source raw.orders changed',
	'jaffle_prep.stg_items' => 'built: source raw.items changed',
	'jaffle_prep.store_starts' => 'unchanged: upstream jaffle_prep.stg_orders changed',
	same('built: upstream jaffle_prep.stg_orders changed', 'jaffle.order_items', 'jaffle.orders'),
	'jaffle.customers' => 'built: upstream jaffle_prep.stg_customers changed',
	'jaffle.product_sales' => 'built: upstream jaffle.order_items changed',
	'jaffle.daily_revenue' => 'built: upstream jaffle.orders changed',
	'jaffle.monthly_revenue' => 'built: upstream jaffle.daily_revenue changed');

# a day, the first of its month, as a new partition
script('increment', increment => '2019-09-01');
plan_is('a day', %planned);
run_is('a day', '', %computed);
is(sql(q{SELECT sum(orders) FROM jaffle.daily_revenue WHERE ordered_on = '2019-09-01'}), 20, 'all orders of the day');
$node->restart;
no_change('a restart');

# the rest of the month, into that partition; the server restarts before the run
script('increment', increment => '2019-09-rest');
plan_is('the rest of the month', %planned);
$node->restart;
plan_is('the rest of the month, after a restart', %planned);
run_is('the rest of the month', '', %computed);
is(sql(q{SELECT sum(orders) FROM jaffle.monthly_revenue WHERE month = '2019-09-01'}), 1551, 'all orders of the month');

# a month, as a new partition
script('increment', increment => '2019-10');
plan_is('a month', %planned);
run_is('a month', '', %computed);
is(sql('SELECT count(*), sum(orders) FROM jaffle.customers'), '142|13446', 'all customers and orders');

# Sources that come out the same: nothing is computed that reads them
sql(q{UPDATE raw.stores SET opened_at = opened_at + interval '9 hours'});
plan_is('the hour of opening',
	'jaffle_prep.stg_stores' => 'build: source raw.stores changed',
	'jaffle.stores' => 'maybe: upstream jaffle_prep.stg_stores is rebuilt first',
	'jaffle.daily_revenue' => 'maybe: upstream jaffle.stores is rebuilt first',
	'jaffle.monthly_revenue' => 'maybe: upstream jaffle.daily_revenue is rebuilt first');
run_is('the hour of opening', '', 'jaffle_prep.stg_stores' => 'unchanged: source raw.stores changed');
is(sql('SELECT count(*) FROM jaffle_prep.stg_stores s JOIN raw.stores r ON s.store_id = r.id WHERE s.opened_on = r.opened_at'), 0, 'the hours are changed');

sql(q{BEGIN; DELETE FROM raw.items WHERE sku = 'JAF-004'; COMMIT; BEGIN; INSERT INTO raw.items SELECT item_id, order_id, product_id FROM jaffle_prep.stg_items WHERE product_id = 'JAF-004'; COMMIT});
run_is('items that went and came back', '', 'jaffle_prep.stg_items' => 'unchanged: source raw.items changed');

# A function, in other words: what calls it is computed, and comes out the same
sql(q{CREATE OR REPLACE FUNCTION jaffle_prep.dollars(cents int) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT (cents * 0.01)::numeric(20, 2)'});
run_is('a function in other words', '', same('unchanged: function jaffle_prep.dollars(integer) changed',
	'jaffle_prep.stg_products', 'jaffle_prep.stg_supplies', 'jaffle_prep.stg_orders'));

# ... with another meaning: one asset calls it, nothing reads that
sql(q{CREATE OR REPLACE FUNCTION jaffle_prep.segment(orders bigint, spent numeric) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	AS $$ BEGIN RETURN CASE WHEN orders > 100 THEN 'friend' ELSE 'guest' END; END $$});
plan_is('another function', 'jaffle.customers' => 'build: function jaffle_prep.segment(bigint,numeric) changed');
run_is('another function', '', 'jaffle.customers' => 'built: function jaffle_prep.segment(bigint,numeric) changed');
is(sql(q{SELECT count(*) FROM jaffle.customers WHERE (segment = 'friend') <> (orders > 100)}), 0, 'customers have the new segments');

# ... with another meaning, where what reads it comes out the same
sql(q{CREATE OR REPLACE FUNCTION jaffle_prep.ingredients(product text) RETURNS text LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN (SELECT string_agg(s.supply, ' and ' ORDER BY s.supply) FROM jaffle_prep.stg_supplies AS s WHERE s.product_id = product AND s.perishable); END $$});
plan_is('a function that reads an asset',
	'jaffle.products' => 'build: function jaffle_prep.ingredients(text) changed',
	'jaffle.product_sales' => 'maybe: upstream jaffle.products is rebuilt first');
run_is('a function that reads an asset', '',
	'jaffle.products' => 'built: function jaffle_prep.ingredients(text) changed',
	'jaffle.product_sales' => 'unchanged: upstream jaffle.products changed');
is(sql(q{SELECT ingredients FROM jaffle.products WHERE product_id = 'BEV-001'}), 'mango and tangerine', 'the menu is new');

# A supply is renamed: only the function shows that the menu depends on it
sql(q{UPDATE raw.supplies SET name = 'ripe mango' WHERE name = 'mango'});
run_is('a supply is renamed', '',
	'jaffle_prep.stg_supplies' => 'built: source raw.supplies changed',
	'jaffle_prep.supply_costs' => 'unchanged: upstream jaffle_prep.stg_supplies changed',
	'jaffle.products' => 'built: upstream jaffle_prep.stg_supplies changed',
	'jaffle.product_sales' => 'unchanged: upstream jaffle.products changed');
is(sql(q{SELECT ingredients FROM jaffle.products WHERE product_id = 'BEV-001'}), 'ripe mango and tangerine', 'and the menu says so');

# ... is dearer: that goes through the lazy asset to what the shop earns, not to what it sells
sql(q{UPDATE raw.supplies SET cost = cost + 1 WHERE name = 'ripe mango'});
run_is('a supply is dearer', '',
	'jaffle_prep.stg_supplies' => 'built: source raw.supplies changed',
	'jaffle_prep.supply_costs' => 'built: upstream jaffle_prep.stg_supplies changed',
	'jaffle.products' => 'built: upstream jaffle_prep.stg_supplies changed',
	'jaffle.order_items' => "built: upstream $lazy changed",
	'jaffle.orders' => 'built: upstream jaffle.order_items changed',
	'jaffle.daily_revenue' => 'built: upstream jaffle.orders changed',
	'jaffle.customers' => 'unchanged: upstream jaffle.orders changed',
	'jaffle.product_sales' => 'unchanged: upstream jaffle.order_items changed',
	'jaffle.monthly_revenue' => 'unchanged: upstream jaffle.daily_revenue changed');

# An item more in an old order, which the order's total doesn't know
sql(q{INSERT INTO raw.items SELECT '00000000-0000-0000-0000-000000000000', id, 'BEV-004' FROM raw.orders ORDER BY ordered_at, id LIMIT 1});
run_is('an item', '',
	'jaffle_prep.stg_items' => 'built: source raw.items changed',
	'jaffle.order_items' => "built: upstream $lazy changed",
	'jaffle.orders' => 'built: upstream jaffle.order_items changed',
	'jaffle.product_sales' => 'built: upstream jaffle.order_items changed',
	'jaffle.daily_revenue' => 'built: upstream jaffle.orders changed',
	'jaffle.customers' => 'unchanged: upstream jaffle.orders changed',
	'jaffle.monthly_revenue' => 'unchanged: upstream jaffle.daily_revenue changed');

# The first month goes: the first store's first order is another one now
sql('ALTER TABLE raw.orders DETACH PARTITION raw.orders_2018_09');
run_is('a month goes', '',
	'jaffle_prep.stg_orders' => 'built: source raw.orders changed',
	same('built: upstream jaffle_prep.stg_orders changed', 'jaffle_prep.store_starts', 'jaffle.order_items', 'jaffle.orders'),
	'jaffle.stores' => 'built: upstream jaffle_prep.store_starts changed',
	'jaffle.customers' => 'built: upstream jaffle.orders changed',
	'jaffle.product_sales' => 'built: upstream jaffle.order_items changed',
	'jaffle.daily_revenue' => 'built: upstream jaffle.orders changed',
	'jaffle.monthly_revenue' => 'built: upstream jaffle.daily_revenue changed');
is(sql('SELECT min(first_order_on) FROM jaffle.stores'), '2018-10-01', 'the first day is another one');

# From the beginning everything comes out as it is
run_is('all again', ', force => true', same('unchanged: forced', @stored));

$node->stop;
done_testing();
