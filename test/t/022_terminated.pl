# The leader or a worker of a parallel run is terminated at a named point: what
# was committed counts as done, what was not is not, the run's row says which,
# and neither a process nor a lock is left.
use strict;
use warnings;
use File::Basename;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $key = slurp_file(dirname(__FILE__) . '/../../src/common/point.h') =~ /VP_POINT_LOCK INT64CONST\((\d+)\)/ ? $1 : die 'no key';
my $node = PostgreSQL::Test::Cluster->new('terminated');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nmax_worker_processes = 12");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION vibepiper;
CREATE SCHEMA src;
CREATE TABLE src.n AS SELECT 0 AS n;
SELECT vibepiper.define_pipeline('once'), vibepiper.define_pipeline('each', publish => 'asset');
SELECT vibepiper.define_asset('once.first', 'SELECT n FROM src.n'), vibepiper.define_asset('once.second', 'SELECT n + 1 AS n FROM once.first');
SELECT vibepiper.define_asset('each.first', 'SELECT n FROM src.n'), vibepiper.define_asset('each.second', 'SELECT n + 1 AS n FROM each.first');
SELECT FROM vibepiper.run('once') a, vibepiper.run('each') b});

# Terminate the process that waits at the point, and look at what is left:
# status of the run, statuses of the tasks, is first published, are versions as
# the tasks say.
sub terminate_at
{
	my ($point, $pipeline, $action) = @_;
	my ($in, $out, $err) = ("SELECT pg_advisory_lock($key);\n", '', '');
	my $holder = IPC::Run::start(['psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-'], '<', \$in, '>', \$out, '2>', \$err);
	my ($run_in, $run_out, $run_err) = ('', '', '');

	$holder->pump while $in ne '';
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND granted") or die 'not held';
	$node->safe_psql('postgres', 'UPDATE src.n SET n = n + 1');
	my $run = IPC::Run::start(['psql', '-XAtq', '-d', $node->connstr('postgres'),
			'-c', "SET vibepiper.debug_point = '$point#1=wait'", '-c', 'SET vibepiper.progress = off',
			'-c', "SELECT count(*) FROM vibepiper.run('$pipeline', force => true, max_workers => 1)"], '<', \$run_in, '>', \$run_out, '2>', \$run_err);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") or die 'not reached';
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
	my $leader = $node->safe_psql('postgres', 'SELECT leader_pid FROM vibepiper.run_progress');
	my $victim = $action eq 'leader' ? $leader : $pid;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($victim)");
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $victim)") or die 'still there';
	$in = "\\q\n";
	$holder->finish;
	$run->finish;
	return $node->safe_psql('postgres', qq{
SELECT r.status || ': ' || coalesce((SELECT string_agg(t.asset || ' ' || t.status, ', ' ORDER BY t.asset) FROM vibepiper.tasks t WHERE t.run_id = r.run_id), 'no tasks')
	|| CASE WHEN (SELECT n FROM $pipeline.first) = (SELECT n FROM src.n) THEN ', published' ELSE ', not published' END
	|| CASE WHEN EXISTS (SELECT FROM vibepiper.tasks t WHERE t.run_id = r.run_id AND (t.status = 'built') <>
		EXISTS (SELECT FROM vibepiper.versions v WHERE v.run_id = t.run_id AND v.asset = t.asset)) THEN ', versions are others' ELSE '' END
FROM vibepiper.runs r ORDER BY r.run_id DESC LIMIT 1});
}

sub check
{
	my ($point, $pipeline, $action, $expected) = @_;

	is(terminate_at($point, $pipeline, $action), $expected, "$action terminated at $point, $pipeline");
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker'))");
	# whoever connects has a lock for a moment
	ok($node->poll_query_until('postgres', "SELECT (SELECT count(*) FROM pg_locks WHERE locktype IN ('object', 'advisory')) + (SELECT count(*) FROM vibepiper.run_progress)", '0'),
		'... nothing is left');
	is($node->safe_psql('postgres', "SET vibepiper.progress = off; SELECT count(*) FROM vibepiper.run('$pipeline', force => true); SELECT n - (SELECT n FROM src.n) FROM $pipeline.second"),
		"2\n1", '... and the next run works');
}

for my $pipeline ('once', 'each')
{
	my ($first, $second) = ("$pipeline.first", "$pipeline.second");
	my $now = $pipeline eq 'each' ? 'published' : 'not published';

	check('leader.locked', $pipeline, 'leader', 'cancelled: no tasks, not published');
	check($_, $pipeline, 'leader', "cancelled: $first cancelled, $second cancelled, not published") for 'leader.loaded', 'worker.recorded';
	check($_, $pipeline, 'leader', "cancelled: $first built, $second cancelled, $now") for 'worker.committed', 'worker.done';
	check('worker.recorded', $pipeline, 'worker', "failed: $first failed, $second skipped, not published");
	check($_, $pipeline, 'worker', "succeeded: $first built, $second built, published") for 'worker.committed', 'worker.done';
	check('leader.committed', $pipeline, 'leader', "succeeded: $first built, $second built, published");
}

# An error after the task's commit is not the task's.
is($node->safe_psql('postgres', q{
UPDATE src.n SET n = n + 1;
SET vibepiper.progress = off;
SET vibepiper.debug_point = 'worker.committed#1=error';
SELECT asset, status FROM vibepiper.run('once', force => true, max_workers => 1);
SELECT f.n - s.n FROM once.first f, src.n s}), "once.first|built\nonce.second|built\n0", 'an error after the commit loses nothing');

# An old snapshot doesn't hide how a run ended.
is($node->safe_psql('postgres', q{
SET vibepiper.progress = off;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM src.n;
SELECT run_id AS run FROM vibepiper.run('once', force => true, wait => false) \gset
SELECT vibepiper.wait_run(:run);
COMMIT}), "1\nsucceeded", 'wait_run() in a transaction with an older snapshot');
$node->stop;
done_testing();
