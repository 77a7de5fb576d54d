/* Preloaded: somebody puts a link to $SWAP_TO in the place of the folder "victim" just before it
** is opened by that name in a folder, once. For what must not follow it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int swapped;

int openat(int folder, const char *name, int flags, ...) {
  static int (*real)(int, const char *, int, ...);
  va_list more;
  va_start(more, flags);
  int mode = va_arg(more, int);
  va_end(more);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "openat");
  if (!swapped && getenv("SWAP_TO") != NULL && strcmp(name, "victim") == 0) {
    swapped = 1;
    if (renameat(folder, name, folder, "moved") != 0) perror("renameat");
    if (symlinkat(getenv("SWAP_TO"), folder, name) != 0) perror("symlinkat");
  }
  return real(folder, name, flags, mode);
}
