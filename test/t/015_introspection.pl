# What tools ask the catalogs: names, columns, comments, rights, definitions,
# sizes and estimates, as the owner and as one who may only read.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('introspection');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nautovacuum = off");
$node->start;

# All rows fit into the sample of ANALYZE, so statistics are no matter of luck.
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA raw;
	CREATE TABLE raw.orders (id int PRIMARY KEY, customer int, amount numeric(10, 2), note text, at timestamp);
	INSERT INTO raw.orders SELECT i, (i * i) % 97, i % 37, CASE WHEN i % 5 > 0 THEN 'note ' || i % 11 END, timestamp '2026-01-01' + i * interval '1 hour'
	FROM generate_series(1, 10000) i;
	SELECT vibepiper.define_pipeline('shop');
	SELECT vibepiper.define_asset('shop.orders', 'SELECT id, customer, amount, note::varchar(40) AS note, at::date AS day FROM raw.orders',
		indexes => '{UNIQUE (id),(customer)}', description => 'All orders');
	SELECT vibepiper.define_asset('shop."Per Day"', 'SELECT day, count(*) AS "Orders" FROM shop.orders GROUP BY day', description => 'It''s a day');
	SELECT vibepiper.define_asset('shop.hidden', 'SELECT id FROM shop.orders');
	COMMENT ON COLUMN shop.orders.amount IS 'in euros';
	SELECT FROM vibepiper.run('shop', parallel => false);
	CREATE ROLE reader LOGIN;
	GRANT USAGE ON SCHEMA shop TO reader;
	GRANT SELECT ON shop.orders, shop."Per Day" TO reader;
	CREATE TABLE raw.plain AS TABLE shop.orders;
	CREATE UNIQUE INDEX ON raw.plain (id);
	CREATE INDEX ON raw.plain (customer);
	GRANT USAGE ON SCHEMA raw TO reader;
	GRANT SELECT ON raw.plain TO reader;
});
# what is stored is all-visible, too
$node->safe_psql('postgres', 'VACUUM ANALYZE raw.plain');

sub as_reader { return $node->safe_psql('postgres', $_[0], connstr => $node->connstr('postgres') . ' user=reader') }

# ---- lists of tables

my $tables = q{SELECT table_schema, table_name, table_type, is_insertable_into FROM information_schema.tables
	WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'raw', 'vibepiper') ORDER BY 1, 2};
is(as_reader($tables), "shop|Per Day|VIEW|NO\nshop|orders|VIEW|NO", 'a reader is shown views that it may read, and nothing else of a pipeline');
is($node->safe_psql('postgres', "SELECT count(*) FROM ($tables) t WHERE table_schema = 'shop'"), 3, 'the owner all three');

# as JDBC's getTables asks: by kinds of relations
my $kinds = q{SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' END, d.description
	FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
	LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
	WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname LIKE 'shop' ORDER BY 3, 1, 2};
is(as_reader($kinds), "shop|Per Day|VIEW|It's a day\nshop|hidden|VIEW|\nshop|orders|VIEW|All orders", 'with descriptions as comments');
is(as_reader(q{SELECT obj_description('shop.orders'::regclass, 'pg_class'), col_description('shop.orders'::regclass, 3)}), 'All orders|in euros',
	'comments of columns are as they were set');
is(as_reader(q{SELECT schemaname, viewname FROM pg_views WHERE schemaname = 'shop' ORDER BY 2}), "shop|Per Day\nshop|hidden\nshop|orders", 'pg_views');
is(as_reader(q{SELECT count(*) FROM pg_tables WHERE schemaname = 'shop'} . ' UNION ALL ' . q{SELECT count(*) FROM pg_matviews WHERE schemaname = 'shop'}), "0\n0",
	'no tables, no materialized views');

# ---- columns

is(as_reader(q{SELECT column_name, ordinal_position, is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale, is_updatable
	FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'orders' ORDER BY 2}),
	join("\n", 'id|1|YES|integer||32|0|NO', 'customer|2|YES|integer||32|0|NO', 'amount|3|YES|numeric||10|2|NO', 'note|4|YES|character varying|40|||NO',
		'day|5|YES|date||||NO'), 'information_schema.columns');
is(as_reader(q{SELECT a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(ad.adbin, ad.adrelid)
	FROM pg_attribute a LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
	WHERE a.attrelid = 'shop."Per Day"'::regclass AND NOT a.attisdropped ORDER BY 1}),
	"1|day|date|f|\n2|Orders|bigint|f|", 'pg_attribute: no column is NOT NULL, there are no system columns');

# ---- definitions, dependencies

like(as_reader(q{SELECT pg_get_viewdef('shop.orders'::regclass, true)}), qr/FROM vibepiper\.read_asset\('vibepiper_def\."shop\.orders"'::regclass\)/,
	'the definition of the view is that it reads an asset');
is($node->safe_psql('postgres', q{SELECT vibepiper.asset_query('shop.hidden')}), 'SELECT id FROM shop.orders', 'the query is asked of asset_query');
is($node->safe_psql('postgres', q{SELECT table_schema, table_name FROM information_schema.view_table_usage WHERE view_schema = 'shop' AND view_name = 'hidden'}),
	'vibepiper_def|shop.hidden', 'what the view uses is the definition');
is($node->safe_psql('postgres', q{SELECT table_schema, table_name FROM information_schema.view_table_usage WHERE view_schema = 'vibepiper_def' AND view_name = 'shop.hidden'}),
	'shop|orders', 'which uses what the asset reads');
is(as_reader(q{SELECT upstream FROM vibepiper.dependencies WHERE asset = 'shop.hidden'}), 'shop.orders', 'as vibepiper.dependencies says');

# ---- keys and indexes

is(as_reader(q{SELECT (SELECT count(*) FROM pg_index WHERE indrelid = 'shop.orders'::regclass),
	(SELECT count(*) FROM pg_constraint WHERE conrelid = 'shop.orders'::regclass),
	(SELECT count(*) FROM information_schema.table_constraints WHERE table_schema = 'shop'),
	(SELECT relhasindex FROM pg_class WHERE oid = 'shop.orders'::regclass)}), '0|0|0|f', 'the view has no keys and no indexes');
is($node->safe_psql('postgres', q{SELECT indexes FROM vibepiper.assets WHERE asset = 'shop.orders'}), '{"UNIQUE (id)",(customer)}', 'the owner is shown the indexes in vibepiper.assets');

# ---- sizes

is(as_reader(q{SELECT reltuples, relpages, pg_total_relation_size(oid) FROM pg_class WHERE oid = 'shop.orders'::regclass}), '-1|0|0', 'a view has no size');
is(as_reader(q{SELECT rows FROM vibepiper.assets WHERE asset = 'shop.orders'}), 10000, 'vibepiper.assets has the number of rows');
is($node->safe_psql('postgres', q{SELECT bytes = pg_total_relation_size(slot::regclass) FROM vibepiper.assets JOIN vibepiper.versions v USING (asset, bytes)
	WHERE asset = 'shop.orders' AND v.published}), 't', 'and the size on disk');

cmp_ok($node->safe_psql('postgres', q{SELECT pg_relation_size(slot::regclass)::float / pg_relation_size('raw.plain') FROM vibepiper.versions
	WHERE asset = 'shop.orders' AND published}), '<=', 1.1, 'which is that of a table that VACUUM has trimmed');

# ---- rights

is($node->safe_psql('postgres', q{SELECT has_table_privilege('reader', 'shop.orders', 'SELECT'), has_table_privilege('reader', 'shop.orders', 'INSERT'),
	has_table_privilege('reader', 'shop.hidden', 'SELECT'), has_column_privilege('reader', 'shop.orders', 'id', 'SELECT'), has_any_column_privilege('reader', 'shop.hidden', 'SELECT')}),
	't|f|f|t|f', 'privileges are those of the view');
is($node->safe_psql('postgres', q{SELECT bool_or(has_table_privilege('reader', c.oid, 'SELECT')), bool_or(has_any_column_privilege('reader', c.oid, 'SELECT'))
	FROM pg_class c WHERE relnamespace IN ('vibepiper_store'::regnamespace, 'vibepiper_def'::regnamespace) AND relkind IN ('r', 'v')}),
	'f|f', 'none on what is stored, nor on definitions');
my $slot = $node->safe_psql('postgres', q{SELECT slot FROM vibepiper.versions WHERE asset = 'shop.orders' AND published});
for my $query ("SELECT count(*) FROM $slot", q{SELECT count(*) FROM vibepiper_def."shop.orders"}, 'SELECT count(*) FROM shop.hidden')
{
	my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE reader; $query");
	like($err, qr/ERROR:  permission denied/, "$query is refused");
}

# A column's right is enough for this column.
$node->safe_psql('postgres', q{CREATE ROLE ids; GRANT USAGE ON SCHEMA shop TO ids; GRANT SELECT (id) ON shop.orders TO ids});
is($node->safe_psql('postgres', 'SET ROLE ids; SELECT max(id) FROM shop.orders WHERE id < 5'), 4, 'a right on one column');
for my $query ('SELECT amount FROM shop.orders', 'SELECT id FROM shop.orders WHERE amount = 1', 'SELECT o FROM shop.orders o')
{
	my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE ids; $query");
	like($err, qr/ERROR:  permission denied for view orders/, "$query needs more");
}

# ---- statistics

is(as_reader(q{SELECT count(*) FROM pg_stats WHERE schemaname IN ('shop', 'vibepiper_store')}), 0, 'a reader is shown no statistics');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stats WHERE schemaname = 'shop'}), 0, 'a view has none');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT attname) FROM pg_stats JOIN vibepiper.versions v ON v.slot = format('%I.%I', schemaname, tablename)
	WHERE v.asset = 'shop.orders'}), 5, 'what is stored has, for its owner');
is($node->safe_psql('postgres', q{SELECT string_agg(attname, ' ' ORDER BY attname) FROM
	(SELECT attname, null_frac, avg_width, n_distinct, most_common_vals::text, most_common_freqs, histogram_bounds::text, correlation FROM pg_stats WHERE tablename = 'plain'
	INTERSECT SELECT attname, null_frac, avg_width, n_distinct, most_common_vals::text, most_common_freqs, histogram_bounds::text, correlation FROM pg_stats s
	JOIN vibepiper.versions v ON v.slot = format('%I.%I', schemaname, tablename) WHERE v.asset = 'shop.orders') d}),
	'amount customer day id note', 'the same as an ordinary table with these rows');

# ---- estimates: those of an ordinary table with the same rows, whoever asks

sub estimate
{
	my ($query, $table) = @_;
	$query =~ s/:t/$table/g;
	my @rows = as_reader("EXPLAIN $query") =~ /rows=(\d+)/g;
	return \@rows;
}
for my $query (
	'SELECT * FROM :t', 'SELECT * FROM :t WHERE id = 77', 'SELECT * FROM :t WHERE id < 321', 'SELECT * FROM :t WHERE customer = 4',
	'SELECT * FROM :t WHERE customer = 4 AND amount > 30', q{SELECT * FROM :t WHERE note IS NULL}, q{SELECT * FROM :t WHERE note LIKE 'note 1%'},
	q{SELECT * FROM :t WHERE day BETWEEN '2026-02-01' AND '2026-03-15'}, 'SELECT * FROM :t WHERE amount <> ALL (ARRAY[1, 2, 3])',
	'SELECT customer, count(*) FROM :t GROUP BY customer', 'SELECT DISTINCT note FROM :t', 'SELECT a.id FROM :t a JOIN :t b ON a.id = b.customer',
	'SELECT a.id FROM :t a JOIN :t b USING (customer)', 'SELECT * FROM :t ORDER BY id LIMIT 10')
{
	is_deeply(estimate($query, 'shop.orders'), estimate($query, 'raw.plain'), $query =~ s/:t/shop.orders/gr . ': estimates are a table\'s');
}

# after another run with other rows, too
$node->safe_psql('postgres', q{
	DELETE FROM raw.orders WHERE id > 4000;
	SELECT FROM vibepiper.run('shop', force => true, parallel => false);
	DROP TABLE raw.plain;
	CREATE TABLE raw.plain AS TABLE shop.orders;
	ANALYZE raw.plain;
	GRANT SELECT ON raw.plain TO reader;
});
for my $query ('SELECT * FROM :t', 'SELECT * FROM :t WHERE id < 321', 'SELECT DISTINCT customer FROM :t')
{
	is(estimate($query, 'shop.orders')->[0], estimate($query, 'raw.plain')->[0], $query =~ s/:t/shop.orders/gr . ': as of the last run');
}

# what is not built is estimated as its definition
is(estimate('SELECT * FROM :t', 'shop."Per Day"')->[0], 167, 'an asset without indexes');
$node->safe_psql('postgres', q{SELECT vibepiper.define_asset('shop.unbuilt', 'SELECT id FROM shop.orders WHERE id <= 1000'); GRANT SELECT ON shop.unbuilt TO reader});
is(estimate('SELECT * FROM :t', 'shop.unbuilt')->[0], estimate('SELECT * FROM :t WHERE id <= 1000', 'raw.plain')->[0], 'an asset that is not built');

$node->stop;
done_testing();
