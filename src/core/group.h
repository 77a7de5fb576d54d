/*
** group.h - futures that run side by side for one that waits for them.
**
** Each member is polled as a task of its own, so that a wake polls that member alone
** (what futures-rs' FuturesUnordered does with a waker for each), and wakes from other
** threads, budgets and turns are those of tasks. Unlike a task it has an owner, which
** waits until enough members are over, and which it does not outlive.
**
** A member that is cancelled is dropped at once, without another poll, so that what its
** future was about to be given goes to others; one whose future has to unwind (its
** `cancel` says so) is polled until it has. One thread, the executor's.
*/
#ifndef LA_CORE_GROUP_H
#define LA_CORE_GROUP_H

#include "core/executor.h"
#include "core/kept_waker.h"

typedef struct la_group la_group;
typedef struct la_member la_member;

typedef struct la_group_class {
  la_task_class task; /* LA_MEMBER(size of the struct that begins with la_member) */
  /* The member is over: `ready`, or cancelled before it was. True cancels the others. The
  ** future is still there. `m->group` is NULL when the group is gone. */
  bool (*over)(la_member *m, bool ready);
  /* After it, once: drops the future, or hands it on. */
  void (*release)(la_member *m);
} la_group_class;

struct la_member {
  la_future base;
  la_group *group; /* NULL once the group is gone, in the middle of this member's poll */
  const la_group_class *cls;
  la_future *f; /* what it runs */
  size_t index; /* 0, 1, 2, …: its maker's number for it */
  la_node node; /* in the group, while it is not over */
  bool ready, unwinding;
  bool told; /* that the group is cancelled */
};

struct la_group {
  la_executor *ex;
  const char *name; /* what async.dump calls it; static */
  la_task *owner;   /* who polled it last, a reference; NULL: nobody */
  la_list members;
  size_t count;  /* members that are not over */
  size_t enough; /* whoever waits is woken when so many are left */
  la_kept_waker waits;
  bool cancelled;
  bool *gone; /* set by la_group_drop: for la_group_cancel, which runs others' code */
};

#define LA_MEMBER(SIZE)                                                                            \
  { la_member_finished, true, SIZE }
void la_member_finished(la_task *t, bool dropped);

/* la_group_drop is its end, in any case. */
void la_group_init(la_group *g, la_executor *ex, const char *name);

/* Room for a member of this class, of which the caller fills in what is behind la_member.
** NULL: no memory. */
la_member *la_member_new(la_group *g, const la_group_class *cls, size_t index);

/* Gives back one that was not started. */
void la_member_discard(la_member *m);

/* Puts it into the group; it is polled in the next turn. */
void la_member_start(la_member *m, la_group *g, la_future *f);

/* Ready when at most `left` members are not over. Takes budget. */
la_poll la_group_poll(la_group *g, la_context *cx, size_t left);

/* The `cancel` of a future that waits for all members, and whose output is certain once it is
** `decided` or none is left. */
la_cancel la_group_cancel_waiting(la_group *g, bool decided);

/* Cancels all members. Those that need not unwind are over when it returns, but for one
** whose poll is under way. False: the group was dropped meanwhile, by what a drop function of
** Lua has collected. */
bool la_group_cancel(la_group *g);

/* Drops what is left, without unwinding. */
void la_group_drop(la_group *g);

static inline bool la_task_is_member(const la_task *t) {
  return t->cls->finished == la_member_finished;
}

/* Of a task that is a member; NULL when it is gone. */
static inline la_group *la_task_group(const la_task *t) {
  return ((const la_member *)(const void *)(t + 1))->group;
}

/* Who waits for the group that a member is of; NULL: nobody does. */
static inline la_task *la_member_owner(const la_task *t) {
  const la_group *g = la_task_group(t);
  la_task *owner = g != NULL ? g->owner : NULL;
  return owner != NULL && !la_task_has(owner, LA_TASK_COMPLETE) ? owner : NULL;
}

/* The task, no member itself, for which `t` runs in the end: `t` or the owner of its owner of
** its …; NULL: nobody waits for it. Groups that are polled by hand may be each other's owners:
** NULL, too. */
la_task *la_task_for_whom(la_task *t);

#endif
