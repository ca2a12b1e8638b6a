/* SPDX-License-Identifier: MIT */
/* eh_frame.h: where a function has saved its caller's registers, at a given instruction.
 *
 * Compilers leave a table of it in every program and library (.eh_frame, DWARF's call-frame
 * information), on x86-64 and aarch64 without being asked; exceptions and debuggers live on it.
 * Thus neither pica nor its users need frame pointers, which would cost every function a
 * register, and libpica needs no unwinding library.
 *
 * What is read is written by compilers and linkers, and bounded all the same: a table that is
 * not understood gives no row. Callers: any thread; takes the dynamic linker's lock, so that no
 * library is unloaded meanwhile; allocates nothing. */
#ifndef PI_EH_FRAME_H
#define PI_EH_FRAME_H

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
    pi_rule cfa; /* MOVED: other register + offset; SAVED_AT: what lies there; UNDEFINED */
    uint32_t return_register;
    pi_rule rules[PI_DWARF_REGISTERS];
} pi_row;

/** The row for an instruction.
 *  @param pc  its address; of a call that will return here, any byte of the call
 *  @return false: no table names it */
bool pi_eh_row(uintptr_t pc, pi_row *row);

#endif
