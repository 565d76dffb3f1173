/* What a process has used so far, from /proc: nothing, if it is not there or not ours to see. */
#ifndef PROCESS_H
#define PROCESS_H

/* Bytes of memory that it has resident. */
long process_memory(int pid);

/* Seconds that its threads have run. */
double process_cpu(int pid);

#endif
