# pgbouncer in transaction mode: many clients over few server connections while
# runs are published, and nothing of one client's is left for the next.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;

my (undef, $version) = pgbouncer_version();
plan skip_all => 'pgbouncer is not installed' unless defined $version;
note("pgbouncer $version");

my $node = PostgreSQL::Test::Cluster->new('pgbouncer');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->start;
pipeline_of_runs($node);

# Readers of both protocols and a writer share two connections.
my $pooled = start_pgbouncer($node, default_pool_size => 2);
my $read = q{\set k random(1, 200)
SELECT 1 / (CASE WHEN a.n = b.n AND a.n = (SELECT max(n) FROM n.b) THEN 1 ELSE 0 END) FROM n.a JOIN n.b USING (k) WHERE k = :k;
};
my $publish = q{BEGIN;
SELECT src.publish();
SELECT 1 / (CASE WHEN a.n = t.n AND b.n = t.n THEN 1 ELSE 0 END) FROM n.a, n.b, src.tick t WHERE a.k = 7 AND b.k = 7;
END;
};
my %bench = (
	'simple protocol' => start_pgbench($pooled, 'simple', 3, 200, $read),
	'extended protocol' => start_pgbench($pooled, 'extended', 3, 200, $read),
	'publications' => start_pgbench($pooled, 'simple', 1, 40, $publish));
for my $name (sort keys %bench)
{
	ok($bench{$name}{run}->finish, "$name: no runs mixed") or diag(${ $bench{$name}{output} });
}
is($pooled->safe_psql('postgres', 'SELECT min(n), max(n), count(*) FROM n.a'), '41|41|200', 'all were published');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}),
	'<=', 2, 'over two connections');
stop_pgbouncer($pooled);

# Two clients that take turns on one connection
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	GRANT USAGE ON SCHEMA n TO reader;
	GRANT SELECT ON n.a TO reader;
	SELECT vibepiper.define_asset('n.boom', 'SELECT k, 1 / (k - 5) AS x FROM n.a');
	SELECT vibepiper.define_asset('n.unbuilt', 'SELECT count(*) AS n FROM n.a');
	SELECT vibepiper.define_asset('n.zone', $$SELECT current_setting('TimeZone') AS zone$$, lazy => true);
	GRANT SELECT ON n.unbuilt, n.zone TO reader;
});
$pooled = start_pgbouncer($node, default_pool_size => 1);
my %session = map { $_ => $pooled->background_psql('postgres', on_error_stop => 0) } 'one', 'two';

sub result { my ($who, $query) = @_; return $session{$who}->query($query); }

# What the session writes to stderr, which is then forgotten.
sub error_of
{
	my ($who, $query) = @_;
	$session{$who}->query($query);
	my $error = $session{$who}->{stderr};
	$session{$who}->{stderr} = '';
	return $error;
}

is(result('one', 'SELECT pg_backend_pid()'), result('two', 'SELECT pg_backend_pid()'), 'both have the same connection');

# settings
like(error_of('one', "BEGIN; SET LOCAL vibepiper.on_miss = error; SELECT n FROM n.unbuilt; ROLLBACK"), qr/n\.unbuilt has no stored version/,
	'one asks for errors, in a transaction');
is(result('two', 'SELECT n FROM n.unbuilt'), '200', 'two is not concerned');
is(result('one', "BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'; SELECT zone = current_setting('TimeZone') FROM n.zone; COMMIT"), 'f',
	'an asset is computed under its own settings');
is(result('two', "SELECT zone = current_setting('TimeZone') FROM n.zone"), 't', 'also for two');
result('one', 'SET vibepiper.on_miss = error');
result('one', "SET work_mem = '5MB'");
is(result('two', 'SHOW vibepiper.on_miss'), 'error', 'a SET outside of a transaction stays with the connection');
is(result('two', 'SHOW work_mem'), '5MB', 'as with any setting');
result('two', 'RESET ALL');

# roles
is(result('one', 'BEGIN; SET LOCAL ROLE reader; SELECT count(*) FROM n.a; COMMIT'), '200', 'a role that may read a');
like(error_of('one', 'BEGIN; SET LOCAL ROLE reader; SELECT count(*) FROM n.b; ROLLBACK'), qr/permission denied for view b/, 'and not b');
is(result('two', 'SELECT count(*) FROM n.b'), '200', 'is not the role of two');
is(result('one', 'BEGIN; SET LOCAL ROLE reader; SELECT n FROM n.unbuilt; COMMIT'), '200', 'an asset that is computed for the role');
is(result('two', 'SELECT current_user = session_user'), 't', 'leaves no role behind');
is(result('two', 'SELECT n FROM n.unbuilt'), '200', 'nor its rows');

# runs that end badly
is(result('one', 'BEGIN; SELECT src.publish()'), '42', 'a run in a transaction of one');
is(result('one', 'SELECT max(n) FROM n.b'), '42', 'that one sees');
result('one', 'ROLLBACK');
is(result('two', 'SELECT max(n) FROM n.b'), '41', 'and two does not after a rollback');
like(error_of('one', q{BEGIN; UPDATE src.tick SET n = 99; SELECT FROM vibepiper.run('n', force => true, parallel => false); COMMIT}),
	qr/division by zero/, 'a run that fails');
is(result('two', 'SELECT max(a.n), max(b.n) FROM n.a, n.b WHERE a.k = b.k'), '41|41', 'leaves all as it was');
is(result('one', q{BEGIN; UPDATE src.tick SET n = 99;
	SELECT string_agg(status, ' ' ORDER BY asset) FROM vibepiper.run('n', 'a b boom', force => true, on_failure => 'report', parallel => false)}),
	'built built failed', 'one that reports its failure');
is(result('one', 'SELECT max(n) FROM n.a'), '41', 'publishes nothing in its transaction');
result('one', 'COMMIT');
is(result('two', 'SELECT max(n) FROM n.a'), '41', 'nor at its end');
is(result('two', 'SELECT src.publish()'), '100', 'two runs it again');
is(result('one', 'SELECT max(a.n), max(b.n) FROM n.a, n.b WHERE a.k = b.k'), '100|100', 'and publishes');

# errors in a subtransaction while an asset is computed
like(error_of('one', 'BEGIN; SAVEPOINT s; SELECT sum(x) FROM n.boom'), qr/division by zero/, 'an asset that cannot be computed');
is(result('one', 'ROLLBACK TO s; SELECT sum(x) FROM n.boom WHERE k < 5; COMMIT'), '-1', 'but in part');
is(result('two', 'SELECT n FROM n.unbuilt'), '200', 'and two computes another');

# a client that goes away in its transaction
result('one', 'BEGIN; SELECT src.publish()');
$session{one}->quit;
is($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
	WHERE c.relnamespace = 'vibepiper_store'::regnamespace OR c.relnamespace = 'n'::regnamespace}), 1, 'a client that goes away leaves no locks');
is(result('two', 'SELECT max(n) FROM n.a'), '100', 'nor its run');
is(result('two', 'SELECT src.publish()'), '101', 'and the next one runs');

$session{two}->quit;
stop_pgbouncer($pooled);
$node->stop;
done_testing();
