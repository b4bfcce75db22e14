# What a subscription's workers write makes stale those assets that read it, and
# no others: initial copies, streamed and prepared transactions, subtransactions,
# partitions, conflicts.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', "autovacuum = off\nmax_prepared_transactions = 5\nlogical_decoding_work_mem = 64kB");
$publisher->start;

my $node = PostgreSQL::Test::Cluster->new('subscriber');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off\nautovacuum = off\nmax_prepared_transactions = 5\nmax_worker_processes = 24\nmax_logical_replication_workers = 8\nwal_receiver_status_interval = 1\nwal_retrieve_retry_interval = 100ms");
$node->start;

sub sql { return $node->safe_psql('postgres', "SET vibepiper.progress = off;\n$_[0]"); }
sub publish { return $publisher->safe_psql('postgres', $_[0]); }

my $tables = q{
	CREATE SCHEMA raw;
	CREATE TABLE raw.t (n int PRIMARY KEY, v text);
	CREATE TABLE raw.second (n int PRIMARY KEY, v text);
	CREATE TABLE raw.void (n int PRIMARY KEY);
	CREATE TABLE raw.other (n serial PRIMARY KEY);
	CREATE TABLE raw.part (n int, v text, PRIMARY KEY (n)) PARTITION BY RANGE (n);
};
publish("$tables
	CREATE TABLE raw.all_parts PARTITION OF raw.part DEFAULT;
	INSERT INTO raw.t SELECT i, 'copied' FROM generate_series(1, 100) i;
	INSERT INTO raw.second SELECT i, 'copied' FROM generate_series(1, 100) i;
	CREATE PUBLICATION p FOR TABLE raw.t, raw.void, raw.other, raw.part WITH (publish_via_partition_root = true)");
sql("CREATE EXTENSION vibepiper; $tables
	CREATE TABLE raw.part1 PARTITION OF raw.part FOR VALUES FROM (0) TO (100);
	CREATE TABLE raw.part2 PARTITION OF raw.part FOR VALUES FROM (100) TO (200);
	CREATE FUNCTION raw.digest() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT md5(string_agg(t::text, '' '' ORDER BY n)) FROM raw.t); END';
	SELECT vibepiper.define_pipeline('p')");

# Assets, by what they read; and what they are compared with
my %assets = (t => [qw(found t)], second => ['second'], void => ['void'], part1 => [qw(part part1)], part2 => [qw(part part2)]);
my %query = ((map { $_ => "SELECT * FROM raw.$_" } qw(t second void part part1 part2)), found => 'SELECT raw.digest() AS t');
sql("SELECT vibepiper.define_asset('p.$_', '$query{$_}')") for sort keys %query;

my $stale = q{SELECT coalesce(string_agg(asset || ' ' || reason, ', ' ORDER BY asset), 'fresh') FROM vibepiper.plan('p') WHERE action <> 'cached'};
my $built = q{SELECT coalesce(string_agg(asset || ' ' || status, ', ' ORDER BY asset), 'cached') FROM vibepiper.run('p') WHERE status <> 'cached'};
my $wrong = q{SELECT coalesce(string_agg(asset, ', ' ORDER BY asset), 'right') FROM (} . join(' UNION ALL ',
	map { "SELECT 'p.$_' AS asset WHERE EXISTS ((TABLE p.$_ EXCEPT ALL $query{$_}) UNION ALL ($query{$_} EXCEPT ALL TABLE p.$_))" } sort keys %query) . ') w';

# These tables were written since the last run, and no others: what is stale,
# which are those whose rows aren't what their queries give; what a run does, and
# that nothing is stale or wrong after it.
sub written
{
	my ($what, @tables) = @_;
	my %why;

	for my $table (@tables)
	{
		$why{"p.$_"} = 'source raw.' . ($_ eq 'part' ? $_ : $table) . ' changed' for @{ $assets{$table} };
	}
	is(sql(join(';', $stale, $wrong, $built, $stale, $wrong)), join("\n",
			join(', ', map { "$_ $why{$_}" } sort keys %why) || 'fresh',
			join(', ', sort keys %why) || 'right',
			join(', ', map { "$_ built" } sort keys %why) || 'cached', 'fresh', 'right'), $what);
	return;
}

# What the publisher committed is applied, and so is a write of a table that no
# asset reads, which is the last one.
my @replicated = qw(t void other part);
sub catch_up
{
	publish('INSERT INTO raw.other DEFAULT VALUES');
	$publisher->wait_for_catchup('s');
	my $rows = join ' || ', map { "(SELECT format('$_ %s %s ', count(*), md5(string_agg(r::text, ' ' ORDER BY n))) FROM raw.$_ r)" } @replicated;
	is(sql("SELECT $rows"), publish("SELECT $rows"), 'caught up');
	return;
}

sub subscribe
{
	my ($options) = @_;
	sql("CREATE SUBSCRIPTION s CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION p WITH ($options)");
	$node->wait_for_subscription_sync($publisher, 's');
	return;
}

is(sql("$built; $stale; $wrong"), join(', ', map { "p.$_ built" } sort keys %query) . "\nfresh\nright", 'first run');

# The initial copy, of an empty table too
subscribe('streaming = off');
catch_up();
written('initial copy', 't');
publish('ALTER PUBLICATION p ADD TABLE raw.second');
sql('ALTER SUBSCRIPTION s REFRESH PUBLICATION');
$node->wait_for_subscription_sync($publisher, 's');
push @replicated, 'second';
catch_up();
written('initial copy of another table', 'second');

# Each kind of statement
for (
	[ q{INSERT INTO raw.t VALUES (101, 'new')}, 't' ],
	[ q{UPDATE raw.t SET v = 'updated' WHERE n < 10}, 't' ],
	[ q{UPDATE raw.t SET n = 102 WHERE n = 101}, 't' ],
	[ q{UPDATE raw.t SET v = 'updated' WHERE n = 0} ],
	[ q{DELETE FROM raw.t WHERE n = 102}, 't' ],
	[ q{DELETE FROM raw.t WHERE n = 102} ],
	[ q{INSERT INTO raw.t VALUES (1, 'again') ON CONFLICT DO NOTHING} ],
	[ q{INSERT INTO raw.t VALUES (103); DELETE FROM raw.second WHERE n = 1}, 't', 'second' ],
	[ q{BEGIN; INSERT INTO raw.t VALUES (104); ROLLBACK} ],
	[ q{BEGIN; SAVEPOINT a; INSERT INTO raw.t VALUES (104); ROLLBACK TO a; DELETE FROM raw.second WHERE n = 2; COMMIT}, 'second' ],
	[ q{BEGIN; INSERT INTO raw.t VALUES (104); PREPARE TRANSACTION 'a'} ],
	[ q{COMMIT PREPARED 'a'}, 't' ],
	[ q{TRUNCATE raw.second}, 'second' ],
	[ q{INSERT INTO raw.part VALUES (1, 'one'), (2, 'two')}, 'part1' ],
	[ q{UPDATE raw.part SET v = 'uno' WHERE n = 1}, 'part1' ],
	[ q{UPDATE raw.part SET n = 101 WHERE n = 1}, 'part1', 'part2' ],
	[ q{UPDATE raw.part SET v = 'many' WHERE n = 1} ],
	[ q{DELETE FROM raw.part WHERE n = 101}, 'part2' ],
	[ q{INSERT INTO raw.part VALUES (102, 'more')}, 'part2' ],
	[ q{TRUNCATE raw.part}, 'part1', 'part2' ],
	[ q{INSERT INTO raw.other SELECT FROM generate_series(1, 100)} ])
{
	my ($statements, @tables) = @$_;
	publish($statements);
	catch_up();
	written($statements, @tables);
}

# What isn't found on the subscriber any more
sql(q{DELETE FROM raw.t WHERE n IN (103, 104)});
written('deleted on the subscriber', 't');
publish(q{UPDATE raw.t SET v = 'gone' WHERE n = 103});
publish(q{BEGIN; DELETE FROM raw.t WHERE n IN (103, 104); INSERT INTO raw.second VALUES (1, 'new'); COMMIT});
catch_up();
written('an UPDATE and a DELETE that find nothing, the latter with an INSERT elsewhere', 'second');

# A conflict: the worker fails after its first row, and tries again
sql(q{INSERT INTO raw.t VALUES (111, 'here')});
written('inserted on the subscriber', 't');
publish(q{INSERT INTO raw.t VALUES (110, 'there'), (111, 'there')});
wait_until($node, 'two failures', q{apply_error_count >= 2 FROM pg_stat_subscription_stats WHERE subname = 's'});
written('an apply that fails');
sql('ALTER SUBSCRIPTION s DISABLE');
wait_until($node, 'no worker', q{NOT EXISTS (SELECT FROM pg_stat_subscription WHERE subname = 's' AND pid IS NOT NULL)});
is(sql(q{SELECT n, v FROM raw.t WHERE n IN (110, 111)}), '111|here', 'nothing was applied');
sql(q{DELETE FROM raw.t WHERE n = 111});
written('repaired', 't');
sql('ALTER SUBSCRIPTION s ENABLE');
catch_up();
written('applied after that', 't');
is(sql(q{SELECT n, v FROM raw.t WHERE n IN (110, 111) ORDER BY n}), "110|there\n111|there", 'both rows');

# ... without anybody's run between the repair and what is applied then
sql(q{INSERT INTO raw.second VALUES (111, 'here')});
written('inserted on the subscriber, elsewhere', 'second');
my $failures = sql(q{SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname = 's'});
publish(q{INSERT INTO raw.t VALUES (112, 'there'); BEGIN; INSERT INTO raw.t VALUES (113, 'there'); INSERT INTO raw.second VALUES (111, 'there'); COMMIT});
wait_until($node, 'another failure', qq{apply_error_count > $failures AND EXISTS (SELECT FROM raw.t WHERE n = 112) FROM pg_stat_subscription_stats WHERE subname = 's'});
written('one that is applied before one that fails', 't');
sql(q{DELETE FROM raw.second WHERE n = 111});
catch_up();
written('repaired and applied', 't', 'second');
sql('DROP SUBSCRIPTION s');

# Transactions that are sent before they end, and prepared ones
my $n = 1000;
sub rows { $n += 800; return "SELECT i, repeat('x', 100) FROM generate_series($n - 799, $n) i"; }
sub streamed { return publish(q{SELECT stream_count FROM pg_stat_replication_slots WHERE slot_name = 's'}); }
sub compute { return sql(q{SELECT count(*) FROM vibepiper.run('p', force => true)}); }

for my $mode ('on', $node->pg_version >= 16 ? 'parallel' : ())
{
	subscribe("copy_data = false, two_phase = true, streaming = $mode");
	catch_up();
	written("a subscription with streaming = $mode");
	my $big = $publisher->background_psql('postgres', on_error_stop => 1);

	# Write in the big transaction, of which a part is sent then: nothing is
	# stale as long as it is under way.
	my $stream = sub {
		my ($what, $statements) = @_;
		my $before = streamed();
		$big->query_safe($statements);
		catch_up();
		wait_until($publisher, 'a part is streamed', qq{stream_count > $before FROM pg_stat_replication_slots WHERE slot_name = 's'});
		wait_until($node, 'a parallel worker that writes', q{EXISTS (SELECT FROM pg_locks JOIN pg_stat_subscription USING (pid)
			WHERE leader_pid IS NOT NULL AND mode = 'RowExclusiveLock' AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'raw'::regnamespace))}) if $mode eq 'parallel';
		written("$mode: $what: under way");
	};

	$stream->('commits', 'BEGIN; INSERT INTO raw.t ' . rows());
	$big->query_safe('COMMIT');
	catch_up();
	written("$mode: commits", 't');

	$stream->('computed meanwhile', 'BEGIN; INSERT INTO raw.t ' . rows());
	compute();
	$big->query_safe('INSERT INTO raw.second ' . rows() . '; COMMIT');
	catch_up();
	written("$mode: computed meanwhile", 't', 'second');

	$stream->('aborts', 'BEGIN; INSERT INTO raw.t ' . rows());
	compute();
	$big->query_safe('ROLLBACK');
	catch_up();
	written("$mode: aborts");

	$stream->('savepoints', 'BEGIN; SAVEPOINT a; SAVEPOINT b; INSERT INTO raw.t ' . rows() . '; RELEASE b');
	$big->query_safe('ROLLBACK TO a');
	$stream->('more savepoints', 'SAVEPOINT c; INSERT INTO raw.second ' . rows() . '; SAVEPOINT d; UPDATE raw.t SET v = NULL; ROLLBACK TO d');
	$big->query_safe('RELEASE c; COMMIT');
	catch_up();
	written("$mode: savepoints", 'second');

	$stream->('a savepoint after the rest', 'BEGIN; DELETE FROM raw.t WHERE n < 10; INSERT INTO raw.t ' . rows() . '; SAVEPOINT a; INSERT INTO raw.second ' . rows());
	$big->query_safe('ROLLBACK TO a; COMMIT');
	catch_up();
	written("$mode: a savepoint after the rest", 't');

	$stream->('all is taken back', 'BEGIN; SAVEPOINT a; INSERT INTO raw.t ' . rows());
	$big->query_safe('ROLLBACK TO a; COMMIT');
	catch_up();
	written("$mode: all is taken back");

	$stream->('partitions', q{BEGIN; INSERT INTO raw.part SELECT i, 'x' FROM generate_series(100, 199) i; UPDATE raw.part SET v = repeat('y', 1000) WHERE n < 200});
	$big->query_safe('COMMIT');
	catch_up();
	written("$mode: partitions", 'part2');
	publish('DELETE FROM raw.part');
	catch_up();
	written("$mode: deleted from partitions", 'part2');

	# Prepared: a small one, which isn't streamed, and big ones
	for ($mode eq 'on' ? ([ 'small', 'COMMIT' ], [ 'small', 'COMMIT', 1 ], [ 'small', 'ROLLBACK' ]) : (),
		[ 'big', 'COMMIT' ], [ 'big', 'COMMIT', 1 ], [ 'big', 'ROLLBACK' ], [ 'big', 'ROLLBACK', 1 ])
	{
		my ($size, $end, $meanwhile) = @$_;
		my $what = "$size, $end PREPARED" . ($meanwhile ? ', computed meanwhile' : '');
		if ($size eq 'small')
		{
			$n++;
			$big->query_safe("BEGIN; INSERT INTO raw.t VALUES ($n)");
		}
		else
		{
			$stream->($what, 'BEGIN; SAVEPOINT a; INSERT INTO raw.second ' . rows() . '; ROLLBACK TO a; INSERT INTO raw.t ' . rows());
		}
		$big->query_safe(q{PREPARE TRANSACTION 'a'});
		wait_until($node, 'it is prepared here', 'count(*) = 1 FROM pg_prepared_xacts');
		catch_up();
		written("$mode: $what: prepared");
		compute() if $meanwhile;
		$big->query_safe("$end PREPARED 'a'");
		catch_up();
		is(sql('SELECT count(*) FROM pg_prepared_xacts'), 0, "$mode: $what: nothing is prepared any more");
		written("$mode: $what", $end eq 'COMMIT' ? 't' : ());
	}
	$big->quit;
	sql('DROP SUBSCRIPTION s');
}

$_->stop for ($node, $publisher);
done_testing();
