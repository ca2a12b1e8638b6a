/* SPDX-License-Identifier: MIT */
/* switch.c: how a new context begins. See switch.h. */
#include "executor/coro/switch.h"

#include <string.h>

/* The first instruction of every new context. pi_switch() arrives with the context it left
 * in rdi (x0) and this one in rsi (x1), which is how entry() gets its arguments. The return
 * address is declared undefined and the frame pointer is zero, so back-traces end here. */
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

/* See switch.h. The resumed half expects rsp alone, so any switch may resume it. */
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden pi_switch_away\n"
        ".globl pi_switch_away\n"
        ".type pi_switch_away, @function\n"
        "pi_switch_away:\n"
        ".cfi_startproc\n"
        "pushq %rbp\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset rbp, 0\n"
        "pushq %rbx\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset rbx, 0\n"
        "pushq %r12\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset r12, 0\n"
        "pushq %r13\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset r13, 0\n"
        "pushq %r14\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset r14, 0\n"
        "pushq %r15\n"
        ".cfi_adjust_cfa_offset 8\n"
        ".cfi_rel_offset r15, 0\n"
        "leaq 1f(%rip), %rax\n"
        "movq %rsp, 0(%rdi)\n"
        "movq %rbp, 8(%rdi)\n"
        "movq %rax, 16(%rdi)\n"
        "movq 0(%rsi), %rsp\n"
        "movq 8(%rsi), %rbp\n"
        "jmp *16(%rsi)\n"
        ".p2align 4\n"
        "1:\n"
        "popq %r15\n"
        ".cfi_adjust_cfa_offset -8\n"
        "popq %r14\n"
        ".cfi_adjust_cfa_offset -8\n"
        "popq %r13\n"
        ".cfi_adjust_cfa_offset -8\n"
        "popq %r12\n"
        ".cfi_adjust_cfa_offset -8\n"
        "popq %rbx\n"
        ".cfi_adjust_cfa_offset -8\n"
        "popq %rbp\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_restore rbp\n"
        "popq %rcx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_register rip, rcx\n"
        "xorl %eax, %eax\n"
        "jmp *%rcx\n"
        ".cfi_endproc\n"
        ".size pi_switch_away, . - pi_switch_away\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden pi_context_entry\n"
        ".globl pi_context_entry\n"
        ".type pi_context_entry, %function\n"
        "pi_context_entry:\n"
        ".cfi_startproc\n"
        ".cfi_undefined x30\n"
        "hint #36\n"
        "mov x29, xzr\n"
        "mov x30, xzr\n"
        "ldr x9, [x1, #24]\n"
        "blr x9\n"
        "brk #1\n"
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
