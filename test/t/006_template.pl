# CREATE DATABASE ... TEMPLATE copies assets with what is stored of them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('template');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE t AS SELECT i FROM generate_series(1, 10) i;
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.a', 'SELECT i FROM t');
	SELECT vibepiper.define_asset('p.b', 'SELECT count(*) AS n FROM p.a', storage => 'logged');
	SELECT vibepiper.run('p', parallel => false);
	INSERT INTO t VALUES (11);
});
is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE original'), 0, 'nobody is in the way');
is($node->safe_psql('copy', 'SELECT count(*) FROM p.a'), '10', 'the copy reads stored rows');
is($node->safe_psql('copy', 'SELECT n FROM p.b'), '10', 'logged ones, too');
is($node->safe_psql('copy', q{SELECT string_agg(state, ' ') FROM vibepiper.assets}), 'stale stale', 'stale as in the original');
is($node->safe_psql('copy', q{SELECT count(*) FROM vibepiper.run('p', parallel => false, force => true) WHERE status = 'built'}), '2', 'a run there');
is($node->safe_psql('copy', 'SELECT n FROM p.b'), '11', 'is seen there');
is($node->safe_psql('original', 'SELECT n FROM p.b'), '10', 'and not in the original');
is($node->safe_psql('original', q{SELECT count(*) FROM vibepiper.run('p', parallel => false) WHERE status = 'built'}), '2', 'which goes on by itself');
$node->stop('immediate');
$node->start;
is($node->safe_psql('copy', 'SELECT count(*) FROM p.a'), '11', 'after a crash the copy computes');
is($node->safe_psql('original', 'SELECT count(*) FROM p.a'), '11', 'and so does the original');
is($node->psql('postgres', 'DROP DATABASE copy'), 0, 'DROP DATABASE is not blocked');

# Copied while everything is fresh: the copy doesn't know, the original does
sub reasons
{
	my ($database) = @_;
	return $node->safe_psql($database, q{SELECT coalesce(string_agg(asset || ': ' || reason, ', ' ORDER BY asset), 'nothing') FROM vibepiper.plan('p') WHERE action <> 'cached'});
}
my $run = q{SELECT count(*) FROM vibepiper.run('p', parallel => false)};
$node->safe_psql('original', qq{
	CREATE TABLE other AS SELECT 1 AS n;
	SELECT vibepiper.define_asset('p.other', 'SELECT n FROM other');
	SELECT vibepiper.define_asset('p.alone', 'SELECT 1 AS n');
	$run});
is(reasons('original'), 'nothing', 'all is fresh');
is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE original'), 0, 'a copy while it is');
$node->safe_psql('copy', 'INSERT INTO t VALUES (12)');
is(reasons('copy'), 'p.a: source public.t may have changed, p.b: upstream p.a is rebuilt first, p.other: source public.other may have changed',
	'of changes there nothing is known, whether there were any or not');
is(reasons('original'), 'nothing', 'all is fresh in the original');
$node->safe_psql('copy', $run);
is($node->safe_psql('copy', 'SELECT n FROM p.b'), '12', 'a run there computes');
is(reasons('copy'), 'nothing', 'then all is fresh there');
$node->safe_psql('original', 'INSERT INTO other VALUES (2)');
is(reasons('original'), 'p.other: source public.other changed', 'written in the original');
is(reasons('copy'), 'nothing', 'which is nothing to the copy');
$node->safe_psql('copy', 'INSERT INTO t VALUES (13)');
is(reasons('copy'), 'p.a: source public.t changed, p.b: upstream p.a is rebuilt first', 'written in the copy');
is(reasons('original'), 'p.other: source public.other changed', 'which is nothing to the original');
is($node->psql('postgres', 'DROP DATABASE copy'), 0, 'dropped');

# An extension in template1: every new database has it
$node->safe_psql('template1', q{CREATE EXTENSION vibepiper});
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
is($node->safe_psql('fresh', q{SELECT vibepiper.define_pipeline('p'); SELECT vibepiper.define_asset('p.a', 'SELECT 1 AS x'); SELECT status FROM vibepiper.run('p', parallel => false)}),
	"\ncreated\nbuilt", 'from template1');
is($node->psql('postgres', 'ALTER DATABASE fresh RENAME TO renamed'), 0, 'ALTER DATABASE RENAME');
is($node->safe_psql('renamed', 'SELECT x FROM p.a'), '1', 'reads on');

$node->stop;
done_testing();
