/* What a client, a worker and a server share: growing buffers, and Gearman's packets in them. */
#ifndef WIRE_H
#define WIRE_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

enum packet_type {
  CAN_DO = 1,
  PRE_SLEEP = 4,
  NOOP = 6,
  SUBMIT_JOB = 7,
  JOB_CREATED = 8,
  GRAB_JOB = 9,
  NO_JOB = 10,
  JOB_ASSIGN = 11,
  WORK_COMPLETE = 13,
  ECHO_REQ = 16,
  ECHO_RES = 17,
  SUBMIT_JOB_BG = 18,
  ERROR_RES = 19,
  SUBMIT_JOB_HIGH = 21,
  SUBMIT_JOB_HIGH_BG = 32,
  SUBMIT_JOB_LOW = 33,
  SUBMIT_JOB_LOW_BG = 34,
};

#define REQUEST "\0REQ"
#define RESPONSE "\0RES"

enum { HEADER_SIZE = 12, READ_SIZE = 256 * 1024 };

/* Bytes from `start` up to `end`; what lies before was sent, or understood, and what lies behind is room. */
struct buffer {
  char *data;
  size_t start, end, capacity;
};

/* Memory that is always there: without it there is nothing to measure, and the program ends. */
void *allocate(size_t count, size_t size);
void *reallocate(void *memory, size_t size);

/* Make room for that many more bytes behind what is there, and say where. */
char *buffer_room(struct buffer *b, size_t size);

/* Forget the bytes before `start`, at no cost when nothing is left. */
void buffer_compact(struct buffer *b);

/* Begin a packet with a body of that many bytes, and say where the body goes. */
char *packet_begin(struct buffer *b, const char magic[4], uint32_t type, size_t body);

/* Append a packet whose body is `a` and then `c`. */
void packet_add(struct buffer *b, const char magic[4], uint32_t type, const void *a, size_t a_size,
                const void *c, size_t c_size);

/* Take the next whole packet out of what was received: false when there is none yet. The body is good until
 * the buffer changes. */
static inline int packet_next(struct buffer *b, uint32_t *type, char **body, uint32_t *size) {
  if (b->end - b->start < HEADER_SIZE) return 0;
  char *at = b->data + b->start;
  memcpy(type, at + 4, 4);
  memcpy(size, at + 8, 4);
  *type = ntohl(*type);
  *size = ntohl(*size);
  if (b->end - b->start - HEADER_SIZE < *size) return 0;
  *body = at + HEADER_SIZE;
  b->start += HEADER_SIZE + (size_t)*size;
  return 1;
}

/* Write a number in decimal without a NUL, and return its length. printf takes longer than a packet may. */
size_t put_number(char *at, unsigned long number);

#endif
