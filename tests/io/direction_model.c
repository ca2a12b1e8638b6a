/* SPDX-License-Identifier: MIT */
/* direction_model.c: the word of a direction (descriptor.h), all interleavings of small programs:
 * readers, an owner that stays inside, events, cancels, a hang-up. (Its life: descriptor_model.c.)
 *
 * What has to hold: bytes that came are read, and nobody sleeps beside them.
 */
#include "tests/model/model_socket.h"

/* --- Who takes part --------------------------------------------------------------------------- */

/* The owner's wait failed: it has been left, and enters again, as own.c does. */
static void come_back(void)
{
    bool ready;
    model_check(pi_direction_enter(&d.in, &ready) == 0);
    pi_direction_make_ready(&d.in);
}

/* As pi_own_wait() and pi_own_read(), which do not leave. */
static int owner_reads(void)
{
    for (;;) {
        model_plain_write(&streak);
        if (pi_direction_is_ready(&d.in)) {
            pi_direction_take_ready(&d.in);
        } else {
            int rc = pi_direction_wait(&d, &d.in, PI_FOR_INPUT, PICA_NEVER);
            if (rc < 0) {
                come_back();
                return rc;
            }
        }
        unsigned n = receive();
        got += n;
        if (n)
            return (int)n;
    }
}

/* As pi_own_try_write(), and then pi_own_wait_to_write() and pi_own_writev() until it succeeds, bytes
 * standing for room: a call is made while READY stands, and once more after it was taken off. */
static int owner_fills(void)
{
    unsigned n = pi_direction_is_ready(&d.in) ? receive() : 0;
    while (!n) {
        if (pi_direction_is_ready(&d.in)) {
            pi_direction_take_ready(&d.in);
        } else {
            int rc = pi_direction_wait(&d, &d.in, PI_FOR_OUTPUT, PICA_NEVER);
            if (rc < 0) {
                come_back();
                return rc;
            }
        }
        n = receive();
    }
    pi_direction_make_ready(&d.in);
    got += n;
    return (int)n;
}

static void owns(int (*moves)(void))
{
    come_back();
    while (got < 2) {
        int rc = moves();
        model_check(rc > 0 || rc == -ECANCELED);
    }
    pi_direction_leave(&d, &d.in, true);
}

static void owner_reads_two(void)
{
    owns(owner_reads);
}

static void owner_fills_two(void)
{
    owns(owner_fills);
}

static void reads_two(void)
{
    while (got < 2)
        model_check(read_some() > 0);
}

/* Its first wait may be cancelled; then it reads without fear. */
static void reads_again(void)
{
    first_rc = read_some();
    if (first_rc == -ECANCELED)
        second_rc = read_some();
}

/* Two that read: one may be told that the other does. */
static void reads_or_is_told(void)
{
    int rc = read_some();
    model_check(rc > 0 || rc == -EBUSY);
}

static void arrives_twice(void)
{
    arrive();
    arrive();
}

/* A worker that polls, its own set or another's. */
static void polls(void)
{
    for (int i = 0; i < 2; i++) {
        model_sleep(&epoll);
        if (pi_xchg_acquire(&edge, 0u))
            pi_descriptor_event(&d, 1, EPOLLIN);
    }
}

static void arrives_twice_and_polls(void)
{
    arrives_and_polls();
    arrives_and_polls();
}

static void hangs_up(void)
{
    pi_descriptor_event(&d, 1, EPOLLIN | EPOLLRDHUP);
}

/* --- What has to hold ------------------------------------------------------------------------ */

static void all_was_read(void)
{
    model_check(got == 2);
    model_check(bytes == 0 && !(d.in.word & (PI_USED | PI_ARMED)));
}

static void read_or_cancelled(void)
{
    model_check(first_rc == 1 || (first_rc == -ECANCELED && second_rc == 1));
    model_check(got == 1 && !(d.in.word & (PI_USED | PI_ARMED)));
}

static void nobody_sleeps_beside_bytes(void)
{
    model_check(!bytes || (d.in.word & PI_READY && !(d.in.word & (PI_USED | PI_ARMED))));
}

static void final_is_kept(void)
{
    model_check(got == 1);
    /* The short read did not stand for EAGAIN. */
    model_check(d.in.word & PI_FINAL && d.in.word & PI_READY);
}

const model_test model_tests[] = {
    {"bytes are read", setup, {reads_two, arrives_twice, polls}, all_was_read, true, 0, 0},
    {"two poll", setup, {reads_two, arrives_twice, polls, rescues}, all_was_read, true, 2, 1},
    {"an owner reads", setup, {owner_reads_two, arrives_twice, polls}, all_was_read, true, 0, 0},
    {"an owner reads, and is cancelled",
     setup,
     {owner_reads_two, arrives_twice_and_polls, cancels},
     all_was_read,
     0,
     2,
     1},
    {"an owner writes", setup, {owner_fills_two, arrives_twice, polls}, all_was_read, true, 0, 0},
    {"an owner writes, and is cancelled",
     setup,
     {owner_fills_two, arrives_twice_and_polls, cancels},
     all_was_read,
     0,
     2,
     1},
    {"a cancelled read",
     setup,
     {reads_again, arrives_and_polls, cancels},
     read_or_cancelled,
     0,
     0,
     0},
    {"two users",
     setup,
     {reads_or_is_told, reads_or_is_told, arrives_twice_and_polls},
     nobody_sleeps_beside_bytes,
     true,
     3,
     1},
    {"a hang-up", setup, {reads_one, arrives_and_polls, hangs_up}, final_is_kept, 0, 0, 0},
    {0},
};

const model_reason model_reasons[] = {
    MODEL_SOCKET_REASONS,
    {0},
};
