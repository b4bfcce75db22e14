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

my $node = PostgreSQL::Test::Cluster->new('deaths');
$node->init;
# no other process takes a place of a background worker's
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'vibepiper'
restart_after_crash = on
autovacuum = off
max_logical_replication_workers = 0
max_worker_processes = $room
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
		map { ('-c', $_) } ("SET application_name = '$name'", 'SET vibepiper.progress = off', @statements) ],
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

	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'vibepiper%'}), "$what: no process is left");
	is(sql(q{SELECT (SELECT count(*) FROM vibepiper.run_progress) || ' ' || (SELECT count(*) FROM vibepiper.run_workers)}), '0 0', "$what: no run is in progress");
	is(sql(q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND (classid = 'vibepiper.pipeline'::regclass
		OR relation::regclass::text ~ '^vibepiper' OR pid NOT IN (SELECT pid FROM pg_stat_activity))}), '0', "$what: no lock is left");
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

	is(join("\n", $log =~ /^.*(?:PANIC|TRAP).*$/mg), '', "$what: no failed assertion, no panic");
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

	# a leader that has tasks to look after sees it when it goes on; a worker
	# that has done its task comes here again with the next
	ok(waiting_at_point($point->{in}, 0), "$what: it waits no more")
		unless ($point->{busy} && ($do->{at} // '') ne 'leader') || ($point->{after} && $do->{task});
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
	my $pid = sql('SELECT pid ' . sprintf($on_process, 'worker'));
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
	is(sql(q{SELECT phase FROM vibepiper.run_progress}), 'waiting', "$what: and says so");
	like(sql($deaths{$death}{sql}), qr/^t$/m, "$what: done");
	$caller->{run}->finish;
	if ($death eq 'cancel_run')
	{
		like($caller->{out}, qr/cancelled/, "$what: the caller is told");
		ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'vibepiper%'}), "$what: it is gone, the other goes on");
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

$node->stop;
done_testing();
