-- The pipeline of the demo on the real data: every asset equals its definition.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vibepiper;

\getenv abs_srcdir PG_ABS_SRCDIR
\set data :abs_srcdir '/data/nycflights13'
\set load :abs_srcdir '/../doc/demo/load.sql'
\set pipeline :abs_srcdir '/../doc/demo/pipeline.sql'
\o /dev/null
\set ECHO none
\i :load
\i :pipeline
\set ECHO all
\o

SELECT count(*) FROM raw.flights;
SELECT count(*) >= 15 AS assets FROM vibepiper.assets WHERE pipeline = 'flights';

-- The rows that its definition gives now and an asset doesn't, and the reverse: as multisets they are the same if none
-- is missing and there are as many
CREATE FUNCTION pg_temp.differences(OUT asset text, OUT missing bigint, OUT extra bigint) RETURNS SETOF record
LANGUAGE plpgsql SET work_mem = '256MB' AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT a.asset AS name, format('vibepiper_def.%I', a.asset) AS def FROM vibepiper.assets a WHERE pipeline = 'flights' ORDER BY 1 LOOP
        asset := r.name;
        EXECUTE format('CREATE TEMP TABLE defined AS SELECT * FROM %s', r.def);
        EXECUTE format('SELECT count(*), count(*) - (SELECT count(*) FROM defined) + (SELECT count(*) FROM %1$s) FROM (TABLE defined EXCEPT ALL SELECT * FROM %1$s) d', r.name)
            INTO missing, extra;
        DROP TABLE defined;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE l text;
BEGIN
    FOR l IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        RETURN NEXT regexp_replace(l, '_\d+_\d+', '_N_N', 'g');
    END LOOP;
END $$;

SELECT action, reason, count(*) FROM vibepiper.plan('flights') GROUP BY 1, 2;
SELECT asset, status, rows FROM vibepiper.run('flights', parallel => false);
SELECT state, count(*) FROM vibepiper.assets WHERE pipeline = 'flights' GROUP BY 1;
SELECT * FROM pg_temp.differences();
-- readers get the stored rows
SELECT pg_temp.plan_of($$SELECT * FROM flights.carrier_punctuality WHERE carrier = 'UA'$$);
SELECT pg_temp.plan_of($$SELECT * FROM flights.aircraft_legs WHERE tail_number = 'N14228' AND flight_date = '2013-01-01' AND leg = 1$$);
SELECT count(*) AS stored FROM vibepiper.versions WHERE asset LIKE 'flights.%' AND published;

-- Nothing to do; all again gives the same rows
SELECT status, count(*) FROM vibepiper.run('flights', parallel => false) GROUP BY 1;
SELECT status, count(*) FROM vibepiper.run('flights', force => true, parallel => false) GROUP BY 1;

-- A day less: what it makes no difference to comes out the same
CREATE TABLE raw.last_day AS SELECT * FROM raw.flights WHERE month = 12 AND day = 31;
DELETE FROM raw.flights WHERE month = 12 AND day = 31;
SELECT asset, status, reason, rows FROM vibepiper.run('flights', parallel => false);
SELECT * FROM pg_temp.differences() WHERE missing > 0 OR extra > 0;

-- What the demo does.  The day comes in
INSERT INTO raw.flights SELECT * FROM raw.last_day;
SELECT asset, status, reason, rows FROM vibepiper.run('flights', parallel => false);
SELECT * FROM pg_temp.differences() WHERE missing > 0 OR extra > 0;
-- an airline gets a new name: the big assets are left alone
UPDATE raw.airlines SET name = 'ExpressJet' WHERE carrier = 'EV';
SELECT asset, status, reason, rows FROM vibepiper.run('flights', parallel => false) WHERE status <> 'cached';
SELECT * FROM pg_temp.differences() WHERE missing > 0 OR extra > 0;
-- a column that no asset reads: one is computed, to the same rows
UPDATE raw.airports SET dst = lower(dst);
SELECT asset, status, reason, rows FROM vibepiper.run('flights', parallel => false) WHERE status <> 'cached';
SELECT * FROM pg_temp.differences() WHERE missing > 0 OR extra > 0;

-- A source changes
SELECT count(*) FROM vibepiper.dependencies WHERE upstream = 'flights.departures';
UPDATE raw.flights SET dep_delay = dep_delay + 60, arr_delay = arr_delay + 60 WHERE carrier = 'UA' AND month = 7 AND dep_delay IS NOT NULL;
SELECT vibepiper.invalidate('flights.departures');
SELECT asset, action, reason FROM vibepiper.plan('flights') WHERE action = 'cached' ORDER BY 1;
SELECT asset, status, reason FROM vibepiper.run('flights', parallel => false) WHERE status <> 'cached';
SELECT * FROM pg_temp.differences() WHERE missing > 0 OR extra > 0;
-- indexes are there, used, and analyzed
SELECT a.asset, cardinality(a.indexes) = (SELECT count(*) FROM pg_index i WHERE i.indrelid = v.slot::regclass AND i.indisvalid) AS all_indexes,
       (SELECT reltuples = v.rows FROM pg_class WHERE oid = v.slot::regclass) AS analyzed
FROM vibepiper.assets a JOIN vibepiper.versions v USING (asset) WHERE a.pipeline = 'flights' AND v.published ORDER BY 1;

SELECT vibepiper.drop_pipeline('flights', cascade => true);
DROP SCHEMA flights, raw CASCADE;
