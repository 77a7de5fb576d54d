# lua_async: `make help` lists what this can do.

LUA       ?= lua5.4
LUA_PKG   := $(firstword $(foreach p,lua5.4 lua-5.4 lua54 lua,$(shell pkg-config --exists $(p) 2>/dev/null && echo $(p))))
LUA_INC   := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell pkg-config --cflags $(LUA_PKG) 2>/dev/null))
UV_CFLAGS ?= $(if $(LIBUV_INCDIR),-I$(LIBUV_INCDIR),$(shell pkg-config --cflags libuv 2>/dev/null))
UV_LIBS   ?= $(if $(LIBUV_LIBDIR),-L$(LIBUV_LIBDIR)) $(or $(shell pkg-config --libs libuv 2>/dev/null),-luv)

PREFIX     ?= /usr/local
INST_LIBDIR   ?= $(PREFIX)/lib/lua/5.4
INST_LUADIR   ?= $(PREFIX)/share/lua/5.4
INST_INCDIR   ?= $(PREFIX)/include

CC       ?= cc
CFLAGS   ?= -O2 -g
LTO      ?= -flto=auto
WARNINGS  = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wno-missing-field-initializers $(if $(WERROR),-Werror)
COMPILE   = $(CC) -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -fno-semantic-interposition $(WARNINGS) \
            -Iinclude -Isrc -Ibuild $(INCLUDES) $(LUA_INC) $(UV_CFLAGS) $(PART_CFLAGS) -MMD -MP
SHARED   := $(if $(filter Darwin,$(shell uname)),-bundle -undefined dynamic_lookup,-shared)

# A thread may still be in a lookup when the last state that loaded the module is closed.
NODELETE := $(shell echo 'int x;' | $(CC) $(SHARED) -fPIC -Wl,-z,nodelete -o /dev/null -x c - 2>/dev/null && echo -Wl,-z,nodelete)

# Parts find the runtime beside their folder, wherever the tree is, and share the one that is loaded.
ifneq ($(shell uname),Darwin)
SONAME    := -Wl,-soname,lua_async.so
PART_LINK  = -Wl,--no-as-needed -Wl,-rpath,'$$ORIGIN/..' $(1)
endif

# A flavour is a folder of build/ with flags of its own; `make build/asan/lua_async.so`.
FLAVOURS      := release asan tsan torture helgrind
FLAGS_release  = $(CFLAGS) $(LTO)
FLAGS_asan     = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan     = -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_torture  = -O1 -g
FLAGS_helgrind = -O1 -g -fno-inline

# A part is a folder with a part.mk; see src/part.h. KNOWN are those of this checkout, AVAILABLE those
# whose libraries are there, PARTS those that are built: `make PARTS="tls http"` insists.
PART_DIRS ?= src
PART_MK   := $(foreach d,$(PART_DIRS),$(wildcard $(d)/*/part.mk))
part_of    = $(notdir $(patsubst %/,%,$(dir $(1))))
KNOWN     := $(foreach m,$(PART_MK),$(call part_of,$(m)))
-include $(PART_MK)
AVAILABLE := $(foreach p,$(KNOWN),$(if $(strip $($(p)_PKGS)),$(shell pkg-config --exists $($(p)_PKGS) && echo $(p)),$(p)))
PARTS     ?= $(AVAILABLE)
UNKNOWN   := $(filter-out $(KNOWN),$(PARTS))
MISSING   := $(filter-out $(AVAILABLE) $(UNKNOWN),$(PARTS))
ifneq ($(filter-out run test lint help clean,$(or $(MAKECMDGOALS),all)),) # those that install come first
$(if $(UNKNOWN),$(error there is no part '$(firstword $(UNKNOWN))' in this checkout; it has: $(KNOWN)))
$(if $(MISSING),$(error the part '$(firstword $(MISSING))' needs $($(firstword $(MISSING))_NEEDS), which pkg-config does not find ($($(firstword $(MISSING))_PKGS)): `make run` installs it))
endif

MODULE   := lua_async.c $(filter-out $(foreach m,$(PART_MK),$(wildcard $(dir $(m))*.c)),$(wildcard src/*/*.c))
ENGINES  := $(filter-out lua_async.c src/bridge/% $(foreach f,$(MODULE),$(if $(filter l_%,$(notdir $(f))),$(f))),$(MODULE)) # without Lua
TESTS    := $(patsubst spec/%.c,%,$(wildcard spec/*/test_*.c))
THREADED := $(sort $(patsubst spec/%.c,%,$(shell grep -l pthread spec/*/test_*.c)) $(filter thread/%,$(TESTS)))
EXAMPLES := $(basename $(notdir $(wildcard examples/c/*.c)))

# Which specs run where, their own tags say: see spec/README.md. Those of I/O and threads run under every
# tenth seed only.
specs      = $(shell sh tools/specs $(1))
SEEDS     ?= 100
IO_SPECS   = $(filter spec/stream/% spec/net/% spec/fs/% spec/process/% spec/stdio/% spec/thread/%,$(1))
SEED_ALL   = $(call specs,process large noseeds)
SEED_SOME  = $(filter-out $(call IO_SPECS,$(SEED_ALL)),$(call specs,process large noseeds seldom))
MODEL_SEEDS ?= 100000

.PHONY: all build part install-part scripts examples run test core-test lua-test lint asan tsan valgrind helgrind torture faults seeds model models long bench install clean help
all: build examples

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: build/release/lua_async.so part ## build the module, build/lua_async.so, and its parts
	@mkdir -p build && cp -f build/release/lua_async.so build/lua_async.so
	@$(foreach p,$(filter-out $(AVAILABLE),$(KNOWN)),echo "left out: lua_async.$(p), which needs $($(p)_NEEDS)";)

part: $(PARTS:%=build/release/lua_async/%.so)
	@mkdir -p build/lua_async $(foreach p,$(PARTS),&& cp -f build/release/lua_async/$(p).so build/lua_async/)

# The modules in Lua as the bytes of an array in C: lua_async.so carries them.
SCRIPTS  := $(patsubst src/lua/lua_async/%.lua,build/scripts/%.inc,$(wildcard src/lua/lua_async/*.lua))
build/scripts/%.inc: src/lua/lua_async/%.lua
	@mkdir -p $(@D)
	@od -An -v -tx1 $< | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g' > $@
scripts: $(SCRIPTS) build/lua_async_version.h

# The version, with what parts are checked by: the interface is that of all headers, so that a part and
# a runtime of different checkouts refuse one another. Written again when it changes.
VERSION   := 0.1.0
INTERFACE := $(shell cat include/*.h src/*/*.h src/*.h 2>/dev/null | cksum | cut -d ' ' -f 1)
define VERSION_H
#define LA_VERSION "$(VERSION)"
#define LA_INTERFACE "$(INTERFACE)"
#define LA_KNOWN_PARTS $(foreach m,$(wildcard src/*/part.mk),{"$(call part_of,$(m))", "$($(call part_of,$(m))_NEEDS)"},)
endef
export VERSION_H
build/lua_async_version.h: FORCE
	@mkdir -p build
	@printf '%s\n' "$$VERSION_H" | cmp -s - $@ || printf '%s\n' "$$VERSION_H" >$@
.PHONY: FORCE

# part FLAVOUR NAME FOLDER/
define part
build/$(1)/$(3)%.o: PART_CFLAGS = -DLA_BUILDS_PART -I$(patsubst %/,%,$(3)) $$(shell pkg-config --cflags $$($(2)_PKGS) 2>/dev/null)
$(patsubst %.c,build/$(1)/%.o,$(wildcard $(3)*.c $(3)*/*.c)): build/lua_async_version.h
build/$(1)/lua_async/$(2).so: $(patsubst %.c,build/$(1)/%.o,$(wildcard $(3)*.c $(3)*/*.c)) build/$(1)/lua_async.so
	@mkdir -p $$(@D)
	@echo "ld $$@"; $$(CC) $$(FLAGS_$(1)) $$(LDFLAGS) $$(SHARED) -o $$@ $$(filter %.o,$$^) $$(call PART_LINK,build/$(1)/lua_async.so) $$(shell pkg-config --libs $$($(2)_PKGS) 2>/dev/null) -lpthread

endef

define flavour
build/$(1)/src/lua/l_scripts.o: $(SCRIPTS)
build/$(1)/lua_async.o build/$(1)/src/bridge/module.o: build/lua_async_version.h
build/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "cc $$@"; $$(COMPILE) $$(FLAGS_$(1)) -c -o $$@ $$<
build/$(1)/lua_async.so: $$(MODULE:%.c=build/$(1)/%.o)
	@echo "ld $$@"; $$(CC) $$(FLAGS_$(1)) $$(LDFLAGS) $$(SHARED) $$(SONAME) $$(NODELETE) -o $$@ $$^ $$(UV_LIBS) -lpthread
build/$(1)/spec/%.o: INCLUDES = -I. # their headers, as "spec/core/counting.h"
build/$(1)/tests/%: build/$(1)/spec/%.o build/$(1)/spec/core/counting.o $$(ENGINES:%.c=build/$(1)/%.o)
	@mkdir -p $$(@D)
	@echo "ld $$@"; $$(CC) $$(FLAGS_$(1)) -o $$@ $$^ $$(UV_LIBS) -lcmocka -lpthread -ldl
build/$(1)/examples/%.so: examples/c/%.c include/lua_async.h
	@mkdir -p $$(@D)
	@echo "ld $$@"; $$(CC) -std=c11 -D_GNU_SOURCE -fPIC $$(WARNINGS) -Iinclude $$(LUA_INC) $$(FLAGS_$(1)) $$(SHARED) -o $$@ $$< -lpthread
$(foreach m,$(PART_MK),$(call part,$(1),$(call part_of,$(m)),$(dir $(m))))
-include $$(shell find build/$(1) -name '*.d' 2>/dev/null)
endef
$(foreach f,$(FLAVOURS),$(eval $(call flavour,$(f))))
.SECONDARY:

examples: build $(EXAMPLES:%=build/release/examples/%.so) ## build the example modules in C
	@mkdir -p build/examples && cp -f $(EXAMPLES:%=build/release/examples/%.so) build/examples/

run: ## install what is missing, build, and run the tour
	@sh tools/install-deps build
	@$(MAKE) --no-print-directory all
	@LUA_CPATH="build/?.so;build/examples/?.so;;" $(LUA) examples/tour.lua

test: ## install what is missing, build, run the tests in C and in Lua
	@sh tools/install-deps test
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory core-test
	@$(MAKE) --no-print-directory lua-test

core-test: $(TESTS:%=build/release/tests/%)
	@for t in $^; do echo "$$t"; timeout 300 $$t || exit 1; done

lua-test: all
	@sh tools/busted release

lint: ## luacheck, clang-format, clang-tidy, cppcheck, and who may include whom
	@sh tools/install-deps lint
	@sh tools/lint

asan: $(TESTS:%=build/asan/tests/%) build/asan/lua_async.so $(EXAMPLES:%=build/asan/examples/%.so) ## the tests under ASan, UBSan and LSan
	@for t in $(TESTS:%=build/asan/tests/%); do echo "$$t"; timeout 300 $$t || exit 1; done
	@sh tools/busted asan

tsan: $(TESTS:%=build/tsan/tests/%) build/tsan/lua_async.so $(EXAMPLES:%=build/tsan/examples/%.so) ## the tests under TSan
	@for t in $(TESTS:%=build/tsan/tests/%); do echo "$$t"; \
	  TSAN_OPTIONS=die_after_fork=0 timeout 600 $$t || exit 1; done
	@sh tools/each tsan $(call specs,process interrupt notsan)

valgrind: all core-test ## the tests under valgrind
	@for t in $(filter-out %/test_memory,$(TESTS:%=build/release/tests/%)); do echo "$$t"; \
	  LA_UNDER_VALGRIND=1 timeout 900 valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9 $$t || exit 1; done
	@sh tools/busted valgrind

helgrind: $(THREADED:%=build/helgrind/tests/%) ## what threads share, under helgrind
	@for t in $^; do echo "$$t"; LA_UNDER_VALGRIND=helgrind timeout 900 valgrind --tool=helgrind --fair-sched=yes -q \
	  --suppressions=tools/helgrind.supp --error-exitcode=9 $$t || exit 1; done

torture: build/torture/lua_async.so $(EXAMPLES:%=build/torture/examples/%.so) build/asan/lua_async.so $(EXAMPLES:%=build/asan/examples/%.so) ## every allocation failing in turn; a full GC at every step
	@LUA_CPATH="build/torture/?.so;build/torture/examples/?.so;;" CC="$(CC)" $(LUA) spec/torture/run.lua
	@sh tools/each gc $(call specs,process large nogc)

faults: all ## system calls that fail, one after another, by strace (some minutes)
	@sh spec/support/build
	@LUA_CPATH="build/release/?.so;;" $(LUA) spec/faults/run.lua
	@LUA_CPATH="build/release/?.so;;" $(LUA) spec/faults/run.lua --dense=4 --lasting

seeds: all ## the specs of tasks under SEEDS (100) orders of those that are ready
	@sh spec/support/build
	@seq $(SEEDS) | xargs -P 2 -n 1 sh -c 'tags=process,large,noseeds,seldom specs="$(SEED_SOME)"; \
	  [ $$(($$0 % 10)) -ne 0 ] || { tags=process,large,noseeds specs="$(SEED_ALL)"; }; \
	  LUA_ASYNC_SEED=$$0 sh tools/busted release --exclude-tags=$$tags $$specs \
	  >build/seed.$$0.log 2>&1 || { cat build/seed.$$0.log; echo "LUA_ASYNC_SEED=$$0"; exit 255; }'
	@grep -h ' successes' build/seed.$(SEEDS).log | sed 's/:.*/: under each of $(SEEDS) seeds/'; rm -f build/seed.*.log

model: all ## MODEL_SEEDS (100,000) random programs against what has to hold of all
	@MODEL_SEEDS=$(MODEL_SEEDS) sh tools/busted release spec/model_spec.lua

models: ## every order in which threads may meet, of small models of what they share, by spin
	@sh tools/install-deps models
	@CC="$(CC)" sh spec/models/run.sh

long: faults valgrind helgrind models ## what takes longer than CI has: strace, valgrind, helgrind, spin, random programs
	@$(MAKE) --no-print-directory model

bench: build ## the project's own benchmarks, with the C floors beside them
	@sh bench/run.sh

install: build ## install the module, its header and its types under PREFIX
	install -d "$(DESTDIR)$(INST_LIBDIR)" "$(DESTDIR)$(INST_INCDIR)" "$(DESTDIR)$(INST_LUADIR)/lua_async"
	install -m 755 build/lua_async.so "$(DESTDIR)$(INST_LIBDIR)/lua_async.so"
	install -m 644 include/lua_async.h "$(DESTDIR)$(INST_INCDIR)/lua_async.h"
	install -m 644 types/lua_async.lua "$(DESTDIR)$(INST_LUADIR)/lua_async/types.lua"
	@$(MAKE) --no-print-directory install-part

install-part: part ## install the parts alone
	$(if $(strip $(PARTS)),install -d "$(DESTDIR)$(INST_LIBDIR)/lua_async")
	$(foreach p,$(PARTS),install -m 755 build/lua_async/$(p).so "$(DESTDIR)$(INST_LIBDIR)/lua_async/$(p).so" &&) true

clean: ## remove what was built
	rm -rf build
