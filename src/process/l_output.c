/* async.process.output: a child, and all that it writes. */
#include <stdint.h>
#include <unistd.h>

#include "process/l_process.h"
#include "process/output.h"

/* Leaves the option's string on top of the stack, or nil. */
static const char *read_input(lua_State *L, size_t *len) {
  *len = 0;
  if (lua_getfield(L, 1, "input") == LUA_TNIL) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_argerror(
        L, 1,
        "option 'input' must be a string (to stream input, use process.spawn and write to child.stdin)");
  return lua_tolstring(L, -1, len);
}

static void drop_pipes(la_spawn *s) {
  for (int i = 0; i < 3; i++)
    if (s->ours[i] != NULL) la_uv_stream_unref(s->ours[i]);
}

static int start(la_reactor *r, la_spawn *s, la_output *o, const char *input, size_t len) {
  la_process *p = NULL;
  int error = la_spawn_pipes(r, s);
  if (error != 0) return error;
  error = la_spawn_start(r, s, &p);
  if (error != 0)
    drop_pipes(s);
  else
    la_output_begin(o, p, s->ours, input, len);
  return error;
}

static int begin(lua_State *L, void *room, la_future **f) {
  static const char *const more[] = {"input", "max", NULL};
  la_spawn_defaults defaults = {{"null", "pipe", "pipe"}, more, false};
  la_spawn s;
  size_t len;
  (void)room;
  la_reactor *r = la_check_reactor(L, "process.output");
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  const char *input = read_input(L, &len);
  if (input != NULL) defaults.stdio[STDIN_FILENO] = "pipe";
  size_t max = (size_t)la_option_integer(L, 1, "max", PTRDIFF_MAX / 2, 0, PTRDIFF_MAX / 2);
  la_spawn_read(L, 1, &defaults, &s);
  luaL_argcheck(L, s.pipe[STDIN_FILENO] == (input != NULL), 1,
                "stdin: \"pipe\" goes with 'input', and 'input' with nothing else");
  la_output *o = la_output_new(max);
  if (o == NULL) return la_no_memory(L);
  int error = start(r, &s, o, input, len);
  if (error == 0) {
    *f = &o->base;
    return 0;
  }
  la_future_drop(&o->base);
  return la_spawn_fail(L, &s, error, "output");
}

static void set_output(lua_State *L, const la_output *o, int i, const char *name) {
  if (o->out[i].size == 0) return; /* it was no pipe */
  lua_pushlstring(L, o->out[i].data, o->out[i].len);
  lua_setfield(L, -2, name);
}

static int finish(lua_State *L, la_future *f) {
  const la_output *o = la_container(f, la_output, base);
  if (o->status != 0) {
    lua_rawgeti(L, 1, 1);
    return la_fail_path(L, o->status, "output", lua_tostring(L, -1));
  }
  la_push_status(L, o->process);
  set_output(L, o, 0, "stdout");
  set_output(L, o, 1, "stderr");
  return 1;
}

static const la_operation operation = {"process.output", begin, finish};
static int output(lua_State *L) { return la_operate(L, &operation); }

void la_open_output(lua_State *L) {
  static const la_operation_entry operations[] = {{output, &operation}, {NULL, NULL}};
  la_operations_add(L, operations);
  lua_pushcfunction(L, output);
  lua_setfield(L, -2, "output");
}
