-- psql -v library=/path/of/planbench

CREATE FUNCTION bench_plan(queries text[], rounds int, calls int, OUT round int, OUT query int, OUT us float8)
	RETURNS SETOF record LANGUAGE c STRICT AS :'library', 'bench_plan';
COMMENT ON FUNCTION bench_plan(text[], int, int) IS
'Microseconds of one call of the planner for each query, averaged over so many calls in each round. The query is analyzed and rewritten once; copying it for the planner is not counted.';

CREATE FUNCTION bench_prepare(queries text[]) RETURNS void
	LANGUAGE c STRICT AS :'library', 'bench_prepare';
COMMENT ON FUNCTION bench_prepare(text[]) IS
'Prepare queries with one parameter, an int, for bench_execute() in this session.';

CREATE FUNCTION bench_execute(rounds int, calls int, keys int, OUT round int, OUT query int, OUT us float8)
	RETURNS SETOF record LANGUAGE c STRICT AS :'library', 'bench_execute';
COMMENT ON FUNCTION bench_execute(int, int, int) IS
'Microseconds of one execution of each prepared query, with parameters from 1 to keys.';
