# pg_dump and restores of every kind: all pipelines and assets come back, read
# as their definitions, are built by the next run, and their script can be run
# again; or the failure says what to do.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->start;

# What is written once and run again after each restore
my $script = q{
	SET client_min_messages = warning;
	SET search_path = src, public;
	SELECT vibepiper.define_pipeline('p', schemas => '{p,"P two"}', publish => 'asset', keep_versions => 3, max_workers => 2,
		settings => '{work_mem=5MB}', description => 'it''s "p"');
	SELECT vibepiper.define_asset('p.a', $$SELECT i, t FROM src.t WHERE i > 0 -- as written$$, indexes => '{UNIQUE (i),(lower(t))}', description => 'described',
		tags => '{x,"y z"}', cache_ttl => '1 mon 2 days 03:04:05', retries => 3, retry_delay => '2 s', timeout => '1 h', settings => '{random_page_cost=2}', hints => 'SeqScan(t)');
	SELECT vibepiper.define_asset('p."B c"', 'SELECT count(*) AS "N n" FROM p.a');
	SELECT vibepiper.define_asset('"P two"."ünï"', $$SELECT current_setting('TimeZone') AS z, current_user AS u, helper() AS h, '2026-01-01 12:00+00'::timestamptz::text AS at, n."N n" FROM p."B c" n$$,
		depends_on => '{p.a}', storage => 'logged', cache => false, on_miss => 'compute');
	SELECT vibepiper.define_asset('p.lazy', 'SELECT * FROM p.a', lazy => true, parallel => false);
	SELECT vibepiper.define_asset('p.' || repeat('long', 15), 'SELECT 1 AS x', on_miss => 'error');
	SET ROLE other_owner;
	SELECT vibepiper.define_pipeline('q');
	SELECT vibepiper.define_asset('q.mine', 'SELECT current_user AS me, i FROM p.a');
	RESET ROLE;
};
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE ROLE other_owner;
	CREATE DATABASE original;
	GRANT CREATE ON DATABASE original TO other_owner;
});
$node->safe_psql('original', q{
	CREATE EXTENSION vibepiper;
	GRANT USAGE ON SCHEMA vibepiper TO other_owner;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO other_owner;
	CREATE SCHEMA src;
	CREATE TABLE src.t AS SELECT i, 't' || i AS t FROM generate_series(1, 10) i;
	CREATE FUNCTION src.helper() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(i) FROM t); END';
	CREATE SCHEMA p;
	GRANT USAGE ON SCHEMA p TO other_owner;
	ALTER DEFAULT PRIVILEGES IN SCHEMA p GRANT SELECT ON TABLES TO other_owner;
	SET TimeZone = 'America/New_York';
} . $script . q{
	SELECT vibepiper.run('p', parallel => false);
	GRANT SELECT ON p.a TO reader;
	GRANT SELECT ("N n") ON p."B c" TO reader;
	CREATE VIEW src.v AS SELECT "N n" FROM p."B c";
	-- the dump makes this view a dummy first, and the true one when the key is there; the next is such a dummy for good
	CREATE TABLE src.keyed (id int PRIMARY KEY, name text);
	INSERT INTO src.keyed VALUES (1, 'one'), (2, 'two');
	SELECT vibepiper.define_asset('p.keyed', 'SELECT k.id, k.name, count(*) AS n FROM src.keyed k GROUP BY k.id');
	SELECT vibepiper.define_asset('p.over_keyed', 'SELECT sum(n) AS n, max(name) AS name FROM p.keyed');
	SELECT vibepiper.define_asset('p.nulls', 'SELECT NULL::int AS x, NULL::text COLLATE "C" AS y');
	-- another's view over the definition, which a dump has before the stub
	GRANT CREATE ON SCHEMA p TO other_owner;
	GRANT USAGE ON SCHEMA vibepiper_def TO other_owner;
	SET ROLE other_owner;
	CREATE VIEW p."A first" AS SELECT * FROM vibepiper.read_asset('vibepiper_def."p.a"'::regclass) AS t(i int, t text);
	RESET ROLE;
	CREATE TABLE src.migrating (x int);
	INSERT INTO src.migrating VALUES (1);
	SELECT vibepiper.define_asset('p.detached', 'SELECT x FROM src.migrating');
	SELECT vibepiper.detach_source('src.migrating');
	CREATE TABLE src.renamed (x int);
	SELECT vibepiper.define_asset('p.followed', 'SELECT x FROM src.renamed');
	ALTER TABLE src.renamed RENAME TO now;
	CREATE SCHEMA z_empty;
	SELECT vibepiper.define_pipeline('empty', schemas => '{z_empty}', on_miss => 'error');
});

my $catalog = q{
	SELECT a.asset, a.pipeline, a.cache, a.cache_ttl, a.lazy, a.parallel, a.storage, a.on_miss, a.indexes, a.settings, a.hints, a.depends_on, a.tags,
		a.retries, a.retry_delay, a.timeout, a.detached_sources, a.description, r.environment
	FROM vibepiper.assets a JOIN vibepiper.asset r ON r.stub = a.asset::regclass ORDER BY a.asset COLLATE "C";
	SELECT pipeline, schemas, assets, max_workers, publish, storage, on_miss, settings, keep_versions, description FROM vibepiper.pipelines ORDER BY 1;
	SELECT * FROM vibepiper.dependencies ORDER BY asset COLLATE "C", upstream;
	SELECT * FROM vibepiper.sources WHERE source <> 'src.migrating' ORDER BY asset COLLATE "C", source;
};
my $owners = q{
	SELECT asset, owner FROM vibepiper.assets ORDER BY asset COLLATE "C";
	SELECT pipeline, owner FROM vibepiper.pipelines ORDER BY 1;
	SELECT has_table_privilege('reader', 'p.a', 'SELECT'), has_column_privilege('reader', 'p."B c"', 'N n', 'SELECT');
};
my $queries = q{SELECT asset, vibepiper.asset_query(asset) FROM vibepiper.assets ORDER BY asset COLLATE "C"};
my $rows = q{
	SELECT * FROM p.a ORDER BY 1; SELECT * FROM p."B c"; SELECT * FROM "P two"."ünï"; SELECT * FROM p.lazy ORDER BY 1;
	SELECT me, count(*) FROM q.mine GROUP BY 1; SELECT * FROM src.v; SELECT * FROM p.keyed ORDER BY 1; SELECT * FROM p.over_keyed; SELECT x IS NULL FROM p.nulls;
};
my %original = map { $_->[0] => $node->safe_psql('original', $_->[1]) } ([ catalog => $catalog ], [ owners => $owners ], [ queries => $queries ], [ rows => $rows ]);
like($original{rows}, qr/America\/New_York/, 'an asset remembers the settings of its definition');

my $file = $node->basedir . '/dump';
my @connect = ('-h', $node->host, '-p', $node->port);
my $databases = 0;

sub new_database
{
	my $name = 'restored_' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0; GRANT CREATE ON DATABASE $name TO other_owner");
	return $name;
}

sub dump_to
{
	my ($target, @options) = @_;
	command_ok([ 'pg_dump', @connect, @options, '-f', $target, 'original' ], "pg_dump @options");
}

# restore_plain DATABASE: by psql, every statement without an error
sub restore_plain
{
	my ($database, $what) = @_;
	command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', @connect, '-d', $database, '-f', $file ], "$what: restore");
}

# check_restored DATABASE, NAME, PARTS: what is as in the original, then that a
# run works and the script finds nothing to change
sub check_restored
{
	my ($database, $what, %expect) = @_;
	for my $part (grep { !/^(has_data|notes|texts|unadopted)$/ } sort keys %expect)
	{
		is($node->safe_psql($database, { catalog => $catalog, owners => $owners, queries => $queries, rows => $rows }->{$part}), $expect{$part}, "$what: $part");
	}
	is($node->safe_psql($database, q{SELECT string_agg(object, ' ') FROM vibepiper.adopt_assets()}), $expect{unadopted} // '', "$what: nothing is left to adopt");
	is($node->safe_psql($database, q{SELECT count(*) FROM vibepiper.versions}), '0', "$what: nothing is stored yet");
	my ($rc, $out, $err) = $node->psql($database, 'SELECT * FROM p.detached');
	like($err, qr/asset p\.detached is detached from src\.migrating/, "$what: what was detached is still") if $expect{notes};
	$node->safe_psql($database, q{SELECT vibepiper.attach_source('src.migrating')}) if $expect{notes};
	my $selection = $expect{notes} ? 'a "B c" "P two"."ünï" detached followed' : 'a "B c" followed';
	is($node->safe_psql($database, qq{SELECT string_agg(DISTINCT status, ' ') FROM vibepiper.run('p', '$selection', parallel => false)}), 'built', "$what: a run builds");
	is($node->safe_psql($database, q{SELECT count(*) FROM p.a}), $expect{has_data} ? '10' : '0', "$what: and what it built is read");
	return unless $expect{notes};
	(my $mine = $script) =~ s/SET ROLE other_owner.*//s;
	my $again = $node->safe_psql($database, "SET TimeZone = 'America/New_York'; " . ($expect{owners} ? $script : $mine));
	is(join(' ', sort grep { $_ ne '' } split /\s*\n\s*/, $again), 'unchanged ' x 5 . 'unchanged', "$what: the script changes nothing") if $expect{texts};
	unlike($again, qr/code|created/, "$what: the script finds the same code");
	is($node->safe_psql($database, q{SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM vibepiper.run('p', 'a "B c"', parallel => false)}), 'cached', "$what: which stays fresh");
}

# The whole database
dump_to($file);
my $dump = slurp_file($file);
unlike($dump, qr/CREATE (UNLOGGED )?TABLE vibepiper_store/, 'versions are not dumped');
like($dump, qr/CREATE VIEW vibepiper_def\."p\.a"/, 'definitions are');
my $database = new_database();
restore_plain($database, 'plain');
check_restored($database, 'plain', %original, has_data => 1, notes => 1, texts => 1);

dump_to("$file.custom", '-Fc');
$database = new_database();
command_ok([ 'pg_restore', '--exit-on-error', '-j', '3', @connect, '-d', $database, "$file.custom" ], 'pg_restore in parallel');
check_restored($database, 'parallel', %original, has_data => 1, notes => 1, texts => 1);
$database = new_database();
command_ok([ 'pg_restore', '--exit-on-error', '--single-transaction', @connect, '-d', $database, "$file.custom" ], 'pg_restore in one transaction');
check_restored($database, 'one transaction', %original, has_data => 1, notes => 1, texts => 1);

# Only the schema: the texts as written are data, the definitions say the same
dump_to($file, '-s');
$database = new_database();
restore_plain($database, 'schema only');
check_restored($database, 'schema only', catalog => $original{catalog}, owners => $original{owners}, has_data => 0, notes => 1);
like($node->safe_psql($database, q{SELECT vibepiper.asset_query('p.followed')}), qr/FROM src\.now/, 'schema only: the query comes from the definition');

# All to the restoring role
dump_to($file, '--no-owner', '--no-acl');
$database = new_database();
restore_plain($database, 'no owner');
check_restored($database, 'no owner', catalog => $original{catalog}, queries => $original{queries}, has_data => 1, notes => 1);
is($node->safe_psql($database, q{SELECT DISTINCT owner FROM vibepiper.assets UNION SELECT owner FROM vibepiper.pipelines}), $node->safe_psql('postgres', 'SELECT current_user'), 'no owner: all belong to who restored');

# Without notes: pipelines and queries come back, options are the defaults
dump_to($file, '--no-comments');
$database = new_database();
restore_plain($database, 'no comments');
(my $others = $original{queries}) =~ s/^p\.nulls\|.*\n//m;
is($node->safe_psql($database, $queries), $others, 'no comments: queries, but of what looks as if its query were to come');
check_restored($database, 'no comments', has_data => 1, unadopted => 'asset p.nulls');
is($node->safe_psql($database, q{SELECT count(*) FROM vibepiper.assets WHERE tags <> '{}' OR cache_ttl IS NOT NULL}), '0', 'no comments: options are the defaults');

my ($rc, $out, $err) = $node->psql($database, 'SELECT * FROM p.detached');
like($err, qr/the definition has no query, since its source is detached/, 'no comments: what was detached is not silently empty');

# Some schemas, with the definitions
my @schemas = map { ('-n', $_) } ('p', '"P two"', 'q', 'src', 'z_empty', 'vibepiper_def');
dump_to($file, @schemas);
$database = new_database();
$node->safe_psql($database, 'CREATE EXTENSION vibepiper; GRANT USAGE ON SCHEMA vibepiper TO other_owner; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO other_owner');
restore_plain($database, 'schemas');
check_restored($database, 'schemas', catalog => $original{catalog}, owners => $original{owners}, rows => $original{rows}, has_data => 1, notes => 1);

# One schema without the definitions: an error that says what is missing
dump_to($file, '-n', 'p');
$database = new_database();
$node->safe_psql($database, 'CREATE EXTENSION vibepiper; CREATE SCHEMA src');
my ($stdout, $stderr);
IPC::Run::run([ 'psql', '-X', '-q', @connect, '-d', $database, '-f', $file ], '>', \$stdout, '2>', \$stderr);
like($stderr, qr/relation "vibepiper_def\.p\.a" does not exist.*HINT:.*vibepiper_def.*adopt_assets/s, 'a stub without its definition: the hint');

# The views first, the pipelines later: adopted by hand
dump_to("$file.custom", '-Fc', @schemas);
$database = new_database();
$node->safe_psql($database, 'CREATE EXTENSION vibepiper');
command_ok([ 'pg_restore', '-l', "$file.custom", '-f', "$file.list" ], 'pg_restore -l');
my $list = slurp_file("$file.list");
my $kept = join("\n", grep { !/(VIEW|COMMENT) vibepiper_def (p|q|empty|VIEW (p|q|empty)) / } split /\n/, $list) . "\n";
isnt($kept, "$list\n", 'some entries are left out');
append_to_file("$file.kept", $kept);
command_ok([ 'pg_restore', '--exit-on-error', @connect, '-L', "$file.kept", '-d', $database, "$file.custom" ], 'a restore without the pipelines');
is($node->safe_psql($database, 'SELECT count(*) FROM vibepiper.assets'), '0', 'no pipelines: no assets');
($rc, $out, $err) = $node->psql($database, 'SELECT * FROM p.a');
like($err, qr/vibepiper_def\."p\.a" is not the definition of an asset.*adopt_assets/s, 'no pipelines: reading says what to do');
like($node->safe_psql($database, q{SELECT detail FROM vibepiper.adopt_assets() WHERE object = 'asset p.a'}), qr/schema "p" belongs to no pipeline/, 'no pipelines: why they are not adopted');
($rc, $out, $err) = $node->psql($database, q{SELECT vibepiper.define_pipeline('p', schemas => '{p,"P two"}'); SELECT vibepiper.define_asset('p.x', 'SELECT * FROM p.a')});
like($err, qr/which is the definition of no asset.*adopt_assets/s, 'no pipelines: defining on top says what to do');
is($node->safe_psql($database, q{SELECT DISTINCT change FROM vibepiper.adopt_assets() WHERE object LIKE 'asset p.%'}), 'adopted', 'with the pipeline they are adopted');
is($node->safe_psql($database, q{SELECT detail FROM vibepiper.adopt_assets()}), 'schema "q" belongs to no pipeline', 'the others not');
is($node->safe_psql($database, 'SELECT count(*) FROM p.a'), '10', 'and read');

# Beside other assets, of which one has the same number
$database = new_database();
$node->safe_psql($database, q{
	CREATE EXTENSION vibepiper;
	SELECT vibepiper.define_pipeline('before');
	SELECT vibepiper.define_asset('before.a', 'SELECT 42 AS x', description => 'was there');
	SELECT vibepiper.run('before', parallel => false);
});
dump_to($file);
restore_plain($database, 'beside others');
is($node->safe_psql($database, q{SELECT x FROM before.a; SELECT state FROM vibepiper.assets WHERE asset = 'before.a'; SELECT vibepiper.asset_query('before.a')}), "42\nfresh\nSELECT 42 AS x", 'beside others: these are as they were');
is($node->safe_psql($database, $rows), $original{rows}, 'beside others: rows');
is($node->safe_psql($database, $queries), "before.a|SELECT 42 AS x\n$original{queries}" =~ s/^(before.a[^\n]*\n)(.*?\n)(p\.)/$2$1$3/sr, 'beside others: queries');
is($node->safe_psql($database, q{SELECT string_agg(DISTINCT status, ' ') FROM vibepiper.run('p', 'a', parallel => false)}), 'built', 'beside others: a run builds');
is($node->safe_psql($database, q{SELECT string_agg(DISTINCT status, ' ') FROM vibepiper.run('before', parallel => false)}), 'cached', 'beside others: others stay fresh');

# Over itself, cleaned up first: all is made anew
$database = new_database();
dump_to($file);
restore_plain($database, 'before cleaning');
dump_to($file, '--clean', '--if-exists');
$node->safe_psql($database, q{SELECT vibepiper.run('p', 'a', parallel => false); INSERT INTO src.t VALUES (99, 'new')});
restore_plain($database, 'clean over itself');
is($node->safe_psql($database, $catalog), $original{catalog}, 'clean: catalog');
is($node->safe_psql($database, 'SELECT count(*) FROM vibepiper.versions'), '0', 'clean: nothing is stored');
is($node->safe_psql($database, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'vibepiper_store'::regnamespace}), '0', 'clean: no slots are left');
is($node->safe_psql($database, q{SELECT DISTINCT status FROM vibepiper.run('p', 'a "B c"', parallel => false)}), 'built', 'clean: a run builds');

# A restore where the same assets are already: every clash is an error, and nothing changes
dump_to($file);
IPC::Run::run([ 'psql', '-X', '-q', @connect, '-d', 'original', '-f', $file ], '>', \$stdout, '2>', \$stderr);
like($stderr, qr/relation "p\.a" already exists|relation "a" already exists/, 'over itself: errors');
is($node->safe_psql('original', $catalog), $original{catalog}, 'over itself: nothing has changed');
is($node->safe_psql('original', $queries), $original{queries}, 'over itself: the texts, too');

# A role that is no superuser restores what is its own
$database = new_database();
$node->safe_psql('postgres', "CREATE ROLE restorer LOGIN; ALTER DATABASE $database OWNER TO restorer");
$node->safe_psql($database, 'CREATE EXTENSION vibepiper; GRANT ALL ON SCHEMA vibepiper_def TO restorer; GRANT USAGE ON SCHEMA vibepiper TO restorer');
dump_to($file, '--no-owner', '--no-acl', @schemas);
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-U', 'restorer', @connect, '-d', $database, '-f', $file ], 'no superuser: restore');
is($node->safe_psql($database, q{SELECT count(*), string_agg(DISTINCT owner::text, ' ') FROM vibepiper.assets}), $node->safe_psql('original', 'SELECT count(*) FROM vibepiper.assets') . '|restorer', 'no superuser: all assets are his');
is($node->safe_psql($database, 'SELECT count(*) FROM p.a'), $node->safe_psql('original', 'SELECT count(*) FROM src.t'), 'no superuser: and read');

command_ok([ 'pg_dumpall', @connect, '-f', "$file.all" ], 'pg_dumpall');
$node->stop;
done_testing();
