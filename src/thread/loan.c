#include "thread/loan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "thread/seat.h"

struct la_lender {
  pthread_mutex_t mutex;
  pthread_cond_t read; /* nobody reads any more, and it is closed */
  la_list out;
  la_loan *back;
  size_t readers;
  bool closed;
  atomic_uint refs; /* the lender's thread, and what is out */
};

la_lender *la_lender_new(void) {
  la_lender *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  la_list_init(&l->out);
  atomic_init(&l->refs, 1);
  if (pthread_cond_init(&l->read, NULL) == 0) {
    if (la_seat_mutex_init(&l->mutex)) return l;
    pthread_cond_destroy(&l->read);
  }
  free(l);
  return NULL;
}

static void unref(la_lender *l) {
  if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) return;
  pthread_mutex_destroy(&l->mutex);
  pthread_cond_destroy(&l->read);
  free(l);
}

la_loan *la_lender_lend(la_lender *l, const char *bytes, size_t len) {
  la_loan *loan = l->closed ? NULL : malloc(sizeof *loan);
  if (loan == NULL) return NULL;
  *loan = (la_loan){.lender = l, .bytes = bytes, .len = len};
  pthread_mutex_lock(&l->mutex);
  la_list_push(&l->out, &loan->node);
  pthread_mutex_unlock(&l->mutex);
  atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
  return loan;
}

la_loan *la_lender_fetch(la_lender *l) {
  pthread_mutex_lock(&l->mutex);
  la_loan *back = l->back;
  l->back = NULL;
  pthread_mutex_unlock(&l->mutex);
  return back;
}

bool la_lender_waits(la_lender *l) {
  pthread_mutex_lock(&l->mutex);
  bool waits = l->back != NULL || !la_list_empty(&l->out);
  pthread_mutex_unlock(&l->mutex);
  return waits;
}

static void copy(la_loan *loan) {
  char *own = malloc(loan->len);
  if (own != NULL) memcpy(own, loan->bytes, loan->len);
  loan->bytes = own;
  loan->copied = true;
}

void la_lender_close(la_lender *l) {
  pthread_mutex_lock(&l->mutex);
  l->closed = true;
  for (la_node *n = l->out.head.next; n != &l->out.head; n = n->next)
    copy(la_container(n, la_loan, node));
  while (l->readers > 0) pthread_cond_wait(&l->read, &l->mutex);
  la_loan *back = l->back;
  l->back = NULL;
  pthread_mutex_unlock(&l->mutex);
  for (la_loan *next; back != NULL; back = next) {
    next = back->next;
    free(back);
  }
  unref(l);
}

const char *la_loan_begin(la_loan *loan) {
  la_lender *l = loan->lender;
  pthread_mutex_lock(&l->mutex);
  const char *bytes = loan->bytes;
  l->readers++;
  pthread_mutex_unlock(&l->mutex);
  return bytes;
}

void la_loan_end(la_loan *loan) {
  la_lender *l = loan->lender;
  pthread_mutex_lock(&l->mutex);
  if (--l->readers == 0 && l->closed) pthread_cond_signal(&l->read);
  pthread_mutex_unlock(&l->mutex);
}

void la_loan_return(la_loan *loan) {
  la_lender *l = loan->lender;
  pthread_mutex_lock(&l->mutex);
  la_node_unlink(&loan->node);
  bool closed = l->closed;
  if (!closed) {
    loan->next = l->back;
    l->back = loan;
  }
  pthread_mutex_unlock(&l->mutex);
  if (closed) {
    if (loan->copied) free((char *)loan->bytes);
    free(loan);
  }
  unref(l);
}
