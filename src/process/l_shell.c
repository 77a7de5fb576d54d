#include "process/l_shell.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "driver/forking.h"
#include "driver/threads.h"

extern char **environ;

/* Runs the command with `fd`, if it is not -1, as its descriptor `as`. 0 or an errno. */
static int start(const char *command, int fd, int as, pid_t *pid) {
  char *argv[] = {"sh", "-c", (char *)command, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  sigset_t mask;
  la_thread_program_mask(&mask);
  int err = posix_spawnattr_init(&attr);
  if (err != 0) return err;
  err = posix_spawn_file_actions_init(&actions);
  if (err == 0) {
    posix_spawnattr_setsigmask(&attr, &mask);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    if (fd >= 0) err = posix_spawn_file_actions_adddup2(&actions, fd, as);
    la_forking_begin(); /* posix_spawn returns when the child has executed the shell */
    if (err == 0) err = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
    la_forking_end();
    posix_spawn_file_actions_destroy(&actions);
  }
  posix_spawnattr_destroy(&attr);
  return err;
}

/* As system(3) returns it; -1, with an errno. */
static int await_end(pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  errno = 0; /* luaL_execresult looks */
  return status;
}

static int execute(lua_State *L) {
  const char *command = luaL_optstring(L, 1, NULL);
  pid_t pid;
  int err = start(command != NULL ? command : "exit 0", -1, -1, &pid);
  int status = err == 0 ? await_end(pid) : -1;
  if (err != 0) errno = err;
  if (command != NULL) return luaL_execresult(L, status);
  lua_pushboolean(L, status == 0);
  return 1;
}

/* ---- popen --------------------------------------------------------------------------*/

typedef struct piped { /* a file of the library io */
  luaL_Stream stream;
  pid_t pid;
} piped;

static int close_piped(lua_State *L) {
  piped *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  fclose(p->stream.f);
  return luaL_execresult(L, await_end(p->pid));
}

/* 0 or an errno; `reads`: what the command writes. */
static int open_piped(piped *p, const char *command, bool reads) {
  int fds[2], child = reads ? 1 : 0;
  int err = uv_pipe(fds, 0, 0); /* close-on-exec */
  if (err != 0) return -err;
  p->stream.f = fdopen(fds[1 - child], reads ? "r" : "w");
  err = p->stream.f != NULL ? start(command, fds[child], child, &p->pid) : errno;
  close(fds[child]);
  if (err != 0 && p->stream.f != NULL)
    fclose(p->stream.f);
  else if (err != 0)
    close(fds[1 - child]);
  return err;
}

static int open_command(lua_State *L) {
  const char *command = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
  luaL_argcheck(L, (*mode == 'r' || *mode == 'w') && mode[1] == '\0', 2, "invalid mode");
  piped *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->stream.closef = NULL; /* closed, until it is open */
  luaL_setmetatable(L, LUA_FILEHANDLE);
  fflush(NULL);
  errno = open_piped(p, command, *mode == 'r');
  if (errno != 0) return luaL_fileresult(L, 0, command);
  p->stream.closef = close_piped;
  return 1;
}

/* ---- the states -----------------------------------------------------------------------*/

static void set(lua_State *L, const char *library, const char *name, lua_CFunction f) {
  lua_getglobal(L, library);
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void la_shell_open(lua_State *L) {
  set(L, LUA_OSLIBNAME, "execute", execute);
  set(L, LUA_IOLIBNAME, "popen", open_command);
}
