#include "thread/l_reports.h"

#include <lauxlib.h>
#include <string.h>

#include "bridge/lib.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "task/l_kick.h"
#include "thread/l_call.h"
#include "thread/l_parcel.h"
#include "thread/seat.h"

static LA_THREAD_LOCAL la_reports *current;
static char kept_key; /* registry: the handler of a state that nothing has worked in */

void la_reports_init(la_reports *r) {
  *r = (la_reports){.last = &r->first};
  pthread_mutex_init(&r->mutex, NULL);
}

static void drop_letters(la_letter *l) {
  while (l != NULL) {
    la_letter *next = l->next;
    la_letter_unref(l);
    l = next;
  }
}

void la_reports_end(la_reports *r) {
  drop_letters(r->first);
  pthread_mutex_destroy(&r->mutex);
}

void la_reports_begin(la_reports *r) { current = r; }

static la_waker waker_out(la_waker *from) {
  la_waker w = *from;
  *from = (la_waker){0};
  return w;
}

/* ---- on the thread ----------------------------------------------------------------*/

static bool is_interruption(lua_State *L, int i) {
  return la_kick_wanted() && lua_type(L, i) == LUA_TSTRING &&
         strstr(lua_tostring(L, i), LA_KICK_MESSAGE) != NULL;
}

/* False: nobody will look at it. */
static bool post(la_reports *r, la_letter *l) {
  la_waker parent = {0};
  pthread_mutex_lock(&r->mutex);
  bool orphan = r->orphan;
  if (!orphan) {
    *r->last = l;
    r->last = &l->next;
    parent = waker_out(&r->parent);
  }
  pthread_mutex_unlock(&r->mutex);
  la_seat_wake(parent);
  return !orphan;
}

/* On stderr. */
static void report_here(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  lua_insert(L, 1);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  la_report_failure(L);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
}

/* (error, traceback, Task) */
static int forward(lua_State *L) {
  lua_settop(L, 3);
  if (is_interruption(L, 1)) return 0;
  if (current != NULL) {
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    la_thread_join_error(L);
    la_parcel *p = la_thread_pack_error(L);
    if (p == NULL) return la_no_memory(L);
    if (post(current, &p->letter)) return 0;
    la_parcel_drop(p);
  }
  report_here(L);
  return 0;
}

void la_reports_open(lua_State *L) {
  lua_pushcfunction(L, forward);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
}

void la_reports_keep(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
}

void la_reports_renew(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
}

/* ---- where it comes from ----------------------------------------------------------*/

/* (la_letter, la_runtime): reports an error that is in a parcel. */
static int report(lua_State *L) {
  la_runtime *rt = lua_touserdata(L, 2);
  la_thread_push_error(L, la_parcel_of(lua_touserdata(L, 1)));
  la_task_object_push_current(L, rt);
  la_report_failure(L);
  return 0;
}

static void report_all(la_runtime *rt, la_letter *first) {
  if (first == NULL) return;
  lua_State *L = rt->running;
  for (la_letter *l = first; l != NULL && lua_checkstack(L, LUA_MINSTACK); l = l->next) {
    lua_pushcfunction(L, report);
    lua_pushlightuserdata(L, l);
    lua_pushlightuserdata(L, rt);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
  drop_letters(first);
}

/* Takes the waker out, and puts in the one that is there; reports what has come. */
static void look(la_reports *r, la_runtime *rt, la_waker waker, bool last) {
  pthread_mutex_lock(&r->mutex);
  la_waker old = r->parent;
  la_letter *first = r->first;
  r->parent = waker;
  r->first = NULL;
  r->last = &r->first;
  r->orphan = last;
  pthread_mutex_unlock(&r->mutex);
  la_seat_forget(old);
  report_all(rt, first);
}

void la_reports_poll(la_reports *r, la_runtime *rt, const la_context *cx) {
  la_waker waker = la_seat_keep(cx->waker);
  look(r, rt, waker, false);
}

void la_reports_close(la_reports *r, la_runtime *rt) {
  la_waker none = {0};
  look(r, rt, none, true);
}
