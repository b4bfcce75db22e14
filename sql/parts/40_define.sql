-- Define and drop pipelines and assets.

CREATE FUNCTION vibepiper.define_pipeline(
	name text,
	schemas name[] = NULL,
	max_workers int = NULL,
	publish text = 'run',
	storage text = 'unlogged',
	on_miss text = 'compute',
	settings text[] = NULL,
	keep_versions int = 2,
	description text = NULL
) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_define_pipeline_sql';
COMMENT ON FUNCTION vibepiper.define_pipeline(text, name[], int, text, text, text, text[], int, text) IS
'Define a pipeline, or change one that you own. Omitted arguments mean their defaults.
schemas: where its assets live, the first for unqualified names (default: one named like the pipeline); missing ones are created. publish: ''run'' all or nothing, ''succeeded'' at the end what did not fail, ''asset'' each when done. storage: ''unlogged'' or ''logged''. on_miss: ''compute'' or ''error'' when there is no stored version. settings: ''name=value'' for its assets'' queries. keep_versions: published versions kept per asset, 1 to 1000.
Example: SELECT vibepiper.define_pipeline(''shop'');';

CREATE FUNCTION vibepiper.define_asset(
	name text,
	query text,
	cache bool = true,
	cache_ttl interval = NULL,
	lazy bool = false,
	parallel bool = true,
	storage text = NULL,
	on_miss text = NULL,
	indexes text[] = NULL,
	settings text[] = NULL,
	hints text = NULL,
	depends_on text[] = NULL,
	tags text[] = NULL,
	retries int = 0,
	retry_delay interval = '1 s',
	timeout interval = NULL,
	description text = NULL,
	max_staleness interval = NULL
) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_define_asset_sql';
COMMENT ON FUNCTION vibepiper.define_asset(text, text, bool, interval, bool, bool, text, text, text[], text[], text, text[], text[], int, interval, interval, text, interval) IS
'Define an asset, or change it. Returns ''created'', ''code changed'', ''options changed'' or ''unchanged''. Omitted arguments mean their defaults.
query: one SELECT; unqualified names are looked up in the pipeline''s schemas, then in your search_path. cache: false computes it in every run. cache_ttl: how long a version is fresh. lazy: not stored, computed when read. indexes: for example ''(order_id)'', ''UNIQUE (id)'', ''USING brin (day)''; built with the next version. settings: ''name=value'' for the query. depends_on: assets that it reads in ways that the query does not show. tags: for selections. retries, retry_delay: when an error can pass. timeout: of one attempt. max_staleness: though what it reads has changed, runs leave a version alone until it is that old.
hints are recorded, and not used yet.
Errors: 42P17 unless the query is one SELECT of user tables, 42P19 if the asset would depend on itself, 2BP01 if columns change that a user''s view or function depends on, 3F000 if no pipeline owns the schema.
Example: SELECT vibepiper.define_asset(''shop.revenue'', ''SELECT day, sum(amount) AS amount FROM raw.orders GROUP BY day'', indexes => ''{UNIQUE (day)}'');';

CREATE FUNCTION vibepiper.define_assets(
	pipeline text,
	assets jsonb,
	prune bool = false,
	dry_run bool = false,
	OUT asset text,
	OUT change text,
	OUT detail text
) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
	AS 'MODULE_PATHNAME', 'vp_define_assets_sql';
COMMENT ON FUNCTION vibepiper.define_assets(text, jsonb, bool, bool) IS
'Define the assets of a jsonb array of objects, in any order, in one transaction. The objects'' fields are the arguments of define_asset(). prune: drop the pipeline''s other assets. dry_run: only say what would change.
Errors: as define_asset(); 22023 if the jsonb has another shape, 42P19 with the path if assets depend on each other in a circle.
Example: SELECT * FROM vibepiper.define_assets(''shop'', ''[{"name": "days", "query": "SELECT DISTINCT day FROM raw.orders"}]'', dry_run => true);';

CREATE FUNCTION vibepiper.drop_asset(name text, cascade bool = false) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_drop_asset_sql';
COMMENT ON FUNCTION vibepiper.drop_asset(text, bool) IS
'Drop an asset that you own, with all its versions. cascade: also the assets and views that read it.
Errors: 2BP01 if something reads it, 42704 if it does not exist.
Example: SELECT vibepiper.drop_asset(''shop.revenue'');';

CREATE FUNCTION vibepiper.drop_pipeline(name text, cascade bool = false) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_drop_pipeline_sql';
COMMENT ON FUNCTION vibepiper.drop_pipeline(text, bool) IS
'Drop a pipeline that you own. cascade: with its assets, and what reads them. Its schemas stay.
Errors: 2BP01 if it has assets, 42704 if it does not exist.
Example: SELECT vibepiper.drop_pipeline(''shop'', cascade => true);';

CREATE FUNCTION vibepiper.asset_query(name text) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_asset_query_sql';
COMMENT ON FUNCTION vibepiper.asset_query(text) IS
'The query of an asset that you own, as it was written.
Example: SELECT vibepiper.asset_query(''shop.revenue'');';

CREATE FUNCTION vibepiper.rename_asset(name text, new_name text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_rename_asset_sql';
COMMENT ON FUNCTION vibepiper.rename_asset(text, text) IS
'Rename an asset that you own, or move it to another schema of its pipeline. What reads it follows; stored versions stay. ALTER VIEW does the same.
Errors: 42P07 if the name is taken, 3F000 if the schema is not the pipeline''s, 42704 if the asset does not exist.
Example: SELECT vibepiper.rename_asset(''shop.revenue'', ''shop.daily_revenue'');';

CREATE FUNCTION vibepiper.detach_source(source regclass, OUT asset text, OUT change text) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
	AS 'MODULE_PATHNAME', 'vp_detach_source_sql';
COMMENT ON FUNCTION vibepiper.detach_source(regclass) IS
'Let go of a source, so that it can be altered: until attach_source() the assets that read it are read as published, and can''t be computed. For the owner of the source, or of all these assets. Returns the detached assets.
Errors: 42501 without the right, 22023 if no asset reads it.
Example: SELECT * FROM vibepiper.detach_source(''raw.orders'');';

CREATE FUNCTION vibepiper.attach_source(source regclass, OUT asset text, OUT change text) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
	AS 'MODULE_PATHNAME', 'vp_attach_source_sql';
COMMENT ON FUNCTION vibepiper.attach_source(regclass) IS
'End detach_source(): analyze the queries of the detached assets again. Where columns have changed, assets that read them are rebuilt, too. The source may be another relation of the same name. Returns ''unchanged'' or ''code changed'' for each, and ''rebuilt'' for those that followed.
Errors: 42501 without the right, 22023 if nothing is detached from it, and what define_asset() says of a query that does not fit any more.
Example: SELECT * FROM vibepiper.attach_source(''raw.orders'');';

CREATE FUNCTION vibepiper.adopt_assets(OUT object text, OUT change text, OUT detail text) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
	AS 'MODULE_PATHNAME', 'vp_adopt_assets_sql';
COMMENT ON FUNCTION vibepiper.adopt_assets() IS
'Enter pipelines and assets whose views are there, but that are not in the catalog, as after a partial restore. A restore of a whole dump does it by itself. Only those whose owner''s rights you have. Returns ''adopted'', or ''not adopted'' and why.
Example: SELECT * FROM vibepiper.adopt_assets();';

CREATE FUNCTION vibepiper.on_ddl_command_end() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'vp_on_ddl_command_end';
COMMENT ON FUNCTION vibepiper.on_ddl_command_end() IS
'Event trigger: assets follow what is done to their views by hand or by a restore.';
CREATE EVENT TRIGGER vibepiper_on_ddl_command_end ON ddl_command_end
	WHEN TAG IN ('CREATE VIEW', 'ALTER VIEW', 'ALTER TABLE', 'ALTER SCHEMA', 'COMMENT')
	EXECUTE FUNCTION vibepiper.on_ddl_command_end();
ALTER EVENT TRIGGER vibepiper_on_ddl_command_end ENABLE ALWAYS;

CREATE FUNCTION vibepiper.on_sql_drop() RETURNS event_trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'vp_on_sql_drop';
COMMENT ON FUNCTION vibepiper.on_sql_drop() IS
'Event trigger: forgets an asset whose stub was dropped by hand.';
CREATE EVENT TRIGGER vibepiper_on_sql_drop ON sql_drop EXECUTE FUNCTION vibepiper.on_sql_drop();
ALTER EVENT TRIGGER vibepiper_on_sql_drop ENABLE ALWAYS;
