# DROP EXTENSION leaves nothing, and CREATE EXTENSION starts afresh.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('drop');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nautovacuum = off");
$node->start;

my @catalogs = qw(pg_class pg_proc pg_namespace pg_event_trigger pg_depend pg_shdepend pg_type pg_rewrite pg_attribute
  pg_index pg_constraint pg_attrdef pg_description pg_init_privs pg_sequence pg_trigger pg_statistic pg_default_acl pg_extension pg_cast);
my $census = join ' || ', map { "'$_ ' || (SELECT count(*) FROM $_) || E'\\n'" } @catalogs;
sub census { return $node->safe_psql('postgres', "SELECT $census"); }

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT i FROM generate_series(1, 10) i; ANALYZE t');
my $before = census();
my $fill = q{
	SELECT vibepiper.define_pipeline('p', schemas => '{public}');
	SELECT vibepiper.define_asset('public.a', 'SELECT i, repeat(''x'', 3000) AS x FROM t', indexes => '{UNIQUE (i)}', description => 'd');
	SELECT vibepiper.define_asset('public.b', 'SELECT count(*) AS n FROM a', storage => 'logged');
	SELECT vibepiper.run('p', parallel => false);
	SELECT vibepiper.run('p', parallel => false, force => true);
};
for my $round (1, 2)
{
	$node->safe_psql('postgres', "CREATE EXTENSION vibepiper; $fill");
	is($node->safe_psql('postgres', 'SELECT n FROM b'), '10', "works, round $round");
	my ($rc, $out, $err) = $node->psql('postgres', 'DROP EXTENSION vibepiper');
	isnt($rc, 0, 'DROP EXTENSION is refused while there are assets');
	like($err, qr/because other objects depend on it/, 'for the usual reason');
	is($node->safe_psql('postgres', 'SELECT n FROM b'), '10', 'and they still work');
	is($node->psql('postgres', 'DROP EXTENSION vibepiper CASCADE'), 0, 'DROP EXTENSION CASCADE works');
	is(census(), $before, 'and leaves nothing in the catalogs');
	is($node->psql('postgres', 'SELECT count(*) FROM t; CREATE TABLE u AS TABLE t; DROP TABLE u'), 0, 'the session goes on');
}

# In the session that used it, and in others that have looked things up
my $session = $node->background_psql('postgres');
$session->query_safe('SET client_min_messages = warning');
$session->query_safe("CREATE EXTENSION vibepiper; $fill");
$session->query_safe('SELECT count(*) FROM a');
$session->query_safe('PREPARE s AS SELECT count(*) FROM a');
$session->query_safe('EXECUTE s');
my $other = $node->background_psql('postgres');
$other->query_safe('SELECT count(*) FROM b');
$session->query_safe('DROP EXTENSION vibepiper CASCADE');
$session->query_safe("CREATE EXTENSION vibepiper; $fill");
is($session->query_safe('SELECT count(*) FROM a'), '10', 'dropped and made again in one session');
is($session->query_safe('EXECUTE s'), '10', 'a prepared statement finds the new one');
is($other->query_safe('SELECT n FROM b'), '10', 'another session, too');
$session->quit;
$other->quit;

# Dropped in a transaction that is rolled back
$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION vibepiper CASCADE; ROLLBACK');
is($node->safe_psql('postgres', 'SELECT n FROM b'), '10', 'a DROP that is rolled back');
$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION vibepiper CASCADE; CREATE EXTENSION vibepiper; COMMIT');
is($node->safe_psql('postgres', 'SELECT count(*) FROM vibepiper.assets'), '0', 'dropped and created in one transaction');
$node->safe_psql('postgres', $fill);
is($node->safe_psql('postgres', 'SELECT n FROM b'), '10', 'works');
is($node->psql('postgres', 'DROP SCHEMA vibepiper CASCADE') != 0, 1, 'the schema alone is not dropped');
$node->safe_psql('postgres', 'DROP EXTENSION vibepiper CASCADE');
is(census(), $before, 'nothing is left at the end');

# A session that can't look for the extension doesn't take that for its absence
$node->safe_psql('postgres', "CREATE EXTENSION IF NOT EXISTS vibepiper; SELECT vibepiper.define_pipeline('late'); SELECT vibepiper.define_asset('late.a', 'SELECT i FROM t'); SELECT vibepiper.run('late', parallel => false)");
my $late;
{
	local $ENV{PGOPTIONS} = '-c lock_timeout=100ms';
	$late = $node->background_psql('postgres', on_error_stop => 0);
}
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK pg_catalog.pg_extension');
$late->query('SELECT count(*) FROM late.a');
like($late->{stderr}, qr/canceling statement due to lock timeout/, 'it has an error');
$late->{stderr} = '';
$holder->query_safe('ROLLBACK');
is($late->query('SELECT count(*) FROM late.a; SELECT action FROM vibepiper.plan(\'late\')'), "10\ncached", 'and works when it can');
$_->quit for $late, $holder;

$node->stop;
done_testing();
