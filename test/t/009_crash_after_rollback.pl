# A crash after something was rolled back that had filled unlogged slots: the
# server starts again, although the abort's record may not have reached the disk.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rollback');
$node->init;
# nothing but sessions flushes WAL
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off\nautovacuum = off\nwal_writer_delay = 10s");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src AS SELECT i FROM generate_series(1, 100) i;
	CREATE TABLE flushes (i int);
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.a', 'SELECT i, repeat(i::text, 10) AS t FROM public.src', indexes => '{UNIQUE (i)}');
	SELECT vibepiper.define_asset('p.b', 'SELECT count(*) AS n FROM p.a');
});

# roll_back_and_crash MESSAGE, STEP...: between the steps another session flushes WAL
sub roll_back_and_crash
{
	my ($message, @steps) = @_;
	my $session = $node->background_psql('postgres');
	$node->safe_psql('postgres', 'CHECKPOINT');
	for my $step (@steps)
	{
		$node->safe_psql('postgres', 'INSERT INTO flushes VALUES (1)');
		$session->query_safe($step);
	}
	$node->stop('immediate');
	eval { $session->quit };
	ok($node->start(fail_ok => 1), $message) or BAIL_OUT('the server does not start');
}

my $run = q{SELECT count(*) FROM vibepiper.run('p', parallel => false, force => true);};
for my $round ('first', 'refilling')
{
	roll_back_and_crash("$round run, rolled back", "BEGIN; $run", 'ROLLBACK;');
	roll_back_and_crash("$round run, rolled back to a savepoint", "BEGIN; SAVEPOINT s; $run", 'ROLLBACK TO s;');
	roll_back_and_crash("$round run in a savepoint that was released", "BEGIN; SAVEPOINT s; SAVEPOINT t; $run", 'RELEASE t;', 'ROLLBACK TO s;');
	$node->safe_psql('postgres', $run);
}

is($node->safe_psql('postgres', q{SELECT string_agg(asset || ' ' || status, ', ' ORDER BY asset) FROM vibepiper.run('p', parallel => false, force => true)}),
	'p.a unchanged, p.b unchanged', 'the next run');
is($node->safe_psql('postgres', 'SELECT n FROM p.b'), '100', 'its rows');

$node->stop;
done_testing();
