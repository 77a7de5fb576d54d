/*
** future_object.h - the Future that Lua sees: any awaitable, not yet begun.
**
** Made from a function and its arguments (a coroutine, or for an operation of the
** module the C future itself), from poll and drop functions, or from a C future of
** another module. Awaiting one that is new calls its function where the await
** stands, with no coroutine in between. User values: 1 the function (poll
** functions: poll, drop, and the context object), then the arguments.
*/
#ifndef LA_BRIDGE_FUTURE_OBJECT_H
#define LA_BRIDGE_FUTURE_OBJECT_H

#include "bridge/await.h"

#define LA_FUTURE_NAME "lua_async.Future"

typedef enum la_future_kind {
  LA_KIND_CALL,
  LA_KIND_OPERATION,
  LA_KIND_POLL_FN,
  LA_KIND_C
} la_future_kind;
typedef enum la_future_state {
  LA_FUTURE_NEW,
  LA_FUTURE_STARTED,
  LA_FUTURE_READY, /* its output was not taken yet */
  LA_FUTURE_OVER   /* taken, or dropped */
} la_future_state;

typedef struct la_future_object la_future_object;

struct la_future_object {
  la_future *f; /* STARTED and READY; for LA_KIND_C also NEW */
  la_finish finish;
  const la_operation *op;
  la_runtime *rt;             /* where it was started: it cannot be polled elsewhere */
  la_node started;            /* in rt->futures */
  la_node done;               /* READY, among the arms of a combination that is not */
  la_future_object **awaiter; /* where who awaits it keeps its address; NULL for nobody */
  int nargs;
  unsigned short depth;  /* of those that wait for one another below it, as it began to wait */
  unsigned short height; /* of those above it, as it was begun */
  unsigned char kind, state;
  bool polling; /* its poll is under way */
  la_room room;
};

/* Pops a function and `nargs` arguments, pushes the Future of the call. */
void la_future_object_call(lua_State *L, int nargs);

/* Pops a poll function and a drop function (or nil), pushes the Future. */
void la_future_object_poll_fn(lua_State *L);

/* The C face: see la_api. */
void la_api_push_future(lua_State *L, la_future *f, la_finish finish);

/* Polls the Future at index i of L; starts it when it is new. Raises when it is
** over already, and for want of memory. */
la_poll la_future_object_poll(lua_State *L, int i, la_context *cx);

/* For those who poll it without Lua. `prepare` raises as `poll` does, and when somebody
** awaits it; it is STARTED after it, or READY. Then the other two may be called. */
la_future_object *la_future_object_prepare(lua_State *L, int i);
la_poll la_future_object_poll_started(la_future_object *o, la_context *cx);
la_cancel la_future_object_cancel(la_future_object *o);

/* One that is READY: its output is an error. */
bool la_future_object_failed(const la_future_object *o);

/* Pushes the output of one that is READY and returns the number of values, or
** raises its error. It is over then. */
int la_future_object_take(lua_State *L, int i);

/* Gives it up; when it is READY and failed, other than by cancellation, its error is reported,
** as of the task `whose` (NULL: nobody's). */
void la_future_object_give_up(la_future_object *o, la_task *whose);

/* Gives it up; nothing when it is over. */
void la_future_object_drop(la_future_object *o);

/* The finaliser: drops it, and an awaiter that has not let go of it (its await raised, and
** the frame that kept the object alive is gone) is told. */
void la_future_object_collect(la_future_object *o);

/* Gives up all that were started in `rt`, as it ends, or those that nobody awaits: what they
** run would have nobody to end it (true: there was one). */
void la_future_objects_drop_all(la_runtime *rt);
bool la_future_objects_drop_left(la_runtime *rt);

/* The coroutine of a call that was started; NULL for another kind of Future. */
la_coro *la_future_object_coro(const la_future_object *o);

/* What somebody waits for who awaits `f`: of a Future object that is awaited, what that waits for.
** NULL: it runs, or has not begun. */
const la_future *la_future_beneath(const la_future *f);

/* Awaits the Future at index 1, the only value on L's stack: a tail call. */
int la_future_object_await(lua_State *L);

#endif
