# pg_dump and a restore: definitions, stubs and what reads them come back.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->start;
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA src;
	CREATE TABLE src.t AS SELECT i FROM generate_series(1, 10) i;
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.a', 'SELECT i FROM src.t', indexes => '{UNIQUE (i)}', description => 'described');
	SELECT vibepiper.define_asset('p."B c"', 'SELECT count(*) AS "N n" FROM p.a');
	SELECT vibepiper.run('p', parallel => false);
	GRANT SELECT ON p.a TO reader;
	CREATE VIEW src.v AS SELECT "N n" FROM p."B c";
});

my $file = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', $file, 'postgres' ], 'pg_dump');
my $dump = slurp_file($file);
unlike($dump, qr/vibepiper_store/, 'versions are not dumped');
like($dump, qr/CREATE VIEW vibepiper_def\."p\.a"/, 'definitions are');

$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-d', 'restored', '-f', $file ],
	'the restore goes through without an error');
is($node->safe_psql('restored', q{SELECT has_table_privilege('reader', 'p.a', 'SELECT')}), 't', 'grants are there');
is($node->safe_psql('restored', q{SELECT obj_description('p.a'::regclass)}), 'described', 'comments are there');
is($node->safe_psql('restored', q{SELECT count(*) FROM vibepiper_def."p.a"}), '10', 'a definition gives its rows');
is($node->safe_psql('restored', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace}), '0', 'nothing is stored');

my ($rc, $out, $err);
TODO:
{
	local $TODO = 'the catalog of assets is not part of a dump yet';
	($rc, $out, $err) = $node->psql('restored', 'SELECT count(*) FROM p.a');
	is("$rc $out", '0 10', 'an asset reads as its definition after a restore');
	($rc, $out, $err) = $node->psql('restored', 'SELECT "N n" FROM src.v');
	is("$rc $out", '0 10', 'so does a view on one');
	is($node->safe_psql('restored', q{SELECT string_agg(asset, ' ' ORDER BY asset COLLATE "C") FROM vibepiper.assets}), 'p."B c" p.a',
		'the catalog knows the assets');
	($rc, $out, $err) = $node->psql('restored', q{SELECT count(*) FROM vibepiper.run('p', parallel => false) WHERE status = 'built'});
	is("$rc $out", '0 2', 'a run works');
	($rc, $out, $err) = $node->psql('restored', q{SET client_min_messages = error; SELECT vibepiper.define_pipeline('p'); SELECT vibepiper.define_asset('p.a', 'SELECT i FROM src.t')});
	is($rc, 0, 'the script that defined it can be run again');
}
like(($node->psql('restored', 'SELECT count(*) FROM p.a'))[2], qr/^$|ERROR:.*p\.a/, 'reading gives rows or names the asset');

# Only the schema; only the data: neither fails
command_ok([ 'pg_dump', '--schema-only', '-h', $node->host, '-p', $node->port, '-f', $file, 'postgres' ], 'pg_dump --schema-only');
$node->safe_psql('postgres', 'CREATE DATABASE schema_only TEMPLATE template0');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-d', 'schema_only', '-f', $file ], 'and its restore');
command_ok([ 'pg_dump', '-Fc', '-h', $node->host, '-p', $node->port, '-f', "$file.custom", 'postgres' ], 'pg_dump -Fc');
$node->safe_psql('postgres', 'CREATE DATABASE custom TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-h', $node->host, '-p', $node->port, '-d', 'custom', "$file.custom" ], 'pg_restore in parallel');
command_ok([ 'pg_dumpall', '-h', $node->host, '-p', $node->port, '-f', "$file.all" ], 'pg_dumpall');

$node->stop;
done_testing();
