/* SPDX-License-Identifier: MIT */
/* deque_model.c: the deque's protocol (deque.h), all interleavings of small programs.
 *
 * What has to hold, in each of them: a node that was pushed is possessed by exactly one, who
 * sees what the pusher wrote before; nothing is lost; and what was pushed before a thief was
 * told so is found by it.
 */
#include "executor/sched/deque.h"

#include "tests/model/model.h"

#include <stddef.h>

enum { ITEMS = 5 };

typedef struct item {
    pi_node node;
    int payload;      /* plain: possession orders it */
    int pushed, held; /* plain: how often; held <= pushed */
} item;

static pi_deque deque, other;
static item items[ITEMS];
static uint32_t told; /* [atomic] release after pushes, acquire before steals */

static void check_and_hold(pi_node *node)
{
    item *it = (item *)(void *)node;
    model_check(it >= items && it < items + ITEMS);
    model_plain_read(&it->payload);
    model_plain_write(&it->payload);
    model_check(it->payload == it->pushed);
    it->held++;
    model_check(it->held == it->pushed);
}

static bool hold(pi_node *node)
{
    if (node)
        check_and_hold(node);
    return node != NULL;
}

static int push_to(pi_deque *to, unsigned i)
{
    item *it = &items[i];
    model_plain_write(&it->payload);
    it->payload = ++it->pushed;
    int rc = pi_deque_push(to, &it->node);
    if (rc < 0)
        it->payload = --it->pushed;
    return rc;
}

static void push(unsigned i)
{
    model_check(push_to(&deque, i) == 0);
}

static bool take_oldest(void)
{
    return hold(pi_deque_take_oldest(&deque));
}

static bool take_newest(void)
{
    return hold(pi_deque_take_newest(&deque));
}

static bool claim(unsigned i)
{
    bool ok = pi_deque_claim(&deque, &items[i].node);
    if (ok)
        check_and_hold(&items[i].node);
    return ok;
}

static bool steal(void)
{
    return hold(pi_deque_steal(&deque));
}

static bool claim_foreign(unsigned i)
{
    bool ok = pi_deque_claim_foreign(&deque, &items[i].node);
    if (ok)
        check_and_hold(&items[i].node);
    return ok;
}

static void tell(void)
{
    pi_store_release(&told, 1u);
}

static bool was_told(void)
{
    return pi_load_acquire(&told) != 0;
}

static void setup(void)
{
    for (unsigned i = 0; i < ITEMS; i++)
        items[i] = (item){.node = {-1}};
    told = 0;
    model_check(pi_deque_init(&deque, 2, false) == 0);
    model_check(pi_deque_init(&other, 2, false) == 0);
}

/* As setup, with the indices moved on, so that the ring is wrapped soon. */
static void setup_wrapped(void)
{
    setup();
    deque.head = deque.tail = 3;
}

static void setup_two(void)
{
    setup_wrapped();
    push(0);
    push(1);
}

static void setup_three(void)
{
    setup();
    pi_deque_deinit(&deque);
    model_check(pi_deque_init(&deque, 4, false) == 0);
    push(0);
    push(1);
    push(2);
}

static void drain(pi_deque *d)
{
    pi_node *node;
    while ((node = pi_deque_take_oldest(d)))
        check_and_hold(node);
    model_check(pi_deque_size(d) == 0);
    for (pi_ring *ring = d->ring; ring; ring = ring->older)
        for (int64_t i = 0; i <= ring->mask; i++)
            model_check(ring->slots[i] == NULL);
    pi_deque_deinit(d);
}

static void finish(void)
{
    drain(&deque);
    drain(&other);
    for (unsigned i = 0; i < ITEMS; i++)
        model_check(items[i].held == items[i].pushed);
}

/* --- Programs -------------------------------------------------------------------------------- */

static void thief_one(void)
{
    steal();
}

static void thief_two(void)
{
    steal();
    steal();
}

static void owner_take(void)
{
    push(0);
    push(1);
    take_oldest();
    take_oldest();
}

static void owner_newest(void)
{
    push(0);
    push(1);
    take_newest();
    push(2);
    take_newest();
}

/* After setup_two: the ring is full. */
static void owner_grow(void)
{
    push(2);
    take_oldest();
}

static void owner_wrap(void)
{
    push(0);
    push(1);
    take_oldest();
    push(2);
    take_oldest();
}

/* spawn + await, the same slot and the same node again: the ABA of stacks and rings. */
static void owner_again(void)
{
    push(0);
    if (!claim(0))
        return;
    push(0);
    if (!claim(0))
        return;
    push(1);
    claim(1);
}

/* After setup_two. */
static void owner_claims(void)
{
    claim(0);
    claim(1);
    push(2);
}

/* After setup_three: a claim in the middle, the tail back over the hole, a push over it. */
static void owner_holes(void)
{
    claim(1);
    claim(2);
    push(3);
    take_oldest();
}

static void foreign_claims(void)
{
    claim_foreign(0);
    claim_foreign(1);
}

static void owner_grow_only(void)
{
    push(2);
}

static void owner_grow_twice(void)
{
    push(2);
    push(3);
    push(4);
    claim(4);
    take_oldest();
}

/* The node goes to another worker's deque and back to a slot of its old index. */
static void owner_of_first(void)
{
    push(0);
    claim(0);
    if (hold(pi_deque_steal(&other)))
        push(0);
    claim(0);
}

static void owner_of_other(void)
{
    if (steal())
        model_check(push_to(&other, 0) == 0);
    if (pi_deque_claim(&other, &items[0].node))
        check_and_hold(&items[0].node);
}

static void owner_without_memory(void)
{
    model_alloc_fails(true);
    push(0);
    push(1);
    if (push_to(&deque, 2) < 0)
        model_check(!claim(2));
    model_alloc_fails(false);
    take_oldest();
}

/* What was told of is found: by two thieves, each one piece, although the owner grows the
 * ring, and the first steal's hint may be of any age. */
static void owner_tells(void)
{
    push(0);
    push(1);
    push(2);
    tell();
    claim(2);
}

static void thief_told(void)
{
    if (was_told())
        model_check(steal());
}

static void foreign_told(void)
{
    if (was_told())
        model_check(claim_foreign(0));
}

/* A hint set by an early thief, beyond what is pushed later. */
static void owner_goes_back(void)
{
    push(0);
    push(1);
    claim(1);
    claim(0);
    push(2);
    push(3);
    tell();
}

/* --- Without an exchange (the second protocol of deque.h) -------------------------------------- */

static void setup_private(void)
{
    setup();
    pi_deque_deinit(&deque);
    model_check(pi_deque_init(&deque, 4, true) == 0);
    push(0);
    push(1);
}

/* A thief has been here before. */
static void setup_shared(void)
{
    setup_private();
    deque.state = PI_DEQUE_SHARED;
}

static void owner_takes(void)
{
    take_oldest();
    claim(1);
}

static void owner_takes_one(void)
{
    take_oldest();
}

static void owner_privatizes(void)
{
    pi_deque_privatize(&deque);
    take_oldest();
}

static void owner_takes_and_privatizes(void)
{
    take_oldest();
    pi_deque_privatize(&deque);
    claim(1);
}

/* --- What an owner has told a task before others take it ---------------------------------------- */

static uint32_t flag;  /* [atomic, relaxed] of item 0 */
static bool published; /* [owner] */
static bool came, saw; /* [the one thief] */

static void setup_flag(void)
{
    setup_private();
    flag = 0;
    published = came = saw = false;
}

static void setup_flag_shared(void)
{
    setup_flag();
    deque.state = PI_DEQUE_SHARED;
}

static void owner_flags(void)
{
    pi_store_relaxed(&flag, 1u);
    published = pi_deque_publish(&deque, &items[0].node);
}

static void owner_flags_and_grows(void)
{
    owner_flags();
    push(2);
    push(3);
    push(4);
}

static void owner_takes_and_flags(void)
{
    take_oldest();
    owner_flags();
    model_check(!published);
}

static void sees(bool got)
{
    came = got;
    saw = pi_load_relaxed(&flag);
}

static void thief_sees(void)
{
    pi_node *node = pi_deque_steal(&deque);
    if (hold(node))
        sees(node == &items[0].node);
}

static void foreigner_sees(void)
{
    sees(claim_foreign(0));
}

static void flag_was_seen(void)
{
    model_check(!published || !came || saw);
    finish();
}

static void foreign_claims_one(void)
{
    claim_foreign(0);
}

const model_test model_tests[] = {
    /* Cheap ones first: a mutant is tried on each until one kills it. */
    {"take, one thief", setup, {owner_take, thief_two}, finish, false, 0, 0},
    {"newest, one thief", setup, {owner_newest, thief_two}, finish, false, 0, 0},
    {"growth, one thief", setup_two, {owner_grow, thief_two}, finish, false, 0, 0},
    {"growth twice, a thief", setup_two, {owner_grow_twice, thief_one}, finish, false, 0, 0},
    {"wrap, a thief", setup_wrapped, {owner_wrap, thief_two}, finish, false, 0, 0},
    {"the same slot again, a thief", setup, {owner_again, thief_two}, finish, false, 0, 0},
    {"holes, a thief", setup_three, {owner_holes, thief_two}, finish, false, 0, 0},
    {"foreign claims, take", setup, {owner_take, foreign_claims}, finish, false, 0, 0},
    {"foreign claims, growth", setup_two, {owner_grow, foreign_claims}, finish, false, 0, 0},
    {"through another deque", setup, {owner_of_first, owner_of_other}, finish, false, 0, 0},
    {"no memory", setup, {owner_without_memory, thief_one}, finish, false, 0, 0},
    {"told thieves find", setup, {owner_tells, thief_told, thief_told}, finish, false, 0, 0},
    {"told foreigner finds", setup, {owner_tells, foreign_told}, finish, false, 0, 0},
    {"private, a thief", setup_private, {owner_takes, thief_two}, finish, false, 0, 0},
    {"private, two thieves",
     setup_private,
     {owner_takes_one, thief_one, thief_one},
     finish,
     false,
     2,
     1},
    {"private, a thief and a foreign claim",
     setup_private,
     {owner_takes_one, thief_one, foreign_claims_one},
     finish,
     false,
     2,
     1},
    {"privatized, a thief", setup_shared, {owner_privatizes, thief_two}, finish, false, 0, 0},
    {"taken and privatized, a thief",
     setup_shared,
     {owner_takes_and_privatizes, thief_one},
     finish,
     false,
     0,
     0},
    {"privatized, two thieves",
     setup_shared,
     {owner_privatizes, thief_one, thief_one},
     finish,
     false,
     2,
     1},
    {"published, a thief", setup_flag, {owner_flags, thief_sees}, flag_was_seen, false, 0, 0},
    {"published, shared, a thief",
     setup_flag_shared,
     {owner_flags, thief_sees},
     flag_was_seen,
     false,
     0,
     0},
    {"published, a foreign claim",
     setup_flag_shared,
     {owner_flags, foreigner_sees},
     flag_was_seen,
     false,
     0,
     0},
    {"published, growth, a thief",
     setup_flag_shared,
     {owner_flags_and_grows, thief_sees},
     flag_was_seen,
     false,
     0,
     0},
    {"taken, not published", setup_flag, {owner_takes_and_flags}, flag_was_seen, false, 0, 0},
    {"hints hide nothing", setup, {owner_goes_back, thief_one, thief_told}, finish, false, 0, 0},
    {"take, two thieves", setup, {owner_take, thief_one, thief_one}, finish, false, 3, 1},
    {"growth, two thieves",
     setup_two,
     {owner_grow_only, thief_one, thief_one},
     finish,
     false,
     0,
     0},
    {"claims, two thieves", setup_two, {owner_claims, thief_one, thief_one}, finish, false, 3, 1},
    {"foreign claims, a thief",
     setup_two,
     {owner_claims, foreign_claims, thief_one},
     finish,
     false,
     3,
     1},
    {0},
};

#define OWNER_FENCES                                                                               \
    "the deque itself needs no order here: it is for the owner's pi_fence_after_rmw(), which is "  \
    "free because the exchange keeps earlier stores before it"

#define IN_ORDER                                                                                   \
    "the checker makes a thread's stores visible to read-modify-writes in program order; where a " \
    "machine does not, the slot could become empty after the thief has seen taking 0"

const model_reason model_reasons[] = {
    {"pi_deque_exchange", "seq_cst xchg -> acq_rel", "slot", 1, OWNER_FENCES},
    {"pi_deque_exchange", "release store -> relaxed", "deque->taking", 1, IN_ORDER},
    {"revoke_slow", "acquire load -> relaxed", "deque->taking", 1, IN_ORDER},
    {0},
};
