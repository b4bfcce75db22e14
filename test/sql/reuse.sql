-- Versions that are kept because they may be right again, and are
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
CREATE SCHEMA re_src;
CREATE TABLE re_src.t (id int, v int);
INSERT INTO re_src.t SELECT i, i % 3 FROM generate_series(1, 30) i;
CREATE TABLE re_src.rate (rate int);
INSERT INTO re_src.rate VALUES (1);
CREATE FUNCTION re_src.tax(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
SELECT vibepiper.define_pipeline('re', keep_versions => 1);
CREATE FUNCTION re_src.define(base text) RETURNS TABLE (asset text, change text) LANGUAGE sql AS $$
	SELECT asset, change FROM vibepiper.define_assets('re', format('[
		{"name": "base", "query": %s, "indexes": ["(id)"]},
		{"name": "middle", "query": "SELECT v, sum(re_src.tax(id)) AS s FROM base GROUP BY v"},
		{"name": "top", "query": "SELECT count(*) AS n, sum(s) AS s FROM middle"}]', to_json(base))::jsonb) ORDER BY 1
$$;
-- what a run does in words; and whether every asset equals its definition
CREATE FUNCTION re_src.wrong() RETURNS text LANGUAGE plpgsql AS $$
DECLARE bad text; a record; differs bool;
BEGIN
	FOR a IN SELECT asset FROM vibepiper.assets WHERE pipeline = 're' ORDER BY 1 LOOP
		EXECUTE format('SELECT EXISTS ((TABLE %1$s EXCEPT ALL %2$s) UNION ALL (%2$s EXCEPT ALL TABLE %1$s))',
			a.asset, 'SELECT * FROM vibepiper_def.' || quote_ident(a.asset)) INTO differs;
		IF differs THEN bad := concat_ws(', ', bad, a.asset); END IF;
	END LOOP;
	RETURN coalesce(bad, 'none');
END $$;
CREATE FUNCTION re_src.go(parallel bool = true) RETURNS TABLE (asset text, status text, reason text) LANGUAGE sql AS $$
	SELECT asset, status, regexp_replace(reason, 'run \d+', 'run N') FROM vibepiper.run('re', parallel => parallel)
$$;
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t');
SELECT * FROM re_src.go();
-- another definition, and back: nothing is computed
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT * FROM re_src.go();
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t');
SELECT asset, action, regexp_replace(reason, 'run \d+', 'run N') AS reason FROM vibepiper.plan('re');
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 're' ORDER BY 1;
SELECT vibepiper.is_fresh('re.base'), (SELECT count(*) FROM re.base WHERE v = 3) AS readers_see;
SELECT * FROM re_src.go();
SELECT re_src.wrong(), (SELECT count(*) FROM re.base WHERE v = 3) AS readers_see;
SELECT * FROM re_src.go();
-- a version whose rows came out the same is right for both inputs
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT asset, action FROM vibepiper.plan('re');
SELECT * FROM re_src.go();
SELECT re_src.wrong();
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t');
SELECT * FROM re_src.go(false);
SELECT re_src.wrong();
SELECT count(*) FROM vibepiper.version_inputs;
-- in a serial run as well, with other columns, and back if it is rolled back
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
BEGIN;
SELECT * FROM re_src.go(false);
ROLLBACK;
SELECT * FROM re_src.go(false);
SELECT re_src.wrong();
SELECT * FROM re_src.define('SELECT id, v + 1 AS v, 1 AS one FROM re_src.t');
SELECT * FROM re_src.go();
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT * FROM re_src.go();
SELECT re_src.wrong();
-- a function and back
CREATE OR REPLACE FUNCTION re_src.tax(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3';
SELECT * FROM re_src.go();
CREATE OR REPLACE FUNCTION re_src.tax(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
SELECT * FROM re_src.go();
SELECT re_src.wrong();
-- an upstream that is computed to earlier rows: it itself has to be, what reads it doesn't
UPDATE re_src.t SET v = v + 1;
SELECT * FROM re_src.go();
UPDATE re_src.t SET v = v - 1;
SELECT * FROM re_src.go();
SELECT re_src.wrong();
-- sources written: the old versions are for nobody, their slots are refilled
SELECT count(*) AS slots FROM vibepiper.slot s JOIN vibepiper.asset a USING (asset_id) WHERE a.stub = 're.base'::regclass;
UPDATE re_src.t SET v = v + 1;
SELECT count(*) FROM re_src.go();
UPDATE re_src.t SET v = v + 1;
SELECT count(*) FROM re_src.go();
UPDATE re_src.t SET v = v + 1;
SELECT count(*) FROM re_src.go();
SELECT count(*) <= 4 AS few FROM vibepiper.slot s JOIN vibepiper.asset a USING (asset_id) WHERE a.stub = 're.base'::regclass;
-- an invalidated version is never right again, a forced run doesn't look
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t');
SELECT status FROM re_src.go() WHERE asset = 're.base';
SELECT vibepiper.invalidate('re.base');
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT status FROM re_src.go() WHERE asset = 're.base';
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t');
SELECT status FROM re_src.go() WHERE asset = 're.base';
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT status, reason FROM vibepiper.run('re', 'base', force => true);
-- what a failed run has computed
CREATE FUNCTION re_src.fails() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 1 / (SELECT max(rate) FROM re_src.rate); END $$;
SELECT vibepiper.define_asset('re.last', 'SELECT count(*) AS n, re_src.fails() AS x FROM re.top');
UPDATE re_src.rate SET rate = 0;
UPDATE re_src.t SET v = v + 1;
SELECT asset, status FROM vibepiper.run('re', on_failure => 'report');
UPDATE re_src.rate SET rate = 1;
SELECT * FROM re_src.go();
SELECT re_src.wrong();
-- each published when it is done
SELECT vibepiper.define_pipeline('re', keep_versions => 1, publish => 'asset');
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t WHERE id > 1');
SELECT * FROM re_src.go() WHERE asset <> 're.last';
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT * FROM re_src.go();
SELECT re_src.wrong();
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t WHERE id > 1');
SELECT * FROM re_src.go(false);
SELECT re_src.wrong();
-- other storage: an earlier version doesn't have it
SELECT vibepiper.define_pipeline('re', keep_versions => 1, storage => 'logged');
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT asset, action FROM vibepiper.plan('re') WHERE asset = 're.base';
SELECT vibepiper.define_pipeline('re', keep_versions => 1);
SELECT asset, action FROM vibepiper.plan('re') WHERE asset = 're.base';
SELECT * FROM re_src.define('SELECT id, v FROM re_src.t WHERE id > 1');
-- purge keeps none of them
SELECT vibepiper.purge('re') > 0 AS purged;
SELECT * FROM re_src.define('SELECT id, v + 1 AS v FROM re_src.t');
SELECT asset, action FROM vibepiper.plan('re') WHERE asset = 're.base';
SELECT * FROM re_src.go() WHERE asset = 're.base';

-- max_staleness
SELECT vibepiper.define_asset('re.calm', 'SELECT sum(v) AS s FROM re_src.t', max_staleness => '1 h');
SELECT vibepiper.define_asset('re.after_calm', 'SELECT s + 1 AS s FROM re.calm');
SELECT status, reason FROM vibepiper.run('re', 'calm');
UPDATE re_src.t SET v = v + 1 WHERE id = 1;
SELECT asset, action, reason FROM vibepiper.plan('re', 'calm after_calm');
SELECT asset, status, reason FROM vibepiper.run('re', 'calm after_calm');
SELECT asset, state, reason, max_staleness, vibepiper.is_fresh(asset) FROM vibepiper.assets WHERE asset = 're.calm';
SELECT split_part(vibepiper.explain_asset('re.calm'), E'\n', 1);
-- it is not for code, nor for what was invalidated, nor for ever
SELECT vibepiper.define_asset('re.calm', 'SELECT sum(v) + 0 AS s FROM re_src.t', max_staleness => '1 h');
SELECT action, reason FROM vibepiper.plan('re', 'calm');
SELECT status FROM vibepiper.run('re', 'calm');
-- nor for another owner, with whose rights it would be computed
CREATE ROLE re_role;
GRANT CREATE ON SCHEMA re TO re_role;
ALTER VIEW re.calm OWNER TO re_role;
SELECT action, reason FROM vibepiper.plan('re', 'calm');
ALTER VIEW re.calm OWNER TO CURRENT_USER;
SELECT action FROM vibepiper.plan('re', 'calm');
SELECT vibepiper.invalidate('re.calm');
SELECT action, reason FROM vibepiper.plan('re', 'calm');
SELECT status FROM vibepiper.run('re', 'calm');
UPDATE re_src.t SET v = v + 1 WHERE id = 1;
UPDATE vibepiper.version SET as_of = as_of - interval '2 h' WHERE asset_id = (SELECT asset_id FROM vibepiper.asset WHERE stub = 're.calm'::regclass);
SELECT action, reason FROM vibepiper.plan('re', 'calm');
-- the clock was set back: no version is young or lives for ever
UPDATE vibepiper.version SET as_of = as_of + interval '1 day' WHERE asset_id = (SELECT asset_id FROM vibepiper.asset WHERE stub = 're.calm'::regclass);
SELECT action, reason FROM vibepiper.plan('re', 'calm');
SELECT vibepiper.define_asset('re.calm', 'SELECT sum(v) + 0 AS s FROM re_src.t', cache_ttl => '1 year');
SELECT status FROM vibepiper.run('re', 'calm');
SELECT action, reason FROM vibepiper.plan('re', 'calm');
UPDATE vibepiper.version SET as_of = as_of + interval '1 day' WHERE asset_id = (SELECT asset_id FROM vibepiper.asset WHERE stub = 're.calm'::regclass);
SELECT action, reason FROM vibepiper.plan('re', 'calm');

-- All of it is counted: two computed, two left alone, one computed anew, one found right again and the other left alone
SELECT vibepiper.define_pipeline('rc', keep_versions => 1);
SELECT vibepiper.define_asset('rc.a', 'SELECT 1 AS n, pg_sleep(0.01) IS NULL AS s', cache_ttl => '1 day'), vibepiper.define_asset('rc.b', 'SELECT 2 AS n');
SELECT hits, reuses, misses, hit_ratio, time_saved, versions, bytes, published_bytes FROM vibepiper.cache_stats WHERE pipeline = 'rc';
SELECT count(*) FROM vibepiper.run('rc');
SELECT hits, reuses, misses, hit_ratio, time_saved, versions, bytes = published_bytes AS all_published FROM vibepiper.cache_stats WHERE pipeline = 'rc';
SELECT count(*) FROM vibepiper.run('rc');
SELECT vibepiper.define_asset('rc.b', 'SELECT 3 AS n');
SELECT count(*) FROM vibepiper.run('rc');
SELECT vibepiper.define_asset('rc.b', 'SELECT 2 AS n');
SELECT count(*) FROM vibepiper.run('rc');
SELECT hits, reuses, misses, hit_ratio, time_saved > '0.03 s' AND time_saved < '10 s' AS some_saved, versions, bytes > published_bytes AS some_kept, evictions FROM vibepiper.cache_stats WHERE pipeline = 'rc';

RESET vibepiper.progress;
SELECT vibepiper.drop_pipeline('re', cascade => true), vibepiper.drop_pipeline('rc', cascade => true);
DROP SCHEMA re, re_src, rc CASCADE;
DROP ROLE re_role;
