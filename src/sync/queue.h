/*
** queue.h - a future that waits in line: what all primitives here have in common.
**
** A primitive has one or more lists of these, in the order of arrival; nothing is allocated.
** It wakes the first (or all) by moving it to another state; the poll that follows sees that
** state. What was granted at the wake and not yet taken is the waiter's, and it is each
** primitive's drop that passes it on. Owner thread.
**
** The shape is tokio's and futures-intrusive's: the waiter is the list's node.
*/
#ifndef LA_SYNC_QUEUE_H
#define LA_SYNC_QUEUE_H

#include "core/kept_waker.h"
#include "core/list.h"
#include "lua_async.h"

typedef enum la_queued_state {
  LA_QUEUED_NEW,     /* not polled, or to look again */
  LA_QUEUED_WAITING, /* in line */
  LA_QUEUED_GRANTED, /* woken with what it waited for; not polled since */
  LA_QUEUED_REFUSED, /* woken without it: what it waited on was closed */
  LA_QUEUED_HELD,    /* its poll was ready; the output was not taken */
  LA_QUEUED_TAKEN    /* it was: a drop gives nothing back */
} la_queued_state;

typedef struct la_queued {
  la_future base;
  la_node node;
  la_kept_waker kept;
  unsigned state; /* la_queued_state */
  unsigned count; /* for the primitive */
} la_queued;

static inline la_queued *la_queued_of(la_future *f) { return la_container(f, la_queued, base); }

static inline void la_queued_init(la_queued *q, const la_future_vtable *vt, unsigned count) {
  *q = (la_queued){.base = {vt}, .state = LA_QUEUED_NEW, .count = count};
}

/* To the end of the line. */
static inline void la_queued_wait(la_queued *q, la_list *line, const la_context *cx) {
  q->state = LA_QUEUED_WAITING;
  la_list_push(line, &q->node);
  la_kept_set(&q->kept, cx);
}

/* Takes it out of the line, to be polled in this state. */
static inline void la_queued_wake(la_queued *q, la_queued_state state) {
  if (la_node_linked(&q->node)) la_node_unlink(&q->node);
  q->state = state;
  la_kept_wake(&q->kept);
}

/* Wakes all in line. */
static inline void la_queued_wake_all(la_list *line, la_queued_state state) {
  la_list all; /* one that waits again meanwhile is not of them */
  la_list_take(&all, line);
  while (!la_list_empty(&all)) la_queued_wake(la_container(all.head.next, la_queued, node), state);
}

/* The part of the drop that is the same for all: out of every list, and no wake any more. */
static inline void la_queued_leave(la_queued *q) {
  if (la_node_linked(&q->node)) la_node_unlink(&q->node);
  la_kept_drop(&q->kept);
}

/* ---- the lines of several receivers -------------------------------------------------*/

/* Who waits at one of the receivers of a primitive, which wakes those of all, or of one. */
typedef struct la_queued_line {
  la_node node; /* among the lines where somebody may wait */
  la_list line;
} la_queued_line;

static inline void la_queued_line_init(la_queued_line *l) {
  *l = (la_queued_line){0};
  la_list_init(&l->line);
}

/* As la_queued_wait. */
static inline void la_queued_line_wait(la_queued_line *l, la_list *lines, la_queued *q,
                                       const la_context *cx) {
  if (!la_node_linked(&l->node)) la_list_push(lines, &l->node);
  la_queued_wait(q, &l->line, cx);
}

/* Those of one, which is not among the lines any more. */
static inline void la_queued_line_wake(la_queued_line *l, la_queued_state state) {
  if (la_node_linked(&l->node)) la_node_unlink(&l->node);
  la_queued_wake_all(&l->line, state);
}

static inline void la_queued_lines_wake(la_list *lines, la_queued_state state) {
  la_list all;
  la_list_take(&all, lines);
  while (!la_list_empty(&all))
    la_queued_line_wake(la_container(all.head.next, la_queued_line, node), state);
}

#endif
