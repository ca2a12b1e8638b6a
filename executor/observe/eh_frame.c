/* SPDX-License-Identifier: MIT */
/* eh_frame.c: see eh_frame.h. */
#include "executor/observe/eh_frame.h"

#include "executor/observe/reader.h"

#include <link.h>
#include <string.h>

/* ---- an index ---- */

/* A function's address and its entry's, both relative to the index. */
struct pair {
    int32_t function, entry;
};

static uintptr_t relative(const uint8_t *index, int32_t offset)
{
    return (uintptr_t)index + (uintptr_t)(intptr_t)offset;
}

uintptr_t pi_eh_look_up(const uint8_t *index, const uint8_t *end, uintptr_t pc)
{
    pi_reader r = {index, end, false};
    uint64_t version = pi_read_fixed(&r, 1);
    uint8_t frame_encoding = (uint8_t)pi_read_fixed(&r, 1);
    uint8_t count_encoding = (uint8_t)pi_read_fixed(&r, 1);
    uint8_t table_encoding = (uint8_t)pi_read_fixed(&r, 1);
    (void)pi_read_pointer(&r, frame_encoding);
    uint64_t count = pi_read_pointer(&r, count_encoding);
    /* 0x3b: signed, 4 bytes, relative to the index. All linkers write that. */
    if (r.bad || version != 1 || table_encoding != 0x3b ||
        count > (uint64_t)(end - r.at) / sizeof(struct pair))
        return 0;
    struct pair pair;
    uint64_t low = 0, high = count;
    while (low < high) { /* the first that begins after pc */
        uint64_t middle = low + (high - low) / 2;
        memcpy(&pair, r.at + middle * sizeof(pair), sizeof(pair));
        if (relative(index, pair.function) <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    memcpy(&pair, r.at + (low - 1) * sizeof(pair), sizeof(pair));
    return relative(index, pair.entry);
}

/* ---- a module ---- */

struct search {
    uintptr_t pc;
    pi_row *row;
    bool found;
};

/* A piece of a module's memory. */
struct span {
    const uint8_t *low, *high;
};

/* The readable piece that an address lies in. @return false: it is none of the module's */
static bool span_of(const struct dl_phdr_info *info, uintptr_t address, struct span *out)
{
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t low = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_R) || address - low >= p->p_memsz)
            continue;
        *out = (struct span){(const uint8_t *)low, (const uint8_t *)low + p->p_memsz};
        return true;
    }
    return false;
}

static bool row_by_index(const struct dl_phdr_info *info, const ElfW(Phdr) *p, uintptr_t pc,
                         pi_row *row)
{
    uintptr_t index = info->dlpi_addr + p->p_vaddr;
    struct span span;
    if (!span_of(info, index, &span) || p->p_memsz > (uintptr_t)span.high - index)
        return false;
    const uint8_t *at = (const uint8_t *)index;
    uintptr_t entry = pi_eh_look_up(at, at + p->p_memsz, pc);
    return span_of(info, entry, &span) &&
           pi_cfi_row((const uint8_t *)entry, span.low, span.high, pc, row);
}

static int module(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    struct span span;
    (void)size;
    if (!span_of(info, search->pc, &span))
        return 0; /* the next one, please */
    for (ElfW(Half) i = 0; i < info->dlpi_phnum && !search->found; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            search->found = row_by_index(info, &info->dlpi_phdr[i], search->pc, search->row);
    return 1;
}

bool pi_eh_row(uintptr_t pc, pi_row *row)
{
    struct search search = {pc, row, false};
    (void)dl_iterate_phdr(module, &search);
    return search.found;
}
