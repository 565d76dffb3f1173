/* What was done, when, and what it took: the figures of a run. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include "options.h"

/* Exit statuses; 0 is for a run that did all its operations. */
enum { NO_CONNECTION = 1, REFUSED = 2, STALLED = 3, CLOSED = 4 };

extern long operations_done;

uint64_t now(void);

/* End the program with one line that says how far it came. */
_Noreturn void give_up(int status, const char *what);

/* Begin to measure, as late as possible; end, as soon as possible. */
void report_prepare(const struct options *options);
void report_begin(void);
void report_end(void);

void note_latency(uint64_t since);
void operation_done(void);

/* Print the figures as a line of JSON; `extra` is the name of one that only this mode has, or NULL. */
void report_print(const char *extra, double value);

/* Seconds from `report_begin` to `report_end`. */
double report_seconds(void);

#endif
