# Whoever of a parallel run is cancelled, terminated or killed, wherever it is:
# afterwards there is no process, no lock and no entry of it, readers have the
# previous publication whole or the new one whole, the run's row and its tasks
# say what happened, and the next run works.
use strict;
use warnings;
use File::Basename;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Misfits;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The points of leader and workers.  Workers are there with the first asset,
# base.  "tasks" are those of a run that is cancelled there.  With "busy" the
# leader only looks for a cancellation when it goes on.  "after" is 1 where
# what counts is committed.
my $none = '';
my $all_cancelled = 'base cancelled, even cancelled, odd cancelled, total cancelled';
my $one_built = 'base built, even cancelled, odd cancelled, total cancelled';
my $all_built = 'base built, even built, odd built, total built';
my $first_failed = 'base failed, even skipped, odd skipped, total skipped';
my @points = (
	{ name => 'leader.inserted', tasks => $none },
	{ name => 'leader.locked', tasks => $none },
	{ name => 'leader.snapshot', tasks => $none },
	{ name => 'leader.loaded', tasks => $all_cancelled, busy => 1 },
	{ name => 'leader.computed', tasks => $all_built, busy => 1 },
	{ name => 'leader.publishing', tasks => $all_built },
	{ name => 'leader.published', tasks => $all_built },
	{ name => 'leader.committed', after => 1 },
	{ name => 'worker.begun', tasks => $all_cancelled },
	{ name => 'worker.recorded', tasks => $all_cancelled },
	{ name => 'worker.committed', tasks => $one_built, after => 1 },
	{ name => 'worker.done', tasks => $one_built, after => 1 });

# Others that runs come to, in the process that does so.  In a pipeline that
# publishes each asset at once, workers publish.
my @others = (
	{ name => 'slot.locked', in => 'worker', tasks => $all_cancelled },
	{ name => 'run.filled', in => 'worker', tasks => $all_cancelled },
	{ name => 'run.indexed', in => 'worker', tasks => $all_cancelled },
	{ name => 'run.stored', in => 'worker', tasks => $all_cancelled },
	{ name => 'publish.begun', in => 'leader', tasks => $all_built, mode => 'run' },
	{ name => 'publish.mapped', in => 'leader', tasks => $all_built, mode => 'succeeded' },
	{ name => 'publish.announced', in => 'leader', tasks => $all_built, mode => 'run' },
	{ name => 'publish.begun', in => 'worker', tasks => $all_cancelled, mode => 'asset' },
	{ name => 'publish.mapped', in => 'worker', tasks => $all_cancelled, mode => 'asset' },
	{ name => 'publish.announced', in => 'worker', tasks => $all_cancelled, mode => 'asset' });
$_->{in} = $_->{name} =~ s/\..*//r for @points;

my $key = slurp_file(dirname(__FILE__) . '/../../src/common/point.h') =~ /VP_POINT_LOCK INT64CONST\((\d+)\)/ ? $1 : die 'no key';
my @modes = ('run', 'succeeded', 'asset');
my @assets = ('base', 'even', 'odd', 'total');
my @processes = ('leader', 'worker');
my $workers = 2;
my $room = 8;
my $places = $room + 1;	# one is the launcher's

my $node = PostgreSQL::Test::Cluster->new('deaths');
$node->init;
# no other process takes a place of a background worker's
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'vibepiper'
restart_after_crash = on
autovacuum = off
max_logical_replication_workers = 0
max_worker_processes = $places
vibepiper.keeper = off
});
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Pipelines of each kind of publication.  A row carries the tick that its
# version read, so that versions can be told apart.  What is unlogged is read
# by nobody else.
sql(q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src AS SELECT k FROM generate_series(1, 50) k;
	CREATE TABLE tick AS SELECT 0 AS n;
	CREATE TABLE dust (n int);
});
for my $p (@modes, 'extra')
{
	my $mode = $p eq 'extra' ? 'run' : $p;
	sql(qq{
		SELECT vibepiper.define_pipeline('p_$p', schemas => '{$p}', publish => '$mode', storage => 'logged', max_workers => $workers);
		SELECT vibepiper.define_asset('$p.base', 'SELECT k, (SELECT n FROM public.tick) AS n FROM public.src', indexes => '{UNIQUE (k)}');
		SELECT vibepiper.define_asset('$p.even', 'SELECT k, n FROM $p.base WHERE k % 2 = 0');
		SELECT vibepiper.define_asset('$p.odd', 'SELECT k, n FROM $p.base WHERE k % 2 = 1');
		SELECT vibepiper.define_asset('$p.total', 'SELECT l.n, count(*) AS rows, sum(l.k + r.k) AS keys FROM $p.even l JOIN $p.odd r ON r.k = l.k - 1 AND r.n = l.n GROUP BY 1');
	});
}

sub tick { return sql(q{UPDATE tick SET n = n + 1 RETURNING n}); }

# What readers of a pipeline get.  Waiting for a lock is an error here.
sub reading
{
	my ($p) = @_;
	return sql(qq{
		SET lock_timeout = '1ms';
		SELECT concat_ws(', ', @{[ join(', ', map { "(SELECT '$_ ' || string_agg(DISTINCT n::text, ' and ') || ' x ' || count(*) FROM $p.$_)" } @assets[ 0 .. 2 ]) ]},
			(SELECT 'total ' || concat_ws(' ', n, rows, keys) FROM $p.total))});
}

# The same, where each asset was computed at such a tick.
sub expected
{
	my ($base, $even, $odd, $total) = @_;
	return "base $base x 50, even $even x 25, odd $odd x 25, total $total 25 1275";
}

my $last = q{(SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = 'p_%s')};
sub last_run { return sql(sprintf("SELECT status || coalesce(': ' || error, '') FROM vibepiper.runs WHERE run_id = $last", $_[0])); }

sub last_tasks
{
	return sql(sprintf("SELECT string_agg(split_part(asset, '.', 2) || ' ' || status, ', ' ORDER BY asset) FROM vibepiper.tasks WHERE run_id = $last", $_[0]));
}

# Something to lose.  Returns the published tick; the definitions' is the next.
sub prepare
{
	my ($p) = @_;
	my $published = tick();

	sql("SET vibepiper.progress = off; SELECT vibepiper.run('p_$p', force => true)");
	tick();
	return $published;
}

# psql on its own, with these statements
sub start
{
	my ($name, @statements) = @_;
	my $psql = { name => $name, out => '', err => '' };
	$psql->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
		map { ('-c', $_) } ("SET application_name = '$name'", 'SET vibepiper.progress = off', 'SET client_min_messages = warning', @statements) ],
		'<', \undef, '>', \$psql->{out}, '2>', \$psql->{err});
	return $psql;
}

# A caller who runs the pipeline.
sub caller_of
{
	my ($p, $point, $options) = @_;
	return start('caller', "SET vibepiper.debug_point = '$point'", "SELECT count(*) FROM vibepiper.run('p_$p', force => true" . ($options // '') . ')');
}

my $waiting = "wait_event_type = 'Lock' AND wait_event = 'advisory'";
sub waiting_at_point
{
	my ($kind, $n) = @_;
	return $node->poll_query_until('postgres', "SELECT count(*) = $n FROM pg_stat_activity WHERE backend_type = 'vibepiper $kind' AND $waiting");
}

# Nothing of a run is left.
sub all_gone
{
	my ($what) = @_;

	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker')}), "$what: no process is left");
	# one that is just connecting, or leaving, isn't among the activities
	ok($node->poll_query_until('postgres', q{SELECT (SELECT count(*) FROM vibepiper.run_progress) || ' ' || (SELECT count(*) FROM vibepiper.run_workers)}, '0 0'), "$what: no run is in progress");
	ok($node->poll_query_until('postgres', q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND (classid = 'vibepiper.pipeline'::regclass
		OR relation::regclass::text ~ '^vibepiper' OR pid NOT IN (SELECT pid FROM pg_stat_activity))}, '0'), "$what: no lock is left");
	is(sql($misfits), '', "$what: all fits");
	return;
}

# Who reads what: by the run's outcome, or where each asset is published by
# itself, by its task's.
sub reading_fits
{
	my ($p, $old, $what) = @_;
	my $new = $old + 1;
	my $published = $p eq 'asset' ? last_tasks($p) : last_run($p) =~ /^succeeded/ ? $all_built : $none;

	is(reading($p), expected(map { $published =~ /\b$_ built/ ? $new : $old } @assets), "$what: what is published is read");
	return;
}

sub next_run_works
{
	my ($p, $what) = @_;
	my $now = tick();

	is(sql("SET vibepiper.progress = off; SELECT string_agg(status, ' ') FROM vibepiper.run('p_$p', force => true, overlap => 'refuse')"),
		'built built built built', "$what: the next run works");
	is(reading($p), expected($now, $now, $now, $now), "$what: and is read");
	is(last_run($p), 'succeeded', "$what: and says so");
	return;
}

sub log_is_clean
{
	my ($what, $signals) = @_;
	my $log = slurp_file($node->logfile);

	is(join("\n", $log =~ /^.*(?:PANIC|TRAP|you don't own a lock).*$/mg), '', "$what: no failed assertion, no panic, no lock lost");
	is(join("\n", $log =~ /^.*terminated by signal (?!9\b).*$/mg), '', "$what: no crash");
	is(() = $log =~ /terminated by signal 9\b/g, $signals, "$what: no death but those that were asked for");
	return;
}

is(sql($misfits), '', 'all fits at the start');

# ----- an error
my $turn = 0;
for my $point (@points, @others)
{
	my $p = $point->{mode} // $modes[ $turn++ % @modes ];
	my $what = "error at $point->{name} of the $point->{in} ($p)";
	my $old = prepare($p);
	my $caller = caller_of($p, "$point->{name}=error");

	$caller->{run}->finish;
	all_gone($what);
	reading_fits($p, $old, $what);
	if ($point->{after})
	{
		is($caller->{err}, '', "$what: too late to fail");
		is(last_run($p), 'succeeded', "$what: the run");
		is(last_tasks($p), $all_built, "$what: its tasks");
	}
	elsif ($point->{in} eq 'leader')
	{
		like($caller->{err}, qr/ERROR:  run of pipeline "p_$p" failed\s+DETAIL:  Run \d+: point "$point->{name}" was reached/, "$what: the caller is told");
		is(last_run($p), qq{failed: point "$point->{name}" was reached}, "$what: the run");
		is(last_tasks($p), $point->{tasks}, "$what: its tasks");
	}
	else
	{
		like($caller->{err}, qr/ERROR:  .*failed.*point "$point->{name}" was reached/s, "$what: the caller is told");
		is(last_run($p), 'failed', "$what: the run");
		is(last_tasks($p), $first_failed, "$what: its tasks");
	}
	next_run_works($p, $what);
}
log_is_clean('errors', 0);

# ----- a cancellation or a termination while a process waits at the point

# While it is locked processes wait at points.
sub lock_points
{
	my $psql = $node->background_psql('postgres');

	$psql->query_safe("SELECT pg_advisory_lock($key)");
	return $psql;
}

my $on_caller = q{FROM pg_stat_activity WHERE application_name = 'caller'};
my $on_process = q{FROM pg_stat_activity WHERE backend_type = 'vibepiper %s'};
my %deaths = (
	'the caller is cancelled' => { sql => "SELECT pg_cancel_backend(pid) $on_caller", run => 'its caller was cancelled or has gone' },
	'the caller is terminated' => { sql => "SELECT pg_terminate_backend(pid) $on_caller", run => 'its caller was cancelled or has gone' },
	'cancel_run' => { sql => 'SELECT vibepiper.cancel_run(run_id) FROM vibepiper.run_progress', run => 'cancelled by cancel_run()' },
	'the leader is cancelled' => { sql => 'SELECT pg_cancel_backend(pid) ' . sprintf($on_process, 'leader'), at => 'leader', run => 'canceling statement due to user request' },
	'the leader is terminated' => { sql => 'SELECT pg_terminate_backend(pid) ' . sprintf($on_process, 'leader'), at => 'leader', run => 'the process that led the run was terminated' },
	'the worker is cancelled' => { sql => 'SELECT pg_cancel_backend(pid) ' . sprintf($on_process, 'worker'), at => 'worker', task => '57014 canceling statement due to user request' },
	'the worker is terminated' => { sql => 'SELECT pg_terminate_backend(pid) ' . sprintf($on_process, 'worker'), at => 'worker', task => '57P01 the background worker that computed it was terminated' });

sub die_at
{
	my ($point, $death, $p) = @_;
	my $do = $deaths{$death};
	my $what = "$death at $point->{name} of the $point->{in} ($p)";
	my $old = prepare($p);

	my $lock = lock_points();
	my $caller = caller_of($p, "$point->{name}=wait");
	ok(waiting_at_point($point->{in}, 1), "$what: there it is") or diag($caller->{err});
	is(sql($misfits =~ s/'cancelled'\)/'cancelled', 'running')/r), '', "$what: all fits meanwhile");
	my $published = $point->{name} eq 'leader.committed' ? $all_built : $p eq 'asset' ? $point->{tasks} : $none;
	is(reading($p), expected(map { $published =~ /\b$_ built/ ? $old + 1 : $old } @assets), "$what: what is read meanwhile");
	like(sql($do->{sql}), qr/^t$/m, "$what: done");

	# a leader that has tasks to look after sees it when it goes on, if its
	# caller has gone by then; a worker that has done its task comes here
	# again with the next
	if ($point->{busy} && $death =~ /^the caller/)
	{
		ok($node->poll_query_until('postgres', "SELECT count(*) = 0 $on_caller"), "$what: its caller has gone");
	}
	elsif (!($point->{busy} && ($do->{at} // '') ne 'leader') && !($point->{after} && $do->{task}))
	{
		ok(waiting_at_point($point->{in}, 0), "$what: it waits no more");
	}
	$lock->quit;
	$caller->{run}->finish;
	all_gone($what);
	reading_fits($p, $old, $what);
	my $ends_well = $point->{after} && ($point->{in} eq 'leader' || $do->{task});
	if ($ends_well)
	{
		is(last_run($p), 'succeeded', "$what: the run");
		is(last_tasks($p), $all_built, "$what: its tasks");
	}
	elsif ($do->{task})
	{
		is(last_run($p), 'failed', "$what: the run");
		is(last_tasks($p), $first_failed, "$what: its tasks");
		is(sql(sprintf("SELECT error_sqlstate || ' ' || error_message FROM vibepiper.tasks WHERE status = 'failed' AND run_id = $last", $p)),
			$do->{task}, "$what: and why");
	}
	else
	{
		is(last_run($p), "cancelled: $do->{run}", "$what: the run");
		is(last_tasks($p), $point->{tasks}, "$what: its tasks");
	}
	like($caller->{err}, $death =~ /caller is cancelled/ ? qr/canceling statement due to user request/ :
		$death =~ /caller is terminated/ ? qr/terminating connection due to administrator command/ :
		$ends_well ? qr/^$/ : $do->{task} ? qr/^ERROR:  .*failed/ :
		qr/^ERROR:  run of pipeline "p_$p" was cancelled\s+DETAIL:  Run \d+: \Q$do->{run}\E\.$/m, "$what: the caller is told");
	next_run_works($p, $what);
	return;
}

for my $point (@points, @others)
{
	for my $death (sort keys %deaths)
	{
		my $at = $deaths{$death}{at} // '';

		# a worker is not at a leader's points
		next if $at eq 'worker' && $point->{in} eq 'leader';
		# points of tasks and publications have much in common
		next if !grep({ $_ == $point } @points) && $death =~ /cancel/;
		die_at($point, $death, $point->{mode} // $modes[ $turn++ % @modes ]);
	}
}
log_is_clean('cancellations', 0);

# A worker that does nothing yet is replaced
{
	my $what = 'an idle worker is terminated';
	my $old = prepare('run');

	my $lock = lock_points();
	my $caller = caller_of('run', 'leader.loaded=wait');
	ok(waiting_at_point('leader', 1), "$what: the leader waits");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM vibepiper.run_workers JOIN pg_stat_activity USING (pid) WHERE backend_type = 'vibepiper worker' AND state = 'idle'}),
		"$what: there is one");
	sql('SELECT pg_terminate_backend(pid) ' . sprintf($on_process, 'worker'));
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 } . sprintf($on_process, 'worker')), "$what: it is gone");
	$lock->quit;
	$caller->{run}->finish;
	is($caller->{err} . $caller->{out}, "4\n", "$what: the run goes on");
	all_gone($what);
	reading_fits('run', $old, $what);
}

# A task that may be tried again is, when its worker is terminated
{
	my $what = 'a worker is terminated, and the asset has retries';

	sql(q{SELECT vibepiper.define_asset('run.base', vibepiper.asset_query('run.base'), indexes => '{UNIQUE (k)}', retries => 1, retry_delay => '0')});
	my $old = prepare('run');
	my $lock = lock_points();
	my $caller = caller_of('run', 'run.stored=wait');
	ok(waiting_at_point('worker', 1), "$what: it waits");
	my $pid = sql('SELECT pid ' . sprintf($on_process, 'worker') . " AND $waiting");
	sql("SELECT pg_terminate_backend($pid)");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper worker' AND $waiting AND pid <> $pid"), "$what: another does it again");
	$lock->quit;
	$caller->{run}->finish;
	is($caller->{err} . $caller->{out}, "4\n", "$what: the run goes on");
	is(sql(sprintf("SELECT attempts || ' ' || status FROM vibepiper.tasks WHERE asset = 'run.base' AND run_id = $last", 'run')), '2 built', "$what: two attempts");
	all_gone($what);
	reading_fits('run', $old, $what);
	sql(q{SELECT vibepiper.define_asset('run.base', vibepiper.asset_query('run.base'), indexes => '{UNIQUE (k)}')});
}

# A run that waits for another is cancelled, or only who waits for it
for my $death ('the caller is cancelled', 'cancel_run')
{
	my $what = "$death, of a run that waits for the pipeline";
	my $old = prepare('run');
	my $first = $node->background_psql('postgres');

	$first->query_safe("BEGIN; SELECT vibepiper.run('p_run', parallel => false, force => true)");
	my $caller = start('caller', q{SELECT run_id FROM vibepiper.run('p_run', force => true, wait => false)}, q{SELECT vibepiper.wait_run(max(run_id)) FROM vibepiper.runs WHERE pipeline = 'p_run'});
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper leader' AND wait_event_type = 'Lock'}), "$what: it waits");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $on_caller AND state = 'active' AND query ~ 'wait_run'"), "$what: and the caller for it");
	is(sql(q{SELECT phase FROM vibepiper.run_progress}), 'waiting', "$what: and says so");
	like(sql($deaths{$death}{sql}), qr/^t$/m, "$what: done");
	$caller->{run}->finish;
	if ($death eq 'cancel_run')
	{
		like($caller->{out}, qr/cancelled/, "$what: the caller is told");
		ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker')}), "$what: it is gone, the other goes on");
		$first->query_safe('ROLLBACK');
	}
	else
	{
		# it was to go on without its caller
		like($caller->{err}, qr/canceling statement/, "$what: the caller waits no more");
		is(sql(q{SELECT phase FROM vibepiper.run_progress}), 'waiting', "$what: the run does");
		$first->query_safe('ROLLBACK');
	}
	$first->quit;
	all_gone($what);
	is(last_run('run'), $death eq 'cancel_run' ? 'cancelled: cancelled by cancel_run()' : 'succeeded', "$what: the run");
	reading_fits('run', $old, $what);
	next_run_works('run', $what);
}

# A run that can't publish, since somebody locks an asset, can be cancelled
for my $death ('the caller is cancelled', 'cancel_run', 'the leader is terminated')
{
	my $what = "$death while the publication waits for a lock";
	my $old = prepare('run');
	my $locker = $node->background_psql('postgres');
	my $lock = lock_points();
	my $caller = caller_of('run', 'leader.computed=wait');

	ok(waiting_at_point('leader', 1), "$what: all is computed");
	$locker->query_safe('BEGIN; LOCK TABLE run.total');
	$lock->quit;
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper leader' AND wait_event_type = 'Lock' AND wait_event = 'relation'}),
		"$what: it does");
	like(sql($deaths{$death}{sql}), qr/^t$/m, "$what: done");
	$caller->{run}->finish;
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker')}), "$what: it waits no more");
	$locker->query_safe('COMMIT');
	$locker->quit;
	all_gone($what);
	is(last_run('run'), "cancelled: $deaths{$death}{run}", "$what: the run");
	reading_fits('run', $old, $what);
	next_run_works('run', $what);
}

# A run that begins again, since a source was rewritten, and is cancelled before it
# knows its tasks has none
sql(q{
	CREATE TABLE moved AS SELECT 1 AS v;
	SELECT vibepiper.define_asset('extra.first', 'SELECT pg_advisory_xact_lock_shared(30)::text AS got');
	SELECT vibepiper.define_asset('extra.second', 'SELECT v FROM public.moved, extra.first');
});
for my $death ('cancel_run', 'the caller is cancelled')
{
	my $what = "$death, of a run that begins again";
	my $lock = lock_points();
	my $first = $node->background_psql('postgres');
	$first->query_safe('SELECT pg_advisory_lock(30)');
	my $caller = caller_of('extra', 'leader.snapshot#2=wait', q{, selection => 'first second', on_failure => 'report'});

	ok(waiting_at_point('worker', 1), "$what: a worker waits");
	sql('BEGIN; TRUNCATE moved; INSERT INTO moved VALUES (2); COMMIT');
	$first->quit;
	ok(waiting_at_point('leader', 1), "$what: it does");
	is(sql(q{SELECT phase || ' ' || assets || ' ' || built || ' ' || unchanged FROM vibepiper.run_progress}), 'loading 0 0 0', "$what: nothing is known yet");
	like(sql($deaths{$death}{sql}), qr/^t$/m, "$what: done");
	$caller->{run}->finish;
	ok(waiting_at_point('leader', 0), "$what: it waits no more");
	$lock->quit;
	all_gone($what);
	is(last_run('extra'), "cancelled: $deaths{$death}{run}", "$what: the run");
	is(last_tasks('extra'), $none, "$what: no tasks");
	is(sql(sprintf("SELECT built + unchanged + failed + skipped FROM vibepiper.runs WHERE run_id = $last", 'extra')), '0', "$what: and none is counted");
	like($caller->{err}, $death eq 'cancel_run' ? qr/^ERROR:  run of pipeline "p_extra" was cancelled/m : qr/canceling statement/, "$what: the caller is told");
	is($caller->{out}, '', "$what: and gets no rows");
}
sql(q{SELECT vibepiper.drop_asset('extra.first', cascade => true)});

# What fails at the commit of an asset's transaction fails the asset: nothing
# that it queued for then may run unseen
{
	my $what = 'a deferred constraint';

	sql(q{
		CREATE TABLE strict (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
		INSERT INTO strict VALUES (1);
		CREATE FUNCTION twice() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN INSERT INTO public.strict VALUES (1); RETURN 1; END $$;
		SELECT vibepiper.define_asset('extra.queues', 'SELECT public.twice() AS n');
	});
	my ($rc, $out, $err) = $node->psql('postgres', q{SET vibepiper.progress = off; SELECT vibepiper.run('p_extra', 'queues')});
	like($err, qr/ERROR:  .*failed/, "$what: the caller is told");
	is(last_run('extra'), 'failed', "$what: the run");
	is(last_tasks('extra'), 'queues failed', "$what: its task");
	is(sql('SELECT count(*) FROM strict'), '1', "$what: nothing was written");
	is(sql($misfits), '', "$what: all fits");
	sql(q{SELECT vibepiper.drop_asset('extra.queues')});
}
log_is_clean('all without a crash', 0);

# ----- many runs that are cancelled at random
my $seed = int(rand(1 << 30));
note("seed $seed");
srand($seed);
sub cancelled_at_random
{
	my ($p, $runs) = @_;
	my @run = map { 'SET statement_timeout = ' . (1 + int(rand(60))), "SELECT count(*) FROM vibepiper.run('p_$p', force => true)" } 1 .. $runs;
	my ($out, $err) = ('', '');

	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \join(";\n", 'SET vibepiper.progress = off', @run, ''), '>', \$out, '2>', \$err);
}
{
	my $what = '200 runs that are cancelled at random';
	my $before = sql('SELECT max(run_id) FROM vibepiper.runs');

	$_->finish for map { cancelled_at_random($_, 50) } @modes, 'extra';
	all_gone($what);
	note('of these, ' . sql("SELECT string_agg(format('%s %s', n, status), ', ') FROM (SELECT status, count(*) AS n FROM vibepiper.runs WHERE run_id > $before GROUP BY 1) s"));
	is(sql("SELECT DISTINCT error FROM vibepiper.runs WHERE run_id > $before AND status <> 'succeeded' AND error <> 'its caller was cancelled or has gone'"), '', "$what: why");
	is(sql("SELECT count(*) FROM vibepiper.runs r JOIN vibepiper.tasks t USING (run_id) WHERE run_id > $before AND r.status = 'succeeded' AND t.status NOT IN ('built', 'unchanged')"), '0', "$what: a success is one");
	next_run_works($_, "$what ($_)") for @modes, 'extra';

	# every place for a process and for a run is free
	my $lock = lock_points();
	my @callers = map { caller_of($_, 'worker.begun=wait', ', max_workers => 1') } @modes, 'extra';
	ok(waiting_at_point('worker', $room / 2), "$what: as many processes can run as before");
	is(sql('SELECT count(*) FROM vibepiper.run_progress'), $room / 2, "$what: and as many runs");
	$lock->quit;
	for my $caller (@callers)
	{
		$caller->{run}->finish;
		is($caller->{err} . $caller->{out}, "4\n", "$what: they end well");
	}
	all_gone($what);
}
log_is_clean('many cancellations', 0);

# ----- a crash
my $cut_off = 'failed: the server, or the process that led the run, ended before it';

sub after_crash
{
	my ($p, $old, $published, $what) = @_;

	all_gone($what);
	is(reading($p), expected(map { $published =~ /\b$_ built/ ? $old + 1 : $old } @assets), "$what: what is published is read");
	return;
}

for my $point (@points)
{
	my $p = $modes[ $turn++ % @modes ];
	my $what = "crash at $point->{name} ($p)";
	my $old = prepare($p);
	my $before = sql('SELECT max(run_id) FROM vibepiper.runs');
	my $log = -s $node->logfile;
	my $caller = caller_of($p, "$point->{name}=crash");

	$caller->{run}->finish;
	$node->wait_for_log(qr/was terminated by signal 9/, $log);
	$node->wait_for_log(qr/database system is ready to accept connections/, $log);
	my $published = $point->{name} eq 'leader.committed' ? $all_built : $p eq 'asset' ? $point->{tasks} : $none;
	after_crash($p, $old, $published, $what);

	# the row itself is only sure to be there when something later is
	my $row = sql("SELECT status || coalesce(': ' || error, '') FROM vibepiper.runs WHERE run_id > $before");
	is($row, $point->{name} eq 'leader.committed' ? 'succeeded' : $row eq '' && $published !~ /built/ ? '' : $cut_off, "$what: the run");
	next_run_works($p, $what);
}

# The death of a process, or of all, while two workers work, or the leader is
# about to commit.  The row of the run is on disk by then.
my %ends = (
	'kill -9 of the leader' => { kill => 'leader' },
	'kill -9 of a worker' => { kill => 'worker' },
	'kill -9 of the postmaster' => { do => sub { $node->kill9 } },
	'pg_ctl stop -m immediate' => { do => sub { $node->stop('immediate') } },
	# the workers may end before the leader is told
	'pg_ctl stop -m fast' => { do => sub { $node->stop('fast') }, worker => qr/^(?:cancelled: the process that led the run was terminated|failed)$/,
		leader => qr/^cancelled: the process that led the run was terminated$/ });
my $kills = @points;
for my $end (sort keys %ends)
{
	my $do = $ends{$end};

	for my $place ('run.filled', 'leader.published')
	{
		my $kind = $place =~ /^leader/ ? 'leader' : 'worker';
		next if $do->{kill} && $do->{kill} eq 'worker' && $kind eq 'leader';
		my $p = $modes[ $turn++ % @modes ];
		my $what = "$end at $place ($p)";
		my $old = prepare($p);
		my $lock = lock_points();
		my $caller = caller_of($p, "$place=wait", $kind eq 'worker' ? q{, selection => 'even odd'} : '');

		ok(waiting_at_point($kind, $kind eq 'leader' ? 1 : $workers), "$what: there they are") or diag($caller->{err});
		sql('INSERT INTO dust VALUES (1)');
		my $log = -s $node->logfile;
		if ($do->{kill})
		{
			kill('KILL', sql($do->{kill} eq 'leader' ? 'SELECT leader_pid FROM vibepiper.run_progress' :
				'SELECT pid ' . sprintf($on_process, 'worker') . " AND $waiting LIMIT 1"));
			$kills++;
			$node->wait_for_log(qr/was terminated by signal 9/, $log);
			$node->wait_for_log(qr/database system is ready to accept connections/, $log);
		}
		else
		{
			$do->{do}->();
		}
		$caller->{run}->finish;
		like($caller->{err}, qr/terminating connection|server closed the connection/, "$what: the caller is told");
		eval { $lock->quit };
		if (!$do->{kill})
		{
			# a new postmaster refuses to start while a process of the old one lives
			my $started = 0;
			for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
			{
				last if $started = $node->start(fail_ok => 1);
				select(undef, undef, undef, 0.1);
				$node->stop('fast', fail_ok => 1);
			}
			ok($started, "$what: no process outlives it");
		}
		after_crash($p, $old, $p eq 'asset' && $kind eq 'leader' ? $all_built : $none, $what);
		like(last_run($p), $do->{$kind} // qr/^$cut_off$/, "$what: the run");
		next_run_works($p, $what);
	}
}
log_is_clean('crashes', $kills);

$node->stop;
done_testing();
