/* try_read and try_write of every stream: what need not wait. */
#include "core/future.h"
#include "stream/l_io.h"

static int push_read(lua_State *L, la_io_object *o, la_reader *rd) {
  size_t len;
  const char *bytes = la_reader_span(rd, &len);
  if (rd->status == UV_EOF) {
    lua_pushnil(L);
    return 1;
  }
  if (rd->status != 0) return la_fail(L, la_io_cut(o, rd->status), "try_read");
  lua_pushlstring(L, bytes, len);
  la_reader_take(rd);
  return 1;
}

/* try_read(max) */
int la_io_try_read(lua_State *L) {
  la_io_object *o = la_io_check(L);
  lua_Integer max = luaL_checkinteger(L, 2);
  luaL_argcheck(L, max >= 0, 2, "a count of bytes cannot be negative");
  la_runtime_check(L, "reading");
  if (o->reading != NULL) return la_fail(L, UV_EAGAIN, "try_read");
  if (la_io_is_closed(o)) return la_fail(L, la_io_closed_error(o), "try_read");
  la_reader *rd = la_io_check_reader(L, o);
  unsigned budget = 2;
  la_context cx = {&la_waker_noop, &budget};
  if (o->cls->stream->look != NULL) o->cls->stream->look(o->self);
  la_reader_some(rd, (size_t)max);
  if (la_future_poll(&rd->base, &cx) == LA_READY) return push_read(L, o, rd);
  la_future_drop(&rd->base);
  return la_fail(L, UV_EAGAIN, "try_read");
}

/* How many bytes, or a negative errno. */
static ssize_t put(la_io_object *o, const char *data, size_t len) {
  unsigned budget = 2;
  la_context cx = {&la_waker_noop, &budget};
  ssize_t n;
  const la_stream_class *cls = o->cls->stream;
  if (cls->try_write != NULL) return cls->try_write(o->self, data, len);
  if (cls->vt->poll_write(o->self, &cx, data, len, &n) == LA_READY) return n;
  size_t gone = cls->vt->forget_write(o->self);
  return gone > 0 ? (ssize_t)gone : UV_EAGAIN;
}

/* try_write(...) */
int la_io_try_write(lua_State *L) {
  la_io_object *o = la_io_check(L);
  int top = lua_gettop(L);
  for (int i = 2; i <= top; i++) luaL_checkstring(L, i);
  la_runtime_check(L, "writing");
  if (o->writing != NULL) return la_fail(L, UV_EAGAIN, "try_write");
  if (la_io_is_closed(o)) return la_fail(L, la_io_closed_error(o), "try_write");
  size_t len = 0, done = 0;
  if (top > 2) lua_concat(L, top - 1);
  const char *data = top > 1 ? lua_tolstring(L, 2, &len) : "";
  while (done < len) {
    ssize_t n = put(o, data + done, len - done);
    if (n < 0 && done == 0) return la_fail(L, la_io_cut(o, (int)n), "try_write");
    if (n < 0) break; /* what else there is comes back at the next write */
    done += (size_t)n;
  }
  lua_pushinteger(L, (lua_Integer)done);
  return 1;
}
