/* For spec/faults: children that stop until a tracer has come, whose count of system calls begins
** there; and waiting for them with a limit. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* fork(): 0 in the child, which leads a group of its own; its pid in the parent. */
static int tracee_fork(lua_State *L) {
  pid_t pid = fork();
  if (pid < 0) return luaL_error(L, "fork failed: %d", errno);
  if (pid == 0) {
    struct rlimit none = {0, 0}; /* of core dumps */
    setrlimit(RLIMIT_CORE, &none);
    setpgid(0, 0);
  }
  lua_pushinteger(L, pid);
  return 1;
}

/* stop(): until go_on. */
static int tracee_stop(lua_State *L) {
  (void)L;
  raise(SIGSTOP);
  return 0;
}

/* stopped(pid): waits until it is. */
static int tracee_stopped(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  int status;
  if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
    return luaL_error(L, "the child did not stop");
  return 0;
}

/* standard(): pipes as descriptors 0 and 1; their other ends, to write and to read. */
static int tracee_standard(lua_State *L) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || dup2(in[0], 0) != 0 ||
      dup2(out[1], 1) != 1)
    return luaL_error(L, "no pipes: %d", errno);
  close(in[0]);
  close(out[1]);
  lua_pushinteger(L, in[1]);
  lua_pushinteger(L, out[0]);
  return 2;
}

/* dup(fd): another descriptor of the same, or nil when that fails. */
static int tracee_dup(lua_State *L) {
  int fd = fcntl((int)luaL_checkinteger(L, 1), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return 0;
  lua_pushinteger(L, fd);
  return 1;
}

/* go_on(pid): continues it. */
static int tracee_go_on(lua_State *L) {
  kill((pid_t)luaL_checkinteger(L, 1), SIGCONT);
  return 0;
}

static void nap(void) {
  struct timespec t = {0, 2000000};
  nanosleep(&t, NULL);
}

/* wait(pid, seconds): "exit" or "signal" and its number; "hung" once the time is over, when it
** and all that it started have been killed. */
static int tracee_wait(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  time_t limit = time(NULL) + (time_t)luaL_checkinteger(L, 2);
  int status = 0, hung = 0;
  for (pid_t got; (got = waitpid(pid, &status, WNOHANG)) != pid; nap()) {
    if (got < 0 && errno != EINTR) return luaL_error(L, "waitpid failed: %d", errno);
    if (time(NULL) <= limit) continue;
    hung = 1;
    kill(-pid, SIGKILL);
  }
  kill(-pid, SIGKILL); /* what it left behind */
  if (hung) {
    lua_pushliteral(L, "hung");
    return 1;
  }
  lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
  lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return 2;
}

/* readlink(path): where it leads, or nil. */
static int tracee_readlink(lua_State *L) {
  char to[256];
  ssize_t n = readlink(luaL_checkstring(L, 1), to, sizeof to);
  if (n < 0) return 0;
  lua_pushlstring(L, to, (size_t)n);
  return 1;
}

int luaopen_tracee(lua_State *L) {
  static const luaL_Reg functions[] =
      {{"fork", tracee_fork},   {"stop", tracee_stop},         {"stopped", tracee_stopped},
       {"go_on", tracee_go_on}, {"wait", tracee_wait},         {"standard", tracee_standard},
       {"dup", tracee_dup},     {"readlink", tracee_readlink}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
