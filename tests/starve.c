/* To be preloaded: lets allocations fail that are asked for between two addresses, those of the code under test. */

#include <stddef.h>
#include <stdint.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static uintptr_t first, end;
static long left; /* allocations until one fails; 0 for none */
static int for_good;
static int failed;

/* Let the allocation with that number fail; with `and_on` all that follow it too. 0 for none. */
void starve(uintptr_t from, uintptr_t to, long number, int and_on)
{
    first = from;
    end = to;
    left = number;
    for_good = and_on;
    if (number)
        failed = 0;
}

/* Whether one has failed. */
int has_starved(void)
{
    return failed;
}

static int fails(void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    if (at < first || at >= end || left <= 0)
        return 0;
    if (left > 1)
        return --left, 0;
    left = for_good;
    return failed = 1;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}
