# 10,000 assets: defined by one call, planned, selected, seen, dropped.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('many');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'vibepiper'
fsync = off
autovacuum = off
max_locks_per_transaction = 8192
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	SELECT vibepiper.define_pipeline('many');
	-- a hundred roots, and layers of a hundred that read two of the layer below
	CREATE TABLE batch AS SELECT jsonb_agg(jsonb_build_object('name', 'n' || i, 'tags', ARRAY['t' || i % 10],
		'query', CASE WHEN i <= 100 THEN 'SELECT ' || i || ' AS x' ELSE format('SELECT a.x FROM n%s a, n%s b', i - 100, i - 99) END)) AS assets
	FROM generate_series(1, 10000) i;
});
my $define = q{SELECT change, count(*) FROM batch, vibepiper.define_assets('many', assets) GROUP BY 1};

is($node->safe_psql('postgres', $define), 'created|10000', 'defined');
is($node->safe_psql('postgres', $define), 'unchanged|10000', 'defined again');
is($node->safe_psql('postgres', q{SELECT action, reason, count(*) FROM vibepiper.plan('many') GROUP BY 1, 2}),
	'build|never built|10000', 'planned');

# Selections against the same closures by a recursive query
my $up = q{WITH RECURSIVE up AS (SELECT 'many.n10000' COLLATE "C" AS asset UNION SELECT upstream FROM up JOIN vibepiper.dependencies USING (asset))};
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.plan('many', '+n10000')}),
	$node->safe_psql('postgres', "$up SELECT count(*) FROM up"), 'everything upstream of one');
my $down = q{WITH RECURSIVE down AS (SELECT 'many.n5000' COLLATE "C" AS asset UNION SELECT d.asset FROM down JOIN vibepiper.dependencies d ON d.upstream = down.asset)};
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.plan('many', 'n5000+')}),
	$node->safe_psql('postgres', "$down SELECT count(*) FROM down"), 'everything downstream of one');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.plan('many', 'tag:t3 -n1*')}),
	$node->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 10000) i WHERE i % 10 = 3 AND i::text NOT LIKE '1%'}), 'by tag and pattern');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.plan('many', (SELECT string_agg('+n' || i, ' ') FROM generate_series(1, 10000) i))}),
	'10000', '10,000 terms with operators');
my ($ret, $out, $err) = $node->psql('postgres', q{SELECT vibepiper.plan('many', 'n10001')});
like($err, qr/no asset matches "n10001"\nHINT:  Did you mean many\.n1000, many\.n10000 or many\.n1001\?/, 'near names');

is($node->safe_psql('postgres', q{SELECT state, count(*) FROM vibepiper.assets GROUP BY 1}), 'never_built|10000', 'the view of assets');
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT asset) FROM vibepiper.dependencies}), '19800|9900', 'the view of dependencies');
is($node->safe_psql('postgres', q{SELECT x FROM many.n10000}), '100', 'a read through 100 layers that were never built');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run('many', '+n2000', parallel => false) WHERE status = 'built'}),
	$node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.plan('many', '+n2000')}), 'a part of it is built');
($ret, $out, $err) = $node->psql('postgres', q{SELECT vibepiper.define_asset('many.n50', 'SELECT x FROM many.n9990')});
like($err, qr/asset many\.n50 would depend on itself\nDETAIL:  many\.n50 -> .* \.\.\. \(\d+ more\) -> .* -> many\.n50/, 'a circle among them');
is($node->safe_psql('postgres', q{SELECT change, count(*) FROM vibepiper.define_assets('many', '[]', prune => true, dry_run => true) GROUP BY 1}),
	'dropped|10000', 'a dry run that drops them');
$node->safe_psql('postgres', q{SELECT vibepiper.drop_pipeline('many', cascade => true)});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relnamespace IN ('many'::regnamespace, 'vibepiper_def'::regnamespace, 'vibepiper_store'::regnamespace)}),
	'0', 'dropped');
$node->stop;

# Too many for the lock table: an error that says what to do, and nothing is left of it
$node->append_conf('postgresql.conf', "max_locks_per_transaction = 10\nmax_connections = 20\nmax_prepared_transactions = 0");
$node->start;
$node->safe_psql('postgres', q{SELECT vibepiper.define_pipeline('many')});
($ret, $out, $err) = $node->psql('postgres', $define);
like($err, qr/out of shared memory\nHINT: .*max_locks_per_transaction.*\nCONTEXT:  definition of asset many\.n\d+/s, 'the lock table is too small');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.assets}), '0', 'none is defined');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relnamespace IN ('many'::regnamespace, 'vibepiper_def'::regnamespace) AND oid NOT IN (SELECT view FROM vibepiper.pipeline)}), '0', 'no view is left');
$node->stop;
done_testing();
