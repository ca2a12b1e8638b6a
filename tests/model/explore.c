/* SPDX-License-Identifier: MIT */
/* explore.c: which execution comes next. Every decision (who runs, which store is read) is
 * an entry of `choices`; an execution repeats those that are there and takes the first
 * alternative of each new one; then the last entry with an alternative left moves on. The
 * threads are coroutines of one real thread. */
#include "model_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHOICES 20000
#define STEPS 4000 /* switch points of one execution before it counts as endless */
#define STACK (64 * 1024)

bool model_running;
bool model_tracing;

typedef enum state { RUNNABLE, BLOCKED, SPINNING, ENDED } state;

static struct {
    uint16_t value, n;
} choices[CHOICES];
static unsigned n_choices, at_choice;

static const model_test *current_test;
static struct {
    void *context;
    state state;
    const void *asleep_at;        /* of a BLOCKED one: its event, its futex */
    model_op pending;             /* what it does when it runs again */
    unsigned step, previous_step; /* when it did so last, and the time before */
    unsigned char *stack;
} threads[MODEL_THREADS];
static unsigned n_threads, self;
static bool unbounded;
static unsigned preemptions_left, old_reads_left;
static unsigned sleep_set; /* bits of threads; unbounded */
static bool pruned;        /* the execution is one that was explored in another order */
static unsigned steps;
static uint64_t operations;
static void *main_context;
static jmp_buf outside; /* of setup and finish */
static void (*on_switch)(void);
static bool failed;
static char failure[400];

/* --- Switching ------------------------------------------------------------------------------- */

#if defined(__x86_64__)
void model_switch(void **save, void *load);
__asm__(".text\n"
        ".type model_switch, @function\n"
        "model_switch:\n"
        "    push %rbp\n    push %rbx\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbx\n    pop %rbp\n"
        "    ret\n"
        ".size model_switch, . - model_switch\n");

static void *context_new(unsigned char *stack, void (*entry)(void))
{
    void **top = (void **)(void *)(stack + STACK) - 1;
    *top = NULL; /* where entry would return to: 8 past a multiple of 16, as after a call */
    *--top = (void *)(uintptr_t)entry;
    top -= 6;
    memset(top, 0, 6 * sizeof(*top));
    return top;
}
#else
#include <ucontext.h>
static ucontext_t contexts[MODEL_THREADS + 1];

static void model_switch(void **save, void *load)
{
    ucontext_t *from = save == &main_context ? &contexts[MODEL_THREADS] : *save;
    *save = from;
    swapcontext(from, load);
}

static void *context_new(unsigned char *stack, void (*entry)(void))
{
    ucontext_t *context = &contexts[n_threads];
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = STACK;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
    return context;
}
#endif

static void go_to(unsigned thread)
{
    unsigned from = self;
    self = thread;
    model_switch(&threads[from].context, threads[thread].context);
    if (on_switch)
        on_switch();
}

static void leave_threads(void)
{
    void *dropped = threads[self].context;
    model_switch(&dropped, main_context);
}

void model_prune(void)
{
    pruned = true;
    leave_threads();
    abort();
}

/* --- Choices --------------------------------------------------------------------------------- */

unsigned model_choose(unsigned n)
{
    if (n <= 1)
        return 0;
    if (at_choice == CHOICES)
        model_fail("too many choices for the checker");
    if (at_choice == n_choices) {
        choices[n_choices].value = 0;
        choices[n_choices].n = (uint16_t)n;
        n_choices++;
    } else if (choices[at_choice].n != n) {
        fprintf(stderr, "the test does not repeat itself\n");
        abort();
    }
    return choices[at_choice++].value;
}

static bool next_choices(void)
{
    n_choices = at_choice; /* an execution may have ended before all of them */
    while (n_choices > 0 && choices[n_choices - 1].value + 1u == choices[n_choices - 1].n)
        n_choices--;
    if (n_choices == 0)
        return false;
    choices[n_choices - 1].value++;
    return true;
}

/* --- Threads --------------------------------------------------------------------------------- */

/* May two pending operations of different threads change places without anybody noticing? */
static bool independent(const model_op *a, const model_op *b)
{
    if (a->kind == MODEL_OP_LOCAL || b->kind == MODEL_OP_LOCAL)
        return true;
    if (a->kind == MODEL_OP_ANY || b->kind == MODEL_OP_ANY)
        return false;
    if (a->kind == MODEL_OP_FENCE || b->kind == MODEL_OP_FENCE)
        return !a->sc || !b->sc;
    return a->kind != b->kind || a->what != b->what || (!a->writes && !b->writes);
}

/* Who may run next, the caller first. Others cost a preemption if the caller could go on; in
 * an unbounded exploration those in the sleep set are left out, because what begins with them
 * has been explored, but for the order of operations that are independent. */
static unsigned candidates(unsigned *list)
{
    bool self_runs = threads[self].state == RUNNABLE;
    unsigned n = 0;
    if (self_runs)
        list[n++] = self;
    if (!self_runs || unbounded || preemptions_left)
        for (unsigned i = 0; i < n_threads; i++)
            if (i != self && threads[i].state == RUNNABLE)
                list[n++] = i;
    if (!unbounded)
        return n;
    unsigned awake = 0;
    for (unsigned i = 0; i < n; i++)
        if (!(sleep_set & 1u << list[i]))
            list[awake++] = list[i];
    if (n > 0 && awake == 0)
        model_prune();
    return awake;
}

static void give_way(void)
{
    unsigned list[MODEL_THREADS];
    unsigned n = candidates(list);
    if (n == 0)
        leave_threads();
    unsigned choice = model_choose(n);
    unsigned next = list[choice];
    if (unbounded) {
        for (unsigned i = 0; i < choice; i++)
            sleep_set |= 1u << list[i];
        for (unsigned i = 0; i < n_threads; i++)
            if (sleep_set & 1u << i && !independent(&threads[i].pending, &threads[next].pending))
                sleep_set &= ~(1u << i);
    } else if (next != self && threads[self].state == RUNNABLE) {
        preemptions_left--;
    }
    threads[next].previous_step = threads[next].step;
    threads[next].step = ++steps;
    if (next != self)
        go_to(next);
}

void model_schedule(model_op op)
{
    operations++;
    if (steps >= STEPS)
        model_fail("no end in sight");
    threads[self].pending = op;
    give_way();
}

void model_block(bool spinning)
{
    threads[self].state = spinning ? SPINNING : BLOCKED;
    give_way();
}

void model_unblock_spinners(void)
{
    for (unsigned i = 0; i < n_threads; i++)
        if (threads[i].state == SPINNING)
            threads[i].state = RUNNABLE;
}

unsigned model_self(void)
{
    return self;
}

unsigned model_step(void)
{
    return steps;
}

bool model_reduces(void)
{
    return unbounded;
}

bool model_may_read_old(unsigned overwritten_at)
{
    return unbounded ? overwritten_at <= threads[self].previous_step : old_reads_left > 0;
}

void model_note_old_read(void)
{
    if (!unbounded)
        old_reads_left--;
}

/* Thread 0 is entered first; who really begins is free. */
static void begin_all(void)
{
    preemptions_left++;
    model_schedule((model_op){MODEL_OP_LOCAL, NULL, false, false});
    if (steps == 1)
        preemptions_left--;
}

static void thread_main(void)
{
    if (on_switch)
        on_switch();
    if (steps == 0)
        begin_all();
    current_test->threads[self]();
    threads[self].state = ENDED;
    model_trace("ends");
    give_way();
    abort();
}

void model_sleep(model_event *event)
{
    model_schedule((model_op){MODEL_OP_EVENT, event, true, false});
    while (!event->set) {
        model_trace("sleeps");
        threads[self].asleep_at = event;
        model_block(false);
    }
    event->set = false;
}

static void wake_all_at(const void *at)
{
    for (unsigned i = 0; i < n_threads; i++)
        if (threads[i].state == BLOCKED && threads[i].asleep_at == at)
            threads[i].state = RUNNABLE;
}

void model_wake(model_event *event)
{
    model_schedule((model_op){MODEL_OP_EVENT, event, true, false});
    model_trace("wakes somebody");
    event->set = true;
    wake_all_at(event);
}

void model_futex_wait(const uint32_t *at, uint32_t value)
{
    model_schedule((model_op){MODEL_OP_ANY, NULL, true, true});
    if (*at != value) {
        model_see_newest(at);
        return;
    }
    model_trace("sleeps");
    threads[self].asleep_at = at;
    model_block(false);
}

void model_futex_wake(const uint32_t *at)
{
    model_schedule((model_op){MODEL_OP_ANY, NULL, true, true});
    model_trace("wakes somebody");
    wake_all_at(at);
}

void model_on_switch(void (*fn)(void))
{
    on_switch = fn;
}

/* --- Failing and telling --------------------------------------------------------------------- */

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(failure, sizeof(failure), format, args);
    va_end(args);
    failed = true;
    if (!model_running)
        longjmp(outside, 1);
    leave_threads();
    abort();
}

void model_trace(const char *format, ...)
{
    if (!model_tracing)
        return;
    va_list args;
    va_start(args, format);
    printf("    thread %u: ", self);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/* --- Executions ------------------------------------------------------------------------------ */

static void check_that_all_ended(void)
{
    for (unsigned i = 0; i < n_threads; i++) {
        if (threads[i].state == SPINNING)
            model_fail("thread %u spins for ever", i);
        if (threads[i].state == BLOCKED && !current_test->may_sleep)
            model_fail("thread %u sleeps for ever", i);
    }
}

static void execute(unsigned preemptions, unsigned old_reads)
{
    at_choice = 0;
    failed = false;
    preemptions_left = preemptions;
    old_reads_left = old_reads;
    unbounded = preemptions == 0;
    sleep_set = 0;
    pruned = false;
    steps = 0;
    model_memory_reset();
    n_threads = 0;
    if (setjmp(outside))
        return;
    current_test->setup();
    for (; n_threads < MODEL_THREADS && current_test->threads[n_threads]; n_threads++) {
        if (!threads[n_threads].stack)
            threads[n_threads].stack = aligned_alloc(64, STACK);
        threads[n_threads].context = context_new(threads[n_threads].stack, thread_main);
        threads[n_threads].state = RUNNABLE;
        threads[n_threads].pending = (model_op){MODEL_OP_LOCAL, NULL, false, false};
        threads[n_threads].step = threads[n_threads].previous_step = 0;
    }
    self = 0;
    model_running = true;
    model_switch(&main_context, threads[0].context);
    model_running = false;
    if (failed || pruned)
        return;
    check_that_all_ended();
    if (current_test->finish)
        current_test->finish();
}

model_result model_explore(const model_test *test, unsigned preemptions, unsigned old_reads,
                           uint64_t most, bool trace_failure)
{
    model_result result = {0};
    current_test = test;
    operations = 0;
    n_choices = 0;
    model_memory_forget();
    for (bool more = true; more;) {
        execute(preemptions, old_reads);
        result.executions += !pruned;
        result.pruned += pruned;
        if (failed)
            break;
        if (model_memory_learned())
            n_choices = 0; /* anew */
        else
            more = next_choices();
        more &= !most || result.executions < most;
    }
    if (failed) {
        result.failed = true;
        memcpy(result.what, failure, sizeof(result.what));
        if (trace_failure) {
            model_tracing = true;
            execute(preemptions, old_reads);
            model_tracing = false;
        }
    }
    result.operations = operations;
    return result;
}
