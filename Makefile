# vibepiper: build (PGXS) and developer targets.  Logic lives in test/tools/*.sh.

MODULE_big = vibepiper
EXTENSION = vibepiper
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" vibepiper.control)
PGFILEDESC = "vibepiper - data assets inside PostgreSQL"

SOURCES := $(sort $(wildcard src/*.c src/*/*.c))
VP_HEADERS := $(sort $(wildcard src/*.h src/*/*.h))
SQL_PARTS := $(sort $(wildcard sql/parts/*.sql))

OBJS = $(SOURCES:.c=.o)
DATA_built = sql/vibepiper--$(EXTVERSION).sql
PG_CPPFLAGS = -I$(srcdir)/src
EXTRA_CLEAN = .build-flavor tmp_check output_iso

# Regression tests (test/sql/NAME.sql, expected/NAME.out) and isolation tests
# (test/specs/NAME.spec, expected/NAME.out), in the order in which they run.
# "make check" refuses a test that has a file and no entry, or the reverse.
REGRESS = pipeline define define_errors define_batch index_clauses columns follow detach drop \
	plan run run_failure publish_modes unchanged versions rollback \
	explain_asset views comments rights attacks attacks_read real_data \
	resolve_places resolve_cache resolve_miss resolve_rights resolve_parts resolve_hard \
	differs bad_input limits freshness freshness_code freshness_assets freshness_wording freshness_unsteady freshness_parallel reuse parallel_run parallel_order parallel_failure parallel_owner parallel_progress examples
ISOLATION = read_snapshot read_runs read_locks source_changes \
	run_rewrite run_deadlock run_overlap run_ddl freshness_races freshness_first

# How pg_regress makes its databases, for "check" and "installcheck" alike.
TEST_DB_OPTS = --no-locale --encoding=UTF8

PG_CONFIG ?= pg_config
override PG_CONFIG := $(if $(findstring /,$(PG_CONFIG)),$(abspath $(PG_CONFIG)),$(PG_CONFIG))

# These targets bring what they need, PostgreSQL included, so they must not
# depend on PGXS being there already.
SCRIPTED = check check-all demo coverage bench indent check-indent check-layers check-examples

ifneq ($(filter $(SCRIPTED),$(MAKECMDGOALS)),)

export PG_CONFIG REGRESS ISOLATION TEST_DB_OPTS
export CI TESTS RESULTS KEEP COVERAGE_MIN ON REQUIRED OLD_PG_CONFIG VIBEPIPER_CACHE

.PHONY: $(MAKECMDGOALS)
.NOTPARALLEL:

check:
	@test/tools/check.sh

check-all:
	@test/tools/check-all.sh

demo:
	@doc/demo/demo.sh

coverage:
	@test/tools/coverage.sh

bench:
	@test/tools/bench.sh

indent:
	@test/tools/indent.sh

check-indent:
	@test/tools/indent.sh --check

check-layers:
	@test/tools/check-layers.sh

check-examples:
	@test/tools/check-examples.sh

# Ordinary goals named in the same command, as in "make clean check".
$(filter-out $(SCRIPTED),$(MAKECMDGOALS)):
	@$(MAKE) --no-print-directory $@

else # goals that PGXS knows

# pg_regress and the isolation tester make one folder level of output, no more.
REGRESS_OPTS = --inputdir=test --outputdir=tmp_check/regress $(TEST_DB_OPTS)
ISOLATION_OPTS = --inputdir=test --outputdir=tmp_check/isolation $(TEST_DB_OPTS)
REGRESS_PREP = tmp_check

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error no PGXS found through "$(PG_CONFIG) --pgxs": install the server development files (Debian: postgresql-server-dev-NN) or name another pg_config with PG_CONFIG=)
endif

# Bitcode only where the compiler that PostgreSQL was built with is present.
PG_CLANG := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(and $(PG_CLANG),$(shell command -v $(PG_CLANG))),)
override with_llvm = no
endif

include $(PGXS)

.PHONY: FORCE tmp_check

tmp_check:
	$(MKDIR_P) tmp_check/regress tmp_check/isolation

# Another server version or other compiler options make every object stale.
FLAVOR = $(VERSION) $(includedir_server) $(COPT) $(PROFILE)
.build-flavor: FORCE
	@echo '$(FLAVOR)' | cmp -s - $@ || echo '$(FLAVOR)' > $@

$(OBJS) $(OBJS:.o=.bc): $(VP_HEADERS) .build-flavor

$(DATA_built): $(SQL_PARTS) vibepiper.control Makefile
	$(if $(SQL_PARTS),,$(error sql/parts has no files))
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION vibepiper" to load this file. \quit'; \
		cat $(SQL_PARTS); } > $@.tmp
	mv $@.tmp $@

endif
