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

void la_handle_close(la_handle *h) {
  if (h->state != LA_HANDLE_OPEN) return;
  h->state = LA_HANDLE_CLOSING;
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
