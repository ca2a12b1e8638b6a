/* SPDX-License-Identifier: MIT */
/* pollfd_test.c: waiting for descriptors that belong to somebody else. */
#include "tests/io/peers.h"

#include <sys/eventfd.h>

typedef struct job {
    int fd;
    short events;
} job;

static intptr_t poll_for_ever(void *arg)
{
    job *j = arg;
    return pica_poll_fd(j->fd, j->events, PICA_NEVER);
}

static void ready_at_once(void)
{
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK_EQ(pica_poll_fd(fd, POLLIN, PICA_NEVER), POLLIN);
    CHECK_EQ(pica_poll_fd(fd, POLLOUT, PICA_NEVER), POLLOUT);
    CHECK_EQ(pica_poll_fd(fd, POLLIN | POLLOUT, PICA_NEVER), POLLIN | POLLOUT);
    CHECK_EQ(pica_poll_fd(fd, POLLIN, 0), POLLIN); /* the state beats the deadline */
    close(fd);
}

static intptr_t hits(void *latch)
{
    check_hit(latch);
    return 0;
}

/* With one worker: who never has to wait lets others run all the same. */
static void ready_again_and_again(void)
{
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    check_latch ran = {0};
    pica_task *other = peers_spawn(hits, &ran);
    for (unsigned calls = 0; calls < 100; calls++)
        CHECK_EQ(pica_poll_fd(fd, POLLIN, PICA_NEVER), POLLIN);
    CHECK_EQ(check_hits(&ran), 1);
    CHECK_EQ(peers_result(other), 0);
    close(fd);
}

static void waits(void)
{
    job in = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .events = POLLIN};
    for (uint64_t round = 0; round < check_rounds(300); round++) {
        pica_task *task = peers_spawn(poll_for_ever, &in);
        if (round % 3)
            PEERS_UNTIL_WAITING(task);
        CHECK_EQ(eventfd_write(in.fd, 1), 0);
        CHECK_EQ(peers_result(task), POLLIN);
        eventfd_t value;
        CHECK_EQ(eventfd_read(in.fd, &value), 0);
    }
    close(in.fd);
}

static void waits_for_room(void)
{
    int ends[2];
    static char block[4096];
    CHECK_FATAL(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    while (write(ends[1], block, sizeof(block)) > 0)
        ;
    job out = {.fd = ends[1], .events = POLLOUT};
    pica_task *task = peers_spawn(poll_for_ever, &out);
    PEERS_UNTIL_WAITING(task);
    while (read(ends[0], block, sizeof(block)) > 0)
        ;
    CHECK_EQ(peers_result(task), POLLOUT);

    /* The reader goes: an error that nobody asked for is told. */
    while (write(ends[1], block, sizeof(block)) > 0)
        ;
    task = peers_spawn(poll_for_ever, &out);
    PEERS_UNTIL_WAITING(task);
    close(ends[0]);
    CHECK(peers_result(task) & POLLERR);
    close(ends[1]);
}

static void either_direction(void)
{
    int a, b;
    peers_raw_pair(&a, &b);
    job both = {.fd = a, .events = POLLIN | POLLOUT};
    CHECK_EQ(pica_poll_fd(a, both.events, PICA_NEVER), POLLOUT);
    CHECK_EQ(fcntl(a, F_SETFL, O_NONBLOCK), 0);
    static char block[65536];
    while (send(a, block, sizeof(block), MSG_NOSIGNAL) > 0)
        ;
    pica_task *task = peers_spawn(poll_for_ever, &both);
    PEERS_UNTIL_WAITING(task);
    peers_send(b, "x", 1);
    CHECK_EQ(peers_result(task), POLLIN);
    close(a);
    close(b);
}

static void hang_up(void)
{
    int a, b;
    peers_raw_pair(&a, &b);
    job in = {.fd = a, .events = POLLIN};
    pica_task *task = peers_spawn(poll_for_ever, &in);
    PEERS_UNTIL_WAITING(task);
    shutdown(b, SHUT_WR);
    CHECK_EQ(peers_result(task), POLLIN | POLLRDHUP);
    CHECK_EQ(pica_poll_fd(a, POLLOUT, PICA_NEVER), POLLOUT);
    close(b);
    close(a);
}

static void deadline(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int64_t at = pica_after(PICA_MS(3));
    CHECK_EQ(pica_poll_fd(fd, POLLIN, at), -ETIMEDOUT);
    CHECK_LE(at, pica_now());
    CHECK_EQ(pica_poll_fd(fd, POLLIN, 0), -ETIMEDOUT);
    CHECK_EQ(pica_poll_fd(fd, POLLIN, pica_now() - 1), -ETIMEDOUT);
    /* Nothing is left behind: the next wait registers anew, and its event counts. */
    CHECK_EQ(eventfd_write(fd, 1), 0);
    CHECK_EQ(pica_poll_fd(fd, POLLIN, PICA_NEVER), POLLIN);
    close(fd);
}

static void bad_arguments(void)
{
    FILE *plain = tmpfile();
    CHECK_FATAL(plain != NULL);
    CHECK_EQ(pica_poll_fd(fileno(plain), POLLIN, PICA_NEVER), -EPERM);
    fclose(plain);
    CHECK_EQ(pica_poll_fd(-1, POLLIN, PICA_NEVER), -EBADF);
    CHECK_EQ(pica_poll_fd(1000000, POLLIN, PICA_NEVER), -EBADF);
    CHECK_EQ(pica_poll_fd(0, 0, PICA_NEVER), -EINVAL);
    CHECK_EQ(pica_poll_fd(0, POLLERR, PICA_NEVER), -EINVAL);
}

static intptr_t poll_a_while(void *arg)
{
    job *j = arg;
    return pica_poll_fd(j->fd, j->events, pica_after(PICA_MS(100)));
}

/* A mistake that harms nobody: the second is told so, on whatever worker it runs; and who comes
 * when the first has gone is no second. */
static void two_at_once(void)
{
    job in = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .events = POLLIN};
    for (unsigned pin = 0; pin <= pica_executor_workers(check_executor()); pin++) {
        pica_attr attr = PICA_ATTR_INIT;
        pica_task *first = peers_spawn(poll_for_ever, &in), *second = NULL;
        PEERS_UNTIL_WAITING(first);
        attr.pin = pin;
        CHECK_FATAL_OK(pica_spawn_with(&second, poll_a_while, &in, &attr));
        CHECK_EQ(peers_result(second), -EBUSY);
        CHECK_EQ(eventfd_write(in.fd, 1), 0);
        CHECK_EQ(peers_result(first), POLLIN);
        eventfd_t value;
        CHECK_EQ(eventfd_read(in.fd, &value), 0);
    }
    close(in.fd);
}

static intptr_t reads_byte(void *arg)
{
    char byte;
    return pica_read(arg, &byte, 1);
}

/* The number of a stream is refused, whether or not anybody has waited for the stream yet, and on
 * whatever worker; and the stream is none the worse for it. */
static void not_a_streams(void)
{
    int raw;
    pica_stream *s = peers_stream(&raw);
    job in = {.fd = pica_stream_fd(s), .events = POLLIN};
    for (int round = 0; round < 2; round++) {
        for (unsigned pin = 0; pin <= pica_executor_workers(check_executor()); pin++) {
            pica_attr attr = PICA_ATTR_INIT;
            pica_task *poller = NULL;
            attr.pin = pin;
            CHECK_FATAL_OK(pica_spawn_with(&poller, poll_a_while, &in, &attr));
            CHECK_EQ(peers_result(poller), -EBUSY);
        }
        pica_task *reader = peers_spawn(reads_byte, s);
        PEERS_UNTIL_WAITING(reader);
        CHECK_EQ(pica_poll_fd(in.fd, POLLIN, PICA_NEVER), -EBUSY);
        peers_send(raw, "x", 1);
        CHECK_EQ(peers_result(reader), 1);
    }
    /* Whoever gets the number next may be polled. */
    pica_close(s);
    close(raw);
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), fd = fcntl(event, F_DUPFD_CLOEXEC, in.fd);
    CHECK_EQ(event == in.fd || fd == in.fd, true);
    CHECK_EQ(pica_poll_fd(in.fd, POLLIN, pica_after(PICA_MS(1))), -ETIMEDOUT);
    close(fd);
    close(event);
}

CHECK_MAIN
{
    check_run("ready at once", ready_at_once);
    check_run_in(CHECK_ONE, "ready again and again", ready_again_and_again);
    check_run("waits to read", waits);
    check_run("waits for room", waits_for_room);
    check_run("either direction", either_direction);
    check_run("hang-up", hang_up);
    check_run("deadline", deadline);
    check_run("bad arguments", bad_arguments);
    check_run("two at once", two_at_once);
    check_run("not a stream's", not_a_streams);
}
