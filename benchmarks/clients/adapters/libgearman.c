/* libgearman's client and worker, as an adapter: stopwatch.py says what the arguments mean and what is printed.
 */
#define _GNU_SOURCE
#include <libgearman-1.0/gearman.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CANNOT = 3, STRIDE = 10, ARGUMENTS = 10 };

static struct {
  const char *mode, *host, *function;
  in_port_t port;
  size_t size;
  long most, warm_up, depth;
  double seconds;
} load;

static char *workload;
static double began, began_cpu, seconds, cpu_seconds;
static long ops;
static bool done;

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start(void) {
  began_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  began = now(CLOCK_MONOTONIC);
}

static void stop(void) {
  seconds = now(CLOCK_MONOTONIC) - began;
  cpu_seconds = now(CLOCK_PROCESS_CPUTIME_ID) - began_cpu;
}

static bool over(void) {
  return ops >= load.most || now(CLOCK_MONOTONIC) - began >= load.seconds;
}

static void must(bool good, const char *what, const char *why) {
  if (good) return;
  fprintf(stderr, "libgearman: %s: %s\n", what, why ? why : "it does not say why");
  exit(1);
}

static gearman_client_st *connected_client(void) {
  gearman_client_st *client = gearman_client_create(NULL);
  must(client && gearman_client_add_server(client, load.host, load.port) == GEARMAN_SUCCESS, "no client", NULL);
  return client;
}

static void submit_one(gearman_client_st *client) {
  gearman_job_handle_t handle;
  gearman_return_t code =
      gearman_client_do_background(client, load.function, NULL, workload, load.size, handle);
  must(code == GEARMAN_SUCCESS, "submit", gearman_client_error(client));
}

static void wait_for_one(gearman_client_st *client) {
  size_t size;
  gearman_return_t code;
  void *result = gearman_client_do(client, load.function, NULL, workload, load.size, &size, &code);
  must(code == GEARMAN_SUCCESS && size == load.size, "foreground", gearman_client_error(client));
  free(result);
}

static void one_at_a_time(void (*one)(gearman_client_st *)) {
  gearman_client_st *client = connected_client();
  for (long i = 0; i < load.warm_up; i++) one(client);
  start();
  for (; !over(); ops++) one(client);
  stop();
  gearman_client_free(client);
}

static void submit_batch(gearman_client_st *client, long count) {
  gearman_return_t code;
  for (long i = 0; i < count; i++) {
    gearman_client_add_task_background(client, NULL, NULL, load.function, NULL, workload, load.size, &code);
    must(code == GEARMAN_SUCCESS, "add a task", gearman_client_error(client));
  }
  must(gearman_client_run_tasks(client) == GEARMAN_SUCCESS, "run tasks", gearman_client_error(client));
  gearman_client_task_free_all(client);
}

static void submit_many(void) {
  gearman_client_st *client = connected_client();
  submit_batch(client, load.warm_up);
  start();
  while (!over()) {
    long count = load.depth < load.most - ops ? load.depth : load.most - ops;
    submit_batch(client, count);
    ops += count;
  }
  stop();
  gearman_client_free(client);
}

static void count_job(void) {
  static long jobs;
  if (++jobs == load.warm_up) start();
  if (jobs <= load.warm_up || (jobs - load.warm_up) % STRIDE) return;
  ops = jobs - load.warm_up;
  if (ops + STRIDE > load.most || over()) {
    stop();
    done = true;
  }
}

/* The workload becomes the result without being copied, as with the other libraries. */
static void *echo(gearman_job_st *job, void *context, size_t *size, gearman_return_t *code) {
  (void)context;
  count_job();
  *code = GEARMAN_SUCCESS;
  return gearman_job_take_workload(job, size);
}

static void work(void) {
  gearman_worker_st *worker = gearman_worker_create(NULL);
  must(worker && gearman_worker_add_server(worker, load.host, load.port) == GEARMAN_SUCCESS, "no worker", NULL);
  gearman_return_t code = gearman_worker_add_function(worker, load.function, 0, echo, NULL);
  while (code == GEARMAN_SUCCESS && !done) code = gearman_worker_work(worker);
  must(code == GEARMAN_SUCCESS, "work", gearman_worker_error(worker));
  gearman_worker_free(worker);
}

int main(int count, char **words) {
  if (count != ARGUMENTS) {
    fputs("libgearman: MODE HOST PORT FUNCTION SIZE MOST SECONDS WARM_UP DEPTH are needed\n", stderr);
    return 2;
  }
  load.mode = words[1];
  load.host = words[2];
  load.port = (in_port_t)atoi(words[3]);
  load.function = words[4];
  load.size = (size_t)atol(words[5]);
  load.most = atol(words[6]);
  load.seconds = atof(words[7]);
  load.warm_up = atol(words[8]);
  load.depth = atol(words[9]);
  workload = malloc(load.size + 1);
  must(workload, "memory", NULL);
  memset(workload, 'x', load.size);

  if (!strcmp(load.mode, "submit"))
    one_at_a_time(submit_one);
  else if (!strcmp(load.mode, "submit_many"))
    submit_many();
  else if (!strcmp(load.mode, "foreground"))
    one_at_a_time(wait_for_one);
  else if (!strcmp(load.mode, "work"))
    work();
  else {
    fprintf(stderr, "there is no %s here\n", load.mode);
    return CANNOT;
  }
  printf("{\"ops\": %ld, \"seconds\": %.9f, \"cpu_seconds\": %.9f}\n", ops, seconds, cpu_seconds);
  return 0;
}
