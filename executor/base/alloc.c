/* SPDX-License-Identifier: MIT */
/* alloc.c: see alloc.h. jemalloc is looked up, never linked: a shared library that drags
 * it in would put two heaps into its host. That its symbols exist proves nothing (it may be
 * loaded beside another malloc), so the check asks whether our malloc moves its counter. */
#include "executor/base/alloc.h"

#include "executor/base/atomics.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef PI_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* Switching between a worker's loop and its tasks orders nothing for the sanitizer, so memory
 * that a task allocates and the loop first touches, by atomics, would count as a race between
 * that access and the zeroing. Nobody else can know of memory that has just been allocated. */
#ifdef PI_TSAN
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

void pi_unseen_begin(void)
{
#ifdef PI_TSAN
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
}

void pi_unseen_end(void)
{
#ifdef PI_TSAN
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
#endif
}

void *pi_malloc(size_t size)
{
    return malloc(size);
}

void *pi_zalloc(size_t size)
{
    return calloc(1, size);
}

void *pi_aligned_zalloc(size_t align, size_t size)
{
    if (size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) / align * align;
    pi_unseen_begin();
    void *p = aligned_alloc(align, size);
    if (p)
        memset(p, 0, size);
    pi_unseen_end();
    return p;
}

void pi_free(void *p)
{
    free(p);
}

void *pi_pages_alloc(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
#ifdef PI_ASAN
    __lsan_register_root_region(p, size);
#endif
    return p;
}

void pi_pages_free(void *p, size_t size)
{
    if (!p)
        return;
#ifdef PI_ASAN
    __lsan_unregister_root_region(p, size);
#endif
    (void)munmap(p, size);
}

static pi_mallctl_fn *find_mallctl(void)
{
    pi_mallctl_fn *mallctl;
    *(void **)&mallctl = dlsym(RTLD_DEFAULT, "mallctl");
    return mallctl;
}

static bool jemalloc_is_live(void)
{
    pi_mallctl_fn *mallctl = find_mallctl();
    if (!mallctl)
        return false;
    uint64_t *allocated = NULL;
    size_t len = sizeof(allocated);
    if (mallctl("thread.allocatedp", &allocated, &len, NULL, 0) != 0 || !allocated)
        return false;
    uint64_t before = *(volatile uint64_t *)allocated;
    void *volatile probe = malloc(64);
    bool moved = *(volatile uint64_t *)allocated != before;
    free(probe);
    return moved;
}

pi_mallctl_fn *pi_alloc_mallctl(void)
{
    static pi_mallctl_fn *known; /* [atomic] as below */
    pi_mallctl_fn *mallctl = pi_load_relaxed(&known);
    if (!mallctl && pi_alloc_live()[0] == 'j') {
        mallctl = find_mallctl();
        pi_store_relaxed(&known, mallctl);
    }
    return mallctl;
}

const char *pi_alloc_live(void)
{
    static int known; /* [atomic] 0: not asked; the answer never changes, so a race is benign */
    int k = pi_load_relaxed(&known);
    if (!k) {
        k = jemalloc_is_live() ? 1 : 2;
        pi_store_relaxed(&known, k);
    }
    return k == 1 ? "jemalloc" : "system";
}
