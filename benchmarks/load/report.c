#define _GNU_SOURCE
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "wire.h"

/* What the server does after its last answer belongs to the run as well. */
static const useconds_t AFTERWARDS = 50 * 1000;

struct moment {
  uint64_t at;
  double server_cpu, own_cpu;
  long memory;
};

long operations_done;

static struct options opt;
static struct moment before, after, *slices;
static long slice_count;
static uint64_t *latencies;
static long latency_count;

uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double own_cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void give_up(int status, const char *what) {
  fprintf(stderr, "loadgen: %s, at %ld of %ld operations\n", what, operations_done, opt.operations);
  exit(status);
}

void report_prepare(const struct options *options) {
  opt = *options;
  latencies = allocate((size_t)opt.operations, sizeof *latencies);
  slices = allocate((size_t)opt.slices + 1, sizeof *slices);
}

void report_begin(void) {
  before.memory = process_memory(opt.server_pid);
  before.server_cpu = process_cpu(opt.server_pid);
  before.own_cpu = own_cpu();
  before.at = now();
  slices[0] = before;
}

void report_end(void) {
  after.at = now();
  after.own_cpu = own_cpu();
  usleep(AFTERWARDS);
  after.server_cpu = process_cpu(opt.server_pid);
  after.memory = process_memory(opt.server_pid);
}

void note_latency(uint64_t since) {
  if (latency_count < opt.operations) latencies[latency_count++] = now() - since;
}

void operation_done(void) {
  operations_done++;
  if (slice_count < opt.slices && operations_done == opt.operations * (slice_count + 1) / opt.slices)
    slices[++slice_count] = (struct moment){.at = now(), .server_cpu = process_cpu(opt.server_pid)};
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static double percentile(long percent) {
  return latency_count ? (double)latencies[latency_count * percent / 100] / 1e3 : 0;
}

double report_seconds(void) {
  return (double)(after.at - before.at) / 1e9;
}

static void print_slices(void) {
  printf(",\"slices\":[");
  for (long i = 0; i < slice_count; i++) {
    double count = (double)(opt.operations * (i + 1) / opt.slices - opt.operations * i / opt.slices);
    printf("%s{\"ops_per_s\":%.0f,\"server_cpu_us_per_op\":%.3f}", i ? "," : "",
           count / ((double)(slices[i + 1].at - slices[i].at) / 1e9),
           (slices[i + 1].server_cpu - slices[i].server_cpu) * 1e6 / count);
  }
  putchar(']');
}

void report_print(const char *extra, double value) {
  double count = (double)operations_done, seconds = report_seconds();
  qsort(latencies, (size_t)latency_count, sizeof *latencies, by_value);
  printf("{\"mode\":\"%s\",\"ops\":%ld,\"seconds\":%.6f,\"ops_per_s\":%.0f,\"server_cpu_us_per_op\":%.3f,"
         "\"p50_us\":%.1f,\"p99_us\":%.1f,\"rss_before\":%ld,\"rss_after\":%ld,\"loadgen_busy\":%.2f",
         opt.mode_name, operations_done, seconds, count / seconds,
         operations_done ? (after.server_cpu - before.server_cpu) * 1e6 / count : 0, percentile(50),
         percentile(99), before.memory, after.memory, (after.own_cpu - before.own_cpu) / seconds);
  if (opt.slices) print_slices();
  if (extra) printf(",\"%s\":%.2f", extra, value);
  puts("}");
}
