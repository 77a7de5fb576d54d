/*
** async.sample: a part that uses what part.h offers: work on the pool, a timer, an object whose
** future is woken by another task, and a stream with a class of its own.
*/
#include "core/kept_waker.h"
#include "counted.h"
#include "crc.h"
#include "part.h"

/* ---- crc32(data) -> integer: waits for libuv's pool ----------------------------------*/

static int crc_begin(lua_State *L, void *room, la_future **f) {
  size_t len;
  const char *data = luaL_checklstring(L, 1, &len);
  (void)room;
  crc_work *w = crc_work_new(la_check_reactor(L, "sample.crc32"), data, len);
  if (w == NULL) return la_no_memory(L);
  *f = &w->work.op.base;
  return 0;
}

static int crc_finish(lua_State *L, la_future *f) {
  lua_pushinteger(L, (lua_Integer)((const crc_work *)(const void *)f)->crc);
  return 1;
}

static const la_operation crc_operation = {"sample.crc32", crc_begin, crc_finish};
static int crc32_of(lua_State *L) { return la_operate(L, &crc_operation); }

/* ---- after(seconds, value, options) -> value; or nil and an error ---------------------*/

static int after_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"fail", NULL};
  uint64_t ns = la_check_seconds(L, 1);
  la_check_options(L, 3, names);
  if (la_option_boolean(L, 3, "fail", false)) return la_fail(L, UV_EIO, "sample.after");
  const la_runtime *rt = la_runtime_check(L, "sample.after");
  la_sleep_init(room, rt->ex, la_time_after(la_executor_now(rt->ex), ns));
  *f = &((la_sleep *)room)->base;
  return 0;
}

static int after_finish(lua_State *L, la_future *f) {
  (void)f;
  lua_settop(L, 2);
  return 1;
}

static const la_operation after_operation = {"sample.after", after_begin, after_finish};
static int after(lua_State *L) { return la_operate(L, &after_operation); }

/* ---- gate(): one task waits until another opens it ------------------------------------*/

typedef struct gate {
  la_object head;
  la_kept_waker waiting;
  bool open;
} gate;

static void gate_close(void *object) {
  la_waker w;
  if (la_kept_take(&((gate *)object)->waiting, &w)) la_waker_wake(w);
}

static const la_object_class gate_class = {"lua_async.sample.Gate", gate_close, NULL, NULL};

typedef struct gate_future {
  la_future base;
  gate *g;
} gate_future;

static la_poll gate_poll(la_future *f, la_context *cx) {
  gate *g = ((gate_future *)(void *)f)->g;
  if ((g->open || g->head.closed) && la_budget_take(cx)) return LA_READY;
  la_kept_set(&g->waiting, cx);
  return LA_PENDING;
}

static void gate_drop(la_future *f) {
  la_waker w;
  if (la_kept_take(&((gate_future *)(void *)f)->g->waiting, &w)) la_waker_drop(w);
}

static const la_future_vtable gate_vtable = {gate_poll, gate_drop, "sample.gate", NULL};

static int wait_begin(lua_State *L, void *room, la_future **f) {
  gate *g = la_object_check(L, 1, &gate_class);
  if (g->head.closed) return la_fail_closed(L, "wait");
  *(gate_future *)room = (gate_future){{&gate_vtable}, g};
  *f = &((gate_future *)room)->base;
  return 0;
}

static int wait_finish(lua_State *L, la_future *f) {
  const gate *g = ((gate_future *)(void *)f)->g;
  if (!g->open) return la_fail_meanwhile(L, "wait");
  lua_pushboolean(L, 1);
  return 1;
}

static const la_operation wait_operation = {"gate.wait", wait_begin, wait_finish};
static int gate_wait(lua_State *L) { return la_operate(L, &wait_operation); }

static int gate_open(lua_State *L) {
  gate *g = la_object_check(L, 1, &gate_class);
  g->open = true;
  gate_close(g);
  return 0;
}

static int new_gate(lua_State *L) {
  la_object_new(L, &gate_class, sizeof(gate), 0);
  la_object_made(L, &gate_class);
  return 1;
}

/* ---- count(stream): that stream, with a method that says what has passed ---------------*/

#define COUNTED_NAME "lua_async.sample.Counted"

static const la_io_class counted_objects = {&counted_class, COUNTED_NAME, NULL, NULL};

static int count(lua_State *L) {
  la_io_object *from = la_io_test(L, 1);
  if (from == NULL) luaL_typeerror(L, 1, "stream");
  la_reactor *r = la_check_reactor(L, "sample.count");
  la_io_object *o = la_io_new(L, &counted_objects);
  la_stream inner = la_io_take(L, from, 1);
  counted *c = counted_new(r, inner);
  if (c == NULL) {
    la_stream_drop(inner);
    return la_no_memory(L);
  }
  o->self = c;
  return 1;
}

static int counted_counts(lua_State *L) {
  const counted *c = la_stream_check(L, COUNTED_NAME)->self;
  lua_pushinteger(L, (lua_Integer)counted_read(c));
  lua_pushinteger(L, (lua_Integer)counted_written(c));
  return 2;
}

static int counted_tostring(lua_State *L) {
  lua_pushliteral(L, "Counted");
  return 1;
}

/* ---- the part ------------------------------------------------------------------------*/

LA_PART_EXPORT int luaopen_lua_async_sample(lua_State *L);
int luaopen_lua_async_sample(lua_State *L) {
  static const luaL_Reg gate_methods[] = {{"wait", gate_wait}, {"open", gate_open}, {NULL, NULL}};
  static const luaL_Reg counted_methods[] = {{"counts", counted_counts}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"crc32", crc32_of},
                                       {"after", after},
                                       {"gate", new_gate},
                                       {"count", count},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{crc32_of, &crc_operation},
                                                  {after, &after_operation},
                                                  {gate_wait, &wait_operation},
                                                  {NULL, NULL}};
  la_part_open(L, "sample");
  la_operations_add(L, operations);
  la_object_class_open(L, &gate_class, NULL, gate_methods);
  la_stream_class_open(L, &counted_objects, counted_tostring, counted_methods);
  luaL_newlib(L, functions);
  return 1;
}
