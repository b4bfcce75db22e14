# Auxiliary processes (WAL writer, workers for I/O, ...) have no place in the
# shared memory that is kept for each session.  They end, and start anew, while
# tables are tracked: nothing is lost or overwritten.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('auxiliary');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nautovacuum = off\nvibepiper.keeper = off");
$node->start;
sub sql { return $node->safe_psql('postgres', "SET vibepiper.progress = off;\n$_[0]"); }

my @settings = split /\n/, sql(q{SELECT name FROM pg_settings WHERE name IN ('io_workers', 'io_min_workers', 'io_max_workers')});
my $auxiliary = q{SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer', 'io worker')};

# where there are workers for I/O
sub io_workers
{
	my ($n) = @_;

	return if !@settings;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = $n") for @settings;
	$node->reload;
	$node->poll_query_until('postgres', "SELECT count(*) = $n FROM pg_stat_activity WHERE backend_type = 'io worker'") or die "no $n workers";
}

sql(q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA raw;
	SELECT vibepiper.define_pipeline('x');
	DO $$ BEGIN FOR i IN 1 .. 300 LOOP
		EXECUTE format('CREATE TABLE raw.t%s (n int)', i);
		PERFORM vibepiper.define_asset('x.a' || i, format('SELECT n FROM raw.t%s', i));
	END LOOP; END $$;
	SELECT count(*) FROM vibepiper.run('x')});

for my $round (1 .. 2)
{
	io_workers(32);
	my @before = split / /, $node->safe_psql('postgres', $auxiliary);
	kill 'TERM', @before;
	$node->poll_query_until('postgres', "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer') AND pid NOT IN (" . join(', ', @before) . ')') or die;
	io_workers(1);
	sql("INSERT INTO raw.t1$round VALUES (1)");
	is(sql(q{SELECT string_agg(n || ' ' || action || ': ' || reason, ', ' ORDER BY reason) FROM
			(SELECT count(*) AS n, action, reason FROM vibepiper.plan('x') GROUP BY 2, 3) p}),
		"299 cached: fresh, 1 build: source raw.t1$round changed", 'what is tracked is known');
	is(sql(q{SELECT count(*) FROM vibepiper.run('x') WHERE status = 'built'}), 1, 'and a run works');
	sql(qq{DO \$\$ BEGIN FOR i IN 1 .. 300 LOOP
		EXECUTE format('CREATE TABLE raw.more${round}_%s (n int)', i);
		PERFORM vibepiper.define_asset('x.more${round}_' || i, format('SELECT n FROM raw.more${round}_%s', i));
	END LOOP; END \$\$});
	is(sql(q{SELECT count(*) FROM vibepiper.run('x') WHERE status = 'built'}), 300, 'more can be tracked');
	sql("SELECT count(vibepiper.drop_asset('x.more${round}_' || i)) FROM generate_series(1, 300) i");
}
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'nothing crashed');
done_testing();
