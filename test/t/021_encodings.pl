# Names and texts beyond ASCII in databases and clients of other encodings.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('encodings');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'");
$node->start;
for my $encoding (qw(UTF8 LATIN1 SQL_ASCII EUC_JP))
{
	$node->safe_psql('postgres', "CREATE DATABASE \L$encoding\E ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	$node->safe_psql(lc $encoding, q{CREATE EXTENSION vibepiper; SELECT vibepiper.define_pipeline('p')});
}

# A statement in a client's encoding; all bytes are written out
sub run_as
{
	my ($database, $client, $sql) = @_;
	my ($ret, $out, $err) = $node->psql($database, "SET client_encoding = '$client';\n$sql", extra_params => ['--quiet']);
	return $err eq '' ? $out : $err;
}

my %umlaut = (UTF8 => "\xc3\xbc", LATIN1 => "\xfc");

# One name, written by clients of both encodings, is one asset
for my $database (qw(utf8 latin1))
{
	my ($one, $other) = $database eq 'utf8' ? qw(LATIN1 UTF8) : qw(UTF8 LATIN1);
	my ($a, $b) = ($umlaut{$one}, $umlaut{$other});

	is(run_as($database, $one, qq{SELECT vibepiper.define_asset('p.gr${a}n', 'SELECT ''$a'' AS "$a"', tags => '{$a}')}), 'created', "$database: defined by a client in $one");
	is(run_as($database, $other, qq{SELECT vibepiper.define_asset('p.gr${b}n', 'SELECT ''$b'' AS "$b"', tags => '{$b}')}), 'unchanged', 'the same by the other');
	is(run_as($database, $other, qq{SELECT asset || ' ' || status FROM vibepiper.run('p', 'tag:$b gr${b}n', parallel => false)}), qq{p."gr${b}n" built}, 'selected and built');
	is(run_as($database, $one, qq{SELECT "$a" FROM p."gr${a}n"}), $a, 'read');
	is(run_as($database, $other, qq{SELECT vibepiper.asset_query('p.gr${b}n')}), qq{SELECT '$b' AS "$b"}, 'its query');
	like(run_as($database, $other, qq{SELECT vibepiper.asset_query('p.gr${b}m')}), qr/asset "p\.gr${b}m" does not exist\nHINT:  Did you mean "?p\."?gr${b}n"?\?/, 'near names');
	like(run_as($database, $one, qq{SELECT vibepiper.define_asset('p.e', 'SELECT ''$a$a'' AS x, nosuch')}), qr/LINE 1: SELECT '$a$a' AS x, nosuch\n {26}\^/, 'a position counts characters');
	like(run_as($database, $one, qq{SELECT vibepiper.plan('p', '"$a$a$a')}), qr/at position 1\n/, 'in a selection, too');
	like(run_as($database, $one, qq{SELECT vibepiper.plan('p', 'gr${a}n $a?')}), qr/at position 7\nDETAIL:  .*found "\?"/, 'and behind such characters');
}

# What the database's encoding does not have, and what is none of the client's
like(run_as('latin1', 'UTF8', qq{SELECT vibepiper.define_asset('p.\xe2\x82\xac', 'SELECT 1 AS x')}), qr/has no equivalent in encoding "LATIN1"/, 'the euro sign in LATIN1');
like(run_as('utf8', 'UTF8', qq{SELECT vibepiper.define_asset('p.\xfc', 'SELECT 1 AS x')}), qr/invalid byte sequence for encoding "UTF8"/, 'LATIN1 sent as UTF8');
like(run_as('utf8', 'UTF8', q{SELECT vibepiper.define_asset('p.e', E'SELECT ''\xfc'' AS x')}), qr/invalid byte sequence for encoding "UTF8"/, 'by an escape');
like(run_as('utf8', 'UTF8', q{SELECT * FROM vibepiper.define_assets('p', '[{"name": "e", "query": "SELECT ''\u0000'' AS x"}]')}), qr/unsupported Unicode escape sequence/, 'a null character');
like(run_as('latin1', 'UTF8', q{SELECT * FROM vibepiper.define_assets('p', '[{"name": "\u20ac", "query": "SELECT 1 AS x"}]')}), qr/ERROR/, 'the euro sign as an escape in jsonb');
# a message that the client's encoding does not have is still an error of that statement
is(run_as('utf8', 'UTF8', qq{SELECT vibepiper.define_asset('p.\xe2\x82\xac', 'SELECT 1 AS x')}), 'created', 'the euro sign in UTF8');
like(run_as('utf8', 'LATIN1', q{SELECT asset FROM vibepiper.plan('p')}), qr/has no equivalent in encoding "LATIN1"/, 'shown to a client in LATIN1');
is(run_as('utf8', 'UTF8', q{SELECT count(*) FROM vibepiper.assets}), '2', 'nothing else was defined');

# SQL_ASCII takes bytes as they come
my $bytes = "\xfc\xe2\x82";
is(run_as('sql_ascii', 'SQL_ASCII', qq{SELECT vibepiper.define_asset('p."$bytes"', 'SELECT 1 AS "$bytes"', tags => '{$bytes}')}), 'created', 'SQL_ASCII: any bytes');
is(run_as('sql_ascii', 'SQL_ASCII', qq{SELECT status FROM vibepiper.run('p', '"$bytes" tag:$bytes', parallel => false)}), 'built', 'built');
is(run_as('sql_ascii', 'SQL_ASCII', qq{SELECT "$bytes" FROM p."$bytes"}), '1', 'read');
like(run_as('sql_ascii', 'SQL_ASCII', qq{SELECT vibepiper.plan('p', '${bytes}x')}), qr/no asset matches "${bytes}x"\nHINT:  Did you mean p\."$bytes"\?/, 'near names');

# A bytewise search for "*" must not begin within a character
my $kanji = "\xb0\xa1";	# its bytes swapped are a character, too
is(run_as('euc_jp', 'EUC_JP', qq{SELECT vibepiper.define_asset('p."$kanji$kanji"', 'SELECT 1 AS x')}), 'created', 'EUC_JP');
is(run_as('euc_jp', 'EUC_JP', qq{SELECT asset FROM vibepiper.plan('p', '"$kanji"*')}), qq{p."$kanji$kanji"}, 'a pattern');

# Names of the greatest length are cut for the slots and definitions at characters
for my $case (['utf8', 'UTF8', "\xe2\x82\xac" x 21], ['utf8', 'UTF8', "\xc3\xbc" x 31 . 'a'], ['euc_jp', 'EUC_JP', "\xb0\xa1" x 31], ['sql_ascii', 'SQL_ASCII', "\xfc" x 63])
{
	my ($database, $client, $name) = @$case;
	is(run_as($database, $client, qq{SELECT vibepiper.define_asset('p."$name"', 'SELECT 1 AS x', indexes => '{(x)}')}), 'created', "$database: a name of " . length($name) . ' bytes');
	is(run_as($database, $client, qq{SELECT status FROM vibepiper.run('p', '"$name"', parallel => false)}), 'built', 'built');
	is(run_as($database, $client, q{SELECT count(*) FROM pg_class WHERE relname::text <> convert_from(convert_to(relname::text, getdatabaseencoding()::name), getdatabaseencoding()::name)}), '0', 'no half characters');
	like(run_as($database, $client, qq{SELECT vibepiper.define_asset('p."$name$name"', 'SELECT 1 AS x')}), qr/name "p\."$name$name"" is too long\nDETAIL:  A name has at most 63 bytes\./, 'twice that is too long');
}
$node->stop;
done_testing();
