/* SPDX-License-Identifier: MIT */
/* model.h: a model checker for small concurrent programs over executor/base/atomics.h.
 *
 * A test is a set-up, some threads and a check at the end. It is executed over and over,
 * each time with another combination of which thread runs next and which store a load
 * reads, until all have been that can differ (executions that are another one with
 * independent operations exchanged are left out), or, where that is too much, all with at
 * most `preemptions` switches away from a thread that could have gone on. What is wrong ends
 * an execution: a model_check() or pi_assert() that does not hold, a data race on what was
 * announced as plain, memory used before its publication or after its end, threads that all
 * wait (a lost wake-up), or a loop without an end. The failing execution is then printed,
 * operation by operation.
 *
 * Memory is C11's: per object one order of modification, loads read any store that is not
 * hidden from them by what their thread has seen; release and acquire pass on what was seen;
 * read-modify-writes read the newest store; seq_cst fences have one order and pass on what
 * was stored before. Weaker than the machine, and stricter than C11 in two points: a store
 * is newer than those executed before it, and no load reads from its own future.
 *
 * Mutants: afterwards each memory order met is weakened, one at a time (acquire, release ->
 * relaxed; acq_rel -> each half; seq_cst -> acq_rel or what the operation can have; a fence
 * taken away), and some test has to fail. A mutant that survives needs a reason in the list
 * that the program passes; a reason that no mutant needs is a failure as well. One that has its
 * reason goes through the first 20,000 executions of each test, or through all if it is thorough.
 *
 * Program: test [--preemptions N] [--old-reads N] [--deeper] [--thorough] [--test NAME]
 * [--no-mutants] [--mutant N] [--sites FILE]. Sites: write there which orders were tried. Deeper:
 * one preemption more for the tests with a bound. Exit: 0, 1.
 */
#ifndef MODEL_H
#define MODEL_H

#include "executor/base/atomics.h"

#ifndef PICA_MODEL
#error "a model test is compiled with PICA_MODEL"
#endif

#define MODEL_THREADS 6

typedef struct model_test {
    const char *name;
    void (*setup)(void);                  /* before each execution; plain memory */
    void (*threads[MODEL_THREADS])(void); /* up to the first NULL; may share a function */
    void (*finish)(void);                 /* when no thread can go on; plain memory; or NULL */
    bool may_sleep;                       /* threads may be asleep at the end; finish judges */
    unsigned preemptions;                 /* 0: no bound, and nothing left out */
    unsigned old_reads; /* with a bound: how many reads of stores not the newest */
} model_test;

/** Why a mutant may survive; or, with NULL for op, why a file's or a function's are not tried. A
 *  reason is for so many mutants as it says, no more and no less: the next weak spot needs one of
 *  its own. */
typedef struct model_reason {
    const char *where;  /* the function that the operation stands in; "deque.h" */
    const char *op;     /* as in the report: "acquire load -> relaxed" */
    const char *object; /* as in the report: "task->word"; of a fence, or NULL for op: "" */
    unsigned mutants;   /* that survive; with NULL for op: 0 */
    const char *reason;
} model_reason;

/** What a program tries, and its reasons; an entry of zeros ends each. Then main.c is its main. */
extern const model_test model_tests[];
extern const model_reason model_reasons[];

/** The main of a program that has its lists elsewhere. */
int model_main(int argc, char **argv, const model_test *tests, unsigned n_tests,
               const model_reason *reasons, unsigned n_reasons);

/** Something that has to hold; ends the execution. In threads, setup and finish. */
#define model_check(cond)                                                                          \
    ((cond) ? (void)0 : model_fail("%s:%d: %s does not hold", __FILE__, __LINE__, #cond))
void model_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** The calling thread's number, from 0. */
unsigned model_self(void);

/** A number below n; each is tried. */
unsigned model_choose(unsigned n);

/** Announce an access to memory that needs no atomics because others order it. */
void model_plain_read(const void *p);
void model_plain_write(const void *p);

/** What a thread can sleep in: a wake stays until a sleep consumes it. It orders no memory:
 *  what is right here does not rest on a system call's locks. Zeroed: no wake. */
typedef struct model_event {
    bool set;
} model_event;

void model_sleep(model_event *event);
void model_wake(model_event *event);

/** The same with a futex's rules: sleep only if *at == value, the newest there is. */
void model_futex_wait(const uint32_t *at, uint32_t value);
void model_futex_wake(const uint32_t *at);

/** A fence in all threads at once, by the system. pi_membarrier() comes here. */
void model_membarrier(void);

/** Call fn on each thread that goes on after another ran: to set what is per thread. */
void model_on_switch(void (*fn)(void));

/** Memory of one execution, zeroed; the same addresses each time. pi_malloc() and its kin
 *  come here. Touching it is an error until its allocation happened before, and after a free. */
void *model_alloc(size_t size, size_t align);
void model_free(void *p);

/** Treat other memory as allocated just now: model_free() ends it. */
void model_own(void *p, size_t size);

/** Let the allocations from here on fail in this execution, or no longer. */
void model_alloc_fails(bool fails);

#endif
