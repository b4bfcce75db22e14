-- Schema raw: all flights that left New York City in 2013, as delivered.
-- "data" is the folder of the CSV files; the default suits psql at the top of the tree.

\if :{?data}
\else
    \set data test/data/nycflights13
\endif
\setenv NYCFLIGHTS13 :data

CREATE SCHEMA raw;

CREATE TABLE raw.airlines (
    carrier text PRIMARY KEY,
    name    text NOT NULL
);

CREATE TABLE raw.airports (
    faa  text PRIMARY KEY,
    name text NOT NULL,
    lat  float8,
    lon  float8,
    alt  int,
    tz   numeric,
    dst  text
);

CREATE TABLE raw.planes (
    tailnum      text PRIMARY KEY,
    year         int,
    type         text,
    manufacturer text,
    model        text,
    engines      int,
    seats        int,
    speed        int,
    engine       text
);

CREATE TABLE raw.weather (
    origin     text,
    year       int,
    month      int,
    day        int,
    hour       int,
    temp       numeric,
    dewp       numeric,
    humid      numeric,
    wind_dir   numeric,
    wind_speed numeric,
    wind_gust  numeric,
    precip     numeric,
    pressure   numeric,
    visib      numeric,
    date       timestamp
);

CREATE TABLE raw.flights (
    year      int,
    month     int,
    day       int,
    dep_time  int,
    dep_delay numeric,
    arr_time  int,
    arr_delay numeric,
    carrier   text,
    tailnum   text,
    flight    int,
    origin    text,
    dest      text,
    air_time  numeric,
    distance  numeric,
    hour      numeric,
    minute    numeric
);

\copy raw.airlines from program 'gzip -dc "$NYCFLIGHTS13/airlines.csv.gz"' with (format csv, header)
\copy raw.airports from program 'gzip -dc "$NYCFLIGHTS13/airports.csv.gz"' with (format csv, header)
\copy raw.planes from program 'gzip -dc "$NYCFLIGHTS13/planes.csv.gz"' with (format csv, header)
\copy raw.weather from program 'gzip -dc "$NYCFLIGHTS13/weather.csv.gz"' with (format csv, header)
\copy raw.flights from program 'gzip -dc "$NYCFLIGHTS13/flights.csv.gz"' with (format csv, header)

ANALYZE raw.airlines, raw.airports, raw.planes, raw.weather, raw.flights;
