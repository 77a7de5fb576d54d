/* Packing: see parcel.h. Nothing in here raises while C memory is held. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thread/l_lend.h"
#include "thread/l_parcel.h"
#include "thread/met.h"

enum { FRAMES_INLINE = 16, PLACE_MAX = 160, REASON_MAX = 120 };

/* ---- the packer -------------------------------------------------------------------*/

/* What is being packed of an object, which stands at `index` of the stack. */
typedef enum step { LIST, NEXT, KEY, METATABLE, UPVALUE, DONE } step;

typedef struct frame {
  int index;
  step step;        /* what comes next */
  step at;          /* what the object above it is, for the place in errors */
  lua_Integer i, n; /* of the list, or of the upvalues; n of a list is the most, until it ends */
  uint32_t number;  /* a function's */
  uint32_t pairs;   /* a table's, so far */
  size_t sizes;     /* where those are said */
} frame;

typedef struct packer {
  lua_State *L;
  la_parcel *p;
  int names;  /* index of the table of la_parcel_push_names; 0: nothing here can have a name */
  int held;   /* index of a table with room for the userdata that are sent; 0: none */
  bool fresh; /* the names were made just now */
  bool lends;
  const void *globals;
  la_met met;
  frame *frames;
  uint32_t depth, room;
  char place[PLACE_MAX], reason[REASON_MAX]; /* of an error; set by try_pack */
  frame own[FRAMES_INLINE];
} packer;

static void begin(packer *k, lua_State *L, bool fresh) {
  k->L = L;
  k->fresh = fresh;
  k->depth = 0;
  k->frames = k->own;
  k->room = FRAMES_INLINE;
  k->place[0] = k->reason[0] = '\0';
  la_met_init(&k->met);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  k->globals = lua_topointer(L, -1);
  lua_pop(L, 1);
}

static bool refuse(packer *k, const char *reason) {
  snprintf(k->reason, REASON_MAX, "%s", reason);
  return false;
}
static bool no_memory(packer *k) { return refuse(k, "not enough memory"); }

/* ---- bytes ------------------------------------------------------------------------*/

static bool grow(packer *k, size_t n) {
  la_parcel *p = k->p;
  size_t size = p->size * 2 > p->len + n ? p->size * 2 : p->len + n;
  la_parcel *bigger = realloc(p, sizeof *p + size);
  if (bigger == NULL) return no_memory(k);
  bigger->size = size;
  k->p = bigger;
  return true;
}

static inline bool room_for(packer *k, size_t n) {
  return n <= k->p->size - k->p->len || grow(k, n);
}

static inline bool put(packer *k, const void *bytes, size_t n) {
  if (!room_for(k, n)) return false;
  memcpy(k->p->data + k->p->len, bytes, n);
  k->p->len += n;
  return true;
}

static bool put_byte(packer *k, unsigned byte) {
  unsigned char c = (unsigned char)byte;
  return put(k, &c, 1);
}

static inline bool put_tagged(packer *k, la_parcel_tag tag, const void *bytes, size_t n) {
  if (!room_for(k, n + 1)) return false;
  char *to = k->p->data + k->p->len;
  to[0] = (char)tag;
  memcpy(to + 1, bytes, n);
  k->p->len += n + 1;
  return true;
}

/* Whether it is lent; *ok: whether there was memory for that it is. */
static bool put_lent(packer *k, int i, bool *ok) {
  la_loan *loan = lua_checkstack(k->L, 4) ? la_lend(k->L, i) : NULL;
  if (loan == NULL) return false;
  loan->next = k->p->loans;
  k->p->loans = loan;
  *ok = put_tagged(k, LA_TAG_LENT, &loan, sizeof loan);
  return true;
}

static bool put_string(packer *k, int i) {
  size_t len;
  const char *s = lua_tolstring(k->L, i, &len);
  bool ok;
  if (k->lends && len >= LA_LEND_MIN && put_lent(k, i, &ok)) return ok;
  unsigned char byte = (unsigned char)len;
  if (byte != len) return put_tagged(k, LA_TAG_STRING, &len, sizeof len) && put(k, s, len);
  return put_tagged(k, LA_TAG_SHORT, &byte, 1) && put(k, s, len);
}

static bool put_number(packer *k) {
  if (!lua_isinteger(k->L, -1)) {
    lua_Number n = lua_tonumber(k->L, -1);
    return put_tagged(k, LA_TAG_NUMBER, &n, sizeof n);
  }
  lua_Integer i = lua_tointeger(k->L, -1);
  unsigned char byte = (unsigned char)i;
  if (byte == i) return put_tagged(k, LA_TAG_BYTE, &byte, 1);
  return put_tagged(k, LA_TAG_INTEGER, &i, sizeof i);
}

/* ---- objects ----------------------------------------------------------------------*/

static frame *push_frame(packer *k, step first) {
  if (!lua_checkstack(k->L, 6)) {
    refuse(k, "it is nested too deeply");
    return NULL;
  }
  if (k->depth == k->room) {
    bool own = k->frames == k->own;
    frame *bigger = realloc(own ? NULL : k->frames, 2 * k->room * sizeof *bigger);
    if (bigger == NULL) {
      no_memory(k);
      return NULL;
    }
    if (own) memcpy(bigger, k->own, sizeof k->own);
    k->frames = bigger;
    k->room *= 2;
  }
  frame *f = &k->frames[k->depth++];
  *f = (frame){.index = lua_gettop(k->L), .step = first};
  return f;
}

/* Its sizes are written when it is whole. */
static bool begin_table(packer *k) {
  static const uint32_t sizes[2];
  frame *f = push_frame(k, LIST);
  if (f == NULL) return false;
  f->n = INT32_MAX;
  f->sizes = k->p->len + 1;
  return put_tagged(k, LA_TAG_TABLE, sizes, sizeof sizes);
}

static int write_dump(lua_State *L, const void *bytes, size_t n, void *k) {
  (void)L;
  return put(k, bytes, n) ? 0 : 1;
}

static bool begin_function(packer *k, uint32_t number) {
  lua_State *L = k->L;
  lua_Debug about;
  frame *f = push_frame(k, UPVALUE);
  size_t len = 0;
  if (f == NULL || !put_tagged(k, LA_TAG_FUNCTION, &len, sizeof len)) return false;
  size_t begin = k->p->len;
  if (lua_dump(L, write_dump, k, 0) != 0) return false;
  len = k->p->len - begin;
  memcpy(k->p->data + begin - sizeof len, &len, sizeof len);
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">u", &about);
  f->n = about.nups;
  f->number = number;
  return put_byte(k, about.nups);
}

/* Functions, and metatables, which are classes: one that has not been looked for may have come into
** a module after that was loaded. Other tables are data, and come by the thousand. */
static bool may_have_name(const packer *k, int type) {
  return type != LUA_TTABLE || (k->depth > 0 && k->frames[k->depth - 1].at == METATABLE);
}

/* False, too, when the names have to be made again for this object. */
static bool put_name(packer *k, int type, bool *found) {
  lua_State *L = k->L;
  la_parcel_push_name(L, k->names);
  *found = lua_isstring(L, -1);
  bool unknown = lua_isnil(L, -1) && may_have_name(k, type);
  bool ok = *found ? put_byte(k, LA_TAG_NAMED) && put_string(k, -1) : !unknown || k->fresh;
  lua_pop(L, 1);
  if (unknown && k->fresh) la_parcel_set_nameless(L, k->names);
  return ok;
}

static bool put_handle(packer *k, const la_sendable *cls) {
  la_parcel *p = k->p;
  la_parcel_handle *bigger = realloc(p->handle, (p->handles + 1) * sizeof *bigger);
  if (bigger == NULL) return no_memory(k);
  p->handle = bigger;
  bigger[p->handles] = (la_parcel_handle){cls, lua_touserdata(k->L, -1), NULL};
  p->moves = p->moves || cls->gone != NULL;
  uint32_t number = p->handles; /* p may move */
  if (!put_tagged(k, LA_TAG_HANDLE, &number, sizeof number)) return false;
  k->p->handles++;
  if (k->held == 0) return true;
  lua_pushvalue(k->L, -1);
  lua_rawseti(k->L, k->held, number + 1); /* takes no memory */
  return true;
}

/* Userdata that say nothing of it, and functions. */
static bool may_be_copied(packer *k, int type) {
  lua_State *L = k->L;
  if (type == LUA_TFUNCTION)
    return !lua_iscfunction(L, -1) ||
           refuse(k, "a C function that is in no module cannot be sent to another thread");
  int named = luaL_getmetafield(L, -1, "__name");
  snprintf(k->reason, REASON_MAX, "a %s cannot be sent to another thread",
           named == LUA_TSTRING ? lua_tostring(L, -1) : "userdata");
  if (named != LUA_TNIL) lua_pop(L, 1);
  return false;
}

/* The table at the top has a metatable that is not to be copied. */
static bool has_finaliser(lua_State *L) {
  if (!lua_getmetatable(L, -1)) return false;
  lua_pushliteral(L, "__gc");
  bool has = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return has;
}

static bool begin_object(packer *k, int type) {
  lua_State *L = k->L;
  const void *object = lua_topointer(L, -1);
  if (object == k->globals) return put_byte(k, LA_TAG_GLOBALS);
  la_met_entry *e = la_met_enter(&k->met, object);
  if (e == NULL) return no_memory(k);
  if (e->object != NULL) {
    k->p->shared = true;
    return put_tagged(k, LA_TAG_AGAIN, &e->number, sizeof e->number);
  }
  const la_sendable *cls = type == LUA_TUSERDATA ? la_sendable_of(L) : NULL;
  bool named = false;
  if (cls == NULL && !put_name(k, type, &named)) return false;
  if (named) return true;
  if (type != LUA_TTABLE && cls == NULL && !may_be_copied(k, type)) return false;
  if (type == LUA_TTABLE && has_finaliser(L))
    return refuse(k, "a table with a finalizer (__gc) cannot be sent to another thread");
  uint32_t number = ++k->p->objects;
  la_met_set(&k->met, e, object, number, 0);
  if (cls != NULL) return put_handle(k, cls);
  return type == LUA_TTABLE ? begin_table(k) : begin_function(k, number);
}

/* Packs the value at the top, or begins to. */
static bool pack(packer *k) {
  lua_State *L = k->L;
  int type = lua_type(L, -1);
  void *pointer;
  switch (type) {
  case LUA_TNIL: return put_byte(k, LA_TAG_NIL);
  case LUA_TBOOLEAN: return put_byte(k, lua_toboolean(L, -1) ? LA_TAG_TRUE : LA_TAG_FALSE);
  case LUA_TNUMBER: return put_number(k);
  case LUA_TSTRING: return put_string(k, -1);
  case LUA_TLIGHTUSERDATA:
    pointer = lua_touserdata(L, -1);
    return put_tagged(k, LA_TAG_POINTER, &pointer, sizeof pointer);
  case LUA_TTHREAD: return refuse(k, "a coroutine cannot be sent to another thread");
  default: return begin_object(k, type);
  }
}

/* ---- one step of what was begun ---------------------------------------------------*/

/* Packs the value at the top, which goes unless it was begun; its frame takes it off then. */
static bool pack_and_pop(packer *k) {
  uint32_t depth = k->depth;
  if (!pack(k)) return false;
  if (k->depth == depth) lua_pop(k->L, 1);
  return true;
}

static bool in_list(const frame *f, lua_State *L, int key) {
  if (!lua_isinteger(L, key)) return false;
  lua_Integer i = lua_tointeger(L, key);
  return i >= 1 && i <= f->n;
}

/* The key is at the top, or nil at first: the next one that is not of the list, and its value. */
static bool next_pair(const frame *f, lua_State *L) {
  do {
    if (lua_gettop(L) == f->index + 2) lua_pop(L, 1);
    if (!lua_next(L, f->index)) return false;
  } while (in_list(f, L, -2));
  return true;
}

static void write_sizes(packer *k, const frame *f) {
  uint32_t sizes[2] = {(uint32_t)f->n, f->pairs};
  memcpy(k->p->data + f->sizes, sizes, sizeof sizes);
}

/* The list ends with the first nil, wherever the border is that `#` finds: that may be far away. */
static bool step_table(packer *k, frame *f) {
  lua_State *L = k->L;
  f->at = f->step;
  switch (f->step) {
  case LIST:
    for (uint32_t depth = k->depth; f->i < f->n;) {
      if (lua_rawgeti(L, f->index, ++f->i) == LUA_TNIL) {
        f->n = f->i - 1;
        lua_pop(L, 1);
        break;
      }
      if (!pack_and_pop(k)) return false;
      if (k->depth != depth) return true;
    }
    f->step = NEXT;
    lua_pushnil(L);
    return true;
  case NEXT:
    f->step = KEY;
    if (next_pair(f, L)) {
      lua_pushvalue(L, -2);
      return pack_and_pop(k);
    }
    f->step = DONE;
    write_sizes(k, f);
    if (!lua_getmetatable(L, f->index)) return put_byte(k, LA_TAG_END);
    f->at = METATABLE;
    return put_byte(k, LA_TAG_META) && pack_and_pop(k);
  default: /* KEY: its value is at the top */
    f->step = NEXT;
    f->pairs++;
    return pack_and_pop(k);
  }
}

static bool step_function(packer *k, frame *f) {
  lua_State *L = k->L;
  if (f->i == f->n) {
    f->step = DONE;
    return true;
  }
  int i = (int)++f->i;
  const void *id = lua_upvalueid(L, f->index, i);
  la_met_entry *e = la_met_enter(&k->met, id);
  if (e == NULL) return no_memory(k);
  if (e->object != NULL) {
    k->p->shared = true;
    return put_tagged(k, LA_TAG_JOIN, &e->number, sizeof e->number) && put_byte(k, e->upvalue);
  }
  la_met_set(&k->met, e, id, f->number, (uint32_t)i);
  f->at = UPVALUE;
  lua_getupvalue(L, f->index, i);
  return pack_and_pop(k);
}

static bool finish_objects(packer *k) {
  while (k->depth > 0) {
    frame *f = &k->frames[k->depth - 1];
    bool function = f->step == UPVALUE;
    if (f->step == DONE) {
      lua_settop(k->L, f->index - 1);
      k->depth--;
    } else if (!(function ? step_function(k, f) : step_table(k, f))) {
      return false;
    }
  }
  return true;
}

/* ---- errors -----------------------------------------------------------------------*/

static void place_key(packer *k, const frame *f, char *out, size_t size) {
  lua_State *L = k->L;
  int key = f->index + 1;
  if (f->at == METATABLE)
    snprintf(out, size, "'s metatable");
  else if (f->at == LIST)
    snprintf(out, size, "[%lld]", (long long)f->i);
  else if (f->at == UPVALUE) {
    snprintf(out, size, "'s upvalue '%s'", lua_getupvalue(L, f->index, (int)f->i));
    lua_pop(L, 1);
  } else if (f->at == NEXT)
    snprintf(out, size, ", a key");
  else if (lua_type(L, key) == LUA_TSTRING)
    snprintf(out, size, ".%s", lua_tostring(L, key));
  else if (lua_isinteger(L, key))
    snprintf(out, size, "[%lld]", (long long)lua_tointeger(L, key));
  else if (lua_isboolean(L, key))
    snprintf(out, size, "[%s]", lua_toboolean(L, key) ? "true" : "false");
  else
    snprintf(out, size, "[%s]", luaL_typename(L, key));
}

/* Where in the value the packer stands. */
static void find_place(packer *k) {
  size_t len = 0;
  lua_checkstack(k->L, 2);
  for (uint32_t i = 0; i < k->depth && len < PLACE_MAX - 1; i++) {
    place_key(k, &k->frames[i], k->place + len, PLACE_MAX - len);
    len += strlen(k->place + len);
  }
}

/* ---- parcels ----------------------------------------------------------------------*/

/* NULL: it is refused; `which` says at what value. */
static la_parcel *try_pack(packer *k, int first, int n, int *which) {
  int top = lua_gettop(k->L);
  k->p = la_parcel_new();
  bool ok = k->p != NULL || no_memory(k);
  for (*which = 0; ok && *which < n; ++*which) {
    lua_pushvalue(k->L, first + *which);
    ok = pack_and_pop(k) && finish_objects(k);
  }
  if (ok)
    k->p->values = (uint32_t)n;
  else
    find_place(k);
  if (!ok) la_parcel_drop(k->p);
  la_met_end(&k->met);
  if (k->frames != k->own) free(k->frames);
  lua_settop(k->L, top);
  return ok ? k->p : NULL;
}

static void refused(lua_State *L, const packer *k, const char *what, int which, int n) {
  if (strcmp(k->reason, "not enough memory") == 0)
    luaL_error(L, "not enough memory");
  else if (n == 1)
    luaL_error(L, "%s%s: %s", what, k->place, k->reason);
  else
    luaL_error(L, "%s %d%s: %s", what, which, k->place, k->reason);
}

static bool have_objects(lua_State *L, int first, int n) {
  for (int i = first; i < first + n; i++)
    if (lua_istable(L, i) || lua_isfunction(L, i) || lua_type(L, i) == LUA_TUSERDATA) return true;
  return false;
}

/* `held`: see packer; it has to be above the values. */
static la_parcel *pack_all(lua_State *L, int first, int n, const char *what, bool lends, int held) {
  packer k; /* large: begin fills in what has to be */
  int which, top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  bool named = have_objects(L, first, n), kept = named && la_parcel_push_names(L, false);
  k.names = named ? top + 1 : 0;
  k.held = held;
  k.lends = lends;
  begin(&k, L, !kept);
  la_parcel *p = try_pack(&k, first, n, &which);
  if (p == NULL && kept) { /* something in it may be new in a module */
    la_parcel_push_names(L, true);
    lua_replace(L, top + 1);
    begin(&k, L, true);
    p = try_pack(&k, first, n, &which);
  }
  lua_settop(L, top);
  if (p == NULL) refused(L, &k, what, which, n);
  return p;
}

la_parcel *la_parcel_pack(lua_State *L, int first, int n, const char *what) {
  return pack_all(L, first, n, what, true, 0);
}

la_parcel *la_parcel_pack_whole(lua_State *L, int first, int n, const char *what) {
  return pack_all(L, first, n, what, false, 0);
}

la_parcel *la_parcel_pack_held(lua_State *L, int first, int n, const char *what,
                               la_parcel *unsealed) {
  if (unsealed->handles == 0 || unsealed->handle[0].ud == NULL) return unsealed;
  lua_Integer handles = unsealed->handles;
  la_parcel_drop(unsealed);
  lua_createtable(L, (int)handles, 0);
  return pack_all(L, first, n, what, true, lua_gettop(L));
}
