#include "driver/handle.h"

void la_handle_init(la_handle *h, la_reactor *r, const la_handle_class *cls) {
  *h = (la_handle){.reactor = r, .cls = cls, .refs = 1};
  la_reactor_ref(r);
}

void la_handle_opened(la_handle *h) {
  h->cls->uv(h)->data = h;
  la_list_push(&h->reactor->handles, &h->node);
  h->state = LA_HANDLE_OPEN;
}

static void free_handle(la_handle *h) {
  la_reactor *r = h->reactor;
  h->cls->free(h);
  la_reactor_unref(r);
}

static void on_closed(uv_handle_t *uv) {
  la_handle *h = uv->data;
  h->state = LA_HANDLE_CLOSED;
  la_node_unlink(&h->node);
  if (h->refs == 0) free_handle(h);
}

static void tell_watchers(la_handle *h) {
  uv_os_fd_t fd;
  if (la_list_empty(&h->reactor->watched) || uv_fileno(h->cls->uv(h), &fd) != 0) return;
  la_reactor_closes(h->reactor, fd);
}

void la_handle_close(la_handle *h) {
  if (h->state != LA_HANDLE_OPEN) return;
  h->state = LA_HANDLE_CLOSING;
  tell_watchers(h);
  h->cls->closing(h);
  uv_close(h->cls->uv(h), on_closed);
}

void la_handle_unref(la_handle *h) {
  if (--h->refs > 0) return;
  if (h->state == LA_HANDLE_OPEN)
    la_handle_close(h);
  else if (h->state == LA_HANDLE_CLOSED)
    free_handle(h);
}
