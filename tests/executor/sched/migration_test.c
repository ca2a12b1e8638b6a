/* SPDX-License-Identifier: MIT */
/* migration_test.c: what a task may rely on while it moves from worker to worker (law 3): errno
 * follows it, its registers and its stack do, and a value that is read anew is never another
 * thread's. With PICA_FORCE_MIGRATION each suspension moves. */
#include "tests/executor/bodies.h"

#include <errno.h>
#include <pica/sem.h>
#include <pthread.h>

/* Never inlined: an address of a thread-local that is kept across a suspension is the very
 * mistake that migration shows, and this test must not make it itself. */
static __attribute__((noinline)) void errno_set(int value)
{
    __asm__ __volatile__("" : "+r"(value));
    errno = value;
}

static __attribute__((noinline)) int errno_get(void)
{
    int value = errno;
    __asm__ __volatile__("" : "+r"(value));
    return value;
}

static __attribute__((noinline)) uintptr_t thread_here(void)
{
    uintptr_t self = (uintptr_t)pthread_self();
    __asm__ __volatile__("" : "+r"(self));
    return self;
}

/* A thread-local of the program's own; each thread's holds who it is. Tasks that run on one thread
 * in turn need no order for it, but ThreadSanitizer takes them for threads. */
static __thread uintptr_t mine;
#ifdef PI_TSAN
__attribute__((no_sanitize("thread")))
#endif
static __attribute__((noinline)) uintptr_t mine_here(void)
{
    uintptr_t value = mine;
    if (value == 0)
        mine = value = thread_here();
    __asm__ __volatile__("" : "+r"(value));
    return value;
}

struct moving {
    uint64_t rounds;
    int number;
    pica_sem *sem;
    uint64_t *moves; /* [atomic] */
};

static intptr_t keeps_errno(void *arg)
{
    const struct moving *m = arg;
    uint64_t wrong = 0, moves = 0;
    errno_set(m->number);
    for (uint64_t i = 0; i < m->rounds; i++) {
        uintptr_t before = thread_here();
        int rc;
        switch (i % 16) {
        case 0:
            rc = pica_sleep(PICA_US(5));
            break;
        case 1:
            rc = pica_sem_acquire(m->sem);
            if (rc == 0)
                rc = pica_sem_release(m->sem);
            break;
        case 2:
            rc = (int)body_end(body_spawn(body_yields, NULL));
            break;
        default:
            rc = pica_yield();
        }
        CHECK_FATAL(rc == 0);
        wrong += errno_get() != m->number;
        wrong += mine_here() != thread_here();
        moves += thread_here() != before;
    }
    pi_add_relaxed(m->moves, moves);
    return (intptr_t)wrong;
}

static void errno_follows_its_task(void)
{
    enum { N = 8 };
    uint64_t moves = 0, rounds = check_rounds(20000);
    pica_sem sem = PICA_SEM_INIT(2);
    pica_task *tasks[N];
    for (int i = 0; i < N; i++) {
        struct moving m = {rounds, 1000 + i, &sem, &moves};
        CHECK_FATAL_OK(pica_spawn_copy(&tasks[i], keeps_errno, &m));
    }
    for (int i = 0; i < N; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
    if (check_mode() == CHECK_MIGRATE)
        CHECK_LT(N * rounds / 2, pi_load_relaxed(&moves)); /* they really moved */
    if (check_mode() == CHECK_ONE)
        CHECK_EQ(pi_load_relaxed(&moves), 0);
}

/* Registers and stack: many values live across each suspension, integers and doubles. */
static intptr_t computes(void *arg)
{
    uint64_t a = (uint64_t)(uintptr_t)arg, b = a * 3, c = a ^ 0x55, d = a + 7, e = ~a, f = a << 3;
    double x = (double)a, y = x / 3, z = x * x;
    unsigned char block[256];
    for (unsigned i = 0; i < sizeof(block); i++)
        block[i] = (unsigned char)(a + i);
    uint64_t wrong = 0;
    for (uint64_t i = 0, n = check_rounds(3000); i < n; i++) {
        a++, b += 3, d += i, e--, f += 8, x += 1, z -= 2;
        c ^= i;
        CHECK_FATAL(pica_yield() == 0);
        uint64_t base = (uint64_t)(uintptr_t)arg;
        wrong += a != base + i + 1;
        wrong += b != base * 3 + 3 * (i + 1);
        wrong += d != base + 7 + i * (i + 1) / 2;
        wrong += e != ~base - (i + 1);
        wrong += f != (base << 3) + 8 * (i + 1);
        wrong += x != (double)base + (double)(i + 1);
        wrong += y != (double)base / 3;
        wrong += z != (double)base * (double)base - 2 * (double)(i + 1);
        wrong += block[i % 256] != (unsigned char)(base + i % 256);
    }
    return (intptr_t)(wrong + (c == UINT64_MAX));
}

static void registers_and_stacks_stay(void)
{
    pica_task *tasks[12];
    for (intptr_t i = 0; i < 12; i++)
        tasks[i] = body_spawn(computes, body_arg(1000 * (i + 1)));
    for (unsigned i = 0; i < 12; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
}

/* Who and where am I: never a stale answer. */
static intptr_t asks(void *arg)
{
    pica_task *self = pica_self();
    uint64_t wrong = 0;
    for (uint64_t i = 0, n = check_rounds(5000); i < n; i++) {
        CHECK_FATAL(pica_yield() == 0);
        wrong += pica_self() != self;
        wrong += pica_executor_self() != check_executor();
        /* The spare is the last; it comes where none of the workers gets a CPU for long. */
        wrong += (unsigned)pica_worker_index() > pica_executor_workers(check_executor());
        wrong += pica_task_status(self) != PICA_RUNNING;
    }
    (void)arg;
    return (intptr_t)wrong;
}

static void oneself_is_found_anywhere(void)
{
    pica_task *tasks[6];
    for (unsigned i = 0; i < 6; i++)
        tasks[i] = body_spawn(asks, NULL);
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(body_end(tasks[i]), 0);
}

CHECK_MAIN
{
    check_run("errno follows its task", errno_follows_its_task);
    check_run("registers and stacks stay", registers_and_stacks_stay);
    check_run("oneself is found anywhere", oneself_is_found_anywhere);
}
