-- What users see of the catalog.  Queries and errors are the owner's.

CREATE FUNCTION vibepiper.may_see(owner oid) RETURNS bool
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$SELECT pg_has_role(owner, 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE')$$;
COMMENT ON FUNCTION vibepiper.may_see(oid) IS
'May the current user see queries and errors of this owner''s assets?';

CREATE FUNCTION vibepiper.schemas_of(pipeline_view oid) RETURNS name[]
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'vp_schemas_of_sql';
COMMENT ON FUNCTION vibepiper.schemas_of(oid) IS
'Schemas of the pipeline that this view of vibepiper_def stands for, the default first.';

CREATE VIEW vibepiper.pipelines AS
	SELECT p.name AS pipeline,
		c.relowner::regrole AS owner,
		vibepiper.schemas_of(p.view) AS schemas,
		(SELECT count(*) FROM vibepiper.asset a WHERE a.pipeline_id = p.pipeline_id) AS assets,
		p.max_workers, p.publish, p.storage, p.on_miss,
		CASE WHEN vibepiper.may_see(c.relowner) THEN p.settings END AS settings,
		p.keep_versions,
		p.description, p.created_at
	FROM vibepiper.pipeline p JOIN pg_class c ON c.oid = p.view;
COMMENT ON VIEW vibepiper.pipelines IS 'One row per pipeline.';
COMMENT ON COLUMN vibepiper.pipelines.pipeline IS 'its name';
COMMENT ON COLUMN vibepiper.pipelines.owner IS 'role that owns it and its assets';
COMMENT ON COLUMN vibepiper.pipelines.schemas IS 'schemas of its assets, the default first';
COMMENT ON COLUMN vibepiper.pipelines.assets IS 'number of assets';
COMMENT ON COLUMN vibepiper.pipelines.max_workers IS 'workers of a parallel run; null: not set';
COMMENT ON COLUMN vibepiper.pipelines.publish IS 'run, succeeded or asset: what a run publishes when';
COMMENT ON COLUMN vibepiper.pipelines.storage IS 'unlogged or logged, for assets that do not say';
COMMENT ON COLUMN vibepiper.pipelines.on_miss IS 'compute or error, for assets that do not say';
COMMENT ON COLUMN vibepiper.pipelines.settings IS 'settings for its assets'' queries; for the owner and pg_read_all_stats';
COMMENT ON COLUMN vibepiper.pipelines.keep_versions IS 'published versions kept per asset';
COMMENT ON COLUMN vibepiper.pipelines.description IS 'as given';
COMMENT ON COLUMN vibepiper.pipelines.created_at IS 'when it was first defined';

CREATE VIEW vibepiper.assets AS
	SELECT format('%I.%I', n.nspname, c.relname) AS asset,
		p.name AS pipeline,
		CASE WHEN s.state NOT IN ('fresh', 'lost', 'building') AND t.status = 'failed' THEN 'failed' ELSE s.state END AS state,
		s.reason,
		v.built_at, v.as_of, v.rows, v.bytes, v.elapsed, v.run_id,
		CASE WHEN vibepiper.may_see(d.relowner) AND t.status = 'failed' THEN t.error_message END AS last_error,
		d.relowner::regrole AS owner,
		a.cache, a.cache_ttl, a.max_staleness, a.lazy, a.parallel,
		coalesce(a.storage, p.storage) AS storage,
		coalesce(a.on_miss, p.on_miss) AS on_miss,
		CASE WHEN vibepiper.may_see(d.relowner) THEN a.indexes END AS indexes,
		CASE WHEN vibepiper.may_see(d.relowner) THEN a.settings END AS settings,
		a.hints,
		ARRAY(SELECT format('%I.%I', dn.nspname, dc.relname)
			FROM unnest(a.depends_on) WITH ORDINALITY AS i(id, no)
			JOIN vibepiper.asset u ON u.asset_id = i.id JOIN pg_class dc ON dc.oid = u.stub
			JOIN pg_namespace dn ON dn.oid = dc.relnamespace ORDER BY i.no) AS depends_on,
		a.tags, a.retries, a.retry_delay, a.timeout,
		a.pinned_run,
		a.detached_sources,
		a.description,
		CASE WHEN vibepiper.may_see(d.relowner) THEN coalesce((SELECT q.query
			FROM vibepiper.query_text q WHERE q.definition = d.relname LIMIT 1), pg_get_viewdef(a.def)) END AS query,
		a.defined_at, a.changed_at
	FROM vibepiper.asset a
		JOIN vibepiper.pipeline p USING (pipeline_id)
		JOIN vibepiper.asset_states() s USING (asset_id)
		JOIN pg_class c ON c.oid = a.stub
		JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_class d ON d.oid = a.def
		LEFT JOIN vibepiper.mapping m ON m.def = a.def AND m.part = 0
		LEFT JOIN vibepiper.version v ON v.version_id = m.version_id
		LEFT JOIN LATERAL (SELECT status, error_message FROM vibepiper.task
			WHERE task.asset_id = a.asset_id ORDER BY run_id DESC LIMIT 1) t ON true;
COMMENT ON VIEW vibepiper.assets IS 'One row per asset: what is stored of it, and whether a run would leave it as it is.';
COMMENT ON COLUMN vibepiper.assets.asset IS 'qualified name of the view that users read';
COMMENT ON COLUMN vibepiper.assets.pipeline IS 'its pipeline';
COMMENT ON COLUMN vibepiper.assets.state IS 'never_built, fresh, stale, building (by a parallel run, now), failed (stale, and its last task failed) or lost (in a crash)';
COMMENT ON COLUMN vibepiper.assets.reason IS 'why it is in that state';
COMMENT ON COLUMN vibepiper.assets.built_at IS 'when the published version was computed';
COMMENT ON COLUMN vibepiper.assets.as_of IS 'last instant at which the published version was known to equal the definition';
COMMENT ON COLUMN vibepiper.assets.rows IS 'rows of the published version';
COMMENT ON COLUMN vibepiper.assets.bytes IS 'its size on disk with indexes, in bytes';
COMMENT ON COLUMN vibepiper.assets.elapsed IS 'time to compute, index and analyze it';
COMMENT ON COLUMN vibepiper.assets.run_id IS 'run that computed it';
COMMENT ON COLUMN vibepiper.assets.last_error IS 'message of its last task, if that failed; for the owner and pg_read_all_stats';
COMMENT ON COLUMN vibepiper.assets.owner IS 'role as which its query runs';
COMMENT ON COLUMN vibepiper.assets.cache IS 'false: computed in every run';
COMMENT ON COLUMN vibepiper.assets.cache_ttl IS 'how long a version is fresh; null: not limited';
COMMENT ON COLUMN vibepiper.assets.max_staleness IS 'how old a version must be before changes of what it reads count; null: they count at once';
COMMENT ON COLUMN vibepiper.assets.lazy IS 'not stored, computed when read';
COMMENT ON COLUMN vibepiper.assets.parallel IS 'may run beside others';
COMMENT ON COLUMN vibepiper.assets.storage IS 'unlogged or logged; its own or the pipeline''s';
COMMENT ON COLUMN vibepiper.assets.on_miss IS 'compute or error; its own or the pipeline''s';
COMMENT ON COLUMN vibepiper.assets.indexes IS 'index clauses; for the owner and pg_read_all_stats';
COMMENT ON COLUMN vibepiper.assets.settings IS 'settings for its query; for the owner and pg_read_all_stats';
COMMENT ON COLUMN vibepiper.assets.hints IS 'as given';
COMMENT ON COLUMN vibepiper.assets.depends_on IS 'upstream assets declared by hand';
COMMENT ON COLUMN vibepiper.assets.tags IS 'for selections';
COMMENT ON COLUMN vibepiper.assets.retries IS 'as given';
COMMENT ON COLUMN vibepiper.assets.retry_delay IS 'as given';
COMMENT ON COLUMN vibepiper.assets.timeout IS 'as given';
COMMENT ON COLUMN vibepiper.assets.pinned_run IS 'run to which rollback() pinned it';
COMMENT ON COLUMN vibepiper.assets.detached_sources IS 'what detach_source() detached it from; null: nothing';
COMMENT ON COLUMN vibepiper.assets.description IS 'as given';
COMMENT ON COLUMN vibepiper.assets.query IS 'as written; for the owner and pg_read_all_stats';
COMMENT ON COLUMN vibepiper.assets.defined_at IS 'when it was first defined';
COMMENT ON COLUMN vibepiper.assets.changed_at IS 'when its code last changed';

CREATE VIEW vibepiper.dependencies AS
	SELECT format('%I.%I', n.nspname, c.relname) AS asset,
		format('%I.%I', un.nspname, uc.relname) AS upstream,
		d.declared
	FROM vibepiper.dependency d
		JOIN vibepiper.asset a USING (asset_id)
		JOIN pg_class c ON c.oid = a.stub
		JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN vibepiper.asset u ON u.asset_id = d.upstream_id
		JOIN pg_class uc ON uc.oid = u.stub
		JOIN pg_namespace un ON un.oid = uc.relnamespace;
COMMENT ON VIEW vibepiper.dependencies IS 'Which asset reads which: one row per pair.';
COMMENT ON COLUMN vibepiper.dependencies.asset IS 'the asset that reads';
COMMENT ON COLUMN vibepiper.dependencies.upstream IS 'the asset that is read';
COMMENT ON COLUMN vibepiper.dependencies.declared IS 'only depends_on says so';

CREATE VIEW vibepiper.sources AS
	SELECT format('%I.%I', n.nspname, c.relname) AS asset,
		format('%I.%I', sn.nspname, sc.relname) AS source,
		sc.relkind AS kind
	FROM vibepiper.dependency d
		JOIN vibepiper.asset a USING (asset_id)
		JOIN pg_class c ON c.oid = a.stub
		JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_class sc ON sc.oid = d.source
		JOIN pg_namespace sn ON sn.oid = sc.relnamespace;
COMMENT ON VIEW vibepiper.sources IS 'Which asset reads which relation that is not an asset. Views are looked through.';
COMMENT ON COLUMN vibepiper.sources.asset IS 'the asset that reads';
COMMENT ON COLUMN vibepiper.sources.source IS 'the relation that is read';
COMMENT ON COLUMN vibepiper.sources.kind IS 'as pg_class.relkind';

CREATE VIEW vibepiper.versions AS
	SELECT format('%I.%I', n.nspname, c.relname) AS asset,
		v.version_id, v.run_id, v.published, v.rows, v.bytes, v.elapsed, v.built_at, v.as_of,
		v.as_of + CASE WHEN a.cache_ttl > interval '100000 years' THEN interval '100000 years' ELSE a.cache_ttl END AS expires_at,
		v.invalidated,
		v.code_hash = a.code_hash AS current_code,
		CASE WHEN pg_has_role(d.relowner, 'USAGE') THEN v.data_hash END AS data_hash,
		format('%I.%I', 'vibepiper_store', sc.relname) AS slot
	FROM vibepiper.version v
		JOIN vibepiper.asset a USING (asset_id)
		JOIN pg_class d ON d.oid = a.def
		JOIN pg_class c ON c.oid = a.stub
		JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_class sc ON sc.oid = v.slot;
COMMENT ON VIEW vibepiper.versions IS 'One row per stored version of an asset.';
COMMENT ON COLUMN vibepiper.versions.asset IS 'its asset';
COMMENT ON COLUMN vibepiper.versions.version_id IS 'number of the version';
COMMENT ON COLUMN vibepiper.versions.run_id IS 'run that computed it';
COMMENT ON COLUMN vibepiper.versions.published IS 'is it what readers get?';
COMMENT ON COLUMN vibepiper.versions.rows IS 'number of rows';
COMMENT ON COLUMN vibepiper.versions.bytes IS 'size on disk with indexes, in bytes';
COMMENT ON COLUMN vibepiper.versions.elapsed IS 'time to compute, index and analyze it';
COMMENT ON COLUMN vibepiper.versions.built_at IS 'when it was computed';
COMMENT ON COLUMN vibepiper.versions.as_of IS 'last instant at which it was known to equal the definition';
COMMENT ON COLUMN vibepiper.versions.expires_at IS 'when cache_ttl passes; null: never';
COMMENT ON COLUMN vibepiper.versions.invalidated IS 'by invalidate()';
COMMENT ON COLUMN vibepiper.versions.current_code IS 'was it computed by the asset''s present code?';
COMMENT ON COLUMN vibepiper.versions.data_hash IS 'hash of its rows, whatever their order; for the owner';
COMMENT ON COLUMN vibepiper.versions.slot IS 'relation that holds it';

CREATE VIEW vibepiper.cache_stats AS
	SELECT p.name AS pipeline, n.hits, n.reuses, n.misses,
		round((n.hits + n.reuses)::numeric / nullif(n.hits + n.reuses + n.misses, 0), 3) AS hit_ratio,
		n.time_saved, v.versions, v.bytes, v.published_bytes,
		coalesce(c.evictions, 0) AS evictions, coalesce(c.evicted_bytes, 0) AS evicted_bytes
	FROM vibepiper.pipeline p
		LEFT JOIN vibepiper.cache_counter c USING (pipeline_id),
		LATERAL (SELECT coalesce(sum(r.cached - r.reused), 0) + coalesce(c.hits, 0) AS hits,
				coalesce(sum(r.reused), 0) + coalesce(c.reuses, 0) AS reuses,
				coalesce(sum(r.built + r.unchanged), 0) + coalesce(c.misses, 0) AS misses,
				coalesce(sum(r.time_saved), '0') + coalesce(c.time_saved, '0') AS time_saved
			FROM vibepiper.run r WHERE r.pipeline_id = p.pipeline_id) n,
		LATERAL (SELECT count(v.*) AS versions, coalesce(sum(v.bytes), 0)::bigint AS bytes,
				coalesce(sum(v.bytes) FILTER (WHERE v.published), 0)::bigint AS published_bytes
			FROM vibepiper.asset a JOIN vibepiper.version v USING (asset_id)
			WHERE a.pipeline_id = p.pipeline_id) v;
COMMENT ON VIEW vibepiper.cache_stats IS 'One row per pipeline: what was computed, and what was not since it was there.';
COMMENT ON COLUMN vibepiper.cache_stats.pipeline IS 'name of the pipeline';
COMMENT ON COLUMN vibepiper.cache_stats.hits IS 'assets that runs left as they were';
COMMENT ON COLUMN vibepiper.cache_stats.reuses IS 'assets of which a run found a stored version right again';
COMMENT ON COLUMN vibepiper.cache_stats.misses IS 'assets that runs computed';
COMMENT ON COLUMN vibepiper.cache_stats.hit_ratio IS 'hits and reuses of all; null: no runs yet';
COMMENT ON COLUMN vibepiper.cache_stats.time_saved IS 'time that computing those had taken';
COMMENT ON COLUMN vibepiper.cache_stats.versions IS 'versions that are stored';
COMMENT ON COLUMN vibepiper.cache_stats.bytes IS 'their size with indexes';
COMMENT ON COLUMN vibepiper.cache_stats.published_bytes IS 'of that, what readers get';
COMMENT ON COLUMN vibepiper.cache_stats.evictions IS 'versions that had to go for vibepiper.cache_size';
COMMENT ON COLUMN vibepiper.cache_stats.evicted_bytes IS 'their size';

CREATE VIEW vibepiper.runs AS
	SELECT r.run_id, r.pipeline, r.kind, r.selection, r.force, r.publish, r.role::regrole AS role,
		s.status,
		CASE WHEN s.status = r.status THEN r.error ELSE 'the server, or the process that led the run, ended before it' END AS error,
		r.started_at, r.finished_at, r.finished_at - r.started_at AS elapsed,
		r.built, r.unchanged, r.cached, r.reused, r.deferred, r.failed, r.skipped,
		r.parallel, r.retry_of
	FROM vibepiper.run r, LATERAL (SELECT vibepiper.run_status(r.run_id, r.status) OFFSET 0) s(status);
COMMENT ON VIEW vibepiper.runs IS 'One row per run.';
COMMENT ON COLUMN vibepiper.runs.run_id IS 'number of the run';
COMMENT ON COLUMN vibepiper.runs.pipeline IS 'its pipeline''s name then';
COMMENT ON COLUMN vibepiper.runs.kind IS 'run, rollback or rebuild (after a crash)';
COMMENT ON COLUMN vibepiper.runs.selection IS 'as given; null: all assets';
COMMENT ON COLUMN vibepiper.runs.force IS 'were fresh assets computed too?';
COMMENT ON COLUMN vibepiper.runs.publish IS 'run, succeeded or asset: what it published when';
COMMENT ON COLUMN vibepiper.runs.role IS 'who ran it';
COMMENT ON COLUMN vibepiper.runs.status IS 'running, succeeded, failed or cancelled';
COMMENT ON COLUMN vibepiper.runs.error IS 'why it ended so, if not because of its assets';
COMMENT ON COLUMN vibepiper.runs.started_at IS 'when it started';
COMMENT ON COLUMN vibepiper.runs.finished_at IS 'when it ended';
COMMENT ON COLUMN vibepiper.runs.elapsed IS 'how long it took';
COMMENT ON COLUMN vibepiper.runs.built IS 'assets whose rows are new';
COMMENT ON COLUMN vibepiper.runs.unchanged IS 'assets that were computed and have the same rows';
COMMENT ON COLUMN vibepiper.runs.cached IS 'assets that were not computed: fresh, pinned, within max_staleness, or reused';
COMMENT ON COLUMN vibepiper.runs.reused IS 'of these, with an earlier version that was right again';
COMMENT ON COLUMN vibepiper.runs.deferred IS 'lazy assets';
COMMENT ON COLUMN vibepiper.runs.failed IS 'assets that failed';
COMMENT ON COLUMN vibepiper.runs.skipped IS 'assets that were skipped or cancelled';
COMMENT ON COLUMN vibepiper.runs.parallel IS 'by background workers, not in its caller''s transaction?';
COMMENT ON COLUMN vibepiper.runs.retry_of IS 'run that it retried';

CREATE VIEW vibepiper.tasks AS
	SELECT t.run_id, t.asset, t.status, t.reason, t.rows, t.bytes, t.started_at, t.elapsed,
		t.compute_elapsed, t.index_elapsed, t.analyze_elapsed, t.version_id, t.attempts,
		t.error_sqlstate,
		CASE WHEN may THEN t.error_message END AS error_message,
		CASE WHEN may THEN t.error_detail END AS error_detail,
		CASE WHEN may THEN t.error_hint END AS error_hint,
		CASE WHEN may THEN t.error_context END AS error_context
	FROM vibepiper.task t
		JOIN vibepiper.run r USING (run_id)
		LEFT JOIN vibepiper.pipeline p USING (pipeline_id)
		LEFT JOIN pg_class c ON c.oid = p.view,
		LATERAL (SELECT vibepiper.may_see(coalesce(c.relowner, r.role)) AS may) m;
COMMENT ON VIEW vibepiper.tasks IS 'One row per asset of a run that was not cached or deferred.';
COMMENT ON COLUMN vibepiper.tasks.run_id IS 'its run';
COMMENT ON COLUMN vibepiper.tasks.asset IS 'its asset''s name then';
COMMENT ON COLUMN vibepiper.tasks.status IS 'built, unchanged, failed, skipped, cancelled';
COMMENT ON COLUMN vibepiper.tasks.reason IS 'why it was to be done';
COMMENT ON COLUMN vibepiper.tasks.rows IS 'rows computed';
COMMENT ON COLUMN vibepiper.tasks.bytes IS 'size of the new version with indexes, in bytes';
COMMENT ON COLUMN vibepiper.tasks.started_at IS 'when it started';
COMMENT ON COLUMN vibepiper.tasks.elapsed IS 'time to compute, index and analyze';
COMMENT ON COLUMN vibepiper.tasks.compute_elapsed IS 'part of it: execute the query, hash and store its rows';
COMMENT ON COLUMN vibepiper.tasks.index_elapsed IS 'part of it: build indexes';
COMMENT ON COLUMN vibepiper.tasks.analyze_elapsed IS 'part of it: collect statistics';
COMMENT ON COLUMN vibepiper.tasks.version_id IS 'version that it made';
COMMENT ON COLUMN vibepiper.tasks.attempts IS 'how often it was tried';
COMMENT ON COLUMN vibepiper.tasks.error_sqlstate IS 'code of the error';
COMMENT ON COLUMN vibepiper.tasks.error_message IS 'its message; this and the next three for the owner and pg_read_all_stats';
COMMENT ON COLUMN vibepiper.tasks.error_detail IS 'its detail';
COMMENT ON COLUMN vibepiper.tasks.error_hint IS 'its hint';
COMMENT ON COLUMN vibepiper.tasks.error_context IS 'where it was raised';

CREATE VIEW vibepiper.run_progress AS SELECT * FROM vibepiper.live_runs();
COMMENT ON VIEW vibepiper.run_progress IS 'One row per parallel run that is in progress now, whatever this transaction sees.';
COMMENT ON COLUMN vibepiper.run_progress.run_id IS 'number of the run';
COMMENT ON COLUMN vibepiper.run_progress.pipeline IS 'its pipeline';
COMMENT ON COLUMN vibepiper.run_progress.phase IS 'starting, waiting (for the pipeline), loading, running, publishing';
COMMENT ON COLUMN vibepiper.run_progress.leader_pid IS 'process that leads it';
COMMENT ON COLUMN vibepiper.run_progress.workers IS 'processes that work for it';
COMMENT ON COLUMN vibepiper.run_progress.elapsed IS 'since it began';
COMMENT ON COLUMN vibepiper.run_progress.remaining IS 'estimate, from how long assets took before';
COMMENT ON COLUMN vibepiper.run_progress.assets IS 'how many were selected; the following columns sum up to it';
COMMENT ON COLUMN vibepiper.run_progress.waiting IS 'not begun yet';
COMMENT ON COLUMN vibepiper.run_progress.running IS 'being computed';
COMMENT ON COLUMN vibepiper.run_progress.built IS 'done, rows are new';
COMMENT ON COLUMN vibepiper.run_progress.unchanged IS 'done, the same rows';
COMMENT ON COLUMN vibepiper.run_progress.cached IS 'fresh, nothing to do';
COMMENT ON COLUMN vibepiper.run_progress.deferred IS 'lazy, nothing to do';
COMMENT ON COLUMN vibepiper.run_progress.failed IS 'failed';
COMMENT ON COLUMN vibepiper.run_progress.skipped IS 'an upstream failed';
COMMENT ON COLUMN vibepiper.run_progress.cancelled IS 'cancelled';
COMMENT ON COLUMN vibepiper.run_progress.snapshots IS 'how often it took a snapshot: once, and again when a source was rewritten';

CREATE VIEW vibepiper.run_workers AS SELECT * FROM vibepiper.live_workers();
COMMENT ON VIEW vibepiper.run_workers IS 'One row per background worker of a run that is in progress now.';
COMMENT ON COLUMN vibepiper.run_workers.run_id IS 'number of the run';
COMMENT ON COLUMN vibepiper.run_workers.pid IS 'process, as in pg_stat_activity';
COMMENT ON COLUMN vibepiper.run_workers.asset IS 'what it computes; null: it waits for a task';
COMMENT ON COLUMN vibepiper.run_workers.phase IS 'idle, queued, computing, indexing, analyzing, storing, publishing';
COMMENT ON COLUMN vibepiper.run_workers.rows IS 'rows written so far';
COMMENT ON COLUMN vibepiper.run_workers.bytes IS 'bytes of them';
COMMENT ON COLUMN vibepiper.run_workers.elapsed IS 'since it got the asset';
