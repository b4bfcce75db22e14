-- Reading assets: what every stub calls.

CREATE FUNCTION vibepiper.read_asset(definition regclass) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1000
	AS 'MODULE_PATHNAME', 'vp_read_asset';
COMMENT ON FUNCTION vibepiper.read_asset(regclass) IS
'Rows of the asset with this definition view. It stands in the stub that users read; read the asset by its name instead.
Errors: 42804 if the column definition list is not the asset''s, 42501 without SELECT on the stub, 55000 if there is no stored version and on_miss is ''error''.';
