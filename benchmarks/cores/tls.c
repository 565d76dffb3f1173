/* Has loadgen speak TLS: preloaded, it puts a TLS session on every connection that the program makes.
 *
 *   cc -O2 -shared -fPIC -o tls.so tls.c -ldl -lssl -lcrypto
 *   LD_PRELOAD=./tls.so loadgen 127.0.0.1 4731 ...
 *
 * The server's certificate is not verified, so that the load costs little itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 65536, RECORD = 16 * 1024 };

static SSL *sessions[FDS];
static SSL_CTX *context;
static bool inside; /* OpenSSL, which reads and writes the socket itself */

static void *next(const char *name) {
  return dlsym(RTLD_NEXT, name);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
  static int (*plain)(int, const struct sockaddr *, socklen_t);
  if (!plain) plain = next("connect");
  int failed = plain(fd, address, size);
  if (failed || address->sa_family != AF_INET || fd >= FDS) return failed;
  if (!context) {
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  sessions[fd] = SSL_new(context);
  SSL_set_fd(sessions[fd], fd);
  inside = true;
  if (SSL_connect(sessions[fd]) != 1) {
    fprintf(stderr, "tls: no handshake\n");
    exit(1);
  }
  inside = false;
  return 0;
}

static ssize_t fault(SSL *session, int result) {
  int error = SSL_get_error(session, result);
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
  return -1;
}

/* Stops while a whole record has room: OpenSSL then keeps nothing back that epoll would not tell of. */
ssize_t read(int fd, void *data, size_t size) {
  static ssize_t (*plain)(int, void *, size_t);
  if (!plain) plain = next("read");
  SSL *session = inside || fd >= FDS ? NULL : sessions[fd];
  if (!session) return plain(fd, data, size);
  size_t total = 0;
  while (size - total >= RECORD || !total) {
    inside = true;
    int got = SSL_read(session, (char *)data + total, (int)(size - total));
    inside = false;
    if (got <= 0) return total ? (ssize_t)total : fault(session, got);
    total += (size_t)got;
  }
  return (ssize_t)total;
}

ssize_t write(int fd, const void *data, size_t size) {
  static ssize_t (*plain)(int, const void *, size_t);
  if (!plain) plain = next("write");
  SSL *session = inside || fd >= FDS ? NULL : sessions[fd];
  if (!session) return plain(fd, data, size);
  inside = true;
  int sent = SSL_write(session, data, (int)size);
  inside = false;
  return sent > 0 ? sent : fault(session, sent);
}
