/* floor is the least that a Gearman server on one thread can do for loadgen's shapes: the limit to compare a
 * real server with, and wrong for any other use.
 *
 *     floor PORT [WAKE]
 *
 * One epoll loop, reads of up to 256 KiB, one write for each touched connection and turn of the loop, jobs in
 * an array that only grows, a FIFO for each function and priority. (The order decides how many connections a
 * turn touches, and so how many writes it needs.) It has no checks; every worker may be given a job of every
 * function that some worker offers; a job is joined only by those submitted right behind it with the same
 * unique id. WAKE is how many sleeping workers a job wakes, 0 (the default) for all.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

enum { BACKLOG = 4096, MAX_FUNCTION = 64, MAX_HANDLE = 32 };

enum priority { HIGH, NORMAL, LOW, PRIORITIES };

static const char prefix[] = "H:floor:";

struct connection {
  int fd;
  bool sleeping, touched, gone;
  size_t sleeping_at;
  struct buffer in, out;
};

struct job {
  char *data; /* its unique id with a NUL, and its workload */
  uint32_t unique_size, size;
  struct function *function;
  struct connection *client;
};

struct fifo {
  uint32_t *jobs;
  size_t first, last, room;
};

struct function {
  char name[MAX_FUNCTION];
  size_t name_size;
  struct fifo queues[PRIORITIES];
  size_t waiting;
  uint32_t newest;
  long offers;
  bool ready;
  struct connection **joined; /* clients of the newest job, after the first */
  size_t joined_count, joined_room;
};

/* An array of pointers that grows. */
struct list {
  void **items;
  size_t count, room;
};

static struct job *jobs;
static size_t job_count, job_room;
static struct function **table; /* by the hash of their names, open addressing */
static size_t function_count, table_size;
static struct list ready, sleepers, touched;
static long wake_limit;

static void list_add(struct list *list, void *item) {
  if (list->count == list->room) {
    list->room = list->room * 2 + 64;
    list->items = reallocate(list->items, list->room * sizeof *list->items);
  }
  list->items[list->count++] = item;
}

static void send_packet(struct connection *c, uint32_t type, const void *a, size_t a_size, const void *b,
                        size_t b_size) {
  packet_add(&c->out, RESPONSE, type, a, a_size, b, b_size);
  if (!c->touched) {
    c->touched = true;
    list_add(&touched, c);
  }
}

static size_t slot_of(const char *name, size_t size) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
  size_t slot = hash & (table_size - 1);
  while (table[slot] && (table[slot]->name_size != size || memcmp(table[slot]->name, name, size)))
    slot = (slot + 1) & (table_size - 1);
  return slot;
}

static void table_grow(void) {
  struct function **old = table;
  size_t old_size = table_size;
  table_size = table_size ? table_size * 2 : 256;
  table = allocate(table_size, sizeof *table);
  for (size_t i = 0; i < old_size; i++)
    if (old[i]) table[slot_of(old[i]->name, old[i]->name_size)] = old[i];
  free(old);
}

static struct function *function_named(const char *name, size_t size) {
  if (function_count * 2 >= table_size) table_grow();
  size_t slot = slot_of(name, size);
  if (table[slot]) return table[slot];
  if (size > MAX_FUNCTION) {
    fputs("floor: a function's name is too long\n", stderr);
    exit(1);
  }
  struct function *f = table[slot] = allocate(1, sizeof *f);
  memcpy(f->name, name, size);
  f->name_size = size;
  function_count++;
  return f;
}

static void enqueue(struct function *f, enum priority priority, uint32_t number) {
  struct fifo *queue = &f->queues[priority];
  if (queue->last == queue->room) {
    queue->room = queue->room * 2 + 64;
    queue->jobs = reallocate(queue->jobs, queue->room * sizeof *queue->jobs);
  }
  queue->jobs[queue->last++] = number;
  f->newest = number;
  f->joined_count = 0;
  f->waiting++;
}

/* The next job of a function that has one. */
static uint32_t dequeue(struct function *f) {
  struct fifo *queue = f->queues;
  while (queue->first == queue->last) queue++;
  f->waiting--;
  return queue->jobs[queue->first++];
}

static void make_ready(struct function *f) {
  if (f->ready || !f->offers || !f->waiting) return;
  f->ready = true;
  list_add(&ready, f);
}

/* A function that has a job and a worker; NULL if there is none. */
static struct function *next_ready(void) {
  while (ready.count) {
    struct function *f = ready.items[ready.count - 1];
    if (f->waiting) return f;
    f->ready = false;
    ready.count--;
  }
  return NULL;
}

static void fall_asleep(struct connection *c) {
  if (c->sleeping) return;
  c->sleeping = true;
  c->sleeping_at = sleepers.count;
  list_add(&sleepers, c);
}

static void stop_sleeping(struct connection *c) {
  if (!c->sleeping) return;
  struct connection *last = sleepers.items[--sleepers.count];
  sleepers.items[c->sleeping_at] = last;
  last->sleeping_at = c->sleeping_at;
  c->sleeping = false;
}

static void wake(void) {
  for (long woken = 0; sleepers.count && (!wake_limit || woken < wake_limit); woken++) {
    struct connection *c = sleepers.items[sleepers.count - 1];
    stop_sleeping(c);
    send_packet(c, NOOP, NULL, 0, NULL, 0);
  }
}

static size_t write_handle(char *at, size_t number) {
  memcpy(at, prefix, sizeof prefix - 1);
  return sizeof prefix - 1 + put_number(at + sizeof prefix - 1, number + 1);
}

static struct job *job_with_handle(const char *handle) {
  return &jobs[strtoul(handle + sizeof prefix - 1, NULL, 10) - 1];
}

static bool joins_newest_job(struct function *f, const char *unique, size_t unique_size) {
  if (unique_size == 1 || !job_count) return false;
  const struct job *newest = &jobs[f->newest];
  return newest->function == f && newest->data && newest->unique_size == unique_size &&
         !memcmp(newest->data, unique, unique_size);
}

static void join(struct function *f, struct connection *client) {
  if (f->joined_count == f->joined_room) {
    f->joined_room = f->joined_room * 2 + 64;
    f->joined = reallocate(f->joined, f->joined_room * sizeof *f->joined);
  }
  f->joined[f->joined_count++] = client;
}

static void on_submit(struct connection *c, bool in_background, enum priority priority, const char *body,
                      size_t size) {
  size_t name_size = strlen(body);
  struct function *f = function_named(body, name_size);
  const char *unique = body + name_size + 1;
  size_t unique_size = strlen(unique) + 1;
  char handle[MAX_HANDLE];

  if (joins_newest_job(f, unique, unique_size)) {
    if (!in_background) join(f, c);
    send_packet(c, JOB_CREATED, handle, write_handle(handle, f->newest), NULL, 0);
    return;
  }
  if (job_count == job_room) {
    job_room = job_room * 2 + 64;
    jobs = reallocate(jobs, job_room * sizeof *jobs);
  }
  struct job *job = &jobs[job_count];
  job->size = (uint32_t)(size - name_size - 1);
  job->unique_size = (uint32_t)unique_size;
  job->data = reallocate(NULL, job->size);
  memcpy(job->data, unique, job->size);
  job->function = f;
  job->client = in_background ? NULL : c;
  enqueue(f, priority, (uint32_t)job_count);
  make_ready(f);
  send_packet(c, JOB_CREATED, handle, write_handle(handle, job_count++), NULL, 0);
  if (f->offers) wake();
}

static void on_grab(struct connection *c) {
  struct function *f = next_ready();
  char start[MAX_HANDLE + MAX_FUNCTION + 2];
  stop_sleeping(c);
  if (!f) {
    send_packet(c, NO_JOB, NULL, 0, NULL, 0);
    return;
  }
  uint32_t number = dequeue(f);
  struct job *job = &jobs[number];
  size_t size = write_handle(start, number);
  start[size++] = 0;
  memcpy(start + size, f->name, f->name_size);
  size += f->name_size;
  start[size++] = 0;
  send_packet(c, JOB_ASSIGN, start, size, job->data + job->unique_size, job->size - job->unique_size);
}

static void on_complete(const char *body, size_t size) {
  struct job *job = job_with_handle(body);
  struct function *f = job->function;
  if (job->client) send_packet(job->client, WORK_COMPLETE, body, size, NULL, 0);
  if (job == &jobs[f->newest])
    for (size_t i = 0; i < f->joined_count; i++)
      send_packet(f->joined[i], WORK_COMPLETE, body, size, NULL, 0);
  free(job->data);
  job->data = NULL;
}

static void on_packet(struct connection *c, uint32_t type, const char *body, size_t size) {
  switch (type) {
  case ECHO_REQ: send_packet(c, ECHO_RES, body, size, NULL, 0); break;
  case SUBMIT_JOB: on_submit(c, false, NORMAL, body, size); break;
  case SUBMIT_JOB_HIGH: on_submit(c, false, HIGH, body, size); break;
  case SUBMIT_JOB_LOW: on_submit(c, false, LOW, body, size); break;
  case SUBMIT_JOB_BG: on_submit(c, true, NORMAL, body, size); break;
  case SUBMIT_JOB_HIGH_BG: on_submit(c, true, HIGH, body, size); break;
  case SUBMIT_JOB_LOW_BG: on_submit(c, true, LOW, body, size); break;
  case GRAB_JOB: on_grab(c); break;
  case WORK_COMPLETE: on_complete(body, size); break;
  case PRE_SLEEP:
    if (next_ready())
      send_packet(c, NOOP, NULL, 0, NULL, 0);
    else
      fall_asleep(c);
    break;
  case CAN_DO: {
    struct function *f = function_named(body, size);
    f->offers++;
    make_ready(f);
    break;
  }
  default: break;
  }
}

/* A connection is kept when its peer has left: jobs may name it. */
static void part(struct connection *c) {
  stop_sleeping(c);
  close(c->fd);
  c->gone = true;
}

static void serve(struct connection *c, char *received) {
  ssize_t size = read(c->fd, received, READ_SIZE);
  if (size <= 0) {
    part(c);
    return;
  }
  buffer_compact(&c->in);
  memcpy(buffer_room(&c->in, (size_t)size), received, (size_t)size);
  c->in.end += (size_t)size;

  uint32_t type, body_size;
  char *body;
  while (packet_next(&c->in, &type, &body, &body_size)) on_packet(c, type, body, body_size);
  if (c->in.start == c->in.end) c->in.start = c->in.end = 0;
}

static void flush(struct connection *c, int epoll_fd) {
  while (c->out.start < c->out.end) {
    ssize_t sent = write(c->fd, c->out.data + c->out.start, c->out.end - c->out.start);
    if (sent < 0) {
      struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
      epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
      return;
    }
    c->out.start += (size_t)sent;
  }
  c->out.start = c->out.end = 0;
}

static void flush_touched(int epoll_fd) {
  for (size_t i = 0; i < touched.count; i++) {
    struct connection *c = touched.items[i];
    c->touched = false;
    if (!c->gone) flush(c, epoll_fd);
  }
  touched.count = 0;
}

static int listen_on(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG)) {
    perror("floor: cannot listen");
    exit(1);
  }
  return listener;
}

static void accept_one(int listener, int epoll_fd) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
  if (fd < 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct connection *c = allocate(1, sizeof *c);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  c->fd = fd;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int main(int count, char **words) {
  static char received[READ_SIZE];
  struct epoll_event events[256], event = {.events = EPOLLIN};
  if (count < 2) {
    fputs("usage: floor PORT [WAKE]\n", stderr);
    return 2;
  }
  wake_limit = count > 2 ? atol(words[2]) : 0;
  int listener = listen_on(atoi(words[1])), epoll_fd = epoll_create1(0);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int ready_count = epoll_wait(epoll_fd, events, 256, -1);
    for (int i = 0; i < ready_count; i++) {
      struct connection *c = events[i].data.ptr;
      if (!c) {
        accept_one(listener, epoll_fd);
        continue;
      }
      if (events[i].events & EPOLLOUT && !c->touched) {
        c->touched = true;
        list_add(&touched, c);
      }
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) serve(c, received);
    }
    flush_touched(epoll_fd);
  }
}
