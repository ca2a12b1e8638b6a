/* SPDX-License-Identifier: MIT */
/* eh_frame.c: see eh_frame.h. After the Linux Standard Base's chapter on .eh_frame and DWARF's on
 * call frame information. From the outside in: the module with the address, its sorted index
 * (.eh_frame_hdr), the function's entry (FDE) with what it shares with others (CIE), and the
 * small program in both that makes the row. */
#include "executor/observe/eh_frame.h"

#include <link.h>
#include <string.h>

/* ---- reading ---- */

typedef struct reader {
    const uint8_t *at, *end;
    bool bad; /* ran over the end, or met what it does not know; all that follows is zero */
} reader;

static uint64_t fixed(reader *r, size_t size)
{
    uint8_t bytes[8] = {0};
    if (r->bad || (size_t)(r->end - r->at) < size) {
        r->bad = true;
        return 0;
    }
    memcpy(bytes, r->at, size);
    r->at += size;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) /* both architectures are little-endian */
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static uint64_t leb(reader *r, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = (uint8_t)fixed(r, 1);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80 && !r->bad);
    if (is_signed && byte & 0x40 && shift < 64)
        value |= ~(uint64_t)0 << shift;
    return value;
}

static uint64_t uleb(reader *r)
{
    return leb(r, false);
}

static int64_t sleb(reader *r)
{
    return (int64_t)leb(r, true);
}

static void skip(reader *r, uint64_t n)
{
    if (n > (uint64_t)(r->end - r->at))
        r->bad = true;
    else
        r->at += n;
}

/* A pointer in one of the encodings; relative ones count from where they stand. */
#define RELATIVE 0x10
static uintptr_t pointer(reader *r, uint8_t encoding)
{
    uintptr_t here = (uintptr_t)r->at;
    uint64_t value;
    switch (encoding & 0x0f) {
    case 0x00:
    case 0x04:
    case 0x0c:
        value = fixed(r, 8);
        break;
    case 0x02:
        value = fixed(r, 2);
        break;
    case 0x03:
        value = fixed(r, 4);
        break;
    case 0x0a:
        value = (uint64_t)(int16_t)fixed(r, 2);
        break;
    case 0x0b:
        value = (uint64_t)(int32_t)fixed(r, 4);
        break;
    default:
        r->bad = true;
        return 0;
    }
    return (uintptr_t)value + ((encoding & 0x70) == RELATIVE ? here : 0);
}

/* ---- the program ---- */

#define REMEMBERED 2 /* compilers nest them once */

typedef struct machine {
    uint64_t code_align;
    int64_t data_align;
    uint8_t encoding; /* of the FDE's addresses */
    bool sized;       /* augmentation data have their length before them */
    uintptr_t location;
    pi_row row, initial;
    pi_row remembered[REMEMBERED];
    unsigned depth;
} machine;

static void rule(machine *m, uint64_t number, pi_rule_kind kind, int64_t offset, uint64_t other)
{
    if (number < PI_DWARF_REGISTERS)
        m->row.rules[number] = (pi_rule){(uint8_t)kind, (uint8_t)other, (int32_t)offset};
}

/* A CFA by register and offset, or the offset alone. */
static void cfa_at(machine *m, reader *r, uint64_t number, int64_t offset)
{
    if (number >= PI_DWARF_REGISTERS)
        r->bad = true;
    m->row.cfa = (pi_rule){PI_RULE_MOVED, (uint8_t)number, (int32_t)offset};
}

/* An expression that is an address: only "register + offset", perhaps "what lies there", which is
 * what gcc makes where it aligns a frame by more than 16. Others leave the rule undefined. */
static pi_rule expression(reader *r)
{
    uint64_t length = uleb(r);
    pi_rule none = {PI_RULE_UNDEFINED, 0, 0};
    if (r->bad || length > (uint64_t)(r->end - r->at)) {
        r->bad = true;
        return none;
    }
    reader e = {r->at, r->at + length, false};
    r->at = e.end;
    uint8_t op = (uint8_t)fixed(&e, 1);
    if (e.bad || op < 0x70 || op > 0x8f) /* DW_OP_breg0 to 31 */
        return none;
    int32_t offset = (int32_t)sleb(&e);
    uint8_t number = (uint8_t)(op - 0x70);
    bool deref = e.at < e.end;
    if (deref && fixed(&e, 1) != 0x06) /* DW_OP_deref */
        return none;
    if (e.bad || e.at < e.end)
        return none;
    return (pi_rule){deref ? PI_RULE_SAVED_AT : PI_RULE_MOVED, number, offset};
}

static void restore(machine *m, uint64_t number)
{
    if (number < PI_DWARF_REGISTERS)
        m->row.rules[number] = m->initial.rules[number];
}

static void remember(machine *m, reader *r, bool recall)
{
    if (recall ? m->depth == 0 : m->depth == REMEMBERED)
        r->bad = true;
    else if (recall)
        m->row = m->remembered[--m->depth];
    else
        m->remembered[m->depth++] = m->row;
}

/* Those instructions whose operands follow as numbers of their own. */
static void extended(machine *m, reader *r, uint8_t op)
{
    uint64_t number;
    pi_rule how;
    switch (op) {
    case 0x00: /* nop */
        break;
    case 0x01: /* set_loc */
        m->location = pointer(r, m->encoding);
        break;
    case 0x02: /* advance_loc1, 2, 4 */
    case 0x03:
    case 0x04:
        m->location += fixed(r, (size_t)1 << (op - 2)) * m->code_align;
        break;
    case 0x05: /* offset_extended, _sf */
    case 0x11:
        number = uleb(r);
        rule(m, number, PI_RULE_SAVED, (int64_t)leb(r, op == 0x11) * m->data_align, 0);
        break;
    case 0x06: /* restore_extended */
        restore(m, uleb(r));
        break;
    case 0x07: /* undefined */
        rule(m, uleb(r), PI_RULE_UNDEFINED, 0, 0);
        break;
    case 0x08: /* same_value */
        rule(m, uleb(r), PI_RULE_SAME, 0, 0);
        break;
    case 0x09: /* register */
        number = uleb(r);
        rule(m, number, PI_RULE_MOVED, 0, uleb(r));
        break;
    case 0x0a: /* remember_state, restore_state */
    case 0x0b:
        remember(m, r, op == 0x0b);
        break;
    case 0x0c: /* def_cfa, _sf */
    case 0x12:
        number = uleb(r);
        cfa_at(m, r, number, op == 0x12 ? sleb(r) * m->data_align : (int64_t)uleb(r));
        break;
    case 0x0d: /* def_cfa_register */
        cfa_at(m, r, uleb(r), m->row.cfa.offset);
        break;
    case 0x0e: /* def_cfa_offset, _sf */
    case 0x13:
        cfa_at(m, r, m->row.cfa.other, op == 0x13 ? sleb(r) * m->data_align : (int64_t)uleb(r));
        break;
    case 0x0f: /* def_cfa_expression */
        m->row.cfa = expression(r);
        break;
    case 0x10: /* expression: an address, so register + offset is where it lies */
    case 0x16: /* val_expression */
        number = uleb(r);
        how = expression(r);
        if (op == 0x10 && how.kind == PI_RULE_MOVED)
            rule(m, number, PI_RULE_SAVED_AT, how.offset, how.other);
        else
            rule(m, number, PI_RULE_UNDEFINED, 0, 0);
        break;
    case 0x14: /* val_offset, _sf */
    case 0x15:
        number = uleb(r);
        rule(m, number, PI_RULE_VALUE, (int64_t)leb(r, op == 0x15) * m->data_align, 0);
        break;
    case 0x2d: /* AARCH64_negate_ra_state: whoever uses a return address strips it anyway */
        break;
    case 0x2e: /* GNU_args_size */
        (void)uleb(r);
        break;
    default:
        r->bad = true;
        break;
    }
}

/* Run a program until it has passed pc. */
static void execute(machine *m, reader *r, uintptr_t pc)
{
    while (r->at < r->end && !r->bad) {
        uint8_t op = (uint8_t)fixed(r, 1);
        switch (op >> 6) {
        case 1: /* advance_loc */
            m->location += (op & 0x3f) * m->code_align;
            break;
        case 2: /* offset */
            rule(m, op & 0x3f, PI_RULE_SAVED, (int64_t)uleb(r) * m->data_align, 0);
            break;
        case 3: /* restore */
            restore(m, op & 0x3f);
            break;
        default:
            extended(m, r, op);
            break;
        }
        if (m->location > pc)
            return;
    }
}

/* ---- an entry ---- */

/* The part of a CIE or FDE that follows its length. */
static reader entry_at(const uint8_t *at, const uint8_t *end)
{
    reader r = {at, end, false};
    uint64_t length = fixed(&r, 4);
    if (length == 0 || length > (uint64_t)(r.end - r.at)) /* 2^32 - 1: longer than any of ours */
        r.bad = true;
    else
        r.end = r.at + length;
    return r;
}

/* The letters say what the augmentation data hold. */
static void augmentation(machine *m, reader *r, const char *letters)
{
    m->encoding = 0;
    m->sized = *letters == 'z';
    if (!m->sized) {
        r->bad |= *letters != 0;
        return;
    }
    uint64_t length = uleb(r);
    reader data = {r->at, r->end, r->bad};
    skip(r, length);
    for (letters++; *letters && !data.bad; letters++) {
        if (*letters == 'R')
            m->encoding = (uint8_t)fixed(&data, 1);
        else if (*letters == 'L')
            (void)fixed(&data, 1);
        else if (*letters == 'P')
            (void)pointer(&data, (uint8_t)fixed(&data, 1) & 0x7f);
        else if (*letters != 'S' && *letters != 'B')
            data.bad = true;
    }
    r->bad |= data.bad;
}

static bool begin(machine *m, reader cie)
{
    uint64_t id = fixed(&cie, 4), version = fixed(&cie, 1);
    const char *letters = (const char *)cie.at;
    while (fixed(&cie, 1) != 0) {
    }
    if (cie.bad || id != 0 || (version != 1 && version != 3))
        return false;
    m->code_align = uleb(&cie);
    m->data_align = sleb(&cie);
    m->row.return_register = (uint32_t)(version == 1 ? fixed(&cie, 1) : uleb(&cie));
    augmentation(m, &cie, letters);
    m->row.cfa.kind = PI_RULE_UNDEFINED;
    m->location = 0;
    execute(m, &cie, UINTPTR_MAX);
    m->initial = m->row;
    return !cie.bad && m->row.return_register < PI_DWARF_REGISTERS;
}

/* A function's entry. begin and end bound the module's piece of memory that it lies in. */
static __attribute__((noinline)) bool entry(const uint8_t *at, const uint8_t *low,
                                            const uint8_t *high, uintptr_t pc, pi_row *row)
{
    machine m = {.depth = 0};
    reader fde = entry_at(at, high);
    const uint8_t *back_from = fde.at;
    uint64_t back = fixed(&fde, 4);
    if (fde.bad || back == 0 || back > (uint64_t)(back_from - low) ||
        !begin(&m, entry_at(back_from - back, high)))
        return false;
    uintptr_t first = pointer(&fde, m.encoding);
    uintptr_t length = pointer(&fde, m.encoding & 0x0f);
    if (m.sized)
        skip(&fde, uleb(&fde));
    if (fde.bad || pc - first >= length)
        return false;
    m.location = first;
    execute(&m, &fde, pc);
    *row = m.row;
    return !fde.bad && m.row.cfa.kind != PI_RULE_UNDEFINED;
}

/* ---- a module ---- */

struct search {
    uintptr_t pc;
    pi_row *row;
    bool found;
};

/* The index: pairs of a function's address and its entry's, both relative to the index. */
struct pair {
    int32_t function, entry;
};

/* @return the entry of the last function that begins at or before pc, or NULL */
static const uint8_t *look_up(const uint8_t *index, const uint8_t *end, uintptr_t pc)
{
    reader r = {index, end, false};
    uint64_t version = fixed(&r, 1), frame_encoding = fixed(&r, 1), count_encoding = fixed(&r, 1);
    uint64_t table_encoding = fixed(&r, 1);
    (void)pointer(&r, (uint8_t)frame_encoding);
    uint64_t count = pointer(&r, (uint8_t)count_encoding);
    /* 0x3b: signed, 4 bytes, relative to the index. All linkers write that. */
    if (r.bad || version != 1 || table_encoding != 0x3b || count == 0 ||
        count > (uint64_t)(end - r.at) / sizeof(struct pair))
        return NULL;
    struct pair pair;
    uint64_t low = 0, high = count;
    while (low < high) { /* the first that begins after pc */
        uint64_t middle = low + (high - low) / 2;
        memcpy(&pair, r.at + middle * sizeof(pair), sizeof(pair));
        if ((uintptr_t)index + (uintptr_t)(intptr_t)pair.function <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    memcpy(&pair, r.at + (low - 1) * sizeof(pair), sizeof(pair));
    return index + pair.entry;
}

/* The piece of a module that an address lies in, or NULL. */
static const ElfW(Phdr) * segment(const struct dl_phdr_info *info, uintptr_t address)
{
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_R &&
            address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz)
            return p;
    }
    return NULL;
}

static int module(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    (void)size;
    if (!segment(info, search->pc))
        return 0; /* the next one, please */
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_GNU_EH_FRAME)
            continue;
        const uint8_t *index = (const uint8_t *)(info->dlpi_addr + p->p_vaddr);
        const uint8_t *at = look_up(index, index + p->p_memsz, search->pc);
        const ElfW(Phdr) *in = at ? segment(info, (uintptr_t)at) : NULL;
        if (!in)
            continue;
        const uint8_t *low = (const uint8_t *)(info->dlpi_addr + in->p_vaddr);
        search->found = entry(at, low, low + in->p_memsz, search->pc, search->row);
    }
    return 1;
}

bool pi_eh_row(uintptr_t pc, pi_row *row)
{
    struct search search = {pc, row, false};
    (void)dl_iterate_phdr(module, &search);
    return search.found;
}
