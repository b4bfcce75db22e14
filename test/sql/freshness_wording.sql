-- The objects that the text of a function may mean, wherever the text names them
-- and in whatever way it is quoted
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
CREATE SCHEMA fw_src;
SELECT vibepiper.define_pipeline('fw');
CREATE FUNCTION fw_src.stale() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ': ' || CASE action WHEN 'build' THEN '' ELSE action || ', ' END || reason, ', ' ORDER BY asset), 'nothing')
		FROM vibepiper.plan('fw') WHERE action NOT IN ('cached', 'deferred', 'maybe') $$;
-- serial, so that functions stay prepared in this process
CREATE FUNCTION fw_src.refresh() RETURNS text LANGUAGE sql
	AS $$ SELECT coalesce(string_agg(asset || ' ' || status || CASE status WHEN 'cached' THEN ' (' || reason || ')' ELSE '' END, ', ' ORDER BY asset), 'nothing')
			|| '; then stale: ' || fw_src.stale()
		FROM vibepiper.run('fw', parallel => false) WHERE status <> 'cached' OR reason <> 'fresh' $$;
-- what a statement counts, -1 if a table isn't there
CREATE FUNCTION fw_src.asset(name text, body text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FUNCTION fw_src.%I() RETURNS bigint LANGUAGE plpgsql STABLE AS %L', name,
		'DECLARE n bigint; BEGIN ' || body || ' RETURN n; EXCEPTION WHEN undefined_table THEN RETURN -1; END');
	PERFORM vibepiper.define_asset('fw.' || name, format('SELECT fw_src.%I() AS n', name));
END $$;

-- Schema public, on the path of the session
SHOW search_path;
CREATE FUNCTION public.fw_g(numeric) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION public.fw_f() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fw_g(5); END';
CREATE TYPE public.fw_mood AS ENUM ('good');
CREATE FUNCTION public.fw_moods() RETURNS int LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN array_length(enum_range(NULL::fw_mood), 1); END $$;
CREATE TYPE public.fw_pair AS (a int);
CREATE FUNCTION public.fw_pairs() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN jsonb_populate_record(NULL::fw_pair, '{"a": 1, "b": 2}'); END $$;
SELECT vibepiper.define_asset('fw.functions', 'SELECT public.fw_f() AS n');
SELECT vibepiper.define_asset('fw.labels', 'SELECT public.fw_moods() AS n');
SELECT vibepiper.define_asset('fw.pairs', 'SELECT public.fw_pairs() AS p');
SELECT fw_src.asset('missing', 'SELECT count(*) INTO n FROM fw_missing;');
SELECT fw_src.refresh();
CREATE FUNCTION public.fw_g(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2; END';
SELECT fw_src.stale();
SELECT fw_src.refresh();
CREATE TABLE public.fw_missing ();
SELECT fw_src.stale();
SELECT fw_src.refresh();
ALTER TYPE public.fw_mood ADD VALUE 'bad';
SELECT fw_src.stale();
SELECT fw_src.refresh();
ALTER TYPE public.fw_pair ADD ATTRIBUTE b int;
SELECT fw_src.stale();
SELECT fw_src.refresh();
SELECT f.n AS functions, l.n AS labels, p.p AS pair, m.n AS missing FROM fw.functions f, fw.labels l, fw.pairs p, fw.missing m;
-- a function that the second asset called prepared, in the same process
CREATE FUNCTION public.fw_tax() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION public.fw_tot() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fw_tax() * 10; END';
SELECT vibepiper.define_asset('fw.tot1', 'SELECT fw_tot() AS n');
SELECT vibepiper.define_asset('fw.tot2', 'SELECT fw_tot() + 1 AS n');
SELECT fw_src.refresh();
CREATE OR REPLACE FUNCTION public.fw_tax() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2; END';
SELECT fw_src.stale();
SELECT fw_src.refresh();
-- on a function's own path; one that shadows another; the schema of a role's name, created later
CREATE ROLE fw_role;
CREATE TABLE fw_src.fw_shadowed AS SELECT 1 AS n;
CREATE FUNCTION fw_src.by_own_path() RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = "$user", public, fw_src, pg_temp
	AS 'BEGIN RETURN (SELECT sum(n) FROM fw_shadowed); END';
CREATE FUNCTION fw_src.of_role() RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = "$user", public, pg_temp
	AS 'BEGIN RETURN (SELECT sum(n) FROM fw_of_role); EXCEPTION WHEN undefined_table THEN RETURN -1; END';
ALTER FUNCTION fw_src.of_role() OWNER TO fw_role;
SELECT vibepiper.define_asset('fw.by_own_path', 'SELECT fw_src.by_own_path() AS n');
SELECT vibepiper.define_asset('fw.of_role', 'SELECT fw_src.of_role() AS n');
-- on the asset's, which is fixed when it is defined, whatever the session's is when it is computed
SET search_path = public, fw_src;
CREATE FUNCTION fw_src.fw_path() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT sum(n) FROM fw_shadowed); END';
SELECT vibepiper.define_asset('fw.by_path', 'SELECT fw_path() AS n');
SET search_path = pg_catalog;
SELECT fw_src.refresh();
CREATE TABLE public.fw_shadowed AS SELECT 2 AS n;
SELECT fw_src.stale();
SELECT fw_src.refresh();
CREATE SCHEMA fw_role AUTHORIZATION fw_role;
CREATE TABLE fw_role.fw_of_role AS SELECT 7 AS n;
ALTER TABLE fw_role.fw_of_role OWNER TO fw_role;
SELECT fw_src.stale();
SELECT fw_src.refresh();
RESET search_path;
SELECT o.n AS by_own_path, p.n AS by_path, r.n AS of_role FROM fw.by_own_path o, fw.by_path p, fw.of_role r;
-- on the path of another one that calls it, by a text or a body that was parsed
CREATE SCHEMA fw_far;
CREATE SCHEMA fw_further;
SELECT fw_src.asset('callee', 'SELECT count(*) INTO n FROM fw_of_caller;');
CREATE FUNCTION fw_src.caller() RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = fw_far, pg_temp AS 'BEGIN RETURN fw_src.callee(); END';
CREATE FUNCTION fw_src.parsed_caller() RETURNS bigint LANGUAGE sql STABLE SET search_path = fw_further, pg_temp BEGIN ATOMIC SELECT fw_src.callee(); END;
SELECT vibepiper.define_asset('fw.caller', 'SELECT fw_src.caller() AS n');
SELECT vibepiper.define_asset('fw.parsed_caller', 'SELECT fw_src.parsed_caller() AS n');
SELECT fw_src.refresh();
CREATE TABLE fw_far.fw_of_caller ();
SELECT fw_src.stale();
SELECT fw_src.refresh();
CREATE TABLE fw_further.fw_of_caller ();
SELECT fw_src.stale();
SELECT fw_src.refresh();
SELECT c.n AS caller, p.n AS parsed_caller, e.n AS callee FROM fw.caller c, fw.parsed_caller p, fw.callee e;
-- a function that somebody put among the server's own
CREATE FUNCTION fw_src.of_server() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN fw_of_server(5); END';
CREATE FUNCTION public.fw_of_server(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
SELECT vibepiper.define_asset('fw.of_server', 'SELECT fw_src.of_server() AS n');
SELECT fw_src.refresh();
CREATE FUNCTION pg_catalog.fw_of_server(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2; END';
SELECT fw_src.stale();
SELECT fw_src.refresh();
DROP FUNCTION pg_catalog.fw_of_server;
SELECT vibepiper.drop_asset('fw.of_server');

-- Quotes and escapes
CREATE FUNCTION fw_src.counted(statement text) RETURNS bigint LANGUAGE plpgsql STABLE AS 'DECLARE n bigint; BEGIN EXECUTE statement INTO n; RETURN n; END';
SELECT fw_src.asset('tag', 'EXECUTE $q$SELECT count(*) FROM fw_src.opt1$q$ INTO n;');
SELECT fw_src.asset('tag_before', 'EXECUTE format($q$SELECT count(*) FROM fw_src.%s$q$, $x$opt2$x$) INTO n;');
SELECT fw_src.asset('tag_and_name', 'EXECUTE $q$SELECT count(*) FROM fw_src.opt$3$q$ INTO n;');
SELECT fw_src.asset('tag_after_dollar', 'EXECUTE $q$SELECT count(*) FROM fw_src.opt4$$q$ INTO n;');
SELECT fw_src.asset('escape', $$EXECUTE E'SELECT count(*) FROM\nopt5' INTO n;$$);
SELECT fw_src.asset('escape_in_string', $$EXECUTE E'SELECT fw_src.counted(E\'SELECT count(*) FROM\\tfw_src.\\x6fpt6\')' INTO n;$$);
SELECT fw_src.asset('octal', $$EXECUTE E'SELECT count(*) FROM fw_src.\157pt\067' INTO n;$$);
SELECT fw_src.asset('long_escape', $$EXECUTE E'SELECT count(*) FROM fw_src."\u00f6pt\U00000038\uD83D\uDE00"' INTO n;$$);
SELECT fw_src.asset('doubled', $$SELECT count(*) INTO n FROM fw_src."opt""9";$$);
SELECT fw_src.asset('doubled_in_string', $$EXECUTE 'SELECT count(*) FROM fw_src."opt''""10"' INTO n;$$);
SELECT fw_src.asset('unicode', $$SELECT count(*) INTO n FROM fw_src.U&"opt\0031\+000031";$$);
SELECT fw_src.asset('unicode_string', $$EXECUTE U&'SELECT count(*) FROM fw_src.opt\00312' INTO n;$$);
SELECT fw_src.asset('unicode_escape', $$SELECT count(*) INTO n FROM fw_src.U&"o!!pt!00313" UESCAPE '!';$$);
SELECT fw_src.asset('unicode_in_escape', $$EXECUTE E'SELECT count(*) FROM fw_src.U&"opt\\00314"' INTO n;$$);
SELECT fw_src.asset('long_name', format('SELECT count(*) INTO n FROM fw_src.%s;', repeat('long', 40)));
SELECT fw_src.refresh();
CREATE TABLE fw_src.opt1 ();
SELECT fw_src.stale();
CREATE TABLE fw_src.opt2 ();
SELECT fw_src.stale() LIKE '%fw_src.tag_before() may mean%';
CREATE TABLE fw_src.opt$3 ();
SELECT fw_src.stale() LIKE '%fw_src.tag_and_name() may mean%';
CREATE TABLE fw_src.opt4$ ();
SELECT fw_src.stale() LIKE '%fw_src.tag_after_dollar() may mean%';
SELECT fw_src.refresh();
CREATE TABLE public.opt5 ();
SELECT fw_src.stale();
CREATE TABLE fw_src.opt6 ();
SELECT fw_src.stale() LIKE '%fw_src.escape_in_string() may mean%';
CREATE TABLE fw_src.opt7 ();
SELECT fw_src.stale() LIKE '%fw_src.octal() may mean%';
CREATE TABLE fw_src.U&"\00f6pt8\+01F600" ();
SELECT fw_src.stale() LIKE '%fw_src.long_escape() may mean%';
SELECT fw_src.refresh();
CREATE TABLE fw_src."opt""9" ();
SELECT fw_src.stale();
CREATE TABLE fw_src."opt'""10" ();
SELECT fw_src.stale() LIKE '%fw_src.doubled_in_string() may mean%';
CREATE TABLE fw_src.opt11 ();
SELECT fw_src.stale() LIKE '%fw_src.unicode() may mean%';
CREATE TABLE fw_src.opt12 ();
SELECT fw_src.stale() LIKE '%fw_src.unicode_string() may mean%';
CREATE TABLE fw_src."o!pt13" ();
SELECT fw_src.stale() LIKE '%fw_src.unicode_escape() may mean%';
CREATE TABLE fw_src.opt14 ();
SELECT fw_src.stale() LIKE '%fw_src.unicode_in_escape() may mean%';
SELECT format('CREATE TABLE fw_src.%s ()', repeat('long', 40)) \gexec
SELECT fw_src.stale() LIKE '%fw_src.long_name() may mean%';
SELECT fw_src.refresh();
SELECT t.n AS tag, n.n AS tag_and_name, d.n AS tag_after_dollar, e.n AS escape, es.n AS escape_in_string, o.n AS octal, l.n AS long_escape, q.n AS doubled, s.n AS doubled_in_string,
	u.n AS unicode, us.n AS unicode_string, ue.n AS unicode_escape, ui.n AS unicode_in_escape, ln.n AS long_name
	FROM fw.tag t, fw.tag_and_name n, fw.tag_after_dollar d, fw.escape e, fw.escape_in_string es, fw.octal o, fw.long_escape l, fw.doubled q, fw.doubled_in_string s,
		fw.unicode u, fw.unicode_string us, fw.unicode_escape ue, fw.unicode_in_escape ui, fw.long_name ln;
-- what only looks like an escape
SELECT fw_src.asset('pattern', $$n := length('\d\u12\x\+12\ffff\9\\1\uD83D\uDE0 \xff\xfe\777\U00110000\u0000\0\') + length(U&'\0041'); SELECT n + count(*) INTO n FROM "fw_src"."pattern";$$);
SELECT fw_src.refresh();
CREATE TABLE fw_src.pattern ();
SELECT fw_src.stale();
SELECT fw_src.refresh();

-- Text search, in capitals and without a tsvector
CREATE TEXT SEARCH DICTIONARY fw_src.words (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION fw_src.words (COPY = simple);
CREATE FUNCTION fw_src.in_capitals() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN TO_TSVECTOR('fw_src.words', 'the cats'); END $$;
CREATE FUNCTION fw_src.lexized() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN Ts_Lexize('fw_src.words', 'the'); END $$;
SELECT vibepiper.define_asset('fw.in_capitals', 'SELECT fw_src.in_capitals() AS words');
SELECT vibepiper.define_asset('fw.lexized', 'SELECT fw_src.lexized() AS words');
CREATE FUNCTION fw_src.unaccent(text) RETURNS text LANGUAGE internal STABLE AS 'upper';
SELECT vibepiper.define_asset('fw.unaccented', $$SELECT fw_src.unaccent(i::text) AS word FROM generate_series(1, 2) i$$);
SELECT vibepiper.define_asset('fw.lexized_here', $$SELECT ts_lexize('fw_src.words', 'the') AS words$$);
SELECT fw_src.refresh();
ALTER TEXT SEARCH CONFIGURATION fw_src.words ALTER MAPPING FOR asciiword WITH english_stem;
SELECT fw_src.stale();
SELECT fw_src.refresh();
ALTER TEXT SEARCH DICTIONARY fw_src.words (stopwords = english);
SELECT fw_src.stale();
SELECT fw_src.refresh();
SELECT c.words AS in_capitals, l.words AS lexized, h.words AS lexized_here FROM fw.in_capitals c, fw.lexized l, fw.lexized_here h;

-- A text of so many words that the catalogs are gone through
SELECT vibepiper.drop_pipeline('fw', cascade => true);
SELECT vibepiper.define_pipeline('fw');
CREATE FUNCTION fw_src.many(count int, more text) RETURNS text LANGUAGE sql
	AS $$ SELECT string_agg('w' || i || '$' || i || '(', ' ') || more FROM generate_series(1, count) i $$;
CREATE TYPE fw_src.many_labels AS ENUM ('a');
CREATE OPERATOR fw_src.%%% (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
SELECT fw_src.asset('many', format('/* %s */ n := 0; IF 1 OPERATOR(fw_src.%%%%%%) 1 = 2 THEN n := fw_many(1) + array_length(enum_range(NULL::fw_src.many_labels), 1) + (SELECT count(*) FROM fw_src.many_table); END IF;',
	fw_src.many(3000, '')));
CREATE FUNCTION public.fw_many(numeric) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END';
SELECT fw_src.refresh();
CREATE TABLE fw_src.unnamed ();
SELECT fw_src.stale();
CREATE TABLE fw_src.many_table ();
SELECT fw_src.stale();
SELECT fw_src.refresh();
CREATE FUNCTION public.fw_many(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 2; END';
SELECT fw_src.stale();
SELECT fw_src.refresh();
CREATE OR REPLACE FUNCTION public.fw_many(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 3; END';
SELECT fw_src.stale();
SELECT fw_src.refresh();
ALTER TYPE fw_src.many_labels ADD VALUE 'b';
SELECT fw_src.stale();
SELECT fw_src.refresh();
BEGIN;
DROP OPERATOR fw_src.%%% (int, int);
CREATE OPERATOR fw_src.%%% (FUNCTION = int4mul, LEFTARG = int, RIGHTARG = int);
COMMIT;
SELECT fw_src.stale();
SELECT fw_src.refresh();
SELECT n FROM fw.many;
-- of very many
SELECT fw_src.asset('very_many', format('n := 1; /* %s */', fw_src.many(50000, '')));
SET statement_timeout = '60s';
SELECT fw_src.refresh();
CREATE TABLE public.w50000$50000 ();
SELECT fw_src.stale();
RESET statement_timeout;

RESET vibepiper.progress;
SELECT vibepiper.drop_pipeline('fw', cascade => true);
DROP FUNCTION public.fw_g(numeric), public.fw_g(int), public.fw_f(), public.fw_moods(), public.fw_pairs(),
	public.fw_tax(), public.fw_tot(), public.fw_of_server(int), public.fw_many(int), public.fw_many(numeric);
DROP TYPE public.fw_mood, public.fw_pair;
DROP TABLE public.fw_missing, public.fw_shadowed, public.opt5, public.w50000$50000;
DROP SCHEMA fw, fw_src, fw_far, fw_further, fw_role CASCADE;
DROP ROLE fw_role;
