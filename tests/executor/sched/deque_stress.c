/* SPDX-License-Identifier: MIT */
/* deque_stress.c: one owner against thieves and foreign claimers, on real threads. Each entry
 * that is pushed has to be possessed once, by somebody who sees what its pusher wrote. */
#include "executor/sched/deque.h"

#include "executor/base/atomics.h"
#include "tests/check.h"

#include <pthread.h>

#define ITEMS 96u
#define THIEVES 2u
#define CLAIMERS 1u
#define THREADS (THIEVES + CLAIMERS)

typedef struct item {
    pi_node node;
    bool queued;    /* plain: possession orders it */
    uint64_t stamp; /* plain: as queued */
    uint32_t home;  /* [atomic] free to be pushed; release by whoever had it, acquire by owner */
} item;

static pi_deque deque;
static item items[ITEMS];
static uint32_t stop;               /* [atomic] */
static uint64_t taken[THREADS + 1]; /* [atomic] each by its thread; the owner's last */

static bool possess(pi_node *node, uint64_t *count)
{
    if (!node)
        return false;
    item *it = (item *)(void *)node;
    if (!CHECK(it->queued))
        return true;
    it->queued = false;
    it->stamp++;
    pi_store_relaxed(count, *count + 1);
    pi_store_release(&it->home, 1u);
    return true;
}

static void *thief_main(void *arg)
{
    uint64_t *count = &taken[(uintptr_t)arg];
    while (!pi_load_relaxed(&stop))
        (void)possess(pi_deque_steal(&deque), count);
    return NULL;
}

static void *claimer_main(void *arg)
{
    uint64_t *count = &taken[(uintptr_t)arg];
    check_rng rng = check_rng_make((uintptr_t)arg);
    while (!pi_load_relaxed(&stop)) {
        item *it = &items[check_rng_below(&rng, ITEMS)];
        if (pi_deque_claim_foreign(&deque, &it->node))
            (void)possess(&it->node, count);
    }
    return NULL;
}

/* @return whether it pushed */
static bool push_one(item *it, uint64_t *stamp)
{
    if (!pi_load_acquire(&it->home))
        return false;
    CHECK_FATAL(!it->queued);
    pi_store_relaxed(&it->home, 0u);
    it->queued = true;
    it->stamp = ++*stamp;
    CHECK_FATAL_OK(pi_deque_push(&deque, &it->node));
    return true;
}

/* @return how often it pushed */
static uint64_t owner(check_rng *rng, uint64_t *stamp, uint64_t rounds)
{
    uint64_t pushed = 0, *count = &taken[THREADS];
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t random = check_rng_next(rng);
        item *it = &items[(random >> 8) % ITEMS];
        switch (random % 8) {
        case 0:
            (void)possess(pi_deque_take_oldest(&deque), count);
            break;
        case 1:
            (void)possess(pi_deque_take_newest(&deque), count);
            break;
        case 2:
        case 3:
            if (pi_deque_claim(&deque, &it->node))
                (void)possess(&it->node, count);
            break;
        case 4: /* spawn and await */
            if (push_one(it, stamp)) {
                pushed++;
                if (pi_deque_claim(&deque, &it->node))
                    (void)possess(&it->node, count);
            }
            break;
        default:
            pushed += push_one(it, stamp);
        }
    }
    return pushed;
}

static bool all_took(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!pi_load_relaxed(&taken[i]))
            return false;
    return true;
}

static void run(bool with_claimers)
{
    pthread_t threads[THREADS];
    unsigned n = with_claimers ? THREADS : THIEVES;
    CHECK_FATAL_OK(pi_deque_init(&deque, 2, false));
    for (unsigned i = 0; i < ITEMS; i++)
        items[i] = (item){.home = 1};
    memset(taken, 0, sizeof(taken));
    pi_store_relaxed(&stop, 0u);
    for (unsigned i = 0; i < n; i++)
        CHECK_FATAL(!pthread_create(&threads[i], NULL, i < THIEVES ? thief_main : claimer_main,
                                    (void *)(uintptr_t)i));
    check_rng rng = check_rng_make(THREADS);
    uint64_t stamp = 0, pushed = owner(&rng, &stamp, check_rounds(15000000));
    while (!all_took(n)) /* few rounds on a busy machine */
        pushed += owner(&rng, &stamp, 100000);
    while (possess(pi_deque_take_oldest(&deque), &taken[THREADS])) {
    }
    pi_store_relaxed(&stop, 1u);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    uint64_t sum = 0;
    for (unsigned i = 0; i <= THREADS; i++)
        sum += taken[i];
    CHECK_EQ(sum, pushed);
    CHECK(taken[THREADS] > 0);
    for (unsigned i = 0; i < ITEMS; i++)
        CHECK(items[i].home && !items[i].queued);
    CHECK_EQ(pi_deque_steal(&deque), NULL);
    pi_deque_deinit(&deque);
}

static void thieves(void)
{
    run(false);
}

static void thieves_and_claimers(void)
{
    run(true);
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain("take against steal", thieves);
    check_plain("take against steal and foreign claims", thieves_and_claimers);
}
