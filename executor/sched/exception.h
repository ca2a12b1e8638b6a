/* SPDX-License-Identifier: MIT */
/* exception.h: what an exception (of C++, or of a language that unwinds as it does) meets that
 * would leave a task's function.
 *
 * There it must not go on: below lie the frames of the executor, and of a waiter that runs the task
 * inline, whose handlers would catch it in the middle of an await. Before anything is unwound the
 * runtime asks each frame's personality routine whether it has a handler. Ours says so much: the
 * task's name, on stderr, and that there is no way on. The runtime then does what it does where
 * nobody catches: std::terminate(), with the stack as it was at the throw.
 *
 * A frame names its routine in its call-frame information, so this costs no instruction. Compilers
 * that write none leave an exception no way out of a task anyway. */
#ifndef PI_EXCEPTION_H
#define PI_EXCEPTION_H

#include <unwind.h> /* the compiler's own; nothing of libgcc is called */

#if defined(__GCC_HAVE_DWARF2_CFI_ASM) && !defined(PICA_MODEL)
/** To stand right before a call of a task's function, of a handler of its, or of a hook, so that
 *  compilers which cut functions in two leave both together. 0x1b: the routine is named by its
 *  distance, in 4 bytes. */
#define PI_NO_EXCEPTION_PASSES()                                                                   \
    __asm__ __volatile__(".cfi_personality 0x1b, pi_exception_would_leave")
#else
#define PI_NO_EXCEPTION_PASSES() ((void)0)
#endif

/** Called by the runtime alone, by its address in the call-frame information. C names it once, in
 *  worker.c: what only an asm names, link-time optimisation does not take out of an archive. */
_Unwind_Reason_Code pi_exception_would_leave(int version, _Unwind_Action actions,
                                             _Unwind_Exception_Class class,
                                             struct _Unwind_Exception *exception,
                                             struct _Unwind_Context *context);

#endif
