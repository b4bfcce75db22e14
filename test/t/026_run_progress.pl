# What a parallel run shows while it goes on: NOTICE lines of the call that
# waits, its processes in pg_stat_activity, estimates; and who may log in.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('progress');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nmax_worker_processes = 12");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA src;
	CREATE TABLE src.t AS SELECT i AS id FROM generate_series(1, 100) i;
	SELECT vibepiper.define_pipeline('p', max_workers => 1);
	SELECT vibepiper.define_assets('p', '[
		{"name": "a", "query": "SELECT id FROM src.t"},
		{"name": "b", "query": "SELECT id FROM a"},
		{"name": "one", "query": "SELECT count(*) AS n FROM b"},
		{"name": "lazy", "query": "SELECT n FROM one", "lazy": true}]');
});

# (rows, messages) of a statement
sub run
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err);
	return ($out, $err);
}

# The messages without their times
sub messages
{
	my ($out, $err) = run(@_);
	$err =~ s/\d+\.\d{3} s/N s/g;
	return $err;
}

sub point_reached
{
	my ($n) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = $n FROM pg_locks WHERE locktype = 'advisory' AND objid = 7617769 AND NOT granted")
	  || die 'no process came to the point';
}

# ---- NOTICE lines

my $first = messages(q{SELECT vibepiper.run('p')});
$first =~ s/^psql:<stdin>:\d+: //mg;
is($first, "NOTICE:  p.a built, 100 rows in N s\nNOTICE:  p.b built, 100 rows in N s\nNOTICE:  p.one built, 1 row in N s",
	'a line for each asset that is computed, in the order in which they are done');
is(messages(q{SELECT vibepiper.run('p')}), '', 'none if nothing is computed');
is(messages(q{SET vibepiper.progress = off; SELECT vibepiper.run('p', force => true)}), '', 'none with vibepiper.progress = off');
is(messages(q{SET client_min_messages = warning; SELECT vibepiper.run('p', force => true)}), '', 'nor if the client wants no notices');
like(messages(q{SELECT vibepiper.run('p', 'one', force => true)}), qr/^(psql:<stdin>:\d+: )?NOTICE:  p\.one unchanged, 1 row in N s$/, 'unchanged rows');
is(messages(q{SELECT vibepiper.run('p', force => true, parallel => false)}), '', 'a serial run is silent');
is(messages(q{SELECT vibepiper.wait_run(run_id) FROM vibepiper.run('p', force => true, wait => false)}), '', 'so is a run that is not waited for, and wait_run()');
$node->safe_psql('postgres', q{SELECT vibepiper.define_asset('p.bad', 'SELECT 1 / (n - n) AS x FROM p.one'); SELECT vibepiper.define_asset('p.after', 'SELECT x FROM p.bad')});
my ($rows, $err) = run(q{SELECT asset, status FROM vibepiper.run('p', on_failure => 'report')});
like($err, qr/^(psql:<stdin>:\d+: )?NOTICE:  p\.bad failed: division by zero$/, 'failures say why, what is skipped is not said');
is($rows, "p.a|cached\np.b|cached\np.one|cached\np.lazy|deferred\np.bad|failed\np.after|skipped", 'the rows are as ever');
like(messages(q{SELECT vibepiper.run('p')}), qr/NOTICE:  p\.bad failed: division by zero\n.*ERROR:  run of pipeline "p": 1 of 6 assets failed\n/s, 'an error comes after the lines');
$node->safe_psql('postgres', q{SELECT vibepiper.drop_asset('p.bad', cascade => true)});

# A run that is joined tells both calls, each once.
wait_until_processes_are_gone($node);
my $blocker = $node->background_psql('postgres');
$blocker->query_safe('SELECT pg_advisory_lock(7617769)');
my ($out1, $err1, $out2, $err2) = ('', '', '', '');
my @psql = ('psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres'), '-c');
my $one = IPC::Run::start([ @psql, q{SET vibepiper.debug_point = 'run.filled#2=wait'}, '-c', q{SELECT count(*) FROM vibepiper.run('p', 'a b one', force => true)} ],
	'<', \undef, '>', \$out1, '2>', \$err1);
point_reached(1);

# ---- pg_stat_activity, while that run waits

sub activity
{
	my ($column) = @_;
	return $node->safe_psql('postgres', "SELECT regexp_replace($column, 'run \\d+', 'run N') FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker') ORDER BY backend_type");
}
is(activity('backend_type'), "vibepiper leader\nvibepiper worker", 'backend_type');
is(activity('application_name'), "vibepiper leader, pipeline p\nvibepiper worker, pipeline p", 'application_name');
is(activity('query'), "run N of pipeline p\nSELECT id FROM a", 'query: the run, and that of the asset');
is(activity('state'), "active\nactive", 'state');
is(activity("datname || ' ' || usename"), join("\n", ('postgres ' . $node->safe_psql('postgres', 'SELECT session_user')) x 2), 'database and role');
ok($node->poll_query_until('postgres', q{SELECT wait_event_type || ' ' || wait_event FROM pg_stat_activity WHERE backend_type = 'vibepiper worker'}, 'Lock advisory'), 'what it waits for');
is($node->safe_psql('postgres', q{SELECT leader_pid = (SELECT pid FROM pg_stat_activity WHERE backend_type = 'vibepiper leader') FROM vibepiper.run_progress}), 't', 'the leader is that of run_progress');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run_workers JOIN pg_stat_activity USING (pid) WHERE asset = 'p.b' AND phase = 'computing'}), '1', 'the worker is that of run_workers');

# ---- estimates

is($node->safe_psql('postgres', q{SELECT remaining IS NOT NULL, remaining >= '0', elapsed > '0' FROM vibepiper.run_progress}), 't|t|t', 'an estimate of what remains, from history');
my $two = IPC::Run::start([ @psql, q{SELECT count(*) FROM vibepiper.run('p', overlap => 'join')} ], '<', \undef, '>', \$out2, '2>', \$err2);
$node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE '%vibepiper.run(%' AND state = 'active' AND wait_event_type = 'Extension' AND pid <> pg_backend_pid()})
	or die 'the second call does not wait';
$blocker->query_safe('SELECT pg_advisory_unlock(7617769)');
$one->finish;
$two->finish;
s/\d+\.\d{3} s/N s/g for $err1, $err2;
is($err1, "NOTICE:  p.a unchanged, 100 rows in N s\nNOTICE:  p.b unchanged, 100 rows in N s\nNOTICE:  p.one unchanged, 1 row in N s\n", 'who started a run is told what is done');
is($err2, $err1, 'and so is who joined it, from the beginning');
is("$out1$out2", "3\n3\n", 'both get its rows');

# Costs from history make the estimate: an asset that took long before takes long again.
$node->safe_psql('postgres', q{
	SELECT vibepiper.define_pipeline('slow', max_workers => 1);
	SELECT vibepiper.define_asset('slow.s', 'SELECT pg_sleep(0.3)::text AS x');
	SELECT vibepiper.define_asset('slow.s2', 'SELECT x FROM slow.s');
	SET client_min_messages = warning;
	SELECT vibepiper.run('slow');
});
$blocker->query_safe('SELECT pg_advisory_lock(7617769)');
my $run_id = $node->safe_psql('postgres', q{SET vibepiper.debug_point = 'leader.loaded=wait'; SELECT run_id FROM vibepiper.run('slow', force => true, wait => false)});
point_reached(1);
is($node->safe_psql('postgres', q{SELECT remaining IS NULL, running, waiting, assets FROM vibepiper.run_progress}), 't|0|2|2', 'no estimate before the first task');
$blocker->query_safe('SELECT pg_advisory_unlock(7617769)');
is($node->safe_psql('postgres', "SELECT vibepiper.wait_run($run_id)"), 'succeeded', 'that run ends');
$blocker->query_safe('SELECT pg_advisory_lock(7617769)');
$run_id = $node->safe_psql('postgres', q{SET vibepiper.debug_point = 'worker.begun=wait'; SELECT run_id FROM vibepiper.run('slow', force => true, wait => false)});
point_reached(1);
$node->poll_query_until('postgres', q{SELECT running = 1 FROM vibepiper.run_progress}) or die 'no task runs';
my ($estimate, $passed) = split /\|/, $node->safe_psql('postgres', q{SELECT extract(epoch FROM remaining), extract(epoch FROM elapsed) FROM vibepiper.run_progress});
cmp_ok($estimate + $passed, '>=', 0.3, 'the estimate is at least what it took before');
cmp_ok($estimate, '<', 600, 'and not out of this world');
$blocker->query_safe('SELECT pg_advisory_unlock(7617769)');
is($node->safe_psql('postgres', "SELECT vibepiper.wait_run($run_id)"), 'succeeded', 'that run ends, too');
$blocker->quit;

# Nothing is left of all these runs.
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run_progress}), '0', 'run_progress is empty');
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker')}) or die 'processes are left';

# ---- a session of a role without LOGIN: up to 16 the server refuses its workers

$node->safe_psql('postgres', q{
	CREATE ROLE nologin;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO nologin;
	GRANT CREATE ON DATABASE postgres TO nologin;
	SET ROLE nologin;
	SELECT vibepiper.define_pipeline('n');
	SELECT vibepiper.define_asset('n.a', 'SELECT 1 AS x');
});
($rows, $err) = run(q{SET SESSION AUTHORIZATION nologin; SELECT asset, status FROM vibepiper.run('n')});
if ($node->safe_psql('postgres', 'SHOW server_version_num') >= 170000)
{
	is($rows, 'n.a|built', 'a session of a role without LOGIN runs');
}
else
{
	like($err, qr/ERROR:  run of pipeline "n" failed\nDETAIL:  The run has not begun: the process that was to lead it ended before it was connected to the database\.\nHINT:  See the server's log\./,
		'the error says that its leader could not connect');
	like(slurp_file($node->logfile), qr/FATAL:  role "nologin" is not permitted to log in/, 'and the log says why');
}
($rows) = run(q{SET client_min_messages = warning; SET ROLE nologin; SELECT asset, status FROM vibepiper.run('n', force => true)});
like($rows, qr/^n\.a\|(built|unchanged)$/, 'with SET ROLE such a role runs');

$node->stop;
done_testing();
