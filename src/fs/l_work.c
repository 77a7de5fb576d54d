#include "fs/l_work.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *type_name(uint64_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return "file";
  case S_IFDIR: return "directory";
  case S_IFLNK: return "link";
  case S_IFIFO: return "fifo";
  case S_IFSOCK: return "socket";
  case S_IFCHR: return "char";
  case S_IFBLK: return "block";
  default: return "unknown";
  }
}

static void set_integer(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, uv_timespec_t t) {
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

void la_push_stat(lua_State *L, const uv_stat_t *st) {
  lua_createtable(L, 0, 13);
  lua_pushstring(L, type_name(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "size", st->st_size);
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "uid", st->st_uid);
  set_integer(L, "gid", st->st_gid);
  set_integer(L, "dev", st->st_dev);
  set_integer(L, "ino", st->st_ino);
  set_integer(L, "nlink", st->st_nlink);
  set_integer(L, "blocks", st->st_blocks);
  set_time(L, "atime", st->st_atim);
  set_time(L, "mtime", st->st_mtim);
  set_time(L, "ctime", st->st_ctim);
}

void la_push_entry_type(lua_State *L, char c) {
  switch (c) {
  case 'f': lua_pushliteral(L, "file"); break;
  case 'd': lua_pushliteral(L, "directory"); break;
  case 'l': lua_pushliteral(L, "link"); break;
  case 'p': lua_pushliteral(L, "fifo"); break;
  case 's': lua_pushliteral(L, "socket"); break;
  case 'c': lua_pushliteral(L, "char"); break;
  case 'b': lua_pushliteral(L, "block"); break;
  default: lua_pushliteral(L, "unknown");
  }
}

const char *la_check_template(lua_State *L, int arg) {
  static const char tail[] = "XXXXXX";
  if (lua_isnoneornil(L, arg)) {
    const char *folder = getenv("TMPDIR");
    if (folder == NULL || *folder == '\0') folder = "/tmp";
    return lua_pushfstring(L, "%s/lua-%s", folder, tail);
  }
  size_t len;
  la_check_text(L, arg);
  const char *path = lua_tolstring(L, arg, &len);
  bool given = len >= sizeof tail - 1 && strcmp(path + len - (sizeof tail - 1), tail) == 0;
  return lua_pushfstring(L, "%s%s", path, given ? "" : tail);
}
