/* SPDX-License-Identifier: MIT */
/* ready_test.c: what comes from outside of the workers, is due or is for one of them alone gets its
 * turn, whatever they are busy with. That nothing is lost on its way is ready_model.c's. */
#include "tests/executor/bodies.h"

#include <pica/gather.h>
#include <pica/sem.h>

/* What a task may be busy with, for ever. Each gives way as often as it has to, and is one turn of
 * its worker's budget or several: so budgets end wherever these happen to take them. */
static pica_task *ended; /* that of a case */

static void awaits_one(void)
{
    CHECK_EQ(body_end(body_spawn(body_returns, body_arg(1))), 1);
}

static void awaits_one_that_has_ended(void)
{
    CHECK_EQ(pica_await(ended, NULL), 0);
}

static void joins_one(void)
{
    pica_task *task = body_spawn(body_returns, NULL);
    CHECK_EQ(pica_join(task, NULL), 0);
    pica_unref(task);
}

static void gathers_two(unsigned flags)
{
    pica_task *two[2];
    for (unsigned i = 0; i < 2; i++)
        two[i] = body_spawn(body_returns, NULL);
    CHECK_EQ(pica_gather(two, 2, NULL, flags), 0);
    for (unsigned i = 0; i < 2; i++)
        pica_unref(two[i]);
}

static void gathers(void)
{
    gathers_two(0);
}

static void collects(void)
{
    gathers_two(PICA_GATHER_COLLECT);
}

static void ends_a_group(uint32_t limit, pica_fn fn)
{
    pica_group group;
    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    options.limit = limit;
    CHECK_OK(pica_group_begin_with(&group, &options));
    for (uint32_t i = 0; i <= limit; i++)
        CHECK_OK(pica_group_spawn(&group, fn, NULL));
    CHECK_EQ(pica_group_end(&group, 0), 0);
}

static void ends_a_group_of_one(void)
{
    ends_a_group(0, body_returns);
}

static void waits_for_a_place(void)
{
    ends_a_group(1, body_returns);
}

static intptr_t ends_one(void *unused)
{
    (void)unused;
    ends_a_group_of_one();
    return 0;
}

static void ends_groups_in_each_other(void)
{
    ends_a_group(0, ends_one);
}

static void starts_one_eagerly(void)
{
    pica_attr attr = PICA_ATTR_INIT;
    attr.eager = 1;
    CHECK_OK(pica_spawn_with(NULL, body_returns, NULL, &attr));
}

static intptr_t releases(void *sem)
{
    return pica_sem_release(sem);
}

static void waits_for_a_permit(void)
{
    pica_sem sem = PICA_SEM_INIT(0);
    pica_task *task = body_spawn(releases, &sem);
    CHECK_OK(pica_sem_acquire(&sem));
    CHECK_EQ(body_end(task), 0);
}

static void yields(void)
{
    CHECK_OK(pica_yield());
}

static const struct kind {
    const char *name;
    void (*turn)(void);
} kinds[] = {{"awaits", awaits_one},
             {"awaits of what has ended", awaits_one_that_has_ended},
             {"joins", joins_one},
             {"gathers", gathers},
             {"collecting gathers", collects},
             {"groups", ends_a_group_of_one},
             {"groups with a limit", waits_for_a_place},
             {"groups in each other", ends_groups_in_each_other},
             {"eager starts", starts_one_eagerly},
             {"semaphores", waits_for_a_permit},
             {"yields", yields}};

/* Tasks that keep all workers busy until one that comes has ended. */
struct busy {
    const struct kind *kind;
    check_latch came;
    check_latch turns;
};

static intptr_t goes_on(void *arg)
{
    struct busy *busy = arg;
    patience p = patience_of(PICA_SEC(10));
    while (check_hits(&busy->came) == 0 && patience_lasts(&p)) {
        busy->kind->turn();
        check_hit(&busy->turns);
    }
    return check_hits(&busy->came) > 0;
}

static intptr_t comes(void *latch)
{
    CHECK_OK(pica_sleep(PICA_US(100)));
    check_hit(latch);
    return 0;
}

/* It comes once all are at it, and nothing else does: that would shift the ends of budgets.
 * @param pin  0: for any worker */
static void one_comes(pica_executor *ex, const struct kind *kind, unsigned pin)
{
    struct busy busy = {.kind = kind};
    patience p = patience_of(PICA_SEC(10));
    pica_task *tasks[4], *last = NULL;
    unsigned workers = pica_executor_workers(ex);
    pica_attr attr = PICA_ATTR_INIT;
    attr.pin = pin;
    for (unsigned i = 0; i < workers; i++)
        tasks[i] = body_spawn_in(ex, goes_on, &busy);
    while (check_hits(&busy.turns) < workers * UINT64_C(1000) && patience_lasts(&p))
        pi_spin_wait(100);
    CHECK_FATAL_OK(pica_executor_spawn_with(ex, &last, comes, &busy.came, &attr));
    for (unsigned i = 0; i < workers; i++)
        CHECK_STR(body_end(tasks[i]) ? "" : kind->name, "");
    CHECK_EQ(body_end(last), 0);
}

static void one_comes_beside_each(const pica_options *options)
{
    pica_executor *ex = check_executor_open(options);
    ended = body_spawn_in(ex, body_returns, NULL);
    CHECK_EQ(pica_await(ended, NULL), 0);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (unsigned pin = 0; pin <= 1; pin++)
            one_comes(ex, &kinds[i], pin);
    pica_unref(ended);
    check_executor_close(ex);
}

static void all_workers_are_busy(void)
{
    pica_options options = check_options();
    one_comes_beside_each(&options);
}

/* Of several one or another would take what comes, by luck; and so would this one, if the monitor
 * hurried it. */
static void the_only_one_is_busy(void)
{
    pica_options options = check_options();
    options.workers = 1;
    options.flags |= PICA_NO_SPARE;
    one_comes_beside_each(&options);
}

CHECK_MAIN
{
    check_plain_in(CHECK_ALL | CHECK_SPARE, "all workers are busy", all_workers_are_busy);
    check_plain_in(CHECK_NO_INLINE, "the only one is busy", the_only_one_is_busy);
}
