#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

static void out_of_memory(void) {
  fputs("out of memory\n", stderr);
  exit(1);
}

void *allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) out_of_memory();
  return memory;
}

void *reallocate(void *memory, size_t size) {
  memory = realloc(memory, size);
  if (!memory) out_of_memory();
  return memory;
}

char *buffer_room(struct buffer *b, size_t size) {
  if (b->end + size > b->capacity) {
    b->capacity = (b->end + size) * 2 + 256;
    b->data = reallocate(b->data, b->capacity);
  }
  return b->data + b->end;
}

void buffer_compact(struct buffer *b) {
  if (!b->start) return;
  b->end -= b->start;
  if (b->end) memmove(b->data, b->data + b->start, b->end);
  b->start = 0;
}

char *packet_begin(struct buffer *b, const char magic[4], uint32_t type, size_t body) {
  uint32_t network_type = htonl(type), network_size = htonl((uint32_t)body);
  char *at = buffer_room(b, HEADER_SIZE + body);
  memcpy(at, magic, 4);
  memcpy(at + 4, &network_type, 4);
  memcpy(at + 8, &network_size, 4);
  b->end += HEADER_SIZE + body;
  return at + HEADER_SIZE;
}

void packet_add(struct buffer *b, const char magic[4], uint32_t type, const void *a, size_t a_size,
                const void *c, size_t c_size) {
  char *body = packet_begin(b, magic, type, a_size + c_size);
  if (a_size) memcpy(body, a, a_size);
  if (c_size) memcpy(body + a_size, c, c_size);
}

size_t put_number(char *at, unsigned long number) {
  char digits[24];
  size_t count = 0;
  do
    digits[count++] = (char)('0' + number % 10);
  while (number /= 10);
  for (size_t i = 0; i < count; i++) at[i] = digits[count - 1 - i];
  return count;
}
