/* SPDX-License-Identifier: MIT */
/* model_private.h: between the checker's three parts: explore.c (which execution comes next,
 * threads, switching), memory.c (what a load may read), mutants.c (the program). */
#ifndef MODEL_PRIVATE_H
#define MODEL_PRIVATE_H

#include "model.h"

/* --- explore.c --------------------------------------------------------------------------- */

typedef struct model_result {
    uint64_t executions;
    uint64_t pruned; /* given up, because it was another in another order */
    uint64_t operations;
    bool failed;
    char what[400];
} model_result;

/** Run the executions of a test.
 *  @param preemptions  0: no bound; else old_reads is one, too
 *  @param most         stop after so many; 0: when there is no other one */
model_result model_explore(const model_test *test, unsigned preemptions, unsigned old_reads,
                           uint64_t most, bool trace_failure);

/** Threads run, as opposed to setup and finish. */
extern bool model_running;
/** The failing execution is being repeated and printed. */
extern bool model_tracing;

/** What a thread is about to do, so that it is known which operations are independent. */
typedef struct model_op {
    enum { MODEL_OP_LOCAL, MODEL_OP_MEMORY, MODEL_OP_FENCE, MODEL_OP_EVENT, MODEL_OP_ANY } kind;
    const void *what; /* the object, the event */
    bool writes;
    bool sc; /* takes part in the order of all seq_cst fences */
} model_op;

/** A point where another thread may go on instead. */
void model_schedule(model_op op);
/** When the operation that runs now was begun: counts the points passed. */
unsigned model_step(void);
/** Executions are left out that are covered by others; only without a bound, for with one
 *  those others may be beyond it. */
bool model_reduces(void);
/** May the caller read a store that was overwritten at that step? Without a bound: no, if it
 *  stood at this operation already, because that is the same as reading it before. With a
 *  bound: as long as there are old reads left. */
bool model_may_read_old(unsigned overwritten_at);
void model_note_old_read(void);
/** A point where another thread may go on instead. */
void model_schedule(model_op op);
/** When the operation that runs now was begun: counts the points passed. */
unsigned model_step(void);
/** Reading a store that was overwritten then is the same as reading it before that: the
 *  caller stood at this operation already. */
bool model_read_is_redundant(unsigned overwritten_at);
/** End this execution: what may follow is explored in others. */
void model_prune(void) __attribute__((noreturn));
/** Leave the processor; a spinner until the next model_unblock_spinners(). */
void model_block(bool spinning);
void model_unblock_spinners(void);
void model_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- memory.c ---------------------------------------------------------------------------- */

/** Forget all objects, between tests. */
void model_memory_forget(void);
/** The caller has been told by the system that an object changed: it will not read an older
 *  store any more. */
void model_see_newest(const void *p);
/** Back to the state before the first operation, between executions. */
void model_memory_reset(void);
/** An execution has ended: has it shown accesses that the executions so far did not assume? Then
 *  they have left out switches, and the test starts anew. */
bool model_memory_learned(void);

/* --- mutants.c --------------------------------------------------------------------------- */

/** The order to execute a site with; registers the site. */
model_order model_site_order(model_site *site);
const char *model_order_name(model_order order);

#endif
