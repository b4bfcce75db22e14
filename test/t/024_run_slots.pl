# Parallel runs with fewer background processes than they want, or none; how
# many workers a run has; and roles and databases whose settings and limits are
# not meant for its processes.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Misfits;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $key = slurp_file("$FindBin::RealBin/../../src/common/point.h") =~ /VP_POINT_LOCK INT64CONST\((\d+)\)/ ? $1 : die 'no key';
my $room = 5;
my $places = $room + 1;	# one is the launcher's

my $node = PostgreSQL::Test::Cluster->new('slots');
$node->init;
# no other process takes a place of a background worker's
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'vibepiper'
autovacuum = off
max_logical_replication_workers = 0
max_worker_processes = $places
vibepiper.keeper = off
});
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Pipelines to occupy processes: the asset of each waits for a lock of its own.
sql(q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src AS SELECT k FROM generate_series(1, 20) k;
	SELECT vibepiper.define_pipeline('wide');
});
for my $i (1 .. 3)
{
	sql(qq{SELECT vibepiper.define_pipeline('h$i');
		SELECT vibepiper.define_asset('h$i.a', 'SELECT pg_advisory_xact_lock_shared($i)::text AS got, k FROM public.src')});
}
sql("SELECT vibepiper.define_asset('wide.a$_', 'SELECT k, $_ AS i FROM public.src')") for 1 .. 6;
my $wide = join(' + ', map { "(SELECT count(*) FROM wide.a$_ WHERE i = $_)" } 1 .. 6);

sub processes_are
{
	my ($n, $what) = @_;
	ok($node->poll_query_until('postgres', qq{SELECT count(*) = $n FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker')}), "$what: $n processes");
	return;
}

# Without it what a run computes would be unchanged.
my $news = 'UPDATE src SET k = k + 100';

# psql on its own, with these statements
sub start
{
	my (@statements) = @_;
	sql($news);
	my $psql = { out => '', err => '', timer => IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default) };
	$psql->{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), map { ('-c', $_) } @statements ],
		'<', \undef, '>', \$psql->{out}, '2>', \$psql->{err}, $psql->{timer});
	return $psql;
}

sub lock_key
{
	my $psql = $node->background_psql('postgres');
	$psql->query_safe("SELECT pg_advisory_lock($_[0])");
	return $psql;
}

# A run that takes two processes, or the one that is left, until the lock goes.
sub occupy
{
	my ($i) = @_;
	my $lock = lock_key($i);

	sql("SET vibepiper.worker_wait = '1h'; SELECT vibepiper.run('h$i', force => true, wait => false)");
	return $lock;
}

sub quiet
{
	my ($what) = @_;

	processes_are(0, $what);
	is(sql('SELECT count(*) FROM vibepiper.run_progress'), '0', "$what: nothing is in progress");
	is(sql(q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND classid = 'vibepiper.pipeline'::regclass}), '0', "$what: no pipeline is locked");
	is(sql($misfits), '', "$what: all fits");
	return;
}

my $last = q{SELECT status || coalesce(': ' || error, '') FROM vibepiper.runs WHERE pipeline = 'wide' ORDER BY run_id DESC LIMIT 1};
my $run = q{SELECT string_agg(DISTINCT status, ' ') || ' ' || count(*) FROM vibepiper.run('wide', force => true%s)};

# ----- fewer than wanted
{
	my $what = 'fewer workers than wanted';
	my $one = occupy(1);
	processes_are(2, "$what, before");
	my $points = lock_key($key);
	my $caller = start('SET vibepiper.progress = off', "SET vibepiper.debug_point = 'worker.begun=wait'", sprintf($run, ', max_workers => 4'));

	ok($node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'vibepiper worker' AND wait_event = 'advisory' AND application_name LIKE '%wide'}),
		"$what: two of four");
	ok($node->poll_query_until('postgres', q{SELECT workers || ' ' || running || ' ' || waiting FROM vibepiper.run_progress WHERE pipeline = 'wide'}, '2 2 4'), "$what: and progress says so");

	# a place that becomes free is taken
	$one->quit;
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM pg_stat_activity WHERE backend_type = 'vibepiper worker' AND wait_event = 'advisory' AND application_name LIKE '%wide'}),
		"$what: when others are done, four of four");
	$points->quit;
	$caller->{run}->finish;
	is($caller->{err} . $caller->{out}, "built 6\n", "$what: it goes on with those that it has");
	is(sql("SELECT $wide"), '120', "$what: its rows");
	quiet($what);
}

# ----- none for workers
for my $later (0, 1)
{
	my $what = 'no worker' . ($later ? ' until a process becomes free' : '');
	my @locks = map { occupy($_) } 1, 2;
	processes_are(4, "$what, before");
	my $wait = $later ? '1h' : '200ms';
	my $caller = start('SET vibepiper.progress = off', "SET vibepiper.worker_wait = '$wait'", sprintf($run, ''));

	if ($later)
	{
		processes_are($room, $what);
		ok($node->poll_query_until('postgres', q{SELECT phase || ' ' || workers || ' ' || waiting = 'running 0 6' FROM vibepiper.run_progress WHERE pipeline = 'wide'}), "$what: it waits visibly");
		$locks[0]->quit;
	}
	$caller->{run}->finish;
	if ($later)
	{
		is($caller->{err} . $caller->{out}, "built 6\n", "$what: then it goes on");
	}
	else
	{
		like($caller->{err}, qr/ERROR:  53400: run of pipeline "wide" failed\s+DETAIL:  Run \d+: there was no free background worker for it\.\s+HINT:  Raise max_worker_processes \(now $places\)/, "$what: it gives up");
		is(sql($last), 'failed: there was no free background worker for it', "$what: the run");
		is(sql(q{SELECT string_agg(DISTINCT status, ' ') || ' ' || count(*) FROM vibepiper.tasks WHERE run_id = (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = 'wide')}),
			'cancelled 6', "$what: its tasks");
		$locks[0]->quit;
	}
	$locks[1]->quit;
	quiet($what);
	is(sql("SET vibepiper.progress = off; $news; " . sprintf($run, '')), 'built 6', "$what: the next run works");
	processes_are(0, $what);
}

# ----- none even for the leader
for my $wait ('0', '200ms', 'until it is cancelled', 'until there is one')
{
	my $what = "no leader, worker_wait $wait";
	my @locks = map { occupy($_) } 1, 2;
	processes_are(4, "$what, before");
	push @locks, occupy(3);
	processes_are($room, "$what, before");
	my $runs = sql('SELECT count(*) FROM vibepiper.runs');
	my $setting = $wait =~ /until/ ? '1h' : $wait;
	my $caller = start(q{SET application_name = 'caller'}, 'SET vibepiper.progress = off', "SET vibepiper.worker_wait = '$setting'", sprintf($run, ''));

	if ($wait =~ /until/)
	{
		ok(pump_until($caller->{run}, $caller->{timer}, \$caller->{err}, qr/NOTICE: .*waiting for a free background worker/), "$what: it says that it waits");
		# both, or the third's leader would take what becomes free for its worker
		$_->quit for $wait =~ /there is one/ ? @locks[ 0, 2 ] : ();
		is(sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'caller'}), 't', "$what: done") if $wait =~ /cancelled/;
	}
	$caller->{run}->finish;
	if ($wait =~ /there is one/)
	{
		is($caller->{out}, "built 6\n", "$what: then it goes on");
		unlike($caller->{err}, qr/ERROR/, "$what: without an error");
	}
	elsif ($wait =~ /cancelled/)
	{
		like($caller->{err}, qr/ERROR:  57014/, "$what: it ends");
	}
	else
	{
		my $ms = $wait + 0;
		like($caller->{err}, qr/ERROR:  53400: no background worker is free to run the pipeline\s+DETAIL:  Waited for $ms ms \(vibepiper\.worker_wait\)\.\s+HINT:  Raise max_worker_processes \(now $places\)/, "$what: it gives up");
		is(() = $caller->{err} =~ /NOTICE/g, $ms > 0 ? 1 : 0, "$what: having said once that it waits");
	}
	is(sql('SELECT count(*) FROM vibepiper.runs'), $runs + ($wait =~ /there is one/ ? 1 : 0), "$what: a run that did not begin is none");
	$_->quit for $wait =~ /there is one/ ? $locks[1] : @locks;
	quiet($what);
	is(sql("SET vibepiper.progress = off; $news; " . sprintf($run, '')), 'built 6', "$what: the next run works");
	processes_are(0, $what);
}
is(sql(q{SELECT string_agg(DISTINCT status, ' ') FROM vibepiper.runs WHERE pipeline LIKE 'h_'}), 'succeeded', 'those that were in the way have succeeded');

# ----- how many workers: the argument's, else the pipeline's, else the setting's
$node->adjust_conf('postgresql.conf', 'max_worker_processes', 16);
$node->restart;
for my $case (
	[ '', undef, '', 4 ], [ 'SET vibepiper.max_workers = 1', undef, '', 1 ], [ 'SET vibepiper.max_workers = 5', undef, '', 5 ],
	[ 'SET vibepiper.max_workers = 5', 3, '', 3 ], [ 'SET vibepiper.max_workers = 1', 3, ', max_workers => 2', 2 ],
	[ '', 1, ', max_workers => 6', 6 ], [ '', undef, ', max_workers => 12', 6 ])
{
	my ($setting, $pipeline, $argument, $workers) = @$case;
	my $what = "$workers workers with ($setting) (" . ($pipeline // '') . ") ($argument)";

	sql("SELECT vibepiper.define_pipeline('wide', max_workers => " . ($pipeline // 'NULL') . ')');
	my $points = lock_key($key);
	my $caller = start('SET vibepiper.progress = off', ($setting) x !!$setting, "SET vibepiper.debug_point = 'worker.begun=wait'", sprintf($run, $argument));
	ok($node->poll_query_until('postgres', qq{SELECT count(*) = $workers FROM pg_stat_activity WHERE backend_type = 'vibepiper worker' AND wait_event = 'advisory'}), "$what: there they are");
	ok($node->poll_query_until('postgres', q{SELECT workers || ' ' || running || ' ' || waiting FROM vibepiper.run_progress}, "$workers $workers " . (6 - $workers)), "$what: and no more");
	$points->quit;
	$caller->{run}->finish;
	is($caller->{err} . $caller->{out}, "built 6\n", "$what: it ends well");
	processes_are(0, $what);
}

# ----- an asset that is to be alone, is
{
	my $what = 'parallel => false';
	sql(q{SELECT vibepiper.define_pipeline('alone', max_workers => 4);
		SELECT vibepiper.define_asset('alone.solo', 'SELECT pg_advisory_xact_lock_shared(10)::text AS got, k FROM public.src', parallel => false);
		SELECT vibepiper.define_asset('alone.duo', 'SELECT pg_advisory_xact_lock_shared(11)::text AS got, k FROM public.src', parallel => false)});
	sql("SELECT vibepiper.define_asset('alone.a$_', 'SELECT pg_advisory_xact_lock_shared(12)::text AS got, k FROM public.src')") for 1 .. 3;
	my %lock = ('alone.solo' => lock_key(10), 'alone.duo' => lock_key(11), 'alone.a1 alone.a2 alone.a3' => lock_key(12));
	my $caller = start('SET vibepiper.progress = off', q{SELECT string_agg(status, ' ') FROM vibepiper.run('alone')});
	my $busy = q{SELECT string_agg(asset, ' ' ORDER BY asset) FROM vibepiper.run_workers JOIN pg_stat_activity USING (pid) WHERE asset IS NOT NULL AND wait_event = 'advisory'};
	my $at_once = q{SELECT running FROM vibepiper.run_progress};

	# whatever order they come in, only these are there at once
	while (%lock)
	{
		ok($node->poll_query_until('postgres', "SELECT ($busy) IN (" . join(', ', map { "'$_'" } sort keys %lock) . ')'), "$what: some that may be together") or last;
		my $now = sql($busy);
		ok($node->poll_query_until('postgres', $at_once, scalar(split(/ /, $now))), "$what: $now, and no other");
		(delete $lock{$now})->quit;
	}
	$caller->{run}->finish;
	is($caller->{err} . $caller->{out}, "built built built built built\n", "$what: all are built");
	quiet($what);
}

# ----- roles, limits and settings that are not meant for the processes of a run
my $has_transaction_timeout = sql(q{SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'});
my @settings = ([ 'statement_timeout', '1ms' ], [ 'lock_timeout', '1ms' ], [ 'idle_in_transaction_session_timeout', '1ms' ], [ 'idle_session_timeout', '1ms' ],
	[ 'default_transaction_read_only', 'on' ], [ 'default_transaction_isolation', 'serializable' ], [ 'default_transaction_deferrable', 'on' ],
	$has_transaction_timeout ? [ 'transaction_timeout', '1ms' ] : ());

# the caller himself is free of them
$ENV{PGOPTIONS} = join(' ', map { "-c $_->[0]=" . ($_->[1] eq '1ms' ? '0' : $_->[1] eq 'serializable' ? "read\\ committed" : 'off') } @settings);
sql(q{
	CREATE ROLE etl NOLOGIN;
	CREATE ROLE clerk LOGIN IN ROLE etl CONNECTION LIMIT 1;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO etl;
	GRANT CREATE ON DATABASE postgres TO etl;
	GRANT SELECT ON src TO etl;
	SET ROLE etl;
	SELECT vibepiper.define_pipeline('theirs');
	SELECT vibepiper.define_asset('theirs.a', 'SELECT k, current_user AS who FROM public.src, (SELECT pg_sleep(0.05)) s');
	SELECT vibepiper.define_asset('theirs.b', 'SELECT count(*) AS n, sum(k) AS keys, max(who) AS who FROM theirs.a');
});
my $theirs = q{SET vibepiper.progress = off; SELECT string_agg(status, ' ') FROM vibepiper.run('theirs', force => true)};
my $who = q{SELECT n || ' ' || who FROM theirs.b};
is(sql("SET ROLE etl; $theirs; $who"), "built built\n20 etl", 'after SET ROLE to a role without login');
sql($news);
is($node->safe_psql('postgres', "$theirs; $who", extra_params => [ '-U', 'clerk' ]), "built built\n20 etl", 'a role with a connection limit of 1');
sql('ALTER ROLE clerk CONNECTION LIMIT -1');	# its last session may not have ended when the next begins

for my $object ('ROLE clerk', 'DATABASE postgres')
{
	for my $setting (@settings, 0)
	{
		my $what = $setting ? "ALTER $object SET $setting->[0] = $setting->[1]" : "ALTER $object SET all of them";

		sql("ALTER $object RESET ALL; " . join('; ', map { "ALTER $object SET $_->[0] = '$_->[1]'" } $setting || @settings));
		sql($news);
		is($node->safe_psql('postgres', "$theirs; $who", extra_params => [ '-U', 'clerk' ]), "built built\n20 etl", $what);
	}
	sql("ALTER $object RESET ALL");
}
processes_are(0, 'settings');

# workers that can't connect: the one that did takes their tasks
{
	my $what = 'no further worker can connect';
	sql('CREATE ROLE leaver LOGIN IN ROLE etl; SET ROLE etl; ' . join('; ', map { "SELECT vibepiper.define_asset('theirs.more$_', 'SELECT pg_advisory_xact_lock_shared(20)::text AS got, n FROM theirs.b')" } 1 .. 4));
	sql($news);
	my $work = lock_key(20);	# until the others have tried
	my $points = lock_key($key);
	my $run = sql(q{SET vibepiper.debug_point = 'leader.loaded=wait'; SET SESSION AUTHORIZATION leaver;
		SELECT run_id FROM vibepiper.run('theirs', force => true, max_workers => 3, wait => false)});
	ok($node->poll_query_until('postgres', q{SELECT (SELECT count(*) FROM vibepiper.run_workers JOIN pg_stat_activity USING (pid) WHERE backend_type = 'vibepiper worker' AND state = 'idle') = 1
		AND EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'vibepiper leader' AND wait_event = 'advisory')}), "$what: there is one");
	sql('DROP ROLE leaver');
	my $log = -s $node->logfile;
	$points->quit;
	$node->wait_for_log(qr/FATAL:  role .*does not exist/, $log);
	$work->quit;
	is(sql("SELECT vibepiper.wait_run($run)"), 'succeeded', "$what: the run");
	is(sql("SELECT string_agg(DISTINCT status || ' ' || attempts, ', ') || ' ' || count(*) FROM vibepiper.tasks WHERE run_id = $run"), 'built 1 6', "$what: its tasks");
	quiet($what);
}
quiet('at the end');

my $log = slurp_file($node->logfile);
is(join("\n", $log =~ /^.*(?:PANIC|TRAP|terminated by signal).*$/mg), '', 'no crash, no failed assertion');
$node->stop;
done_testing();
