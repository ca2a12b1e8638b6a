/* SPDX-License-Identifier: MIT */
/* cfi.h: call-frame information: where a function has saved its caller's registers, at a given
 * instruction.
 *
 * Compilers write it for each function, as a small program (an FDE, with what it shares with
 * others in a CIE) that makes a table: a row for each instruction after which something has moved.
 * After the Linux Standard Base's chapter on .eh_frame and DWARF's on call frame information.
 * What compilers do not write (arithmetic on addresses) is not understood, and gives no row.
 *
 *   1. Nothing outside of the bytes that it is given is read, whatever these say.
 *   2. A row that it gives names no register but those below PI_DWARF_REGISTERS.
 *
 * Callers: anywhere. Elsewhere: where the bytes of a function are (eh_frame.h), what is done with
 * a row (unwind.h). */
#ifndef PI_CFI_H
#define PI_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** DWARF's numbers of the registers that matter. */
#if defined(__x86_64__)
#define PI_DWARF_FP 6u
#define PI_DWARF_SP 7u
#elif defined(__aarch64__)
#define PI_DWARF_FP 29u
#define PI_DWARF_SP 31u
#else
#error "pica does not know this architecture's numbers of registers"
#endif
#define PI_DWARF_REGISTERS 33u /* vector registers have higher numbers, and no address in them */

/** What became of a register of the caller. CFA is the caller's stack pointer. */
typedef enum pi_rule_kind {
    PI_RULE_SAME,      /* it is still there */
    PI_RULE_UNDEFINED, /* nobody knows; of the return address: there is no caller */
    PI_RULE_SAVED,     /* it lies at CFA + offset */
    PI_RULE_SAVED_AT,  /* it lies at another register + offset */
    PI_RULE_VALUE,     /* it is CFA + offset */
    PI_RULE_MOVED      /* it is in another register */
} pi_rule_kind;

typedef struct pi_rule {
    uint8_t kind;
    uint8_t other;
    int32_t offset;
} pi_rule;

/** All that is known at one instruction. */
typedef struct pi_row {
    pi_rule cfa; /* MOVED: other register + offset; SAVED_AT: what lies there */
    uint32_t return_register;
    pi_rule rules[PI_DWARF_REGISTERS];
} pi_row;

/** The row for an instruction.
 *  @param fde   where its function's entry begins, which lies in [low, high) with what it
 *               refers to
 *  @param pc    the instruction's address
 *  @return false: the entry is another function's, or is not understood */
bool pi_cfi_row(const uint8_t *fde, const uint8_t *low, const uint8_t *high, uintptr_t pc,
                pi_row *row);

#endif
