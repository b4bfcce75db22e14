# More tables than vibepiper.max_tracked: what can't be recorded is computed by
# each run, the rest is as exact as ever; and tables that only a run's watch
# looks at give way.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('room');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.max_tracked = 64\nautovacuum = off");
$node->start;
sub sql { return $node->safe_psql('postgres', "SET vibepiper.progress = off;\n$_[0]"); }
sub plan { return sql(q{SELECT string_agg(DISTINCT n || ' ' || action || ': ' || reason, ', ' ORDER BY n || ' ' || action || ': ' || reason)
	FROM (SELECT count(*) AS n, action, regexp_replace(reason, 't\d+', 't') AS reason FROM vibepiper.plan('r') GROUP BY 2, 3) p}); }

sql(q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA raw;
	SELECT vibepiper.define_pipeline('r');
	DO $$ BEGIN FOR i IN 1 .. 40 LOOP
		EXECUTE format('CREATE TABLE raw.t%s (n int)', i);
		PERFORM vibepiper.define_asset('r.a' || i, format('SELECT n FROM raw.t%s', i));
	END LOOP; END $$;
	DO $$ BEGIN FOR i IN 1 .. 100 LOOP EXECUTE format('CREATE TABLE raw.other%s (n int)', i); END LOOP; END $$;
});

# a serial run watches until its transaction ends; meanwhile others write more than there is room for
my $runner = $node->background_psql('postgres');
$runner->query_safe(q{BEGIN; SELECT count(*) FROM vibepiper.run('r', '-r.a4*', parallel => false)});
sql(q{DO $$ BEGIN FOR i IN 1 .. 100 LOOP EXECUTE format('INSERT INTO raw.other%s VALUES (1)', i); END LOOP; END $$; INSERT INTO raw.t3 VALUES (1), (2)});
$runner->query_safe('COMMIT');
$runner->quit;
is(plan(), '1 build: source raw.t changed, 2 build: never built, 37 cached: fresh', 'the room was enough for those that were tracked');
sql(q{SELECT count(*) FROM vibepiper.run('r')});
is(plan(), '40 cached: fresh', 'and is for the others, when the watch has ended');

# more sources than rings
sql(q{DO $$ BEGIN FOR i IN 41 .. 80 LOOP
		EXECUTE format('CREATE TABLE raw.t%s (n int)', i);
		PERFORM vibepiper.define_asset('r.a' || i, format('SELECT n FROM raw.t%s', i));
	END LOOP; END $$;
	SELECT count(*) FROM vibepiper.run('r')});
is(plan(), '17 build: source raw.t may have changed, 63 cached: fresh', 'one ring is for what is altered, 63 are for tables');
sql(q{INSERT INTO raw.t3 VALUES (3)});
is(plan(), '1 build: source raw.t changed, 17 build: source raw.t may have changed, 62 cached: fresh', 'those are exact');
is(sql(q{SELECT string_agg(DISTINCT status, ' ') FROM vibepiper.run('r') WHERE reason LIKE '%may have%'}), 'unchanged', 'the others are computed');
is(sql('SELECT sum(n) FROM r.a3'), 6, 'and all is right');

# tables that are dropped make room
sql(q{SELECT count(vibepiper.drop_asset('r.a' || i)) FROM generate_series(1, 40) i; SET client_min_messages = error;
	DO $$ BEGIN FOR i IN 1 .. 40 LOOP EXECUTE format('DROP TABLE raw.t%s', i); END LOOP; END $$; SELECT count(*) FROM vibepiper.run('r')});
is(plan(), '40 cached: fresh', 'all that are left are fresh');

$node->stop;
done_testing();
