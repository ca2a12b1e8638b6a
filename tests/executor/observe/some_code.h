/* SPDX-License-Identifier: MIT */
/* some_code.h: addresses in the code of this process, at random. */
#ifndef PICA_TESTS_SOME_CODE_H
#define PICA_TESTS_SOME_CODE_H

#include "tests/check.h"

#include <link.h>

#define TEXTS 16
static struct {
    uintptr_t low, size;
} texts[TEXTS];
static size_t texts_count;

static inline int add_text(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum && texts_count < TEXTS; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
            texts[texts_count].low = info->dlpi_addr + p->p_vaddr;
            texts[texts_count++].size = p->p_memsz;
        }
    }
    return 0;
}

static inline uintptr_t some_code(check_rng *rng)
{
    if (texts_count == 0)
        dl_iterate_phdr(add_text, NULL);
    CHECK_FATAL(texts_count > 0);
    size_t i = check_rng_below(rng, texts_count);
    return texts[i].low + check_rng_below(rng, texts[i].size);
}

#endif
