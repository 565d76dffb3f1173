/* loadgen puts one load shape on any Gearman server, from one thread, and prints what it took as a line of
 * JSON. `loadgen --help` lists the shapes. Exit status: 0 when all operations were done, 1 when there is no
 * connection, 2 for the usage or an ERROR from the server, 3 when the server stalls, 4 when it closes a
 * connection; each but the first with one line on stderr.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "connection.h"
#include "options.h"
#include "report.h"
#include "wire.h"

/* Offers go out in parts with an ECHO_REQ behind each, so that a server which takes long for them is seen to
 * make progress. */
enum { OFFERS_AT_ONCE = 1000 };

/* Connections are opened so many at a time, which is less than the backlog of any server. */
enum { DIALS_AT_ONCE = 16 };

/* What the server has to do for the set-up is over by then. */
static const useconds_t REST = 200 * 1000;

static struct options opt;
static char *payload;
static struct {
  char text[16];
  size_t size;
} *functions;
static unsigned long ring_mask;

static struct connection **clients, **workers;
static long next_client;

static enum { SETTING_UP, QUEUEING, RUNNING } phase;
static long unsettled;  /* connections whose last answer of the set-up is still to come */
static long offered;    /* functions that the server has taken note of */
static long issued;     /* jobs or requests that were sent */
static long queued;     /* jobs that were queued before the run */
static long exhausted;  /* workers that found nothing more to drain */
static long opened;     /* connections of `connect` */
static long background; /* jobs of those who flood */
static long jobs_run;
static long joined, answered, round_number; /* the clients of this round of `coalesce` */

static void note_sent(struct connection *c) {
  c->sent_at[c->next_sent++ & ring_mask] = now();
}

static void note_answered(struct connection *c) {
  note_latency(c->sent_at[c->first_sent++ & ring_mask]);
}

static enum packet_type job_type(bool in_background) {
  static const enum packet_type foreground_types[] = {SUBMIT_JOB, SUBMIT_JOB_HIGH, SUBMIT_JOB_LOW};
  static const enum packet_type background_types[] = {SUBMIT_JOB_BG, SUBMIT_JOB_HIGH_BG, SUBMIT_JOB_LOW_BG};
  long priority = opt.priorities ? issued % 3 : 0;
  return in_background ? background_types[priority] : foreground_types[priority];
}

/* Results come in any order: a job's workload, which comes back, begins with the time of its submission. */
static bool is_stamped(const struct connection *c) {
  return (opt.mode == FOREGROUND || (opt.mode == FLOOD && !c->floods)) && opt.size >= (long)sizeof(uint64_t);
}

static void submit(struct connection *c) {
  bool in_background = opt.mode == SUBMIT || opt.mode == STREAM || opt.mode == STEADY || c->floods;
  const char *function = c->floods ? "flood" : functions[issued % opt.functions].text;
  size_t function_size = c->floods ? sizeof "flood" : functions[issued % opt.functions].size + 1;
  char unique[32];
  size_t unique_size = 0;

  if (opt.unique || opt.mode == COALESCE) {
    unique[0] = 'u';
    unique_size = 1 + put_number(unique + 1, (unsigned long)(opt.mode == COALESCE ? round_number : issued));
  }
  unique[unique_size++] = 0;

  size_t body_size = function_size + unique_size + (size_t)opt.size;
  char *body = packet_begin(&c->out, REQUEST, job_type(in_background), body_size);
  memcpy(body, function, function_size);
  memcpy(body + function_size, unique, unique_size);
  char *workload = body + function_size + unique_size;
  memcpy(workload, payload, (size_t)opt.size);
  if (is_stamped(c)) {
    uint64_t time = now();
    memcpy(workload, &time, sizeof time);
  } else
    note_sent(c);
}

static bool may_issue(const struct connection *c) {
  if (c->floods) return true;
  if (opt.mode == STEADY)
    return phase == QUEUEING ? issued < opt.queued
                             : issued - operations_done < opt.queued && issued < opt.operations + opt.queued;
  return issued < opt.operations;
}

static void top_up(struct connection *c) {
  long depth = opt.mode == FLOOD && !c->floods ? 1 : opt.depth;
  while (c->in_flight < depth && may_issue(c)) {
    if (opt.mode == ECHO) {
      request(c, ECHO_REQ, payload, (size_t)opt.size);
      note_sent(c);
    } else
      submit(c);
    c->in_flight++;
    if (!c->floods) issued++;
  }
}

/* One job for all clients, which no worker answers before the last has joined it. */
static void start_round(void) {
  joined = answered = 0;
  round_number++;
  for (long i = 0; i < opt.clients; i++) {
    top_up(clients[i]);
    touch(clients[i]);
  }
}

static void release_results(void) {
  for (long i = 0; i < opt.workers; i++) {
    struct buffer *held = &workers[i]->held;
    if (held->start == held->end) continue;
    memcpy(buffer_room(&workers[i]->out, held->end), held->data, held->end);
    workers[i]->out.end += held->end;
    held->end = 0;
    touch(workers[i]);
  }
}

static void on_created(struct connection *c) {
  switch (opt.mode) {
  case SUBMIT:
    c->in_flight--;
    note_answered(c);
    operation_done();
    break;
  case STEADY:
    if (phase == QUEUEING) queued++;
    c->in_flight--;
    break;
  case STREAM: c->in_flight--; break;
  case FLOOD:
    if (c->floods) {
      background++;
      c->in_flight--;
    }
    break;
  case COALESCE:
    if (++joined == opt.clients) release_results();
    break;
  default: break;
  }
}

static void on_result(struct connection *c, const char *body, size_t size) {
  c->in_flight--;
  if (is_stamped(c)) {
    uint64_t since;
    size_t handle_size = strnlen(body, size) + 1;
    if (size < handle_size + sizeof since) give_up(REFUSED, "a result is not the workload of its job");
    memcpy(&since, body + handle_size, sizeof since);
    note_latency(since);
  } else
    note_answered(c);
  operation_done();
  if (opt.mode == COALESCE && ++answered == opt.clients && operations_done < opt.operations) start_round();
}

static void offer(struct connection *c) {
  long last = c->offered + OFFERS_AT_ONCE;
  if (last > opt.functions) last = opt.functions;
  for (; c->offered < last; c->offered++)
    request(c, CAN_DO, functions[c->offered].text, functions[c->offered].size);
  /* Those that sleep are told of a job; those that begin at once are not. */
  if (last == opt.functions && opt.mode != DRAIN && opt.mode != STEADY) request(c, PRE_SLEEP, NULL, 0);
  request(c, ECHO_REQ, NULL, 0);
}

static void on_offered(struct connection *c) {
  long count = c->offered % OFFERS_AT_ONCE ? c->offered % OFFERS_AT_ONCE : OFFERS_AT_ONCE;
  offered += count;
  if (opt.mode == REGISTER)
    while (count--) operation_done();
  if (c->offered < opt.functions)
    offer(c);
  else if (opt.mode != REGISTER)
    unsettled--;
}

static void grab(struct connection *c) {
  for (; c->grabs < opt.grabs; c->grabs++) request(c, GRAB_JOB, NULL, 0);
}

static void on_no_job(struct connection *c) {
  c->grabs--;
  if (opt.mode == DRAIN) {
    if (!c->empty) exhausted++;
    c->empty = true;
  } else if (!c->grabs)
    request(c, PRE_SLEEP, NULL, 0);
}

static void on_assigned(struct connection *c, const char *body, size_t size) {
  size_t handle_size = strnlen(body, size) + 1;
  size_t function_size = handle_size < size ? strnlen(body + handle_size, size - handle_size) + 1 : 0;
  size_t workload_at = handle_size + function_size;
  if (workload_at > size) give_up(REFUSED, "a job came without a workload");
  bool hold = opt.mode == COALESCE && joined < opt.clients;
  packet_add(hold ? &c->held : &c->out, REQUEST, WORK_COMPLETE, body, handle_size, body + workload_at,
             size - workload_at);
  c->grabs--;
  jobs_run++;
  grab(c);
  if (opt.mode == DRAIN || opt.mode == STREAM || opt.mode == STEADY) operation_done();
  if (opt.mode == STEADY) {
    struct connection *client = clients[next_client++ % opt.clients];
    top_up(client);
    touch(client);
  }
}

static void on_echo(struct connection *c) {
  if (c->is_worker)
    on_offered(c);
  else if (phase != RUNNING)
    unsettled--;
  else {
    if (opt.mode == ECHO) {
      c->in_flight--;
      note_answered(c);
    }
    operation_done();
  }
}

static void on_packet(struct connection *c, uint32_t type, const char *body, size_t size) {
  switch (type) {
  case ECHO_RES: on_echo(c); break;
  case JOB_CREATED: on_created(c); break;
  case WORK_COMPLETE: on_result(c, body, size); break;
  case NOOP: grab(c); break;
  case NO_JOB: on_no_job(c); break;
  case JOB_ASSIGN: on_assigned(c, body, size); break;
  case ERROR_RES: {
    size_t code_size = strnlen(body, size);
    fprintf(stderr, "loadgen: the server answers %.*s%s%.*s\n", (int)code_size, body,
            code_size < size ? ": " : "", code_size < size ? (int)(size - code_size - 1) : 0,
            code_size < size ? body + code_size + 1 : "");
    exit(REFUSED);
  }
  default: give_up(REFUSED, "an unexpected packet came");
  }
}

static void receive(struct connection *c) {
  uint32_t type, size;
  char *body;
  if (!receive_some(c)) return;
  while (packet_next(&c->in, &type, &body, &size)) on_packet(c, type, body, size);
  if (!c->is_worker && opt.with_clients && phase != SETTING_UP && opt.mode != COALESCE) top_up(c);
  /* What only stays open keeps no room to read: that of 10,000 would come to more than the server has. */
  if (opt.mode == CONNECT) {
    free(c->in.data);
    c->in = (struct buffer){0};
  }
}

static long progress(void) {
  return operations_done + queued + offered - unsettled;
}

/* Those who serve others may wait for them as long as they like. */
static bool expects_progress(void) {
  return opt.mode != SERVE || phase != RUNNING;
}

static void run_until(bool (*finished)(void)) {
  struct epoll_event events[256];
  long before = progress();
  uint64_t since = now();
  while (!finished()) {
    int count = epoll_wait(epoll_fd, events, 256, 500);
    for (int i = 0; i < count; i++) {
      struct connection *c = events[i].data.ptr;
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
      flush(c);
    }
    flush_touched();
    if (progress() != before) {
      before = progress();
      since = now();
    } else if (expects_progress() && now() - since > (uint64_t)opt.patience * 1000000000u)
      give_up(STALLED, "stalled");
  }
}

static bool is_settled(void) {
  return !unsettled;
}

static bool is_queued(void) {
  return queued >= opt.queued;
}

static bool is_done(void) {
  if (opt.mode == DRAIN && exhausted >= opt.workers) return true;
  return !opt.endless && operations_done >= opt.operations;
}

static struct connection *connect_to_server(bool is_worker) {
  return dial(opt.host, opt.port, opt.patience, is_worker);
}

static bool open_more(void) {
  while (opened < opt.operations && opened - operations_done < DIALS_AT_ONCE) {
    struct connection *c = connect_to_server(false);
    request(c, ECHO_REQ, payload, (size_t)opt.size);
    flush(c);
    opened++;
  }
  return is_done();
}

/* Have a connection begin, and wait now and then until the server has caught up with what was begun. */
static void settle(struct connection *c, long number) {
  unsettled++;
  if (c->is_worker)
    offer(c);
  else
    request(c, ECHO_REQ, NULL, 0);
  flush(c);
  if (number % DIALS_AT_ONCE == 0) run_until(is_settled);
}

static void set_up(void) {
  phase = SETTING_UP;
  for (long i = 0; i < opt.idle; i++) {
    struct connection *c = connect_to_server(false);
    if (i % DIALS_AT_ONCE == 0) settle(c, i);
  }
  for (long i = 0; i < opt.workers; i++) {
    workers[i] = connect_to_server(true);
    if (opt.mode != REGISTER) settle(workers[i], i);
  }
  for (long i = 0; i < opt.clients; i++) {
    clients[i] = connect_to_server(false);
    clients[i]->floods = opt.mode == FLOOD && i > 0;
    clients[i]->sent_at = allocate(ring_mask + 1, sizeof *clients[i]->sent_at);
    settle(clients[i], i);
  }
  run_until(is_settled);
}

static void submit_from_all(void) {
  for (long i = 0; i < opt.clients; i++) {
    top_up(clients[i]);
    flush(clients[i]);
  }
}

static void start(void) {
  phase = RUNNING;
  for (long i = 0; i < opt.workers; i++) {
    if (opt.mode == REGISTER) offer(workers[i]);
    if (opt.mode == DRAIN || opt.mode == STEADY) grab(workers[i]);
    flush(workers[i]);
  }
  if (opt.mode == COALESCE) round_number = 1;
  submit_from_all();
}

int main(int count, char **words) {
  opt = options_read(count, words);
  signal(SIGPIPE, SIG_IGN);
  epoll_fd = epoll_create1(0);
  payload = allocate((size_t)opt.size, 1);
  memset(payload, 'x', (size_t)opt.size);
  functions = allocate((size_t)opt.functions, sizeof *functions);
  for (long i = 0; i < opt.functions; i++)
    functions[i].size = (size_t)snprintf(functions[i].text, sizeof functions[i].text, "bench%ld", i);
  while (ring_mask + 1 < (unsigned long)opt.depth) ring_mask = ring_mask * 2 + 1;
  clients = allocate((size_t)opt.clients, sizeof *clients);
  workers = allocate((size_t)opt.workers, sizeof *workers);
  report_prepare(&opt);

  set_up();
  if (opt.mode == STEADY) {
    phase = QUEUEING;
    submit_from_all();
    run_until(is_queued);
  }
  usleep(REST);
  report_begin();
  start();
  run_until(opt.mode == CONNECT ? open_more : is_done);
  report_end();

  if (opt.mode == FLOOD)
    report_print("background_per_s", (double)background / report_seconds());
  else if (opt.mode == COALESCE)
    report_print("clients_per_job", (double)operations_done / (double)jobs_run);
  else
    report_print(NULL, 0);
  return 0;
}
