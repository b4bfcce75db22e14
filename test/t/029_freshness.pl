# What makes an asset stale, where it takes more than one session of one
# server: prepared transactions, subscriptions, restarts, crashes, promotion.
use strict;
use warnings;
use File::Basename;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;

my $key = slurp_file(dirname(__FILE__) . '/../../src/common/point.h') =~ /VP_POINT_LOCK INT64CONST\((\d+)\)/ ? $1 : die 'no key';

my $node = PostgreSQL::Test::Cluster->new('freshness');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off\nmax_prepared_transactions = 5\nmax_worker_processes = 16\nrestart_after_crash = on");
$node->start;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA raw;
	CREATE TABLE raw.t (n int PRIMARY KEY);
	CREATE TABLE raw.part (n int) PARTITION BY LIST (n);
	CREATE TABLE raw.part1 PARTITION OF raw.part FOR VALUES IN (1);
	CREATE FUNCTION raw.total() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT sum(n) FROM raw.t); END';
	SELECT vibepiper.define_pipeline('f');
	SELECT vibepiper.define_asset('f.known', 'SELECT n FROM raw.t');
	SELECT vibepiper.define_asset('f.found', 'SELECT raw.total() AS n');
	SELECT vibepiper.define_asset('f.part', 'SELECT n FROM raw.part');
	SELECT vibepiper.define_asset('f.logged', 'SELECT n FROM raw.t', storage => 'logged');
});

sub stale
{
	return sql(q{SELECT coalesce(string_agg(asset || ': ' || reason, ', ' ORDER BY asset), 'nothing') FROM vibepiper.plan('f') WHERE action <> 'cached'});
}

# Run, and prove that all is right and fresh then.
sub run
{
	my ($what) = @_;
	sql(q{SET vibepiper.progress = off; SELECT count(*) FROM vibepiper.run('f')});
	is(sql(q{SELECT (SELECT sum(n) FROM f.known) IS NOT DISTINCT FROM sum(n) AND (SELECT n FROM f.found) IS NOT DISTINCT FROM sum(n) FROM raw.t}), 't', "$what: right");
	is(stale(), 'nothing', "$what: nothing is stale");
	return;
}

my $all_of_t = 'f.found: source raw.t changed, f.known: source raw.t changed, f.logged: source raw.t changed';
run('first run');

# Prepared transactions
sql(q{BEGIN; INSERT INTO raw.t VALUES (1); PREPARE TRANSACTION 'a'});
is(stale(), 'nothing', 'prepared: not yet');
sql(q{COMMIT PREPARED 'a'});
is(stale(), $all_of_t, 'prepared, then committed by another session');
run('after COMMIT PREPARED');
sql(q{BEGIN; INSERT INTO raw.t VALUES (2); PREPARE TRANSACTION 'a'});
sql(q{ROLLBACK PREPARED 'a'});
is(stale(), 'nothing', 'prepared, then rolled back');

# ... prepared before the run, committed after it
sql(q{BEGIN; INSERT INTO raw.t VALUES (3); PREPARE TRANSACTION 'a'});
sql(q{SET vibepiper.progress = off; SELECT count(*) FROM vibepiper.run('f', force => true)});
is(stale(), 'nothing', 'computed while one is prepared');
sql(q{DO 'BEGIN FOR i IN 100 .. 180 LOOP INSERT INTO raw.t VALUES (i); COMMIT; END LOOP; END'});
is(stale(), $all_of_t =~ s/changed/may have changed/gr, 'many others write, more than is remembered');
run('after many others wrote');
sql(q{COMMIT PREPARED 'a'});
is(stale(), $all_of_t, 'the one that was prepared is committed');
run('after that');

# ... before anybody looked at the table, with a lock that writes nothing beside
sql(q{CREATE TABLE raw.new (n int); CREATE TABLE raw.new2 (n int)});
sql(q{BEGIN; INSERT INTO raw.new VALUES (1); PREPARE TRANSACTION 'a'});
sql(q{SELECT vibepiper.define_asset('f.new', 'SELECT n FROM raw.new'); SELECT vibepiper.define_asset('f.new2', 'SELECT n FROM raw.new2')});
run('with a new source that a prepared transaction wrote');
sql(q{COMMIT PREPARED 'a'});
is(stale(), 'f.new: source raw.new changed', 'and that is committed');
run('after that, too');

# DDL that is prepared before anybody looks for it, and committed later
sql(q{CREATE DATABASE ddl});
$node->safe_psql('ddl', q{CREATE EXTENSION vibepiper; CREATE TABLE t AS SELECT 1 AS n; SELECT vibepiper.define_pipeline('p');
	CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
	SELECT vibepiper.define_asset('p.a', 'SELECT f(n) AS n FROM t')});
$node->safe_psql('ddl', q{BEGIN; CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN -$1; END'; PREPARE TRANSACTION 'ddl'});
$node->safe_psql('ddl', q{SELECT count(*) FROM vibepiper.run('p', parallel => false)});
$node->safe_psql('ddl', q{COMMIT PREPARED 'ddl'});
is($node->safe_psql('ddl', q{SELECT reason FROM vibepiper.plan('p')}), 'function public.f(integer) changed', 'prepared DDL');

# A subscription's worker writes
$publisher->safe_psql('postgres', q{CREATE SCHEMA raw; CREATE TABLE raw.t (n int PRIMARY KEY); CREATE PUBLICATION p FOR ALL TABLES});
my $connstr = $publisher->connstr . ' dbname=postgres';
sql("CREATE SUBSCRIPTION s CONNECTION '$connstr' PUBLICATION p WITH (copy_data = false)");
$node->wait_for_subscription_sync($publisher, 's');
run('with a subscription');
$publisher->safe_psql('postgres', 'INSERT INTO raw.t VALUES (1000)');
$publisher->wait_for_catchup('s');
is(stale(), $all_of_t, 'a subscription wrote');
run('after the subscription wrote');
$publisher->safe_psql('postgres', 'TRUNCATE raw.t');
$publisher->wait_for_catchup('s');
is(stale(), $all_of_t, 'a subscription truncated');
run('after the subscription truncated');
sql('DROP SUBSCRIPTION s');
$publisher->stop;

# A restart: never called fresh what isn't
sql(q{INSERT INTO raw.t VALUES (5); INSERT INTO raw.part VALUES (1)});
run('before restarts');
$node->restart;
is(stale(), 'nothing', 'a restart changes nothing');
sql(q{INSERT INTO raw.t VALUES (6)});
is(stale(), $all_of_t, 'written after a restart');
$node->restart;
is(stale(), $all_of_t, 'and still known after another one');
run('after a restart');
# what was saved is good for the next start only
my $saved = $node->data_dir . '/pg_stat/vibepiper.rings';
$node->stop;
my $rings = slurp_file($saved);
$node->start;
ok(!-e $saved, 'what was saved is gone');
sql(q{INSERT INTO raw.t VALUES (11); DELETE FROM raw.t WHERE n = 11});
$node->stop;
open my $file, '>:raw', $saved or die;
print $file $rings;
close $file;
$node->start;
is(stale(), join(', ', map { "f.$_->[0]: source raw.$_->[1] may have changed" }
	[ 'found', 't' ], [ 'known', 't' ], [ 'logged', 't' ], [ 'new', 'new' ], [ 'new2', 'new2' ], [ 'part', 'part' ]), 'what is older is not believed');
$node->stop;
open $file, '>>:raw', $saved or die;
truncate $file, 100;
close $file;
$node->start;
like(stale(), qr/f\.part: source raw\.part may have changed/, 'nor what is cut off');
run('after bad files');

# Prepared before a restart, which what is stored doesn't see, or is older than
for my $n (7, 12)
{
	sql("BEGIN; INSERT INTO raw.t VALUES ($n); PREPARE TRANSACTION 'a'");
	run('with a prepared transaction') if $n == 7;
	$node->restart;
	is(stale(), 'nothing', 'prepared before a restart: not yet');
	sql(q{COMMIT PREPARED 'a'});
	is(stale(), $all_of_t, 'committed after a restart what was prepared before');
	run('after that one');
}

# A crash after PREPARE TRANSACTION: the rings begin anew, while it is prepared
sql(q{BEGIN; INSERT INTO raw.t VALUES (13); PREPARE TRANSACTION 'a'; BEGIN; INSERT INTO raw.t VALUES (14); PREPARE TRANSACTION 'b'});
$node->stop('immediate');
$node->start;
run('after a crash, with prepared transactions');
sql(q{ROLLBACK PREPARED 'b'});
is(stale(), 'nothing', 'rolled back after a crash what was prepared before');
sql(q{COMMIT PREPARED 'a'});
is(stale(), $all_of_t, 'committed after a crash what was prepared before');
run('after both');

# ... without a run in between
sql(q{BEGIN; INSERT INTO raw.t VALUES (17); PREPARE TRANSACTION 'a'});
$node->stop('immediate');
$node->start;
sql(q{COMMIT PREPARED 'a'});
like(stale(), qr/f\.logged: source raw\.t (may have )?changed/, 'committed after a crash, before a run');
run('after a crash');

# ... before it is prepared
my $log = -s $node->logfile;
my ($rc, $out, $err) = $node->psql('postgres', q{SET vibepiper.debug_point = 'ring.recorded=crash'; BEGIN; INSERT INTO raw.t VALUES (8); PREPARE TRANSACTION 'b'});
isnt($rc, 0, 'a crash while preparing');
$node->wait_for_log(qr/was terminated by signal 9/, $log);
$node->wait_for_log(qr/database system is ready to accept connections/, $log);
is(sql(q{SELECT count(*) FROM pg_prepared_xacts}), '0', 'nothing is prepared');
run('after a crash while preparing');

# An end that fails when it is in the rings already: whoever finds it asks what became of it
for my $end ('COMMIT', q{PREPARE TRANSACTION 'c'})
{
	($rc, $out, $err) = $node->psql('postgres', qq{SET vibepiper.debug_point = 'ring.recorded=error'; BEGIN; INSERT INTO raw.t VALUES (15); TRUNCATE raw.part; $end});
	like($err, qr/ERROR:.*point "ring\.recorded" was reached/, "$end fails late");
	is(sql(q{SELECT (SELECT count(*) FROM raw.t WHERE n = 15) || ' ' || (SELECT count(*) FROM raw.part)}), '0 1', 'nothing was written');
	is(stale(), 'nothing', 'and nothing is stale');
	run("after a $end that failed late");
	sql(q{INSERT INTO raw.t VALUES (15)});
	is(stale(), $all_of_t, 'the same, done: stale');
	sql(q{DELETE FROM raw.t WHERE n = 15});
	run('after it was done');
}

# ... computed between its entry and its end
my $holder = $node->background_psql('postgres');
$holder->query_safe("SELECT pg_advisory_lock($key)");
my $writer = start_session($node, 'writer', q{SET vibepiper.debug_point = 'ring.recorded=wait'}, 'INSERT INTO raw.t VALUES (16)');
wait_until($node, 'the writer waits', q{count(*) = 1 FROM pg_stat_activity WHERE application_name = 'writer' AND wait_event_type = 'Lock' AND wait_event = 'advisory'});
sql(q{SET vibepiper.progress = off; SELECT count(*) FROM vibepiper.run('f', force => true)});
is(stale(), 'nothing', 'computed while a writer is at its end');
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'writer'});
like(ended($writer), qr/canceling statement due to user request/, 'which is cancelled then');
$holder->query_safe("SELECT pg_advisory_unlock($key)");
$holder->quit;
is(stale(), 'nothing', 'and nothing is stale');
run('after that writer');

# A version that may be right again isn't, if a crash took its rows: with
# sources of which nothing is known any more, and without any
sub define_kept
{
	my ($n) = @_;
	sql(qq{
		SELECT vibepiper.define_asset('f.kept', 'SELECT n + $n AS n FROM raw.t');
		SELECT vibepiper.define_asset('f.kept_alone', 'SELECT i + $n AS n FROM generate_series(1, 3) i');
		SELECT vibepiper.define_asset('f.kept_logged', 'SELECT i + $n AS n FROM generate_series(1, 3) i', storage => 'logged')});
	return;
}
my $kept_plan = q{SELECT string_agg(asset || ' ' || action, ', ' ORDER BY asset) FROM vibepiper.plan('f') WHERE asset LIKE 'f.kept%'};
define_kept(0);
run('one definition');
define_kept(100);
run('another definition');
define_kept(0);
is(sql($kept_plan), 'f.kept reuse, f.kept_alone reuse, f.kept_logged reuse', 'the first versions are kept');
define_kept(100);
$node->stop('immediate');
$node->start;
run('after a crash, the other definition');
define_kept(0);
is(sql($kept_plan), 'f.kept build, f.kept_alone build, f.kept_logged reuse', 'after a crash only what is logged is there');
run('after a crash, the first definition');
is(sql(q{SELECT (SELECT sum(n) FROM f.kept) = (SELECT sum(n) FROM raw.t), (SELECT array_agg(n ORDER BY n) FROM f.kept_alone), (SELECT array_agg(n ORDER BY n) FROM f.kept_logged)}),
	't|{1,2,3}|{1,2,3}', 'with the rows that it says');
sql(q{SELECT vibepiper.drop_asset(a) FROM unnest('{f.kept,f.kept_alone,f.kept_logged}'::text[]) a});

# A standby that is promoted
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
run('with a standby');
sql(q{INSERT INTO raw.t VALUES (9)});
$node->wait_for_catchup($standby);
$node->stop;
$standby->promote;
$node = $standby;
like(stale(), qr/f\.logged: source raw\.t (may have )?changed/, 'after a promotion');
run('after a promotion');

# What was saved at a stop, in a copy that goes on with what the original wrote
# since: everything was fresh, so the saved rings would still say so
$node->stop;
$node->backup_fs_cold('cold');
$node->start;
is(stale(), 'nothing', 'the original is fresh');
my $cold = PostgreSQL::Test::Cluster->new('cold');
$cold->init_from_backup($node, 'cold');
$cold->enable_streaming($node);
my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($node, 'cold');
$recovered->append_conf('postgresql.conf', "restore_command = 'cp \"" . $node->data_dir . "/pg_wal/%f\" \"%p\"'");
$recovered->set_recovery_mode;
ok(-e $_->data_dir . '/pg_stat/vibepiper.rings', $_->name . ' has what was saved') for ($cold, $recovered);
$cold->start;
sql(q{INSERT INTO raw.t VALUES (10)});
$node->wait_for_catchup($cold);
$recovered->start;			# while the original has its WAL
$cold->promote;
my $original = $node;
for ([ $cold, 'a cold copy, promoted' ], [ $recovered, 'a cold copy, recovered' ])
{
	($node, my $what) = @$_;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
	is(sql(q{SELECT count(*) FROM raw.t WHERE n = 10}), '1', "$what: has what was written");
	is(stale(), 'f.found: lost, f.known: lost, f.logged: source raw.t may have changed, f.new: lost, f.new2: source raw.new2 may have changed, f.part: lost', "$what: nothing is believed");
	run($what);
	$node->stop;
}
$original->stop;

done_testing();
