/* SPDX-License-Identifier: MIT */
/* embedded.c: a program that owns main(), its loop and its threads, and keeps an executor beside.
 *
 * The main thread runs a loop of its own around poll(2), as a game, a user interface or an older
 * server does. It hands jobs to the executor and goes on at once; a task that is done passes its
 * job back through a pipe, whose end stands among the loop's other descriptors. A plain thread
 * uses the executor, too, and simply waits for the answer. At the end the executor gets half a
 * second to come to rest; whatever still lives then is cancelled.
 */
#include <pica/pica.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define JOBS 3

/* The host's own handler: pica installs none, and its workers take no signals. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

struct job {
    int number;
    int result;
    int back; /* the pipe's end for writing */
};

/* A task. A pointer goes into a pipe in one piece, and there is always room for a few. */
static intptr_t work(void *arg)
{
    struct job *job = arg;
    int rc = pica_sleep(PICA_MS(100) * job->number);
    job->result = rc < 0 ? rc : job->number * job->number;
    return write(job->back, &job, sizeof job) == sizeof job ? 0 : -EIO;
}

/* The host's loop: each job it has handed out comes back to it, the shortest first, as a rule. */
static int loop(pica_executor *ex, struct job *jobs, int incoming)
{
    int sum = 0;
    for (int i = 0; i < JOBS; i++) {
        int rc = pica_executor_spawn(ex, NULL, work, &jobs[i]);
        if (rc < 0)
            return rc;
    }
    for (int back = 0; back < JOBS && !interrupted;) {
        struct pollfd watched[] = {{incoming, POLLIN, 0}}; /* and whatever else there is */
        struct job *job;
        if (poll(watched, 1, -1) == 1 && read(incoming, &job, sizeof job) == sizeof job) {
            printf("loop: a job is back\n");
            sum += job->result;
            back++;
        }
    }
    printf("loop: together they gave %d\n", sum);
    return 0;
}

static intptr_t answer(void *arg)
{
    (void)arg;
    int rc = pica_sleep(PICA_MS(50));
    return rc < 0 ? rc : 42;
}

/* A plain thread of the host. Awaiting blocks it, as a join would, and nobody else. */
static void *asks(void *arg)
{
    pica_executor *ex = arg;
    pica_task *task;
    intptr_t value = 0;
    if (pica_executor_spawn(ex, &task, answer, NULL) < 0)
        return NULL;
    if (pica_await(task, &value) < 0)
        value = 0;
    pica_unref(task);
    return (void *)value;
}

static intptr_t never_ends(void *arg)
{
    (void)arg;
    return pica_sleep(PICA_NEVER);
}

int main(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 2; /* leaves the other CPUs to the host */
    pica_executor *ex;
    pthread_t thread;
    void *answered;
    int ends[2];

    signal(SIGINT, on_signal);
    if (pipe(ends) < 0 || pica_executor_create(&ex, &options) < 0)
        return 1;
    struct job jobs[JOBS]; /* outlive the tasks, which end with the executor at the latest */
    for (int i = 0; i < JOBS; i++)
        jobs[i] = (struct job){i + 1, 0, ends[1]};

    int rc = -pthread_create(&thread, NULL, asks, ex);
    if (rc == 0) {
        rc = loop(ex, jobs, ends[0]);
        pthread_join(thread, &answered);
        printf("thread: the answer is %d\n", (int)(intptr_t)answered);
    }
    if (rc == 0)
        rc = pica_executor_spawn(ex, NULL, never_ends, NULL);

    int late = pica_executor_shutdown(ex, pica_after(PICA_MS(500)));
    printf("main: %s\n", late == 1 ? "what still lived was cancelled" : "all had ended");
    pica_executor_destroy(ex);
    close(ends[0]);
    close(ends[1]);
    return rc < 0;
}
