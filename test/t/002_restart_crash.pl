# What a restart keeps, and what a crash takes: never silently empty, never wrong.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off\nautovacuum = off");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA src;
	CREATE TABLE src.t AS SELECT i FROM generate_series(1, 100) i;
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.a', 'SELECT i FROM src.t', indexes => '{UNIQUE (i)}');
	SELECT vibepiper.define_asset('p.b', 'SELECT count(*) AS n FROM p.a');
	SELECT vibepiper.define_asset('p.empty', 'SELECT i FROM src.t WHERE false');
	SELECT vibepiper.define_asset('p.logged', 'SELECT i FROM src.t', storage => 'logged', indexes => '{(i)}');
	SELECT vibepiper.define_asset('p.strict', 'SELECT i FROM src.t', on_miss => 'error');
	SELECT vibepiper.define_asset('p.toasted', 'SELECT string_agg(md5(i::text), '''') AS x FROM src.t CROSS JOIN generate_series(1, 100)');
	SELECT vibepiper.run('p', parallel => false);
	-- from now on what is stored differs from what a definition would give
	INSERT INTO src.t VALUES (101);
	CHECKPOINT;
});

my $states = q{SELECT string_agg(asset || ' ' || state, ', ' ORDER BY asset) FROM vibepiper.assets};
my $counts = q{SELECT (SELECT count(*) FROM p.a) || ' ' || (SELECT n FROM p.b) || ' ' || (SELECT count(*) FROM p.empty)
	|| ' ' || (SELECT count(*) FROM p.logged) || ' ' || (SELECT length(x) FROM p.toasted)};
my $all_fresh = 'p.a fresh, p.b fresh, p.empty fresh, p.logged fresh, p.strict fresh, p.toasted fresh';
my $stored = '100 100 0 100 320000';
is($node->safe_psql('postgres', $counts), $stored, 'stored rows before');

for my $mode ('fast', 'smart')
{
	$node->stop($mode);
	$node->start;
	is($node->safe_psql('postgres', $counts), $stored, "stored rows after a restart ($mode)");
	is($node->safe_psql('postgres', $states), $all_fresh =~ s/fresh/stale/gr, "it is known that the source was changed ($mode)");
}
like($node->safe_psql('postgres', 'SET enable_seqscan = off; EXPLAIN SELECT i FROM p.a WHERE i = 5'), qr/Index/, 'with the index');

# A crash empties what is unlogged
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $counts), '101 101 0 100 323200', 'after a crash unlogged assets are computed, logged ones are read');
is($node->safe_psql('postgres', $states),
	'p.a lost, p.b lost, p.empty stale, p.logged stale, p.strict lost, p.toasted lost', 'and the states say so');
my ($rc, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM p.strict');
like($err, qr/ERROR:.*p\.strict has no stored version/, 'on_miss error after a crash');
is($node->safe_psql('postgres', q{SELECT string_agg(asset || ' ' || action || ' ' || reason, ', ' ORDER BY asset) FROM vibepiper.plan('p') WHERE action <> 'cached'}),
	'p.a build lost, p.b build lost, p.empty build source src.t may have changed, p.logged build source src.t may have changed, p.strict build lost, p.toasted build lost', 'the plan is to build what was lost, and what may be stale');
like($node->safe_psql('postgres', q{SELECT vibepiper.explain_asset('p.a')}), qr/^Asset p\.a is lost\./, 'explain_asset, too');
unlike($node->safe_psql('postgres', q{SELECT vibepiper.explain_asset('p.a')}), qr/Readers get the version/, 'and it does not say that readers get the lost version');
is($node->safe_psql('postgres', q{SELECT string_agg(asset || ' ' || status, ', ' ORDER BY asset) FROM vibepiper.run('p', parallel => false)}),
	'p.a built, p.b built, p.empty unchanged, p.logged built, p.strict built, p.toasted built', 'the next run rebuilds them');
is($node->safe_psql('postgres', $states), $all_fresh, 'then all are fresh');
is($node->safe_psql('postgres', q{INSERT INTO src.t VALUES (102); } . $counts), '101 101 0 101 323200', 'and stored');
like($node->safe_psql('postgres', 'SET enable_seqscan = off; EXPLAIN SELECT i FROM p.a WHERE i = 5'), qr/Index/, 'with the index');

# A lost version whose rows would be the same is built all the same, and read
$node->safe_psql('postgres', q{DELETE FROM src.t WHERE i = 102});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', q{SELECT status FROM vibepiper.run('p', 'a', parallel => false)}), 'built', 'not unchanged');
is($node->safe_psql('postgres', q{INSERT INTO src.t VALUES (102); SELECT count(*) FROM p.a}), '101', 'the stored rows are read');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run('p', parallel => false, force => true)}), '6', 'a forced run after a crash');

# rollback to a lost version is refused
my $run1 = $node->safe_psql('postgres', q{SELECT max(run_id) FROM vibepiper.run('p', parallel => false, force => true)});
$node->safe_psql('postgres', q{DELETE FROM src.t WHERE i > 50; SELECT vibepiper.run('p', parallel => false, force => true)});
$node->stop('immediate');
$node->start;
($rc, $out, $err) = $node->psql('postgres', "SELECT vibepiper.rollback('p', $run1)");
like($err, qr/no longer stored/, 'rollback to what was lost');
is($node->safe_psql('postgres', q{SELECT count(*) FROM p.a}), '50', 'readers get what the definition says');

# A crash in the middle of a run leaves nothing of it
$node->safe_psql('postgres', q{SELECT vibepiper.run('p', parallel => false)});
my $before = $node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.runs});
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; INSERT INTO src.t VALUES (1000);
	SELECT count(*) FROM vibepiper.run('p', parallel => false, force => true);});
$node->stop('immediate');
eval { $session->quit };
$node->start;
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.runs}), $before, 'no run is left');
is($node->safe_psql('postgres', q{SELECT count(*) FROM p.a}), '50', 'right rows');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run('p', parallel => false) WHERE status IN ('built', 'unchanged', 'cached')}), '6', 'the next run works');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class c WHERE relnamespace = 'vibepiper_store'::regnamespace AND relkind = 'r'
	AND NOT EXISTS (SELECT FROM vibepiper.slot s WHERE s.slot = c.oid)}), '0', 'no relation that nobody knows');

# A prepared transaction can't hold a run
($rc, $out, $err) = $node->psql('postgres', q{BEGIN; SELECT vibepiper.run('p', parallel => false, force => true); PREPARE TRANSACTION 'x'});
like($err, qr/cannot PREPARE|prepared transactions are disabled/, 'PREPARE TRANSACTION is refused');

$node->stop;
done_testing();
