# A rebuild that others' locks hold up: readers don't wait for it, nor do other
# pipelines.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('held_up');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'vibepiper'
vibepiper.keeper = off
vibepiper.progress = off
autovacuum = off
max_worker_processes = 16
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE t AS SELECT 1 AS n;
	SELECT vibepiper.define_pipeline('one');
	SELECT vibepiper.define_pipeline('two');
	CREATE TABLE u AS SELECT 1 AS n;
	SELECT vibepiper.define_asset('one.a', 'SELECT n FROM public.t');
	SELECT vibepiper.define_asset('one.b', 'SELECT n FROM public.u');
	SELECT vibepiper.define_asset('two.a', 'SELECT n + 1 AS n FROM public.t');
	SELECT vibepiper.run('one'), vibepiper.run('two');
});

# Lose everything, and have the keeper begin when the locks are held
sub crash_and_hold
{
	my ($sql) = @_;
	$node->append_conf('postgresql.conf', 'vibepiper.keeper = off');
	$node->stop('immediate');
	$node->start;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe($sql);
	$node->append_conf('postgresql.conf', 'vibepiper.keeper = on');
	$node->reload;
	return $holder;
}

sub lost { return $node->safe_psql('postgres', q{SELECT coalesce(string_agg(asset, ' ' ORDER BY asset), '') FROM vibepiper.assets WHERE state = 'lost'}) }
sub wait_for { my ($sql, $what) = @_; ok($node->poll_query_until('postgres', $sql), $what) }
my $none_lost = q{SELECT count(*) = 0 FROM vibepiper.assets WHERE state = 'lost'};

my $rebuilt = q{SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'two' AND kind = 'rebuild' AND status = 'succeeded'};

# By a pipeline's lock: the other one is rebuilt meanwhile
my $holder = crash_and_hold(q{BEGIN; SELECT vibepiper.invalidate('one.a')});
wait_for("SELECT ($rebuilt) = 1", 'what nobody holds up is rebuilt');
is(lost(), 'one.a one.b', 'the other one waits');
is($node->safe_psql('postgres', 'SELECT n FROM one.a'), '1', 'readers compute it');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.runs WHERE status = 'running'}), '0', 'and no run waits');
$holder->query_safe('ROLLBACK');
wait_for($none_lost, 'then it goes on');
$holder->quit;

# By a source's lock, or that of what was lost
for my $what ('a source', 'what was lost')
{
	my $table = $what eq 'a source' ? 'u' : $node->safe_psql('postgres',
		q{SELECT m.slot::regclass FROM vibepiper.mapping m JOIN vibepiper.asset a USING (def) WHERE a.stub = 'one.b'::regclass});
	my $before = $node->safe_psql('postgres', $rebuilt);
	$holder = crash_and_hold("BEGIN; LOCK TABLE $table");
	wait_for("SELECT ($rebuilt) > $before", "the other pipeline is rebuilt while $what is locked");
	$holder->query_safe('ROLLBACK');
	wait_for($none_lost, 'then it goes on');
	$holder->quit;
}

# By DROP EXTENSION, which waits for the reader
$node->append_conf('postgresql.conf', 'vibepiper.keeper = off');
$node->stop('immediate');
$node->start;
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM vibepiper.pipelines');
my $dropper = $node->background_psql('postgres');
$dropper->query_until(qr/asked/, "\\echo asked\nBEGIN; DROP EXTENSION vibepiper CASCADE; ROLLBACK;\n");
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%DROP EXTENSION%' AND wait_event_type = 'Lock'}), 'DROP EXTENSION waits for the reader');
$node->append_conf('postgresql.conf', 'vibepiper.keeper = on');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper' AND wait_event_type = 'Lock'}), 'the keeper waits for DROP EXTENSION');
is($reader->query_safe('SELECT n FROM two.a'), '2', 'and the reader for nobody');
$reader->query_safe('COMMIT');
$reader->quit;
$dropper->quit;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM vibepiper.assets WHERE state = 'lost'}), 'when it was rolled back, what was lost is rebuilt');

done_testing();
