/* SPDX-License-Identifier: MIT */
/* check_faults.c: what the harness has to notice. check_test.sh runs each case alone, and
 * wants it to fail. */
#include "tests/check.h"

#include <fcntl.h>
#include <pica/task.h>
#include <pthread.h>
#include <unistd.h>

static void a_check_fails(void)
{
    CHECK(1 + 1 == 3);
}

static void numbers_differ(void)
{
    CHECK_EQ(1 + 1, 3);
}

static void an_error_code(void)
{
    CHECK_OK(-ENOMEM);
}

static void strings_differ(void)
{
    CHECK_STR("left", "right");
}

static void never_comes(void)
{
    check_poll poll = {.until = pica_now() - 1};
    CHECK(check_poll_again(&poll)); /* it may have come meanwhile */
    CHECK(!check_poll_again(&poll));
    check_soon(false, "never", __FILE__, __LINE__);
}

static void dies(void)
{
    CHECK_FATAL(1 + 1 == 3);
}

static void leaks_a_descriptor(void)
{
    CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

static void *sleeper(void *arg)
{
    pause();
    return arg;
}

static void leaks_a_thread(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, sleeper, NULL) == 0);
    pthread_detach(thread);
}

static void hangs(void)
{
    pause();
}

static void checks_for_ever(void)
{
    for (;;) {
        CHECK(1 + 1 == 2);
        check_let_pass(PICA_MS(10));
    }
}

/* More than twice what it has for one check. */
static void takes_long(void)
{
    for (unsigned i = 0; i < 70; i++) {
        CHECK(1 + 1 == 2);
        check_let_pass(PICA_MS(100));
    }
    CHECK(1 + 1 == 3);
}

static void checks_nothing(void) {}

static void fails_and_skips(void)
{
    CHECK(1 + 1 == 3);
    check_skip("no time");
}

static void fails_and_leaves(void)
{
    CHECK(1 + 1 == 3);
    _exit(3);
}

static void passes(void)
{
    CHECK(1 + 1 == 2);
}

static void skips_late(void)
{
    check_skip("no time");
}

static intptr_t fails(void *arg)
{
    (void)arg;
    return -EIO;
}

static intptr_t waits(void *arg)
{
    (void)arg;
    return pica_sleep(PICA_NEVER);
}

static void leaks_a_task(void)
{
    pica_task *task;
    CHECK_OK(pica_spawn(&task, waits, NULL));
    pica_detach(task);
}

static void leaks_a_handle(void)
{
    pica_task *task;
    CHECK_OK(pica_spawn(&task, fails, NULL));
    CHECK_OK(pica_await(task, NULL));
}

static void checks_nothing_in_a_task(void)
{
    (void)!pica_yield();
}

static void loses_an_error(void)
{
    CHECK_OK(pica_spawn(NULL, fails, NULL));
}

static void hangs_in_a_task(void)
{
    CHECK_OK(pica_sleep(PICA_NEVER));
}

static bool is_late(unsigned pace, void *paces)
{
    *(unsigned *)paces += pace;
    return false;
}

/* Twice at each pace of 1, 2, 4, 8, 16 and 32. */
static void is_never_in_time(void)
{
    unsigned paces = 0;
    CHECK(!CHECK_PACED(is_late, &paces));
    CHECK_EQ(paces, 126);
}

static bool fails_and_is_late(unsigned pace, void *unused)
{
    (void)unused;
    CHECK_LT(2, pace);
    return false;
}

/* It is not played again. */
static void fails_in_a_scene(void)
{
    CHECK_PACED(fails_and_is_late, NULL);
}

static void fails_in_a_task(void)
{
    CHECK_EQ(pica_worker_index(), -1);
}

CHECK_MAIN
{
    check_plain("a check fails", a_check_fails);
    check_plain("numbers differ", numbers_differ);
    check_plain("an error code", an_error_code);
    check_plain("strings differ", strings_differ);
    check_plain("never comes", never_comes);
    check_plain("never in time", is_never_in_time);
    check_plain("fails in a scene", fails_in_a_scene);
    check_plain("dies", dies);
    check_plain("leaks a descriptor", leaks_a_descriptor);
    check_plain("leaks a thread", leaks_a_thread);
    check_plain("checks nothing", checks_nothing);
    check_plain("fails and skips", fails_and_skips);
    check_plain("fails and leaves", fails_and_leaves);
    check_plain("late 1", passes);
    check_plain("late 2", skips_late);
    check_run("does without", checks_nothing_in_a_task);
    check_run("fails in a task", fails_in_a_task);
    check_run("leaks a handle", leaks_a_handle);
    check_run("loses an error", loses_an_error);
    check_run("leaks a task", leaks_a_task);
    check_timeout(1);
    check_plain("hangs on a thread", hangs);
    check_run("hangs in a task", hangs_in_a_task);
    check_plain("checks for ever", checks_for_ever);
    check_timeout(3);
    check_plain("takes long", takes_long);
}
