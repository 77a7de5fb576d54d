#include "driver/exit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "driver/loss.h"

static atomic_bool begun;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local la_list mine; /* reactors of this thread; all zero until there is one */

static void at_exit(void) {
  atomic_store(&begun, true);
  if (mine.head.next == NULL) return;
  for (la_node *n = mine.head.next; n != &mine.head; n = n->next) {
    la_reactor *r = la_container(n, la_reactor, at_exit);
    if (r->process != getpid()) continue;
    for (la_node *m = r->resources.head.next; m != &r->resources.head; m = m->next) {
      la_resource *resource = la_container(m, la_resource, node);
      if (resource->at_exit != NULL) resource->at_exit(resource);
    }
    if (r->losses != NULL && r->tell != NULL) r->tell(r);
    la_loss_print(la_loss_take(r));
  }
}

/* Destructors of libraries, libuv's among them, which waits for its pool, run after what atexit
** knows. */
static void expect(void) { (void)atexit(at_exit); }

void la_exit_enter(la_reactor *r) {
  pthread_once(&once, expect);
  if (mine.head.next == NULL) la_list_init(&mine);
  r->process = getpid();
  la_list_push(&mine, &r->at_exit);
}

void la_exit_leave(la_reactor *r) { la_node_unlink(&r->at_exit); }

bool la_exit_begun(void) { return atomic_load_explicit(&begun, memory_order_relaxed); }
