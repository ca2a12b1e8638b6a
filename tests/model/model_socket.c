/* SPDX-License-Identifier: MIT */
/* model_socket.c: see model_socket.h. */
#include "tests/model/model_socket.h"

#include <string.h>

enum { THREADS = 4 };

/* --- The kernel ------------------------------------------------------------------------------ */

uint32_t bytes; /* [atomic] in the socket */
uint32_t edge;  /* [atomic] 1: in the ready list */
model_event epoll;
char number; /* announced: read by calls, written by its close */
unsigned times_closed, times_given_back;

void arrive(void)
{
    pi_add_acquire(&bytes, 1u);
    pi_xchg_release(&edge, 1u);
    model_wake(&epoll);
}

unsigned receive(void)
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

model_event given_back;

/* The linker sends descriptor.c's calls here. */
void __real_pi_slots_give_back(pi_descriptor *dead);
void __wrap_pi_slots_give_back(pi_descriptor *dead);
void __wrap_pi_slots_give_back(pi_descriptor *dead)
{
    times_given_back++;
    __real_pi_slots_give_back(dead);
    model_wake(&given_back);
}

unsigned times_told;

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
model_event parked; /* somebody waits */

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

pi_slots slots;
pi_descriptor d; /* the only slot of the only slab */
unsigned got;
int first_rc, second_rc;

void setup(void)
{
    memset(&d, 0, sizeof(d));
    d.slots = &slots;
    slots.slabs[0] = &d;
    slots.slabs_made = 1;
    slots.lock.held = slots.free = 0;
    slots.open = 0;
    model_alloc_fails(true); /* there is never another slab */
    times_told = 0;
    d.in.word = d.out.word = PI_SHUT;
    d.life = PI_LIFE_CLOSED;
    memset(waits, 0, sizeof(waits));
    memset(beds, 0, sizeof(beds));
    memset(&epoll, 0, sizeof(epoll));
    memset(&parked, 0, sizeof(parked));
    given_back.set = false;
    bytes = edge = 0;
    times_closed = times_given_back = got = 0;
    first_rc = second_rc = 99;
    pi_descriptor_open(&d, 3, PI_KIND_TCP | PI_KIND_SOCKET);
    d.watched = 1;
}

char streak; /* announced: the user's own */

/* As pica_read() with room for more than comes, so that each read stands for EAGAIN. */
int read_some(void)
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

void reads_one(void)
{
    first_rc = read_some();
}

void rescues(void)
{
    if (pi_xchg_acquire(&edge, 0u))
        pi_descriptor_event(&d, 1, EPOLLIN);
}

void arrives_and_polls(void)
{
    arrive();
    rescues();
}

/* Cancels the reader, thread 0, once, if it waits. */
void cancels(void)
{
    uint64_t word = pi_load_relaxed(&waits[0].word);
    if (STATE(word) == PI_WAITING)
        pi_wait_end((pi_token){&waits[0], word}, PI_CANCEL);
}
