rockspec_format = "3.0"
package = "lua_async"
version = "dev-1"
source = { url = "file://." }
description = {
  summary = "An async runtime for Lua: futures, tasks, timers, sockets, files and processes on libuv",
  detailed = [[
    The future and executor model of Rust for Lua 5.4: lazy futures, wakers, tasks that are
    cancelled by unwinding, and straight-line code that waits for timers, sockets, files,
    processes and signals. The part lua_async.socket needs LuaSocket.]],
  license = "MIT",
}
dependencies = { "lua >= 5.4, < 5.5" }
external_dependencies = { LIBUV = { header = "uv.h" } }
build = {
  type = "make",
  build_target = "build",
  install_target = "install",
  build_variables = {
    PARTS = "", -- rocks of their own
    CFLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LIBUV_INCDIR = "$(LIBUV_INCDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
  },
  install_variables = {
    PARTS = "",
    INST_LIBDIR = "$(LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_INCDIR = "$(PREFIX)/include",
  },
}
