/* SPDX-License-Identifier: MIT */
/* check.h: the harness of all tests. A test program is
 *
 *     #include "tests/check.h"
 *
 *     static void sum_is_kept(void) { CHECK_EQ(1 + 1, 2); }
 *
 *     CHECK_MAIN
 *     {
 *         check_run("sum is kept", sum_is_kept);     // as a main task, in each mode
 *         check_plain("zeroed is valid", zeroed);    // on a plain thread, once
 *     }
 *
 *   1. A CHECK works in any task and thread. It never jumps: it counts, prints a line if
 *      it fails, and returns whether it held.
 *   2. Each case runs in an executor of its own. It ends with the leak check: no task, held
 *      handle, bound stack, armed timer, lost error, descriptor or thread is left over.
 *      One that has checked nothing by then, fails.
 *   3. A case that hangs ends the program with a dump of all tasks: one that has checked nothing
 *      for its time, or has not ended in eight times that.
 *
 * Program: test [--list] [--mode M] [--case PART]; PICA_TEST_SEED, PICA_TEST_TIMEOUT (s),
 * PICA_TEST_SCALE (percent of the usual rounds), PICA_TEST_STOP (1: the first check that fails
 * ends the program) in the environment. Exit: 0, 1, 77: skipped.
 * Elsewhere: how a case runs on an executor (check_executor.c), which tests exist
 * (CMakeLists.txt). */
#ifndef PICA_TESTS_CHECK_H
#define PICA_TESTS_CHECK_H

#include <pica/base.h>
#include <pica/executor.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* --- Checks. All are expressions of type bool; arguments are evaluated once ------------ */

/** cond holds. */
#define CHECK(cond) check_that((cond), #cond, __FILE__, __LINE__)
/** Two integers or pointers are equal; a < b; a <= b. */
#define CHECK_EQ(a, b) check_eq(CHECK_INT(a), CHECK_INT(b), #a, #b, __FILE__, __LINE__)
#define CHECK_NE(a, b) check_ne(CHECK_INT(a), CHECK_INT(b), #a, #b, __FILE__, __LINE__)
#define CHECK_LT(a, b) check_lt(CHECK_INT(a), CHECK_INT(b), #a, #b, __FILE__, __LINE__)
#define CHECK_LE(a, b) check_le(CHECK_INT(a), CHECK_INT(b), #a, #b, __FILE__, __LINE__)
/** A return code is no error. */
#define CHECK_OK(rc) check_ok(CHECK_INT(rc), #rc, __FILE__, __LINE__)
/** Two strings, two stretches of memory are equal. */
#define CHECK_STR(a, b) check_str((a), (b), #a, #b, __FILE__, __LINE__)
#define CHECK_MEM(a, b, n) check_that(memcmp((a), (b), (n)) == 0, #a " == " #b, __FILE__, __LINE__)
/** As CHECK, CHECK_OK, but where it makes no sense to go on: ends the program. */
#define CHECK_FATAL(cond) ((void)((cond) || (check_die(#cond, __FILE__, __LINE__), 0)))
#define CHECK_FATAL_OK(rc) ((void)(CHECK_OK(rc) || (check_die(#rc, __FILE__, __LINE__), 0)))
/** cond becomes true within ten seconds; lets others run meanwhile. A statement. */
#define CHECK_SOON(cond)                                                                           \
    do {                                                                                           \
        check_poll check_poll_ = {0};                                                              \
        bool check_came_;                                                                          \
        while (!(check_came_ = (cond)) && check_poll_again(&check_poll_)) {                        \
        }                                                                                          \
        check_soon(check_came_, #cond, __FILE__, __LINE__);                                        \
    } while (0)

/* --- Cases and modes ------------------------------------------------------------------- */

/** What the executor of a case is like. */
enum {
    CHECK_ONE = 1u << 0,       /**< one worker, and no spare: nothing runs beside a task */
    CHECK_TWO = 1u << 1,       /**< two workers */
    CHECK_FOUR = 1u << 2,      /**< four workers: more than there may be CPUs */
    CHECK_MIGRATE = 1u << 3,   /**< three workers, every suspension moves the task */
    CHECK_NO_INLINE = 1u << 4, /**< two workers, no child runs on its waiter's stack */
    CHECK_ALL = (1u << 5) - 1,
    CHECK_SPARE = 1u << 5,     /**< one worker, with a spare; not one of all */
    CHECK_MANY = CHECK_ALL & ~CHECK_ONE
};

/** Begin the function that registers the cases; the harness has main(). */
#define CHECK_MAIN void check_main(void)
CHECK_MAIN;

/** A case that runs as the main task, in all modes or in those of a mask. */
void check_run(const char *name, void (*fn)(void));
void check_run_in(unsigned modes, const char *name, void (*fn)(void));
/** A case that runs on the program's main thread without an executor, once, or in each mode
 *  of a mask; it makes its own executors from check_options(). */
void check_plain(const char *name, void (*fn)(void));
void check_plain_in(unsigned modes, const char *name, void (*fn)(void));
/** Seconds for which each of the cases registered from here on may go on without a check, in each
 *  mode, before scaling for sanitizers; 30 unless told. */
void check_timeout(unsigned seconds);
/** Leave the program: it can't be run here. Only before or in its first case, and before a check
 *  has failed; later it is a failure. */
void check_skip(const char *why) __attribute__((noreturn));

/** Does qemu-user run this program? Then processes grow by what it translates, the child of a
 *  process with threads can't start any, and nothing is known of times. */
bool check_emulated(void);

/** The current mode's bit; 0 in a plain case without modes. */
unsigned check_mode(void);
/** The options of the current mode, with the harness's hook for lost errors. */
pica_options check_options(void);
/** The executor of a check_run() case, from any of its threads. */
pica_executor *check_executor(void);
/** Name an executor of the case's own, to be dumped on a time-out; NULL at its end. */
void check_watch(pica_executor *ex);
/** Create, watch; run the leak check, destroy. For plain cases. */
pica_executor *check_executor_open(const pica_options *options);
void check_executor_close(pica_executor *ex);
/** How many errors were lost since the last call. A case that loses some has to ask. */
unsigned check_lost_errors(void);

/* --- Randomness and size --------------------------------------------------------------- */

/** The program's seed, printed where a check fails; PICA_TEST_SEED sets it. */
uint64_t check_seed(void);

/** A generator for one task or thread. */
typedef struct check_rng {
    uint64_t state;
} check_rng;

/** A generator from the program's seed and a number that tells the generators apart. */
check_rng check_rng_make(uint64_t salt);
uint64_t check_rng_next(check_rng *rng);
/** 0 to n - 1. */
uint64_t check_rng_below(check_rng *rng, uint64_t n);

/** n rounds, times PICA_TEST_SCALE percent, fewer under sanitizers; at least 1. */
uint64_t check_rounds(uint64_t n);

/** Is there time for more of them? For ten seconds since the case began in this mode, times
 *  PICA_TEST_SCALE percent if that is above 100. Where a round takes longer the busier the machine
 *  is, ask before each but the first. */
bool check_time_left(void);

/* --- Scenes that the clock decides ------------------------------------------------------ */

/** A scene that is spoilt where one of those who play it waits too long for a CPU, which neither
 *  the library nor the test can help: it is played again, more slowly each second time, until all
 *  have come in time. That they never do is a failure. What has to hold however late they come,
 *  the scene checks itself; after such a failure it is not played again.
 *  @param scene  gets a pace of 1, 1, 2, 2, 4 and so on, by which it multiplies its times, or its
 *                rounds; @return have all been in time? */
#define CHECK_PACED(scene, arg) check_paced((scene), (arg), #scene, __FILE__, __LINE__)

/* --- Telling each other, without sleeping ----------------------------------------------- */

/** A count that tasks and threads raise and wait for. Zeroed: 0. */
typedef struct check_latch {
    uint64_t count; /* [atomic] release at hit, acquire at wait */
} check_latch;

void check_hit(check_latch *latch);
uint64_t check_hits(const check_latch *latch);
/** Wait until there have been n hits. */
#define CHECK_HITS(latch, n) CHECK_SOON(check_hits(latch) >= (uint64_t)(n))

/** Let time pass, and keep the thread, a worker's as well. Only where time is the subject: so long
 *  a process is stopped or a call blocks, so fast a load comes, and so long nothing may happen.
 *  What is to happen is waited for by CHECK_SOON. */
void check_let_pass(int64_t ns);

/* --- What the macros call ----------------------------------------------------------------- */

#define CHECK_INT(x) ((long long)(intptr_t)(x))

typedef struct check_poll {
    int64_t until;
    int64_t looked; /* when it was last asked; 0: not yet */
    unsigned rounds;
    bool late; /* the time is over; the last round */
} check_poll;

bool check_poll_again(check_poll *poll);
bool check_soon(bool came, const char *text, const char *file, int line);
bool check_paced(bool (*scene)(unsigned pace, void *arg), void *arg, const char *text,
                 const char *file, int line);
void check_pass(void);
/** How many checks have failed in this process; all watched executors' tasks, to stderr. For
 *  cases that fork. */
uint64_t check_failures(void);
void check_dump(void);
void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((cold, format(printf, 3, 4)));
void check_die(const char *text, const char *file, int line) __attribute__((noreturn, cold));
bool check_str(const char *a, const char *b, const char *at, const char *bt, const char *file,
               int line);

static inline bool check_that(bool ok, const char *text, const char *file, int line)
{
    if (ok)
        check_pass();
    else
        check_fail(file, line, "%s", text);
    return ok;
}

#define CHECK_DEFINE_COMPARE(name, op)                                                             \
    static inline bool name(long long a, long long b, const char *at, const char *bt,              \
                            const char *file, int line)                                            \
    {                                                                                              \
        if (a op b)                                                                                \
            check_pass();                                                                          \
        else                                                                                       \
            check_fail(file, line, "%s " #op " %s: %lld and %lld", at, bt, a, b);                  \
        return a op b;                                                                             \
    }
CHECK_DEFINE_COMPARE(check_eq, ==)
CHECK_DEFINE_COMPARE(check_ne, !=)
CHECK_DEFINE_COMPARE(check_lt, <)
CHECK_DEFINE_COMPARE(check_le, <=)
#undef CHECK_DEFINE_COMPARE

static inline bool check_ok(long long rc, const char *text, const char *file, int line)
{
    if (rc >= 0)
        check_pass();
    else
        check_fail(file, line, "%s: %lld (%s)", text, rc, pica_strerror((intptr_t)rc));
    return rc >= 0;
}

#endif
