# What the tests of client programs share: is the program there, and where?
package Clients;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(node_pg run_node not_run pgbouncer_version start_pgbouncer stop_pgbouncer start_pgbench pipeline_of_runs);

my $here = dirname(abs_path(__FILE__));

# A part of a test that this machine cannot run; check.sh shows these lines.
sub not_run
{
	diag("not run: @_");
	return;
}

sub runs
{
	my @command = @_;
	my $output = '';
	return eval { IPC::Run::run(\@command, '<', \undef, '>&', \$output, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default)) };
}

# The folder of modules in which node finds "pg": the usual ones, Debian's, or
# one made by npm below the given folder.  Returns (folder), or (undef, why not).
sub node_pg
{
	my ($folder) = @_;

	return (undef, 'node is not installed') unless runs('node', '--version');
	for my $modules ($ENV{NODE_PATH} // '', '/usr/share/nodejs')
	{
		local $ENV{NODE_PATH} = $modules;
		return ($modules) if runs('node', '-e', 'require("pg")');
	}
	return (undef, 'the module pg of node is not installed, and there is no npm to fetch it') unless runs('npm', '--version');
	mkdir $folder;
	local $ENV{NODE_PATH} = "$folder/node_modules";
	runs('npm', 'install', '--silent', '--no-audit', '--no-fund', '--fetch-retries=0',
		'--cache', "$folder/cache", '--prefix', $folder, 'pg');
	return ($ENV{NODE_PATH}) if runs('node', '-e', 'require("pg")');
	return (undef, 'the module pg of node is not installed, and npm could not fetch it');
}

# Run a script of this folder that prints a line of JSON for each check, and
# count its checks as ours.
sub run_node
{
	my ($modules, $script, %env) = @_;
	my ($output, $errors) = ('', '');
	my $finished = 0;

	local %ENV = (%ENV, NODE_PATH => $modules, %env);
	my $ok = IPC::Run::run([ 'node', "$here/$script" ], '<', \undef, '>', \$output, '2>', \$errors);
	require JSON::PP;
	for my $line (split /\n/, $output)
	{
		my $check = JSON::PP::decode_json($line);
		if (exists $check->{finished}) { $finished = 1; next }
		if (exists $check->{not_run}) { not_run($check->{not_run}); next }
		ok($check->{ok}, $check->{name}) or diag("got:    $check->{got}\nwanted: $check->{wanted}");
	}
	ok($ok && $finished, "$script came to its end") or diag($errors);
	return;
}

# (number to compare, text) or nothing.  PGBOUNCER names another program.
sub pgbouncer_version
{
	my $output = '';
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
	my $program = $ENV{PGBOUNCER} // 'pgbouncer';
	eval { IPC::Run::run([ $program, '--version' ], '<', \undef, '>&', \$output) } or return;
	return ($1 * 100 + $2, "$1.$2") if $output =~ /(\d+)\.(\d+)/;
	return;
}

# A pooler in front of the server, as the same user, with a socket in a folder
# of its own.  Returns a node whose sessions go through it; pass it to
# stop_pgbouncer in the end.
sub start_pgbouncer
{
	my ($node, %settings) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $user = getpwuid($<);
	my $log = "$folder/log";
	my $output = '';

	append_to_file("$folder/users", qq("$user" ""\n));
	append_to_file("$folder/ini", join("\n",
		'[databases]', 'postgres = host=' . $node->host . ' port=' . $node->port,
		'[pgbouncer]', 'listen_addr =', "listen_port = $port", "unix_socket_dir = $folder", 'auth_type = trust',
		"auth_file = $folder/users", 'pool_mode = transaction', "logfile = $log", "admin_users = $user",
		map({ "$_ = $settings{$_}" } sort keys %settings)) . "\n");
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
	my $run = IPC::Run::start([ $ENV{PGBOUNCER} // 'pgbouncer', "$folder/ini" ], '<', \undef, '>&', \$output);

	# Its log says when it listens.
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		last if -e $log && slurp_file($log) =~ /process up/;
		BAIL_OUT("pgbouncer ended: $output") unless $run->pumpable;
		select(undef, undef, undef, 0.1);
	}
	return bless { %$node, _host => $folder, _port => $port, pgbouncer => $run }, ref $node;
}

sub stop_pgbouncer
{
	my ($pooled) = @_;
	$pooled->{pgbouncer}->kill_kill;
	return;
}

# pgbench with scripts given as text; returns whether all went well, and its output.
sub start_pgbench
{
	my ($node, $mode, $clients, $transactions, $script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my $output = '';

	append_to_file($file, $script);
	my $run = IPC::Run::start([ 'pgbench', '-n', '-M', $mode, '-c', $clients, '-t', $transactions, '--random-seed=7', '-f', $file,
		'-h', $node->host, '-p', $node->port, 'postgres' ], '<', \undef, '>&', \$output);
	return { run => $run, output => \$output };
}

# A pipeline "n" whose rows say which run they are of: a reads the counter, b
# reads a.  publish() advances the counter and runs.
sub pipeline_of_runs
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{
		CREATE EXTENSION vibepiper;
		CREATE SCHEMA src;
		CREATE TABLE src.t (k int, v text);
		INSERT INTO src.t SELECT g, 'v' || g FROM generate_series(1, 200) g;
		CREATE TABLE src.tick (n int);
		INSERT INTO src.tick VALUES (0);
		SELECT vibepiper.define_pipeline('n', keep_versions => 1);
		SELECT vibepiper.define_asset('n.a', 'SELECT k, v, (SELECT n FROM src.tick) AS n FROM src.t', indexes => '{UNIQUE (k)}');
		SELECT vibepiper.define_asset('n.b', 'SELECT k, v, n FROM n.a', indexes => '{UNIQUE (k)}');
		CREATE FUNCTION src.publish() RETURNS int LANGUAGE plpgsql SET search_path = pg_catalog AS $$
		BEGIN
			UPDATE src.tick SET n = n + 1;
			PERFORM FROM vibepiper.run('n', 'a b', force => true, parallel => false);
			RETURN n FROM src.tick;
		END $$;
		SELECT src.publish();
	});
	return;
}

1;
