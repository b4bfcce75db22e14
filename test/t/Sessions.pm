# What tests of several sessions at a time share: start one in the background,
# take what it printed, and wait until something is so.
package Sessions;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_session ended wait_until wait_until_processes_are_gone);

# A psql in the background, known by its application_name, that executes the
# statements one after the other, until one fails.
sub start_session
{
	my ($node, $name, @statements) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . " application_name=$name",
			map { ('-c', $_) } @statements ],
		'<', \undef, '>', \$out, '2>', \$err);
	return { run => $run, out => \$out, err => \$err, name => $name };
}

# Wait for its end; all that it printed, errors last.
sub ended
{
	my ($session) = @_;
	$session->{run}->finish;
	return ${ $session->{out} } . ${ $session->{err} };
}

# Until an SQL condition is true.
sub wait_until
{
	my ($node, $what, $condition) = @_;
	$node->poll_query_until('postgres', "SELECT $condition") or die "never came: $what";
	return;
}

# No leader, no worker.
sub wait_until_processes_are_gone
{
	my ($node) = @_;
	wait_until($node, 'all processes are gone', q{NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type IN ('vibepiper leader', 'vibepiper worker'))});
	return;
}

1;
