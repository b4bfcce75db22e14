# A session that fails, waits, is cancelled or is killed at any named point of a
# run, a publication, a rollback, a purge or a read leaves everything
# consistent: readers get the previous publication, or what the definition says
# where an unlogged version is lost; the catalog fits the relations; and the
# next runs work, with no more slots than without.
use strict;
use warnings;
use File::Basename;
use File::Find;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Misfits;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $run = q{SELECT count(*) FROM vibepiper.run('%s', parallel => false)};
my $rollback = q{SELECT count(*) FROM vibepiper.rollback('%s', (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = '%s' AND run_id
	< (SELECT max(run_id) FROM vibepiper.runs WHERE pipeline = '%s')))};
my $purge = q{SELECT vibepiper.purge('%s', 1)};

# The points, in the order of the source's files.  "does" is the statement that
# comes there, "first" what makes it so, "task" says that it is inside a task,
# whose failure a run can report; "writes" is 0 for what changes nothing, and
# "at_commit" is 1 for where the transaction ends, "after" for where it is
# committed already.  With "nth" it is not the
# first time that the point is reached.
my @points = (
	{ name => 'ring.recorded', does => $run, at_commit => 1 },
	{ name => 'publish.announced', does => $run, at_commit => 1 },
	{ name => 'publish.committed', does => $run, after => 1 },
	{ name => 'run.filled', does => $run, task => 1, nth => 2 },
	{ name => 'run.unchanged', does => $run, task => 1 },
	{ name => 'run.indexed', does => $run, task => 1 },
	{ name => 'run.analyzed', does => $run, task => 1, nth => 2 },
	{ name => 'run.stored', does => $run, task => 1, nth => 2 },
	{ name => 'run.rolled_back', does => $run },
	{ name => 'run.confirmed', does => $run },
	{ name => 'rollback.published', does => $rollback, nth => 2 },
	{ name => 'rollback.started', does => $rollback },
	{ name => 'rollback.recorded', does => $rollback },
	{ name => 'run.computed', does => $run },
	{ name => 'run.published', does => $run },
	{ name => 'run.started', does => $run },
	{ name => 'run.recorded', does => $run },
	{ name => 'miss.computing', does => 'SELECT count(*) FROM %s.lazy', writes => 0 },
	{ name => 'miss.computed', does => 'SELECT count(*) FROM %s.lazy', writes => 0 },
	{ name => 'publish.begun', does => $run, nth => 2 },
	{ name => 'publish.mapped', does => $run, nth => 2 },
	{ name => 'read.mapped', does => 'SELECT count(*) FROM %s.logged', writes => 0 },
	{ name => 'slot.locked', does => $run, task => 1 },
	{ name => 'slot.emptied', does => $run, task => 1, nth => 2 },
	{ name => 'slot.created', does => $run, task => 1, nth => 2, first => $purge },
	{ name => 'slot.forgotten', does => $purge },
	{ name => 'slot.dropped', does => $purge, nth => 2 });

# Points that only parallel runs come to are visited by another test.
my $parallel = '023_run_deaths.pl';
my @elsewhere = slurp_file(dirname(__FILE__) . "/$parallel") =~ /\{ name => '((?:leader|worker)\.\w+)'/g;

# They are all the points that there are.
my @in_source;
find({ no_chdir => 1, wanted => sub {
	return unless /\.c$/;
	push @in_source, slurp_file($_) =~ /\bVP_POINT(?:_COMMITTED)?\("([^"]+)"\)/g;
} }, dirname(__FILE__) . '/../../src');
is(join(' ', sort @in_source), join(' ', sort @elsewhere, map { $_->{name} } @points), "every point of the source is in the table or in that of $parallel, once");
my $key = slurp_file(dirname(__FILE__) . '/../../src/common/point.h') =~ /VP_POINT_LOCK INT64CONST\((\d+)\)/ ? $1 : die 'no key';

my $node = PostgreSQL::Test::Cluster->new('points');
$node->init;
# an autovacuum worker's snapshot would keep slots from being reused
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off\nrestart_after_crash = on\nautovacuum = off");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Chains in pipelines of each kind of publication.  A row carries the tick that
# its version read, so that versions can be told apart.
my @modes = ('run', 'succeeded', 'asset');
sql(q{
	CREATE EXTENSION vibepiper;
	CREATE TABLE src AS SELECT k FROM generate_series(1, 200) k;
	CREATE TABLE tick AS SELECT 0 AS n;
	CREATE FUNCTION zone() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('TimeZone'); END $$;
});
for my $p (@modes)
{
	sql(qq{
		SELECT vibepiper.define_pipeline('p_$p', schemas => '{$p}', publish => '$p');
		SELECT vibepiper.define_asset('$p.base', 'SELECT k, (SELECT n FROM public.tick) AS n FROM public.src', indexes => '{UNIQUE (k),"(n, k)"}');
		SELECT vibepiper.define_asset('$p.logged', 'SELECT k, n, (SELECT string_agg(md5(k::text || n || i), '''') FROM generate_series(1, 150) i) AS big
			FROM $p.base', storage => 'logged', indexes => '{(k)}');
		SELECT vibepiper.define_asset('$p.total', 'SELECT n, count(*) AS rows, sum(k) AS keys, sum(length(big)) AS bytes FROM $p.logged GROUP BY n');
		SELECT vibepiper.define_asset('$p.still', 'SELECT count(*) AS rows FROM $p.base', storage => 'logged');
		SELECT vibepiper.define_asset('$p.empty', 'SELECT k FROM $p.base WHERE n < 0');
		SELECT vibepiper.define_asset('$p.lazy', 'SELECT public.zone() AS zone, k FROM public.src', lazy => true);
	});
}

# What readers of a pipeline get.  Waiting for a lock is an error here.
sub reading
{
	my ($p) = @_;
	my $ticks = sub { return "(SELECT string_agg(DISTINCT n::text, ' and ') || ' x ' || count(*) FROM $_[0])" };
	return sql(qq{
		SET lock_timeout = '1ms';
		SELECT 'base ' || @{[ $ticks->("$p.base") ]}, 'logged ' || @{[ $ticks->("$p.logged") ]},
			'total ' || (SELECT concat_ws(' ', n, rows, keys, bytes) FROM $p.total), 'still ' || (SELECT rows FROM $p.still),
			'empty ' || (SELECT count(*) FROM $p.empty);
		SET enable_seqscan = off;
		SELECT 'by index ' || (SELECT n FROM $p.base WHERE k = 7) || ' ' || (SELECT n FROM $p.logged WHERE k = 7);
	});
}

# The same, where base was computed at one tick and what reads it at others.
sub expected
{
	my ($base, $logged, $total) = @_;
	return "base $base x 200|logged $logged x 200|total $total 200 20100 960000|still 200|empty 0\nby index $base $logged";
}

# Files of relations that no catalog knows: PostgreSQL leaves those of
# transactions that a crash ended.
sub orphans
{
	return sql(q{
		SELECT count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = current_database())) f
		WHERE f ~ '^\d+(_init)?$' AND pg_filenode_relation(0, split_part(f, '_', 1)::oid) IS NULL});
}

sub tick
{
	return sql(q{UPDATE tick SET n = n + 1 RETURNING n});
}

# A run that is said to have work to do.
sub renew
{
	my ($p) = @_;
	sql("SELECT vibepiper.invalidate('$p.base', downstream => false); " . sprintf($run, "p_$p"));
	return;
}

# What a run would compute, besides what follows a setting.
sub stale
{
	my ($p) = @_;
	return sql(qq{SELECT string_agg(asset || ': ' || reason, ', ' ORDER BY asset) FROM vibepiper.plan('p_$p') WHERE action <> 'cached' AND asset <> '$p.lazy'});
}

sub slots { return sql(q{SELECT max(n) FROM (SELECT count(*) AS n FROM vibepiper.slot GROUP BY asset_id) s}); }

# Something to lose: a publication (there are older ones), and what the point needs.
# Returns the published tick; the definitions' is the next.
sub prepare
{
	my ($p, $point) = @_;
	my $published = tick();

	renew($p);
	sql(sprintf($point->{first}, "p_$p")) if $point->{first};
	tick();
	sql("SELECT vibepiper.invalidate('$p.base', downstream => false)");
	return $published;
}

sub statement
{
	my ($p, $point) = @_;
	my $name = $point->{does} =~ /vibepiper/ ? "p_$p" : $p;
	return $point->{does} =~ s/%s/$name/gr;
}

sub setting
{
	my ($point, $action) = @_;
	return "SET vibepiper.debug_point = '$point->{name}" . ($point->{nth} ? "#$point->{nth}" : '') . "=$action'";
}

my $steady;
for my $round (1 .. 5)
{
	tick();
	renew($_) for @modes;
}
$steady = slots();
cmp_ok($steady, '<=', 3, 'slots of an asset, when nothing happens');
is(sql($misfits), '', 'all fits at the start');

sub after_next_runs
{
	my ($p, $what) = @_;

	for (1 .. 2)
	{
		my $now = tick();
		renew($p);
		is(reading($p), expected($now, $now, $now), "$what: the next run is read");
		is(stale($p), '', "$what: and fresh");
	}
	is(sql($misfits), '', "$what: and all fits");
	cmp_ok(slots(), '<=', $steady, "$what: no more slots than without");
	return;
}

# An error, plain, in a savepoint before another try, and in a run that reports
for my $i (0 .. $#points)
{
	my $point = $points[$i];
	my $p = $modes[ $i % @modes ];
	my $what = "error at $point->{name} ($p)";
	my $old = prepare($p, $point);
	my $statement = statement($p, $point);
	my $arm = setting($point, 'error');
	my $stale = stale($p);
	my ($rc, $out, $err) = $node->psql('postgres', "$arm;\n$statement");

	if ($point->{after})
	{
		is($rc, 0, "$what: an error is impossible, it is committed");
		is(reading($p), expected($old + 1, $old + 1, $old + 1), "$what: and read");
		next;
	}
	like($err, qr/ERROR:.*(point "$point->{name}" was reached|assets failed\s+DETAIL:.*point "$point->{name}" was reached)/s, "$what: the statement fails");
	is(reading($p), expected($old, $old, $old), "$what: as before");
	is(stale($p), $stale, "$what: and as stale as before");
	is(sql($misfits), '', "$what: all fits");

	my $now = $point->{does} eq $run ? $old + 1 : $old;
	my $try = $point->{at_commit} ? "$arm;\nBEGIN;\n$statement;\nCOMMIT;\nSET vibepiper.debug_point = '';\n$statement;" :
		"BEGIN;\nSAVEPOINT s;\n$arm;\n$statement;\nROLLBACK TO s;\nSELECT 'in between: ' || n FROM $p.total;\nSET vibepiper.debug_point = '';\n"
		. ($point->{does} eq $run ? "$statement;\n" : '') . "COMMIT;";
	($rc, $out, $err) = $node->psql('postgres', $try, on_error_stop => 0);
	is(() = $err =~ /ERROR/g, 1, "$what: one error in a transaction that tries again") or diag($err);
	like($out, qr/^in between: $old$/m, "$what: between the tries it reads what was there") unless $point->{at_commit};
	is(reading($p), expected($now, $now, $now), "$what: the second try is published");
	is(stale($p), '', "$what: and fresh") if $point->{does} eq $run;
	is(sql($misfits), '', "$what: and all fits");

	if ($point->{task})
	{
		$old = prepare($p, $point);
		$out = sql("$arm;\n" . ($statement =~ s/count\(\*\)/string_agg(split_part(asset, '.', 2) || ' ' || status, ', ' ORDER BY asset)/r
				=~ s/parallel => false/parallel => false, on_failure => 'report'/r));
		my ($failed) = $out =~ /(\w+) failed/ or diag("nothing failed: $out");
		my %new = map { $_ => 1 } $p eq 'run' ? () : $out =~ /(\w+) built/g;
		is(reading($p), expected(map { $new{$_} ? $old + 1 : $old } ('base', 'logged', 'total')), "$what: reported as $out");
		is(sql($misfits), '', "$what: all fits then");
	}
	after_next_runs($p, $what);
}

# psql on its own, with these statements
sub start
{
	my ($name, @statements) = @_;
	my $psql = { name => $name, out => '', err => '' };
	$psql->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), map { ('-c', $_) } ("SET application_name = '$name'", @statements) ],
		'<', \undef, '>', \$psql->{out}, '2>', \$psql->{err});
	return $psql;
}

# True when it waits for a lock of this kind.
sub waits_for
{
	my ($psql, $kind) = @_;
	return $node->poll_query_until('postgres', qq{
		SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$psql->{name}' AND wait_event_type = 'Lock' AND wait_event = '$kind'});
}

# Other sessions look while this one waits at the point; then it is cancelled
my $holder = $node->background_psql('postgres');
$holder->set_query_timer_restart();
for my $i (0 .. $#points)
{
	my $point = $points[$i];
	my $p = $modes[ ($i + 1) % @modes ];
	my $what = "waiting at $point->{name} ($p)";
	my $old = prepare($p, $point);
	my $repeatable = $node->background_psql('postgres');
	my $ticks = "SELECT DISTINCT b.n || ' ' || l.n FROM $p.base b JOIN $p.logged l USING (k)";

	is($repeatable->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; $ticks"), "$old $old", "$what: before");
	$holder->query_safe("SELECT pg_advisory_lock($key)");
	my $waiter = start('waiter', setting($point, 'wait'), statement($p, $point));
	ok(waits_for($waiter, 'advisory'), "$what: it does") or diag($waiter->{err});
	is($repeatable->query_safe($ticks), "$old $old", "$what: an old snapshot still reads the same");
	is(sql($misfits), '', "$what: all fits");
	if ($point->{after})
	{
		# a commit is visible just before its locks on the new indexes go
		my $reader = start('reader', $ticks);
		ok(waits_for($reader, 'relation'), "$what: who sees the new publication waits for the end of the commit");
		sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiter'});
		ok(waits_for($waiter, 'advisory'), "$what: a commit can't be cancelled");
		$holder->query_safe("SELECT pg_advisory_unlock($key)");
		$waiter->{run}->finish;
		$reader->{run}->finish;
		is($waiter->{err}, '', "$what: it goes on");
		is($reader->{out}, ($old + 1) . ' ' . ($old + 1) . "\n", "$what: and the reader has the new publication");
	}
	else
	{
		is(reading($p), expected($old, $old, $old), "$what: others read on, as before");
		sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiter'});
		$waiter->{run}->finish;
		like($waiter->{err}, qr/canceling statement due to user request/, "$what: cancelled");
		$holder->query_safe("SELECT pg_advisory_unlock($key)");
		is(reading($p), expected($old, $old, $old), "$what: nothing came of it");
	}
	is($repeatable->query_safe("$ticks; COMMIT"), "$old $old", "$what: the old snapshot to its end");
	$repeatable->quit;
	after_next_runs($p, $what);
}
$holder->quit;

# A crash
for my $i (0 .. $#points)
{
	my $point = $points[$i];

	# what is published when differs with the kind of publication
	for my $p ($point->{name} =~ /^(publish\.mapped|publish\.committed|run\.published)$/ ? @modes : $modes[ ($i + 2) % @modes ])
	{
		my $what = "crash at $point->{name} ($p)";
		my $old = prepare($p, $point);
		my $log = -s $node->logfile;
		my ($rc, $out, $err) = $node->psql('postgres', setting($point, 'crash') . ";\n" . statement($p, $point));

		is($rc, 2, "$what: the connection is lost") or diag($err);
		$node->wait_for_log(qr/was terminated by signal 9/, $log);
		$node->wait_for_log(qr/database system is ready to accept connections/, $log);
		my $now = tick();
		my $published = $point->{after} ? $old + 1 : $old;
		is(reading($p), expected($now, $published, $published), "$what: logged versions are there, of unlogged ones the definition's rows");
		is(sql($misfits), '', "$what: all fits");
		is(sql(qq{SELECT string_agg(split_part(asset, '.', 2), ' ' ORDER BY asset) FROM vibepiper.assets WHERE pipeline = 'p_$p' AND state = 'lost'}),
			'base total', "$what: the states say what is lost");
		renew($p);
		is(reading($p), expected($now, $now, $now), "$what: a run rebuilds it");
		after_next_runs($p, $what);
		renew($_) for grep { $_ ne $p } @modes;
	}
}
note('files of relations that no catalog knows: ' . orphans());

$node->stop;
done_testing();
