# Named statements of the protocol through pgbouncer in transaction mode: clients
# share the statements of few server connections while runs are published.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;

my ($number, $version) = pgbouncer_version();
plan skip_all => 'pgbouncer is not installed' unless defined $number;
plan skip_all => "pgbouncer $version knows no prepared statements in transaction mode, 1.21 does" if $number < 121;

my $node = PostgreSQL::Test::Cluster->new('prepared');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->start;
pipeline_of_runs($node);

my $pooled = start_pgbouncer($node, default_pool_size => 2, max_prepared_statements => 20);
my $read = q{\set k random(1, 200)
SELECT 1 / (CASE WHEN a.n = b.n AND a.n = (SELECT max(n) FROM n.b) THEN 1 ELSE 0 END) FROM n.a JOIN n.b USING (k) WHERE k = :k;
};
my $publish = q{BEGIN;
SELECT src.publish();
SELECT 1 / (CASE WHEN a.n = t.n AND b.n = t.n THEN 1 ELSE 0 END) FROM n.a, n.b, src.tick t WHERE a.k = 7 AND b.k = 7;
END;
};
my $undo = q{BEGIN;
SELECT src.publish();
SELECT 1 / (CASE WHEN a.n = t.n AND b.n = t.n THEN 1 ELSE 0 END) FROM n.a, n.b, src.tick t WHERE a.k = 7 AND b.k = 7;
ROLLBACK;
};
my %bench = (
	readers => start_pgbench($pooled, 'prepared', 5, 300, $read),
	publications => start_pgbench($pooled, 'prepared', 1, 40, $publish),
	'runs that are undone' => start_pgbench($pooled, 'prepared', 1, 20, $undo));
for my $name (sort keys %bench)
{
	ok($bench{$name}{run}->finish, "$name: no runs mixed") or diag(${ $bench{$name}{output} });
}
is($pooled->safe_psql('postgres', 'SELECT min(n), max(n), count(*) FROM n.a'), '41|41|200', 'all were published');
like($pooled->safe_psql('postgres', q{SELECT count(*) || ' statements' FROM pg_prepared_statements WHERE name LIKE 'PGBOUNCER%'}),
	qr/^[1-9]\d* statements/, 'by statements that the clients share');
stop_pgbouncer($pooled);

# One connection: the statement of one client, with its plan, is the other's too.
# What it may read is asked again each time.
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE ROLE stranger;
	GRANT USAGE ON SCHEMA n TO reader, stranger;
	GRANT SELECT ON n.a TO reader;
	SELECT vibepiper.define_asset('n.unbuilt', 'SELECT count(*) AS n FROM n.a');
	SELECT vibepiper.define_asset('n.zone', $$SELECT current_setting('TimeZone') AS zone$$, lazy => true);
	GRANT SELECT ON n.unbuilt, n.zone TO reader;
});
$pooled = start_pgbouncer($node, default_pool_size => 1, max_prepared_statements => 20);
my $pid = $pooled->safe_psql('postgres', 'SELECT pg_backend_pid()');
for my $query ('SELECT count(*) FROM n.a;', 'SELECT n FROM n.unbuilt;', 'SELECT zone FROM n.zone;')
{
	for my $role ('reader', 'stranger', 'reader', 'none', 'stranger')
	{
		# stays with the connection
		$pooled->safe_psql('postgres', "SET ROLE $role");
		my $bench = start_pgbench($pooled, 'prepared', 1, 8, "$query\n");
		my $ok = $bench->{run}->finish;
		my $output = ${ $bench->{output} };
		if ($role eq 'stranger')
		{
			like($output, qr/permission denied for view/, "$query refused to a role without the right");
		}
		else
		{
			ok($ok, "$query read by role $role") or diag($output);
		}
	}
}
$pooled->safe_psql('postgres', 'RESET ROLE');
is($pooled->safe_psql('postgres', 'SELECT pg_backend_pid()'), $pid, 'all on one connection');
is($pooled->safe_psql('postgres', q{SELECT count(DISTINCT statement) FROM pg_prepared_statements WHERE name LIKE 'PGBOUNCER%' AND statement LIKE 'SELECT%'}),
	3, 'by one statement for each query');
stop_pgbouncer($pooled);

my ($modules, $why) = node_pg(PostgreSQL::Test::Utils::tempdir() . '/npm');
if (defined $modules)
{
	# With one connection it is certain which statements it knows.
	for my $run ([ 'meanwhile', 2 ], [ 'redefined', 1 ])
	{
		my ($checks, $size) = @$run;
		$pooled = start_pgbouncer($node, default_pool_size => $size, max_prepared_statements => 20);
		run_node($modules, '013_pgbouncer_prepared.js', CHECKS => $checks, PGHOST => $pooled->host, PGPORT => $pooled->port,
			PGDATABASE => 'postgres', PGUSER => $node->safe_psql('postgres', 'SELECT current_user'));
		stop_pgbouncer($pooled);
	}
}
else
{
	not_run("node-postgres through pgbouncer: $why");
}

$node->stop;
done_testing();
