/* SPDX-License-Identifier: MIT */
/* descriptor_model.c: the word of a direction and the life of a descriptor (descriptor.h),
 * all interleavings of small programs: readers and writers, events, cancels, holders, closers,
 * and whoever gets the slot next (slots.c, the real one).
 *
 * What has to hold: bytes that came are read and nobody sleeps beside them; an event of an
 * earlier life ends no wait; the number is closed once, by the last of all who use it, and not
 * under a call; a slot has one owner. The kernel is a count of bytes and an edge; its locks are
 * there with the half of their order that is needed. Waits are the simplest that do.
 */
#include "executor/sched/driver.h"
#include "io/epoll.h"
#include "io/slots.h"
#include "io/sys.h"
#include "tests/model/model.h"

#include <string.h>

enum { THREADS = 4 };

/* --- The kernel ------------------------------------------------------------------------------ */

static uint32_t bytes; /* [atomic] in the socket */
static uint32_t edge;  /* [atomic] 1: in the ready list */
static model_event epoll;
static char number; /* announced: read by calls, written by its close */
static unsigned times_closed, times_given_back;

static void arrive(void)
{
    pi_add_acquire(&bytes, 1u);
    pi_xchg_release(&edge, 1u);
    model_wake(&epoll);
}

static unsigned receive(void)
{
    model_plain_read(&number);
    return pi_xchg_release(&bytes, 0u);
}

void pi_sys_close(int fd)
{
    (void)fd;
    model_plain_write(&number);
    times_closed++;
}

static model_event given_back;

/* The linker sends descriptor.c's calls here. */
void __real_pi_slots_give_back(pi_descriptor *d);
void __wrap_pi_slots_give_back(pi_descriptor *d);
void __wrap_pi_slots_give_back(pi_descriptor *d)
{
    times_given_back++;
    __real_pi_slots_give_back(d);
    model_wake(&given_back);
}

static unsigned times_told;

/* And what would abort(): whoever closes what is closed. It goes no further. */
void __wrap_pi_fatal(const char *format, ...) __attribute__((noreturn));
void __wrap_pi_fatal(const char *format, ...)
{
    model_event never = {false};
    model_check(strstr(format, "closed twice"));
    times_told++;
    for (;;)
        model_sleep(&never);
}

/* The descriptor is registered from the start: nobody asks where. */
const pi_driver_ops pi_driver_default;

const pi_driver_ops *pi_driver_ops_self(void)
{
    return NULL;
}

void *pi_driver_shared_self(void)
{
    return NULL;
}

int pi_sys_epoll_add(int epfd, int fd, uint32_t events, uint64_t data)
{
    (void)epfd, (void)fd, (void)events, (void)data;
    return -ENOSYS;
}

int pi_sys_epoll_modify(int epfd, int fd, uint32_t events, uint64_t data)
{
    return pi_sys_epoll_add(epfd, fd, events, data);
}

int pi_sys_epoll_delete(int epfd, int fd)
{
    return pi_sys_epoll_add(epfd, fd, 0, 0);
}

int pi_reactor_epfd(const pi_driver *driver)
{
    (void)driver;
    return -1;
}

pi_driver *pi_driver_self(void)
{
    return NULL;
}

/* --- Waits ----------------------------------------------------------------------------------- */

#define STATE(word) ((word)&0xff)

static pi_wait waits[THREADS];
static model_event beds[THREADS];
static model_event parked; /* somebody waits */

int pi_wait_check_worker(void)
{
    return 0;
}

void pi_wait_begin_for(pi_waiter *me, pi_for what, uintptr_t which)
{
    (void)what;
    (void)which;
    pi_wait *wait = &waits[model_self()];
    uint64_t word = ((pi_load_relaxed(&wait->word) >> 8) + 1) << 8 | PI_WAITING;
    me->token = (pi_token){wait, word};
    pi_store_relaxed(&wait->word, word);
}

bool pi_wait_end(pi_token token, pi_how how)
{
    uint64_t word = token.word;
    if (!pi_cas_relaxed(&token.wait->word, &word, (word & ~(uint64_t)0xff) | how))
        return false;
    model_wake(&beds[token.wait - waits]);
    return true;
}

bool pi_wait_abandon(pi_waiter *me)
{
    return pi_wait_end(me->token, PI_WAIT_IDLE);
}

pi_how pi_wait_park(pi_waiter *me, int64_t deadline_ns)
{
    uint64_t word;
    (void)deadline_ns;
    model_wake(&parked);
    /* A read-modify-write, as the real one's, because a model_sleep() passes on nothing. */
    while (STATE(word = pi_add_relaxed(&me->token.wait->word, 0u)) == PI_WAITING)
        model_sleep(&beds[model_self()]);
    return (pi_how)STATE(word);
}

/* --- Who takes part --------------------------------------------------------------------------- */

static pi_slots slots;
static pi_descriptor d; /* the only slot of the only slab */
static unsigned got, ended_by_old_event;
static unsigned next_owners; /* how many got the slot after its first life */
static int first_rc, second_rc;

static void setup(void)
{
    memset(&d, 0, sizeof(d));
    d.slots = &slots;
    slots.slabs[0] = &d;
    slots.slabs_made = 1;
    slots.lock.held = slots.free = 0;
    slots.open = 0;
    model_alloc_fails(true); /* there is never another slab */
    next_owners = 0;
    times_told = 0;
    d.in.word = d.out.word = PI_SHUT;
    d.life = PI_LIFE_CLOSED;
    memset(waits, 0, sizeof(waits));
    memset(beds, 0, sizeof(beds));
    memset(&epoll, 0, sizeof(epoll));
    memset(&parked, 0, sizeof(parked));
    given_back.set = false;
    bytes = edge = 0;
    times_closed = times_given_back = got = ended_by_old_event = 0;
    first_rc = second_rc = 99;
    pi_descriptor_open(&d, 3, PI_KIND_TCP | PI_KIND_SOCKET);
    d.watched = 1;
}

static char streak; /* announced: the user's own */

/* As pica_read() with room for more than comes, so that each read stands for EAGAIN. */
static int read_some(void)
{
    bool try_first;
    int rc = pi_direction_enter(&d.in, &try_first);
    if (rc < 0)
        return rc;
    for (;;) {
        model_plain_write(&streak);
        unsigned n = try_first ? receive() : 0;
        if (n) {
            pi_direction_leave(&d, &d.in, false);
            got += n;
            return (int)n;
        }
        rc = pi_direction_wait(&d, &d.in, PI_FOR_INPUT, PICA_NEVER);
        if (rc < 0)
            return rc;
        try_first = true;
    }
}

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

/* As pi_own_try_write() and then pi_own_writev(), bytes standing for room: a call is made while
 * READY stands, and once more after it was taken off. */
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

static void reads_one(void)
{
    first_rc = read_some();
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

static void rescues(void)
{
    if (pi_xchg_acquire(&edge, 0u))
        pi_descriptor_event(&d, 1, EPOLLIN);
}

static void arrives_and_polls(void)
{
    arrive();
    rescues();
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

/* Cancels the reader, thread 0, once, if it waits. */
static void cancels(void)
{
    uint64_t word = pi_load_relaxed(&waits[0].word);
    if (STATE(word) == PI_WAITING)
        pi_wait_end((pi_token){&waits[0], word}, PI_CANCEL);
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

/* --- What has to hold --------------------------------------------------------------------------- */

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

static void nobody_sleeps_beside_bytes(void)
{
    model_check(!bytes || (d.in.word & PI_READY && !(d.in.word & (PI_USED | PI_ARMED))));
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
    {"a close", setup, {reads_one, arrives_and_polls, closes}, read_or_closed, 0, 0, 0},
    {"a close and a cancel", setup, {reads_one, cancels, closes}, read_or_closed, 0, 0, 0},
    {"a close and an option", setup, {reads_one, sets_an_option, closes}, read_or_closed, 0, 0, 0},
    {"an old event",
     setup,
     {reuses, arrives_in_second_life, old_event},
     only_the_second_life,
     0,
     3,
     2},
    {"a waiter of old",
     setup,
     {reads_one, reuses_under_waiter, cancels},
     second_life_is_whole,
     0,
     0,
     0},
    {"an old event latches nothing",
     setup,
     {reuses_and_finds_nothing, old_event},
     nothing_is_latched,
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
    {"all shares", setup, {reads_one, writes, sets_an_option, closes}, one_life_ended, 0, 2, 0},
    {"two holders",
     setup,
     {sets_an_option, sets_an_option, closes, writes},
     one_life_ended,
     0,
     2,
     1},
    {"two closers", setup, {closes, closes, writes}, one_was_told, true, 0, 0},
    {"the next owner", setup, {writes, closes, opens_next}, two_lives_ended, 0, 3, 1},
    {"the next owner, a reader of old",
     setup,
     {reads_one, closes_under_waiter, opens_next, old_event},
     two_lives_ended,
     0,
     2,
     0},
    {"two next owners", setup, {closes, opens_next, opens_next}, three_lives_ended, 0, 3, 1},
    {"a hang-up", setup, {reads_one, arrives_and_polls, hangs_up}, final_is_kept, 0, 0, 0},
    {0},
};

/* A token of a later arming must come with the word that precedes it. The checker lets no
 * store overtake an earlier one, so here it always does; other machines may differ. */
#define OLD_TOKEN "the checker executes stores in program order"

const model_reason model_reasons[] = {
    {"pi_direction_wait", "release store -> relaxed", "dir->token.wait", 1, OLD_TOKEN},
    {"pi_direction_wait", "release store -> relaxed", "dir->token.word", 1, OLD_TOKEN},
    {"read_token", "acquire load -> relaxed", "dir->token.wait", 1, OLD_TOKEN},
    {"read_token", "acquire load -> relaxed", "dir->token.word", 1, OLD_TOKEN},
    {"pi_slots_at", "acquire load -> relaxed", "slots->slabs[index >> PI_SLAB_SHIFT]", 1,
     "there is one slab, and it was there before"},
    {0},
};
