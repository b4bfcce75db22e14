# pg_dump while a run goes on: neither waits for the other, versions are no part
# of a dump.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;

my $node = PostgreSQL::Test::Cluster->new('dump_while_running');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nautovacuum = off");
$node->start;
pipeline_of_runs($node);
$node->safe_psql('postgres', q{
	SELECT vibepiper.define_asset('n.logged', 'SELECT k, n FROM n.a', storage => 'logged', indexes => '{(k)}');
	SELECT FROM vibepiper.run('n', parallel => false);
});
my $file = $node->basedir . '/dump.sql';

# A dump that would have to wait for a lock fails instead.
sub dump_as
{
	my ($name, @options) = @_;
	unlink $file;
	command_ok([ 'pg_dump', '--lock-wait-timeout=20s', '-h', $node->host, '-p', $node->port, '-f', $file, @options, 'postgres' ], $name);
	return slurp_file($file);
}

sub check_dumps
{
	my ($when) = @_;
	my $data = dump_as("$when: the data of a pipeline's schema", '-t', 'n.*', '--data-only');
	unlike($data, qr/COPY |INSERT /, 'has no rows: an asset is a view');
	my $whole = dump_as("$when: the whole database");
	like($whole, qr/^CREATE VIEW n\.$_ AS/m, "has the view $_") for 'a', 'b', 'logged';
	like($whole, qr/^CREATE VIEW vibepiper_def\."n\.$_" AS/m, 'and its definition') for 'a', 'b', 'logged';
	unlike($whole, qr/^(COPY|CREATE (UNLOGGED )?TABLE|CREATE INDEX.* ON) vibepiper_store\./m, 'and nothing that is stored');
	dump_as("$when: only the schema", '--schema-only');
	dump_as("$when: the schema of a pipeline", '-n', 'n');
	command_ok([ 'pg_dump', '--lock-wait-timeout=20s', '-h', $node->host, '-p', $node->port, '-Fd', '-j', 2, '-f', "$file.$when", 'postgres' ],
		"$when: by parallel processes");
	return;
}

check_dumps('idle');

# A run that has computed and not committed; it holds all its locks.
my $run = $node->background_psql('postgres');
$run->query_safe('BEGIN');
is($run->query_safe('SELECT src.publish()'), '2', 'a run');
$run->query_safe(q{SELECT FROM vibepiper.run('n', 'logged', force => true, parallel => false)});
check_dumps('running');
$run->query_safe('COMMIT');
is($node->safe_psql('postgres', 'SELECT a.n, l.n FROM n.a JOIN n.logged l USING (k) WHERE k = 5'), '2|2', 'it ends well');

# Definitions in a transaction that is not committed: those that there were are dumped.
$run->query_safe(q{BEGIN; SELECT vibepiper.define_asset('n.new', 'SELECT 1 AS x')});
unlike(dump_as('defining: the whole database'), qr/new/, 'has what is committed');
$run->query_safe('ROLLBACK');

# A dump holds its locks to its end; a run does not wait for them.
$run->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
$run->query_safe($_) for $node->safe_psql('postgres', q{SELECT format('LOCK TABLE %s IN ACCESS SHARE MODE', oid::regclass)
	FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)}) =~ /(.+)/g;
my $before = $run->query_safe('SELECT n FROM n.a WHERE k = 1');
for my $n (3 .. 8)
{
	is($node->safe_psql('postgres', q{SET lock_timeout = '10s'; SELECT src.publish()}), $n, "run $n goes past a dump's locks");
}
is($run->query_safe('SELECT n FROM n.a WHERE k = 1'), $before, 'the dump sees what it saw');
$run->query_safe('COMMIT');
$run->quit;

# Dumps and runs without a plan
my $bench = start_pgbench($node, 'simple', 1, 40, "SELECT src.publish();\n");
my $dumps = 0;
do
{
	my $whole = dump_as('a dump beside runs');
	# What is dumped is of one instant, whichever.
	my @ticks = $whole =~ /^COPY src\.tick \(n\) FROM stdin;\n(\d+)\n\\\.\n/m;
	is(scalar(@ticks), 1, 'of one instant');
	$dumps++;
	$bench->{run}->pump_nb;
} while ($bench->{run}->pumpable);
ok($bench->{run}->finish, "runs beside $dumps dumps") or diag(${ $bench->{output} });
is($node->safe_psql('postgres', 'SELECT n FROM n.b WHERE k = 1'), 48, 'all were published');

$node->stop;
done_testing();
