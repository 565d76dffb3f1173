#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_OPERATIONS = 100000 };

static const char usage[] =
    "usage: loadgen HOST PORT SERVER_PID MODE [key=value ...]\n"
    "HOST is an IPv4 address; SERVER_PID 0 leaves the server's CPU and memory out.\n"
    "\n"
    "MODE\n"
    "  echo        c connections keep d ECHO_REQ in flight\n"
    "  submit      c clients keep d background jobs in flight, which nobody works on\n"
    "  drain       w workers take and complete what is queued, until there is nothing, or n are done\n"
    "  foreground  c clients keep d foreground jobs in flight, and w workers answer\n"
    "  stream      c clients keep d background submissions in flight while w workers drain\n"
    "  steady      `queued` jobs are queued first; then each job done is replaced by a new one\n"
    "  coalesce    c clients submit a foreground job of one unique id; w workers answer when all have\n"
    "  flood       one client has a foreground job at a time, while c - 1 keep d background jobs in flight\n"
    "  register    w workers offer funcs functions each; an operation is one of them\n"
    "  connect     n connections are opened, and each is answered once; they stay until the last\n"
    "  serve       w workers answer whoever submits, until the program is ended; nothing is reported\n"
    "\n"
    "key (default)\n"
    "  n (100000)  operations        d (64)  requests in flight for each client\n"
    "  c (1)       clients           grabs (1)  GRAB_JOBs in flight for each worker\n"
    "  w (1)       workers           idle (0)  further connections, which only stay open\n"
    "  size (32)   bytes of workload funcs (1)  functions, taken in turn\n"
    "  uniq=1      each job has a unique id of its own\n"
    "  prio=1      jobs are of normal, high and low priority in turn\n"
    "  queued (0)  jobs that `steady` holds in the queue\n"
    "  slices (0)  parts of the run that are reported one by one\n"
    "  stall (20)  seconds without progress after which to give up\n";

static const struct {
  const char *name;
  enum mode mode;
  bool with_clients, with_workers;
} modes[] = {
    {"echo", ECHO, true, false},
    {"submit", SUBMIT, true, false},
    {"drain", DRAIN, false, true},
    {"foreground", FOREGROUND, true, true},
    {"stream", STREAM, true, true},
    {"steady", STEADY, true, true},
    {"coalesce", COALESCE, true, true},
    {"flood", FLOOD, true, true},
    {"register", REGISTER, false, true},
    {"connect", CONNECT, false, false},
    {"serve", SERVE, false, true},
};

static void refuse(const char *what, const char *word) {
  fprintf(stderr, "loadgen: %s: %s (see loadgen --help)\n", what, word);
  exit(2);
}

static long number(const char *text, long least, const char *what) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || end == text || *end || value < least) refuse(what, text);
  return value;
}

static void read_mode(struct options *o, const char *name) {
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (!strcmp(name, modes[i].name)) {
      o->mode = modes[i].mode;
      o->mode_name = modes[i].name;
      o->with_clients = modes[i].with_clients;
      o->with_workers = modes[i].with_workers;
      return;
    }
  refuse("no such mode", name);
}

static void read_key(struct options *o, char *word) {
  const struct {
    const char *name;
    long *value, least;
  } keys[] = {
      {"n", &o->operations, 1},
      {"c", &o->clients, 1},
      {"w", &o->workers, 1},
      {"d", &o->depth, 1},
      {"size", &o->size, 0},
      {"funcs", &o->functions, 1},
      {"grabs", &o->grabs, 1},
      {"uniq", &o->unique, 0},
      {"prio", &o->priorities, 0},
      {"idle", &o->idle, 0},
      {"queued", &o->queued, 0},
      {"slices", &o->slices, 0},
      {"stall", &o->patience, 1},
  };
  char *value = strchr(word, '=');
  if (!value) refuse("not of the form key=value", word);
  *value++ = 0;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!strcmp(word, keys[i].name)) {
      *keys[i].value = number(value, keys[i].least, word);
      return;
    }
  refuse("no such key", word);
}

struct options options_read(int count, char **words) {
  struct options o = {
      .clients = 1,
      .workers = 1,
      .depth = 64,
      .grabs = 1,
      .size = 32,
      .functions = 1,
      .patience = 20,
  };
  if (count == 2 && !strcmp(words[1], "--help")) {
    fputs(usage, stdout);
    exit(0);
  }
  if (count < 5) {
    fputs("loadgen: HOST, PORT, SERVER_PID and MODE are needed (see loadgen --help)\n", stderr);
    exit(2);
  }
  o.host = words[1];
  o.port = (int)number(words[2], 1, "not a port");
  o.server_pid = (int)number(words[3], 0, "not a process");
  read_mode(&o, words[4]);
  for (int i = 5; i < count; i++) read_key(&o, words[i]);

  /* Without a number it drains what there is; the slices are then those of the default. */
  o.endless = o.mode == SERVE || (o.mode == DRAIN && !o.operations);
  if (!o.operations) o.operations = DEFAULT_OPERATIONS;
  if (o.mode == STEADY && !o.queued) refuse("`steady` needs jobs in the queue", "queued=0");
  if (o.mode == FLOOD && o.clients < 2) refuse("`flood` needs a client that floods", "c=1");
  if (o.mode == REGISTER) o.operations = o.workers * o.functions;
  if (o.mode == COALESCE) {
    if (o.operations < o.clients) o.operations = o.clients;
    o.operations -= o.operations % o.clients;
    o.depth = 1;
  }
  if (!o.with_clients) o.clients = 0;
  if (!o.with_workers) o.workers = 0;
  return o;
}
