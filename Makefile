# CPA Manager: one Makefile for everything.  `make help` lists the targets.
#
# Objects of a variant live below build/<variant>/; the programs of the
# release variant are linked to build/ itself, where everything else looks.

.DEFAULT_GOAL := all
include config.mk

VERSION := $(shell cat VERSION)
B := build/$(VARIANT)
GEN := build/gen
Q := $(if $(V),,@)

# ---- sources -------------------------------------------------------------

LIB_SRC := $(sort $(wildcard lib/*.c lib/model/*.c))
LIB_CXX := $(sort $(wildcard lib/*.cc))
FCGI_SRC := $(sort $(wildcard fcgi/*.c))
COLLECTORD_SRC := $(sort $(wildcard collectord/*.c))
CTL_SRC := $(sort $(wildcard ctl/*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/t_*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/f_*.c))
SQL_SRC := $(sort $(wildcard sql/*.sql))
SCHEMA_SRC := $(sort $(wildcard sql/schema/*.sql))

# objects stand apart: the programs have the names of their folders
O := $(B)/obj
LIB_OBJ := $(LIB_SRC:%.c=$(O)/%.o) $(LIB_CXX:%.cc=$(O)/%.o) $(O)/gen/sql_text.o
FCGI_OBJ := $(FCGI_SRC:%.c=$(O)/%.o)
COLLECTORD_OBJ := $(COLLECTORD_SRC:%.c=$(O)/%.o)
CTL_OBJ := $(CTL_SRC:%.c=$(O)/%.o)
# unit tests and fuzzers reach into the programs as well, all but their mains;
# as an archive, so that each takes only what it calls
PART_OBJ := $(filter-out %/main.o,$(FCGI_OBJ) $(COLLECTORD_OBJ) $(CTL_OBJ))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
BENCH_BIN := $(patsubst tests/bench/%.c,$(B)/bench/%,$(sort $(wildcard tests/bench/b_*.c)))
PROGRAMS := $(B)/cpa-manager.fcgi $(B)/collectord $(B)/cpactl

# ---- flags ---------------------------------------------------------------

PKGS := jansson libcurl sqlite3 openssl libzstd zlib libpcre2-8 double-conversion
# double-conversion ships no .pc file
PKG_NAMES := $(filter-out double-conversion,$(PKGS))
LIB_LIBS = $(shell $(PKG_CONFIG) --libs $(PKG_NAMES)) -ldouble-conversion -lm
FCGI_LIBS = $(shell $(PKG_CONFIG) --libs fcgi)
CMOCKA_LIBS = $(shell $(PKG_CONFIG) --libs cmocka)

# Probes that need a compiler are asked once and remembered -- not by targets
# that compile nothing themselves: they may be what brings the compiler.
PROBE := build/probe-$(notdir $(CC))-$(VARIANT).mk
ifneq ($(filter-out bench clean deps deps-test format help lint run test uninstall, \
    $(or $(MAKECMDGOALS),all)),)
-include $(PROBE)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKG_NAMES) fcgi)
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wformat=2 -Wundef -Wcast-qual -Wwrite-strings \
	-Wvla $(PROBED_WARN)
ifeq ($(WERROR),yes)
WARN += -Werror
endif
BASE := -std=c11 -D_GNU_SOURCE -Ilib -I$(GEN) -I. $(PKG_CFLAGS) \
	-DCPA_MANAGER_VERSION='"$(VERSION)"'
HARDEN := -fPIE -fno-delete-null-pointer-checks -fno-strict-overflow \
	-fno-common -fno-omit-frame-pointer $(PROBED_HARDEN)
LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed \
	-pthread

FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
SAN_release :=
SAN_debug :=
SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SAN_tsan := -fsanitize=thread
SAN_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
OPT_release := -O2 -g $(FORTIFY)
OPT_debug := -O0 -g3
OPT_asan := -O1 -g -U_FORTIFY_SOURCE
OPT_tsan := -O1 -g -U_FORTIFY_SOURCE
OPT_fuzz := -O1 -g -U_FORTIFY_SOURCE
ifeq ($(VARIANT),fuzz)
CC := clang
CXX := clang++
endif

ALL_CFLAGS = $(BASE) $(OPT_$(VARIANT)) $(SAN_$(VARIANT)) $(HARDEN) $(WARN) \
	-pthread $(CFLAGS)
ALL_CXXFLAGS = -std=c++17 -Ilib $(OPT_$(VARIANT)) $(SAN_$(VARIANT)) $(HARDEN) \
	-Wall -Wextra -fno-exceptions -fno-rtti $(CXXFLAGS)
ALL_LDFLAGS = $(LINK) $(SAN_$(VARIANT)) $(LDFLAGS)

# as many jobs as there are processors, unless the caller said how many
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- what people call ----------------------------------------------------

.PHONY: all programs run test bench lint format install uninstall clean help deps deps-test

all: programs panel-page ## build the programs and the page

programs: $(PROGRAMS)
ifeq ($(VARIANT),release)
	$(Q)ln -sf release/cpa-manager.fcgi release/collectord release/cpactl build/
endif

run: deps ## install what is missing, build, serve on 127.0.0.1:18317 (DEMO=1: with made-up traffic)
	$(Q)$(MAKE) $(JOBS) --no-print-directory all
	$(Q)$(PYTHON) tools/stack $(if $(DEMO),--demo) $(RUN_ARGS)

test: deps-test ## install what tests need, build all variants, run everything
	$(Q)tests/run-all

deps: ## name and install the Debian packages that building and running need
	$(Q)DEPS=$(DEPS) tools/deps run

deps-test: ## the same for the tests
	$(Q)DEPS=$(DEPS) tools/deps test

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo '  settings stand in config.mk: VARIANT, CC, CFLAGS, PREFIX, DEPS=no, V=1'

lint: ## check formats, banned words, cppcheck, clang-tidy, shellcheck, types
	$(Q)tools/lint

format: ## bring the C sources into the house's format
	$(Q)clang-format -i $(wildcard lib/*.[ch] lib/model/*.[ch] fcgi/*.[ch] collectord/*.[ch] \
	    ctl/*.[ch] tests/unit/*.[ch] tests/lib/*.h tests/fuzz/*.c)

bench: deps-test ## measure the intake; prints figure, budget, ratio
	$(Q)$(MAKE) $(JOBS) --no-print-directory all
	$(Q)$(PYTHON) tests/bench/run

clean: ## remove everything built
	rm -rf build panel/node_modules tests/panel/node_modules

# ---- programs ------------------------------------------------------------

$(B)/cpa-manager.fcgi: $(FCGI_OBJ) $(B)/libcpam.a
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(FCGI_OBJ) $(B)/libcpam.a $(LIB_LIBS) $(FCGI_LIBS)

$(B)/collectord: $(COLLECTORD_OBJ) $(B)/libcpam.a
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(COLLECTORD_OBJ) $(B)/libcpam.a $(LIB_LIBS)

# cpactl looks at the spool with collectord's own reader
$(B)/cpactl: $(CTL_OBJ) $(O)/collectord/spool_read.o $(B)/libcpam.a
	@echo "  LINK $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(CTL_OBJ) $(O)/collectord/spool_read.o $(B)/libcpam.a $(LIB_LIBS)

$(B)/libcpam.a: $(LIB_OBJ)
	@echo "  AR   $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJ)

$(B)/parts.a: $(PART_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $(PART_OBJ)

$(O)/%.o: %.c $(PROBE) | $(GEN)/sql.h
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/%.o: %.cc $(PROBE)
	@mkdir -p $(@D)
	@echo "  CXX  $<"
	$(Q)$(CXX) $(ALL_CXXFLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/sql_text.o: $(GEN)/sql_text.c $(GEN)/sql.h $(PROBE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -MMD -MP -c -o $@ $<

# Statements and schema become C: an enum, the numbers of their parameters,
# and two tables of text.
$(GEN)/sql.h: $(SQL_SRC) $(SCHEMA_SRC) tools/sql2c.awk
	@mkdir -p $(GEN)
	@echo "  SQL  $@"
	$(Q)awk -v mode=header -f tools/sql2c.awk $(SQL_SRC) $(SCHEMA_SRC) >$@.tmp && mv $@.tmp $@

$(GEN)/sql_text.c: $(SQL_SRC) $(SCHEMA_SRC) tools/sql2c.awk
	@mkdir -p $(GEN)
	$(Q)awk -v mode=text -f tools/sql2c.awk $(SQL_SRC) $(SCHEMA_SRC) >$@.tmp && mv $@.tmp $@

# ---- the page ------------------------------------------------------------

panel-page: build/management.html
.PHONY: panel-page

PANEL_SRC := $(shell find panel/src -type f) panel/build.mjs

build/management.html: $(PANEL_SRC) panel/node_modules/.ready
	$(Q)mkdir -p build && node panel/build.mjs build

panel/node_modules/.ready: panel/package-lock.json panel/package.json
	@echo "  NPM  panel"
	$(Q)cd panel && $(NPM) ci --no-audit --no-fund --loglevel=error && touch node_modules/.ready

# ---- tests ---------------------------------------------------------------

unit: $(UNIT_BIN)
.PHONY: unit

$(B)/unit/%: tests/unit/%.c $(B)/parts.a $(B)/libcpam.a
	@mkdir -p $(@D)
	@echo "  TEST $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -Itests/lib $(ALL_LDFLAGS) -o $@ $< \
	    $(B)/parts.a $(B)/libcpam.a $(LIB_LIBS) $(FCGI_LIBS) $(CMOCKA_LIBS)

benches: $(BENCH_BIN)
.PHONY: benches

$(B)/bench/%: tests/bench/%.c $(B)/libcpam.a
	@mkdir -p $(@D)
	@echo "  BENCH $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(B)/libcpam.a $(LIB_LIBS)

tests/panel/node_modules/.ready: tests/panel/package-lock.json tests/panel/package.json
	$(Q)cd tests/panel && $(NPM) ci --no-audit --no-fund --loglevel=error && touch node_modules/.ready

fuzzers: $(FUZZ_BIN)
.PHONY: fuzzers

# In the fuzz variant a target is driven by libFuzzer; in every other one by
# tests/fuzz/replay.c, which feeds it the files it is given.
ifeq ($(VARIANT),fuzz)
FUZZ_MAIN := -fsanitize=fuzzer
else
FUZZ_MAIN := tests/fuzz/replay.c
endif
$(B)/fuzz/%: tests/fuzz/%.c $(B)/parts.a $(B)/libcpam.a
	@mkdir -p $(@D)
	@echo "  FUZZ $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(FUZZ_MAIN) \
	    $(B)/parts.a $(B)/libcpam.a $(LIB_LIBS) $(FCGI_LIBS)

# ---- installation ----------------------------------------------------------

INSTALL := install
EXAMPLES := conf/nginx/cpa-manager.conf conf/apache/cpa-manager-proxy-fcgi.conf \
	conf/apache/cpa-manager-fcgid.conf
# the examples in conf/ name the places of the default PREFIX
PLACES = -e 's|/usr/local/share/cpa-manager|$(DATADIR)|g' \
	-e 's|/usr/local/libexec/cpa-manager|$(LIBEXECDIR)|g' \
	-e 's|/etc/cpa-manager|$(SYSCONFDIR)/cpa-manager|g'

install: ## put programs, page, examples and documents under DESTDIR and PREFIX
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR)/examples \
	    $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 755 build/cpactl $(DESTDIR)$(BINDIR)/cpactl
	$(INSTALL) -m 755 build/collectord $(DESTDIR)$(LIBEXECDIR)/collectord
	$(INSTALL) -m 755 build/cpa-manager.fcgi $(DESTDIR)$(LIBEXECDIR)/cpa-manager.fcgi
	$(INSTALL) -m 644 build/management.html build/management.html.gz build/management.html.br \
	    conf/nginx/fastcgi-params.nginx $(DESTDIR)$(DATADIR)
	tools/page-headers nginx build/management.csp >$(DESTDIR)$(DATADIR)/page-headers.nginx
	tools/page-headers apache build/management.csp >$(DESTDIR)$(DATADIR)/page-headers.apache
	sed $(PLACES) conf/apache/site.apache >$(DESTDIR)$(DATADIR)/site.apache
	for f in $(EXAMPLES); do sed $(PLACES) $$f >$(DESTDIR)$(DOCDIR)/examples/$${f##*/} || exit 1; done
	$(INSTALL) -m 644 README.md LICENSE docs/*.md $(DESTDIR)$(DOCDIR)
	$(INSTALL) -m 644 docs/*.8 $(DESTDIR)$(MANDIR)/man8

uninstall: ## remove what install put there; data and configuration stay
	rm -f $(DESTDIR)$(BINDIR)/cpactl $(patsubst docs/%,$(DESTDIR)$(MANDIR)/man8/%,$(wildcard docs/*.8))
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR)

# ---- probes --------------------------------------------------------------

$(PROBE): Makefile config.mk tools/probe-flags
	@mkdir -p build
	$(Q)CC='$(CC)' tools/probe-flags '$(VARIANT)' >$@.tmp && mv $@.tmp $@


-include $(LIB_OBJ:.o=.d) $(FCGI_OBJ:.o=.d) $(COLLECTORD_OBJ:.o=.d) $(CTL_OBJ:.o=.d) \
	$(UNIT_BIN:=.d) $(FUZZ_BIN:=.d) $(BENCH_BIN:=.d)
