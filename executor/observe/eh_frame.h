/* SPDX-License-Identifier: MIT */
/* eh_frame.h: the call-frame information (cfi.h) of any instruction of this process.
 *
 * Compilers leave it in every program and library (.eh_frame), on x86-64 and aarch64 without being
 * asked; exceptions and debuggers live on it. Linkers add a sorted index (.eh_frame_hdr). Thus
 * neither pica nor its users need frame pointers, which would cost every function a register, and
 * libpica needs no unwinding library.
 *
 * Callers: any thread; takes the dynamic linker's lock, so that no library is unloaded meanwhile;
 * allocates nothing. */
#ifndef PI_EH_FRAME_H
#define PI_EH_FRAME_H

#include "executor/observe/cfi.h"

/** The row for an instruction.
 *  @param pc  its address; of a call that will return here, any byte of the call
 *  @return false: no table names it, or none that is understood */
bool pi_eh_row(uintptr_t pc, pi_row *row);

/** The entry of the last function of an index that begins at or before pc.
 *  @param index  of a module, with all of its bytes before `end`
 *  @return its address, which may be anything where the index is nonsense; 0: there is none */
uintptr_t pi_eh_look_up(const uint8_t *index, const uint8_t *end, uintptr_t pc);

#endif
