# A base backup, a copy of a stopped server, and a promoted standby: no version
# is believed that isn't there, and none that is there is given up.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off\nautovacuum = off\nwal_keep_size = 256MB");
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src AS SELECT k FROM generate_series(1, 100) k;
	CREATE FUNCTION zone() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('TimeZone'); END $$;
	SELECT vibepiper.define_pipeline('p');
	SELECT vibepiper.define_asset('p.a', 'SELECT k FROM src', indexes => '{UNIQUE (k)}');
	SELECT vibepiper.define_asset('p.computed', 'SELECT k, zone() AS zone FROM src');
	SELECT vibepiper.define_asset('p.logged', 'SELECT k, repeat(md5(k::text), 200) AS big FROM src', storage => 'logged', indexes => '{(k)}');
	SELECT vibepiper.define_asset('p.over', 'SELECT count(*) AS n FROM p.a', storage => 'logged');
	SELECT vibepiper.define_asset('p.empty', 'SELECT k FROM src WHERE k < 0', indexes => '{(k)}');
	SELECT vibepiper.define_asset('p.strict', 'SELECT k FROM src', on_miss => 'error');
	SELECT vibepiper.run('p', parallel => false);
	SELECT vibepiper.run('p', parallel => false, force => true);
	-- from now on what is stored differs from what definitions give
	INSERT INTO src SELECT k FROM generate_series(101, 107) k;
});

my $counts = q{SELECT concat_ws(' ', (SELECT count(*) FROM p.a), (SELECT count(*) FROM p.computed), (SELECT count(*) FROM p.logged WHERE length(big) = 6400),
	(SELECT n FROM p.over), (SELECT count(*) FROM p.empty))};
my $by_index = q{SET enable_seqscan = off; SELECT concat_ws(' ', (SELECT count(*) FROM p.a WHERE k BETWEEN 90 AND 105), (SELECT count(*) FROM p.logged WHERE k BETWEEN 90 AND 105),
	(SELECT count(*) FROM p.empty WHERE k = 1))};
my $states = q{SELECT string_agg(split_part(asset, '.', 2) || ' ' || state, ', ' ORDER BY asset) FROM vibepiper.assets};
my $lost = 'a lost, computed lost, empty stale, logged stale, over stale, strict lost';
my $stale = $lost =~ s/lost/stale/gr;
is($primary->safe_psql('postgres', $counts), '100 100 100 100 0', 'what is stored');
is($primary->safe_psql('postgres', $states), $stale, 'is stale');

# Where unlogged versions are gone: they are known to be, and built by a run
sub check_lost
{
	my ($node, $what) = @_;

	is($node->safe_psql('postgres', $counts), '107 107 100 100 0', "$what: logged versions are read, lost ones computed");
	is($node->safe_psql('postgres', $by_index), '16 11 0', "$what: by index, too");
	like(($node->psql('postgres', 'SELECT count(*) FROM p.strict'))[2], qr/p\.strict has no stored version/, "$what: or an error, if so wished");
	is($node->safe_psql('postgres', $states), $lost, "$what: the states say so");
	is($node->safe_psql('postgres', q{SELECT string_agg(split_part(asset, '.', 2) || ' ' || status, ', ' ORDER BY asset) FROM vibepiper.run('p', parallel => false)}),
		'a built, computed built, empty unchanged, logged built, over built, strict built', "$what: a run builds what is lost or may be stale, and what reads it");
	is($node->safe_psql('postgres', "INSERT INTO src VALUES (1000); $counts"), '107 107 107 107 0', "$what: then it is stored");
	is($node->safe_psql('postgres', $states), $stale, "$what: and stale, since the source was changed again");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.run('p', parallel => false, force => true) WHERE status IN ('built', 'unchanged')}), 6,
		"$what: runs go on, in the slots that are there");
	is($node->safe_psql('postgres', $counts), '108 108 108 108 0', "$what: read");
	return;
}

# A base backup has no rows of unlogged relations.
$primary->backup('online');
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($primary, 'online');
$restored->start;
check_lost($restored, 'base backup');
$restored->stop;

# One that is taken while a run is on its way: nothing of the run is there.
my $runner = $primary->background_psql('postgres');
$runner->query_safe(q{BEGIN; SELECT count(*) FROM vibepiper.run('p', parallel => false, force => true)});
$primary->backup('meanwhile');
$runner->query_safe('ROLLBACK');
$runner->quit;
my $meanwhile = PostgreSQL::Test::Cluster->new('meanwhile');
$meanwhile->init_from_backup($primary, 'meanwhile');
$meanwhile->start;
check_lost($meanwhile, 'base backup during a run');
$meanwhile->stop;

# A standby: its sessions keep plans of slots and of misses over the promotion.
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'online', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
my %statement = (a => 'SELECT count(*) FROM p.a', logged => 'SELECT count(*) FROM p.logged', computed => 'SELECT count(*) FROM p.computed',
	over => 'SELECT n FROM p.over', both => 'SELECT count(*) FROM p.a JOIN p.logged USING (k)', empty => 'SELECT count(*) FROM p.empty');
my $session = $standby->background_psql('postgres');
$session->query_safe('SET plan_cache_mode = force_generic_plan');
$session->query_safe("PREPARE \"$_\" AS $statement{$_}") for keys %statement;
sub prepared { return join ' ', map { "$_ " . $session->query_safe("EXECUTE \"$_\"") } sort keys %statement; }
my $on_standby = 'a 107 both 100 computed 107 empty 0 logged 100 over 100';
is(prepared(), $on_standby, 'prepared on a standby');
is(prepared(), $on_standby, 'again, from the cache');
# a cursor that is open while the server is promoted
$session->query_safe('BEGIN; DECLARE c CURSOR FOR SELECT k FROM p.logged ORDER BY k; DECLARE m CURSOR FOR SELECT k FROM p.computed ORDER BY k');
is($session->query_safe('FETCH 1 FROM c') . ' ' . $session->query_safe('FETCH 1 FROM m'), '1 1', 'cursors');
$standby->promote;
is($session->query_safe('MOVE 98 FROM c; FETCH 2 FROM c; FETCH 1 FROM c'), '100', 'a cursor goes on over the promotion');
is($session->query_safe('MOVE 105 FROM m; FETCH 2 FROM m'), '107', 'also one of computed rows');
$session->query_safe('COMMIT');
is(prepared(), $on_standby, 'promoted: the plans still mean the same');
check_lost($standby, 'promoted standby');
is(prepared(), 'a 108 both 108 computed 108 empty 0 logged 108 over 108', 'and the plans find what a run built');
$session->quit;
$standby->stop;

# A copy of a server that was stopped has everything.
$primary->stop;
$primary->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($primary, 'cold');
$copy->start;
is($copy->safe_psql('postgres', $counts), '100 100 100 100 0', 'copy of a stopped server: all versions are read');
is($copy->safe_psql('postgres', $by_index), '11 11 0', 'copy of a stopped server: by index, too');
is($copy->safe_psql('postgres', $states), $stale, 'copy of a stopped server: it is known that the source was changed');
$copy->stop('immediate');
$copy->start;
check_lost($copy, 'the copy after a crash');
$copy->stop;

# The same copy as a standby: unlogged files that are there aren't looked at.
my $cold = PostgreSQL::Test::Cluster->new('cold_standby');
$cold->init_from_backup($primary, 'cold', standby => 1);
$primary->start;
$cold->enable_streaming($primary);
$cold->start;
$primary->wait_for_catchup($cold);
is($cold->safe_psql('postgres', $counts), '107 107 100 100 0', 'a cold copy as a standby');
$cold->promote;
check_lost($cold, 'the cold copy, promoted');
$cold->stop;
is($primary->safe_psql('postgres', $counts), '100 100 100 100 0', 'the original knows nothing of all this');

$primary->stop;
done_testing();
