/* SPDX-License-Identifier: MIT */
/* descriptor_model.c: the life of a descriptor (descriptor.h), all interleavings of small programs:
 * readers and writers, holders, closers, events of a life before, and whoever gets the slot next
 * (slots.c, the real one). (The word of a direction while it lives: direction_model.c.)
 *
 * What has to hold: an event of an earlier life ends no wait; the number is closed once, by the
 * last of all who use it, and not under a call; a slot has one owner.
 */
#include "tests/model/model_socket.h"

/* --- Who takes part --------------------------------------------------------------------------- */

static unsigned ended_by_old_event;
static unsigned next_owners; /* how many got the slot after its first life */

static void begins(void)
{
    setup();
    ended_by_old_event = next_owners = 0;
}

static void closes(void)
{
    pi_descriptor_close(&d);
}

static void closes_under_waiter(void)
{
    model_sleep(&parked);
    pi_descriptor_close(&d);
}

static void sets_an_option(void)
{
    if (pi_descriptor_hold(&d) == 0) {
        model_plain_read(&number);
        pi_descriptor_drop(&d, 1);
    }
}

/* The other direction. */
static void writes(void)
{
    bool try_first;
    if (pi_direction_enter(&d.out, &try_first) < 0)
        return;
    model_plain_read(&number);
    pi_direction_leave(&d, &d.out, true);
}

/* Gives back what it has put to use for a moment, so that more may come. */
static void opens_next(void)
{
    pi_descriptor *mine;
    do
        model_sleep(&given_back); /* orders nothing: that is the slots' lock's part */
    while (!(mine = pi_slots_reserve(&slots)));
    model_check(mine == &d && times_given_back > 0);
    model_plain_write(&number); /* nobody of the life before uses it any more */
    pi_descriptor_open(mine, 4, PI_KIND_TCP | PI_KIND_SOCKET);
    next_owners++;
    bool try_first;
    model_check(pi_direction_enter(&mine->in, &try_first) == 0);
    model_plain_read(&number);
    pi_direction_leave(mine, &mine->in, true);
    pi_descriptor_close(mine);
}

/* An event of the first life that was taken out of the ready list before its end. */
static void old_event(void)
{
    ended_by_old_event = (unsigned)pi_descriptor_event(&d, 1, EPOLLIN);
}

/* The first life ends, the second reads a byte. */
static void reuses(void)
{
    pi_descriptor_close(&d);
    model_check(times_given_back == 1);
    pi_descriptor_open(&d, 4, PI_KIND_TCP | PI_KIND_SOCKET);
    pi_store_relaxed(&d.watched, (uint8_t)1);
    first_rc = read_some();
}

/* The second life finds nothing to read, and is left so. */
static void reuses_and_finds_nothing(void)
{
    bool try_first;
    pi_descriptor_close(&d);
    pi_descriptor_open(&d, 4, PI_KIND_TCP | PI_KIND_SOCKET);
    model_check(pi_direction_enter(&d.in, &try_first) == 0);
    pi_direction_leave(&d, &d.in, false);
}

static void arrives_in_second_life(void)
{
    arrive();
    pi_descriptor_event(&d, 2, EPOLLIN);
}

/* The first life ends under a waiter, the second is used by somebody else. */
static void reuses_under_waiter(void)
{
    model_sleep(&parked);
    pi_descriptor_close(&d);
    if (times_given_back == 0)
        return; /* the waiter is inside a call, and is the last */
    pi_descriptor_open(&d, 4, PI_KIND_TCP | PI_KIND_SOCKET);
    bool try_first;
    model_check(pi_direction_enter(&d.in, &try_first) == 0);
    model_check(pi_load_relaxed(&d.in.word) & PI_USED);
    pi_direction_leave(&d, &d.in, true);
}

/* --- What has to hold ------------------------------------------------------------------------ */

static void read_or_closed(void)
{
    model_check(first_rc == 1 || first_rc == -EBADF || first_rc == -ECANCELED);
    model_check(times_closed == 1 && times_given_back == 1);
    model_check(d.in.word & PI_SHUT && !(d.in.word & (PI_USED | PI_ARMED)));
    model_check(d.life == PI_LIFE_CLOSED);
}

static void only_the_second_life(void)
{
    model_check(ended_by_old_event == 0);
    model_check(first_rc == 1 && got == 1);
    model_check(times_closed == 1);
}

/* All lives are over, each ended once, and the slot is free. */
static void lives_ended(unsigned n)
{
    model_check(times_closed == n && times_given_back == n && next_owners == n - 1);
    model_check(d.life == PI_LIFE_CLOSED && d.generation == n && slots.open == 0);
    model_check(d.in.word & d.out.word & PI_SHUT);
    model_check(!((d.in.word | d.out.word) & (PI_USED | PI_ARMED)));
    model_check(slots.free == 1 && d.next_free == 0 && !slots.lock.held);
    model_check(ended_by_old_event == 0 || first_rc >= 0 || first_rc == -EBADF);
}

static void one_life_ended(void)
{
    lives_ended(1);
}

static void two_lives_ended(void)
{
    lives_ended(2);
}

static void three_lives_ended(void)
{
    lives_ended(3);
}

static void one_was_told(void)
{
    model_check(times_told == 1);
    lives_ended(1);
}

static void nothing_is_latched(void)
{
    model_check(ended_by_old_event == 0);
    model_check(!(d.in.word & (PI_READY | PI_USED)));
}

static void second_life_is_whole(void)
{
    model_check(first_rc == -EBADF || first_rc == -ECANCELED);
    if (times_given_back == 1 && !(d.life & PI_LIFE_CLOSED))
        model_check(d.life == PI_LIFE_OPEN && !(d.in.word & (PI_USED | PI_ARMED | PI_SHUT)));
}

const model_test model_tests[] = {
    {"a close", begins, {reads_one, arrives_and_polls, closes}, read_or_closed, 0, 0, 0},
    {"a close and a cancel", begins, {reads_one, cancels, closes}, read_or_closed, 0, 0, 0},
    {"a close and an option", begins, {reads_one, sets_an_option, closes}, read_or_closed, 0, 0, 0},
    {"an old event",
     begins,
     {reuses, arrives_in_second_life, old_event},
     only_the_second_life,
     0,
     3,
     2},
    {"a waiter of old",
     begins,
     {reads_one, reuses_under_waiter, cancels},
     second_life_is_whole,
     0,
     0,
     0},
    {"an old event latches nothing",
     begins,
     {reuses_and_finds_nothing, old_event},
     nothing_is_latched,
     0,
     0,
     0},
    {"all shares", begins, {reads_one, writes, sets_an_option, closes}, one_life_ended, 0, 2, 0},
    {"two holders",
     begins,
     {sets_an_option, sets_an_option, closes, writes},
     one_life_ended,
     0,
     2,
     1},
    {"two closers", begins, {closes, closes, writes}, one_was_told, true, 0, 0},
    {"the next owner", begins, {writes, closes, opens_next}, two_lives_ended, 0, 3, 1},
    {"the next owner, a reader of old",
     begins,
     {reads_one, closes_under_waiter, opens_next, old_event},
     two_lives_ended,
     0,
     2,
     0},
    {"two next owners", begins, {closes, opens_next, opens_next}, three_lives_ended, 0, 3, 1},
    {0},
};

const model_reason model_reasons[] = {
    MODEL_SOCKET_REASONS,
    {"pi_slots_at", "acquire load -> relaxed", "slots->slabs[index >> PI_SLAB_SHIFT]", 1,
     "there is one slab, and it was there before"},
    {"model_socket.c", NULL, "", 0, "the kernel's order, which direction_model.c needs"},
    {"direction_event", "acquire cas -> relaxed", "dir->word", 1, "direction_model.c kills it"},
    {0},
};
