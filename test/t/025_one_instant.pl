# Parallel runs against writers and readers, at random.
#
# Writers keep moving amounts between two tables, and now and then truncate and
# reload the one or exchange a partition of the other; what both hold together
# never changes, and a tick counts their transactions.  Meanwhile runs of three
# pipelines, one of each publish mode, are forced.  After every run its assets
# agree: in the total, in the tick and in now().  Readers never see two runs
# mixed (but of the pipeline that publishes each asset when it is done), and a
# REPEATABLE READ reader keeps what it saw.
#
# VIBEPIPER_STRESS_SECONDS makes it longer, VIBEPIPER_STRESS_SEED repeats one.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;

my $seconds = $ENV{VIBEPIPER_STRESS_SECONDS} // 15;
my $seed = $ENV{VIBEPIPER_STRESS_SEED} // int(rand(1_000_000));
note("seed $seed, $seconds s");

my $node = PostgreSQL::Test::Cluster->new('one_instant');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'vibepiper'
max_connections = 40
max_worker_processes = 24
max_prepared_transactions = 2
fsync = off
});
$node->start;

$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE SCHEMA src;
	CREATE TABLE src.l (id int PRIMARY KEY, amount bigint);
	INSERT INTO src.l SELECT g, 1000 FROM generate_series(1, 200) g;
	CREATE TABLE src.r (id int, part int, amount bigint) PARTITION BY LIST (part);
	CREATE TABLE src.r1 PARTITION OF src.r FOR VALUES IN (1);
	CREATE TABLE src.r2 PARTITION OF src.r FOR VALUES IN (2);
	INSERT INTO src.r SELECT g, g % 2 + 1, 1000 FROM generate_series(1, 200) g;
	CREATE TABLE src.tick (n bigint);
	INSERT INTO src.tick VALUES (0);
	CREATE TABLE src.rewrites (what text);
	CREATE TABLE src.done (pipeline text, status text, error text);

	-- all lock l, then r, then tick
	CREATE FUNCTION src.move(i int, j int, d int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE src.l SET amount = amount - d WHERE id = i;
		UPDATE src.r SET amount = amount + d WHERE id = j;
		UPDATE src.tick SET n = n + 1;
	END $$;
	CREATE FUNCTION src.reload(d int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE rows src.l[];
	BEGIN
		LOCK src.l;
		rows := (SELECT array_agg(x) FROM src.l x);
		TRUNCATE src.l;
		INSERT INTO src.l SELECT * FROM unnest(rows);
		PERFORM src.move(1, 2, d);
		INSERT INTO src.rewrites VALUES ('reload');
	END $$;
	CREATE FUNCTION src.swap(d int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		LOCK src.l, src.r;
		ALTER TABLE src.r DETACH PARTITION src.r2;
		CREATE TABLE src.r2_new (LIKE src.r2);
		INSERT INTO src.r2_new SELECT * FROM src.r2;
		DROP TABLE src.r2;
		ALTER TABLE src.r2_new RENAME TO r2;
		ALTER TABLE src.r ATTACH PARTITION src.r2 FOR VALUES IN (2);
		PERFORM src.move(3, 3, d);
		INSERT INTO src.rewrites VALUES ('swap');
	END $$;

	-- reads l, whatever happens
	CREATE FUNCTION src.careless() RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN
		RETURN (SELECT sum(amount) FROM src.l);
	EXCEPTION WHEN OTHERS THEN
		RETURN -1;
	END $$;
	CREATE PROCEDURE src.make(name text, mode text) LANGUAGE plpgsql AS $outer$
	BEGIN
		PERFORM vibepiper.define_pipeline(name, publish => mode, keep_versions => 1);
		PERFORM vibepiper.define_asset(name || '.x', 'SELECT sum(amount) AS s, count(*) AS n, (SELECT n FROM src.tick) AS tick, now() AS at FROM src.l');
		PERFORM vibepiper.define_asset(name || '.y', 'SELECT sum(amount) AS s, count(*) AS n, (SELECT n FROM src.tick) AS tick, now() AS at FROM src.r');
		PERFORM vibepiper.define_asset(name || '.w', 'SELECT src.careless() AS s, (SELECT n FROM src.tick) AS tick, now() AS at');
		PERFORM vibepiper.define_asset(name || '.z', format('SELECT x.s + (SELECT sum(amount) FROM src.r) AS total, y.s AS y, (SELECT n FROM src.tick) AS tick, now() AS at FROM %1$I.x, %1$I.y', name));
		-- null: all agree
		EXECUTE format($f$
			CREATE FUNCTION src.wrong_%1$s() RETURNS text LANGUAGE sql AS $$
				SELECT concat_ws(' ', 'x', x, 'y', y, 'z', z, 'w', w) FROM %1$I.x, %1$I.y, %1$I.z, %1$I.w
				WHERE NOT (x.s + y.s = 400000 AND z.total = 400000 AND z.y = y.s AND w.s = x.s AND x.n = 200 AND y.n = 200
					AND x.tick = y.tick AND x.tick = z.tick AND x.tick = w.tick AND x.at = y.at AND x.at = z.at AND x.at = w.at)
			$$ $f$, name);
	END $outer$;
});

$node->safe_psql('postgres', q{
	CALL src.make('p_run', 'run');
	CALL src.make('p_succeeded', 'succeeded');
	CALL src.make('p_asset', 'asset');
	CREATE FUNCTION src.check(wrong text) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		IF wrong IS NOT NULL THEN RAISE EXCEPTION 'a mixture: %', wrong; END IF;
		RETURN 1;
	END $$;
	-- force a run, and look at what is published
	CREATE FUNCTION src.run(name text, workers int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		id bigint; r record; wrong text;
	BEGIN
		id := (SELECT max(run_id) FROM vibepiper.run(name, force => true, max_workers => workers, on_failure => 'report'));
		SELECT status, error INTO r FROM vibepiper.runs WHERE run_id = id;
		IF r.status <> 'succeeded' AND r.error IS DISTINCT FROM 'sources were rewritten under each of its snapshots' THEN
			RAISE EXCEPTION 'run % is %: %, %', id, r.status, r.error, (SELECT string_agg(asset || ' ' || status || ' ' || coalesce(error_message, ''), ', ') FROM vibepiper.tasks WHERE run_id = id);
		END IF;
		IF r.status = 'succeeded' OR name <> 'p_asset' THEN
			EXECUTE format('SELECT src.wrong_%s()', name) INTO wrong;
			PERFORM src.check(wrong);
		END IF;
		INSERT INTO src.done VALUES (name, r.status, r.error);
	END $$;
});
$node->safe_psql('postgres', "SELECT src.run('$_', 2)") for ('p_run', 'p_succeeded', 'p_asset');

my %script = (
	move => q{\set i random(1, 200)
		\set j random(1, 200)
		\set d random(-50, 50)
		SELECT src.move(:i, :j, :d);},
	reload => q{\set d random(-50, 50)
		SELECT src.reload(:d);},
	swap => q{\set d random(-50, 50)
		SELECT src.swap(:d);},
	read => q{SELECT src.check(src.wrong_p_run()), src.check(src.wrong_p_succeeded());},
	repeatable => q{BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT tick AS a FROM p_run.x \gset
		SELECT tick AS b FROM p_asset.y \gset
		\sleep 300 ms
		SELECT 1 / (CASE WHEN x.tick = :a AND z.tick = :a THEN 1 ELSE 0 END) FROM p_run.x, p_run.z;
		SELECT 1 / (CASE WHEN tick = :b THEN 1 ELSE 0 END) FROM p_asset.y;
		SELECT src.check(src.wrong_p_run()), src.check(src.wrong_p_succeeded());
		COMMIT;},
	map({ ("run_$_" => "\\set workers random(2, 4)\nSELECT src.run('p_$_', :workers);") } ('run', 'succeeded', 'asset')));

my %file;
for my $name (keys %script)
{
	$file{$name} = $node->basedir . "/$name.sql";
	append_to_file($file{$name}, $script{$name} =~ s/^\t+//gmr . "\n");
}

sub pgbench
{
	my ($mode, $clients, @files) = @_;
	my @command = ('pgbench', '-n', '-M', $mode, '-c', $clients, '-T', $seconds, "--random-seed=$seed",
		'-h', $node->host, '-p', $node->port, map({ ('-f', $_) } @files), 'postgres');
	my $output = '';
	local $ENV{PGOPTIONS} = '-c vibepiper.progress=off';
	return { run => IPC::Run::start(\@command, '<', \undef, '>&', \$output), output => \$output, name => "@files ($mode)" };
}

my @benches = (
	pgbench('prepared', 3, "$file{move}\@400", "$file{reload}\@1", "$file{swap}\@1"),
	pgbench('simple', 1, $file{run_run}), pgbench('simple', 1, $file{run_succeeded}), pgbench('simple', 1, $file{run_asset}),
	pgbench('prepared', 2, $file{read}), pgbench('simple', 1, $file{read}), pgbench('simple', 2, $file{repeatable}));
for my $bench (@benches)
{
	my $ok = $bench->{run}->finish;
	ok($ok && ${ $bench->{output} } !~ /aborted|ERROR/, "$bench->{name} ends well") or diag("seed $seed\n${ $bench->{output} }");
}

note($node->safe_psql('postgres', q{
	SELECT string_agg(format('%s %s: %s', pipeline, status, n), ', ' ORDER BY pipeline, status) FROM (SELECT pipeline, status, count(*) AS n FROM src.done GROUP BY 1, 2) d}));
note($node->safe_psql('postgres', q{SELECT string_agg(format('%s: %s', what, n), ', ') FROM (SELECT what, count(*) AS n FROM src.rewrites GROUP BY 1) w}));
is($node->safe_psql('postgres', q{SELECT count(DISTINCT pipeline) FROM src.done WHERE status = 'succeeded'}), 3, 'runs of each mode succeeded');
is($node->safe_psql('postgres', q{SELECT count(*) FROM src.done WHERE status <> 'succeeded' AND (SELECT count(*) FROM src.rewrites) < 5}), 0,
	'a run gave up only where tables were rewritten');
is($node->safe_psql('postgres', 'SELECT (SELECT sum(amount) FROM src.l) + (SELECT sum(amount) FROM src.r)'), 400000, 'the writers kept the total');

# The last ones see the last state.
$node->safe_psql('postgres', "SELECT src.run('$_', 4)") for ('p_run', 'p_succeeded', 'p_asset');
is($node->safe_psql('postgres', 'SELECT p_run.x.tick = t.n AND p_asset.z.tick = t.n AND p_succeeded.w.tick = t.n FROM p_run.x, p_asset.z, p_succeeded.w, src.tick t'),
	't', 'runs after the last writer see what it wrote');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.runs WHERE status = 'running'}), 0, 'no run is left running');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_class c FULL JOIN vibepiper.slot s ON s.slot = c.oid
	WHERE (c.relnamespace = 'vibepiper_store'::regnamespace AND c.relkind = 'r' OR c.oid IS NULL)
		AND (s.slot IS NULL OR c.oid IS NULL)}), 0, 'every slot is known');
wait_until_processes_are_gone($node);
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'object'}), 0, 'no lock is left');

# Whose snapshot holds back vacuum, while a task waits at a point?  A prepared
# transaction holds the lock that the point waits for.
for my $consistent ('true', 'false')
{
	$node->safe_psql('postgres', q{BEGIN; SELECT pg_advisory_xact_lock(7617769); PREPARE TRANSACTION 'point';});
	my $run = $node->safe_psql('postgres', qq{
		SET vibepiper.debug_point = 'worker.done=wait';
		SELECT run_id FROM vibepiper.run('p_run', force => true, max_workers => 1, wait => false, consistent => $consistent);});
	$node->poll_query_until('postgres', q{
		SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE l.locktype = 'advisory' AND NOT l.granted AND a.backend_type = 'vibepiper worker')}) or die 'the worker does not come to the point';
	ok($node->poll_query_until('postgres', q{SELECT count(*), count(backend_xmin), count(backend_xid) FROM pg_stat_activity WHERE backend_type = 'vibepiper leader'},
			$consistent eq 'true' ? '1|1|0' : '1|0|0'), "the leader's snapshot, consistent => $consistent");
	$node->safe_psql('postgres', q{COMMIT PREPARED 'point'});
	is($node->safe_psql('postgres', "SELECT vibepiper.wait_run($run)"), 'succeeded', "the run with consistent => $consistent goes on");
}

$node->stop;
done_testing();
