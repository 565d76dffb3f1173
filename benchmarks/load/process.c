#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

long process_memory(int pid) {
  char path[64];
  long total = 0, resident = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", pid);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  if (fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
  fclose(file);
  return resident * sysconf(_SC_PAGESIZE);
}

/* To the nanosecond, where the kernel keeps statistics of scheduling: the sum over the threads. */
static double cpu_of_threads(int pid) {
  char path[64];
  double seconds = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *threads = opendir(path);
  if (!threads) return 0;
  for (struct dirent *thread; (thread = readdir(threads));) {
    char name[512];
    unsigned long long nanoseconds;
    if (thread->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "/proc/%d/task/%s/schedstat", pid, thread->d_name);
    FILE *file = fopen(name, "r");
    if (!file) continue;
    if (fscanf(file, "%llu", &nanoseconds) == 1) seconds += (double)nanoseconds / 1e9;
    fclose(file);
  }
  closedir(threads);
  return seconds;
}

/* In ticks of the clock, commonly a hundredth of a second. */
static double cpu_in_ticks(int pid) {
  char path[64], line[1024] = "";
  unsigned long user = 0, kernel = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  if (!fgets(line, sizeof line, file)) line[0] = 0;
  fclose(file);
  /* The second field is the program's name in brackets, and may itself have spaces and brackets. */
  char *rest = strrchr(line, ')');
  if (rest) sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
  return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

double process_cpu(int pid) {
  double seconds = cpu_of_threads(pid);
  return seconds > 0 ? seconds : cpu_in_ticks(pid);
}
