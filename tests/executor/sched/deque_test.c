/* SPDX-License-Identifier: MIT */
/* deque_test.c: the deque alone, one thread playing all parts. What several threads do to it
 * is in deque_stress.c (real ones) and deque_model.c (all interleavings). */
#include "executor/sched/deque.h"

#include "tests/check.h"

#define NODES 1000

static pi_node nodes[NODES];

static void open_deque(pi_deque *deque, size_t capacity)
{
    CHECK_FATAL_OK(pi_deque_init(deque, capacity, false));
}

static void push(pi_deque *deque, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        CHECK_OK(pi_deque_push(deque, &nodes[i]));
}

static void check_empty(pi_deque *deque)
{
    CHECK_EQ(pi_deque_take_oldest(deque), NULL);
    CHECK_EQ(pi_deque_take_newest(deque), NULL);
    CHECK_EQ(pi_deque_steal(deque), NULL);
    CHECK_EQ(pi_deque_size(deque), 0);
}

static void empty_gives_nothing(void)
{
    pi_deque deque;
    open_deque(&deque, 1);
    check_empty(&deque);
    CHECK(!pi_deque_claim(&deque, &nodes[0]));
    CHECK(!pi_deque_claim_foreign(&deque, &nodes[0]));
    pi_deque_deinit(&deque);
}

static void ends_keep_their_order(void)
{
    pi_deque deque;
    open_deque(&deque, 4);
    push(&deque, 0, 9);
    CHECK_EQ(pi_deque_size(&deque), 9);
    CHECK_EQ(pi_deque_take_oldest(&deque), &nodes[0]);
    CHECK_EQ(pi_deque_take_newest(&deque), &nodes[8]);
    CHECK_EQ(pi_deque_steal(&deque), &nodes[1]);
    CHECK_EQ(pi_deque_steal(&deque), &nodes[2]);
    CHECK_EQ(pi_deque_take_oldest(&deque), &nodes[3]);
    CHECK_EQ(pi_deque_take_newest(&deque), &nodes[7]);
    CHECK_EQ(pi_deque_steal(&deque), &nodes[4]);
    CHECK_EQ(pi_deque_take_newest(&deque), &nodes[6]);
    CHECK_EQ(pi_deque_take_newest(&deque), &nodes[5]);
    check_empty(&deque);
    pi_deque_deinit(&deque);
}

static void grows_and_wraps(void)
{
    pi_deque deque;
    open_deque(&deque, 2);
    unsigned in = 0, out = 0;
    /* Three in, one out, so that growth finds the ring wrapped and with holes. */
    while (in + 3 <= NODES) {
        push(&deque, in, in + 3);
        in += 3;
        pi_node *node = in % 2 ? pi_deque_steal(&deque) : pi_deque_take_oldest(&deque);
        CHECK_EQ(node, &nodes[out]);
        out++;
    }
    for (; out < in; out++)
        CHECK_EQ(pi_deque_take_oldest(&deque), &nodes[out]);
    check_empty(&deque);
    pi_deque_deinit(&deque);
}

static void stays_small(void)
{
    pi_deque deque;
    open_deque(&deque, 4);
    const pi_ring *ring = deque.ring;
    for (unsigned i = 0; i < 10 * NODES; i++) { /* spawn + await */
        push(&deque, 0, 1);
        CHECK(pi_deque_claim(&deque, &nodes[0]));
        CHECK_EQ(nodes[0].slot, 0);
    }
    for (unsigned i = 0; i < NODES; i++) { /* a = spawn, b = spawn, await a, await b */
        push(&deque, 0, 2);
        CHECK(pi_deque_claim(&deque, &nodes[0]));
        CHECK(pi_deque_claim(&deque, &nodes[1]));
        CHECK_EQ(pi_deque_size(&deque), 0);
    }
    for (unsigned i = 0; i < NODES; i++) { /* holes at the head must not make it grow */
        push(&deque, 0, 4);
        for (unsigned k = 0; k < 3; k++)
            CHECK_EQ(pi_deque_steal(&deque), &nodes[k]);
        push(&deque, 4, 5);
        CHECK_EQ(pi_deque_take_oldest(&deque), &nodes[3]);
        CHECK_EQ(pi_deque_take_oldest(&deque), &nodes[4]);
    }
    CHECK_EQ(deque.ring, ring);
    pi_deque_deinit(&deque);
}

static void claim_takes_any(void)
{
    pi_deque deque, other;
    open_deque(&deque, 2);
    open_deque(&other, 2);
    push(&deque, 0, 7);
    CHECK(pi_deque_claim(&deque, &nodes[3]));  /* in the middle: a hole */
    CHECK(!pi_deque_claim(&deque, &nodes[3])); /* gone */
    CHECK_EQ(pi_deque_size(&deque), 7);
    CHECK(pi_deque_claim(&deque, &nodes[0])); /* the oldest */
    CHECK_EQ(pi_deque_size(&deque), 6);
    CHECK(pi_deque_claim(&deque, &nodes[5])); /* beside the newest */
    CHECK(pi_deque_claim(&deque, &nodes[6])); /* the newest: back over the hole */
    CHECK_EQ(pi_deque_size(&deque), 4);
    CHECK(pi_deque_claim_foreign(&deque, &nodes[2]));
    CHECK(!pi_deque_claim_foreign(&deque, &nodes[2]));
    /* A node that lies elsewhere, under an index that is valid here. */
    push(&other, 5, 6);
    nodes[5].slot = nodes[1].slot;
    CHECK(!pi_deque_claim(&deque, &nodes[5]));
    CHECK(!pi_deque_claim_foreign(&deque, &nodes[5]));
    CHECK_EQ(pi_deque_take_newest(&deque), &nodes[4]);
    CHECK_EQ(pi_deque_take_newest(&deque), &nodes[1]);
    check_empty(&deque);
    pi_deque_deinit(&deque);
    pi_deque_deinit(&other);
}

/* A thief's hint points behind the tail that the owner takes back afterwards: what is pushed
 * below it must be found all the same. */
static void hint_hides_nothing(void)
{
    pi_deque deque;
    open_deque(&deque, 8);
    push(&deque, 0, 4);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(pi_deque_steal(&deque), &nodes[i]);
    CHECK_EQ(deque.hint, 3);
    CHECK(pi_deque_claim(&deque, &nodes[3])); /* tail back to 0 */
    push(&deque, 0, 1);
    CHECK_EQ(pi_deque_steal(&deque), &nodes[0]); /* hint beyond the tail */
    deque.hint = 3;
    push(&deque, 0, 3);
    CHECK(pi_deque_claim_foreign(&deque, &nodes[2]));
    CHECK_EQ(pi_deque_steal(&deque), &nodes[0]); /* hint inside, entries below */
    CHECK_EQ(pi_deque_steal(&deque), &nodes[1]);
    check_empty(&deque);
    pi_deque_deinit(&deque);
}

/* Random calls against a plain list as the reference. */
static void agrees_with_a_list(void)
{
    enum { MOST = 40 };
    pi_deque deque;
    unsigned list[MOST], n = 0, free_nodes[MOST], n_free = MOST;
    check_rng rng = check_rng_make(1);
    open_deque(&deque, 2);
    for (unsigned i = 0; i < MOST; i++)
        free_nodes[i] = i;
    uint64_t rounds = check_rounds(200000);
    for (uint64_t round = 0; round < rounds; round++) {
        unsigned at = n;
        bool ok = true;
        switch (check_rng_below(&rng, 6)) {
        case 0:
        case 1:
            if (n_free) {
                list[n++] = free_nodes[--n_free];
                CHECK_OK(pi_deque_push(&deque, &nodes[list[n - 1]]));
            }
            continue;
        case 2:
            ok = pi_deque_take_oldest(&deque) == (n ? &nodes[list[at = 0]] : NULL);
            break;
        case 3:
            ok = pi_deque_take_newest(&deque) == (n ? &nodes[list[at = n - 1]] : NULL);
            break;
        case 4: { /* by the hint perhaps not the oldest, but never NULL in vain */
            const pi_node *stolen = pi_deque_steal(&deque);
            for (at = 0; at < n && &nodes[list[at]] != stolen;)
                at++;
            ok = n ? at < n : stolen == NULL;
            break;
        }
        default:
            if (n) {
                at = (unsigned)check_rng_below(&rng, n);
                ok = check_rng_below(&rng, 2) ? pi_deque_claim(&deque, &nodes[list[at]])
                                              : pi_deque_claim_foreign(&deque, &nodes[list[at]]);
            }
        }
        if (!CHECK(ok))
            break;
        if (n) {
            free_nodes[n_free++] = list[at];
            memmove(&list[at], &list[at + 1], (--n - at) * sizeof(list[0]));
        }
    }
    pi_deque_deinit(&deque);
}

CHECK_MAIN
{
    check_plain("empty gives nothing", empty_gives_nothing);
    check_plain("ends keep their order", ends_keep_their_order);
    check_plain("grows and wraps", grows_and_wraps);
    check_plain("stays small", stays_small);
    check_plain("claim takes any", claim_takes_any);
    check_plain("hint hides nothing", hint_hides_nothing);
    check_plain("agrees with a list", agrees_with_a_list);
}
