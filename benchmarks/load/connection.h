/* loadgen's connections, and the epoll set that they are in. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>

#include "wire.h"

struct connection {
  int fd;
  bool is_worker, floods, wants_to_write, touched, empty;
  struct buffer in, out;
  long in_flight;    /* requests of a client that wait for their answer */
  long grabs;        /* GRAB_JOBs of a worker, likewise */
  long offered;      /* functions that a worker has offered so far */
  uint64_t *sent_at; /* when the requests in flight were sent, where answers come in their order */
  unsigned long first_sent, next_sent;
  struct buffer held; /* the results that a worker keeps back until all clients have joined */
};

extern int epoll_fd;

/* Connect, within so many seconds. */
struct connection *dial(const char *host, int port, long patience, bool is_worker);

/* Append a request that is not a job. */
void request(struct connection *c, enum packet_type type, const void *body, size_t size);

/* Write what the system takes now; the rest follows when there is room. */
void flush(struct connection *c);

/* Have what was added to another connection than the one that is served flushed at the end of the turn. */
void touch(struct connection *c);
void flush_touched(void);

/* Read once; false when nothing was there. */
bool receive_some(struct connection *c);

#endif
