#include "bridge/runtime.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "bridge/compat.h"
#include "core/group.h"

LA_THREAD_LOCAL la_runtime *la_rt;
LA_THREAD_LOCAL void (*volatile la_resuming)(lua_State *co);
static LA_THREAD_LOCAL la_list runtimes;
static char owners_key, slots_key;
char la_thread_guard_key;

enum { SPARE_MAX = 1024 };

/* ---- slots --------------------------------------------------------------------*/

/* Room for one more free index is made when an index is handed out, so that giving
** one back cannot fail. Returns 0 when there is no memory. */
int la_slot_take(la_slots *s) {
  if (s->count > 0) return s->free[--s->count];
  if (s->used == s->size) {
    int size = s->size == 0 ? 64 : s->size * 2;
    int *p = realloc(s->free, (size_t)size * sizeof *p);
    if (p == NULL) return 0;
    s->free = p;
    s->size = size;
  }
  return ++s->used;
}

void la_slot_give(la_slots *s, int i) { s->free[s->count++] = i; }

/* ---- the store ----------------------------------------------------------------*/

/* Pops the value on top of L into entry i of a table. The entry is made on L, where a
** failed allocation raises; the store only lends the table. */
static void store_set(lua_State *L, la_runtime *rt, int table, int i) {
  lua_pushvalue(rt->store, table);
  lua_xmove(rt->store, L, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
}

/* ---- owners -------------------------------------------------------------------*/

int la_owner_add(lua_State *L, la_runtime *rt, int owners) {
  int slot = la_slot_take(rt->slots);
  if (slot == 0) luaL_error(L, "not enough memory");
  lua_rawseti(L, owners, slot);
  return slot;
}

/* One table for all runs of a state, so that the functions which spawn can have it as
** an upvalue. */
void la_owners_push(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &owners_key);
}

void la_store_clear(la_runtime *rt, int table, int i) {
  lua_pushnil(rt->store);
  lua_rawseti(rt->store, table, i); /* it exists already, or is not there: no memory is needed */
}

void la_owner_remove(la_runtime *rt, int slot) {
  la_store_clear(rt, LA_STORE_OWNERS, slot);
  la_slot_give(rt->slots, slot);
}

/* ---- threads ------------------------------------------------------------------*/

/* Called protected: makes a thread and anchors it. (rt, anchor) -> thread */
static int make_thread(lua_State *L) {
  lua_State *co = lua_newthread(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_thread_guard_key);
  lua_xmove(L, co, 1);
  lua_toclose(co, LA_THREAD_GUARD);
  lua_pushvalue(L, -1);
  store_set(L, lua_touserdata(L, 1), LA_STORE_THREADS, (int)lua_tointeger(L, 2));
  return 1;
}

static void let_go(la_runtime *rt, int anchor) {
  la_store_clear(rt, LA_STORE_THREADS, anchor);
  la_slot_give(&rt->anchors, anchor);
}

/* The thread of a task that has ended is dead for the program, which may have kept it
** (coroutine.running), and may have closed or resumed it. */
static bool untouched(lua_State *co) {
  return lua_status(co) == LUA_OK && lua_gettop(co) == LA_THREAD_GUARD;
}

lua_State *la_thread_take(la_runtime *rt, int *anchor) {
  while (rt->spare_count > 0) {
    la_spare_thread t = rt->spare[--rt->spare_count];
    *anchor = t.anchor;
    if (untouched(t.co)) {
      if (lua_gethook(t.co) != NULL) la_hook_clear(rt, t.co);
      return t.co;
    }
    let_go(rt, t.anchor);
  }
  lua_State *L = rt->running, *co = NULL;
  *anchor = la_slot_take(&rt->anchors);
  if (*anchor == 0) return NULL;
  lua_pushcfunction(L, make_thread);
  lua_pushlightuserdata(L, rt);
  lua_pushinteger(L, *anchor);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK)
    co = lua_tothread(L, -1);
  else
    la_slot_give(&rt->anchors, *anchor);
  lua_pop(L, 1);
  if (co != NULL && lua_gethook(co) != NULL) la_hook_clear(rt, co); /* it inherits some of one */
  return co;
}

int la_thread_close(lua_State *co, lua_State *from) {
  la_runtime *rt = la_rt;
  lua_State *closing = rt != NULL ? rt->closing : NULL;
  if (rt != NULL) rt->closing = co;
  int status = la_close_thread(co, from);
  if (rt != NULL) rt->closing = closing;
  return status;
}

void la_thread_give(la_runtime *rt, lua_State *co, int anchor, bool reusable) {
  if (reusable && rt->spare_count < rt->spare_size) {
    lua_settop(co, LA_THREAD_GUARD);
    rt->spare[rt->spare_count++] = (la_spare_thread){co, anchor};
    return;
  }
  let_go(rt, anchor);
}

/* ---- callbacks ------------------------------------------------------------------*/

lua_State *la_callback_begin(lua_State *L) {
  lua_State *outer = NULL;
  if (la_rt != NULL) {
    outer = la_rt->callback;
    la_rt->callback = L;
  }
  la_about_to_run(L);
  return outer;
}

/* A signal may have come as the function returned: what it has set there must not hit the calls
** of the runtime, which come next. */
void la_callback_end(lua_State *L, lua_State *outer) {
  if (la_rt == NULL) return;
  la_rt->callback = outer;
  if (la_resuming == NULL || la_rt->current != NULL || outer == L) return;
  lua_sethook(L, NULL, 0, 0);
  la_about_to_run(L);
}

/* ---- birth and end --------------------------------------------------------------*/

la_list *la_runtimes(void) {
  if (runtimes.head.next == NULL) la_list_init(&runtimes);
  return &runtimes;
}

/* Those of this state, for one user more. The userdata is never collected before the state. */
static la_slots *share_slots(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &slots_key) == LUA_TNIL) {
    lua_pop(L, 1);
    la_slots *made = lua_newuserdatauv(L, sizeof *made, 0);
    *made = (la_slots){0};
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &slots_key);
  }
  la_slots *s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  s->users++;
  return s;
}

static void leave_slots(la_slots *s) {
  if (s == NULL || --s->users > 0) return;
  free(s->free);
  *s = (la_slots){0};
}

static void push_store_value(lua_State *L, int i) {
  if (i == LA_STORE_OWNERS)
    la_owners_push(L);
  else if (i == LA_STORE_REST)
    lua_newthread(L);
  else if (i == LA_STORE_HOOK_KEY)
    lua_pushliteral(L, "_HOOKKEY");
  else
    lua_newtable(L);
}

void la_runtime_init(lua_State *L, la_runtime *rt) {
  /* First what cannot fail: la_runtime_free finds it consistent in any case. */
  rt->store_ref = LUA_NOREF;
  la_list_init(&rt->futures);
  la_list_push(la_runtimes(), &rt->living);
  la_runtime_enter(L, rt);
  luaL_checkstack(L, LUA_MINSTACK, "lua_async");
  la_hook_init(L, &rt->hook);
  rt->slots = share_slots(L);
  rt->spare = malloc(SPARE_MAX * sizeof *rt->spare);
  if (rt->spare == NULL) luaL_error(L, "not enough memory");
  rt->spare_size = SPARE_MAX;
  lua_State *store = lua_newthread(L);
  for (int i = LA_STORE_OWNERS; i <= LA_STORE_TOP; i++) {
    push_store_value(L, i);
    lua_xmove(L, store, 1);
  }
  rt->store_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  rt->store = store;
  rt->rest = lua_tothread(store, LA_STORE_REST);
}

void la_runtime_cancel_all(la_runtime *rt) {
  la_list *live = &rt->ex->live;
  for (la_node *n = live->head.next; n != &live->head; n = n->next) {
    la_task *t = la_container(n, la_task, live);
    if (!la_task_is_member(t)) la_task_cancel(t);
  }
}

void la_runtime_free(lua_State *L, la_runtime *rt) {
  if (la_node_linked(&rt->living)) la_node_unlink(&rt->living);
  luaL_unref(L, LUA_REGISTRYINDEX, rt->store_ref);
  leave_slots(rt->slots);
  free(rt->spare);
  free(rt->anchors.free);
  free(rt->places.names);
}

/* ---- enter and exit ---------------------------------------------------------------*/

void la_runtime_enter(lua_State *L, la_runtime *rt) {
  rt->L = rt->running = L;
  rt->entered = true;
  rt->outer = la_rt;
  la_rt = rt;
}

void la_runtime_exit(la_runtime *rt) {
  if (la_rt == rt) la_rt = rt->outer;
  rt->L = rt->running = rt->rest;
  rt->entered = false;
}

la_runtime *la_runtime_visit(la_runtime *rt) {
  la_runtime *before = la_rt;
  if (rt == before) return before;
  if (!rt->entered) rt->outer = before;
  la_rt = rt;
  return before;
}

/* ---- which runtime --------------------------------------------------------------*/

static lua_State *main_thread(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

la_runtime *la_runtime_of(lua_State *L) {
  la_runtime *rt = la_rt;
  if (rt == NULL || rt->running == L) return rt;
  lua_State *main = main_thread(L);
  while (rt != NULL && main_thread(rt->L) != main) rt = rt->outer;
  return rt;
}

la_runtime *la_runtime_check(lua_State *L, const char *what) {
  la_runtime *rt = la_runtime_of(L);
  if (rt == NULL)
    luaL_error(
        L,
        "%s was called outside a runtime: call it in a function given to async.run or loop:spawn",
        what);
  return rt;
}
