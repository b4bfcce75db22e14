-- What functions read in parallel queries: they see what the run staged, and it is
-- found what they read, in runs of both kinds and with plans from before
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
SET vibepiper.progress = off;
CREATE SCHEMA fp_src;
CREATE TABLE fp_src.big AS SELECT i FROM generate_series(1, 5000) i;
ALTER TABLE fp_src.big SET (parallel_workers = 2);
CREATE TABLE fp_src.s (x int);
INSERT INTO fp_src.s VALUES (1);
CREATE TABLE fp_src.k (x int);
INSERT INTO fp_src.k VALUES (1);
ANALYZE fp_src.big;
SELECT vibepiper.define_pipeline('fp', settings => ARRAY['parallel_setup_cost=0', 'parallel_tuple_cost=0', 'max_parallel_workers_per_gather=2', 'min_parallel_table_scan_size=0']);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT vibepiper.define_asset('fp.up', 'SELECT x FROM fp_src.s');
CREATE FUNCTION fp_src.reads_up(i int) RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 AS 'BEGIN RETURN (SELECT x FROM fp.up); END';
CREATE FUNCTION fp_src.reads_k(i int) RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 AS 'BEGIN RETURN CASE i WHEN 4000 THEN (SELECT x FROM fp_src.k) ELSE 0 END; END';
CREATE FUNCTION fp_src.sum_up() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT sum(fp_src.reads_up(i)) FROM fp_src.big); END';
CREATE FUNCTION fp_src.sum_k() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT sum(fp_src.reads_k(i)) FROM fp_src.big); END';
CREATE FUNCTION fp_src.sum_both() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(fp_src.reads_up(i) + fp_src.reads_k(i)) FROM fp_src.big';
CREATE VIEW fp_src.by_view AS SELECT sum(fp_src.reads_up(i) + fp_src.reads_k(i)) AS s FROM fp_src.big;
SELECT count(*) FROM vibepiper.define_assets('fp', '[
	{"name": "of_up", "query": "SELECT fp_src.sum_up() AS s", "depends_on": ["fp.up"]},
	{"name": "of_k", "query": "SELECT fp_src.sum_k() AS s"},
	{"name": "of_both", "query": "SELECT fp_src.sum_both() AS s", "depends_on": ["fp.up"]},
	{"name": "of_view", "query": "SELECT s FROM fp_src.by_view", "depends_on": ["fp.up"]},
	{"name": "of_lazy", "query": "SELECT s FROM fp_src.by_view", "depends_on": ["fp.up"], "lazy": true},
	{"name": "of_of_lazy", "query": "SELECT s FROM of_lazy", "depends_on": ["fp.up"]}]');
CREATE FUNCTION fp_src.differs() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(asset, ' ' ORDER BY asset), 'nothing') FROM (
		SELECT 'of_up' AS asset, (SELECT s FROM fp.of_up) AS s, fp_src.sum_up() AS now
		UNION ALL SELECT 'of_k', (SELECT s FROM fp.of_k), fp_src.sum_k()
		UNION ALL SELECT 'of_both', (SELECT s FROM fp.of_both), fp_src.sum_both()
		UNION ALL SELECT 'of_view', (SELECT s FROM fp.of_view), (SELECT s FROM fp_src.by_view)
		UNION ALL SELECT 'of_of_lazy', (SELECT s FROM fp.of_of_lazy), (SELECT s FROM fp_src.by_view)) d
	WHERE s IS DISTINCT FROM now $$;
-- outside of runs these queries have workers
EXPLAIN (COSTS OFF) SELECT s FROM fp_src.by_view;
SELECT asset, status FROM vibepiper.run('fp') ORDER BY asset;
SELECT fp_src.differs();
UPDATE fp_src.s SET x = 2;
SELECT asset, status FROM vibepiper.run('fp') WHERE status <> 'cached' ORDER BY asset;
SELECT fp_src.differs();
UPDATE fp_src.k SET x = 2;
SELECT asset, status FROM vibepiper.run('fp') WHERE status <> 'cached' ORDER BY asset;
SELECT fp_src.differs();
-- in this process the functions' plans were made for reading, with workers
UPDATE fp_src.s SET x = 3;
SELECT asset, status FROM vibepiper.run('fp', parallel => false) WHERE status <> 'cached' ORDER BY asset;
SELECT fp_src.differs();
UPDATE fp_src.k SET x = 3;
SELECT asset, status FROM vibepiper.run('fp', parallel => false) WHERE status <> 'cached' ORDER BY asset;
SELECT fp_src.differs();
SELECT asset, status FROM vibepiper.run('fp') WHERE status <> 'cached' ORDER BY asset;


-- What the server's own functions call: an order of the users', a domain in a row type
CREATE FUNCTION fp_src.cmp(a int, b int) RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN btint4cmp(a, b) * (SELECT CASE WHEN max(x) < 10 THEN 1 ELSE -1 END FROM fp.up); END';
CREATE OPERATOR fp_src.<# (LEFTARG = int, RIGHTARG = int, FUNCTION = int4lt);
CREATE OPERATOR fp_src.=# (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE OPERATOR fp_src.># (LEFTARG = int, RIGHTARG = int, FUNCTION = int4gt);
CREATE OPERATOR CLASS fp_src.ints FOR TYPE int USING btree AS OPERATOR 1 fp_src.<#, OPERATOR 3 fp_src.=#, OPERATOR 5 fp_src.>#, FUNCTION 1 fp_src.cmp(int, int);
CREATE FUNCTION fp_src.small(v int) RETURNS bool LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN (SELECT max(x) FROM fp_src.k) < 1000; END';
CREATE DOMAIN fp_src.small AS int CHECK (fp_src.small(VALUE));
CREATE TYPE fp_src.pair AS (a fp_src.small);
SELECT count(*) FROM vibepiper.define_assets('fp', '[
	{"name": "ordered", "query": "SELECT i FROM fp_src.big ORDER BY i USING OPERATOR(fp_src.<#) LIMIT 1", "depends_on": ["fp.up"]},
	{"name": "populated", "query": "SELECT max((json_populate_record(NULL::fp_src.pair, json_build_object(''a'', i))).a) AS n FROM fp_src.big"}]');
SELECT asset, status FROM vibepiper.run('fp', 'ordered populated') ORDER BY asset;
UPDATE fp_src.s SET x = 10;
UPDATE fp_src.k SET x = 10;
SELECT asset, status, reason FROM vibepiper.run('fp', '+ordered +populated') ORDER BY asset;
SELECT i FROM fp.ordered;

RESET vibepiper.progress;
SELECT vibepiper.drop_pipeline('fp', cascade => true);
DROP SCHEMA fp, fp_src CASCADE;
