-- Reading assets: what every stub calls.

CREATE FUNCTION vibepiper.read_asset(definition regclass) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1000
	AS 'MODULE_PATHNAME', 'vp_read_asset';
COMMENT ON FUNCTION vibepiper.read_asset(regclass) IS
'Rows of the asset with this definition view. It stands in the stub that users read; read the asset by its name instead.
Errors: 42804 if the column definition list is not the asset''s, 42501 without SELECT on the stub, 55000 if there is no stored version and on_miss is ''error''.';

CREATE FUNCTION vibepiper.detached() RETURNS bool
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_detached_sql';
COMMENT ON FUNCTION vibepiper.detached() IS
'Stands in the definition of an asset whose source is detached, and raises 55000: there is no query.';
