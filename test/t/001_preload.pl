# Without shared_preload_libraries nothing works, and every error names the setting.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('preload');
$node->init;
$node->start;

my ($rc, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION vibepiper');
isnt($rc, 0, 'CREATE EXTENSION fails');
like($err, qr/ERROR:.*vibepiper must be loaded at server start/, 'with a clear message');
like($err, qr/HINT:.*shared_preload_libraries/, 'and a hint that names the setting');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'vibepiper%'"), '0', 'nothing is left of it');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_proc WHERE proname LIKE 'vibepiper%'"), '0', 'not even the function that checked');

# LOAD in a session is not enough
($rc, $out, $err) = $node->psql('postgres', "LOAD 'vibepiper'; CREATE EXTENSION vibepiper");
like($err, qr/must be loaded at server start/, 'LOAD does not help');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->restart;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.a', 'SELECT 1 AS x');
	SELECT vibepiper.run('p', parallel => false);
});
is($node->safe_psql('postgres', 'SELECT x FROM p.a'), '1', 'it works with the setting');

# The library taken out of the setting again
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->restart;
for my $call (
	q{vibepiper.define_pipeline('q')}, q{vibepiper.define_asset('p.b', 'SELECT 1 AS x')},
	q{vibepiper.define_assets('p', '[]')}, q{vibepiper.drop_asset('p.a')}, q{vibepiper.drop_pipeline('p')},
	q{vibepiper.asset_query('p.a')}, q{vibepiper.plan('p')}, q{vibepiper.run('p', parallel => false)},
	q{vibepiper.invalidate('p.a')}, q{vibepiper.is_fresh('p.a')}, q{vibepiper.explain_asset('p.a')},
	q{vibepiper.rollback('p', 1)}, q{vibepiper.release('p')}, q{vibepiper.purge('p')})
{
	($rc, $out, $err) = $node->psql('postgres', "SELECT $call");
	like($err, qr/must be loaded at server start.*shared_preload_libraries/s, "$call names the setting");
}
($rc, $out, $err) = $node->psql('postgres', 'SELECT x FROM p.a');
like($err, qr/must be loaded at server start.*shared_preload_libraries/s, 'reading an asset names the setting');
($rc, $out, $err) = $node->psql('postgres', 'SELECT asset FROM vibepiper.assets');
like($err, qr/must be loaded at server start.*shared_preload_libraries/s, 'the view of assets names the setting');
is($node->safe_psql('postgres', 'SELECT pipeline FROM vibepiper.pipelines'), 'p', 'other views work');
is($node->psql('postgres', 'CREATE TABLE t (x int); INSERT INTO t VALUES (1); DROP TABLE t'), 0, 'the rest of the database works');
is($node->psql('postgres', 'VACUUM'), 0, 'so does VACUUM');

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'vibepiper'");
$node->restart;
is($node->safe_psql('postgres', 'SELECT x FROM p.a'), '1', 'and with it all is there again');
is($node->safe_psql('postgres', q{SELECT state FROM vibepiper.assets}), 'fresh', 'fresh');

$node->stop;
done_testing();
