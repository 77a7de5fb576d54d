/* Unpacking: see parcel.h. */
#include <lauxlib.h>
#include <string.h>

#include "bridge/module.h"
#include "thread/l_lend.h"
#include "thread/l_parcel.h"

/* An object that is being filled, at `index` of the stack. */
typedef enum step { LIST, KEY, VALUE, METATABLE, UPVALUE } step;

typedef struct frame {
  int index;
  step step; /* what the value is that comes next */
  uint32_t i, n;
} frame;

typedef struct unpacker {
  lua_State *L;
  la_parcel *p;
  const char *at;
  int objects, frames_at; /* indices: the table of those met, and the memory of the frames */
  int taken;              /* the table of the handles that were moved, or 0 */
  uint32_t met;
  frame *frames;
  uint32_t depth, room;
} unpacker;

enum { FRAMES = 16 };

/* ---- bytes ------------------------------------------------------------------------*/

static void get(unpacker *k, void *to, size_t n) {
  memcpy(to, k->at, n);
  k->at += n;
}
static unsigned get_byte(unpacker *k) { return (unsigned char)*k->at++; }
static uint32_t get_number(unpacker *k) {
  uint32_t n;
  get(k, &n, sizeof n);
  return n;
}
static size_t get_size(unpacker *k) {
  size_t n;
  get(k, &n, sizeof n);
  return n;
}
static const char *get_string(unpacker *k, size_t *len) {
  *len = get_byte(k) == LA_TAG_SHORT ? get_byte(k) : get_size(k);
  const char *s = k->at;
  k->at += *len;
  return s;
}

/* ---- objects ----------------------------------------------------------------------*/

static void meet(unpacker *k) {
  k->met++;
  if (k->objects == 0) return;
  lua_pushvalue(k->L, -1);
  lua_rawseti(k->L, k->objects, k->met);
}

static void push_frame(unpacker *k, step first, uint32_t n) {
  luaL_checkstack(k->L, 6, "a message that is nested too deeply");
  if (k->depth == k->room) {
    frame *bigger = lua_newuserdatauv(k->L, 2 * k->room * sizeof *bigger, 0);
    memcpy(bigger, k->frames, k->depth * sizeof *bigger);
    lua_replace(k->L, k->frames_at);
    k->frames = bigger;
    k->room *= 2;
  }
  k->frames[k->depth++] = (frame){.index = lua_gettop(k->L), .step = first, .n = n};
}

static const char *read_dump(lua_State *L, void *data, size_t *len) {
  unpacker *k = data;
  (void)L;
  *len = get_size(k);
  const char *s = k->at;
  k->at += *len;
  return s;
}

static void begin_function(unpacker *k) {
  lua_State *L = k->L;
  if (lua_load(L, read_dump, k, "=?", "b") != LUA_OK) lua_error(L);
  meet(k);
  push_frame(k, UPVALUE, get_byte(k));
}

static void begin_table(unpacker *k) {
  uint32_t n = get_number(k), pairs = get_number(k);
  lua_createtable(k->L, (int)n, pairs < INT32_MAX ? (int)pairs : 0);
  meet(k);
  push_frame(k, LIST, n);
}

static void take(unpacker *k, uint32_t i) {
  la_parcel_handle *h = &k->p->handle[i];
  if (h->object == NULL) luaL_error(k->L, "this message was received already");
  h->cls->take(k->L, h->object);
  if (h->cls->gone == NULL) return;
  h->object = NULL;
  if (k->taken == 0) return;
  lua_pushvalue(k->L, -1);
  lua_rawseti(k->L, k->taken, i + 1); /* takes no memory */
}

static void push_handle(unpacker *k) {
  uint32_t i = get_number(k);
  if (k->taken == 0 || lua_rawgeti(k->L, k->taken, i + 1) == LUA_TNIL) {
    if (k->taken != 0) lua_pop(k->L, 1);
    take(k, i);
  }
  meet(k);
}

/* Pushes the next value. False: what is in it is still to come. */
static bool push_next(unpacker *k) {
  lua_State *L = k->L;
  lua_Integer i;
  lua_Number x;
  void *pointer;
  const char *s;
  la_loan *loan;
  size_t len;
  switch ((la_parcel_tag)get_byte(k)) {
  case LA_TAG_NIL: lua_pushnil(L); break;
  case LA_TAG_FALSE: lua_pushboolean(L, 0); break;
  case LA_TAG_TRUE: lua_pushboolean(L, 1); break;
  case LA_TAG_BYTE: lua_pushinteger(L, get_byte(k)); break;
  case LA_TAG_INTEGER:
    get(k, &i, sizeof i);
    lua_pushinteger(L, i);
    break;
  case LA_TAG_NUMBER:
    get(k, &x, sizeof x);
    lua_pushnumber(L, x);
    break;
  case LA_TAG_POINTER:
    get(k, &pointer, sizeof pointer);
    lua_pushlightuserdata(L, pointer);
    break;
  case LA_TAG_SHORT:
    len = get_byte(k);
    lua_pushlstring(L, k->at, len);
    k->at += len;
    break;
  case LA_TAG_STRING:
    len = get_size(k);
    lua_pushlstring(L, k->at, len);
    k->at += len;
    break;
  case LA_TAG_LENT:
    get(k, &loan, sizeof loan);
    la_lend_push(L, loan);
    break;
  case LA_TAG_AGAIN: lua_rawgeti(L, k->objects, get_number(k)); break;
  case LA_TAG_GLOBALS: lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); break;
  case LA_TAG_NAMED:
    s = get_string(k, &len);
    la_parcel_push_named(L, s, len);
    break;
  case LA_TAG_HANDLE: push_handle(k); break;
  case LA_TAG_TABLE: begin_table(k); return false;
  case LA_TAG_FUNCTION: begin_function(k); return false;
  default: break; /* the others are no values */
  }
  return true;
}

/* ---- filling them -----------------------------------------------------------------*/

/* The value that came for f is at the top. */
static void accept(unpacker *k, frame *f) {
  lua_State *L = k->L;
  switch (f->step) {
  case LIST: lua_rawseti(L, f->index, ++f->i); break;
  case KEY: f->step = VALUE; break;
  case VALUE:
    lua_rawset(L, f->index);
    f->step = KEY;
    break;
  case METATABLE:
    lua_setmetatable(L, f->index);
    f->n = 0;
    break;
  case UPVALUE: lua_setupvalue(L, f->index, (int)++f->i); break;
  }
}

static void join_upvalue(unpacker *k, frame *f) {
  k->at++;
  uint32_t function = get_number(k);
  lua_rawgeti(k->L, k->objects, function);
  lua_upvaluejoin(k->L, f->index, (int)++f->i, -1, (int)get_byte(k));
  lua_pop(k->L, 1);
}

/* Whether a value comes for f; reads what says so. */
static bool expects(unpacker *k, frame *f) {
  while (f->step == UPVALUE && f->i < f->n && *k->at == LA_TAG_JOIN) join_upvalue(k, f);
  if (f->step == UPVALUE || (f->step == LIST && f->i < f->n)) return f->i < f->n;
  if (f->step == METATABLE) return false;
  if (f->step == LIST) f->step = KEY;
  if (f->step == VALUE || (*k->at != LA_TAG_END && *k->at != LA_TAG_META)) return true;
  f->step = METATABLE;
  return get_byte(k) == LA_TAG_META;
}

/* What was pushed last is whole, or begun: goes on until a value is to be pushed. False: it was
** one of the values at the top, and is whole. */
static bool settle(unpacker *k, bool whole) {
  while (k->depth > 0) {
    frame *f = &k->frames[k->depth - 1];
    if (whole) accept(k, f);
    if (expects(k, f)) return true;
    k->depth--;
    whole = true;
  }
  return false;
}

static int unpack(lua_State *L, la_parcel *p, uint32_t n, int taken) {
  frame frames[FRAMES];
  unpacker k = {.L = L, .p = p, .at = p->data, .taken = taken, .frames = frames, .room = FRAMES};
  luaL_checkstack(L, (int)n + 8, "too many values in a message");
  if (p->handles > 0) { /* whose metatables are there once the module is */
    la_require(L, LA_MODULE, sizeof LA_MODULE - 1);
    lua_pop(L, 1);
    la_module_need(L, "thread");
  }
  lua_pushnil(L);
  k.frames_at = lua_gettop(L);
  if (p->shared) {
    lua_createtable(L, (int)p->objects, 0);
    k.objects = lua_gettop(L);
  }
  for (uint32_t i = 0; i < n; i++)
    while (settle(&k, push_next(&k))) continue;
  if (p->shared) lua_remove(L, k.objects);
  lua_remove(L, k.frames_at);
  return (int)n;
}

int la_parcel_unpack(lua_State *L, la_parcel *p) { return unpack(L, p, p->values, 0); }

int la_parcel_unpack_again(lua_State *L, la_parcel *p, int taken) {
  return unpack(L, p, p->values, taken);
}

int la_parcel_unpack_some(lua_State *L, la_parcel *p, uint32_t n) { return unpack(L, p, n, 0); }
