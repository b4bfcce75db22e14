-- Every example of doc/reference.md runs without an error.
\getenv abs_srcdir PG_ABS_SRCDIR
\set examples :abs_srcdir '/../doc/examples.sql'
SET client_min_messages = error;
\set ECHO none
\o /dev/null
\i :examples
\o
\set ECHO all
SELECT count(*) > 0 AS ran FROM vibepiper.runs WHERE pipeline = 'shop';
SELECT count(*) AS left_over FROM vibepiper.pipelines WHERE pipeline = 'shop';
