# pg_upgrade from an older version: pipelines, assets and their published
# versions are there, as they were, and everything goes on.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old_config = $ENV{OLD_PG_CONFIG};
plan skip_all => 'OLD_PG_CONFIG names no older PostgreSQL that has the extension, too' unless $old_config && -x $old_config;

chomp(my $old_bin = `$old_config --bindir`);
chomp(my $old_libdir = `$old_config --pkglibdir`);
plan skip_all => "the extension is not installed in $old_libdir" unless -e "$old_libdir/vibepiper.so";
chomp(my $new_bin = `pg_config --bindir`);

my $old = PostgreSQL::Test::Cluster->new('old', install_path => $old_bin =~ s{/bin$}{}r);
my $new = PostgreSQL::Test::Cluster->new('new');
my @initdb = ('--locale', 'C', '--encoding', 'UTF8', '--data-checksums');
for my $node ($old, $new)
{
	$node->init(extra => \@initdb);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nautovacuum = off\nvibepiper.keeper = off");
}
$old->start;
my $script = q{
	SELECT vibepiper.define_pipeline('p', schemas => '{p,p_more}', keep_versions => 2, description => 'kept');
	SELECT vibepiper.define_asset('p.a', 'SELECT i, t FROM src.t', indexes => '{UNIQUE (i),(lower(t))}', tags => '{x}');
	SELECT vibepiper.define_asset('p.logged', 'SELECT count(*) AS n FROM p.a', storage => 'logged');
	SELECT vibepiper.define_asset('p_more.fn', $$SELECT src.twice(i) AS x, current_user AS u FROM p.a$$);
	SELECT vibepiper.define_asset('p.lazy', 'SELECT i FROM p.a', lazy => true);
	SELECT vibepiper.define_asset('p.empty', 'SELECT i FROM src.t WHERE false');
};
$old->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA src;
	CREATE TABLE src.t AS SELECT i, 't' || i AS t FROM generate_series(1, 1000) i;
	CREATE FUNCTION src.twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 2 * $1; END';
} . $script . q{
	SELECT vibepiper.run('p', parallel => false);
	INSERT INTO src.t VALUES (1001, 'later');
	SELECT vibepiper.run('p', parallel => false, force => true);
	SELECT vibepiper.define_asset('p.not_built', 'SELECT 1 AS x');
	INSERT INTO src.t VALUES (1002, 'after the last run');
	GRANT SELECT ON p.a TO reader;
	-- another schema numbering than in the new server
	CREATE SCHEMA z1; CREATE SCHEMA z2; DROP SCHEMA z1;
});
my $state = q{
	SELECT asset, state, rows, run_id, tags, indexes FROM vibepiper.assets ORDER BY 1;
	SELECT pipeline, schemas, owner, keep_versions, description FROM vibepiper.pipelines;
	SELECT asset, upstream FROM vibepiper.dependencies ORDER BY 1, 2;
	SELECT asset, source FROM vibepiper.sources ORDER BY 1, 2;
	SELECT asset, version_id, published, rows, data_hash, current_code FROM vibepiper.versions ORDER BY version_id;
	SELECT run_id, status, built FROM vibepiper.runs ORDER BY 1;
	SELECT asset, vibepiper.asset_query(asset) FROM vibepiper.assets ORDER BY 1;
	SELECT count(*), sum(i), max(t COLLATE "C") FROM p.a; SELECT n FROM p.logged; SELECT count(*), sum(x), max(u) FROM p_more.fn; SELECT count(*) FROM p.lazy;
	SELECT count(*) FROM p.empty; SELECT has_table_privilege('reader', 'p.a', 'SELECT');
};
my $before = $old->safe_psql('postgres', $state);
like($before, qr/^1001\|/m, 'the published version lacks the row that came after it');
$old->stop;

chdir $PostgreSQL::Test::Utils::tmp_check;
my @upgrade = ('pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old_bin, '-B', $new_bin,
	'-s', $new->host, '-p', $old->port, '-P', $new->port);
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok([ @upgrade ], 'pg_upgrade');
$new->start;
is($new->safe_psql('postgres', $state), $before, 'all is as it was, the published versions included');
is($new->safe_psql('postgres', 'SELECT count(*) FROM vibepiper.adopt_assets()'), '0', 'nothing is to be adopted');
like($new->safe_psql('postgres', 'SET enable_seqscan = off; EXPLAIN SELECT * FROM p.a WHERE i = 7'), qr/Index/, 'indexes are there');
my $again = $new->safe_psql('postgres', $script);
unlike($again, qr/(code|options) changed|created/, 'the script finds nothing to change');
is($new->safe_psql('postgres', q{SELECT asset, status FROM vibepiper.run('p', parallel => false) ORDER BY 1}),
	"p.a|built\np.empty|unchanged\np.lazy|deferred\np.logged|built\np.not_built|built\np_more.fn|built", 'of changes nothing is known, so a run computes all');
is($new->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run('p', parallel => false, force => true) WHERE status IN ('built', 'unchanged')}), '5', 'forced, all of it');
is($new->safe_psql('postgres', 'SELECT count(*) FROM p.a'), '1002', 'which publishes the new rows');
is($new->safe_psql('postgres', q{SELECT vibepiper.define_asset('p_more.new', 'SELECT 1 AS x')}), 'created', 'the pipeline knows its schemas');
is($new->safe_psql('postgres', q{SELECT count(*) > 0 FROM vibepiper.rollback('p', 2); SELECT count(*) FROM p.a}), "t\n1001", 'rollback to a version that the old server built');
$new->safe_psql('postgres', 'VACUUM FULL; ANALYZE');
is($new->safe_psql('postgres', 'DROP EXTENSION vibepiper CASCADE; SELECT count(*) FROM pg_class WHERE relname ~ \'vibepiper\''), '0', 'and it can be dropped');
$new->stop;
done_testing();
