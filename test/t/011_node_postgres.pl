# node-postgres: the extended protocol, named statements, portals, binary
# results and errors, while runs are published.  The checks are in the script
# beside this one.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;

my ($modules, $why) = node_pg(PostgreSQL::Test::Utils::tempdir() . '/npm');
plan skip_all => $why unless defined $modules;

my $node = PostgreSQL::Test::Cluster->new('node_postgres');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->start;
pipeline_of_runs($node);

run_node($modules, '011_node_postgres.js', PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres',
	PGUSER => $node->safe_psql('postgres', 'SELECT current_user'));

$node->stop;
done_testing();
