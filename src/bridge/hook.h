/*
** hook.h - debug hooks: the coroutines of a run have that of the main thread of their Lua state.
**
** A Lua thread that C makes inherits the C function of a hook, and not the Lua function, which
** debug.sethook keeps for each thread in the registry. So coverage and debuggers, which set a hook
** in the main thread, would pay for each task and see none. Each coroutine takes over the whole
** hook as it begins, and when it has changed; one that sets a hook of its own keeps that until
** then. While the code is being interrupted (kick.h), hooks are left alone.
*/
#ifndef LA_BRIDGE_HOOK_H
#define LA_BRIDGE_HOOK_H

#include <lua.h>

/* What a runtime knows of the hook of its main thread. */
typedef struct la_hook {
  lua_State *main;
  lua_Hook function; /* NULL: none */
  int mask, count;
  const void *called; /* the Lua function */
  unsigned version;   /* grows with each change; 0: there has been none */
} la_hook;

typedef struct la_runtime la_runtime;

void la_hook_init(lua_State *L, la_hook *h);

/* Whether no coroutine has to be looked at. */
static inline int la_hook_unused(const la_hook *h) {
  return h->version == 0 && lua_gethook(h->main) == NULL;
}

/* Before `co` is resumed, unless the hook is unused: it gets the hook, if that has another version
** than *version, which is 0 for a coroutine that has none. */
void la_hook_follow(la_runtime *rt, lua_State *co, unsigned *version);

/* Takes from a thread what hook it has. */
void la_hook_clear(la_runtime *rt, lua_State *co);

/* Outside of a runtime: gives `co` the hook of its main thread. May raise for want of memory. */
void la_hook_copy(lua_State *L, lua_State *co);

#endif
