/* The table that says what to start. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/l_process.h"
#include "stream/pipe.h"

extern char **environ;

static const char *const stdio_names[] = {"stdin", "stdout", "stderr"};

static bool is_among(const char *key, const char *const *names) {
  while (*names != NULL && strcmp(*names, key) != 0) names++;
  return *names != NULL;
}

/* Words in a row from 1 on, and known options. Returns how many words. */
static int check_keys(lua_State *L, int arg, const la_spawn_defaults *defaults) {
  static const char *const names[] = {"stdin", "stdout",  "stderr", "fds",      "cwd",
                                      "env",   "env_add", "group",  "detached", "uid",
                                      "gid",   "argv0",   NULL};
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Unsigned n = lua_rawlen(L, arg);
  luaL_argcheck(L, n > 0, arg, "no command: name it first, as in { \"ls\", \"-l\" }");
  luaL_argcheck(L, n < INT32_MAX / 2, arg, "too many words");
  lua_pushnil(L);
  while (lua_next(L, arg) != 0) {
    bool known;
    if (lua_type(L, -2) == LUA_TSTRING) {
      const char *key = lua_tostring(L, -2);
      known = (is_among(key, names) && (defaults->can_detach || strcmp(key, "detached") != 0)) ||
              is_among(key, defaults->more);
    } else {
      lua_Integer i = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
      known = i >= 1 && (lua_Unsigned)i <= n;
    }
    if (!known) {
      const char *key = luaL_tolstring(L, -2, NULL);
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'", key));
    }
    lua_pop(L, 1);
  }
  return (int)n;
}

/* The string on top of the stack, without a zero byte; `what` names it. */
static const char *text(lua_State *L, int arg, const char *what) {
  size_t len;
  int type = lua_type(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%s must be a string, not a %s", what, luaL_typename(L, -1)));
  const char *s = lua_tolstring(L, -1, &len);
  if (strlen(s) != len) luaL_argerror(L, arg, lua_pushfstring(L, "%s has a zero byte in it", what));
  return s;
}

/* Pops the string on top of the stack into the table of what is to be kept, at index `keep`. */
static char *kept(lua_State *L, int keep) {
  char *s = (char *)(uintptr_t)lua_tostring(L, -1);
  lua_rawseti(L, keep, (lua_Integer)lua_rawlen(L, keep) + 1);
  return s;
}

/* An array of n pointers and NULL, kept as well. */
static char **new_vector(lua_State *L, int keep, size_t n) {
  char **v = lua_newuserdatauv(L, (n + 1) * sizeof *v, 0);
  memset(v, 0, (n + 1) * sizeof *v);
  lua_rawseti(L, keep, (lua_Integer)lua_rawlen(L, keep) + 1);
  return v;
}

static void read_words(lua_State *L, int arg, int keep, int n, la_spawn *s) {
  s->spec.argv = new_vector(L, keep, (size_t)n);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, arg, i + 1);
    text(L, arg, "a word of the command");
    s->spec.argv[i] = kept(L, keep);
  }
  s->spec.file = s->spec.argv[0];
  luaL_argcheck(L, *s->spec.file != '\0', arg, "the command is empty");
  if (lua_getfield(L, arg, "argv0") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  text(L, arg, "option 'argv0'");
  s->spec.argv[0] = kept(L, keep);
}

/* ---- environment -------------------------------------------------------------------*/

/* Adds "NAME=value" for each pair of the table on top of the stack; `remove`: false is none. */
static size_t add_variables(lua_State *L, int arg, int keep, char **env, size_t n, bool remove) {
  int t = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, t) != 0) {
    lua_pushvalue(L, -2);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_argerror(L, arg, "a variable's name must be a string");
    const char *name = text(L, arg, "a variable's name");
    luaL_argcheck(L, *name != '\0' && strchr(name, '=') == NULL, arg,
                  "a variable's name is empty, or has a \"=\" in it");
    lua_insert(L, -2); /* name, value */
    if (!remove || !lua_isboolean(L, -1) || lua_toboolean(L, -1)) {
      const char *value = text(L, arg, "a variable's value");
      lua_pushfstring(L, "%s=%s", name, value);
      env[n++] = kept(L, keep);
    }
    lua_pop(L, 2);
  }
  return n;
}

static size_t count_pairs(lua_State *L, int t) {
  size_t n = 0;
  t = lua_absindex(L, t);
  lua_pushnil(L);
  for (; lua_next(L, t) != 0; n++) lua_pop(L, 1);
  return n;
}

/* Ours, but for those that the table on top of the stack has. */
static size_t add_ours(lua_State *L, int keep, char **env) {
  size_t n = 0;
  for (char **e = environ; *e != NULL; e++) {
    const char *end = strchr(*e, '=');
    lua_pushlstring(L, *e, end != NULL ? (size_t)(end - *e) : strlen(*e));
    bool theirs = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    if (theirs) continue;
    lua_pushstring(L, *e);
    env[n++] = kept(L, keep);
  }
  return n;
}

static void check_table(lua_State *L, int arg, const char *name) {
  if (!lua_istable(L, -1))
    luaL_argerror(L, arg, lua_pushfstring(L, "option '%s' must be a table", name));
}

static void read_env(lua_State *L, int arg, int keep, la_spawn *s) {
  bool whole = lua_getfield(L, arg, "env") != LUA_TNIL;
  bool more = lua_getfield(L, arg, "env_add") != LUA_TNIL;
  luaL_argcheck(L, !(whole && more), arg,
                "'env' replaces the environment and 'env_add' changes it: use one of them");
  if (more) {
    check_table(L, arg, "env_add");
    size_t n = count_pairs(L, -1);
    for (char **e = environ; *e != NULL; e++) n++;
    s->spec.env = new_vector(L, keep, n);
    n = add_ours(L, keep, s->spec.env);
    add_variables(L, arg, keep, s->spec.env, n, true);
  }
  lua_pop(L, 1);
  if (whole) {
    check_table(L, arg, "env");
    s->spec.env = new_vector(L, keep, count_pairs(L, -1));
    add_variables(L, arg, keep, s->spec.env, 0, false);
  }
  lua_pop(L, 1);
}

/* ---- descriptors -------------------------------------------------------------------*/

static int bad_fd(lua_State *L, int arg, const char *name, const char *why) {
  return luaL_argerror(L, arg, lua_pushfstring(L, "%s: %s", name, why));
}

/* A file of Lua's own io, with what it has buffered written before the child writes. */
static int lua_file_fd(lua_State *L, luaL_Stream *p, int arg, const char *name) {
  if (p->closef == NULL) return bad_fd(L, arg, name, "the file is closed");
  fflush(p->f);
  return fileno(p->f);
}

/* What the method fd of the object on top of the stack gives. */
static int method_fd(lua_State *L, int arg, const char *name) {
  if (luaL_getmetafield(L, -1, "__index") != LUA_TTABLE || lua_getfield(L, -1, "fd") == LUA_TNIL)
    return bad_fd(L, arg, name, "a descriptor, or an object that has one, expected");
  lua_pushvalue(L, -3);
  lua_call(L, 1, 2);
  if (!lua_isinteger(L, -2)) return bad_fd(L, arg, name, luaL_tolstring(L, -1, NULL));
  lua_Integer fd = lua_tointeger(L, -2);
  lua_pop(L, 3);
  return fd >= 0 && fd <= INT32_MAX ? (int)fd : bad_fd(L, arg, name, "not a descriptor");
}

/* The object on top of the stack, if it is a stream with a descriptor; NULL: it is none, or looks
** after that itself, as files do. */
static la_io_object *stream_at_top(lua_State *L, int arg, const char *name) {
  la_io_object *o = la_io_test(L, -1);
  if (o == NULL || o->cls->stream->one_position) return NULL;
  const la_stream_class *cls = o->cls->stream;
  if (o->self == NULL || !cls->is_open(o->self)) bad_fd(L, arg, name, LA_STREAM_CLOSED);
  if (cls->vt->fd == NULL || cls->vt->fd(o->self) < 0) bad_fd(L, arg, name, LA_NO_DESCRIPTOR);
  bool settled = cls->uv == NULL || la_uv_stream_is_settled(cls->uv(o->self));
  if (o->reading != NULL || o->writing != NULL || !settled) bad_fd(L, arg, name, LA_IN_USE);
  if (la_reader_unread(cls->reader(o->self)) > 0) bad_fd(L, arg, name, LA_READ_AHEAD);
  return o;
}

/* Descriptor `i` of the child is that of the stream. One of libuv's is handed over, unless it is
** a standard stream, which is ours for good. */
static void give_stream(la_spawn *s, int i, const la_io_object *o) {
  const la_stream_class *cls = o->cls->stream;
  s->fds[i] = cls->vt->fd(o->self);
  if (cls->uv != NULL && s->fds[i] > STDERR_FILENO) s->given[i] = cls->uv(o->self);
}

static int standard_fd(lua_State *L, la_io_object *o, int arg, const char *name,
                       la_uv_stream **given) {
  const char *why;
  int fd = o->cls->lend(o, la_check_reactor(L, "a process"), given, &why);
  return fd >= 0 ? fd : bad_fd(L, arg, name, why);
}

/* Descriptor `i` of the child is what is on top of the stack, which is popped. */
static void read_fd(lua_State *L, int arg, int i, const char *name, la_spawn *s) {
  luaL_Stream *file;
  la_io_object *o = la_io_test(L, -1), *stream;
  if (lua_isinteger(L, -1)) {
    lua_Integer fd = lua_tointeger(L, -1);
    if (fd < 0 || fd > INT32_MAX) bad_fd(L, arg, name, "not a descriptor");
    s->fds[i] = (int)fd;
  } else if (o != NULL && o->cls->attach != NULL) {
    s->fds[i] = standard_fd(L, o, arg, name, &s->given[i]);
  } else if ((stream = stream_at_top(L, arg, name)) != NULL) {
    give_stream(s, i, stream);
  } else if ((file = luaL_testudata(L, -1, LUA_FILEHANDLE)) != NULL) {
    s->fds[i] = lua_file_fd(L, file, arg, name);
  } else {
    s->fds[i] = method_fd(L, arg, name);
  }
  lua_pop(L, 1);
}

static void read_stdio(lua_State *L, int arg, int i, const char *otherwise, la_spawn *s) {
  const char *name = stdio_names[i];
  if (lua_getfield(L, arg, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushstring(L, otherwise);
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    if (!lua_isinteger(L, -1) && !lua_isuserdata(L, -1) && !lua_istable(L, -1))
      luaL_argerror(
          L, arg,
          lua_pushfstring(L,
                          "option '%s' must be \"inherit\", \"null\", \"pipe\", a stream or "
                          "a descriptor",
                          name));
    read_fd(L, arg, i, name, s);
    return;
  }
  const char *how = lua_tostring(L, -1);
  if (strcmp(how, "inherit") == 0)
    s->fds[i] = i;
  else if (strcmp(how, "pipe") == 0)
    s->pipe[i] = true;
  else if (i == STDERR_FILENO && strcmp(how, "stdout") == 0)
    s->merged = true;
  else if (strcmp(how, "null") != 0)
    luaL_argerror(
        L, arg,
        lua_pushfstring(L,
                        "option '%s' must be \"inherit\", \"null\", \"pipe\"%s, a stream or "
                        "a descriptor",
                        name, i == STDERR_FILENO ? ", \"stdout\"" : ""));
  lua_pop(L, 1);
}

static void read_fds(lua_State *L, int arg, la_spawn *s) {
  if (lua_getfield(L, arg, "fds") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  check_table(L, arg, "fds");
  int t = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, t) != 0) {
    lua_Integer i = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (i < 3 || i >= LA_PROCESS_FDS)
      luaL_argerror(L, arg,
                    lua_pushfstring(L,
                                    "option 'fds' must have descriptors from 3 to %d as its keys",
                                    LA_PROCESS_FDS - 1));
    read_fd(L, arg, (int)i, "fds", s);
    if ((unsigned)i >= s->spec.nfds) s->spec.nfds = (unsigned)i + 1;
  }
  lua_pop(L, 1);
}

/* ---- all of it ---------------------------------------------------------------------*/

void la_spawn_read(lua_State *L, int arg, const la_spawn_defaults *defaults, la_spawn *s) {
  int n = check_keys(L, arg, defaults);
  memset(s, 0, sizeof *s);
  for (int i = 0; i < LA_PROCESS_FDS; i++) s->fds[i] = LA_PROCESS_NULL;
  for (int i = 0; i < 3; i++) s->theirs[i] = -1;
  s->spec.nfds = 3;
  s->spec.fds = s->fds;
  lua_newtable(L);
  int keep = lua_gettop(L);
  read_words(L, arg, keep, n, s);
  read_env(L, arg, keep, s);
  if (lua_getfield(L, arg, "cwd") != LUA_TNIL) {
    text(L, arg, "option 'cwd'");
    s->spec.cwd = kept(L, keep);
    luaL_argcheck(L, *s->spec.cwd != '\0', arg, "option 'cwd' is empty");
  } else {
    lua_pop(L, 1);
  }
  s->spec.group = la_option_boolean(L, arg, "group", false);
  s->spec.detached = defaults->can_detach && la_option_boolean(L, arg, "detached", false);
  s->spec.uid = la_option_integer(L, arg, "uid", LA_PROCESS_NOBODY, 0, UINT32_MAX - 1);
  s->spec.gid = la_option_integer(L, arg, "gid", LA_PROCESS_NOBODY, 0, UINT32_MAX - 1);
  for (int i = 0; i < 3; i++) read_stdio(L, arg, i, defaults->stdio[i], s);
  read_fds(L, arg, s);
}

/* ---- done without Lua --------------------------------------------------------------*/

static void close_theirs(la_spawn *s) {
  for (int i = 0; i < 3; i++) {
    if (s->theirs[i] >= 0) close(s->theirs[i]);
    s->theirs[i] = -1;
  }
}

static void close_ours(la_spawn *s) {
  for (int i = 0; i < 3; i++)
    if (s->ours[i] != NULL) la_uv_stream_close(s->ours[i]);
}

static int make_pipe(la_reactor *r, la_spawn *s, int i) {
  int fd[2], own = i == STDIN_FILENO ? 1 : 0;
  int err = la_pipe_make(fd);
  if (err != 0) return err;
  s->theirs[i] = fd[1 - own];
  s->fds[i] = fd[1 - own];
  la_uv_stream *stream = la_pipe_kind.make(r);
  err = stream == NULL ? UV_ENOMEM : la_pipe_kind.open(stream, fd[own]);
  if (err == 0) {
    s->ours[i] = stream;
    return 0;
  }
  if (stream != NULL) la_uv_stream_unref(stream);
  close(fd[own]);
  return err;
}

int la_spawn_pipes(la_reactor *r, la_spawn *s) {
  int err = 0;
  for (int i = 0; i < 3 && err == 0; i++)
    if (s->pipe[i]) err = make_pipe(r, s, i);
  if (s->merged) s->fds[STDERR_FILENO] = s->fds[STDOUT_FILENO];
  if (err == 0) return 0;
  close_theirs(s);
  for (int i = 0; i < 3; i++) {
    if (s->ours[i] != NULL) la_uv_stream_unref(s->ours[i]);
    s->ours[i] = NULL;
  }
  return err;
}

/* Streams that are given away are blocking for everybody who has the same open file, as programs
** expect. `flags`: what they were. */
static void set_blocking(const la_spawn *s, int flags[LA_PROCESS_FDS]) {
  for (unsigned i = 0; i < s->spec.nfds; i++) {
    flags[i] = s->given[i] != NULL ? fcntl(s->fds[i], F_GETFL) : -1;
    if (flags[i] >= 0) fcntl(s->fds[i], F_SETFL, flags[i] & ~O_NONBLOCK);
  }
}

static void set_back(const la_spawn *s, const int flags[LA_PROCESS_FDS]) {
  for (unsigned i = 0; i < s->spec.nfds; i++)
    if (flags[i] >= 0) fcntl(s->fds[i], F_SETFL, flags[i]);
}

int la_spawn_start(la_reactor *r, la_spawn *s, la_process **out) {
  int flags[LA_PROCESS_FDS] = {0};
  set_blocking(s, flags);
  int err = la_process_spawn(r, &s->spec, out);
  close_theirs(s);
  if (err != 0) {
    set_back(s, flags);
    close_ours(s);
    return err;
  }
  for (unsigned i = 0; i < s->spec.nfds; i++)
    if (s->given[i] != NULL) la_uv_stream_close(s->given[i]);
  return 0;
}

/* The folder, when it is what failed: the child tells the errno alone. */
int la_spawn_fail(lua_State *L, const la_spawn *s, int error, const char *op) {
  struct stat st;
  const char *path = s->spec.file, *cwd = s->spec.cwd;
  if (cwd != NULL && (stat(cwd, &st) != 0 || !S_ISDIR(st.st_mode) || access(cwd, X_OK) != 0))
    path = cwd;
  int n = la_fail_path(L, error, op, path);
  bool line = strchr(path, ' ') != NULL && s->spec.argv[1] == NULL && path != cwd;
  if (line && error == UV_ENOENT) {
    lua_pushliteral(L, "no such program (no shell splits the words of a command: give each as an "
                       "item of its own, or start { \"sh\", \"-c\", command })");
    lua_setfield(L, -2, "message");
  }
  return n;
}
