#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "report.h"

int epoll_fd;

static struct connection **touched;
static size_t touched_count, touched_room;

static void system_failed(const char *call) {
  if (errno == EPIPE || errno == ECONNRESET) give_up(CLOSED, "the server closed a connection");
  fprintf(stderr, "loadgen: %s: %s\n", call, strerror(errno));
  exit(NO_CONNECTION);
}

struct connection *dial(const char *host, int port, long patience, bool is_worker) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct timeval longest = {.tv_sec = patience};
  struct connection *c = allocate(1, sizeof *c);
  int one = 1;

  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
    fprintf(stderr, "loadgen: not an IPv4 address: %s\n", host);
    exit(REFUSED);
  }
  c->is_worker = is_worker;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) system_failed("socket");
  setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
    if (errno == EINPROGRESS || errno == EAGAIN)
      give_up(STALLED, "stalled: the server accepts no connection");
    system_failed("connect");
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) system_failed("epoll_ctl");
  return c;
}

void request(struct connection *c, enum packet_type type, const void *body, size_t size) {
  packet_add(&c->out, REQUEST, type, body, size, NULL, 0);
}

static void watch_for_room(struct connection *c, bool wanted) {
  if (c->wants_to_write == wanted) return;
  struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
  c->wants_to_write = wanted;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event)) system_failed("epoll_ctl");
}

void flush(struct connection *c) {
  while (c->out.start < c->out.end) {
    ssize_t sent = write(c->fd, c->out.data + c->out.start, c->out.end - c->out.start);
    if (sent < 0 && errno == EAGAIN) {
      watch_for_room(c, true);
      return;
    }
    if (sent < 0) system_failed("write");
    c->out.start += (size_t)sent;
  }
  c->out.start = c->out.end = 0;
  watch_for_room(c, false);
}

void touch(struct connection *c) {
  if (c->touched) return;
  c->touched = true;
  if (touched_count == touched_room) {
    touched_room = touched_room * 2 + 64;
    touched = reallocate(touched, touched_room * sizeof *touched);
  }
  touched[touched_count++] = c;
}

void flush_touched(void) {
  for (size_t i = 0; i < touched_count; i++) {
    touched[i]->touched = false;
    flush(touched[i]);
  }
  touched_count = 0;
}

bool receive_some(struct connection *c) {
  buffer_compact(&c->in);
  ssize_t size = read(c->fd, buffer_room(&c->in, READ_SIZE), READ_SIZE);
  if (!size) give_up(CLOSED, "the server closed a connection");
  if (size < 0) {
    if (errno == EAGAIN) return false;
    system_failed("read");
  }
  c->in.end += (size_t)size;
  return true;
}
