/* SPDX-License-Identifier: MIT */
/* cfi.c: see cfi.h. From the inside out: a rule, the program's instructions, the entries that
 * the program comes in. */
#include "executor/observe/cfi.h"

#include "executor/observe/reader.h"

/* ---- what the program works on ---- */

#define REMEMBERED 2 /* rows; compilers nest them once */

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

/* An offset in units of data_align; of a nonsensical one something. */
static int32_t scaled(const machine *m, uint64_t n)
{
    return (int32_t)(n * (uint64_t)m->data_align);
}

static void rule(machine *m, uint64_t number, pi_rule_kind kind, int32_t offset)
{
    if (number < PI_DWARF_REGISTERS)
        m->row.rules[number] = (pi_rule){(uint8_t)kind, 0, offset};
}

static void rule_of_other(machine *m, uint64_t number, pi_rule_kind kind, uint64_t other,
                          int32_t offset)
{
    if (other >= PI_DWARF_REGISTERS)
        rule(m, number, PI_RULE_UNDEFINED, 0);
    else if (number < PI_DWARF_REGISTERS)
        m->row.rules[number] = (pi_rule){(uint8_t)kind, (uint8_t)other, offset};
}

/* The CFA is a register + offset. */
static void cfa(machine *m, pi_reader *r, uint64_t number, int32_t offset)
{
    if (number >= PI_DWARF_REGISTERS)
        r->bad = true;
    else
        m->row.cfa = (pi_rule){PI_RULE_MOVED, (uint8_t)number, offset};
}

/* An expression that is an address: only "register + offset", perhaps "what lies there", which is
 * what gcc makes where it aligns a frame by more than 16. Others leave the rule undefined. */
static pi_rule expression(pi_reader *r)
{
    uint64_t length = pi_read_uleb(r);
    pi_rule none = {PI_RULE_UNDEFINED, 0, 0};
    pi_reader e = *r;
    pi_read_skip(r, length);
    if (r->bad)
        return none;
    e.end = r->at;
    uint8_t op = (uint8_t)pi_read_fixed(&e, 1);
    if (op < 0x70 || op > 0x8f) /* DW_OP_breg0 to 31 */
        return none;
    int32_t offset = (int32_t)pi_read_sleb(&e);
    uint8_t number = (uint8_t)(op - 0x70);
    bool deref = e.at < e.end;
    if (deref && pi_read_fixed(&e, 1) != 0x06) /* DW_OP_deref */
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

static void remember(machine *m, pi_reader *r)
{
    if (m->depth == REMEMBERED)
        r->bad = true;
    else
        m->remembered[m->depth++] = m->row;
}

static void recall(machine *m, pi_reader *r)
{
    if (m->depth == 0)
        r->bad = true;
    else
        m->row = m->remembered[--m->depth];
}

/* ---- the program ---- */

/* Those instructions whose operands follow as numbers of their own. */
static void extended(machine *m, pi_reader *r, uint8_t op)
{
    uint64_t number;
    pi_rule how;
    switch (op) {
    case 0x00: /* nop */
        break;
    case 0x01: /* set_loc */
        m->location = pi_read_pointer(r, m->encoding);
        break;
    case 0x02: /* advance_loc1, 2, 4 */
    case 0x03:
    case 0x04:
        m->location += pi_read_fixed(r, (size_t)1 << (op - 2)) * m->code_align;
        break;
    case 0x05: /* offset_extended */
        number = pi_read_uleb(r);
        rule(m, number, PI_RULE_SAVED, scaled(m, pi_read_uleb(r)));
        break;
    case 0x06: /* restore_extended */
        restore(m, pi_read_uleb(r));
        break;
    case 0x07: /* undefined */
        rule(m, pi_read_uleb(r), PI_RULE_UNDEFINED, 0);
        break;
    case 0x08: /* same_value */
        rule(m, pi_read_uleb(r), PI_RULE_SAME, 0);
        break;
    case 0x09: /* register */
        number = pi_read_uleb(r);
        rule_of_other(m, number, PI_RULE_MOVED, pi_read_uleb(r), 0);
        break;
    case 0x0a: /* remember_state */
        remember(m, r);
        break;
    case 0x0b: /* restore_state */
        recall(m, r);
        break;
    case 0x0c: /* def_cfa */
        number = pi_read_uleb(r);
        cfa(m, r, number, (int32_t)pi_read_uleb(r));
        break;
    case 0x0d: /* def_cfa_register */
        cfa(m, r, pi_read_uleb(r), m->row.cfa.offset);
        break;
    case 0x0e: /* def_cfa_offset */
        cfa(m, r, m->row.cfa.other, (int32_t)pi_read_uleb(r));
        break;
    case 0x0f: /* def_cfa_expression */
        m->row.cfa = expression(r);
        break;
    case 0x10: /* expression: where it lies */
        number = pi_read_uleb(r);
        how = expression(r);
        if (how.kind == PI_RULE_MOVED)
            rule_of_other(m, number, PI_RULE_SAVED_AT, how.other, how.offset);
        else
            rule(m, number, PI_RULE_UNDEFINED, 0);
        break;
    case 0x11: /* offset_extended_sf */
        number = pi_read_uleb(r);
        rule(m, number, PI_RULE_SAVED, scaled(m, (uint64_t)pi_read_sleb(r)));
        break;
    case 0x12: /* def_cfa_sf */
        number = pi_read_uleb(r);
        cfa(m, r, number, scaled(m, (uint64_t)pi_read_sleb(r)));
        break;
    case 0x13: /* def_cfa_offset_sf */
        cfa(m, r, m->row.cfa.other, scaled(m, (uint64_t)pi_read_sleb(r)));
        break;
    case 0x14: /* val_offset */
        number = pi_read_uleb(r);
        rule(m, number, PI_RULE_VALUE, scaled(m, pi_read_uleb(r)));
        break;
    case 0x15: /* val_offset_sf */
        number = pi_read_uleb(r);
        rule(m, number, PI_RULE_VALUE, scaled(m, (uint64_t)pi_read_sleb(r)));
        break;
    case 0x16: /* val_expression: nothing that we would need */
        number = pi_read_uleb(r);
        (void)expression(r);
        rule(m, number, PI_RULE_UNDEFINED, 0);
        break;
    case 0x2d: /* AARCH64_negate_ra_state: whoever uses a return address strips it anyway */
        break;
    case 0x2e: /* GNU_args_size */
        (void)pi_read_uleb(r);
        break;
    default:
        r->bad = true;
        break;
    }
}

/* Run a program until it has passed pc. */
static void execute(machine *m, pi_reader *r, uintptr_t pc)
{
    while (r->at < r->end && !r->bad) {
        uint8_t op = (uint8_t)pi_read_fixed(r, 1);
        switch (op >> 6) {
        case 1: /* advance_loc */
            m->location += (op & 0x3f) * m->code_align;
            break;
        case 2: /* offset */
            rule(m, op & 0x3f, PI_RULE_SAVED, scaled(m, pi_read_uleb(r)));
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

/* ---- the entries ---- */

/* The part of a CIE or FDE that follows its length. */
static pi_reader entry_at(const uint8_t *at, const uint8_t *high)
{
    pi_reader r = {at, high, false};
    uint64_t length = pi_read_fixed(&r, 4);
    if (length > (uint64_t)(r.end - r.at)) /* 2^32 - 1: longer than any of ours */
        r.bad = true;
    else
        r.end = r.at + length;
    return r;
}

/* The letters say what the augmentation data hold. */
static void augmentation(machine *m, pi_reader *r, const char *letters)
{
    m->encoding = 0;
    m->sized = *letters == 'z';
    if (!m->sized) {
        r->bad |= *letters != 0;
        return;
    }
    uint64_t length = pi_read_uleb(r);
    pi_reader data = *r;
    pi_read_skip(r, length);
    data.end = r->at;
    for (letters++; *letters && !r->bad; letters++) {
        if (*letters == 'R')
            m->encoding = (uint8_t)pi_read_fixed(&data, 1);
        else if (*letters == 'L')
            (void)pi_read_fixed(&data, 1);
        else if (*letters == 'P') /* whether it is the address of an address does not matter */
            (void)pi_read_pointer(&data, (uint8_t)pi_read_fixed(&data, 1) & 0x7f);
        else if (*letters != 'S' && *letters != 'B')
            data.bad = true;
        r->bad |= data.bad;
    }
}

/* What a CIE has for all its functions. */
static bool begin(machine *m, pi_reader cie)
{
    uint64_t id = pi_read_fixed(&cie, 4), version = pi_read_fixed(&cie, 1);
    const char *letters = pi_read_string(&cie);
    if (cie.bad || id != 0 || (version != 1 && version != 3))
        return false;
    m->code_align = pi_read_uleb(&cie);
    m->data_align = pi_read_sleb(&cie);
    m->row.return_register = (uint32_t)pi_read_uleb(&cie); /* version 1: a byte, of 7 bits */
    augmentation(m, &cie, letters);
    m->row.cfa.kind = PI_RULE_UNDEFINED;
    m->location = 0;
    execute(m, &cie, UINTPTR_MAX);
    m->initial = m->row;
    return !cie.bad && m->row.return_register < PI_DWARF_REGISTERS;
}

bool pi_cfi_row(const uint8_t *at, const uint8_t *low, const uint8_t *high, uintptr_t pc,
                pi_row *row)
{
    machine m = {.depth = 0};
    if (at < low || at > high)
        return false;
    pi_reader fde = entry_at(at, high);
    const uint8_t *back_from = fde.at;
    uint64_t back = pi_read_fixed(&fde, 4);
    if (fde.bad || back > (uint64_t)(back_from - low) ||
        !begin(&m, entry_at(back_from - back, high)))
        return false;
    uintptr_t first = pi_read_pointer(&fde, m.encoding);
    uintptr_t length = pi_read_pointer(&fde, m.encoding & PI_READ_FORMAT);
    if (m.sized)
        pi_read_skip(&fde, pi_read_uleb(&fde));
    if (fde.bad || pc - first >= length)
        return false;
    m.location = first;
    execute(&m, &fde, pc);
    if (fde.bad || m.row.cfa.kind == PI_RULE_UNDEFINED)
        return false;
    *row = m.row;
    return true;
}
