# What nobody waits for: the launcher and the keepers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('keeper');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'vibepiper'
vibepiper.keeper_pause = '20ms'
vibepiper.cache_size = '1MB'
vibepiper.progress = off
autovacuum = off
deadlock_timeout = '10s'
max_worker_processes = 16
});
$node->start;

sub launcher { return $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vibepiper launcher'}) }
sub wait_for { my ($sql, $what) = @_; ok($node->poll_query_until('postgres', $sql), $what) }
sub wait_for_command { my ($sql) = @_; ok($node->poll_query_until('postgres', $sql, $sql =~ /^(\w+ \w+)/), $sql) }
# A whole pass of the keeper that began after this call.  It looks for what was lost,
# then drops: the first may be dropped by a pass that had begun before
sub after_pass
{
	for my $n (1, 2)
	{
		$node->safe_psql('postgres', q{UPDATE raw.small SET n = n + 1; SELECT vibepiper.run('p', 'small')});
		wait_for(q{SELECT count(*) = 1 FROM vibepiper.slot JOIN vibepiper.asset USING (asset_id) WHERE stub = 'p.small'::regclass}, "the keeper has dropped $n");
	}
	return;
}
sub value { return $node->safe_psql('postgres', $_[0]) }

wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper launcher'}, 'there is one launcher');
is(value(q{SELECT datname IS NULL FROM pg_stat_activity WHERE backend_type = 'vibepiper launcher'}), 't', 'connected to no database');

$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA raw;
	CREATE TABLE raw.t AS SELECT i AS id, repeat('x', 300) AS pad FROM generate_series(1, 1000) i;
	CREATE TABLE raw.small AS SELECT 1 AS n;
	CREATE FUNCTION raw.slow(int) RETURNS int LANGUAGE plpgsql STABLE AS $$
		BEGIN PERFORM count(*) FROM generate_series(1, 300000); RETURN $1; END $$;
	SELECT vibepiper.define_pipeline('p', keep_versions => 1);
	SELECT vibepiper.define_asset('p.big', 'SELECT id, pad FROM raw.t');
	SELECT vibepiper.define_asset('p.small', 'SELECT n FROM raw.small');
	SELECT vibepiper.define_asset('p.dear', 'SELECT raw.slow(0) + n AS n FROM raw.small');
	SELECT vibepiper.run('p');
});

# Superseded versions go, without anybody's purge, when nobody runs the pipeline
for my $n (1 .. 3)
{
	$node->safe_psql('postgres', "UPDATE raw.small SET n = n + 1; UPDATE raw.t SET pad = pad || '$n'; SELECT vibepiper.run('p')");
}
my $spare = q{SELECT count(*) FROM vibepiper.slot s LEFT JOIN vibepiper.version v USING (version_id) WHERE v.published IS NOT TRUE};
wait_for("SELECT ($spare) = 0", 'superseded versions were dropped');
is(value(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r'}), '3', 'and their tables');

# More than one transaction of the keeper could lock
$node->safe_psql('postgres', q{
	SELECT vibepiper.define_pipeline('many', keep_versions => 1);
	SELECT count(*) FROM vibepiper.define_assets('many', (SELECT jsonb_agg(jsonb_build_object('name', 'a' || i, 'query', 'SELECT n FROM raw.small')) FROM generate_series(1, 120) i));
	SELECT vibepiper.run('many');
	UPDATE raw.small SET n = n + 1;
	SELECT vibepiper.run('many'), vibepiper.run('p');
});
wait_for("SELECT ($spare) = 0", 'many superseded versions were dropped');
is(value(q{SELECT a.n = b.n FROM many.a1 a, many.a120 b}), 't', 'the published ones stayed');
$node->safe_psql('postgres', q{SELECT vibepiper.drop_pipeline('many', cascade => true)});

# Of each asset as many stay as keep_versions says
$node->safe_psql('postgres', q{
	SELECT vibepiper.define_pipeline('kept', keep_versions => 2);
	SELECT vibepiper.define_asset('kept.a', 'SELECT n FROM raw.small');
	SELECT vibepiper.define_asset('kept.b', 'SELECT n + 1 AS n FROM raw.small');
});
$node->safe_psql('postgres', "UPDATE raw.small SET n = n + 1; SELECT vibepiper.run('kept'), vibepiper.run('p')") for 1 .. 5;
wait_for("SELECT ($spare) = 2", 'all but two were dropped');
is(value(q{SELECT string_agg(asset || ' ' || n, ', ' ORDER BY asset) FROM (SELECT asset, count(*) AS n FROM vibepiper.versions WHERE asset LIKE 'kept.%' GROUP BY 1) AS v}), 'kept.a 2, kept.b 2', 'two of each are kept');
$node->safe_psql('postgres', q{SELECT vibepiper.drop_pipeline('kept', cascade => true)});

# But not what may be right again, as far as there is room: a big cheap one goes before a small dear one
$node->safe_psql('postgres', qq{
	SELECT vibepiper.define_asset('p.dear', 'SELECT raw.slow(100) + n AS n FROM raw.small');
	SELECT vibepiper.run('p')});
for my $n (1 .. 4)
{
	$node->safe_psql('postgres', qq{
		SELECT vibepiper.define_asset('p.big', 'SELECT id, pad, $n AS n FROM raw.t');
		SELECT vibepiper.run('p')});
}
wait_for(q{SELECT evictions > 0 FROM vibepiper.cache_stats WHERE pipeline = 'p'}, 'something was evicted');
wait_for(q{SELECT bytes - published_bytes <= 1024 * 1024 FROM vibepiper.cache_stats WHERE pipeline = 'p'}, 'what is kept is within cache_size');
is(value(q{SELECT count(*) FROM vibepiper.versions WHERE asset = 'p.dear'}), '2', 'what was dear to compute and is small is kept');
is(value(q{SELECT count(*) FROM vibepiper.versions WHERE asset = 'p.big' AND published}), '1', 'what is published stays');
is(value(q{SELECT count(*) FROM p.big}), '1000', 'and is read');
wait_for(q{SELECT coalesce(sum((pg_stat_file(path || '/' || file, true)).size), 0) = 0
	FROM (SELECT 'base/' || oid AS path FROM pg_database WHERE datname = current_database()) d, pg_ls_dir(path) file
	WHERE file ~ '^\d+$' AND pg_filenode_relation(0, file::oid) IS NULL}, 'the space is returned: no file has a byte that belongs to no relation');
$node->safe_psql('postgres', q{SELECT vibepiper.define_asset('p.dear', 'SELECT raw.slow(0) + n AS n FROM raw.small')});
is(value(q{SELECT status FROM vibepiper.run('p', 'dear')}), 'cached', 'and it was worth it');
is(value(q{SELECT reuses FROM vibepiper.cache_stats}), '1', 'that is counted');

# Of the same size: what was dearer to compute stays, though it is older
$node->safe_psql('postgres', qq{
	SELECT vibepiper.define_pipeline('e', keep_versions => 1);
	SELECT vibepiper.define_asset('e.dear', 'SELECT id, pad, $_ AS n, (SELECT sum(raw.slow(i)) FROM generate_series(1, 10) i) AS s FROM raw.t'); SELECT vibepiper.run('e')}) for 1, 2;
$node->safe_psql('postgres', qq{
	SELECT vibepiper.define_asset('e.cheap', 'SELECT id, pad, $_ AS n FROM raw.t'); SELECT vibepiper.run('e')}) for 1 .. 4;
wait_for(q{SELECT evictions > 0 FROM vibepiper.cache_stats WHERE pipeline = 'e'}, 'some were evicted');
wait_for(q{SELECT sum(bytes - published_bytes) <= 1024 * 1024 FROM vibepiper.cache_stats}, 'what all pipelines keep is within cache_size');
is(value(q{SELECT count(*) FROM vibepiper.versions WHERE asset = 'e.dear'}), '2', 'the dear one is kept');
is(value(q{SELECT count(*) < 4 FROM vibepiper.versions WHERE asset = 'e.cheap'}), 't', 'not all cheap ones');
$node->safe_psql('postgres', q{SELECT vibepiper.drop_pipeline('e', cascade => true)});

# Of the same size, and as dear: what was found right again stays
$node->append_conf('postgresql.conf', 'vibepiper.keeper = off');
$node->reload;
wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'no keeper is left');
$node->safe_psql('postgres', q{SELECT vibepiper.purge('p'), vibepiper.define_pipeline('f', keep_versions => 1)});
sub define_and_run { my ($name, $n) = @_; return value("SELECT vibepiper.define_asset('f.$name', 'SELECT id, pad, $n AS n FROM raw.t'); SELECT status FROM vibepiper.run('f', '$name')") }
like(define_and_run('used', $_), qr/built$/, 'it is computed') for 1, 2;
like(define_and_run('used', $_), qr/cached$/, 'it is found right again') for 1, 2;
like(define_and_run('unused', $_), qr/built$/, 'another is computed') for 1, 2;
like(define_and_run('other', $_), qr/built$/, 'and a third') for 1, 2;
my $uses = q{SELECT string_agg(split_part(asset, '.', 2) || ' ' || uses, ', ' ORDER BY asset) FROM vibepiper.versions JOIN vibepiper.version USING (version_id) WHERE asset LIKE 'f.%' AND NOT versions.published};
is(value($uses), 'other 1, unused 1, used 2', 'uses are counted');
$node->safe_psql('postgres', q{UPDATE vibepiper.version v SET elapsed = CASE stub::regclass::text WHEN 'f.other' THEN interval '10 s' ELSE interval '1 s' END
	FROM vibepiper.asset a WHERE a.asset_id = v.asset_id AND stub::regclass::text LIKE 'f.%'});
$node->append_conf('postgresql.conf', 'vibepiper.keeper = on');
$node->reload;
wait_for(q{SELECT evictions > 0 FROM vibepiper.cache_stats WHERE pipeline = 'f'}, 'one is evicted');
wait_for(q{SELECT sum(bytes - published_bytes) <= 1024 * 1024 FROM vibepiper.cache_stats}, 'then there is room');
is(value($uses), 'other 1, used 2', 'that which was used least');
$node->safe_psql('postgres', q{SELECT vibepiper.drop_pipeline('f', cascade => true)});

# A reader with an old snapshot keeps what he reads
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM p.small;');
$node->safe_psql('postgres', "UPDATE raw.small SET n = n + 1; SELECT vibepiper.run('p'); UPDATE raw.small SET n = n + 1; SELECT vibepiper.run('p');");
is($reader->query_safe('SELECT n < (SELECT n FROM raw.small) + 1 FROM p.small'), 't', 'an old snapshot reads its version');
$reader->query_safe('COMMIT');
$reader->quit;
wait_for("SELECT count(*) <= 2 FROM vibepiper.slot s JOIN vibepiper.asset a USING (asset_id) WHERE a.stub = 'p.small'::regclass", 'which goes after it');

# The history is bounded; rollback to what is left of it works
$node->append_conf('postgresql.conf', "vibepiper.keep_runs = 3");
$node->reload;
$node->safe_psql('postgres', q{SELECT vibepiper.run('p', force => true)}) for 1 .. 5;
wait_for(q{SELECT count(*) <= 3 FROM vibepiper.runs WHERE pipeline = 'p'}, 'the history has three runs');
is(value(q{SELECT count(*) FROM vibepiper.tasks t WHERE NOT EXISTS (SELECT FROM vibepiper.runs r WHERE r.run_id = t.run_id)}), '0', 'and their tasks');
# ... though the keeper saw the last run unfinished, which itself gives it nothing to do
wait_for("SELECT ($spare) = 0", 'nothing is to be dropped');
my $held = $node->background_psql('postgres');
$held->query_safe('SELECT pg_advisory_lock(1);');
$node->safe_psql('postgres', q{
	CREATE FUNCTION raw.hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN new; END';
	CREATE TRIGGER hold BEFORE UPDATE ON vibepiper.run FOR EACH ROW WHEN (new.pipeline = 'p') EXECUTE FUNCTION raw.hold();
	SELECT vibepiper.define_pipeline('h');
	SELECT vibepiper.define_asset('h.read', 'SELECT 1 AS n');
	SELECT vibepiper.run('h');
});
my $run = $node->background_psql('postgres');
$run->query_until(qr/asked/, "\\echo asked\nSELECT vibepiper.run('p', force => true);\n");
wait_for(q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}, 'a run is about to finish');
$node->safe_psql('postgres', q{
	SELECT n FROM h.read;
	SELECT vibepiper.define_asset('h.other', 'SELECT 1 AS n');
	SELECT vibepiper.run('h', 'other');
});
wait_for(q{SELECT count(*) = 1 FROM vibepiper.asset_reads JOIN vibepiper.asset USING (asset_id) WHERE stub = 'h.read'::regclass}, 'the keeper does its work meanwhile');
wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'and leaves');
is(value(q{SELECT count(*) FROM vibepiper.runs WHERE pipeline = 'p'}), '4', 'the unfinished run is one more');
$held->query_safe('SELECT pg_advisory_unlock(1);');
$held->quit;
$run->query_safe('SELECT 1');
$run->quit;
wait_for(q{SELECT count(*) <= 3 FROM vibepiper.runs WHERE pipeline = 'p'}, 'finished, it is one too many');
$node->safe_psql('postgres', q{DROP TRIGGER hold ON vibepiper.run; SELECT vibepiper.drop_pipeline('h', cascade => true)});
is($node->psql('postgres', q{SELECT vibepiper.rollback('p', (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = 'p'))}), 0, 'a rollback to the last run works');
$node->safe_psql('postgres', q{SELECT vibepiper.release('p')});
$node->append_conf('postgresql.conf', "vibepiper.keep_runs = 10000");
$node->reload;

# ... by age as well, but for the last run; what they counted isn't lost
my $counted = q{SELECT hits + reuses + misses FROM vibepiper.cache_stats WHERE pipeline = 'p'};
my $total = value($counted);
is(value(q{SELECT count(*) > 1 FROM vibepiper.runs WHERE pipeline = 'p'}), 't', 'there are several runs');
$node->safe_psql('postgres', q{UPDATE vibepiper.run SET started_at = started_at - interval '3 days', finished_at = finished_at - interval '3 days'});
$node->append_conf('postgresql.conf', "vibepiper.keep_history = '2d'");
$node->reload;
$total += value(q{SELECT count(*) FROM vibepiper.run('p')});
wait_for(q{SELECT count(*) = 1 FROM vibepiper.runs WHERE pipeline = 'p'}, 'old runs go');
is(value($counted), $total, 'what they counted stays');
$node->append_conf('postgresql.conf', "vibepiper.keep_history = '30d'");
$node->reload;

# Errors of a step are for the log, and it is tried again
$node->safe_psql('postgres', q{ALTER TABLE vibepiper.asset_reads RENAME TO hidden});
my $log = -s $node->logfile;
$node->safe_psql('postgres', q{UPDATE raw.small SET n = n + 1; SELECT vibepiper.run('p')});
$node->wait_for_log(qr/relation "vibepiper.asset_reads" does not exist/, $log);
$node->safe_psql('postgres', q{ALTER TABLE vibepiper.hidden RENAME TO asset_reads});
wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'the keeper goes when it is done');

# Termination of the launcher, and of a keeper in the midst of its work
my $old = launcher();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper launcher' AND pid <> $old", 'the launcher comes back');
my $blocker = $node->background_psql('postgres');
$blocker->query_safe('BEGIN; LOCK TABLE vibepiper.asset_reads');
$node->safe_psql('postgres', q{UPDATE raw.small SET n = n + 1; SELECT vibepiper.run('p')});
$log = -s $node->logfile;
# it doesn't wait for long; who is leaving anyway says nothing
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper' AND wait_event_type = 'Lock'});
	last if slurp_file($node->logfile, $log) =~ /terminating background worker "vibepiper keeper"/;
	usleep(100_000);
}
like(slurp_file($node->logfile, $log), qr/terminating background worker "vibepiper keeper"/, 'a keeper that waits is terminated');
wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper' AND wait_event_type = 'Lock'}, 'another one is started');
$blocker->query_safe('COMMIT');
$blocker->quit;
wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'and comes to its end');

# It gives way to who locks two pipelines, in whatever order
$node->safe_psql('postgres', q{
	SELECT vibepiper.define_pipeline('w');
	SELECT vibepiper.define_pipeline('other');
	SELECT vibepiper.define_asset('other.a', 'SELECT 1 AS n');
});
for my $order ([ 'p', 'w' ], [ 'w', 'p' ])
{
	my ($one, $other) = map { value("SELECT view::regclass FROM vibepiper.pipeline WHERE name = '$_'") } @$order;
	my $user = $node->background_psql('postgres');
	$user->query_safe("SET deadlock_timeout = '5s'; BEGIN; LOCK TABLE $one;");
	$node->safe_psql('postgres', q{SELECT vibepiper.run('other', force => true)});
	wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper' AND wait_event_type = 'Lock'}, "a keeper waits for $order->[0]");
	$user->query_safe("LOCK TABLE $other;");
	$user->query_safe('COMMIT;');
	$user->quit;
	wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'and comes to its end');
}
$node->safe_psql('postgres', q{SELECT vibepiper.drop_pipeline(p, cascade => true) FROM unnest(ARRAY['w', 'other']) p});

# Databases come and go, with and without the extension
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q{CREATE EXTENSION vibepiper; SELECT vibepiper.define_pipeline('q'); SELECT vibepiper.define_asset('q.a', 'SELECT 1 AS x'); SELECT vibepiper.run('q')});
$node->safe_psql('other', 'DROP EXTENSION vibepiper CASCADE');
$node->safe_psql('other', q{CREATE EXTENSION vibepiper; DROP SCHEMA q; SELECT vibepiper.define_pipeline('q'); SELECT vibepiper.define_asset('q.a', 'SELECT 1 AS x'); SELECT vibepiper.run('q')});
# the server gives a keeper five seconds to leave
wait_for_command('CREATE DATABASE copied TEMPLATE other');
is($node->safe_psql('copied', 'SELECT x FROM q.a'), '1', 'a copied database is read');
wait_for_command("DROP DATABASE $_") for qw(other copied);
wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'no keeper is left');

# A crash: what was lost is rebuilt, the most read first
$node->safe_psql('postgres', q{
	SELECT vibepiper.define_pipeline('r', max_workers => 1);
	SELECT vibepiper.define_asset('r.base', 'SELECT n FROM raw.small');
	SELECT vibepiper.define_asset('r.seldom', 'SELECT n FROM r.base');
	SELECT vibepiper.define_asset('r.often', 'SELECT n + 1 AS n FROM r.base');
	SELECT vibepiper.define_asset('r.never', 'SELECT n + 2 AS n FROM raw.small');
	SELECT vibepiper.define_asset('r.logged', 'SELECT n FROM raw.small', storage => 'logged');
	SELECT vibepiper.define_asset('r.empty', 'SELECT n FROM raw.small WHERE false');
	SELECT vibepiper.run('r');
});
$node->safe_psql('postgres', 'SELECT n FROM r.often') for 1 .. 20;
$node->safe_psql('postgres', 'SELECT n FROM r.seldom') for 1 .. 3;
$node->safe_psql('postgres', q{UPDATE raw.t SET pad = ''; SELECT vibepiper.run('p', 'big')});
wait_for(q{SELECT (SELECT reads FROM vibepiper.asset_reads WHERE asset_id = (SELECT asset_id FROM vibepiper.asset WHERE stub = 'r.often'::regclass))
	> (SELECT reads FROM vibepiper.asset_reads WHERE asset_id = (SELECT asset_id FROM vibepiper.asset WHERE stub = 'r.seldom'::regclass))}, 'the keeper knows what is read often');
my $before = value(q{SELECT max(run_id) FROM vibepiper.runs});
$node->safe_psql('postgres', 'CHECKPOINT');	# its commit was not waited for
$node->stop('immediate');
$node->start;
wait_for(qq{SELECT count(*) = 2 FROM vibepiper.runs WHERE run_id > $before AND kind = 'rebuild' AND status = 'succeeded'}, 'both pipelines were rebuilt');
is(value(qq{SELECT string_agg(asset, ' ' ORDER BY started_at) FROM vibepiper.tasks t WHERE run_id > $before AND asset LIKE 'r.%' AND t.reason = 'lost'}),
	'r.base r.often r.seldom r.never', 'the most read first, what it reads before it');
is(value(qq{SELECT string_agg(pipeline, ' ' ORDER BY run_id) FROM vibepiper.runs WHERE run_id > $before AND kind = 'rebuild'}), 'r p', 'the pipeline that was read most first');
is(value(q{SELECT count(*) FROM vibepiper.assets WHERE state = 'lost'}), '0', 'nothing is lost');
is(value(q{SELECT n - (SELECT n FROM raw.small) FROM r.often}), '1', 'and right');
wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker')}, 'all processes are gone');

# Readers of what is being rebuilt wait for it, and don't compute it themselves
my $gate = $node->data_dir . '/gate';
$node->safe_psql('postgres', q{
	CREATE FUNCTION raw.gated(int) RETURNS int LANGUAGE plpgsql STABLE AS $$
	BEGIN
		RAISE LOG 'computing what is gated';
		WHILE (pg_stat_file('gate', true)).size IS NOT NULL LOOP PERFORM pg_sleep(0.01); END LOOP;
		RETURN $1;
	END $$;
	SELECT vibepiper.define_pipeline('g');
	SELECT vibepiper.define_asset('g.up', 'SELECT n FROM raw.small');
	SELECT vibepiper.define_asset('g.gated', 'SELECT raw.gated(n) AS n FROM g.up', cache_ttl => '1 day');
	SELECT vibepiper.run('g');
});
my $expected = value('SELECT n FROM g.gated');
PostgreSQL::Test::Utils::append_to_file($gate, '');
$log = -s $node->logfile;
$node->stop('immediate');
$node->start;
wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper worker' AND wait_event = 'PgSleep'}, 'it is being rebuilt');
my @readers = map { $node->background_psql('postgres') } 1 .. 3;
$readers[0]->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
$readers[1]->query_safe('PREPARE r AS SELECT n FROM g.gated');
$_->query_until(qr/asked/, "\\echo asked\nSELECT 'got ' || n FROM g.gated;\n") for @readers[0, 2];
$readers[1]->query_until(qr/asked/, "\\echo asked\nEXECUTE r;\n");
wait_for(q{SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Extension'}, 'three readers wait');
# who has written something doesn't: the rebuild might wait for him
my $writer = $node->background_psql('postgres');
$writer->query_safe('BEGIN; INSERT INTO raw.small SELECT 1 WHERE false; SELECT txid_current() > 0;');
is($writer->query_safe("SET LOCAL vibepiper.on_miss = 'error'; SELECT count(*) FROM g.up"), '1', 'who has written something reads what is there');
$writer->query_safe('ROLLBACK');
$writer->quit;
unlink $gate;
like($_->query_safe('SELECT 2'), qr/$expected\n2$/, 'a reader gets the rows') for @readers;
$_->quit for @readers;
my @computed = slurp_file($node->logfile, $log) =~ /LOG:  computing what is gated/g;
is(scalar @computed, 1, 'it was computed once');
wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'the keeper is done');
# But not what is too new for it: a source was written between its snapshot and the
# rebuild.  The source is tracked since the rebuild, or since before the snapshot
for my $tracked (0, 1)
{
	$node->append_conf('postgresql.conf', 'vibepiper.keeper = off');
	$node->stop('immediate');
	$node->start;
	$before = value(q{SELECT max(run_id) FROM vibepiper.runs});
	$node->safe_psql('postgres', q{SELECT vibepiper.run('p', 'small')}) if $tracked;
	my $reader = $node->background_psql('postgres');
	my $seen = $reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT n FROM raw.small;');
	$node->safe_psql('postgres', 'UPDATE raw.small SET n = n + 1');
	PostgreSQL::Test::Utils::append_to_file($gate, '');
	$log = -s $node->logfile;
	$node->append_conf('postgresql.conf', 'vibepiper.keeper = on');
	$node->reload;
	wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper worker' AND wait_event = 'PgSleep'}, 'it is being rebuilt, later');
	$reader->query_until(qr/asked/, "\\echo asked\nSELECT n FROM g.up; SELECT n FROM g.gated;\n");
	wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Extension'}, 'the reader waits');
	unlink $gate;
	wait_for(qq{SELECT count(*) = 1 FROM vibepiper.runs WHERE run_id > $before AND pipeline = 'g' AND kind = 'rebuild' AND status = 'succeeded'}, 'it was rebuilt');
	is($reader->query_safe('SELECT n FROM raw.small'), "$seen\n$seen\n$seen", 'an old snapshot gets its own rows');
	@computed = slurp_file($node->logfile, $log) =~ /LOG:  computing what is gated/g;
	is(scalar @computed, 2, 'which it computed');
	my $now = $seen + 1;
	is($reader->query_safe('COMMIT; SELECT n FROM g.up; SELECT n FROM g.gated;'), "$now\n$now", 'the new ones are for new snapshots');
	@computed = slurp_file($node->logfile, $log) =~ /LOG:  computing what is gated/g;
	is(scalar @computed, 2, 'and are read');
	$reader->quit;
	wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vibepiper keeper'}, 'the keeper is done');
}

# one that is cancelled isn't begun again
PostgreSQL::Test::Utils::append_to_file($gate, '');
$node->stop('immediate');
$node->start;
wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'vibepiper worker' AND wait_event = 'PgSleep'}, 'it is being rebuilt again');
$before = value(q{SELECT max(run_id) FROM vibepiper.runs});
$node->safe_psql('postgres', "SELECT vibepiper.cancel_run($before), vibepiper.wait_run($before)");
unlink $gate;
after_pass();
is(value(qq{SELECT count(*) FROM vibepiper.runs WHERE run_id > $before AND kind = 'rebuild' AND pipeline = 'g'}), '0', 'a cancelled rebuild is not begun again');
is(value(q{SELECT state FROM vibepiper.assets WHERE asset = 'g.gated'}), 'lost', 'what it was for stays lost');
$node->safe_psql('postgres', q{SELECT vibepiper.run('g')});
# a clean restart loses nothing, and nothing is rebuilt
$before = value(q{SELECT max(run_id) FROM vibepiper.runs});
$node->restart;
after_pass();
is(value(qq{SELECT count(*) FROM vibepiper.runs WHERE run_id > $before AND kind = 'rebuild'}), '0', 'nothing was to be rebuilt');

# Who drops or copies a database doesn't have to wait for a rebuild
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
$node->safe_psql('doomed', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE t AS SELECT 1 AS n;
	SELECT vibepiper.define_pipeline('d');
	SELECT vibepiper.define_asset('d.a', 'SELECT n FROM public.t');
	SELECT vibepiper.run('d');
	CREATE FUNCTION block() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
	SELECT vibepiper.define_asset('d.b', 'SELECT n * block() AS n FROM public.t');
	SELECT vibepiper.run('d');
	CREATE OR REPLACE FUNCTION block() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM pg_sleep(1000); RETURN 1; END';
});
$node->stop('immediate');
$node->start;
wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'doomed' AND backend_type = 'vibepiper worker' AND wait_event = 'PgSleep'}, 'a rebuild takes long');
wait_for_command('DROP DATABASE doomed');	# which is being rebuilt

# A standby has no launcher before it is promoted
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('keeper_standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'vibepiper%'}), '0', 'a standby has none');
$standby->promote;
ok($standby->poll_query_until('postgres', q{SELECT count(*) = 0 FROM vibepiper.assets WHERE state = 'lost'}), 'promoted, it rebuilds what it did not have');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'vibepiper launcher'}), '1', 'and has a launcher');

done_testing();
