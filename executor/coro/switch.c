/* SPDX-License-Identifier: MIT */
/* switch.c: how a new context begins. See switch.h. */
#include "executor/coro/switch.h"

#include <string.h>

/* The first instruction of every new context. pi_switch() arrives with the context it left
 * in rdi and this one in rsi, which is how entry() gets its arguments. The return address is
 * declared undefined and the frame pointer is zero, so back-traces end here. */
#if defined(__x86_64__)
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden pi_context_entry\n"
        ".globl pi_context_entry\n"
        ".type pi_context_entry, @function\n"
        "pi_context_entry:\n"
        ".cfi_startproc\n"
        ".cfi_undefined rip\n"
        "xorl %ebp, %ebp\n"
        "call *24(%rsi)\n"
        "ud2\n"
        ".cfi_endproc\n"
        ".size pi_context_entry, . - pi_context_entry\n");
#endif
void pi_context_entry(void);

_Static_assert(offsetof(pi_context, ip) == 16 && offsetof(pi_context, entry) == 24,
               "the assembly knows these offsets");

void pi_context_init(pi_context *context, void *stack_low, size_t size, pi_context_fn *entry)
{
    memset(context, 0, sizeof(*context));
    context->sp = (void *)(((uintptr_t)stack_low + size) & ~(uintptr_t)15);
    context->ip = (void *)(uintptr_t)pi_context_entry;
    context->entry = entry;
#ifdef PI_ASAN
    context->bottom = stack_low;
    context->size = size;
#endif
#ifdef PI_TSAN
    context->tsan = __tsan_create_fiber(0);
#endif
}

void pi_context_deinit(pi_context *context)
{
#ifdef PI_TSAN
    if (context->tsan)
        __tsan_destroy_fiber(context->tsan);
    context->tsan = NULL;
#else
    (void)context;
#endif
}
