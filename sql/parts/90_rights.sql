-- Nothing is PUBLIC's but what is granted here: reading assets, and views that
-- hide other owners' queries and errors.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vibepiper FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.read_asset(regclass) TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.detached() TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.is_fresh(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.may_see(oid) TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.asset_states() TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.schemas_of(oid) TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.run_status(bigint, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.live_runs() TO PUBLIC;
GRANT EXECUTE ON FUNCTION vibepiper.live_workers() TO PUBLIC;
GRANT SELECT ON vibepiper.pipelines, vibepiper.assets, vibepiper.dependencies, vibepiper.sources,
	vibepiper.versions, vibepiper.cache_stats, vibepiper.runs, vibepiper.tasks,
	vibepiper.run_progress, vibepiper.run_workers TO PUBLIC;
