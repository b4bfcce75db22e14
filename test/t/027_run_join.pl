# Callers of one run who come and go: it goes on as long as one of them waits,
# or if one did not want to, and is cancelled with the last.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('join');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nmax_prepared_transactions = 2\nmax_worker_processes = 16");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src (v int);
	INSERT INTO src VALUES (0);
	SELECT vibepiper.define_pipeline('j', max_workers => 1);
	SELECT vibepiper.define_asset('j.a', 'SELECT v FROM public.src');
	SELECT vibepiper.define_asset('j.b', 'SELECT v FROM j.a');
});
$node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run('j', parallel => false)});

sub wait_for_point
{
	my ($kind) = @_;
	wait_until($node, "a $kind at the point", qq{EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND NOT l.granted AND a.backend_type = 'vibepiper $kind')});
	return;
}

sub wait_for_waiter
{
	my ($name) = @_;
	wait_until($node, "$name waits", "EXISTS (SELECT FROM pg_stat_activity WHERE application_name = '$name' AND wait_event_type = 'Extension')");
	return;
}

# A prepared transaction holds the lock that the point waits for.
sub start_run
{
	my ($point) = @_;
	$point //= 'worker.begun#2';
	$node->safe_psql('postgres', q{UPDATE src SET v = v + 1});
	$node->safe_psql('postgres', q{BEGIN; SELECT pg_advisory_xact_lock(7617769); PREPARE TRANSACTION 'point'});
	my $starter = start_session($node, 'starter', qq{SET vibepiper.progress = off; SET vibepiper.debug_point = '$point=wait';
		SELECT asset, status FROM vibepiper.run('j', force => true)});
	wait_for_point($point =~ /(\w+)/);
	return $starter;
}

sub go_on { $node->safe_psql('postgres', q{COMMIT PREPARED 'point'}); return; }

sub joiner
{
	my ($name) = @_;
	my $joiner = start_session($node, $name, q{SET vibepiper.progress = off; SELECT asset, status FROM vibepiper.run('j', force => true, overlap => 'join')});
	wait_for_waiter($name);
	return $joiner;
}

sub end_session
{
	my ($how, $session) = @_;
	$node->safe_psql('postgres', "SELECT pg_${how}_backend(pid) FROM pg_stat_activity WHERE application_name = '$session->{name}'");
	return ended($session);
}

sub last_run
{
	# a snapshot from before its end doesn't see why it ended
	$node->safe_psql('postgres', q{SELECT vibepiper.wait_run(max(run_id)) FROM vibepiper.runs});
	return $node->safe_psql('postgres', q{SELECT status || coalesce(': ' || error, '') FROM vibepiper.runs ORDER BY run_id DESC LIMIT 1});
}

sub runs { return $node->safe_psql('postgres', 'SELECT count(*) FROM vibepiper.runs'); }
sub seen { return $node->safe_psql('postgres', 'SELECT j.a.v || $$ $$ || j.b.v || $$ of $$ || src.v FROM j.a, j.b, src'); }

my $both = "j.a|built\nj.b|built\n";
my $before = runs();

# all wait to the end, and get the same
{
	my $starter = start_run();
	my @joiners = map { joiner("joiner$_") } 1 .. 3;
	go_on();
	is(ended($_), $both, "$_->{name} gets the result") for ($starter, @joiners);
	is(runs() - $before, 1, 'it was one run');
}

# the starter's session ends, then one joiner is cancelled: the other gets it
{
	my $starter = start_run();
	my @joiners = map { joiner("joiner$_") } 1 .. 2;
	like(end_session('terminate', $starter), qr/terminating connection/, 'the starter is gone');
	like(end_session('cancel', $joiners[0]), qr/canceling statement/, 'a joiner is gone');
	is($node->safe_psql('postgres', 'SELECT phase FROM vibepiper.run_progress'), 'running', 'the run goes on');
	go_on();
	is(ended($joiners[1]), $both, 'the other joiner gets the result');
	is(last_run(), 'succeeded', 'the run succeeded');
	is(seen(), '2 2 of 2', 'and is seen');
}

# all go: it is cancelled with the last
{
	my $starter = start_run();
	my $joiner = joiner('joiner1');
	end_session('cancel', $joiner);
	is($node->safe_psql('postgres', 'SELECT phase FROM vibepiper.run_progress'), 'running', 'the run goes on for its starter');
	end_session('terminate', $starter);
	is(last_run(), 'cancelled: its caller was cancelled or has gone', 'the run is cancelled with the last');
	go_on();
	is(seen(), '2 2 of 3', 'nothing was published');
}

# a joiner who doesn't wait wants it nevertheless
{
	my $starter = start_run();
	is($node->safe_psql('postgres', q{SET vibepiper.progress = off; SELECT status FROM vibepiper.run('j', force => true, overlap => 'join', wait => false)}),
		'running', 'a joiner who does not wait');
	end_session('terminate', $starter);
	is($node->safe_psql('postgres', 'SELECT phase FROM vibepiper.run_progress'), 'running', 'the run goes on for him');
	go_on();
	is(last_run(), 'succeeded', 'the run succeeded');
	is(seen(), '4 4 of 4', 'and is seen');
}

# wait_run() keeps no run alive
{
	my $starter = start_run();
	my $waiter = start_session($node, 'waiter', 'SELECT vibepiper.wait_run(max(run_id)) FROM vibepiper.runs');
	wait_for_waiter('waiter');
	end_session('terminate', $starter);
	is(ended($waiter), "cancelled\n", 'who only watches sees that it was cancelled');
	go_on();
}

# a caller's client is killed
{
	my $starter = start_run();
	$starter->{run}->kill_kill;
	wait_until($node, 'the run has ended', q{NOT EXISTS (SELECT FROM vibepiper.run_progress)});
	is(last_run(), 'cancelled: its caller was cancelled or has gone', 'the run of a client that was killed is cancelled');
	go_on();
	is(seen(), '4 4 of 6', 'nothing was published');
}

is(runs() - $before, 6, 'six runs in all');

# a run that is being cancelled is nothing to join: what it would say isn't what a
# caller wants who comes now
for my $wait ('true', 'false')
{
	my $starter = start_run('leader.computed');
	my $in_progress = $node->safe_psql('postgres', 'SELECT max(run_id) FROM vibepiper.runs');
	end_session('terminate', $starter);
	my $joiner = start_session($node, 'late', qq{SET vibepiper.progress = off; SELECT @{[ $wait eq 'true' ? 'asset, ' : '' ]}status FROM vibepiper.run('j', force => true, overlap => 'join', wait => $wait)});
	wait_until($node, 'the next one waits for the pipeline', q{EXISTS (SELECT FROM pg_locks WHERE classid = 'vibepiper.pipeline'::regclass AND NOT granted)});
	my ($rc, $out, $err) = $node->psql('postgres', q{SELECT vibepiper.run('j', force => true, overlap => 'refuse')});
	like($err, qr/ERROR:  run $in_progress of pipeline "j" is in progress/, 'it is still in the way of who refuses');
	go_on();
	is(ended($joiner), $wait eq 'true' ? $both : "running\n", "who joins then has a run of his own, wait => $wait");
	is(last_run(), 'succeeded', 'that succeeds');
	is($node->safe_psql('postgres', "SELECT status FROM vibepiper.runs WHERE run_id = $in_progress"), 'cancelled', 'the other was cancelled');
	wait_until_processes_are_gone($node);
}
is(runs() - $before, 10, 'two by two');

# callers at the same instant: while one's run is being started, others join it or are refused
{
	$node->safe_psql('postgres', q{UPDATE src SET v = v + 1});
	$node->safe_psql('postgres', q{BEGIN; LOCK TABLE vibepiper.run IN SHARE MODE; PREPARE TRANSACTION 'rows'});
	my @callers = map { start_session($node, "caller$_", q{SET vibepiper.progress = off; SELECT asset, status FROM vibepiper.run('j', force => true, overlap => 'join')}) } 1 .. 3;
	wait_until($node, 'a run is being started', q{EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE NOT l.granted AND l.relation = 'vibepiper.run'::regclass AND a.backend_type = 'vibepiper leader')});
	wait_for_waiter("caller$_") for 1 .. 3;
	my ($rc, $out, $err) = $node->psql('postgres', q{SELECT vibepiper.run('j', force => true, overlap => 'refuse')});
	like($err, qr/ERROR:  a run of pipeline "j" is being started/, 'another one is refused');
	$node->safe_psql('postgres', q{COMMIT PREPARED 'rows'});
	my @results = map { ended($_) } @callers;
	is(scalar(grep { $_ eq $both } @results), 3, 'all get the result') or diag("@results");
	is(runs() - $before, 11, 'it was one run');
}
wait_until_processes_are_gone($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM vibepiper.run_progress'), 0, 'and nothing is left in shared memory');

$node->stop;
done_testing();
