-- Plan and run pipelines; the state of assets; what is stored.

CREATE FUNCTION vibepiper.plan(
	pipeline text,
	selection text = NULL,
	force bool = false,
	OUT asset text,
	OUT action text,
	OUT reason text
) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'vp_plan_sql';
COMMENT ON FUNCTION vibepiper.plan(text, text, bool) IS
'What run() would do, and why; runs nothing. action: build; maybe (an upstream is rebuilt first, and if its rows do not change this is cached); cached; deferred (lazy).
selection: as dbt''s: name, +name, name+, 2+name, name+3, @name, tag:x, source:x, name*; a blank is union, a comma intersection, a leading - excludes.
Example: SELECT * FROM vibepiper.plan(''shop'', ''+revenue'');';

CREATE FUNCTION vibepiper.run(
	pipeline text,
	selection text = NULL,
	parallel bool = true,
	max_workers int = NULL,
	force bool = false,
	wait bool = true,
	fail_fast bool = false,
	on_failure text = 'error',
	overlap text = 'wait',
	consistent bool = true,
	timeout interval = NULL,
	OUT run_id bigint,
	OUT asset text,
	OUT status text,
	OUT reason text,
	OUT rows bigint,
	OUT elapsed interval,
	OUT bytes bigint,
	OUT error text
) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'vp_run_sql';
COMMENT ON FUNCTION vibepiper.run(text, text, bool, int, bool, bool, bool, text, text, bool, interval) IS
'Compute the assets that are not fresh and publish them. This version needs parallel => false: the run is part of the calling transaction, and all its assets see one snapshot. Changes of source tables are not noticed yet: use force, invalidate() or cache_ttl.
force: compute all. fail_fast: stop at the first failure. on_failure: ''error'' ends in an error, and so undoes the run, ''report'' returns the rows. max_workers, wait, overlap, consistent and timeout are for parallel runs.
Returns a row per selected asset; status: built, unchanged (computed, the same rows), cached, deferred, failed, skipped, cancelled. elapsed is the time to compute, index and analyze; bytes with indexes.
Errors: 2F000 with how many assets failed, 0A000 for parallel => true.
Example: SELECT * FROM vibepiper.run(''shop'', parallel => false);';

CREATE FUNCTION vibepiper.invalidate(name text, downstream bool = true) RETURNS int
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_invalidate_sql';
COMMENT ON FUNCTION vibepiper.invalidate(text, bool) IS
'Make the next run compute an asset that you own, and with downstream all that depend on it. With downstream => false those are only computed if its rows change. Readers keep the published version. Returns how many assets had a stored version.
Example: SELECT vibepiper.invalidate(''shop.revenue'');';

CREATE FUNCTION vibepiper.is_fresh(name text) RETURNS bool
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_is_fresh_sql';
COMMENT ON FUNCTION vibepiper.is_fresh(text) IS
'Would a run leave this asset as it is? Changes of source tables are not noticed yet.
Example: SELECT vibepiper.is_fresh(''shop.revenue'');';

CREATE FUNCTION vibepiper.explain_asset(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_explain_asset_sql';
COMMENT ON FUNCTION vibepiper.explain_asset(text) IS
'Why is this asset as it is: its state and the reason, the upstream that is the cause, the version that readers get, its last task.
Example: SELECT vibepiper.explain_asset(''shop.revenue'');';

CREATE FUNCTION vibepiper.rollback(
	pipeline text,
	to_run bigint,
	OUT asset text,
	OUT from_version bigint,
	OUT to_version bigint
) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'vp_rollback_sql';
COMMENT ON FUNCTION vibepiper.rollback(text, bigint) IS
'Publish again what was published when a run had ended, at once and atomically, and pin it: runs leave pinned assets alone until release() or a run with force. Returns the assets whose version changed.
Errors: 55000 if a version is no longer stored (see keep_versions) or has other columns than the asset now, 42704 if there was no such run.
Example: SELECT * FROM vibepiper.rollback(''shop'', 41);';

CREATE FUNCTION vibepiper.release(pipeline text) RETURNS int
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_release_sql';
COMMENT ON FUNCTION vibepiper.release(text) IS
'End the pins that rollback() set. Returns how many assets were pinned.
Example: SELECT vibepiper.release(''shop'');';

CREATE FUNCTION vibepiper.purge(pipeline text, keep_versions int = NULL) RETURNS int
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_purge_sql';
COMMENT ON FUNCTION vibepiper.purge(text, int) IS
'Drop stored versions that are not published, that no snapshot can see, and that are not among the keep_versions newest (default: the pipeline''s); their disk space is returned at commit. Returns how many slots were dropped.
Example: SELECT vibepiper.purge(''shop'', keep_versions => 1);';

CREATE FUNCTION vibepiper.asset_states(OUT asset_id int, OUT state text, OUT reason text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'vp_asset_states_sql';
COMMENT ON FUNCTION vibepiper.asset_states() IS
'State of every asset, for the view vibepiper.assets.';
