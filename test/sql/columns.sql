-- Columns of an asset change, and all that reads it follows.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;
CREATE ROLE regress_co_reader;
CREATE ROLE regress_co_column;
CREATE ROLE regress_co_owner;
GRANT USAGE ON SCHEMA vibepiper TO regress_co_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vibepiper TO regress_co_owner;

-- The definition, the stub and the stored version of an asset agree with its query
CREATE FUNCTION pg_temp.columns_of(rel regclass) RETURNS text LANGUAGE sql AS
$$SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = rel AND attnum > 0$$;
CREATE FUNCTION pg_temp.check_all(of_pipeline text) RETURNS TABLE (asset text, columns text, problem text) LANGUAGE plpgsql AS $$
DECLARE
    view regclass;
    definition regclass;
    differs bigint;
BEGIN
    FOR asset IN SELECT a.asset FROM vibepiper.assets a WHERE a.pipeline = of_pipeline ORDER BY 1 LOOP
        view := asset;
        SELECT a.def INTO definition FROM vibepiper.asset a WHERE a.stub = view;
        columns := pg_temp.columns_of(view);
        problem := CASE WHEN pg_temp.columns_of(definition) <> columns THEN 'stub and definition differ' END;
        EXECUTE format('SELECT count(*) FROM ((TABLE %1$s EXCEPT ALL TABLE %2$s) UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s)) d', view, definition) INTO differs;
        IF differs > 0 THEN
            problem := concat_ws(', ', problem, differs || ' rows differ');
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
-- Nothing of the old views is left, and every asset has its two
CREATE FUNCTION pg_temp.left_over() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'v' AND c.relname ~ '_old(_|$)'
    UNION ALL
    SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'vibepiper_def'::regnamespace
        AND NOT EXISTS (SELECT FROM vibepiper.asset a WHERE a.def = c.oid) AND NOT EXISTS (SELECT FROM vibepiper.pipeline p WHERE p.view = c.oid)
    UNION ALL
    SELECT 'mapping of ' || m.def FROM vibepiper.mapping m WHERE NOT EXISTS (SELECT FROM vibepiper.asset a WHERE a.def = m.def)
$$;

CREATE SCHEMA co_src;
CREATE TABLE co_src.orders (id int, customer text, amount numeric(10,2), day date);
INSERT INTO co_src.orders SELECT i, 'c' || i % 7, i * 1.5, date '2026-01-01' + i % 5 FROM generate_series(1, 100) i;
SELECT vibepiper.define_pipeline('co');
SELECT vibepiper.define_asset('co.a', 'SELECT * FROM co_src.orders', indexes => '{UNIQUE (id)}', tags => '{first}', description => 'all orders');
SELECT vibepiper.define_asset('co.all_of_a', 'SELECT * FROM co.a');
SELECT vibepiper.define_asset('co.days', 'SELECT day, sum(amount) AS total FROM co.a GROUP BY day', indexes => '{UNIQUE (day)}', tags => '{x,y}', cache_ttl => '1 day', retries => 2);
SELECT vibepiper.define_asset('co.all_days', 'SELECT d.*, a.id FROM co.days d JOIN co.all_of_a a USING (day)');
SELECT vibepiper.define_asset('co."Top ""N"""', 'SELECT max(total) AS top FROM co.days', depends_on => '{all_days}');
GRANT SELECT ON co.a TO regress_co_reader WITH GRANT OPTION;
GRANT SELECT (id, customer) ON co.all_of_a TO regress_co_column;
COMMENT ON COLUMN co.all_of_a.id IS 'number of the order';
COMMENT ON COLUMN co.all_of_a.customer IS 'who';
COMMENT ON VIEW co.all_of_a IS 'by hand';
ALTER VIEW co.all_of_a SET (security_barrier);
SELECT asset, status FROM vibepiper.run('co', parallel => false);
SELECT * FROM pg_temp.check_all('co');

-- Reorder, add in the middle, retype: readers with * get it, the others keep their columns
SELECT 'co.days'::regclass::oid AS days \gset
SELECT vibepiper.define_asset('co.a', 'SELECT customer, id::bigint AS id, day, amount, amount > 50 AS big FROM co_src.orders', indexes => '{UNIQUE (id)}', tags => '{first}', description => 'all orders');
SELECT * FROM pg_temp.check_all('co');
SELECT * FROM pg_temp.left_over();
SELECT 'co.days'::regclass::oid = :days AS same_view;
-- grants, comments, options, tags stay
SELECT c.oid::regclass, replace(c.relacl::text, 'Dxtm/', 'Dxt/') AS relacl, c.reloptions, obj_description(c.oid) FROM pg_class c WHERE c.oid IN ('co.a'::regclass, 'co.all_of_a'::regclass) ORDER BY c.relname;
SELECT attname, attacl, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'co.all_of_a'::regclass AND attnum > 0 ORDER BY attnum;
SELECT asset, tags, indexes, cache_ttl, retries, depends_on, description FROM vibepiper.assets WHERE pipeline = 'co' ORDER BY 1;
SELECT asset, upstream, declared FROM vibepiper.dependencies WHERE asset LIKE 'co.%' ORDER BY 1, 2;
SELECT c, has_column_privilege('regress_co_column', 'co.all_of_a', c, 'SELECT') FROM unnest('{id,big}'::text[]) c;
-- the roles of the grants are known to depend on the new views
SELECT count(*) > 0 AS depends FROM pg_shdepend WHERE refobjid = 'regress_co_column'::regrole AND classid = 'pg_class'::regclass AND objid = 'co.all_of_a'::regclass;
SELECT asset, status FROM vibepiper.run('co', parallel => false) ORDER BY 1;
SELECT * FROM pg_temp.check_all('co');
SELECT asset, state FROM vibepiper.assets WHERE pipeline = 'co' ORDER BY 1;

-- Drop a column
SELECT vibepiper.define_asset('co.a', 'SELECT customer, id::bigint AS id, day, amount FROM co_src.orders', indexes => '{UNIQUE (id)}');
SELECT * FROM pg_temp.check_all('co') WHERE asset = 'co.all_of_a';
-- one that another asset needs: it is named, and nothing has happened
SELECT vibepiper.define_asset('co.a', 'SELECT customer, id::bigint AS id, amount FROM co_src.orders');
SELECT * FROM pg_temp.check_all('co');
SELECT * FROM pg_temp.left_over();
-- or an index needs it
SELECT vibepiper.define_asset('co.a', 'SELECT customer, day, amount FROM co_src.orders', indexes => '{UNIQUE (id)}');
-- in one batch with the readers it goes
SELECT * FROM vibepiper.define_assets('co', '[
    {"name": "all_days", "query": "SELECT d.*, a.customer FROM co.days d JOIN co.all_of_a a ON d.who = a.customer"},
    {"name": "days", "query": "SELECT customer AS who, sum(amount) AS total FROM co.a GROUP BY 1"},
    {"name": "a", "query": "SELECT customer, amount FROM co_src.orders"}]');
SELECT * FROM pg_temp.check_all('co');
SELECT * FROM pg_temp.left_over();
SELECT asset, status FROM vibepiper.run('co', parallel => false) ORDER BY 1;
-- a reader that the batch prunes is not in the way
SELECT * FROM vibepiper.define_assets('co', '[
    {"name": "a", "query": "SELECT amount FROM co_src.orders"},
    {"name": "new", "query": "SELECT count(*) AS n FROM co.a"}]', prune => true, dry_run => true);
SELECT * FROM vibepiper.define_assets('co', '[
    {"name": "a", "query": "SELECT amount FROM co_src.orders"},
    {"name": "new", "query": "SELECT count(*) AS n FROM co.a"}]', prune => true);
SELECT * FROM pg_temp.check_all('co');
SELECT * FROM pg_temp.left_over();

-- A batch that rebuilds what is between two of its assets
SELECT vibepiper.drop_pipeline('co', cascade => true);
SELECT vibepiper.define_pipeline('co');
SELECT * FROM vibepiper.define_assets('co', '[
    {"name": "bottom", "query": "SELECT id, amount FROM co_src.orders"},
    {"name": "between", "query": "SELECT * FROM co.bottom"},
    {"name": "top", "query": "SELECT * FROM co.between"},
    {"name": "side", "query": "SELECT t.id, b.amount FROM co.top t JOIN co.bottom b USING (id)"}]');
SELECT * FROM vibepiper.define_assets('co', '[
    {"name": "bottom", "query": "SELECT amount::float8 AS amount, day, id FROM co_src.orders"},
    {"name": "top", "query": "SELECT * FROM co.between WHERE id > 10"}]');
SELECT * FROM pg_temp.check_all('co');
SELECT * FROM pg_temp.left_over();
SELECT asset, status FROM vibepiper.run('co', parallel => false) ORDER BY 1;
SELECT * FROM vibepiper.define_assets('co', '[
    {"name": "bottom", "query": "SELECT amount::float8 AS amount, day, id FROM co_src.orders"},
    {"name": "top", "query": "SELECT * FROM co.between WHERE id > 10"}]');

-- Over 3 pipelines with other owners: their views follow, as theirs
CREATE SCHEMA co_two AUTHORIZATION regress_co_owner;
GRANT USAGE ON SCHEMA co TO regress_co_owner;
GRANT SELECT ON co.top TO regress_co_owner;
SET ROLE regress_co_owner;
SET search_path = co_two, public;
SELECT vibepiper.define_pipeline('co_two');
SELECT vibepiper.define_asset('over', 'SELECT * FROM co.top');
SELECT vibepiper.define_asset('over_over', 'SELECT current_user AS who, o.* FROM over o');
RESET ROLE;
RESET search_path;
SELECT vibepiper.define_asset('co.bottom', 'SELECT id, amount, customer FROM co_src.orders');
SELECT * FROM pg_temp.check_all('co');
SELECT * FROM pg_temp.check_all('co_two') WHERE asset = 'co_two.over';
SELECT DISTINCT who FROM co_two.over_over;
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace IN ('co_two'::regnamespace) OR relname LIKE 'co\_two%' ORDER BY 1;
SELECT has_table_privilege('regress_co_owner', 'co.top', 'SELECT');
SELECT * FROM pg_temp.left_over();

-- Users' own objects are in the way, whatever they are; the DDL makes them again
CREATE TABLE co_src.log (n bigint);
CREATE VIEW co_src.v AS SELECT id, amount FROM co.bottom UNION ALL SELECT id, amount FROM co.bottom;
CREATE VIEW co_src.v_on_v WITH (security_barrier) AS SELECT id FROM co_src.v UNION SELECT id FROM co_src.v;
CREATE MATERIALIZED VIEW co_src.m AS SELECT count(*) AS n FROM co_src.v_on_v;
CREATE INDEX ON co_src.m (n);
CREATE FUNCTION co_src.sum_of(co.bottom) RETURNS numeric LANGUAGE sql RETURN $1.amount + 1;
CREATE FUNCTION co_src.n() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM co.bottom; END;
CREATE TABLE co_src.keeps (b co.bottom);
CREATE RULE r AS ON INSERT TO co_src.log WHERE new.n > 0 DO ALSO DELETE FROM co_src.log WHERE n IN (SELECT id FROM co.bottom);
ALTER TABLE co_src.log ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON co_src.log FOR SELECT TO regress_co_reader USING (n IN (SELECT id FROM co.bottom));
SELECT vibepiper.define_asset('co.bottom', 'SELECT amount, id FROM co_src.orders');
SELECT * FROM pg_temp.check_all('co') WHERE asset = 'co.bottom';
DROP VIEW co_src.v CASCADE;
DROP FUNCTION co_src.n();
DROP FUNCTION co_src.sum_of;
DROP TABLE co_src.keeps;
DROP RULE r ON co_src.log;
DROP POLICY p ON co_src.log;
CREATE FUNCTION co_src.instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER t INSTEAD OF INSERT ON co.bottom FOR EACH ROW EXECUTE FUNCTION co_src.instead();
ALTER VIEW co.bottom ALTER id SET DEFAULT 5;
SELECT vibepiper.define_asset('co.bottom', 'SELECT amount, id FROM co_src.orders');
DROP TRIGGER t ON co.bottom;
ALTER VIEW co.bottom ALTER id DROP DEFAULT;
SELECT vibepiper.define_asset('co.bottom', 'SELECT amount, id FROM co_src.orders');
SELECT * FROM pg_temp.check_all('co');

-- a column at the end leaves the options alone; whole rows of assets are no columns
ALTER VIEW co.bottom SET (security_barrier);
SELECT vibepiper.define_asset('co.bottom', 'SELECT amount, id, 1 AS one FROM co_src.orders');
SELECT reloptions FROM pg_class WHERE oid = 'co.bottom'::regclass;
SELECT vibepiper.define_asset('co.whole', 'SELECT b FROM co.bottom b');
SELECT vibepiper.define_asset('co.bottom', 'SELECT amount, id FROM co_src.orders');
-- an index of a reader needs a column that goes
SELECT vibepiper.define_asset('co.plain', 'SELECT id, customer FROM co_src.orders');
SELECT vibepiper.define_asset('co.indexed', 'SELECT * FROM co.plain', indexes => '{(customer)}');
SELECT vibepiper.define_asset('co.plain', 'SELECT id FROM co_src.orders');
SELECT vibepiper.drop_asset('co.plain', cascade => true);

-- Prepared statements and functions that name the stub find the new one
PREPARE all_of AS SELECT sum(amount) FROM co.bottom;
EXECUTE all_of;
SELECT vibepiper.define_asset('co.bottom', 'SELECT id, day, amount * 2 AS amount FROM co_src.orders');
EXECUTE all_of;
SELECT count(*) FROM vibepiper.run('co', parallel => false);
EXECUTE all_of;
-- rolled back, it is as it was
BEGIN;
SELECT vibepiper.define_asset('co.bottom', 'SELECT id FROM co_src.orders') <> '' AS defined;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT vibepiper.define_asset('co.bottom', 'SELECT 1 AS one, id, amount FROM co_src.orders');
ROLLBACK TO s;
SELECT * FROM pg_temp.check_all('co');
COMMIT;
EXECUTE all_of;

SELECT vibepiper.drop_pipeline('co_two', cascade => true);
SELECT vibepiper.drop_pipeline('co', cascade => true);
SELECT * FROM pg_temp.left_over();
DROP SCHEMA co, co_src, co_two CASCADE;
REVOKE ALL ON SCHEMA vibepiper FROM regress_co_owner;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vibepiper FROM regress_co_owner;
DROP ROLE regress_co_reader, regress_co_column, regress_co_owner;
