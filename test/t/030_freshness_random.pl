# Random transactions, and a model of what they change.
#
# Several sessions write tables, roll back, prepare, replace functions, alter,
# change definitions and functions back to what they were;
# runs compute a random graph of assets over these tables.  After each run every
# asset equals its query, nothing is stale, and computed was what the model says,
# no more and no less: assets whose tables or functions a transaction changed
# that this run sees and the last one did not, and those that read what was
# computed with other rows.  Computed or, if it had been before, found: an
# earlier version that is right again is published instead.  Crashes may compute
# more; so may more writers of a table than are remembered.
#
# Some runs go on while the sessions write, and whenever a session looks, in
# whatever transaction, what it is told is fresh equals its query in its snapshot.
#
# VIBEPIPER_STRESS_SECONDS is for how long, VIBEPIPER_STRESS_SEED what to repeat.
use strict;
use warnings;
use IPC::Run;
use List::Util qw(any first shuffle uniq);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{VIBEPIPER_STRESS_SECONDS} || 15;
my $seed = $ENV{VIBEPIPER_STRESS_SEED} || int(rand(1_000_000));
srand($seed);
note("seed $seed, $seconds seconds");
sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }

my $node = PostgreSQL::Test::Cluster->new('random');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nmax_prepared_transactions = 10\nmax_worker_processes = 16\nautovacuum = off");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Tables, functions that read them, and assets
my @plain = map { "raw.t$_" } 0 .. 5;
my @leaves = map { "raw.p$_" } 0 .. 3;
my $schema = "CREATE EXTENSION vibepiper; CREATE SCHEMA raw; CREATE TABLE raw.p (k int, v int) PARTITION BY LIST (k);\n";
$schema .= "CREATE TABLE $_ (k int, v int); INSERT INTO $_ SELECT i, i FROM generate_series(0, 3) i;\n" for @plain;
$schema .= "CREATE TABLE raw.p$_ PARTITION OF raw.p FOR VALUES IN ($_); INSERT INTO raw.p$_ VALUES ($_, $_);\n" for 0 .. 3;

my %function_reads;
sub function_body { my ($table, $plus) = @_; return "BEGIN RETURN (SELECT coalesce(sum(v), 0) + $plus FROM $table); END"; }
sub dynamic_body { my ($table, $plus) = @_; return "DECLARE n bigint; BEGIN EXECUTE 'SELECT coalesce(sum(v), 0) + $plus FROM ' || '$table' INTO n; RETURN n; END"; }
my %plus;
for my $i (0 .. 3)
{
	my $name = "raw.f$i";
	$function_reads{$name} = pick(@plain, 'raw.p');
	$plus{$name} = 0;
	$schema .= "CREATE FUNCTION $name() RETURNS bigint LANGUAGE plpgsql STABLE AS \$\$" . ($i % 2 ? function_body($function_reads{$name}, 0) : dynamic_body($function_reads{$name}, 0)) . "\$\$;\n";
}
sql($schema);

my (@assets, %query, %reads, %calls, %upstream);
my $n = 5 + int(rand(36));
my $define = "SELECT vibepiper.define_pipeline('d');\n";
for my $i (0 .. $n - 1)
{
	my $name = "d.a$i";
	my $kind = $i < 3 ? pick(0, 1) : pick(0 .. 4);
	my @from;
	if ($kind == 0)
	{
		$reads{$name} = [ uniq map { pick(@plain, 'raw.p') } 0 .. int(rand(2)) ];
		@from = map { "SELECT count(*) AS c, sum(v) AS s FROM $_" } @{ $reads{$name} };
	}
	elsif ($kind == 1)
	{
		$calls{$name} = [ pick(keys %function_reads) ];
		@from = map { "SELECT 1 AS c, $_() AS s" } @{ $calls{$name} };
	}
	else
	{
		$upstream{$name} = [ uniq map { pick(@assets) } 0 .. int(rand(3)) ];
		@from = map { "SELECT c, s FROM $_" } @{ $upstream{$name} };
	}
	# an early cutoff now and then: less than what is read (what isn't called isn't read)
	my $what = $kind != 1 && chance(0.3) ? 'sum(c)::bigint AS c, 0::bigint AS s' : 'sum(c)::bigint AS c, sum(s)::bigint AS s';
	$query{$name} = "SELECT $what FROM (" . join(' UNION ALL ', @from) . ') x';
	$define .= "SELECT vibepiper.define_asset('$name', \$q\$$query{$name}\$q\$);\n";
	push @assets, $name;
}
sql($define);
# Each asset has two definitions
my %other = map { $_ => 0 } @assets;
sub query_of { my ($asset) = @_; return $other{$asset} ? "SELECT c, s + 1 AS s FROM ($query{$asset}) y" : $query{$asset}; }

# A session: psql, and what its open transaction changed.
my @sessions;
my $marks = 0;
sub open_session
{
	my $s = { in => '', out => '', err => '', open => 0, changed => {}, stack => [] };
	$s->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$s->{in}, '>', \$s->{out}, '2>', \$s->{err}, IPC::Run::timeout(180));
	say_to($s, q{SET vibepiper.progress = off; SET lock_timeout = '100ms'; SET client_min_messages = error});
	return $s;
}

# Returns the output; undef after an error.
sub execute
{
	my ($s, $sql) = @_;
	my $mark = 'mark' . ++$marks;
	($s->{out}, $s->{err}) = ('', '');
	$s->{in} .= "$sql;\n\\echo $mark\n\\warn $mark\n";
	$s->{run}->pump until $s->{out} =~ /^$mark$/m && $s->{err} =~ /^$mark$/m;
	return if $s->{err} =~ /ERROR/;
	return $s->{out} =~ s/^$mark$//mr =~ s/\s+$//r;
}

# The same; an error ends the transaction, and gives back its locks.
sub say_to
{
	my ($s, $sql) = @_;
	my $out = execute($s, $sql);
	return $out if defined $out;
	die "$sql: $s->{err}" unless $s->{err} =~ /lock timeout|deadlock detected|prepared transaction identifier|could not serialize/;
	@$s{qw(open changed stack exclusive)} = (0, {}, [], 0);
	execute($s, 'ROLLBACK');
	return;
}

# How often something changed that a snapshot from before doesn't tell from what is
# now: a TRUNCATE, a definition (here)
my $beyond_snapshots = 0;

# A session that has a run done while the others go on
my $runner;
sub begin_run
{
	my $parallel = pick('true', 'false');
	$runner->{mark} = 'mark' . ++$marks;
	($runner->{out}, $runner->{err}) = ('', '');
	$runner->{in} .= "SELECT count(*) FROM vibepiper.run('d', parallel => $parallel, max_workers => 2);\n\\echo $runner->{mark}\n";
	$runner->{run}->pump_nb while length $runner->{in};
	return;
}
sub has_run { $runner->{run}->pump_nb; return $runner->{out} =~ /^$runner->{mark}$/m; }
sub end_run
{
	$runner->{run}->pump until has_run();
	# no snapshot has the rows before a TRUNCATE
	my @failed = grep { /^(ERROR|DETAIL|\td\.)/m && !/ERROR:  run of pipeline|was rewritten after the run's snapshot/ } split /\n/, $runner->{err};
	die "a run meanwhile: $runner->{err}" if @failed;
	$runner->{mark} = undef;
	return;
}

# What committed transactions changed since the last run: tables, functions.
my %changed;
my %writers;
my %prepared;
# Of these only locks tell what they wrote, perhaps no row
my %outlived_crash;
# What functions and definitions were when they were run last
my %plus_then;
my %other_then = map { $_ => -1 } @assets;
my $more_allowed = 1;
sub commit_changes
{
	my ($changes) = @_;
	$changed{$_} = 1 for keys %$changes;
	$writers{$_}++ for keys %$changes;
	return;
}

sub finish
{
	my ($s, $how) = @_;
	my $changes = $s->{changed};
	return unless $s->{open};
	my $done = say_to($s, $how);
	$beyond_snapshots += $s->{exclusive} // 0;
	commit_changes($changes) if defined $done && $how eq 'COMMIT';
	@$s{qw(open changed stack exclusive)} = (0, {}, [], 0);
	return;
}

sub changes_rows
{
	my ($s, $table, $sql) = @_;
	my $rows = say_to($s, "WITH w AS ($sql RETURNING 1) SELECT count(*) FROM w");
	return unless defined $rows;
	if ($rows > 0)
	{
		if ($s->{open}) { $s->{changed}{$table} = 1; }
		else { commit_changes({ $table => 1 }); }
	}
	return;
}

# What we do ourselves mustn't wait for a session that has truncated a table
sub finish_exclusive
{
	finish($_, pick('COMMIT', 'ROLLBACK')) for grep { $_->{exclusive} } @sessions;
	return;
}

sub redefine
{
	my ($asset) = @_;
	finish_exclusive();
	finish($_, pick('COMMIT', 'ROLLBACK')) for grep { $_->{looked} } @sessions;	# locks of who read the asset
	$other{$asset} = !$other{$asset} || 0;
	$beyond_snapshots++;
	sql("SELECT vibepiper.define_asset('$asset', \$q\$" . query_of($asset) . "\$q\$)");
	return;
}

sub leaf { return pick(0 .. 3); }

sub open_sessions
{
	@sessions = map { open_session() } 1 .. 4;
	$runner = open_session();
	say_to($runner, 'SET lock_timeout = 0');
	return;
}

sub differing { return join(' UNION ALL ', map { "SELECT '$_' WHERE EXISTS ((TABLE $_ EXCEPT ALL (" . query_of($_) . ")) UNION ALL ((" . query_of($_) . ") EXCEPT ALL TABLE $_))" } @_); }

# What is fresh for this session is right, if each statement of it sees the same
my ($looks, $fresh_seen) = (0, 0);
my @lies;
sub look
{
	my ($s) = @_;
	my $open = $s->{open};
	return if $open && ($s->{one_snapshot} ? $s->{began} != $beyond_snapshots : $runner->{mark});
	$s->{looked} = 1;
	return if !$open && !defined say_to($s, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $plan = say_to($s, q{SELECT asset FROM vibepiper.plan('d') WHERE action = 'cached'});
	my @fresh = split /\n/, $plan // '';
	my $wrong = @fresh ? say_to($s, differing(@fresh)) : '';
	if (defined $plan && defined $wrong)
	{
		$looks++;
		$fresh_seen += @fresh;
		push @lies, map { "$_: " . query_of($_) . ($open ? $s->{one_snapshot} ? ' (old snapshot)' : ' (open)' : '') } split /\n/, $wrong;
		say_to($s, 'COMMIT') unless $open;
	}
	return;
}

open_sessions();
my $gid = 0;
my %done;
my @steps = (
	[ 12, begin => sub { my $s = shift; return if $s->{open}; my $begin = pick('BEGIN', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
		defined say_to($s, $begin) and @$s{qw(open one_snapshot began looked)} = (1, $begin =~ /REPEATABLE/, $beyond_snapshots, 0); } ],
	[ 12, look => \&look ],
	[ 10, commit => sub { finish($_[0], 'COMMIT') } ],
	[ 3, rollback => sub { finish($_[0], 'ROLLBACK') } ],
	[ 5, savepoint => sub { my $s = shift; return unless $s->{open}; defined say_to($s, 'SAVEPOINT s') and push @{ $s->{stack} }, { %{ $s->{changed} } }; } ],
	[ 3, rollback_to => sub { my $s = shift; return unless $s->{open} && @{ $s->{stack} };
		my $then = $s->{stack}[-1]; defined say_to($s, 'ROLLBACK TO s') and $s->{changed} = {%$then}; } ],
	[ 2, release => sub { my $s = shift; return unless $s->{open} && @{ $s->{stack} }; defined say_to($s, 'RELEASE s') and pop @{ $s->{stack} }; } ],
	[ 20, insert => sub { my ($s) = @_; my $t = pick(@plain); changes_rows($s, $t, "INSERT INTO $t VALUES (" . leaf() . ', ' . int(rand(9)) . ')'); } ],
	[ 10, update => sub { my ($s) = @_; my $t = pick(@plain); changes_rows($s, $t, "UPDATE $t SET v = v + 1 WHERE k = " . pick(0 .. 6)); } ],
	[ 6, delete => sub { my ($s) = @_; my $t = pick(@plain); changes_rows($s, $t, "DELETE FROM $t WHERE k = " . pick(0 .. 6)); } ],
	[ 8, partition => sub { my ($s) = @_; my $k = leaf(); changes_rows($s, 'raw.p', 'INSERT INTO ' . pick('raw.p', "raw.p$k") . " VALUES ($k, 1)"); } ],
	[ 3, move => sub { my ($s) = @_; changes_rows($s, 'raw.p', 'UPDATE raw.p SET k = (k + 1) % 4 WHERE v = ' . pick(0 .. 5)); } ],
	[ 3, lock => sub { my ($s) = @_; say_to($s, 'SELECT count(*) FROM (SELECT FROM ' . pick(@plain) . ' FOR UPDATE) x'); } ],
	[ 2, truncate => sub { my ($s) = @_; my $t = pick(@plain); defined say_to($s, "TRUNCATE $t") or return;
		$beyond_snapshots++;
		if ($s->{open}) { $s->{changed}{$t} = 1; $s->{exclusive} = 1; } else { commit_changes({ $t => 1 }); } } ],
	[ 3, function => sub { my ($s) = @_; return if $s->{open}; my $f = pick(keys %function_reads); my $new = int(rand(3));
		my $i = $f =~ s/.*f//r;
		my $body = $i % 2 ? function_body($function_reads{$f}, $new) : dynamic_body($function_reads{$f}, $new);
		defined say_to($s, "CREATE OR REPLACE FUNCTION $f() RETURNS bigint LANGUAGE plpgsql STABLE AS \$\$$body\$\$") or return;
		$plus{$f} = $new; } ],
	[ 2, redefine => sub { redefine(pick(@assets)); } ],
	[ 2, unrelated_ddl => sub { my ($s) = @_; return if $s->{open}; say_to($s, pick('CREATE TABLE raw.x (i int); DROP TABLE raw.x', 'COMMENT ON TABLE raw.t0 IS $$x$$', 'CREATE INDEX ON raw.t1 (v)')); } ],
	[ 2, maintain => sub { my ($s) = @_; return if $s->{open}; say_to($s, pick('VACUUM', 'VACUUM FULL', 'ANALYZE', 'REINDEX TABLE') . ' ' . pick(@plain)); } ],
	[ 2, new_partition => sub { my ($s) = @_; return if $s->{open}; say_to($s, 'CREATE TABLE raw.p9 PARTITION OF raw.p FOR VALUES IN (9); DROP TABLE raw.p9'); } ],
	# out and in again: the same rows
	[ 2, exchange => sub { my ($s) = @_; return if $s->{open}; my $k = leaf();
		say_to($s, "BEGIN; ALTER TABLE raw.p DETACH PARTITION raw.p$k; ALTER TABLE raw.p ATTACH PARTITION raw.p$k FOR VALUES IN ($k); COMMIT"); } ],
	[ 4, prepare => sub { my $s = shift; return unless $s->{open} && !$s->{exclusive} && !$s->{looked} && keys %prepared < 5; my $name = 'g' . ++$gid; my $changes = $s->{changed};
		defined say_to($s, "PREPARE TRANSACTION '$name'") and $prepared{$name} = $changes; @$s{qw(open changed stack exclusive)} = (0, {}, [], 0); } ],
	[ 3, commit_prepared => sub { my ($s) = @_; return if $s->{open}; my $name = pick(keys %prepared) or return;
		defined say_to($s, "COMMIT PREPARED '$name'") or return;
		commit_changes(delete $prepared{$name});
		$more_allowed ||= 1 if $outlived_crash{$name}; } ],
	[ 2, rollback_prepared => sub { my ($s) = @_; return if $s->{open}; my $name = pick(keys %prepared) or return;
		defined say_to($s, "ROLLBACK PREPARED '$name'") and delete $prepared{$name}; } ],
	[ 6, run => sub { run_and_check() } ],
	[ 2, run_meanwhile => sub { run_meanwhile() } ],
	# ... and what was changed is as it was, a run later
	[ 2, there_and_back => sub { my $asset = pick(@assets);
		for (1, 2) { redefine($asset); run_and_check(); } } ],
	[ 0.15, restart => sub { end_sessions(); $node->restart; begin_again('restart'); } ],
	# the keeper rebuilds what was lost, and takes what has changed with it
	[ 0.15, crash => sub { end_sessions(); $node->stop('immediate'); $node->start;
		@outlived_crash{ keys %prepared } = (1) x keys %prepared;
		$node->poll_query_until('postgres', q{SELECT (SELECT count(*) FROM vibepiper.assets WHERE state = 'lost') + (SELECT count(*) FROM vibepiper.runs WHERE status = 'running') = 0});
		begin_again('crash'); } ]);

sub end_sessions
{
	finish($_, pick('COMMIT', 'ROLLBACK')) for @sessions;
	for (@sessions, $runner) { $_->{in} .= "\\q\n"; $_->{run}->finish; }
	return;
}

sub begin_again
{
	my ($why) = @_;
	$more_allowed = 2 if $why eq 'crash';	# a clean restart forgets nothing
	open_sessions();
	return;
}

sub rows_published { return map { split /\|/ } split /\n/, sql('SELECT asset, data_hash FROM vibepiper.versions WHERE published'); }

# What it sees of the others' transactions isn't known
my %alone = map { $_ => 1 } qw(run run_meanwhile redefine there_and_back restart crash);
my @others = grep { !$alone{ $_->[1] } } @steps;
sub step
{
	my @among = @_;
	my $total = 0;
	$total += $_->[0] for @among;
	my $roll = rand($total);
	my $step = first { ($roll -= $_->[0]) < 0 } @among;
	$done{ $step->[1] }++;
	return $step->[2]->(pick(@sessions));
}
sub run_meanwhile
{
	begin_run();
	for (1 .. 40)
	{
		step(@others);
		last if has_run() && chance(0.3);
	}
	finish_exclusive();
	end_run();
	look(pick(@sessions)) for 1, 2;
	run_and_check(1);
	return;
}

my ($runs, $wrong, $computed, $reused, $excused) = (0, 0, 0, 0, 0);
sub run_and_check
{
	my ($done_before) = @_;		# by a run of which isn't known what it saw
	finish_exclusive();
	my $parallel = pick('true', 'false');
	my %rows_then = rows_published();
	my %status = map { split /\|/ } split /\n/, sql("SET vibepiper.progress = off; SELECT asset, CASE WHEN status = 'cached' AND reason LIKE '%earlier version%' THEN 'reused' ELSE status END FROM vibepiper.run('d', parallel => $parallel, max_workers => 2)");
	my $more = $more_allowed || any { $writers{$_} > 60 } keys %writers;
	my %rows_now = rows_published();
	my (@missed, @needless);
	$changed{$_} = ($plus_then{$_} // -1) != $plus{$_} for keys %plus;
	%plus_then = %plus;
	for my $asset (@assets)
	{
		my $due = $other_then{$asset} != $other{$asset} || (any { $changed{$_} } @{ $reads{$asset} // [] }) || (any { $changed{$_} || $changed{ $function_reads{$_} } } @{ $calls{$asset} // [] })
			|| (any { ($rows_then{$_} // '') ne ($rows_now{$_} // '') } @{ $upstream{$asset} // [] });
		my $did = $status{$asset} ne 'cached';
		$computed += $did && $status{$asset} ne 'reused';
		$reused += $status{$asset} eq 'reused';
		next if $done_before;
		push @missed, $asset if $due && !$did;
		push @needless, $asset if $did && !$due;
	}
	%other_then = %other;
	$excused += @needless if $more;
	@missed = () if $more_allowed > 1;
	my @differs = split /\n/, sql(differing(@assets));
	my $stale = sql(q{SELECT string_agg(asset || ': ' || reason, ', ') FROM vibepiper.plan('d') WHERE action <> 'cached'});
	$runs++;
	if (@differs || @missed || (@needless && !$more) || $stale ne '')
	{
		$wrong++;
		diag("run $runs, parallel $parallel: differs @differs; missed @missed; needless @needless; stale $stale; changed " . join(' ', sort keys %changed));
		diag("$_: " . query_of($_) . ": " . sql("SELECT coalesce(max(status || ', ' || reason), 'cached') FROM vibepiper.tasks WHERE asset = '$_' AND run_id = (SELECT max(run_id) FROM vibepiper.runs)")) for uniq @missed, @needless;
	}
	%changed = ();
	%writers = ();
	$more_allowed = 0;
	return;
}

run_and_check();
my $end = time() + $seconds;
step(@steps) while time() < $end;
run_and_check();
end_sessions();
is($wrong, 0, "$runs runs of $n assets (seed $seed): computed what had to be, and nothing else");
is(join("\n", @lies), '', "$looks looks of sessions in all kinds of transactions: what was fresh for them was right");
note("fresh for them $fresh_seen; computed $computed, found right $reused, excused $excused; " . join(', ', map { "$_ $done{$_}" } sort keys %done));
$node->stop;
done_testing();
