# Readers of all kinds against publications: nobody ever sees two runs mixed,
# a REPEATABLE READ reader keeps what it saw, and in the end every asset equals
# its definition.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('stress');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nmax_connections = 30");
$node->start;

# b reads a, c reads b; each row carries the number of the run
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src (k int, v int);
	INSERT INTO src SELECT g, 1 FROM generate_series(1, 500) g;
	CREATE TABLE tick (n int);
	INSERT INTO tick VALUES (0);
	SELECT vibepiper.define_pipeline('s', keep_versions => 1);
	SELECT vibepiper.define_asset('s.a', 'SELECT k, v, (SELECT n FROM public.tick) AS n FROM public.src', indexes => '{UNIQUE (k)}');
	SELECT vibepiper.define_asset('s.b', 'SELECT k, v, n FROM s.a', indexes => '{UNIQUE (k)}');
	SELECT vibepiper.define_asset('s.c', 'SELECT n, count(*) AS rows, sum(k) AS keys FROM s.b GROUP BY n');
	SELECT count(*) FROM vibepiper.run('s', parallel => false);
	CREATE FUNCTION check_reads() RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		x int; y int; z int;
	BEGIN
		PERFORM FROM s.a FULL JOIN s.b USING (k) WHERE a.n IS DISTINCT FROM b.n;
		IF FOUND THEN RAISE EXCEPTION 'a and b are of different runs'; END IF;
		SELECT (SELECT n FROM s.a WHERE k = 77), (SELECT n FROM s.b WHERE k = 99), (SELECT n FROM s.c) INTO x, y, z;
		IF x IS DISTINCT FROM y OR y IS DISTINCT FROM z OR x IS NULL THEN
			RAISE EXCEPTION 'runs are mixed: % % %', x, y, z;
		END IF;
		IF (SELECT rows FROM s.c) <> 500 OR (SELECT count(*) FROM s.a) <> 500 THEN
			RAISE EXCEPTION 'rows are missing';
		END IF;
		RETURN x;
	END $$;
});

my %script = (
	check => 'SELECT check_reads();',
	point => q{\set k random(1, 500)
		SELECT 1 / (CASE WHEN (SELECT n FROM s.a WHERE k = :k) = (SELECT n FROM s.b WHERE k = :k) THEN 1 ELSE 0 END);},
	repeatable => q{BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT check_reads() AS seen \gset
		\sleep 5 ms
		SELECT 1 / (CASE WHEN check_reads() = :seen THEN 1 ELSE 0 END);
		SELECT 1 / (CASE WHEN n = :seen THEN 1 ELSE 0 END) FROM s.a WHERE k = 5;
		COMMIT;},
	publish => q{BEGIN;
		UPDATE tick SET n = n + 1;
		SELECT vibepiper.invalidate('s.a');
		SELECT count(*) FROM vibepiper.run('s', parallel => false);
		COMMIT;},
	undo => q{BEGIN;
		UPDATE tick SET n = n + 1;
		SELECT vibepiper.invalidate('s.a');
		SAVEPOINT here;
		SELECT count(*) FROM vibepiper.run('s', parallel => false);
		ROLLBACK TO here;
		SELECT count(*) FROM vibepiper.run('s', parallel => false);
		SELECT check_reads();
		ROLLBACK;});

my %file;
for my $name (keys %script)
{
	$file{$name} = $node->basedir . "/$name.sql";
	PostgreSQL::Test::Utils::append_to_file($file{$name}, $script{$name} =~ s/^\t+//gmr . "\n");
}

# Each ends after so many transactions, whatever the time.
sub pgbench
{
	my ($mode, $clients, $transactions, @files) = @_;
	my @command = ('pgbench', '-n', '-M', $mode, '-c', $clients, '-t', $transactions, '--random-seed=7',
		'-h', $node->host, '-p', $node->port, map({ ('-f', $_) } @files), 'postgres');
	my $output = '';
	return { run => IPC::Run::start(\@command, '<', \undef, '>&', \$output), output => \$output, name => "@files ($mode)" };
}

my @benches = (
	pgbench('prepared', 2, 150, $file{check}),
	pgbench('prepared', 2, 1500, $file{point}),
	pgbench('simple', 1, 500, $file{point}),
	pgbench('prepared', 2, 50, $file{repeatable}),
	pgbench('simple', 1, 60, "$file{publish}\@3", "$file{undo}\@1"));
for my $bench (@benches)
{
	ok($bench->{run}->finish, "$bench->{name} ends well") or diag(${ $bench->{output} });
}

cmp_ok($node->safe_psql('postgres', 'SELECT n FROM s.c'), '>', 10, 'there were publications');
is($node->safe_psql('postgres', 'SELECT n FROM s.c'), $node->safe_psql('postgres', 'SELECT n FROM tick'), 'the last one is read');
for my $asset ('a', 'b', 'c')
{
	is($node->safe_psql('postgres', qq{
		SELECT count(*) FROM ((TABLE s.$asset EXCEPT ALL TABLE vibepiper_def."s.$asset")
			UNION ALL (TABLE vibepiper_def."s.$asset" EXCEPT ALL TABLE s.$asset)) d}), 0, "$asset equals its definition");
}
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_class c FULL JOIN vibepiper.slot s ON s.slot = c.oid
	WHERE (c.relnamespace = 'vibepiper_store'::regnamespace AND c.relkind = 'r' OR c.oid IS NULL)
		AND (s.slot IS NULL OR c.oid IS NULL)}), 0, 'every slot is known');

$node->stop;
done_testing();
