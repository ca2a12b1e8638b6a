/* SPDX-License-Identifier: MIT */
/* base.c: what the sources under test find below them in a model: memory of one execution
 * instead of malloc (alloc.h), a failed execution instead of abort() (assert.h), the threads
 * of the model for a fence in all of them (membarrier.h). */
#include "model.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/base/membarrier.h"

#include <stdarg.h>
#include <stdio.h>

void *pi_malloc(size_t size)
{
    return model_alloc(size, 16);
}

void *pi_zalloc(size_t size)
{
    return model_alloc(size, 16);
}

void *pi_aligned_zalloc(size_t align, size_t size)
{
    return model_alloc(size, align);
}

void pi_free(void *p)
{
    model_free(p);
}

void *pi_pages_alloc(size_t size)
{
    return model_alloc(size, 4096);
}

void pi_pages_free(void *p, size_t size)
{
    (void)size;
    if (p)
        model_free(p);
}

void pi_fatal(const char *format, ...)
{
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    model_fail("%s", what);
}

bool pi_membarrier_ready(void)
{
    return true;
}

void pi_membarrier(void)
{
    model_membarrier();
}
