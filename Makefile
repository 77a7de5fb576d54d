# lua_async: `make help` lists what this can do.

LUA          := $(or $(LUA),$(shell sh tools/find-lua),lua5.4)
LUA_PKG      := $(or $(shell sh tools/find-lua pc),lua5.4)
LUA_INC      := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell pkg-config --cflags $(LUA_PKG) 2>/dev/null))
LIBUV_CFLAGS := $(or $(LIBUV_CFLAGS),$(if $(LIBUV_INCDIR),-I$(LIBUV_INCDIR)) $(shell pkg-config --cflags libuv 2>/dev/null))
LIBUV_LIBS   := $(or $(LIBUV_LIBS),$(if $(LIBUV_LIBDIR),-L$(LIBUV_LIBDIR)) $(or $(shell pkg-config --libs libuv 2>/dev/null),-luv))
CMOCKA_LIBS  := $(or $(CMOCKA_LIBS),$(shell pkg-config --libs cmocka 2>/dev/null),-lcmocka)
export LUA

PREFIX     ?= /usr/local
INST_LIBDIR   ?= $(PREFIX)/lib/lua/5.4
INST_LUADIR   ?= $(PREFIX)/share/lua/5.4
INST_INCDIR   ?= $(PREFIX)/include

CC       ?= cc
CFLAGS   ?= -O2 -g
LTO      ?= -flto=auto
WARNINGS  = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wno-missing-field-initializers $(if $(WERROR),-Werror)
COMPILE   = $(CC) -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARNINGS) \
            -Iinclude -Isrc $(LUA_INC) $(LIBUV_CFLAGS) -MMD -MP
SHARED   := $(if $(filter Darwin,$(shell uname)),-bundle -undefined dynamic_lookup,-shared)

# A flavour is a folder of build/ with flags of its own; `make build/asan/lua_async.so`.
FLAVOURS      := release asan tsan torture
FLAGS_release  = $(CFLAGS) $(LTO)
FLAGS_asan     = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan     = -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_torture  = -O1 -g
# lua_close unloads the module, and reports at exit would have no names.
LINK_asan     := $(if $(filter Darwin,$(shell uname)),,-Wl,-z,nodelete)
LINK_tsan     := $(LINK_asan)

MODULE   := lua_async.c $(wildcard src/*/*.c)
CORE     := $(wildcard src/core/*.c src/sync/*.c)
IO       := $(CORE) $(wildcard src/driver/*.c src/io/*.c)
TESTS    := $(basename $(notdir $(wildcard spec/core/test_*.c)))
EXAMPLES := $(basename $(notdir $(wildcard examples/c/*.c)))

# The specs that are short enough to collect at every step.
SPECS_gc := $(addprefix spec/,run_spec.lua cancel_spec.lua future_spec.lua coroutine_spec.lua regress)

# limits_spec asks for more than libtsan's shadow memory can follow.
SPECS_tsan := $(filter-out %/limits_spec.lua,$(wildcard spec/*_spec.lua)) spec/regress

.PHONY: all build examples run test core-test lua-test lint asan tsan valgrind torture bench install clean help \
        $(addprefix check-,release asan tsan valgrind torture)
all: build examples

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: build/lua_async.so ## build the module, build/lua_async.so

# Renamed into place: whoever has the old one mapped keeps it whole.
build/lua_async.so: build/release/lua_async.so
	@cp $< $@.new && mv -f $@.new $@
build/examples/%.so: build/release/examples/%.so
	@mkdir -p $(@D) && cp $< $@.new && mv -f $@.new $@

# The tests in C, each under a command, and the specs; all of them, whatever fails.
LIMIT := $(if $(shell command -v timeout 2>/dev/null),timeout 600)
core   = for t in $(TESTS:%=build/$(1)/tests/%); do echo "$$t"; $(LIMIT) $(2) $$t || { echo "$$t: failed"; bad=1; }; done
specs  = sh tools/busted $(1) $(SPECS_$(1)) || bad=1
NEEDS  = sh tools/install-deps $(1) && $(MAKE) --no-print-directory

define flavour
build/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "cc $$@"; $$(COMPILE) $$(FLAGS_$(1)) -c -o $$@ $$<
build/$(1)/lua_async.so: $$(MODULE:%.c=build/$(1)/%.o)
	@echo "ld $$@"; $$(CC) $$(FLAGS_$(1)) $$(LINK_$(1)) $$(LDFLAGS) $$(SHARED) -o $$@ $$^ $$(LIBUV_LIBS) -lpthread
build/$(1)/tests/%: build/$(1)/spec/core/%.o build/$(1)/spec/core/counting.o $$(IO:%.c=build/$(1)/%.o)
	@mkdir -p $$(@D)
	@echo "ld $$@"; $$(CC) $$(FLAGS_$(1)) -o $$@ $$^ $$(LIBUV_LIBS) $$(CMOCKA_LIBS) -lpthread -ldl
build/$(1)/examples/%.so: examples/c/%.c include/lua_async.h
	@mkdir -p $$(@D)
	@echo "ld $$@"; $$(CC) -std=c11 -D_GNU_SOURCE -fPIC $$(WARNINGS) -Iinclude $$(LUA_INC) $$(FLAGS_$(1)) $$(SHARED) -o $$@ $$< -lpthread
-include $$(shell find build/$(1) -name '*.d' 2>/dev/null)
endef
$(foreach f,$(FLAVOURS),$(eval $(call flavour,$(f))))
.SECONDARY:

# The tests in C, then the specs, of one flavour.
define check
check-$(1): $$(TESTS:%=build/$(1)/tests/%) build/$(1)/lua_async.so $$(EXAMPLES:%=build/$(1)/examples/%.so)
	@bad=0; $$(call core,$(1)); $$(call specs,$(1)); exit $$$$bad
endef
$(foreach f,release asan tsan,$(eval $(call check,$(f))))

examples: build $(EXAMPLES:%=build/examples/%.so) ## build the example modules in C

run: ## install what is missing, build, and run the tour
	@$(call NEEDS,build) all
	@LUA_CPATH="build/?.so;build/examples/?.so;;" $(LUA) examples/tour.lua

test: ## install what is missing, build, run the tests in C and in Lua
	@$(call NEEDS,test) all check-release

core-test: $(TESTS:%=build/release/tests/%)
	@bad=0; $(call core,release); exit $$bad

lua-test: all
	@bad=0; $(call specs,release); exit $$bad

lint: ## luacheck, clang-format, clang-tidy, cppcheck, and who may include whom
	@sh tools/install-deps lint
	@sh tools/lint

asan: ## the tests under ASan, UBSan and LSan
	@$(call NEEDS,sanitize) check-asan

tsan: ## the tests under TSan
	@$(call NEEDS,sanitize) check-tsan

valgrind: ## the tests under valgrind
	@$(call NEEDS,sanitize) check-valgrind

# What fails malloc by itself is not for valgrind, which has a malloc of its own.
check-valgrind: TESTS := $(filter-out %_memory,$(TESTS))
check-valgrind: all $(TESTS:%=build/release/tests/%)
	@bad=0; export LUA_ASYNC_FLAVOUR=valgrind; \
	$(call core,release,valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9); \
	$(call specs,valgrind); exit $$bad

torture: ## every allocation failing in turn; a full GC at every step
	@$(call NEEDS,sanitize) check-torture

check-torture: $(foreach f,torture asan,build/$(f)/lua_async.so $(EXAMPLES:%=build/$(f)/examples/%.so))
	@bad=0; LUA_CPATH="build/torture/?.so;build/torture/examples/?.so;;" CC="$(CC)" $(LUA) spec/torture/run.lua || bad=1; \
	$(call specs,gc); exit $$bad

bench: build ## the project's own benchmarks, with the C floors beside them
	@sh bench/run.sh

install: build ## install the module, its header and its types under PREFIX
	install -d "$(DESTDIR)$(INST_LIBDIR)" "$(DESTDIR)$(INST_INCDIR)" "$(DESTDIR)$(INST_LUADIR)/lua_async"
	install -m 755 build/lua_async.so "$(DESTDIR)$(INST_LIBDIR)/lua_async.so"
	install -m 644 include/lua_async.h "$(DESTDIR)$(INST_INCDIR)/lua_async.h"
	install -m 644 types/lua_async.lua "$(DESTDIR)$(INST_LUADIR)/lua_async/types.lua"

clean: ## remove what was built
	rm -rf build
