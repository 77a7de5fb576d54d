/*
** combine.h - awaitables of Lua as the members of a group: join and select.
**
** Each arm is a Future or a Task; a function has been made a Future. A join is over when
** all are, or one has failed, and the others have unwound; a select when one is ready,
** likewise. Arms that lose are dropped: a Future for good, while a Task is no longer
** waited for and runs on.
*/
#ifndef LA_BRIDGE_COMBINE_H
#define LA_BRIDGE_COMBINE_H

#include "bridge/await.h"
#include "core/group.h"

typedef struct la_combined {
  la_future base;
  la_group group;
  lua_Integer count; /* arms */
  lua_Integer first; /* the arm that decided: a select's winner, a join's failure; 0: none */
  la_list done;      /* Futures that are ready: given up with the combination */
  bool select;
} la_combined;

/* Pushes a userdata with a combination of the `count` arms in the table at index `arms`
** (1, 2, 3, …) and starts them, a select's from a random one on. Raises, having given up
** what was started, when an arm cannot be awaited. */
la_combined *la_combine(lua_State *L, int arms, lua_Integer count, bool select);

/* What a member of a group does: an arm, or a future of a combination in C. */
typedef struct la_arm_info {
  const la_future *waits_for; /* a Task's join, a C future; NULL when it is a coroutine */
  const la_coro *coro;        /* of a function; NULL for another arm */
} la_arm_info;
la_arm_info la_arm_of(la_task *member);

/* It is ready: drops it, as the inner future of the coroutine that runs, but for the Futures whose
** outputs are to be taken. */
void la_combined_finish(la_combined *all);

/* Pushes the output of arm `i` of the table at index `arms`, or raises its error. */
int la_combined_take(lua_State *L, int arms, lua_Integer i);

/* Gives up the arms but the first, once the combination is ready. */
void la_combined_drop_losers(lua_State *L, int arms, const la_combined *all);

#endif
