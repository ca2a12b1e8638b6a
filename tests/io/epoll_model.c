/* SPDX-License-Identifier: MIT */
/* epoll_model.c: a reactor's sleeping and waking (epoll.c), all interleavings of an owner that
 * sleeps until there is work, those who bring it, and a rescuer that empties its set.
 *
 * What has to hold: the owner finds all work, and sleeps beside none. The queue of work is
 * relaxed, so that what a bringer did is seen through the reactor or not at all. The kernel
 * is an edge and a bed, with the half of its locks' order that is needed.
 */
#include "executor/sched/driver.h"
#include "io/epoll.h"
#include "io/slots.h"
#include "io/sys.h"
#include "tests/model/model.h"

#include <string.h>

/* --- The kernel ------------------------------------------------------------------------------ */

static uint32_t edge; /* [atomic] 1: the eventfd is in the ready list */
static model_event bed;
static unsigned writes;

int pi_sys_epoll_create(void)
{
    return 10;
}

int pi_sys_eventfd(void)
{
    return 11;
}

int pi_sys_epoll_add(int epfd, int fd, uint32_t events, uint64_t data)
{
    (void)epfd, (void)fd, (void)events, (void)data;
    return 0;
}

int pi_sys_epoll_delete(int epfd, int fd)
{
    return pi_sys_epoll_add(epfd, fd, 0, 0);
}

void pi_sys_close(int fd)
{
    (void)fd;
}

void pi_sys_eventfd_write(int fd)
{
    (void)fd;
    writes++;
    pi_xchg_release(&edge, 1u);
    model_wake(&bed);
}

int pi_sys_epoll_wait(int epfd, struct epoll_event *events, int n, int timeout_ms)
{
    (void)epfd, (void)n;
    while (!pi_xchg_acquire(&edge, 0u)) {
        if (timeout_ms == 0)
            return 0;
        model_sleep(&bed);
    }
    events[0].events = EPOLLIN;
    events[0].data.u64 = pi_event_data(PI_EVENT_WAKE, 0);
    return 1;
}

int pi_sys_epoll_wait_ns(int epfd, struct epoll_event *events, int n,
                         const struct timespec *timeout)
{
    (void)timeout;
    return pi_sys_epoll_wait(epfd, events, n, 0);
}

/* --- What else epoll.c stands on ---------------------------------------------------------------- */

static pi_slots slots;
static pi_driver *driver;

pi_slots *pi_slots_new(void)
{
    return &slots;
}

void pi_slots_each_open(pi_slots *s, void (*visit)(int fd, const char *what, void *arg), void *arg)
{
    (void)s;
    (void)visit;
    (void)arg;
}

void pi_slots_free(pi_slots *s)
{
    (void)s;
}

int pi_descriptor_event(pi_descriptor *d, uint32_t generation, uint32_t events)
{
    (void)d, (void)generation, (void)events;
    model_fail("no descriptor is registered");
}

pi_driver *pi_driver_self(void)
{
    return model_self() == 0 ? driver : NULL;
}

/* --- Who takes part ------------------------------------------------------------------------------ */

static uint32_t work[2]; /* [atomic, relaxed] */
static unsigned pieces, polls_left;

static void setup(void)
{
    memset(&slots, 0, offsetof(pi_slots, taken)); /* the driver leaves that one alone */
    memset(&bed, 0, sizeof(bed));
    memset(work, 0, sizeof(work));
    edge = writes = 0;
    pieces = 1;
    polls_left = 8;
    driver = NULL;
    model_check(pi_driver_default.open(&driver, &slots) == 0);
}

static void setup_two(void)
{
    setup();
    pieces = 2;
}

/* An edge from an earlier sleep that something else had ended. */
static void setup_stale(void)
{
    setup();
    edge = 1;
}

static bool all_is_there(void)
{
    for (unsigned i = 0; i < pieces; i++)
        if (!pi_load_relaxed(&work[i]))
            return false;
    return true;
}

static void owner(void)
{
    while (!all_is_there()) {
        model_check(polls_left-- > 0);
        pi_driver_default.poll(driver, PICA_NEVER);
    }
}

/* Polls without sleeping in between, as a busy worker does. */
static void busy_owner(void)
{
    pi_driver_default.poll(driver, 0);
    owner();
}

static void bring(unsigned i)
{
    pi_store_relaxed(&work[i], 1u);
    pi_driver_default.wake(driver);
}

static void brings_one(void)
{
    bring(0);
}

static void brings_other(void)
{
    bring(1);
}

static void brings_both(void)
{
    bring(0);
    bring(1);
}

static void rescues(void)
{
    pi_driver_default.poll(driver, 0);
}

static void rescues_twice(void)
{
    rescues();
    rescues();
}

/* A rescuer drops the edge of one that is awake, and so does not find it again. */
static void nothing_spins(void)
{
    model_check(writes <= pieces + 2);
}

const model_test model_tests[] = {
    {"a wake", setup, {owner, brings_one}, nothing_spins, false, 0, 0},
    {"a wake of a busy one", setup, {busy_owner, brings_one}, nothing_spins, false, 0, 0},
    {"a stale edge", setup_stale, {owner, brings_one}, nothing_spins, false, 0, 0},
    {"two wakes", setup_two, {owner, brings_both}, nothing_spins, false, 0, 0},
    {"two bringers", setup_two, {owner, brings_one, brings_other}, nothing_spins, false, 0, 0},
    {"a rescuer", setup, {owner, brings_one, rescues_twice}, nothing_spins, false, 0, 0},
    {"a rescuer, a stale edge",
     setup_stale,
     {owner, brings_one, rescues},
     nothing_spins,
     false,
     0,
     0},
    {"a rescuer, two wakes", setup_two, {owner, brings_both, rescues}, nothing_spins, false, 0, 0},
    {0},
};

const model_reason model_reasons[] = {{0}};
