/* SPDX-License-Identifier: MIT */
/* process.c: see process.h. */
#include "perf/common/process.h"

#include "perf/common/clock.h"
#include "perf/common/control.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

unsigned pb_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

int pb_cpu_nth(unsigned n)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 2)
        return -1;
    n %= (unsigned)CPU_COUNT(&set);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set) && n-- == 0)
            return (int)cpu;
    return -1;
}

void pb_pin(int cpu)
{
    if (cpu < 0)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

void pb_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int path_beside(const char *program, char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    if (n <= 0)
        return -errno;
    out[n] = 0;
    char *slash = strrchr(out, '/');
    size_t dir = slash != NULL ? (size_t)(slash + 1 - out) : 0;
    if (dir + strlen(program) + 1 > size)
        return -ENAMETOOLONG;
    strcpy(out + dir, program);
    return 0;
}

/* The child's part, between fork and exec. */
static void become(const char *path, char *const argv[], int cpu, int control, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (out >= 0)
        dup2(out, STDOUT_FILENO);
    if (control >= 0 && control != PB_CONTROL_FD)
        dup2(control, PB_CONTROL_FD);
    else if (control >= 0)
        fcntl(control, F_SETFD, 0);
    pb_pin(cpu);
    execv(path, argv);
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    _exit(127);
}

static int start(pb_process *p, char *const argv[], int cpu, int control, int out)
{
    char path[4096];
    int rc = path_beside(argv[0], path, sizeof path);
    if (rc < 0)
        return rc;
    fflush(NULL);
    p->pid = fork();
    if (p->pid == 0)
        become(path, argv, cpu, control, out);
    return p->pid < 0 ? -errno : 0;
}

int pb_server_start(pb_process *p, char *const argv[], int cpu)
{
    *p = (pb_process){.control = -1};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    int rc = start(p, argv, cpu, ends[1], -1);
    close(ends[1]);
    p->control = ends[0];
    if (rc == 0)
        rc = p->port = pb_control_port(ends[0]);
    if (rc < 0) {
        fprintf(stderr, "%s did not start: %s\n", argv[0], strerror(-rc));
        pb_process_stop(p);
        return rc;
    }
    return 0;
}

int pb_program_start(pb_process *p, char *const argv[], int cpu, int control)
{
    *p = (pb_process){.control = -1};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    int rc = start(p, argv, cpu, control, ends[1]);
    close(ends[1]);
    p->out = rc == 0 ? fdopen(ends[0], "r") : NULL;
    if (p->out == NULL)
        close(ends[0]);
    return rc == 0 && p->out == NULL ? -ENOMEM : rc;
}

static int reap(pb_process *p, int status)
{
    p->pid = 0;
    if (p->control >= 0)
        close(p->control);
    if (p->out != NULL)
        fclose(p->out);
    p->control = -1;
    p->out = NULL;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int pb_process_wait(pb_process *p)
{
    int status = 0;
    if (p->pid <= 0)
        return reap(p, 0);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return reap(p, status);
}

int pb_process_stop(pb_process *p)
{
    if (p->pid <= 0)
        return reap(p, 0);
    kill(p->pid, SIGTERM);
    for (int64_t end = pb_now() + 10000000000; pb_now() < end;) {
        int status;
        if (waitpid(p->pid, &status, WNOHANG) == p->pid)
            return reap(p, status);
        pb_sleep_until(pb_now() + 2000000);
    }
    kill(p->pid, SIGKILL);
    return pb_process_wait(p);
}
