# psql: its commands on assets, cursors, COPY, the extended protocol, errors.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Clients;

my $node = PostgreSQL::Test::Cluster->new('psql');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->start;
pipeline_of_runs($node);
$node->safe_psql('postgres', q{
	SELECT vibepiper.define_asset('n.strict', 'SELECT 1 AS x', on_miss => 'error');
	SELECT vibepiper.define_asset('n.described', 'SELECT 1::numeric(8, 2) AS price', description => 'What it costs');
	COMMENT ON COLUMN n.described.price IS 'in euros';
	CREATE ROLE reader;
	GRANT SELECT ON n.a TO reader;
});

# psql as a user starts it, with tables drawn; (exit code, output, errors)
sub psql
{
	my ($script, @options) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-X', @options, '-h', $node->host, '-p', $node->port, '-d', 'postgres' ], '<', \$script, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub output { my ($rc, $out, $err) = psql(@_); return "$out$err" }

# ---- commands that describe

like(output('\d n.a'), qr/^ +View "n\.a"\n.*^ k +\| integer +\|.*^ v +\| text +\|.*^ n +\| integer +\|/ms, '\d shows a view and its columns');
unlike(output('\d n.a'), qr/Indexes|read_asset/, 'without indexes');
my $described = output('\d+ n.described');
like($described, qr/price +\| numeric\(8,2\) +\|.*in euros/, '\d+ shows comments of columns');
like($described, qr/View definition:\n.*vibepiper\.read_asset\('vibepiper_def\."n\.described"'::regclass\)/s, 'and that it reads an asset');
like(output('\dv+ n.*'), qr/ n +\| described +\| view +\| \w+ +\| permanent +\| 0 bytes +\| What it costs/, '\dv+ has the description');
like(output('\dt n.*'), qr/Did not find any (relation|table)s? named "n\.\*"/, '\dt has none');
like(output('\di n.*'), qr/Did not find any (relation|index|indexe)s? named "n\.\*"/, '\di neither');
like(output('\dp n.a'), qr/ n +\| a +\| view +\|.*reader=r/s, '\dp shows the rights');
like(output('\sv n.a'), qr/^CREATE OR REPLACE VIEW n\.a AS\n.*read_asset/s, '\sv shows the view');

# The text of \sv, sent again, changes nothing.
my ($rc, $view) = psql('\sv n.a');
is($node->psql('postgres', $view), 0, 'what \sv shows can be sent again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM n.a'), 200, 'and the asset is as before');

like(output('SELECT k, v AS name, n * 1.5 AS x FROM n.a \gdesc'), qr/ k +\| integer\n name +\| text\n x +\| numeric\n/, '\gdesc');
is(output("SELECT count(*) AS c, max(n) AS m FROM n.a \\gset p_\n\\echo :p_c :p_m"), "200 1\n", '\gset');
is(output("SELECT format('SELECT max(k) FROM n.%I', r) FROM unnest(ARRAY['a', 'b']) r \\gexec", '-Atq'), "200\n200\n", '\gexec');
like(output('\timing on' . "\nSELECT count(*) FROM n.a;"), qr/200.*Time: /s, '\timing');
is(output('SELECT k % 2 AS odd, k % 3 AS third, count(*) FROM n.a GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview', '-Aq', '-P', 'footer=off'),
	"odd|0|1|2\n0|33|33|34\n1|33|34|33\n", '\crosstabview');

# ---- COPY

is(output('COPY (SELECT k, v FROM n.a WHERE k < 3 ORDER BY k) TO STDOUT WITH (FORMAT csv, HEADER)'), "k,v\n1,v1\n2,v2\n", 'COPY of a query');
is(output('\copy (SELECT k, v FROM n.a WHERE k < 3 ORDER BY k) TO STDOUT'), "1\tv1\n2\tv2\n", '\copy of a query');
($rc, my $out, my $err) = psql('\copy n.a TO STDOUT');
like($err, qr/^ERROR:  cannot copy from view "a"\nHINT:  Try the COPY \(SELECT \.\.\.\) TO variant\.\n$/, '\copy of a name is refused, once and with a hint');
is(output("CREATE TEMP TABLE t (k int, v text);\n\\copy t FROM STDIN\n1\tx\n\\.\nSELECT a.v, t.v FROM n.a JOIN t USING (k);", '-Atq'), "v1|x\n", 'with rows from the client');

# ---- cursors: psql fetches by FETCH_COUNT rows

my @fetched = split /\n/, output("\\set FETCH_COUNT 7\nSELECT k, n FROM n.a ORDER BY k;", '-At');
is(scalar(@fetched), 200, 'FETCH_COUNT fetches all rows');
is("$fetched[0] $fetched[199]", '1|1 200|1', 'the first and the last');

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; DECLARE c SCROLL CURSOR FOR SELECT a.k, a.n, b.n FROM n.a JOIN n.b USING (k) ORDER BY k');
is($session->query_safe('FETCH 2 FROM c'), "1|1|1\n2|1|1", 'a cursor');
$node->safe_psql('postgres', 'SELECT src.publish()') for 1 .. 3;
is($session->query_safe('FETCH LAST FROM c'), '200|1|1', 'ends with the run that it began with');
is($session->query_safe('FETCH ABSOLUTE 1 FROM c'), '1|1|1', 'also from the start again');
is($session->query_safe('SELECT a.n, b.n FROM n.a JOIN n.b USING (k) WHERE k = 5'), '4|4', 'another statement sees the newest');
$session->query_safe('COMMIT');

# ---- PREPARE, and the extended protocol

$session->query_safe('PREPARE p (int) AS SELECT a.n, b.n FROM n.a JOIN n.b USING (k) WHERE k = $1');
for my $run (5 .. 12)
{
	$node->safe_psql('postgres', 'SELECT src.publish()');
	is($session->query_safe("EXECUTE p ($run)"), "$run|$run", "a prepared statement sees run $run");
}
is($session->query_safe(q{SELECT generic_plans > 0, generic_plans + custom_plans FROM pg_prepared_statements WHERE name = 'p'}), 't|8', 'with a generic plan in the end');
$session->quit;

my ($version) = `psql --version` =~ /(\d+)/;
SKIP:
{
	if ($version < 16)
	{
		not_run("\\bind: psql $version has none, 16 has");
		skip '\bind needs psql 16', 2;
	}
	is(output('SELECT v, n FROM n.a WHERE k = $1 AND v <> $2 \bind 7 x \g', '-At'), "v7|12\n", '\bind');
	like(output('SELECT v FROM n.a WHERE k = $1 \bind x \g'), qr/^ERROR:  invalid input syntax for type integer: "x"/, '\bind of what is no number');
}

# ---- locks and isolation

my %session = map { $_ => $node->background_psql('postgres', on_error_stop => 0) } 'one', 'two';
$session{one}->query_safe('BEGIN; LOCK TABLE n.a IN EXCLUSIVE MODE');
is($session{two}->query_safe(q{SET lock_timeout = '60s'; SELECT src.publish()}), 13, 'LOCK TABLE of an asset does not hold up a run');
is($session{two}->query_safe('SELECT max(n) FROM n.a'), 13, 'nor a reader');
$session{one}->query_safe('COMMIT');

# Write skew: seen through a table, not seen through an asset.
sub skew
{
	my ($relation) = @_;
	my %outcome = (one => 'committed', two => 'committed');

	for my $query ('BEGIN ISOLATION LEVEL SERIALIZABLE', "SELECT count(*) FROM $relation", q{INSERT INTO src.t VALUES (1000, 'x')}, 'COMMIT')
	{
		for my $who ('one', 'two')
		{
			$session{$who}->query($query);
			$outcome{$who} = 'refused' if $session{$who}->{stderr} =~ /could not serialize/;
			$session{$who}->{stderr} = '';
		}
	}
	return "$outcome{one} $outcome{two}";
}
is(skew('src.t'), 'committed refused', 'SERIALIZABLE notices a conflict through a table');
is(skew('n.a'), 'committed committed', 'and not through an asset of it');
$session{$_}->quit for 'one', 'two';

# ---- errors: once, with their parts

($rc, $out, $err) = psql('SELECT x FROM n.strict;', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose');
is($rc, 3, 'an error ends the script');
is($out, '', 'without a row');
is(() = $err =~ /ERROR:/g, 1, 'it is shown once');
like($err, qr/^ERROR:  55000: asset n\.strict has no stored version\n/, 'with code and name');
like(output('SELECT nothing FROM n.a;'), qr/^ERROR:  column "nothing" does not exist\nLINE 1: SELECT nothing FROM n\.a;\n +\^\n$/, 'a mistake is pointed at');
like(output("SELECT vibepiper.define_asset('n.wrong', 'SELECT nothing FROM src.t');"), qr/LINE 1: SELECT nothing FROM src\.t\n +\^\nQUERY:  SELECT nothing FROM src\.t\n/,
	'in the query of an asset, too');
($rc, $out, $err) = psql("SELECT 1 / (k - 5) FROM n.a;\n\\echo :SQLSTATE :ERROR\nSELECT count(*) FROM n.a;\n\\errverbose", '-At');
is($out, "22012 true\n200\n", 'the session goes on');
like($err, qr/^ERROR:  division by zero\nERROR:  22012: division by zero\n/, '\errverbose shows the error again');
is(output("\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT n FROM n.a WHERE k = 1;\nSELECT x FROM n.strict;\nSELECT n FROM n.a WHERE k = 1;\nCOMMIT;", '-Atq') =~ s/^ERROR.*\n|^HINT.*\n|^DETAIL.*\n//gmr,
	"13\n13\n", 'ON_ERROR_ROLLBACK');

# ---- a cancelled query

like(output("BEGIN;\nSET LOCAL statement_timeout = '50ms';\nSELECT count(*) FROM n.a, n.a b, n.a c, n.a d, n.a e WHERE a.n + b.n + c.n + d.n + e.n < 0;\nROLLBACK;\nSELECT max(n) FROM n.b WHERE k = 1;", '-Atq'),
	qr/^13\nERROR:  canceling statement due to statement timeout\n$/, 'a query that takes too long is cancelled, the next is answered');

$node->stop;
done_testing();
