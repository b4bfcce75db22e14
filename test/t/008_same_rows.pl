# The same rows whichever way: what a definition gives does not depend on who
# reads it, with which settings, nor on whether its rows are stored, lost, or
# on a standby.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1, extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'vibepiper'\nvibepiper.keeper = off\nmax_locks_per_transaction = 512\nautovacuum = off\njit = off");
$node->start;

# What this server has.
my $version = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;
my $icu = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'});
my $perl = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'plperl'});
my $xml = ($node->psql('postgres', q{SELECT xmlparse(CONTENT '<a/>')}))[0] == 0;
my $locale = $node->safe_psql('postgres', q{SELECT coalesce(min(collcollate), 'C') FROM pg_collation
	WHERE collprovider = 'c' AND collcollate NOT IN ('C', 'POSIX') AND collencoding IN (-1, 6)});
note("ICU: $icu, PL/Perl: $perl, XML: " . ($xml ? 1 : 0) . ", locale: $locale");

# Three roles, each with a schema of its own that has what the others' have, and
# settings that differ in all that can be seen.
my %settings = (
	owner => [ 'search_path = mine, raw', "TimeZone = 'America/New_York'", "DateStyle = 'SQL, DMY'", 'IntervalStyle = sql_standard',
		'extra_float_digits = 0', 'bytea_output = escape', 'default_text_search_config = english', 'xmlbinary = hex' ],
	reader => [ 'search_path = theirs, raw', "TimeZone = 'Asia/Kolkata'", "DateStyle = 'German'", 'IntervalStyle = iso_8601',
		'extra_float_digits = 3', 'bytea_output = hex', 'default_text_search_config = simple', 'quote_all_identifiers = on',
		'xmlbinary = base64', 'xmloption = document', 'array_nulls = off', 'transform_null_equals = on', "lc_monetary = '$locale'",
		"lc_numeric = '$locale'", "lc_time = '$locale'", "timezone_abbreviations = 'Australia'", 'row_security = off', 'enable_seqscan = off',
		'enable_hashagg = off', 'standard_conforming_strings = off', 'escape_string_warning = off', "plpgsql.extra_errors = 'all'" ],
	super => [ 'search_path = ours, pg_catalog, raw', "TimeZone = 'Pacific/Chatham'", "DateStyle = 'Postgres, MDY'", 'IntervalStyle = postgres_verbose',
		'extra_float_digits = -5', 'bytea_output = hex', 'default_text_search_config = german', 'row_security = off', 'enable_sort = off',
		'standard_conforming_strings = off', 'escape_string_warning = off', 'backslash_quote = on', 'plpgsql.variable_conflict = use_column' ]);

sub as
{
	my ($server, $role, $sql) = @_;
	# 19 has only standard-conforming strings
	my @settings = grep { $version < 19 || !/^(standard_conforming_strings|escape_string_warning) / } @{ $settings{$role} };
	my $set = join '', map { "SET $_;\n" } @settings;
	my ($rc, $out, $err) = $server->psql('postgres', "$set$sql", on_error_stop => 0, extra_params => [ '-U', $role ]);
	return ($out, $err);
}

my $shadows = q{
	CREATE FUNCTION %1$s.f(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '%1$s ' || $1 $$;
	CREATE FUNCTION %1$s.g(int) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN '%1$s ' || f($1); END $$;
	CREATE FUNCTION %1$s.plus(int, int) RETURNS text LANGUAGE sql AS $$ SELECT '%1$s ' || $1 + $2 $$;
	CREATE OPERATOR %1$s.@+@ (LEFTARG = int, RIGHTARG = int, FUNCTION = %1$s.plus);
	CREATE FUNCTION %1$s.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT '%1$s' $$;
	CREATE TABLE %1$s.who AS SELECT '%1$s' AS who;
	GRANT USAGE ON SCHEMA %1$s TO PUBLIC;
	GRANT SELECT ON %1$s.who TO PUBLIC;
};
$node->safe_psql('postgres', q{
	CREATE EXTENSION vibepiper;
	CREATE ROLE owner LOGIN;
	CREATE ROLE reader LOGIN;
	CREATE ROLE super LOGIN SUPERUSER;
	GRANT CREATE ON DATABASE postgres TO owner;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO owner;
	CREATE SCHEMA mine AUTHORIZATION owner;
	CREATE SCHEMA theirs;
	CREATE SCHEMA ours;
	CREATE SCHEMA raw AUTHORIZATION owner;
	GRANT USAGE ON SCHEMA raw TO PUBLIC;
	CREATE TABLE raw.secret AS SELECT * FROM (VALUES ('owner', 1), ('reader', 2), ('super', 3), ('postgres', 4)) v(who, x);
	ALTER TABLE raw.secret ENABLE ROW LEVEL SECURITY;
	CREATE POLICY by_role ON raw.secret USING (who = current_user);
	CREATE TABLE raw.zoned AS SELECT name AS zone FROM pg_timezone_names WHERE name IN ('America/New_York', 'Asia/Kolkata', 'UTC');
	ALTER TABLE raw.zoned ENABLE ROW LEVEL SECURITY;
	CREATE POLICY by_zone ON raw.zoned USING (zone = current_setting('TimeZone'));
	GRANT SELECT ON raw.secret, raw.zoned TO PUBLIC;
} . join('', map { sprintf($shadows, $_) } 'mine', 'theirs', 'ours'));
$node->safe_psql('postgres', q{ALTER FUNCTION mine.f OWNER TO owner; ALTER FUNCTION mine.g OWNER TO owner});
$node->safe_psql('postgres', q{CREATE COLLATION raw.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)}) if $icu;
$node->safe_psql('postgres', q{CREATE EXTENSION plperl;
	CREATE FUNCTION raw.perl(int) RETURNS text LANGUAGE plperl STABLE AS $$ my $r = spi_exec_query("SELECT current_user || f($_[0]) AS x"); return $r->{rows}[0]{x}; $$}) if $perl;

my ($out, $err) = as($node, 'owner', q{
	SET search_path = raw, mine;
	CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
	ALTER TYPE mood ADD VALUE 'angry' BEFORE 'ok';
	CREATE TYPE pair AS (at timestamptz, day date);
	CREATE DOMAIN zoned_text AS text CHECK (VALUE <> current_setting('TimeZone'));
	CREATE FUNCTION to_pair(timestamptz) RETURNS pair LANGUAGE sql STABLE AS $$ SELECT ROW($1, $1::date)::raw.pair $$;
	CREATE CAST (timestamptz AS pair) WITH FUNCTION to_pair(timestamptz);
	CREATE TABLE t AS SELECT id, '2026-03-08 05:30:00+00'::timestamptz + id * interval '7 hours 13 minutes' AS ts,
		timestamp '2026-03-08 01:30' + id * interval '1 hour' AS tn, date '2026-04-05' + id AS d, make_interval(months => id, secs => id * 1.5) AS i,
		id / 3.0::float8 AS f, (id / 7.0)::float4 AS f4, decode('00ff41' || lpad(to_hex(id), 2, '0'), 'hex') AS b, (id * 12.345)::numeric::money AS m,
		id * 1234.5678 AS n, (ARRAY['Éclair', 'zebra', 'Apple', 'apple', 'b_ta', 'select', 'running dogs', 'Z', 'the cats'])[id % 9 + 1] AS txt,
		(ARRAY['sad', 'ok', 'happy', 'angry'])[id % 4 + 1]::mood AS e, ROW('2026-03-08 05:30+00'::timestamptz, date '2026-01-02')::pair AS c,
		tstzrange('2026-03-08 05:30+00', '2026-03-08 05:30+00'::timestamptz + id * interval '1 day') AS r, ('10.0.' || id || '.1/24')::inet AS ip,
		point(id / 3.0, id) AS p, ARRAY[id, NULL, 3] AS a, '0' || id % 9 + 1 || '-02-2026' AS us, '1-' || id % 9 || ' 3 4:05' AS iv
		FROM generate_series(1, 24) id;
	CREATE VIEW plain AS SELECT id, ts::date AS day, current_user AS who FROM t;
	CREATE VIEW invoker WITH (security_invoker) AS SELECT * FROM secret;
	CREATE FUNCTION sql_stable(timestamptz) RETURNS text LANGUAGE sql STABLE AS $$ SELECT $1::text || f(1) $$;
	CREATE FUNCTION sql_set(timestamptz) RETURNS text LANGUAGE sql STABLE SET TimeZone = 'UTC' AS $$ SELECT $1::text || current_setting('DateStyle') $$;
	CREATE FUNCTION sql_body(timestamptz) RETURNS text LANGUAGE sql STABLE RETURN $1::text || mine.f(2);
	CREATE FUNCTION sql_rows(int) RETURNS TABLE (x text) LANGUAGE sql STABLE AS $$ SELECT current_user || g || f(g) FROM generate_series(1, $1) g $$;
	CREATE FUNCTION liar(timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT to_char($1, 'HH24:MI') $$;
	CREATE FUNCTION pl(timestamptz) RETURNS text LANGUAGE plpgsql STABLE AS $$
		DECLARE who text; BEGIN SELECT w.who INTO who FROM who w; RETURN who || $1 || f(3) || current_user || current_setting('IntervalStyle'); END $$;
	CREATE FUNCTION pl_text(text) RETURNS text LANGUAGE plpgsql STABLE AS $$
		DECLARE x text; BEGIN x := 'a\nb' || '\\'; RETURN x || length(x) || ($1 = NULL)::text; END $$;
	CREATE FUNCTION pl_dynamic() RETURNS text LANGUAGE plpgsql STABLE AS $$
		DECLARE x text; BEGIN EXECUTE 'SELECT lower(who) || ''\n'' || now() - now() FROM who' INTO x; RETURN x; END $$;
	CREATE FUNCTION definer() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$ BEGIN RETURN current_user || f(4); END $$;
	CREATE FUNCTION as_caller() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_user || current_schema(); END $$;
	CREATE FUNCTION own_sum(text, timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT $1 || to_char($2, 'HH24') $$;
	CREATE AGGREGATE hours(timestamptz) (SFUNC = own_sum, STYPE = text, INITCOND = '');
	CREATE FUNCTION window_sees() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT sum(x) FROM secret); END $$;
});
is($err, '', 'the sources are made');

# The definitions.
my %query = (
	tz_date => 'SELECT id, ts::date AS x FROM t',
	tz_timestamp => 'SELECT id, ts::timestamp AS x, tn::timestamptz AS y FROM t',
	tz_char => q{SELECT id, to_char(ts, 'YYYY-MM-DD HH24:MI TZ OF') AS x, to_char(ts, 'TMMonth TMDay') AS y, to_char(i, 'HH24 MM') AS z FROM t},
	tz_trunc => q{SELECT id, date_trunc('day', ts) AS x, extract(hour FROM ts) AS y, date_part('dow', ts) AS z FROM t},
	tz_text => 'SELECT id, ts::text AS x, tn::text AS y, d::text AS z FROM t',
	tz_compare => 'SELECT id, ts > d AS x, ts < tn AS y, d = ts::date AS z FROM t',
	tz_add => q{SELECT id, ts + interval '1 day' AS x, ts - interval '1 month' AS y, age(ts, '2000-01-01') AS z FROM t},
	tz_literal => q{SELECT timestamptz '2026-07-01 01:30' AS x, date '03-04-2026' AS y, interval '1-2 3' AS z, timestamptz '2026-01-01 10:00 EST' AS w},
	tz_now => q{SELECT timestamptz 'now' AS x, date 'today' AS y, timestamp 'yesterday' AS z},
	tz_make => q{SELECT id, make_timestamptz(2026, 3, 8, id % 24, 30, 0) AS x, to_timestamp(us, 'DD-MM-YYYY') AS y, to_timestamp(id) AS z FROM t},
	tz_at => q{SELECT id, ts AT TIME ZONE 'Asia/Tokyo' AS x, timezone('UTC', tn) AS y, ts::timetz AS z FROM t},
	tz_series => q{SELECT g AS x FROM generate_series(timestamptz '2026-03-06 00:00', timestamptz '2026-03-12 00:00', interval '1 day') g},
	tz_abbreviation => q{SELECT ('2026-01-01 10:00 ' || z)::timestamptz AS x FROM (VALUES ('EST'), ('UTC'), ('CST')) v(z)},
	date_in => q{SELECT id, us::date AS x, to_date(us, 'DD-MM-YYYY') AS y FROM t},
	interval_in => 'SELECT id, iv::interval AS x, i::text AS y FROM t',
	float_text => 'SELECT id, f::text AS x, f4::text AS y, f::numeric AS z, p::text AS w FROM t',
	bytea_text => q{SELECT id, b::text AS x, encode(b, 'escape') AS y FROM t},
	out_bytea => 'SELECT id, textin(byteaout(b)) AS x FROM t',
	out_float => 'SELECT id, textin(float8out(f)) AS x, textin(float4out(f4)) AS y, textin(point_out(p)) AS z FROM t',
	out_others => 'SELECT id, textin(interval_out(i)) AS x, textin(date_out(d)) AS y, textin(cash_out(m)) AS z FROM t',
	money_text => q{SELECT id, m::text AS x, m::numeric AS y, (id || '.5')::money AS z, to_char(n, 'L9G999D99') AS w FROM t},
	to_text => q{SELECT id, format('%s %s %I', ts, f, txt) AS x, concat(d, i, b) AS y, concat_ws('-', ts, d) AS z, ts || '' AS w FROM t},
	quoting => q{SELECT id, quote_ident(txt) AS x, quote_literal(ts) AS y, quote_nullable(f) AS z FROM t},
	regs => q{SELECT 't'::regclass::text AS x, to_regclass('who')::oid AS y, 'f(int)'::regprocedure::text AS z, pg_typeof(e)::text AS w FROM t WHERE id = 1},
	json => 'SELECT id, to_json(ts)::text AS x, json_build_object(d, ts)::text AS y, row_to_json(t)::text AS z, to_jsonb(i) AS w, jsonb_build_array(f, ts, b) AS v FROM t',
	json_agg => 'SELECT json_agg(ts ORDER BY id)::text AS x, jsonb_object_agg(id, ts) AS y, json_object_agg(id, d ORDER BY id)::text AS z FROM t',
	json_path => q{SELECT id, jsonb_path_query_tz(to_jsonb(to_char(tn, 'YYYY-MM-DD"T"HH24:MI:SS')), '$.datetime() ? (@ < "2026-03-08T12:00:00+00".datetime())') AS x,
		jsonb_path_exists('["2026-01-01"]', '$[*].datetime()') AS y FROM t},
	json_record => q{SELECT (json_populate_record(NULL::pair, '{"at": "2026-01-01 10:00", "day": "03-04-2026"}')).*},
	array_text => q{SELECT id, ARRAY[ts]::text AS x, array_to_string(ARRAY[d], ',') AS y, a::text AS z, ('{a,NULL,' || id || '}')::text[] AS w FROM t},
	text_search => q{SELECT id, to_tsvector(txt) AS x, plainto_tsquery(txt) AS y, to_tsvector('english', txt) AS z, ts_headline(txt, 'dog') AS w, txt @@ 'cat' AS v FROM t},
	collate_c => q{SELECT id, txt COLLATE "C" < 'b' AS x, txt COLLATE "C" ~* '^[a-z]+$' AS y, upper(txt COLLATE "C") AS z, txt ILIKE 'B\_%' AS w FROM t},
	collate_ucs => q{SELECT id, txt COLLATE ucs_basic < 'b' AS x, initcap(txt COLLATE ucs_basic) AS y FROM t},
	order_limit => 'SELECT txt, id FROM t ORDER BY txt COLLATE "C", id LIMIT 5',
	order_default => 'SELECT txt, id FROM t ORDER BY txt, id OFFSET 3 LIMIT 5',
	names => 'SELECT current_user AS x, current_role AS y, user AS z, current_schema() AS w, current_catalog AS v',
	schemas => 'SELECT current_schemas(true) AS x, current_schema AS y',
	a_setting => q{SELECT name AS x, current_setting(name) AS y FROM (VALUES ('TimeZone'), ('DateStyle'), ('search_path'), ('bytea_output')) v(name)},
	privileges => q{SELECT has_table_privilege('t', 'SELECT') AS x, has_schema_privilege(current_user, 'theirs', 'CREATE') AS y, pg_has_role('owner', 'USAGE') AS z},
	sql_inlined => 'SELECT id, f(id) AS x FROM t',
	sql_stable => 'SELECT id, sql_stable(ts) AS x FROM t',
	sql_set => 'SELECT id, sql_set(ts) AS x FROM t',
	sql_body => 'SELECT id, sql_body(ts) AS x FROM t',
	sql_rows => 'SELECT id, r.x FROM t, sql_rows(id % 3) r',
	sql_liar => 'SELECT id, liar(ts) AS x FROM t',
	plpgsql => 'SELECT id, pl(ts) AS x, g(id) AS y FROM t',
	plpgsql_text => 'SELECT id, pl_text(txt) AS x, pl_dynamic() AS y FROM t',
	definer => 'SELECT definer() AS x, as_caller() AS y',
	inner_security => 'SELECT window_sees() AS x',
	operator => 'SELECT id, id @+@ 1 AS x FROM t',
	shadowed => 'SELECT id, lower(txt) AS x FROM t',
	own_table => 'SELECT who AS x FROM who',
	own_cast => 'SELECT id, ts::pair AS x FROM t',
	io_cast => 'SELECT id, e::text AS x, ip::text AS y, r::text AS z, c::text AS w, p::text AS v FROM t',
	domain => q{SELECT id, (txt || id)::zoned_text AS x, CASE WHEN id < 0 THEN 'Asia/Kolkata'::text::zoned_text END AS y FROM t},
	enum => 'SELECT e AS x, count(*) AS y, min(id) AS z FROM t GROUP BY e ORDER BY e DESC LIMIT 2',
	enum_range => q{SELECT enum_range(NULL::mood)::text AS x, max(e) AS y, greatest('ok'::mood, min(e)) AS z FROM t},
	composite => 'SELECT id, c AS x, (c).day AS y, ROW(ts, d)::text AS z FROM t',
	whole_row => 'SELECT t AS x, t::text AS y FROM t',
	ranges => q{SELECT id, r AS x, lower(r)::date AS y, r @> '2026-03-10 00:00'::timestamptz AS z, r * tstzrange('2026-03-09', '2026-03-11') AS w FROM t},
	inet => 'SELECT id, host(ip) AS x, abbrev(ip) AS y, set_masklen(ip, 16) AS z, network(ip) AS w FROM t',
	row_security => 'SELECT who AS x, x AS y FROM secret',
	row_security_setting => 'SELECT zone AS x FROM zoned',
	row_security_joined => 'SELECT t.id, (SELECT sum(x) FROM secret) AS x FROM t WHERE EXISTS (SELECT FROM zoned)',
	view => 'SELECT id, day AS x, who AS y FROM plain',
	view_invoker => 'SELECT who AS x, x AS y FROM invoker',
	sub_select => 'SELECT id, (SELECT max(ts)::date FROM t u WHERE u.id <= t.id) AS x FROM t WHERE ts::date IN (SELECT ts::date FROM t WHERE id % 2 = 0)',
	window => 'SELECT id, rank() OVER (PARTITION BY ts::date ORDER BY id) AS x, lag(ts::text) OVER (ORDER BY id) AS y FROM t',
	aggregate => 'SELECT hours(ts ORDER BY id) AS x, min(ts::text) AS y, string_agg(d::text, f(id) ORDER BY id) AS z FROM t',
	ordered_set => 'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ts::time) AS x, mode() WITHIN GROUP (ORDER BY ts::date) AS y,
		rank(timestamptz \'2026-03-10 00:00\') WITHIN GROUP (ORDER BY ts) AS z FROM t',
	values_list => q{VALUES (1, timestamptz '2026-01-01', current_user), (2, '03-04-2026', 'x')},
	recursive => q{WITH RECURSIVE r(at, n) AS (SELECT timestamptz '2026-03-07 12:00', 1 UNION ALL SELECT at + interval '1 day', n + 1 FROM r WHERE n < 5)
		SELECT at AS x, at::text AS y, n AS z FROM r},
	lateral => 'SELECT id, l.* FROM t, LATERAL (SELECT ts::date AS x, f(t.id) AS y) l',
	grouping_sets => 'SELECT ts::date AS x, e AS y, count(*) AS n, grouping(ts::date, e) AS g FROM t GROUP BY GROUPING SETS ((ts::date), (e), ())',
	set_operations => 'SELECT ts::date AS x FROM t EXCEPT SELECT d FROM t UNION ALL (SELECT d FROM t INTERSECT SELECT ts::date + 28 FROM t)',
	sample => 'SELECT id, ts::date AS x FROM t TABLESAMPLE BERNOULLI (50) REPEATABLE (7)',
	srf => q{SELECT id, unnest(ARRAY[ts::text, d::text]) AS x, generate_series(1, 2) AS y FROM t},
	regexp_srf => q{SELECT id, (regexp_matches(txt, '[a-z]', 'g'))[1] AS x, regexp_split_to_table(ts::text, ' ') AS y FROM t},
	distinct_on => 'SELECT DISTINCT ON (ts::date) ts::date AS x, id AS y FROM t ORDER BY ts::date, id',
	ordinality => 'SELECT id, u.x, u.o AS y FROM t, unnest(ARRAY[ts::date, d]) WITH ORDINALITY u(x, o)',
	cte => 'WITH a AS MATERIALIZED (SELECT id, ts::date AS x FROM t) SELECT a.id, a.x, b.x AS y FROM a JOIN a b ON b.id = a.id + 1',
	outer_join => 'SELECT t.id, u.id AS x, u.ts::date AS y FROM t LEFT JOIN t u ON u.d = t.ts::date + 30',
	null_equals => 'SELECT id, nullif(id, 3) = NULL AS x, coalesce(nullif(ts::date, d), d) AS y FROM t',
	harmless => 'SELECT id, n * 2 AS x, upper(txt) AS y, tn + interval \'1 day\' AS z, a[1] AS w FROM t WHERE n > 5000');
$query{icu} = q{SELECT id, txt COLLATE "und-x-icu" < 'b' AS x, txt COLLATE ci = 'APPLE' AS y, rank() OVER (ORDER BY txt COLLATE "und-x-icu", id) AS z FROM t} if $icu;
$query{icu_distinct} = q{SELECT x, count(*) AS y FROM (SELECT upper(txt) COLLATE ci AS x FROM t) s GROUP BY x} if $icu;
$query{perl} = 'SELECT id, perl(id) AS x FROM t' if $perl;
$query{xml} = q{SELECT id, xmlforest(ts, f, b)::text AS x, xmlelement(name a, d)::text AS y, (xpath('/a/text()', xmlparse(CONTENT '<a>' || ts || '</a>')))[1]::text AS z FROM t} if $xml;
$query{xml_table} = q{SELECT x.* FROM t, xmltable('/r/v' PASSING xmlparse(DOCUMENT '<r><v>' || us || '</v></r>') COLUMNS x date PATH '.') x} if $xml;
$query{xml_in} = q{SELECT id, ('<a/>' || repeat('<b/>', id % 2))::xml::text AS x FROM t WHERE id < 3} if $xml;
# each by itself: one that depends on settings would hide the others
my %sql_json = (
	16 => [ "JSON_OBJECT('a': ts, 'b': d)", 'JSON_ARRAY(ts, d)', 'JSON_ARRAYAGG(ts)' ],
	17 => [ 'JSON_SCALAR(ts)', q{JSON_VALUE('["04-05-2026"]', '$[0]' RETURNING date)}, q{JSON_QUERY('["04-05-2026 10:00"]', '$[0]' RETURNING timestamptz OMIT QUOTES)},
		q{JSON_EXISTS('["2026-03-08"]', '$[*] ? (@.datetime() < $x)' PASSING d AS x)} ]);
for my $since (grep { $version >= $_ } sort keys %sql_json)
{
	$query{ lc($_) =~ s/\(.*//r } = "SELECT id, $_ AS x FROM t" . (/AGG/ ? ' GROUP BY id' : '') for @{ $sql_json{$since} };
}
my @names = sort keys %query;
cmp_ok(scalar @names, '>=', 40, 'definitions: ' . scalar @names);

# Each as an unlogged asset, as a logged one, through one that reads it; and as
# an ordinary view, to see that it is nasty.
my $definitions = q{SELECT vibepiper.define_pipeline('same', schemas => '{n,l,d}'); CREATE SCHEMA v;};
for my $name (@names)
{
	$definitions .= "SELECT vibepiper.define_asset('n.$name', \$vp\$$query{$name}\$vp\$);\n"
		. "SELECT vibepiper.define_asset('l.$name', \$vp\$$query{$name}\$vp\$, storage => 'logged');\n"
		. "SELECT vibepiper.define_asset('d.$name', 'SELECT x.* FROM n.$name x');\n"
		. "CREATE VIEW v.$name AS $query{$name};\n";
}
# both definitions are made in the same transaction: 'now' is the same
($out, $err) = as($node, 'owner', "BEGIN;\n$definitions;\nGRANT USAGE ON SCHEMA n, l, d, v TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA n, l, d, v TO PUBLIC; COMMIT;");
is($err =~ s/\n.*//sr, '', 'all are defined') or BAIL_OUT('no definitions');

# Rows of each as bytes that no setting changes.
sub hashes
{
	my ($server, $role, @schemas) = @_;
	my $sql = '';
	my %hash;

	for my $schema (@schemas)
	{
		for my $name (@names)
		{
			$sql .= "\\echo >> $schema.$name\n\\warn >> $schema.$name\nSELECT count(*) || ' ' || pg_catalog.md5(pg_catalog.string_agg(h, '' ORDER BY h COLLATE \"C\"))"
				. " FROM (SELECT pg_catalog.md5(pg_catalog.record_send(t)) AS h FROM $schema.$name AS t) s;\n";
		}
	}
	my ($out, $err) = as($server, $role, $sql);
	$hash{$1} = $2 while $out =~ /^>> (\S+)\n(\d+ \w{32})$/mg;
	$hash{$1} //= $2 while $err =~ /^>> (\S+)\n(?!>>)(.*)/mg;
	return \%hash;
}

# The rows that a run stores are the measure.  Whoever runs it.
my %seen;
$seen{'before the first run'}{$_} = hashes($node, $_, 'n', 'l', 'd') for keys %settings;
($out, $err) = as($node, 'super', q{SELECT count(*) FROM vibepiper.run('same', parallel => false) WHERE status <> 'built'});
is("$out$err", '0', 'all are built') or BAIL_OUT('nothing is stored');
my $stored = hashes($node, 'owner', 'n', 'l', 'd');
$seen{'stored'}{$_} = hashes($node, $_, 'n', 'l', 'd') for keys %settings;

$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$seen{'on a standby'}{$_} = hashes($standby, $_, 'n', 'l', 'd') for keys %settings;
$standby->stop;

$node->stop('immediate');
$node->start;
$seen{'after a crash'}{$_} = hashes($node, $_, 'n', 'l', 'd') for keys %settings;
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.assets WHERE state = 'lost'}), 2 * @names, 'all unlogged ones were lost');
($out, $err) = as($node, 'owner', q{SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SELECT count(*) FROM vibepiper.run('same', parallel => false, force => true) WHERE status NOT IN ('built', 'unchanged')});
is("$out$err", '0', 'another run, under other settings');
is($node->safe_psql('postgres', q{SELECT count(*) FROM vibepiper.tasks WHERE status = 'built' AND asset LIKE 'l.%' AND run_id = (SELECT max(run_id) FROM vibepiper.runs)}), '0',
	'computes the same rows');
$seen{'after the next run'}{$_} = hashes($node, $_, 'n', 'l', 'd') for keys %settings;

for my $name (@names)
{
	my @different;
	my $measure = $stored->{"n.$name"};

	for my $when (sort keys %seen)
	{
		for my $role (sort keys %settings)
		{
			push @different, map { my $h = $seen{$when}{$role}{"$_.$name"} // 'nothing'; $h eq $measure ? () : "$when, $role, $_.$name: $h" } ('n', 'l', 'd');
		}
	}
	like($measure, qr/^[1-9]\d* \w{32}$/, "$name: it has rows");
	is(join("\n", @different), '', "$name: the same rows whichever way");
}

# As views, most of these differ from reader to reader: what is tested is not
# trivially so.
my %as_view = map { $_ => hashes($node, $_, 'v') } keys %settings;
my @nasty = grep { $as_view{reader}{"v.$_"} ne $as_view{owner}{"v.$_"} || $as_view{super}{"v.$_"} ne $as_view{owner}{"v.$_"} } @names;
cmp_ok(scalar @nasty, '>', 50, 'definitions that would differ if they were views: ' . scalar @nasty);
note('the same even as views: ' . join(' ', grep { my $n = $_; !grep { $_ eq $n } @nasty } @names));
for my $name (@names)
{
	# these ask the search_path, which begins with the pipeline's schemas
	next if $name =~ /^(a_setting|definer|names|schemas)$/;
	is($as_view{owner}{"v.$name"}, $stored->{"n.$name"}, "$name: what is stored is what the owner's view gives");
}

$node->stop;
done_testing();
