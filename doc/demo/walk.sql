-- What "make demo" shows, after load.sql and pipeline.sql.

\pset pager off
\pset footer off

CREATE TABLE raw.last_day AS SELECT * FROM raw.flights WHERE month = 12 AND day = 31;
DELETE FROM raw.flights WHERE month = 12 AND day = 31;

\echo
\echo '== 1. What would a run do, and why?'
\echo '   plan() computes nothing. Nothing was ever built, so everything is to do.'
\echo '   (The flights of 31 December are held back; they come in section 6.)'
\echo
SELECT * FROM vibepiper.plan('flights');

\echo '== 2. The first run'
\echo '   Background workers compute each asset as soon as those that it reads are there, all under'
\echo '   one snapshot; all of it is published in one commit. A line for each that is finished:'
\echo
SELECT asset, status, reason, rows,
       round(extract(epoch FROM elapsed) * 1000) AS ms,
       pg_size_pretty(bytes) AS size
FROM vibepiper.run('flights');

SET vibepiper.progress = off;

\echo '== 3. Read the results'
\echo '   To a reader every asset is a view.'
\echo
SELECT metric, value, detail FROM flights.dashboard ORDER BY position;

SELECT * FROM flights.worst_days ORDER BY rank LIMIT 5;

\echo '   To the planner it is a table with indexes and statistics:'
\echo
EXPLAIN (COSTS OFF)
SELECT scheduled_at, departed_at, arr_delay
FROM flights.departures
WHERE carrier = 'UA' AND flight_number = 15 AND flight_date >= '2013-12-01';

EXPLAIN (COSTS OFF)
SELECT a.airline, c.on_time_percent
FROM flights.carrier_punctuality AS c
JOIN flights.airlines AS a USING (carrier)
WHERE c.flights > 10000;

\echo '== 4. Run again'
\echo '   Nothing is out of date, so nothing is computed.'
\echo
SELECT status, count(*) AS assets, round(sum(extract(epoch FROM elapsed)) * 1000) AS ms
FROM vibepiper.run('flights')
GROUP BY status;

\echo '== 5. One worker, and four'
\echo '   Everything is computed again twice: by one background worker, then by up to four.'
\echo
SELECT count(*) AS assets FROM vibepiper.run('flights', force => true, max_workers => 1) \g /dev/null
SELECT count(*) AS assets FROM vibepiper.run('flights', force => true, max_workers => 4) \g /dev/null
SELECT CASE row_number() OVER w WHEN 1 THEN 'one worker' ELSE 'up to four' END AS run,
       unchanged + built AS computed,
       round(extract(epoch FROM elapsed), 1) AS seconds,
       round((first_value(extract(epoch FROM elapsed)) OVER w / extract(epoch FROM elapsed))::numeric, 2) AS "times as fast"
FROM (SELECT * FROM vibepiper.runs ORDER BY run_id DESC LIMIT 2) AS last
WINDOW w AS (ORDER BY run_id);

\echo '== 6. A day of flights comes in'
\echo '   Nobody has to say so: who wrote the table is known. A run computes the asset that reads it,'
\echo '   and what is built on that. Airlines, airports, aircraft and weather are left alone; and where'
\echo '   the day makes no difference, as to the worst days of the year, the rows are said to be the same.'
\echo
\echo '   INSERT INTO raw.flights SELECT * FROM raw.last_day;'
\echo
INSERT INTO raw.flights SELECT * FROM raw.last_day;
SELECT asset, status, reason, rows,
       round(extract(epoch FROM elapsed) * 1000) AS ms
FROM vibepiper.run('flights');
DROP TABLE raw.last_day;

SELECT metric, value, detail FROM flights.dashboard WHERE position = 1;

\echo '== 7. An airline gets a new name'
\echo '   Few assets depend on that; the big ones are left alone.'
\echo
\echo '   UPDATE raw.airlines SET name = ''ExpressJet'' WHERE carrier = ''EV'';'
\echo
UPDATE raw.airlines SET name = 'ExpressJet' WHERE carrier = 'EV';
SELECT * FROM vibepiper.plan('flights');
SELECT asset, status, reason, rows,
       round(extract(epoch FROM elapsed) * 1000) AS ms
FROM vibepiper.run('flights')
WHERE status <> 'cached';

SELECT metric, value, detail FROM flights.dashboard WHERE metric LIKE '%airline%' ORDER BY position;

\echo '== 8. A change that makes no difference'
\echo '   A column is updated that no asset reads. The airports are computed again, but their rows'
\echo '   come out the same. The hash of the data says so, and nothing that reads them is computed.'
\echo
\echo '   UPDATE raw.airports SET dst = lower(dst);'
\echo
UPDATE raw.airports SET dst = lower(dst);
SELECT status, reason, count(*) AS assets, min(asset) AS "for example"
FROM vibepiper.run('flights')
GROUP BY status, reason
ORDER BY assets;
