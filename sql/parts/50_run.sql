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
'What run() would do, and why; runs nothing. action: build; maybe (an upstream is rebuilt first, and if its rows do not change this is cached); reuse (an earlier version is right again); cached; deferred (lazy).
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
'Compute the assets that are not fresh and publish them.
parallel: background workers do it, in transactions of their own and all under one snapshot; with parallel => false it happens here, in this transaction. max_workers: how many (default: the pipeline''s, else vibepiper.max_workers). force: compute all. wait: return when it has ended; else at once, with one row that says the run''s number. fail_fast: at the first failure, stop. on_failure: ''error'' ends in an error, ''report'' returns the rows. overlap: if the pipeline is being run, ''wait'' until it can begin, ''join'' that run and return its result, or ''refuse''. consistent => false: each asset is computed under a snapshot of its own, so that a long run does not hold back vacuum. timeout: of the whole run.
Returns a row per selected asset; status: built, unchanged (computed, the same rows), cached, deferred, failed, skipped, cancelled. elapsed is the time to compute, index and analyze; bytes with indexes.
Errors: 2F000 with how many assets failed, 55000 if this transaction has written what the run reads, 55006 if it is refused, 53400 if there is no free background worker, 57014 if it is cancelled or out of time, 40P01 if it would wait for this transaction, 40001 if its sources are rewritten again and again.
Example: SELECT * FROM vibepiper.run(''shop'');';

CREATE FUNCTION vibepiper.retry_run(
	INOUT run_id bigint,
	parallel bool = true,
	max_workers int = NULL,
	wait bool = true,
	on_failure text = 'error',
	OUT asset text,
	OUT status text,
	OUT reason text,
	OUT rows bigint,
	OUT elapsed interval,
	OUT bytes bigint,
	OUT error text
) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'vp_retry_run_sql';
COMMENT ON FUNCTION vibepiper.retry_run(bigint, bool, int, bool, text) IS
'Run again what a failed or cancelled run did not publish: what failed, what was skipped or cancelled, and what was computed but not published, which is taken as it is if nothing has changed since. The other arguments and the result are those of run().
Errors: 42704 if there is no such run, 55000 if it succeeded, 55006 if it is in progress, and those of run().
Example: SELECT * FROM vibepiper.retry_run(41);';

CREATE FUNCTION vibepiper.wait_run(run_id bigint, timeout interval = NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_wait_run_sql';
COMMENT ON FUNCTION vibepiper.wait_run(bigint, interval) IS
'Wait until the run has ended, or for so long, and return its status: running, succeeded, failed or cancelled. The run goes on if this is cancelled.
Errors: 42704 if there is no such run, 40P01 if the run waits for a lock of this transaction.
Example: SELECT vibepiper.wait_run(41, timeout => ''1 min'');';

CREATE FUNCTION vibepiper.cancel_run(run_id bigint) RETURNS bool
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'vp_cancel_run_sql';
COMMENT ON FUNCTION vibepiper.cancel_run(bigint) IS
'Stop a parallel run: what is being computed is cancelled, nothing more is published. True if the run was in progress; it has ended when wait_run() says so.
Errors: 42704 if there is no such run.
Example: SELECT vibepiper.cancel_run(41);';

CREATE FUNCTION vibepiper.live_runs(OUT run_id bigint, OUT pipeline text, OUT phase text, OUT leader_pid int,
	OUT workers int, OUT elapsed interval, OUT remaining interval, OUT assets int, OUT waiting int, OUT running int,
	OUT built int, OUT unchanged int, OUT cached int, OUT deferred int, OUT failed int, OUT skipped int,
	OUT cancelled int, OUT snapshots int) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 2
	AS 'MODULE_PATHNAME', 'vp_run_progress_sql';
COMMENT ON FUNCTION vibepiper.live_runs() IS 'For the view run_progress.';
CREATE FUNCTION vibepiper.live_workers(OUT run_id bigint, OUT pid int, OUT asset text, OUT phase text,
	OUT rows bigint, OUT bytes bigint, OUT elapsed interval) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 4
	AS 'MODULE_PATHNAME', 'vp_run_workers_sql';
COMMENT ON FUNCTION vibepiper.live_workers() IS 'For the view run_workers.';
CREATE FUNCTION vibepiper.run_status(run_id bigint, status text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'vp_run_status_sql';
COMMENT ON FUNCTION vibepiper.run_status(bigint, text) IS 'For the view runs: a run that nobody leads any more is not running.';

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
'Has nothing changed by which or from which this asset was computed? True as well if it is lazy or pinned; false if only max_staleness keeps a run from computing it.
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
