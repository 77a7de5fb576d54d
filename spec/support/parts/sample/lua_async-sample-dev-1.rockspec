rockspec_format = "3.0"
package = "lua_async-sample"
version = "dev-1"
source = { url = "file://." }
description = { summary = "The part that the tests of lua_async's parts are made with", license = "MIT" }
dependencies = { "lua >= 5.4, < 5.5", "lua_async == dev-1" }
external_dependencies = { LIBUV = { header = "uv.h" }, ZLIB = { header = "zlib.h" } }
build = {
  type = "make",
  build_target = "part",
  install_target = "install-part",
  build_variables = {
    PARTS = "sample",
    CFLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LIBUV_INCDIR = "$(LIBUV_INCDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
  },
  install_variables = { PARTS = "sample", INST_LIBDIR = "$(LIBDIR)" },
}
