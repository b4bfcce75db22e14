# Deadlocks across several runs.  Each caller waits for its run, each leader for
# its workers, and the server sees neither.  Whoever looks for deadlocks follows
# these waits, and finds himself.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;

# Nobody looks, but who is told to.
my $node = PostgreSQL::Test::Cluster->new('deadlocks');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nmax_worker_processes = 16\ndeadlock_timeout = '1h'\nvibepiper.keeper = off");
$node->start;

# p1 reads y, and p2 reads x, through functions: it isn't said at once.
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE x (v int);
	CREATE TABLE y (v int);
	INSERT INTO x VALUES (1);
	INSERT INTO y VALUES (1);
	CREATE FUNCTION look_x() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT v FROM public.x); END';
	CREATE FUNCTION look_y() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT v FROM public.y); END';
	SELECT vibepiper.define_pipeline('p1'), vibepiper.define_pipeline('p2');
	SELECT vibepiper.define_asset('p1.a', 'SELECT public.look_y() AS v'), vibepiper.define_asset('p2.a', 'SELECT public.look_x() AS v');
});

# In the background: a transaction, in which a run shows no progress.
sub transaction
{
	my (@statements) = @_;
	return start_session($node, 'transaction', 'SET vibepiper.progress = off', 'BEGIN', @statements, 'COMMIT');
}

# A worker waits for the lock of the table.
sub wanted
{
	my ($table) = @_;
	wait_until($node, "a worker that wants $table", qq{EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.relation = '$table'::regclass AND NOT l.granted AND a.backend_type = 'vibepiper worker')});
	return;
}

my $run_p1 = q{SELECT asset, status FROM vibepiper.run('p1', force => true)};
my $run_p2 = q{SELECT asset, status FROM vibepiper.run('p2', force => true)};
sub last_run
{
	wait_until($node, 'no run is in progress', q{NOT EXISTS (SELECT FROM vibepiper.run_progress)});
	return $node->safe_psql('postgres', "SELECT status || coalesce(': ' || error, '') FROM vibepiper.runs WHERE pipeline = '$_[0]' ORDER BY run_id DESC LIMIT 1");
}

# Two callers, each with what the other's run wants: the one who looks is told.
{
	my $caller = $node->background_psql('postgres', on_error_stop => 0);
	$caller->query_safe(q{SET vibepiper.progress = off; SET deadlock_timeout = '20ms'; BEGIN; LOCK x});
	my $other = transaction('LOCK y', $run_p2);
	wanted('x');
	is($caller->query($run_p1), '', 'two callers: no result');
	like($caller->{stderr}, qr/ERROR:  deadlock detected: the run waits for a lock of its own caller\s+DETAIL:  A process of the run waits for AccessShareLock on relation public\.y/,
		'but an error that names the lock');
	is(ended($other), "p2.a|built\n", 'the other run goes on');
	$caller->quit;
	is(last_run('p1'), 'cancelled: its caller was cancelled or has gone', 'the run of who was told');
	is(last_run('p2'), 'succeeded', 'and that of the other');
}

# A caller; a session that holds what his run wants and waits for the pipeline
# of another run; and that run, whose worker wants what the caller holds: its
# leader looks.
{
	my $started = $node->background_psql('postgres');
	$started->query_safe('BEGIN; LOCK x');
	$node->safe_psql('postgres', q{ALTER DATABASE postgres SET deadlock_timeout = '20ms'});
	my $run = $node->safe_psql('postgres', q{SELECT run_id FROM vibepiper.run('p2', force => true, wait => false)});
	wanted('x');
	$node->safe_psql('postgres', q{ALTER DATABASE postgres RESET deadlock_timeout});
	my $between = transaction('LOCK y', q{SELECT vibepiper.define_asset('p2.b', 'SELECT 1 AS one')});
	wait_until($node, 'a session that waits for the pipeline', q{EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.classid = 'vibepiper.pipeline'::regclass AND NOT l.granted AND a.backend_type = 'client backend')});
	is($started->query_safe("SET vibepiper.progress = off; $run_p1"), 'p1.a|built', 'three: the caller gets his result');
	$started->query_safe('COMMIT');
	$started->quit;
	is(ended($between), "created\n", 'and who was between defines');
	is($node->safe_psql('postgres', "SELECT vibepiper.wait_run($run)"), 'failed', 'the run whose leader looked has failed');
	like($node->safe_psql('postgres', "SELECT error_sqlstate || ' ' || error_message FROM vibepiper.tasks WHERE run_id = $run"),
		qr/^40P01 deadlock detected: asset p2\.a waits for AccessShareLock on relation public\.x, and who holds it for this run$/, 'and says why');
}

wait_until_processes_are_gone($node);
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE classid = 'vibepiper.pipeline'::regclass}), '0', 'no lock is left');
$node->stop;
done_testing();
