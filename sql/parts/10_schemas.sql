-- vibepiper: data assets inside PostgreSQL.

CREATE FUNCTION pg_catalog.vibepiper_preload_check() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'vp_preload_check';
SELECT pg_catalog.vibepiper_preload_check();
DROP FUNCTION pg_catalog.vibepiper_preload_check();

CREATE SCHEMA vibepiper;
COMMENT ON SCHEMA vibepiper IS 'functions and views of the vibepiper extension';
CREATE SCHEMA vibepiper_def;
COMMENT ON SCHEMA vibepiper_def IS 'one view per asset: the query that defines it; managed by vibepiper.define_asset()';
CREATE SCHEMA vibepiper_store;
COMMENT ON SCHEMA vibepiper_store IS 'slots that hold the stored versions of assets; managed by vibepiper, not for direct use';

GRANT USAGE ON SCHEMA vibepiper TO PUBLIC;
