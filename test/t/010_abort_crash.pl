# A crash right after an abort that removed files of unlogged versions: the
# server comes up, and everything is as before.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $key = 7617769;				# VP_POINT_LOCK
my $node = PostgreSQL::Test::Cluster->new('abort');
$node->init;
# the WAL writer must not save what an abort forgets to write out
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nwal_writer_delay = '10s'\nautovacuum = off");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src AS SELECT k FROM generate_series(1, 100) k;
	CREATE TABLE other (x int);
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.a', 'SELECT k, md5(k::text) AS x FROM src', indexes => '{(k),(x)}');
	SELECT vibepiper.run('p', parallel => false);
});

my $run = q{SELECT vibepiper.run('p', parallel => false, force => true)};
my $sleep = 'SELECT pg_sleep(1000)';

sub waits
{
	my ($event) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'worker' AND wait_event = '$event'");
}

# The transaction makes files, another one's commit writes that out, then it
# aborts, wholly or in part, and the server crashes.
for my $way (
	[ 'rows that are unchanged', 'BEGIN', $run, $sleep ],
	[ 'a savepoint', 'BEGIN', 'SAVEPOINT s', $run, 'ROLLBACK TO s', $sleep ],
	[ 'a whole transaction', 'BEGIN', $run, 'ROLLBACK', $sleep ],
	[ 'a cancellation', $run ])
{
	my ($what, @statements) = @$way;
	my ($out, $err) = ('', '');
	my $holder = $node->background_psql('postgres');

	# the tombstones of files are there until the next checkpoint
	$node->safe_psql('postgres', "$run; CHECKPOINT");
	$holder->query_safe("SELECT pg_advisory_lock($key)");
	my $worker = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), map { ('-c', $_) }
			("SET application_name = 'worker'", "SET vibepiper.debug_point = 'run.filled=wait'", @statements) ],
		'<', \undef, '>', \$out, '2>', \$err);
	ok(waits('advisory'), "$what: the files are there");
	$node->safe_psql('postgres', 'INSERT INTO other VALUES (1)');
	$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'worker'}) if @statements == 1;
	$holder->query_safe("SELECT pg_advisory_unlock($key)");
	if (@statements == 1)
	{
		$worker->finish;
		like($err, qr/canceling statement/, "$what: is what it was");
	}
	else
	{
		ok(waits('PgSleep'), "$what: it has aborted");
	}
	$node->stop('immediate');
	$worker->finish unless @statements == 1;
	eval { $holder->quit };
	ok($node->start(fail_ok => 1) || !$node->start, "$what: the server comes up at once");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM p.a'), 100, "$what: reading");
	is($node->safe_psql('postgres', q{SELECT status FROM vibepiper.run('p', parallel => false)}), 'built', "$what: what was lost is built");
}

$node->stop;
done_testing();
