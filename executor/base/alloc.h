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

/** "jemalloc" if a malloc() moves jemalloc's own counter, else "system". Asked once. */
const char *pi_alloc_live(void);

#endif
