/* SPDX-License-Identifier: MIT */
/* switch.h: leaving one stack and entering another.
 *
 * A context is where a flow of control stands while it does not run: stack pointer, frame
 * pointer, address. pi_switch() saves the caller's and continues the other one; it returns
 * when somebody switches back, and tells from where.
 *
 * Inline assembly, so that the compiler saves only the registers that live across the call,
 * and a jump at the end, because a `ret` to an address that no `call` pushed unbalances the
 * CPU's return predictor (12.6 ns against 2.0 ns). Floating-point control words are not
 * saved (up to 42 ns): they belong to the thread.
 *
 * ASan and TSan are told of every switch. Where several workers share the tasks, TSan is told
 * that a switch orders nothing: the order between tasks comes from the atomics of waker and
 * woken, or races between two tasks that happen to share a worker would hide.
 */
#ifndef PI_SWITCH_H
#define PI_SWITCH_H

#include "executor/base/atomics.h"

#include <stddef.h>

typedef struct pi_context pi_context;

/** What runs first in a new context: who switched here, and the context itself. It never
 *  returns. */
typedef void pi_context_fn(pi_context *from, pi_context *self);

struct pi_context {
    void *sp;             /* the order of these four is known to the assembly */
    void *fp;
    void *ip;
    pi_context_fn *entry;
#ifdef PI_ASAN
    const void *bottom; /* of the stack; known from the first switch away from it */
    size_t size;
    void *fake;
#endif
#ifdef PI_TSAN
    void *tsan;
    unsigned tsan_flags; /* PI_TSAN_NO_SYNC: switching here orders nothing */
#endif
};

/** Make a context that will run entry() on a stack. */
void pi_context_init(pi_context *context, void *stack_low, size_t size, pi_context_fn *entry);

/** Forget a context that is not running (tells the sanitizers). */
void pi_context_deinit(pi_context *context);

#ifdef PI_ASAN
void __sanitizer_start_switch_fiber(void **fake_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom_old, size_t *size_old);
#endif
#ifdef PI_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define PI_TSAN_NO_SYNC 1u
#endif

/** Say whether switching to a context is to order nothing, for ThreadSanitizer. */
static inline void pi_context_unordered(pi_context *context, bool unordered)
{
#ifdef PI_TSAN
    context->tsan_flags = unordered ? PI_TSAN_NO_SYNC : 0;
#else
    (void)context;
    (void)unordered;
#endif
}

/** To be called first in a new context, and by pi_switch() itself. */
static inline void pi_switch_arrived(pi_context *self, pi_context *from)
{
#ifdef PI_ASAN
    __sanitizer_finish_switch_fiber(self->fake, &from->bottom, &from->size);
#else
    (void)self;
    (void)from;
#endif
}

/* What AVX-512 adds to the registers that a compiler may keep something in. */
#ifdef __AVX512F__
#define PI_SWITCH_AVX512                                                                           \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define PI_SWITCH_AVX512
#endif

/* The same for SVE: its vectors are the ones named below, only longer. */
#ifdef __ARM_FEATURE_SVE
#define PI_SWITCH_SVE                                                                              \
    , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13",      \
        "p14", "p15"
#else
#define PI_SWITCH_SVE
#endif

/** Save the caller in *from, continue *to. @return the context that switched back. */
static inline __attribute__((always_inline)) pi_context *pi_switch(pi_context *from,
                                                                    pi_context *to)
{
    pi_context *self = from;
#ifdef PI_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
#ifdef PI_TSAN
    from->tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan, to->tsan_flags);
#endif
#if defined(__x86_64__)
    __asm__ __volatile__("leaq 1f(%%rip), %%rax\n\t"
                         "movq %%rsp, 0(%%rdi)\n\t"
                         "movq %%rbp, 8(%%rdi)\n\t"
                         "movq %%rax, 16(%%rdi)\n\t"
                         "movq 0(%%rsi), %%rsp\n\t"
                         "movq 8(%%rsi), %%rbp\n\t"
                         "jmp *16(%%rsi)\n\t"
                         ".p2align 4\n"
                         "1:\n\t"
                         : "+D"(from), "+S"(to)
                         :
                         : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
                           "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                           "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                           "xmm15", "memory", "cc" PI_SWITCH_AVX512);
#elif defined(__aarch64__)
    /* The hint is `bti j`: where branch targets are guarded, a jump may come here. */
    register pi_context *x0 __asm__("x0") = from;
    register pi_context *x1 __asm__("x1") = to;
    __asm__ __volatile__("adr x9, 1f\n\t"
                         "mov x10, sp\n\t"
                         "stp x10, x29, [x0]\n\t"
                         "str x9, [x0, #16]\n\t"
                         "ldp x10, x29, [x1]\n\t"
                         "ldr x9, [x1, #16]\n\t"
                         "mov sp, x10\n\t"
                         "br x9\n\t"
                         ".p2align 4\n"
                         "1:\n\t"
                         "hint #36\n\t"
                         : "+r"(x0), "+r"(x1)
                         :
                         : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
                           "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22",
                           "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3",
                           "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
                           "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
                           "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory",
                           "cc" PI_SWITCH_SVE);
    from = x0;
#else
#error "pica has no context switch for this architecture yet"
#endif
    pi_switch_arrived(self, from);
    return from;
}

/** pi_switch() between two flows that are one to their user (a coroutine and who resumes it):
 *  what the one did happens before what the other does next, for ThreadSanitizer, too. */
static inline __attribute__((always_inline)) pi_context *
pi_switch_ordered(pi_context *from, pi_context *to, void *both)
{
#ifdef PI_TSAN
    __tsan_release(both);
#endif
    from = pi_switch(from, to);
#ifdef PI_TSAN
    __tsan_acquire(both);
#endif
    (void)both;
    return from;
}

/** pi_switch() as a function, whose return is a jump. Where tasks suspend from many places, a
 *  `ret` would be predicted to go where another task came from; after a tail call of this one
 *  an indirect jump, predicted by its history, goes back instead (a yield from many call
 *  sites: 24 ns instead of 38). @return 0 */
#if defined(PI_ASAN) || defined(PI_TSAN) || !defined(__x86_64__)
static inline int pi_switch_away(pi_context *from, pi_context *to)
{
    pi_switch(from, to);
    return 0;
}
#else
int pi_switch_away(pi_context *from, pi_context *to);
#endif

#endif
