/* A disk that fails on command, for a program that it is preloaded into: while the file that GEARCORE_FAULT names
   holds "fsync", nothing can be made sure of; while it holds "full", nothing more can be written at a place, which
   is how SQLite writes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fault(const char *kind) {
  const char *path = getenv("GEARCORE_FAULT");
  char text[16] = "";
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  return size > 0 && !strncmp(text, kind, strlen(kind));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
  if (fault("fsync")) return errno = EIO, -1;
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  if (fault("fsync")) return errno = EIO, -1;
  return REAL(fdatasync)(fd);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
  if (fault("full")) return errno = ENOSPC, -1;
  return REAL(pwrite)(fd, data, size, place);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
  if (fault("full")) return errno = ENOSPC, -1;
  return REAL(pwrite64)(fd, data, size, place);
}
