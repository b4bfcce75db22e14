# A hot standby reads assets and refuses the rest; promoted, it does all.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off");
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA src;
	CREATE TABLE src.t AS SELECT i FROM generate_series(1, 10) i;
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.unlogged', 'SELECT i FROM src.t');
	SELECT vibepiper.define_asset('p.logged', 'SELECT i FROM src.t', storage => 'logged', indexes => '{(i)}');
	SELECT vibepiper.define_asset('p.strict', 'SELECT i FROM src.t', on_miss => 'error');
	SELECT vibepiper.define_asset('p.empty', 'SELECT i FROM src.t WHERE false');
	SELECT vibepiper.define_asset('p.settings', 'SELECT current_setting(''TimeZone'') AS z FROM src.t');
	SELECT vibepiper.define_asset('p.over', 'SELECT count(*) AS n FROM p.unlogged');
	SELECT vibepiper.run('p', parallel => false);
	INSERT INTO src.t VALUES (11);
});
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', 'SELECT count(*) FROM p.logged'), '10', 'a logged version is read');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM p.unlogged'), '11', 'an unlogged one is computed');
is($standby->safe_psql('postgres', 'SELECT n FROM p.over'), '11', 'also over another');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM p.empty'), '0', 'an empty one is empty');
is($standby->safe_psql('postgres', 'SELECT count(z) FROM p.settings'), '11', 'one that is computed as its owner');
my ($rc, $out, $err) = $standby->psql('postgres', 'SELECT count(*) FROM p.strict');
like($err, qr/p\.strict has no stored version/, 'on_miss error');
like($standby->safe_psql('postgres', 'SET enable_seqscan = off; EXPLAIN SELECT i FROM p.logged WHERE i = 3'), qr/Index/, 'indexes are used');

for my $call (
	q{run('p')}, q{run('p', force => true, wait => false)}, q{run('p', overlap => 'join')}, q{retry_run(1)}, q{run('p', parallel => false)}, q{define_pipeline('q')}, q{define_asset('p.x', 'SELECT 1 AS x')}, q{define_assets('p', '[]')},
	q{define_assets('p', '[]', dry_run => true)}, q{drop_asset('p.over')}, q{drop_pipeline('p')}, q{invalidate('p.over')},
	q{purge('p')}, q{rollback('p', 1)}, q{release('p')})
{
	($rc, $out, $err) = $standby->psql('postgres', "SELECT vibepiper.$call");
	like($err, qr/ERROR:.*(standby|recovery|read-only)/, "$call is refused");
	unlike($err, qr/could not|cache lookup|row-level lock|assign/i, 'clearly');
}
is($standby->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.plan('p')}), '6', 'plan works');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.assets}), '6', 'so do the views');
like($standby->safe_psql('postgres', q{SELECT vibepiper.explain_asset('p.logged')}), qr/Asset p\.logged is/, 'and explain_asset');

# What is published later arrives, in sessions and prepared statements that are there already
my $session = $standby->background_psql('postgres');
$session->query_safe('PREPARE s AS SELECT count(*) FROM p.logged');
is($session->query_safe('EXECUTE s'), '10', 'before');
$primary->safe_psql('postgres', q{SELECT vibepiper.run('p', parallel => false, force => true)});
$primary->wait_for_catchup($standby);
is($session->query_safe('EXECUTE s'), '11', 'a publication of the primary arrives');
for my $i (1 .. 5)
{
	$primary->safe_psql('postgres', q{INSERT INTO src.t VALUES (99); SELECT vibepiper.run('p', parallel => false, force => true)});
}
$primary->wait_for_catchup($standby);
is($session->query_safe('EXECUTE s'), '16', 'after slots were refilled');
is($session->query_safe('SELECT count(*) FROM p.unlogged'), '16', 'computed');
$session->quit;

$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM p.unlogged'), '16', 'after the promotion unlogged versions are lost, and computed');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM p.logged'), '16', 'logged ones are there');
is($standby->safe_psql('postgres', q{SELECT string_agg(asset || ' ' || state, ', ' ORDER BY asset) FROM vibepiper.assets WHERE asset IN ('p.unlogged', 'p.logged', 'p.empty')}),
	'p.empty stale, p.logged stale, p.unlogged lost', 'the states say so');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run('p', parallel => false) WHERE status = 'built' AND reason = 'lost'}), '4', 'a run rebuilds them');
is($standby->safe_psql('postgres', q{INSERT INTO src.t VALUES (99); SELECT count(*) FROM p.unlogged}), '16', 'and they are stored');

$standby->stop;
$primary->stop;
done_testing();
