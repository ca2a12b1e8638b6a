/* SPDX-License-Identifier: MIT */
/* alloc.h: the one door to memory. Today it leads to the process's malloc, which is
 * jemalloc where the executable links that; pi_alloc_live() finds out. Objects on a hot
 * path come from caches above this door, not through it. */
#ifndef PI_ALLOC_H
#define PI_ALLOC_H

#include <stddef.h>

/** As malloc(3), calloc(3) of one object, aligned_alloc(3), free(3). */
void *pi_malloc(size_t size) __attribute__((malloc, warn_unused_result));
void *pi_zalloc(size_t size) __attribute__((malloc, warn_unused_result));
void *pi_aligned_zalloc(size_t align, size_t size) __attribute__((malloc, warn_unused_result));
void pi_free(void *p);

/** Zeroed pages straight from the kernel, for a table that stays mostly untouched: it costs
 *  no memory before it is touched, and goes back at once. (A table of 66 KiB from malloc, made
 *  and freed with each of many short-lived executors, left jemalloc with 50 KiB more that it
 *  did not use again, each time, until its decay after ten seconds.)
 *  @return page-aligned; NULL: no memory. Sizes need not be multiples of a page. */
void *pi_pages_alloc(size_t size) __attribute__((malloc, warn_unused_result));
void pi_pages_free(void *p, size_t size);

/** In between, ThreadSanitizer does not look at writes: they go to memory that nobody else knows
 *  of yet. Elsewhere they do nothing. */
void pi_unseen_begin(void);
void pi_unseen_end(void);

typedef int pi_mallctl_fn(const char *name, void *old, size_t *old_size, void *new_value,
                          size_t size);

/** jemalloc's mallctl(3), or NULL if it is not the process's malloc. */
pi_mallctl_fn *pi_alloc_mallctl(void);

/** "jemalloc" if a malloc() moves jemalloc's own counter, else "system". Asked once. */
const char *pi_alloc_live(void);

#endif
