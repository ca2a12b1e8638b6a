/* SPDX-License-Identifier: MIT */
/* unwind.c: see unwind.h. */
#include "executor/observe/unwind.h"

#include "executor/base/atomics.h"
#include "executor/observe/eh_frame.h"

#include <string.h>

typedef struct walk {
    const pi_unwind_from *from;
    uintptr_t pc;
    uintptr_t value[PI_DWARF_REGISTERS];
    bool known[PI_DWARF_REGISTERS];
} walk;

/* Another thread's stack: neither its redzones nor its races are ours to care about. */
#if defined(PI_ASAN)
__attribute__((no_sanitize("address")))
#endif
static __attribute__((noinline)) bool
load(const walk *w, uintptr_t at, uintptr_t *out)
{
    if (at % sizeof(*out) || at < w->from->low || at > w->from->top - sizeof(*out))
        return false;
    *out = *(const volatile uintptr_t *)at;
    return true;
}

/* A return address as the program counter: on aarch64 it may be signed. */
static uintptr_t plain_address(uintptr_t pc)
{
#if defined(__aarch64__)
    register uintptr_t x30 __asm__("x30") = pc;
    __asm__("hint #7" : "+r"(x30)); /* xpaclri; nothing where there is no such thing */
    return x30;
#else
    return pc;
#endif
}

/* ---- by call-frame information ---- */

static bool find_cfa(const walk *w, pi_rule rule, uintptr_t *cfa)
{
    if (!w->known[rule.other])
        return false;
    *cfa = w->value[rule.other] + (uintptr_t)(intptr_t)rule.offset;
    return rule.kind == PI_RULE_MOVED || load(w, *cfa, cfa);
}

/* The caller's value of one register. @return false: nobody knows */
static bool recover(const walk *w, unsigned number, pi_rule rule, uintptr_t cfa, uintptr_t *out)
{
    uintptr_t offset = (uintptr_t)(intptr_t)rule.offset;
    switch (rule.kind) {
    case PI_RULE_SAME:
        *out = w->value[number];
        return w->known[number];
    case PI_RULE_SAVED:
        return load(w, cfa + offset, out);
    case PI_RULE_SAVED_AT:
        return w->known[rule.other] && load(w, w->value[rule.other] + offset, out);
    case PI_RULE_VALUE:
        *out = cfa + offset;
        return true;
    case PI_RULE_MOVED:
        *out = w->value[rule.other];
        return w->known[rule.other];
    default:
        return false;
    }
}

static bool step_by_table(walk *w, const pi_row *row)
{
    walk caller;
    uintptr_t cfa;
    if (!find_cfa(w, row->cfa, &cfa) || cfa <= w->value[PI_DWARF_SP] || cfa > w->from->top)
        return false;
    for (unsigned i = 0; i < PI_DWARF_REGISTERS; i++)
        caller.known[i] = recover(w, i, row->rules[i], cfa, &caller.value[i]);
    if (!caller.known[row->return_register])
        return false; /* the outermost frame */
    caller.from = w->from;
    caller.pc = plain_address(caller.value[row->return_register]);
    caller.value[PI_DWARF_SP] = cfa;
    caller.known[PI_DWARF_SP] = true;
    *w = caller;
    return true;
}

/* ---- by frame pointer ---- */

/* On both architectures it points to the caller's, and the return address lies above that. */
static bool step_by_frame_pointer(walk *w)
{
    uintptr_t fp = w->value[PI_DWARF_FP], caller_fp, pc;
    if (!w->known[PI_DWARF_FP] || fp < w->value[PI_DWARF_SP] || !load(w, fp, &caller_fp) ||
        !load(w, fp + sizeof(fp), &pc))
        return false;
    memset(w->known, 0, sizeof(w->known));
    w->known[PI_DWARF_FP] = w->known[PI_DWARF_SP] = true;
    w->value[PI_DWARF_FP] = caller_fp;
    w->value[PI_DWARF_SP] = fp + 2 * sizeof(fp);
    w->pc = plain_address(pc);
    return true;
}

size_t pi_unwind(const pi_unwind_from *from, uintptr_t *out, size_t max)
{
    walk w = {.from = from, .pc = from->pc};
    w.value[PI_DWARF_SP] = from->sp;
    w.value[PI_DWARF_FP] = from->fp;
    w.known[PI_DWARF_SP] = w.known[PI_DWARF_FP] = true;
    if (from->sp < from->low || from->sp > from->top)
        return 0;
    size_t n = 0;
    while (n < max && w.pc) {
        pi_row row;
        /* A call may be the last instruction of its function: look before the return address. */
        uintptr_t inside = n ? w.pc - 1 : w.pc;
        out[n++] = w.pc;
        if (!(pi_eh_row(inside, &row) ? step_by_table(&w, &row) : step_by_frame_pointer(&w)))
            break;
    }
    return n;
}
