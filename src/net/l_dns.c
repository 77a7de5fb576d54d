/* async.net's names: resolve and reverse. */
#include <string.h>

#include "net/dns.h"
#include "net/l_address.h"
#include "net/l_net.h"

static int option_family(lua_State *L) {
  static const char *const names[] = {"family", NULL};
  la_check_options(L, 2, names);
  if (lua_isnoneornil(L, 2) || lua_getfield(L, 2, "family") == LUA_TNIL) return AF_UNSPEC;
  const char *family = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  bool ipv4 = strcmp(family, "ipv4") == 0;
  luaL_argcheck(L, ipv4 || strcmp(family, "ipv6") == 0, 2,
                "option 'family' must be \"ipv4\" or \"ipv6\"");
  return ipv4 ? AF_INET : AF_INET6;
}

static int resolve_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *host = la_check_host(L, 1);
  int family = option_family(L);
  la_resolve *q = la_resolve_new(la_check_reactor(L, "net.resolve"), host, 0, family);
  if (q == NULL) return la_no_memory(L);
  *f = &q->op.base;
  return 0;
}

static int resolve_finish(lua_State *L, la_future *f) {
  const la_resolve *q = (const la_resolve *)(const void *)f;
  char text[LA_ADDRESS_TEXT];
  if (q->op.result != 0) return la_fail_name(L, q->op.result, "resolve", q->host);
  lua_createtable(L, (int)q->count, 0);
  for (size_t i = 0; i < q->count; i++) {
    la_address_text(&q->list[i], text);
    lua_pushstring(L, text);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static const la_operation resolve_operation = {"net.resolve", resolve_begin, resolve_finish};
static int net_resolve(lua_State *L) { return la_operate(L, &resolve_operation); }

static int reverse_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *host = la_check_host(L, 1);
  la_address a;
  if (la_address_lacks_scope(host)) return la_fail_name(L, UV_EAI_NONAME, "reverse", host);
  luaL_argcheck(L, la_address_parse(&a, host, 0), 1,
                "a numeric address expected (for the addresses of a name: net.resolve)");
  la_reverse *q = la_reverse_new(la_check_reactor(L, "net.reverse"), &a);
  if (q == NULL) return la_no_memory(L);
  *f = &q->op.base;
  return 0;
}

static int reverse_finish(lua_State *L, la_future *f) {
  const la_reverse *q = (const la_reverse *)(const void *)f;
  if (q->op.result != 0) return la_fail_name(L, q->op.result, "reverse", lua_tostring(L, 1));
  lua_pushstring(L, q->name);
  return 1;
}

static const la_operation reverse_operation = {"net.reverse", reverse_begin, reverse_finish};
static int net_reverse(lua_State *L) { return la_operate(L, &reverse_operation); }

void la_open_dns(lua_State *L) {
  static const luaL_Reg functions[] = {{"resolve", net_resolve},
                                       {"reverse", net_reverse},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_resolve, &resolve_operation},
                                                  {net_reverse, &reverse_operation},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
