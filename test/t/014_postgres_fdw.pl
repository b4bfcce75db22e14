# postgres_fdw: assets read from another server, and foreign tables as sources.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;

my $far = PostgreSQL::Test::Cluster->new('far');
$far->init;
$far->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nautovacuum = off");
$far->start;
plan skip_all => 'postgres_fdw is not installed'
	unless $far->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'});
my $near = PostgreSQL::Test::Cluster->new('near');
$near->init;
$near->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nautovacuum = off");
$near->start;

pipeline_of_runs($far);
$far->safe_psql('postgres', q{
	CREATE ROLE owner LOGIN;
	CREATE ROLE reader LOGIN;
	GRANT USAGE ON SCHEMA n TO reader;
	GRANT SELECT ON n.a, n.b TO reader;
	SELECT vibepiper.define_asset('n.per_digit', 'SELECT k % 10 AS digit, count(*) AS rows, n FROM n.a GROUP BY digit, n');
	SELECT vibepiper.define_asset('n.private', 'SELECT 1 AS x');
	SELECT FROM vibepiper.run('n', parallel => false);
});
my $options = sprintf(q{host '%s', port '%s', dbname 'postgres'}, $far->host, $far->port);
my $user = $far->safe_psql('postgres', 'SELECT current_user');
$near->safe_psql('postgres', qq{
	CREATE EXTENSION vibepiper;
	CREATE EXTENSION postgres_fdw;
	CREATE ROLE owner LOGIN;
	CREATE ROLE reader LOGIN;
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS ($options);
	CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user '$user');
	CREATE USER MAPPING FOR owner SERVER far OPTIONS (user 'reader', password_required 'false');
	CREATE SCHEMA far;
	IMPORT FOREIGN SCHEMA n FROM SERVER far INTO far;
	GRANT USAGE ON SCHEMA far TO owner;
	GRANT SELECT ON ALL TABLES IN SCHEMA far TO owner;
});

sub remote_sql { return join(' ', $near->safe_psql('postgres', "EXPLAIN (VERBOSE, COSTS OFF) $_[0]") =~ /Remote SQL: (.*)/g) }

sub estimate
{
	my ($node, $query) = @_;
	return $1 if $node->safe_psql('postgres', "EXPLAIN $query") =~ /rows=(\d+)/;
	return;
}

is($near->safe_psql('postgres', q{SELECT string_agg(relname || ' ' || relkind::text, ', ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'far'::regnamespace}),
	'a f, b f, per_digit f, private f', 'a pipeline is imported like any schema');
is($near->safe_psql('postgres', q{SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = 'far.a'::regclass AND attnum > 0}), 'k integer, v text, n integer', 'with its columns');
is($near->safe_psql('postgres', q{SELECT v FROM far.a WHERE k = 7}), 'v7', 'and read');

# What is sent to the other server
like(remote_sql('SELECT v FROM far.a WHERE k = 7'), qr/^SELECT v FROM n\.a WHERE \(\(k = 7\)\)$/, 'a condition is sent');
my $aggregate = 'SELECT n, count(*), sum(k) FROM far.a GROUP BY n';
like(remote_sql($aggregate), qr/count\(\*\).* GROUP BY/, 'aggregates are sent');
is($near->safe_psql('postgres', $aggregate), '1|200|20100', 'with the right result');
like(remote_sql('SELECT v FROM far.a ORDER BY k LIMIT 3'), qr/LIMIT 3/, 'so is a limit');

# Estimates
$near->safe_psql('postgres', q{ALTER SERVER far OPTIONS (ADD use_remote_estimate 'true')});
for my $condition ('k = 7', 'k < 40', 'k BETWEEN 20 AND 60', q{v = 'v9'}, 'n = 1', 'n = 2')
{
	is(estimate($near, "SELECT k FROM far.a WHERE $condition"), estimate($far, "SELECT k FROM n.a WHERE $condition"), "remote estimate of $condition");
}
is(estimate($near, 'SELECT k FROM far.a WHERE k < 40'), 39, 'which is right');
is(estimate($near, 'SELECT a.k FROM far.a JOIN far.b USING (k) WHERE a.k < 40'), estimate($far, 'SELECT a.k FROM n.a JOIN n.b USING (k) WHERE a.k < 40'),
	'and of a join');
my $join = 'SELECT a.v, b.n FROM far.a JOIN far.b USING (k) WHERE a.k < 4 ORDER BY a.k';
like(remote_sql($join), qr/n\.a .*JOIN n\.b /, 'a join is sent');
is($near->safe_psql('postgres', $join), "v1|1\nv2|1\nv3|1", 'with the right rows');
$near->safe_psql('postgres', q{ALTER SERVER far OPTIONS (DROP use_remote_estimate); ANALYZE far.a; ANALYZE far.per_digit});
is($near->safe_psql('postgres', q{SELECT relname, reltuples FROM pg_class WHERE oid IN ('far.a'::regclass, 'far.per_digit'::regclass) ORDER BY 1}),
	"a|200\nper_digit|10", 'ANALYZE counts the rows');
is($near->safe_psql('postgres', q{SELECT attname, n_distinct FROM pg_stats WHERE schemaname = 'far' AND tablename = 'a' ORDER BY 1}), "k|-1\nn|1\nv|-1",
	'and has statistics');
is(estimate($near, 'SELECT k FROM far.a WHERE k < 40'), 39, 'which are used');

# A local transaction is one transaction under REPEATABLE READ there.
my $session = $near->background_psql('postgres');
my $runs_seen = 'SELECT min(a.n), max(a.n), min(b.n), max(b.n) FROM far.a JOIN far.b USING (k)';
$session->query_safe('PREPARE runs_seen AS ' . $runs_seen);
$session->query_safe('BEGIN');
is($session->query_safe($runs_seen), '1|1|1|1', 'a transaction reads');
is($far->safe_psql('postgres', 'SELECT src.publish()'), '2', 'another run is published');
is($session->query_safe($runs_seen), '1|1|1|1', 'it reads the same again');
is($session->query_safe('SELECT max(n) FROM far.b WHERE k + random()::int >= 0'), '1', 'also by statements of other kinds');
$far->safe_psql('postgres', 'SELECT src.publish()') for 1 .. 3;
is($session->query_safe('EXECUTE runs_seen'), '1|1|1|1', 'after several more, too');
$session->query_safe('COMMIT');
is($session->query_safe('EXECUTE runs_seen'), '5|5|5|5', 'the next transaction sees the newest');

# A cursor there stays open while runs are published.
$session->query_safe('BEGIN; DECLARE c CURSOR FOR SELECT k, n FROM far.a ORDER BY k');
$near->safe_psql('postgres', q{ALTER SERVER far OPTIONS (ADD fetch_size '10')});
is($session->query_safe('FETCH 1 FROM c'), '1|5', 'a cursor');
$far->safe_psql('postgres', 'SELECT src.publish()') for 1 .. 3;
is($session->query_safe('MOVE 198 FROM c; FETCH 1 FROM c'), '200|5', 'ends with the run that it began with');
$session->query_safe('COMMIT');

# What is refused there is refused here.
my ($rc, $out, $err) = $near->psql('postgres', 'SELECT v FROM far.a WHERE k = 1 FOR UPDATE');
like($err, qr/ERROR:  cannot lock rows in asset "a"/, 'row locks');
for my $query (q{INSERT INTO far.a VALUES (1)}, q{UPDATE far.a SET v = ''}, q{DELETE FROM far.a WHERE k = 1})
{
	($rc, $out, $err) = $near->psql('postgres', $query);
	like($err, qr/ERROR:  (foreign table "a" does not allow|cannot (insert into|update|delete from) view "a")/, $query);
}
($rc, $out, $err) = $near->psql('postgres', 'SET ROLE owner; SELECT x FROM far.private');
like($err, qr/ERROR:  permission denied for view private/, 'reading without the right there');

# Foreign tables as sources: computed as the asset's owner, with the owner's
# user mapping; whoever reads needs none.
$near->safe_psql('postgres', q{
	CREATE SCHEMA here AUTHORIZATION owner;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO owner;
	SET ROLE owner;
	SELECT vibepiper.define_pipeline('here');
	SELECT vibepiper.define_asset('here.copy', 'SELECT k, n FROM far.a', indexes => '{UNIQUE (k)}');
	SELECT vibepiper.define_asset('here.pair', 'SELECT c.n AS a, b.n AS b FROM here.copy c JOIN far.b USING (k)');
	SELECT vibepiper.define_asset('here.private', 'SELECT x FROM far.private');
	GRANT USAGE ON SCHEMA here TO reader;
	GRANT SELECT ON here.copy, here.pair TO reader;
});
is($near->safe_psql('postgres', 'SET ROLE reader; SELECT count(*), max(n) FROM here.copy'), '200|8', 'an asset that is not built is computed');
is($near->safe_psql('postgres', 'SET ROLE reader; SELECT count(*), max(a), max(b) FROM here.pair'), '200|8|8', 'also one over it');
($rc, $out, $err) = $near->psql('postgres', 'SET ROLE reader; SELECT count(*) FROM far.a');
like($err, qr/ERROR:  permission denied/, 'its reader may not read the foreign table');
is($near->safe_psql('postgres', q{SELECT string_agg(source || ' ' || kind::text, ', ' ORDER BY source) FROM vibepiper.sources}),
	'far.a f, far.b f, far.private f', 'the sources are known');
is($near->safe_psql('postgres', q{SET ROLE owner; SELECT asset, status FROM vibepiper.run('here', 'copy pair', parallel => false)}),
	"here.copy|built\nhere.pair|built", 'a run');
($rc, $out, $err) = $near->psql('postgres', q{SET ROLE owner; SELECT FROM vibepiper.run('here', 'private', parallel => false)});
like($err, qr/permission denied for view private/, 'one without the right there fails');

# All assets of a run read one snapshot of the other server.
$session->query_safe(q{BEGIN; SELECT FROM vibepiper.run('here', 'copy', force => true, parallel => false)});
$far->safe_psql('postgres', 'SELECT src.publish()');
$session->query_safe(q{SELECT FROM vibepiper.run('here', 'pair', force => true, parallel => false); COMMIT});
is($near->safe_psql('postgres', 'SELECT DISTINCT a, b FROM here.pair'), '8|8', 'a publication there does not come between');
is($near->safe_psql('postgres', q{SELECT DISTINCT action, reason FROM vibepiper.plan('here', 'copy')}), q{build|foreign table far.a isn't followed},
	'changes there are not noticed, so each run computes');
is($near->safe_psql('postgres', q{SELECT FROM vibepiper.run('here', 'copy pair', parallel => false); SELECT DISTINCT a, b FROM here.pair}), '9|9',
	'what is there now');

# The other server is away
$far->stop;
is($near->safe_psql('postgres', 'SET ROLE reader; SELECT count(*), max(n) FROM here.copy'), '200|9', 'what is stored is read without the other server');
($rc, $out, $err) = $near->psql('postgres', q{SELECT FROM vibepiper.run('here', 'pair copy', force => true, parallel => false)});
like($err, qr/could not connect to server "far"/, 'a run says what is wrong');
is($near->safe_psql('postgres', 'SELECT DISTINCT a, b FROM here.pair'), '9|9', 'and leaves what was published');

$session->quit;
$near->stop;
done_testing();
