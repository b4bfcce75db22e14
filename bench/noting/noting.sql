-- psql -v library=/path/of/noting

CREATE FUNCTION noting() RETURNS trigger LANGUAGE c AS :'library', 'noting';
COMMENT ON FUNCTION noting() IS
'For a statement trigger: note in this process which relation the transaction wrote.';
