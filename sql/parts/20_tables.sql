-- The extension's own tables.  Nobody but the extension reads or writes them:
-- users have the views of part 60.  There are no foreign keys: src/catalog is
-- the only writer, and the deletions of one asset stand in one function there.

CREATE TABLE vibepiper.installation (
	only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
	hash_seed bigint NOT NULL,			-- secret, so that nobody can construct colliding rows
	cache_clock float8 NOT NULL DEFAULT 0	-- priority of what was last evicted: keeper/evict.c
);
INSERT INTO vibepiper.installation (hash_seed)
	SELECT ('x' || pg_catalog.substr(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', ''), 1, 8)
				|| pg_catalog.substr(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', ''), 1, 8))::bit(64)::bigint;

CREATE TABLE vibepiper.pipeline (
	pipeline_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	view oid NOT NULL UNIQUE,			-- in vibepiper_def, says owner and schemas
	name text NOT NULL UNIQUE,
	max_workers int,
	publish text NOT NULL,
	storage text NOT NULL,
	on_miss text NOT NULL,
	settings text[],
	keep_versions int NOT NULL,
	description text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE TABLE vibepiper.asset (
	asset_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	def oid NOT NULL UNIQUE,			-- definition view
	stub oid NOT NULL UNIQUE,			-- the view that users read
	pipeline_id int NOT NULL,
	-- store/resolve.c reads the columns up to here and the next three by number
	lazy bool NOT NULL,
	error_on_miss bool NOT NULL,		-- on_miss, or else the pipeline's, is 'error'
	detached bool NOT NULL,				-- from a source: the definition has no query
	code_hash uuid NOT NULL,
	canonical uuid NOT NULL,			-- of the definition's text when it was made of the query as written
	signature uuid NOT NULL,			-- columns and indexes that a version must have
	cache bool NOT NULL,
	cache_ttl interval,
	max_staleness interval,
	parallel bool NOT NULL,
	storage text,
	on_miss text,
	indexes text[] NOT NULL,			-- as written
	index_clauses text[] NOT NULL,		-- the same, all names looked up
	settings text[],
	environment text[] NOT NULL,		-- recorded settings, 'name=value'
	hints text,
	depends_on int[] NOT NULL,			-- asset_id of each
	tags text[] NOT NULL,
	retries int NOT NULL,
	retry_delay interval NOT NULL,
	timeout interval,
	description text,
	detached_query text,				-- while detached: what comes back
	detached_sources text[],			-- ... and from what, by name
	pinned_run bigint,					-- set by rollback()
	defined_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX asset_pipeline_id_idx ON vibepiper.asset (pipeline_id);

-- Queries as they were written.  The one table that pg_dump dumps: all else
-- of an asset comes back with its views and their comments.
CREATE TABLE vibepiper.query_text (
	definition text NOT NULL,			-- name of the view in vibepiper_def
	query text NOT NULL
);
CREATE INDEX query_text_definition_idx ON vibepiper.query_text (definition);
ALTER TABLE vibepiper.query_text REPLICA IDENTITY FULL;	-- a publication FOR ALL TABLES has it, too
SELECT pg_catalog.pg_extension_config_dump('vibepiper.query_text', '');

CREATE TABLE vibepiper.dependency (
	asset_id int NOT NULL,
	upstream_id int,					-- an asset ...
	source oid,							-- ... or a source
	declared bool NOT NULL,				-- by depends_on only
	CHECK ((upstream_id IS NULL) <> (source IS NULL)),
	UNIQUE (asset_id, upstream_id, source)
);
ALTER TABLE vibepiper.dependency REPLICA IDENTITY FULL;
CREATE INDEX dependency_upstream_id_idx ON vibepiper.dependency (upstream_id) WHERE upstream_id IS NOT NULL;
CREATE INDEX dependency_source_idx ON vibepiper.dependency (source) WHERE source IS NOT NULL;

CREATE TABLE vibepiper.slot (
	slot oid PRIMARY KEY,				-- relation in vibepiper_store
	asset_id int NOT NULL,
	signature uuid NOT NULL,
	persistence "char" NOT NULL,		-- as pg_class.relpersistence
	version_id bigint					-- what it holds; NULL: nothing that anybody wants
) WITH (fillfactor = 70);
CREATE INDEX slot_asset_id_idx ON vibepiper.slot (asset_id);

CREATE TABLE vibepiper.version (
	version_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	asset_id int NOT NULL,
	slot oid NOT NULL,
	filenode oid NOT NULL,				-- the slot's relation file: (slot, filenode) is the version's identity
	run_id bigint NOT NULL,				-- that computed it
	code_hash uuid NOT NULL,
	signature uuid NOT NULL,
	data_hash uuid NOT NULL,
	upstreams int[] NOT NULL,			-- asset_id of each upstream ...
	upstream_hashes uuid[] NOT NULL,	-- ... and the data hash that was read
	rows bigint NOT NULL,
	bytes bigint NOT NULL,
	elapsed interval NOT NULL,			-- time to compute, index and analyze
	incarnation bigint NOT NULL,		-- of the server's shared memory: unlogged rows can't be lost while it lasts
	built_at timestamptz NOT NULL,
	as_of timestamptz NOT NULL,			-- last instant at which it was known to equal its definition
	sources bytea,						-- that it was computed from, and up to what changes: freshness/sources.c
	invalidated bool NOT NULL DEFAULT false,
	published bool NOT NULL DEFAULT false,
	ever_published bool NOT NULL DEFAULT false,
	uses int NOT NULL DEFAULT 1,		-- how often it was computed or found right again ...
	cache_clock float8 NOT NULL DEFAULT 0,	-- ... and the clock of evictions at the last time
	superseded_by xid8					-- transaction that took it off the mapping
) WITH (fillfactor = 70);
CREATE INDEX version_asset_id_idx ON vibepiper.version (asset_id);

-- From what else a version's rows came out the same, before it was found right for
-- what its own row says.
CREATE TABLE vibepiper.version_inputs (
	version_id bigint NOT NULL,
	no bigint GENERATED ALWAYS AS IDENTITY,
	code_hash uuid NOT NULL,
	upstreams int[] NOT NULL,
	upstream_hashes uuid[] NOT NULL,
	as_of timestamptz NOT NULL,
	sources bytea NOT NULL,
	PRIMARY KEY (version_id, no)
);

CREATE TABLE vibepiper.mapping (
	def oid NOT NULL,
	part int NOT NULL,
	version_id bigint NOT NULL,
	slot oid NOT NULL,
	filenode oid NOT NULL,
	signature uuid NOT NULL,
	nonempty bool NOT NULL,
	incarnation bigint NOT NULL,
	PRIMARY KEY (def, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE vibepiper.publication (
	asset_id int NOT NULL,
	run_id bigint NOT NULL,
	version_id bigint NOT NULL,
	PRIMARY KEY (asset_id, run_id)
);

-- What caching did for a pipeline, in runs that are not in the history any more.
-- Only keepers write it: runs would be in each other's way.
CREATE TABLE vibepiper.cache_counter (
	pipeline_id int PRIMARY KEY,
	hits bigint NOT NULL DEFAULT 0,		-- assets that runs found fresh ...
	reuses bigint NOT NULL DEFAULT 0,	-- ... or a stored version right again
	misses bigint NOT NULL DEFAULT 0,	-- that were computed
	time_saved interval NOT NULL DEFAULT '0',
	evictions bigint NOT NULL DEFAULT 0,
	evicted_bytes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- How often assets are read, for the keeper.
CREATE TABLE vibepiper.asset_reads (
	asset_id int PRIMARY KEY,
	reads bigint NOT NULL,
	seen bigint NOT NULL				-- of the statistics as they were last
) WITH (fillfactor = 50);

CREATE TABLE vibepiper.run (
	run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	pipeline_id int NOT NULL,
	pipeline text NOT NULL,
	kind text NOT NULL,					-- run, rollback, rebuild
	selection text,
	force bool NOT NULL,
	publish text NOT NULL,
	role oid NOT NULL,
	status text NOT NULL,
	error text,							-- why it ended so, if not by a task
	parallel bool NOT NULL,
	retry_of bigint,
	started_at timestamptz NOT NULL,
	finished_at timestamptz,
	built int NOT NULL DEFAULT 0,
	unchanged int NOT NULL DEFAULT 0,
	cached int NOT NULL DEFAULT 0,
	failed int NOT NULL DEFAULT 0,
	skipped int NOT NULL DEFAULT 0,
	deferred int NOT NULL DEFAULT 0,
	reused int NOT NULL DEFAULT 0,		-- of the cached ones: an earlier version was right again
	time_saved interval NOT NULL DEFAULT '0'	-- that computing the cached ones had taken
);
CREATE INDEX run_pipeline_id_idx ON vibepiper.run (pipeline_id, run_id);

CREATE TABLE vibepiper.task (
	run_id bigint NOT NULL,
	asset_id int NOT NULL,
	asset text NOT NULL,
	status text NOT NULL,
	reason text,
	rows bigint,
	bytes bigint,
	started_at timestamptz,
	elapsed interval,
	compute_elapsed interval,
	index_elapsed interval,
	analyze_elapsed interval,
	version_id bigint,
	error_sqlstate text,
	error_message text,
	error_detail text,
	error_hint text,
	error_context text,
	attempts int NOT NULL,
	sources bytea,						-- as in version
	PRIMARY KEY (run_id, asset_id)
);
CREATE INDEX task_asset_id_idx ON vibepiper.task (asset_id, run_id);

REVOKE ALL ON ALL TABLES IN SCHEMA vibepiper FROM PUBLIC;
