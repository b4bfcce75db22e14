-- Reading assets that have no stored version.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE SCHEMA miss_src;
SET search_path = miss_src, public;
CREATE TABLE src (id int PRIMARY KEY, grp int, at timestamptz, s text, n float8);
INSERT INTO src SELECT i, i % 5, '2024-03-01 00:00+00'::timestamptz + i * interval '5 hours', 'Wort ' || i, i / 7.0
	FROM generate_series(1, 100) i;
ANALYZE src;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		CONTINUE WHEN line ~ 'Window:';
		RETURN NEXT regexp_replace(line, '_\d+_\d+', '_#', 'g');
	END LOOP;
END $$;
SELECT vibepiper.define_pipeline('miss');

-- Definitions of PostgreSQL's immutable functions are planned with the reader's query.
SELECT vibepiper.define_asset('miss.plain', 'SELECT id, grp, s FROM miss_src.src WHERE id <= 50', indexes => '{(id)}');
SELECT vibepiper.define_asset('miss.sums', 'SELECT grp, count(*) AS n, sum(id) AS ids FROM miss.plain GROUP BY grp');
SELECT plan_of('SELECT s FROM miss.plain WHERE id = 7');
SELECT plan_of('SELECT * FROM miss.sums WHERE grp < 3');
SELECT s FROM miss.plain WHERE id = 7;
SELECT * FROM miss.sums ORDER BY grp;
-- others are computed as the owner, once per statement
CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 2 * $1; END $$;
CREATE SEQUENCE calls;
CREATE FUNCTION counted(int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM nextval('miss_src.calls'); RETURN $1; END $$;
SELECT vibepiper.define_asset('miss.called', 'SELECT miss_src.counted(id) AS id, miss_src.twice(id) AS twice FROM miss_src.src WHERE id <= 10');
SELECT plan_of('SELECT * FROM miss.called WHERE id = 3');
SELECT * FROM miss.called WHERE id = 3;
SELECT nextval('calls');
SELECT count(*) FROM miss.called a JOIN miss.called b USING (id) JOIN miss.called c USING (id) WHERE c.id IN (SELECT id FROM miss.called);
SELECT nextval('calls');
-- also when its reader is missing and computed, too
SELECT vibepiper.define_asset('miss.reader', 'SELECT a.id, miss_src.twice(b.twice) AS four FROM miss.called a JOIN miss.called b USING (id)');
SELECT sum(four), (SELECT count(*) FROM miss.called) FROM miss.reader;
SELECT nextval('calls');
-- LATERAL and correlated reads compute once
SELECT sum(x) FROM generate_series(1, 3) g, LATERAL (SELECT g * twice AS x FROM miss.called WHERE id = g) l;
SELECT nextval('calls');
SELECT sum((SELECT twice FROM miss.called c WHERE c.id = g)) FROM generate_series(1, 20) g;
SELECT nextval('calls');
-- every statement by itself; rows are those of its snapshot
DO $$
DECLARE a int; b int;
BEGIN
	SELECT count(*) INTO a FROM miss.called;
	INSERT INTO miss_src.src VALUES (0, 0, now(), 'zero', 0);
	SELECT count(*) INTO b FROM miss.called;
	RAISE WARNING '% then %, inlined %', a, b, (SELECT count(*) FROM miss.plain);
	DELETE FROM miss_src.src WHERE id = 0;
END $$;
SELECT nextval('calls');

-- Cursors keep what they computed.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT * FROM miss.called ORDER BY id;
DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT * FROM miss.called UNION ALL SELECT id, grp FROM miss.plain WHERE id < 3;
FETCH 2 FROM c;
DELETE FROM src WHERE id < 5;
SELECT count(*) FROM vibepiper.run('miss', parallel => false);
FETCH 2 FROM c;
FETCH FIRST FROM c;
MOVE FORWARD ALL IN h;
FETCH -1 FROM h;
SELECT count(*) FROM miss.called;
ROLLBACK;
BEGIN;
DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT * FROM miss.called ORDER BY id;
COMMIT;
FETCH LAST FROM h;
FETCH FIRST FROM h;
CLOSE h;

-- The same rows for everybody: before and after the run, whatever the reader's
-- role and settings are.
CREATE ROLE miss_owner;
CREATE ROLE miss_reader;
GRANT CREATE ON DATABASE :DBNAME TO miss_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO miss_owner;
GRANT USAGE ON SCHEMA miss_src TO miss_owner;
GRANT SELECT ON src TO miss_owner;
CREATE SCHEMA miss_other;
CREATE FUNCTION miss_src.which() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'miss_src'::text$$;
CREATE FUNCTION miss_other.which() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'miss_other'::text$$;
CREATE FUNCTION miss_src.by_path() RETURNS text LANGUAGE plpgsql STABLE AS $$BEGIN RETURN which(); END$$;
GRANT USAGE ON SCHEMA miss_other TO PUBLIC;
SET ROLE miss_owner;
SET search_path = miss_src;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = 0;
SET bytea_output = 'escape';
SELECT vibepiper.define_pipeline('miss_o', settings => '{lc_numeric=C}');
SELECT vibepiper.define_asset('miss_o.days', 'SELECT id, at::date AS day, at::text AS text, date_trunc(''day'', at) AS start FROM miss_src.src');
SELECT vibepiper.define_asset('miss_o.roles', 'SELECT current_user::text AS role, current_setting(''TimeZone'') AS zone, current_setting(''search_path'') AS path FROM miss_src.src WHERE id = 5');
SELECT vibepiper.define_asset('miss_o.paths', 'SELECT id, miss_src.by_path() AS path FROM miss_src.src WHERE id = 5');
SELECT vibepiper.define_asset('miss_o.forms', $$SELECT id, n::text AS float, (n * interval '1 hour')::text AS span, to_char(n, '9G999D99') AS number, s::bytea::text AS bytes,
	to_tsvector(s)::text AS words, format('%s', at) AS formatted, to_json(at)::text AS json FROM miss_src.src WHERE id BETWEEN 5 AND 6$$);
SELECT vibepiper.define_asset('miss_o.own', 'SELECT count(*) AS n FROM miss_o.days WHERE day > ''2024-03-05''', settings => '{TimeZone=UTC}');
SELECT vibepiper.define_asset('miss_o.quoted', 'SELECT id, quote_ident(lower(left(s, 4))) AS quoted FROM miss_src.src WHERE id = 5');
CREATE DOMAIN miss_o.checked AS text CHECK (value = current_user);
SELECT vibepiper.define_asset('miss_o.domains', 'SELECT id, ''miss_owner''::text::miss_o.checked AS owner FROM miss_src.src WHERE id = 5');
GRANT USAGE ON SCHEMA miss_o TO miss_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA miss_o TO miss_reader;
RESET TimeZone;
RESET DateStyle;
RESET IntervalStyle;
RESET extra_float_digits;
RESET bytea_output;
SET search_path = miss_src, public;
RESET ROLE;
-- what each reader gets, in text and independent of the reader's settings
CREATE FUNCTION seen() RETURNS TABLE (asset text, rows text) LANGUAGE plpgsql AS $$
DECLARE a text;
BEGIN
	FOREACH a IN ARRAY ARRAY['days', 'roles', 'paths', 'forms', 'own', 'quoted', 'domains'] LOOP
		BEGIN
			EXECUTE format('SELECT %L, md5(string_agg(replace(t::text, ''"'', ''''), '' '' ORDER BY t::text)) FROM (SELECT %s FROM miss_o.%s t) t', a,
				CASE a WHEN 'days' THEN 'id, day - ''2000-01-01''::date, text, extract(epoch FROM start)::int' ELSE '*' END, a)
				INTO asset, rows;
		EXCEPTION WHEN OTHERS THEN
			asset := a; rows := sqlerrm;
		END;
		RETURN NEXT;
	END LOOP;
END $$;
CREATE TABLE seen_by (who text, asset text, rows text);
GRANT ALL ON seen_by TO miss_owner, miss_reader;
GRANT USAGE ON SCHEMA miss_src TO miss_reader;
CREATE PROCEDURE look(who text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO miss_src.seen_by SELECT who || ', default', * FROM miss_src.seen();
	SET LOCAL TimeZone = 'America/New_York';
	SET LOCAL DateStyle = 'SQL, DMY';
	SET LOCAL IntervalStyle = 'sql_standard';
	SET LOCAL extra_float_digits = 3;
	SET LOCAL bytea_output = 'hex';
	SET LOCAL search_path = miss_other, public;
	SET LOCAL default_text_search_config = 'german';
	SET LOCAL quote_all_identifiers = on;
	INSERT INTO miss_src.seen_by SELECT who || ', changed', * FROM miss_src.seen();
END $$;
BEGIN; CALL look('before, superuser'); COMMIT;
SET ROLE miss_owner;
BEGIN; CALL look('before, owner'); COMMIT;
SET ROLE miss_reader;
BEGIN; CALL look('before, reader'); COMMIT;
RESET ROLE;
SELECT asset, status FROM vibepiper.run('miss_o', parallel => false) ORDER BY asset;
SET ROLE miss_reader;
BEGIN; CALL look('after, reader'); COMMIT;
RESET ROLE;
BEGIN; CALL look('after, superuser'); COMMIT;
SELECT asset, count(*) AS readers, count(DISTINCT s.rows) AS different FROM seen_by s GROUP BY asset ORDER BY asset;
SELECT a.asset, a.who, CASE WHEN a.rows ~ ' ' THEN a.rows END AS error FROM seen_by a
	WHERE a.rows IS DISTINCT FROM (SELECT b.rows FROM seen_by b WHERE b.asset = a.asset AND b.who = 'after, reader, default') ORDER BY 1, 2;
SELECT * FROM miss_o.roles;
SELECT * FROM miss_o.paths;
SELECT n FROM miss_o.own;

-- on_miss: the asset's, the pipeline's, the setting
SELECT vibepiper.define_asset('miss.strict', 'SELECT id FROM miss_src.src', on_miss => 'error');
SELECT count(*) FROM miss.strict;
SELECT plan_of('SELECT * FROM miss.strict');
SELECT vibepiper.define_asset('miss.on_strict', 'SELECT count(*) AS n FROM miss.strict');
SELECT * FROM miss.on_strict;
-- not even when it wouldn't be read? no: only what is read must be there
SELECT CASE WHEN true THEN 1 ELSE (SELECT min(id) FROM miss.strict) END;
SET vibepiper.on_miss = 'compute';
SELECT count(*) FROM miss.strict;
SELECT * FROM miss.on_strict;
SET vibepiper.on_miss = 'error';
SELECT count(*) FROM miss.plain;
SELECT count(*) FROM miss.called;
RESET vibepiper.on_miss;
-- an upstream that is only declared isn't read
SELECT vibepiper.define_asset('miss.declares', 'SELECT miss_src.twice(id) AS x FROM miss_src.src WHERE id = 1', depends_on => '{miss.strict}');
SELECT * FROM miss.declares;
SET vibepiper.on_miss = 'nonsense';
-- cached plans notice
SET plan_cache_mode = force_generic_plan;
PREPARE plain AS SELECT count(*) FROM miss.plain;
PREPARE called AS SELECT count(*) FROM miss.called;
PREPARE strict AS SELECT count(*) FROM miss.strict;
EXECUTE plain;
EXECUTE called;
EXECUTE strict;
SET vibepiper.on_miss = 'error';
EXECUTE plain;
EXECUTE called;
SET vibepiper.on_miss = 'compute';
EXECUTE plain;
EXECUTE called;
EXECUTE strict;
RESET vibepiper.on_miss;
EXECUTE strict;
SELECT vibepiper.define_asset('miss.plain', 'SELECT id, grp, s FROM miss_src.src WHERE id <= 50', indexes => '{(id)}', on_miss => 'error');
EXECUTE plain;
SELECT vibepiper.define_asset('miss.plain', 'SELECT id, grp, s FROM miss_src.src WHERE id <= 50', indexes => '{(id)}');
EXECUTE plain;
SELECT vibepiper.define_pipeline('miss', on_miss => 'error');
EXECUTE plain;
EXECUTE called;
SELECT count(*) FROM miss.sums;
SELECT vibepiper.define_pipeline('miss');
EXECUTE plain;
EXECUTE called;

-- Plans from a miss to a hit and back
PREPARE one(int) AS SELECT s FROM miss.plain WHERE id = $1;
PREPARE two(int) AS SELECT p.s, c.twice FROM miss.plain p JOIN miss.called c USING (id) WHERE p.id = $1;
EXECUTE one(7);
EXECUTE two(7);
BEGIN;
SELECT asset, status FROM vibepiper.run('miss', '+sums called', parallel => false);
UPDATE src SET s = 'later';
EXECUTE one(7);
EXECUTE two(7);
EXECUTE plain;
EXECUTE called;
SELECT plan_of('EXECUTE one(7)');
ROLLBACK;
EXECUTE one(7);
EXECUTE two(7);
EXECUTE plain;
EXECUTE called;
SELECT asset, status FROM vibepiper.run('miss', '+sums called', parallel => false);
BEGIN;
UPDATE src SET s = 'later';
EXECUTE one(7);
EXECUTE two(7);
SELECT plan_of('EXECUTE one(7)');
ROLLBACK;
-- made at a hit
PREPARE hit(int) AS SELECT s, count(*) OVER () FROM miss.plain WHERE id = $1;
PREPARE hit_called AS SELECT count(*), sum(twice) FROM miss.called;
EXECUTE hit(7);
EXECUTE hit_called;
-- columns change: a miss until it is run; the other way round, too
SELECT vibepiper.define_asset('miss.plain', 'SELECT id, grp, s, id * 10 AS ten FROM miss_src.src WHERE id <= 50', indexes => '{(id)}');
BEGIN;
UPDATE src SET s = 'later';
EXECUTE hit(7);
EXECUTE one(7);
SELECT plan_of('EXECUTE hit(7)');
SELECT ten FROM miss.plain WHERE id = 7;
ROLLBACK;
EXECUTE hit(7);
BEGIN;
SELECT vibepiper.define_asset('miss.called', 'SELECT miss_src.counted(id) AS id, miss_src.twice(id) AS twice, ''x''::text AS x FROM miss_src.src WHERE id <= 12');
EXECUTE hit_called;
SELECT x, count(*) FROM miss.called GROUP BY x;
ROLLBACK;
EXECUTE hit_called;
SELECT asset, status, reason FROM vibepiper.run('miss', 'plain', parallel => false);
EXECUTE hit(7);
SELECT ten FROM miss.plain WHERE id = 7;
SELECT plan_of('EXECUTE hit(7)');
-- a miss under an old snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM src;
SELECT vibepiper.define_asset('miss.young', 'SELECT id FROM miss_src.src');
SELECT count(*) FROM miss.young;
COMMIT;
SELECT count(*) FROM miss.young;

-- Depth. A ladder: every step reads the one before twice.
DO $$
BEGIN
	PERFORM vibepiper.define_pipeline('ladder');
	PERFORM vibepiper.define_asset('ladder.step_0', 'SELECT id, grp FROM miss_src.src WHERE id <= 5');
	FOR i IN 1 .. 30 LOOP
		PERFORM vibepiper.define_asset('ladder.step_' || i,
			format('SELECT a.id, b.grp FROM ladder.step_%s a JOIN ladder.step_%1$s b USING (id)', i - 1));
	END LOOP;
	PERFORM vibepiper.define_pipeline('rungs');
	PERFORM vibepiper.define_asset('rungs.step_0', 'SELECT miss_src.counted(id) AS id, grp FROM miss_src.src WHERE id <= 5');
	FOR i IN 1 .. 30 LOOP
		PERFORM vibepiper.define_asset('rungs.step_' || i,
			format('SELECT miss_src.twice(a.id) / 2 AS id, b.grp FROM rungs.step_%s a JOIN rungs.step_%1$s b USING (id)', i - 1));
	END LOOP;
END $$;
SET statement_timeout = '20s';
SELECT setval('calls', 1);
SELECT count(*), sum(grp) FROM ladder.step_30;
SELECT count(*), sum(grp) FROM rungs.step_30;
SELECT nextval('calls');
SELECT count(*) FROM ladder.step_30 a JOIN ladder.step_29 b USING (id) JOIN rungs.step_30 c USING (id) JOIN rungs.step_28 d USING (id);
EXECUTE one(3);
PREPARE ladder AS SELECT count(*), sum(grp) FROM ladder.step_30;
EXECUTE ladder;
SELECT status, count(*) FROM vibepiper.run('ladder', 'step_0 step_1 step_20', parallel => false) GROUP BY status;
EXECUTE ladder;
SELECT count(*), sum(grp) FROM ladder.step_30;
SELECT status, count(*) FROM vibepiper.run('ladder', parallel => false) GROUP BY status;
EXECUTE ladder;
RESET statement_timeout;
-- A chain of 500
SELECT vibepiper.define_pipeline('chain');
SELECT change, count(*) FROM vibepiper.define_assets('chain', (SELECT jsonb_agg(jsonb_build_object('name', 'link_' || i,
	'query', CASE i WHEN 0 THEN 'SELECT id, grp FROM miss_src.src WHERE id <= 5' ELSE format('SELECT id, grp + 1 AS grp FROM chain.link_%s', i - 1) END))
	FROM generate_series(0, 500) i)) GROUP BY change;
SET statement_timeout = '60s';
SELECT id, grp FROM chain.link_500 ORDER BY id;
SELECT count(*) FROM chain.link_500 JOIN chain.link_499 USING (id) JOIN chain.link_3 USING (id);
SELECT status, count(*) FROM vibepiper.run('chain', 'link_400', parallel => false) GROUP BY status;
SELECT id, grp FROM chain.link_500 ORDER BY id;
RESET statement_timeout;

-- Lazy assets are computed whenever they are read.
SELECT vibepiper.define_asset('miss.lazy', 'SELECT id, s FROM miss_src.src WHERE id <= 3', lazy => true, cache_ttl => '1 hour');
SELECT vibepiper.define_asset('miss.on_lazy', 'SELECT count(*) AS n FROM miss.lazy');
SELECT asset, status FROM vibepiper.run('miss', '+on_lazy', parallel => false);
PREPARE lazy AS SELECT s FROM miss.lazy WHERE id = 3;
EXECUTE lazy;
BEGIN;
UPDATE src SET s = 'later' WHERE id = 3;
EXECUTE lazy;
SELECT s FROM miss.lazy WHERE id = 3;
ROLLBACK;
EXECUTE lazy;
SET vibepiper.on_miss = 'error';
SELECT count(*) FROM miss.lazy;
RESET vibepiper.on_miss;
-- eager, then lazy, then eager
SELECT vibepiper.define_asset('miss.called', 'SELECT miss_src.counted(id) AS id, miss_src.twice(id) AS twice FROM miss_src.src WHERE id <= 10', lazy => true, cache_ttl => '1 hour');
BEGIN;
DELETE FROM src WHERE id < 9;
EXECUTE hit_called;
ROLLBACK;
SELECT vibepiper.define_asset('miss.called', 'SELECT miss_src.counted(id) AS id, miss_src.twice(id) AS twice FROM miss_src.src WHERE id <= 10');
BEGIN;
DELETE FROM src WHERE id < 9;
EXECUTE hit_called;
ROLLBACK;

-- Errors in a missing asset's query leave nothing behind.
SELECT vibepiper.define_asset('miss.fails', 'SELECT miss_src.twice(1 / (id - 5)) AS x FROM miss_src.src');
SELECT vibepiper.define_asset('miss.above', 'SELECT miss_src.twice(x) AS x FROM miss.fails');
SELECT count(*) FROM miss.fails;
SELECT count(*) FROM miss.above;
DO $$
BEGIN
	BEGIN
		PERFORM * FROM miss.above;
	EXCEPTION WHEN division_by_zero THEN
		RAISE WARNING 'caught: %', sqlerrm;
	END;
	BEGIN
		PERFORM * FROM miss.above;
	EXCEPTION WHEN division_by_zero THEN
		RAISE WARNING 'caught: %, %', sqlerrm, current_user = session_user;
	END;
	RAISE WARNING '%', (SELECT count(*) FROM miss.reader);
END $$;
-- a missing asset read by a function of a missing asset's query, more than once, failing at first
CREATE FUNCTION tries() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM * FROM miss.fails;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlerrm;
END $$;
SELECT vibepiper.define_asset('miss.trying', 'SELECT id, miss_src.tries() AS e FROM miss_src.src WHERE id <= 2');
SELECT * FROM miss.trying;
CREATE FUNCTION own_rows() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM miss.snake); END $$;
SELECT vibepiper.define_asset('miss.snake', 'SELECT id, miss_src.own_rows() AS n FROM miss_src.src WHERE id <= 2');
SELECT * FROM miss.snake;
SELECT count(*) FROM miss.plain;
-- many rows: more than fit in memory
SET work_mem = '64kB';
SELECT vibepiper.define_asset('miss.many', 'SELECT miss_src.twice(i) AS i, repeat(''x'', 100) AS x FROM miss_src.src, generate_series(1, 100) i');
SELECT count(*), sum(i), sum(length(x)) FROM miss.many;
SELECT count(*) FROM miss.many a WHERE a.i IN (SELECT i FROM miss.many b WHERE i < 10);
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM miss.many;
FETCH 1 FROM c;
SAVEPOINT s;
DECLARE d CURSOR FOR SELECT i FROM miss.many;
FETCH 1 FROM d;
RELEASE s;
FETCH 1 FROM d;
SAVEPOINT s;
DECLARE e CURSOR FOR SELECT i FROM miss.many;
FETCH 1 FROM e;
ROLLBACK TO s;
FETCH 1 FROM d;
MOVE 9000 IN d;
FETCH 1 FROM d;
COMMIT;
CREATE FUNCTION reads_many(int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	BEGIN
		SELECT count(*) INTO n FROM miss.many;
		IF $1 = 1 THEN RAISE EXCEPTION 'undo'; END IF;
	EXCEPTION WHEN raise_exception THEN
		n := 0;
	END;
	RETURN n + (SELECT count(*) FROM miss.many);
END $$;
SELECT vibepiper.define_asset('miss.nested', 'SELECT id, miss_src.reads_many(id) AS n FROM miss_src.src WHERE id <= 2 ORDER BY id');
SELECT * FROM miss.nested;
RESET work_mem;

DEALLOCATE ALL;
SELECT vibepiper.drop_pipeline(p, cascade => true) FROM unnest('{miss,miss_o,ladder,rungs,chain}'::text[]) p;
DROP SCHEMA miss_src, miss_other, miss, miss_o, ladder, rungs, chain CASCADE;
DROP OWNED BY miss_owner, miss_reader;
DROP ROLE miss_owner, miss_reader;
