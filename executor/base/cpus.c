/* SPDX-License-Identifier: MIT */
/* cpus.c: see cpus.h. A quota of 1.5 CPUs counts as 2: one worker would leave a third of it
 * unused. */
#include "executor/base/cpus.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n < 0)
        return -1;
    text[n] = 0;
    return 0;
}

/* The quota in CPUs, rounded up, of one cgroup directory; 0: none. */
static __attribute__((noinline)) unsigned quota_of(const char *directory)
{
    char path[1400], text[64];
    long long quota = -1, period = 0;
    snprintf(path, sizeof(path), "%s/cpu.max", directory);
    if (read_file(path, text, sizeof(text)) == 0) {
        if (sscanf(text, "%lld %lld", &quota, &period) != 2)
            return 0; /* "max" */
    } else {
        snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", directory);
        if (read_file(path, text, sizeof(text)) < 0 || sscanf(text, "%lld", &quota) != 1)
            return 0;
        snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
        if (read_file(path, text, sizeof(text)) < 0 || sscanf(text, "%lld", &period) != 1)
            return 0;
    }
    return quota > 0 && period > 0 ? (unsigned)((quota + period - 1) / period) : 0;
}

static unsigned lesser(unsigned a, unsigned b)
{
    return !a || (b && b < a) ? b : a;
}

/* The least quota on the way from a cgroup, a line of /proc/self/cgroup, up to the root. */
static __attribute__((noinline)) unsigned quota_above(char *line)
{
    char path[1200];
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return 0;
    *group++ = 0;
    if (controllers[1] && !strstr(controllers, "cpu"))
        return 0;
    const char *root = controllers[1] ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup";
    unsigned least = 0;
    for (;;) {
        snprintf(path, sizeof(path), "%s%s", root, group);
        least = lesser(least, quota_of(path));
        char *slash = strrchr(group, '/');
        if (!slash || !*group)
            return least;
        *slash = 0;
    }
}

/* Of version 1 there are a dozen lines, in a container of 100 to 200 bytes each. */
static unsigned quota(void)
{
    char text[3800];
    if (read_file("/proc/self/cgroup", text, sizeof(text)) < 0)
        return 0;
    unsigned least = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        least = lesser(least, quota_above(line));
    return least;
}

unsigned pi_cpus_usable(unsigned most)
{
    cpu_set_t set;
    unsigned n = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = (unsigned)CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        n = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    unsigned q = quota();
    if (q && q < n)
        n = q;
    return n < 1 ? 1 : n > most ? most : n;
}

bool pi_cpus_pin(unsigned n, cpu_set_t *before)
{
    if (sched_getaffinity(0, sizeof(*before), before) != 0 || CPU_COUNT(before) == 0)
        return false;
    cpu_set_t one;
    unsigned left = n % (unsigned)CPU_COUNT(before);
    CPU_ZERO(&one);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, before) && left-- == 0) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    return sched_setaffinity(0, sizeof(one), &one) == 0;
}

void pi_cpus_unpin(const cpu_set_t *before)
{
    (void)sched_setaffinity(0, sizeof(*before), before);
}

unsigned pi_cpus_node(void)
{
    unsigned cpu, node;
    return getcpu(&cpu, &node) == 0 ? node : 0;
}
