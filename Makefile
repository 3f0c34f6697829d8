# Makefile of txplan, on PGXS.
#
#   make, make install, make installcheck, make clean    as for any extension
#   make check         all tests, on servers of its own; TESTS=, SPECS=,
#                      PROVE_TESTS= choose some of them
#   make demo          a clinic's day; KEEP=1 leaves its server running
#   make bench         what it costs
#   make format        clang-format over src/ and examples/; format-check only
#                      looks
#   make dist          a zip of HEAD, as PGXN takes it
#
# PG_CONFIG= chooses the server.  To build out of tree, call
# make -f /path/to/txplan/Makefile in another directory.  A new room needs no
# line here: src/*.c, sql/*.sql, test/sql/*.sql, test/specs/*.spec and
# test/t/*.pl are found.

txplan_dir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
txplan_makefile := $(lastword $(MAKEFILE_LIST))

EXTENSION = txplan
# not VERSION: that is the server's in Makefile.global
extension_version := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" \
	$(txplan_dir)/$(EXTENSION).control)

PG_CONFIG ?= pg_config
CLANG_FORMAT ?= clang-format

# These goals bring or find what they need by themselves, so they must work
# where no server is installed yet, and PGXS has a "check" of its own that only
# refuses.  So PGXS is not read for them; other goals beside them run in a make
# of their own.
own_goals := check demo bench format format-check dist

ifneq (,$(filter $(own_goals),$(MAKECMDGOALS)))

other_goals := $(filter-out $(own_goals),$(MAKECMDGOALS))

.PHONY: $(own_goals) $(other_goals)
.NOTPARALLEL:

check:
	@PG_CONFIG='$(PG_CONFIG)' TESTS='$(TESTS)' SPECS='$(SPECS)' \
		PROVE_TESTS='$(PROVE_TESTS)' bash $(txplan_dir)/test/run.sh

demo:
	@PG_CONFIG='$(PG_CONFIG)' KEEP='$(KEEP)' bash $(txplan_dir)/test/demo/run.sh

bench:
	@PG_CONFIG='$(PG_CONFIG)' bash $(txplan_dir)/test/bench/run.sh

format:
	$(CLANG_FORMAT) -i $(wildcard $(txplan_dir)/src/*.[ch] \
		$(txplan_dir)/examples/*.c)

format-check:
	$(CLANG_FORMAT) --dry-run --Werror $(wildcard $(txplan_dir)/src/*.[ch] \
		$(txplan_dir)/examples/*.c)

dist:
	git -C $(txplan_dir) archive --format=zip \
		--prefix=$(EXTENSION)-$(extension_version)/ \
		-o $(CURDIR)/$(EXTENSION)-$(extension_version).zip HEAD

$(other_goals):
	$(MAKE) -f $(txplan_makefile) $@

else

rooms_sql = $(filter-out %/$(EXTENSION)--%,$(wildcard $(txplan_dir)/sql/*.sql))
headers = $(wildcard $(txplan_dir)/src/*.h)

MODULE_big = txplan
PGFILEDESC = "txplan - treatment plans of a clinic and their rules"
OBJS = $(patsubst $(txplan_dir)/%.c,%.o,$(sort $(wildcard $(txplan_dir)/src/*.c)))
PG_CPPFLAGS = -I$(txplan_dir)/src -DTXPLAN_VERSION='"$(extension_version)"'

# DATA are the upgrade scripts, once there are any.
DATA = $(patsubst $(txplan_dir)/%,%,\
	$(wildcard $(txplan_dir)/sql/$(EXTENSION)--*--*.sql))
DATA_built = $(EXTENSION)--$(extension_version).sql

# pg_regress wants its input as sql/ and expected/ under one directory, and the
# isolation tester specs/ and expected/.  The tree has one expected/ for both,
# so links in the build directory stand in between.
all_tests = $(patsubst $(txplan_dir)/test/sql/%.sql,%,\
	$(sort $(wildcard $(txplan_dir)/test/sql/*.sql)))
REGRESS = $(filter record,$(all_tests)) $(filter-out record,$(all_tests))
test_options = --load-extension=$(EXTENSION) --encoding=UTF8 --no-locale \
	--launcher='env PGTZ=UTC PGDATESTYLE=ISO PGOPTIONS='
REGRESS_OPTS = --inputdir=$(CURDIR)/tmp_input/regress $(test_options)
ISOLATION = $(patsubst $(txplan_dir)/test/specs/%.spec,%,\
	$(sort $(wildcard $(txplan_dir)/test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(CURDIR)/tmp_input/isolation $(test_options)
REGRESS_PREP = tmp_input
ifneq (,$(wildcard $(txplan_dir)/test/t/*.pl))
TAP_TESTS = 1
PROVE_TESTS ?= test/t/*.pl
endif

EXTRA_CLEAN = tmp_input results output_iso regression.diffs regression.out \
	$(EXTENSION)-$(extension_version).zip

# Bitcode lets the server inline C functions into compiled expressions.  What
# runs here are triggers and statements, so it would only cost a second compiler.
ifeq ($(origin with_llvm),undefined)
override with_llvm := no
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq (,$(wildcard $(PGXS)))
$(error $(PG_CONFIG) knows no server headers: install \
	postgresql-server-dev-NN, or say PG_CONFIG=/path/to/pg_config)
endif
include $(PGXS)

# Out of tree only sources may be found in the source tree: with PGXS's VPATH,
# objects of an earlier build there would count as built.
VPATH :=
ifneq ($(txplan_dir),.)
vpath %.c $(txplan_dir)
vpath %.control $(txplan_dir)
endif

$(OBJS): $(headers) $(txplan_dir)/$(EXTENSION).control | $(CURDIR)/src

$(CURDIR)/src:
	$(MKDIR_P) $@

$(DATA_built): $(rooms_sql) $(txplan_dir)/sql/assemble.sh
	sh $(txplan_dir)/sql/assemble.sh $(txplan_dir)/sql > $@.tmp
	mv $@.tmp $@

.PHONY: tmp_input
tmp_input:
	rm -rf $@
	$(MKDIR_P) $@/regress $@/isolation
	ln -s $(abspath $(txplan_dir)/test/sql) $@/regress/sql
	ln -s $(abspath $(txplan_dir)/test/data) $@/regress/data
	ln -s $(abspath $(txplan_dir)/expected) $@/regress/expected
	ln -s $(abspath $(txplan_dir)/test/specs) $@/isolation/specs
	ln -s $(abspath $(txplan_dir)/expected/isolation) $@/isolation/expected

endif
