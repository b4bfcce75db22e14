-- Pipeline "flights": from the raw tables of load.sql to a dashboard.
--
--   cleaned       airlines  airports  aircraft  weather_hourly  departures
--   joined        departure_weather                  departures, weather_hourly
--                 aircraft_legs                      departures
--   punctuality   carrier_punctuality                departures, airlines
--                 route_, airport_punctuality        departures, airports
--                 hourly_punctuality                 departures
--   weather       weather_cost                       departure_weather
--   aircraft      aircraft_days                      aircraft_legs
--                 fleet_utilisation                  aircraft_days, aircraft
--   time          daily_punctuality                  departures, departure_weather
--                 worst_days, monthly_trend          daily_punctuality
--   on top        dashboard                          nine lines from all of these
--
-- Averages are taken of integers and rounded, so the same rows in another order
-- give the same result to the last digit: a recomputation that changes nothing
-- is recognised as such.

SELECT vibepiper.define_pipeline('flights',
    description => 'Departures from New York City: how late, and why');


-- Cleaned sources ---------------------------------------------------------

SELECT vibepiper.define_asset('flights.airlines', $$
    SELECT carrier,
           regexp_replace(name, ',? (Inc\.|Co\.|Corporation)$', '') AS airline
    FROM raw.airlines
$$, indexes => ARRAY['UNIQUE (carrier)'],
    description => 'Airlines by carrier code, names without their legal form');

SELECT vibepiper.define_asset('flights.airports', $$
    SELECT faa AS airport,
           btrim(name) AS airport_name,
           lat AS latitude,
           lon AS longitude,
           alt AS altitude_feet
    FROM raw.airports
$$, indexes => ARRAY['UNIQUE (airport)'],
    description => 'Airports of the United States by FAA code');

SELECT vibepiper.define_asset('flights.aircraft', $$
    SELECT tailnum AS tail_number,
           CASE
               WHEN manufacturer LIKE 'AIRBUS%' THEN 'Airbus'
               WHEN manufacturer LIKE 'MCDONNELL DOUGLAS%' THEN 'McDonnell Douglas'
               ELSE initcap(manufacturer)
           END AS manufacturer,
           model,
           year AS year_built,
           seats,
           engines
    FROM raw.planes
$$, indexes => ARRAY['UNIQUE (tail_number)'],
    description => 'Registered aircraft, one spelling for each manufacturer');

SELECT vibepiper.define_asset('flights.weather_hourly', $$
    SELECT origin,
           make_timestamp(year, month, day, hour, 0, 0) AS observed_hour,
           temp AS temperature_f,
           humid AS humidity_percent,
           -- a broken gauge reported more than a thousand miles an hour
           CASE WHEN wind_speed < 150 THEN round(wind_speed, 1) END AS wind_mph,
           CASE WHEN wind_gust < 150 THEN round(wind_gust, 1) END AS gust_mph,
           precip AS precipitation_in,
           visib AS visibility_miles
    FROM raw.weather
$$, indexes => ARRAY['UNIQUE (origin, observed_hour)'],
    description => 'Weather at the three airports, by local hour');

SELECT vibepiper.define_asset('flights.departures', $$
    SELECT f.flight_date,
           f.carrier,
           f.flight_number,
           f.tail_number,
           f.origin,
           f.dest,
           f.distance_miles,
           CASE
               WHEN f.clock_minute IS NULL THEN 'cancelled'
               WHEN f.arr_delay IS NULL THEN 'diverted'
               ELSE 'completed'
           END AS outcome,
           s.scheduled_at,
           s.scheduled_at + make_interval(mins => f.dep_delay) AS departed_at,
           f.dep_delay,
           f.arr_delay,
           f.air_minutes
    FROM (
        SELECT make_date(year, month, day) AS flight_date,
               carrier,
               flight AS flight_number,
               tailnum AS tail_number,
               origin,
               dest,
               distance::int AS distance_miles,
               -- midnight is written 24:00
               hour::int * 60 + minute::int AS clock_minute,
               dep_delay::int AS dep_delay,
               arr_delay::int AS arr_delay,
               air_time::int AS air_minutes
        FROM raw.flights
    ) AS f
    CROSS JOIN LATERAL (
        -- The date is that of the schedule, the clock time that of the departure: a flight
        -- of 23:50 that left at 00:20 left on the next day.
        SELECT f.flight_date
               + make_interval(mins => (f.clock_minute - f.dep_delay + 2 * 1440) % 1440) AS scheduled_at
    ) AS s
$$, indexes => ARRAY['(flight_date)', '(carrier, flight_number, flight_date)', '(tail_number, departed_at)'],
    description => 'One row for each scheduled departure; cancelled ones have no times');


-- Joins that several tables need ------------------------------------------

SELECT vibepiper.define_asset('flights.departure_weather', $$
    SELECT d.flight_date,
           d.carrier,
           d.origin,
           d.dest,
           d.scheduled_at,
           d.dep_delay,
           d.arr_delay,
           w.wind_mph,
           w.visibility_miles,
           w.precipitation_in,
           CASE
               WHEN w.wind_mph IS NULL THEN 'unknown'
               WHEN w.wind_mph < 10 THEN '1: under 10 mph'
               WHEN w.wind_mph < 20 THEN '2: 10 to 20 mph'
               WHEN w.wind_mph < 30 THEN '3: 20 to 30 mph'
               ELSE '4: 30 mph and more'
           END AS wind_band,
           CASE
               WHEN w.visibility_miles IS NULL THEN 'unknown'
               WHEN w.visibility_miles >= 10 THEN '1: 10 miles'
               WHEN w.visibility_miles >= 5 THEN '2: 5 to 10 miles'
               WHEN w.visibility_miles >= 1 THEN '3: 1 to 5 miles'
               ELSE '4: under 1 mile'
           END AS visibility_band,
           CASE
               WHEN w.precipitation_in IS NULL THEN 'unknown'
               WHEN w.precipitation_in = 0 THEN '1: dry'
               WHEN w.precipitation_in < 0.05 THEN '2: light'
               WHEN w.precipitation_in < 0.20 THEN '3: moderate'
               ELSE '4: heavy'
           END AS precipitation_band
    FROM flights.departures AS d
    LEFT JOIN flights.weather_hourly AS w
           ON w.origin = d.origin
          AND w.observed_hour = date_trunc('hour', d.scheduled_at)
    WHERE d.outcome <> 'cancelled'
$$, indexes => ARRAY['(flight_date)'],
    description => 'Flights that left, with the weather at the hour they were due to leave');

SELECT vibepiper.define_asset('flights.aircraft_legs', $$
    WITH legs AS (
        SELECT tail_number,
               flight_date,
               departed_at,
               carrier,
               flight_number,
               origin,
               dest,
               dep_delay,
               arr_delay,
               air_minutes,
               row_number() OVER day AS leg,
               lag(arr_delay) OVER day AS previous_arr_delay
        FROM flights.departures
        WHERE outcome <> 'cancelled'
          AND tail_number IS NOT NULL
        WINDOW day AS (PARTITION BY tail_number, flight_date
                       ORDER BY departed_at, carrier, flight_number, origin)
    )
    SELECT tail_number,
           flight_date,
           leg,
           departed_at,
           carrier,
           flight_number,
           origin,
           dest,
           dep_delay,
           arr_delay,
           air_minutes,
           -- as much of this delay as the aircraft brought along from its last flight out
           greatest(least(dep_delay, coalesce(previous_arr_delay, 0)), 0) AS knock_on_delay
    FROM legs
$$, indexes => ARRAY['UNIQUE (tail_number, flight_date, leg)'],
    description => 'Each aircraft''s flights out of New York, numbered within the day');


-- Punctuality -------------------------------------------------------------

SELECT vibepiper.define_asset('flights.carrier_punctuality', $$
    SELECT d.carrier,
           coalesce(a.airline, d.carrier) AS airline,
           count(*) AS flights,
           count(*) FILTER (WHERE d.outcome = 'cancelled') AS cancelled,
           round(100.0 * count(*) FILTER (WHERE d.outcome = 'cancelled') / count(*), 2) AS cancelled_percent,
           round(avg(d.dep_delay), 1) AS mean_dep_delay,
           round(avg(d.arr_delay), 1) AS mean_arr_delay,
           percentile_disc(0.9) WITHIN GROUP (ORDER BY d.arr_delay) AS p90_arr_delay,
           round(100.0 * count(*) FILTER (WHERE d.arr_delay < 15)
                 / nullif(count(d.arr_delay), 0), 1) AS on_time_percent
    FROM flights.departures AS d
    LEFT JOIN flights.airlines AS a USING (carrier)
    GROUP BY d.carrier, a.airline
$$, indexes => ARRAY['UNIQUE (carrier)'],
    description => 'Punctuality by airline; on time means less than 15 minutes late on arrival');

SELECT vibepiper.define_asset('flights.route_punctuality', $$
    SELECT d.origin,
           d.dest,
           a.airport_name AS dest_name,
           max(d.distance_miles) AS distance_miles,
           count(*) AS flights,
           count(DISTINCT d.carrier) AS carriers,
           count(*) FILTER (WHERE d.outcome = 'cancelled') AS cancelled,
           round(avg(d.arr_delay), 1) AS mean_arr_delay,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY d.air_minutes) AS median_air_minutes,
           round(100.0 * count(*) FILTER (WHERE d.arr_delay < 15)
                 / nullif(count(d.arr_delay), 0), 1) AS on_time_percent
    FROM flights.departures AS d
    LEFT JOIN flights.airports AS a ON a.airport = d.dest
    GROUP BY d.origin, d.dest, a.airport_name
$$, indexes => ARRAY['UNIQUE (origin, dest)', '(flights)'],
    description => 'Punctuality by route');

SELECT vibepiper.define_asset('flights.airport_punctuality', $$
    SELECT d.origin,
           a.airport_name AS origin_name,
           date_trunc('month', d.flight_date::timestamp)::date AS month,
           count(*) AS flights,
           count(*) FILTER (WHERE d.outcome = 'cancelled') AS cancelled,
           round(avg(d.dep_delay), 1) AS mean_dep_delay,
           round(100.0 * count(*) FILTER (WHERE d.dep_delay < 15)
                 / nullif(count(d.dep_delay), 0), 1) AS on_time_percent
    FROM flights.departures AS d
    LEFT JOIN flights.airports AS a ON a.airport = d.origin
    GROUP BY d.origin, a.airport_name, date_trunc('month', d.flight_date::timestamp)
$$, indexes => ARRAY['UNIQUE (origin, month)'],
    description => 'Punctuality by airport of departure and month');

SELECT vibepiper.define_asset('flights.hourly_punctuality', $$
    SELECT origin,
           extract(hour FROM scheduled_at)::int AS scheduled_hour,
           count(*) AS flights,
           round(avg(dep_delay), 1) AS mean_dep_delay,
           percentile_disc(0.9) WITHIN GROUP (ORDER BY dep_delay) AS p90_dep_delay,
           round(100.0 * count(*) FILTER (WHERE dep_delay < 15) / count(*), 1) AS on_time_percent
    FROM flights.departures
    WHERE scheduled_at IS NOT NULL
    GROUP BY origin, extract(hour FROM scheduled_at)
$$, indexes => ARRAY['UNIQUE (origin, scheduled_hour)'],
    description => 'Punctuality by airport and scheduled hour: delays pile up through the day');


-- Weather -----------------------------------------------------------------

SELECT vibepiper.define_asset('flights.weather_cost', $$
    WITH banded AS (
        SELECT b.factor,
               b.band,
               count(*) AS flights,
               avg(w.dep_delay) AS mean_dep_delay
        FROM flights.departure_weather AS w
        CROSS JOIN LATERAL (
            VALUES ('wind', w.wind_band),
                   ('visibility', w.visibility_band),
                   ('precipitation', w.precipitation_band)
        ) AS b (factor, band)
        WHERE b.band <> 'unknown'
        GROUP BY b.factor, b.band
    ), compared AS (
        SELECT *,
               -- the bands are numbered from the best weather on
               mean_dep_delay - first_value(mean_dep_delay) OVER (PARTITION BY factor ORDER BY band) AS extra
        FROM banded
    )
    SELECT factor,
           band,
           flights,
           round(mean_dep_delay, 1) AS mean_dep_delay,
           round(extra, 1) AS extra_minutes,
           round(extra * flights / 60, 0) AS hours_lost
    FROM compared
$$, indexes => ARRAY['UNIQUE (factor, band)'],
    description => 'Delay by wind, visibility and rain, and the hours lost against the best band');


-- Aircraft ----------------------------------------------------------------

SELECT vibepiper.define_asset('flights.aircraft_days', $$
    SELECT tail_number,
           flight_date,
           count(*) AS legs,
           coalesce(sum(air_minutes), 0) AS air_minutes,
           sum(greatest(dep_delay, 0)) AS delay_minutes,
           sum(knock_on_delay) AS knock_on_minutes
    FROM flights.aircraft_legs
    GROUP BY tail_number, flight_date
$$, indexes => ARRAY['UNIQUE (tail_number, flight_date)'],
    description => 'Each aircraft''s days: legs, minutes in the air, delay, and the part handed on');

SELECT vibepiper.define_asset('flights.fleet_utilisation', $$
    SELECT coalesce(a.manufacturer, 'unknown') AS manufacturer,
           coalesce(a.model, 'unknown') AS model,
           max(a.seats) AS seats,
           count(DISTINCT d.tail_number) AS aircraft,
           count(*) AS aircraft_days,
           sum(d.legs) AS legs,
           round(sum(d.air_minutes) / 60.0, 0) AS air_hours,
           round(sum(d.legs) / count(*), 2) AS legs_a_day,
           round(100.0 * sum(d.knock_on_minutes)
                 / nullif(sum(d.delay_minutes), 0), 1) AS knock_on_percent
    FROM flights.aircraft_days AS d
    LEFT JOIN flights.aircraft AS a USING (tail_number)
    GROUP BY coalesce(a.manufacturer, 'unknown'), coalesce(a.model, 'unknown')
$$, indexes => ARRAY['UNIQUE (manufacturer, model)'],
    description => 'How hard each model works, and how much of its delay is knock-on');


-- Days and months ---------------------------------------------------------

SELECT vibepiper.define_asset('flights.daily_punctuality', $$
    WITH scheduled AS (
        SELECT flight_date,
               count(*) AS flights,
               count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled
        FROM flights.departures
        GROUP BY flight_date
    ), flown AS (
        SELECT flight_date,
               avg(dep_delay) AS mean_dep_delay,
               count(*) FILTER (WHERE dep_delay < 15) AS on_time,
               count(*) AS departed,
               max(wind_mph) AS max_wind_mph,
               min(visibility_miles) AS min_visibility_miles,
               max(precipitation_in) AS max_precipitation_in
        FROM flights.departure_weather
        GROUP BY flight_date
    )
    SELECT s.flight_date,
           s.flights,
           s.cancelled,
           round(f.mean_dep_delay, 1) AS mean_dep_delay,
           round(100.0 * f.on_time / nullif(f.departed, 0), 1) AS on_time_percent,
           f.max_wind_mph,
           f.min_visibility_miles,
           f.max_precipitation_in
    FROM scheduled AS s
    LEFT JOIN flown AS f USING (flight_date)
$$, indexes => ARRAY['UNIQUE (flight_date)'],
    description => 'Each day: flights, cancellations, delay, and the worst weather of the day');

SELECT vibepiper.define_asset('flights.worst_days', $$
    WITH ranked AS (
        SELECT *,
               row_number() OVER (ORDER BY round(100.0 * cancelled / flights, 1)
                                           + coalesce(100 - on_time_percent, 0) DESC,
                                           flight_date) AS rank
        FROM flights.daily_punctuality
    )
    SELECT rank,
           flight_date,
           flights,
           round(100.0 * cancelled / flights, 1) AS cancelled_percent,
           on_time_percent,
           mean_dep_delay,
           CASE
               WHEN min_visibility_miles < 1 THEN 'low visibility'
               WHEN max_precipitation_in >= 0.2 THEN 'heavy rain or snow'
               WHEN max_wind_mph >= 30 THEN 'strong wind'
               WHEN max_precipitation_in > 0 THEN 'rain or snow'
               ELSE 'no bad weather in New York'
           END AS weather
    FROM ranked
    WHERE rank <= 25
$$, indexes => ARRAY['UNIQUE (rank)'],
    description => 'The 25 days with the most cancelled and late flights');

SELECT vibepiper.define_asset('flights.monthly_trend', $$
    WITH months AS (
        SELECT date_trunc('month', flight_date::timestamp)::date AS month,
               sum(flights)::bigint AS flights,
               sum(cancelled)::bigint AS cancelled,
               round(avg(mean_dep_delay), 1) AS mean_dep_delay,
               round(avg(on_time_percent), 1) AS on_time_percent
        FROM flights.daily_punctuality
        GROUP BY date_trunc('month', flight_date::timestamp)
    )
    SELECT month,
           flights,
           round(100.0 * cancelled / flights, 2) AS cancelled_percent,
           mean_dep_delay,
           on_time_percent,
           on_time_percent - lag(on_time_percent) OVER (ORDER BY month) AS change
    FROM months
$$, indexes => ARRAY['UNIQUE (month)'],
    description => 'The mean day of each month, and the change from the month before');


-- Dashboard ---------------------------------------------------------------

SELECT vibepiper.define_asset('flights.dashboard', $$
    SELECT 1 AS position,
           'Flights in the year' AS metric,
           to_char(sum(flights), 'FM999,999,999') AS value,
           to_char(100.0 * sum(cancelled) / sum(flights), 'FM990.0') || ' % cancelled' AS detail
    FROM flights.daily_punctuality
    UNION ALL
    (SELECT 2, 'Most punctual large airline', airline,
            on_time_percent || ' % of ' || flights || ' flights on time'
     FROM flights.carrier_punctuality
     WHERE flights >= 10000
     ORDER BY on_time_percent DESC, carrier
     LIMIT 1)
    UNION ALL
    (SELECT 3, 'Least punctual large airline', airline,
            on_time_percent || ' % of ' || flights || ' flights on time'
     FROM flights.carrier_punctuality
     WHERE flights >= 10000
     ORDER BY on_time_percent, carrier
     LIMIT 1)
    UNION ALL
    (SELECT 4, 'Least punctual busy route', origin || ' to ' || coalesce(dest_name, dest),
            on_time_percent || ' % of ' || flights || ' flights on time'
     FROM flights.route_punctuality
     WHERE flights >= 1000
     ORDER BY on_time_percent, origin, dest
     LIMIT 1)
    UNION ALL
    (SELECT 5, 'Best hour to leave', origin || ', ' || scheduled_hour || ':00',
            on_time_percent || ' % leave on time'
     FROM flights.hourly_punctuality
     WHERE flights >= 1000
     ORDER BY on_time_percent DESC, origin, scheduled_hour
     LIMIT 1)
    UNION ALL
    (SELECT 6, 'Most costly weather', factor || ', ' || substr(band, 4),
            hours_lost || ' hours lost in ' || flights || ' flights'
     FROM flights.weather_cost
     ORDER BY hours_lost DESC, factor, band
     LIMIT 1)
    UNION ALL
    (SELECT 7, 'Worst day', to_char(flight_date::timestamp, 'FMDD FMMonth YYYY'),
            cancelled_percent || ' % cancelled, ' || weather
     FROM flights.worst_days
     WHERE rank = 1)
    UNION ALL
    (SELECT 8, 'Best month', to_char(month::timestamp, 'FMMonth'),
            on_time_percent || ' % leave on time on its mean day'
     FROM flights.monthly_trend
     ORDER BY on_time_percent DESC, month
     LIMIT 1)
    UNION ALL
    (SELECT 9, 'Hardest-working model', manufacturer || ' ' || model,
            legs_a_day || ' flights out of New York a day, ' || aircraft || ' aircraft'
     FROM flights.fleet_utilisation
     WHERE aircraft >= 20
     ORDER BY legs_a_day DESC, manufacturer, model
     LIMIT 1)
$$, indexes => ARRAY['UNIQUE (position)'],
    description => 'The year in nine lines');
