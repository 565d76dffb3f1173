/* What loadgen is asked to do. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

enum mode { ECHO, SUBMIT, DRAIN, FOREGROUND, STREAM, STEADY, COALESCE, FLOOD, REGISTER, CONNECT, SERVE };

struct options {
  const char *host;
  int port, server_pid;
  enum mode mode;
  const char *mode_name;
  bool with_clients, with_workers;
  long operations;
  bool endless; /* until nothing is left or it is ended, however many operations that takes */
  long clients, workers, idle;
  long depth, grabs;
  long size, functions;
  long unique, priorities;
  long queued;
  long slices;
  long patience;
};

/* Read the command line; what is wrong with it ends the program with one line and status 2. */
struct options options_read(int count, char **words);

#endif
