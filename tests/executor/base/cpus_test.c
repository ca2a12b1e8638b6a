/* SPDX-License-Identifier: MIT */
/* cpus_test.c: how many CPUs a process may use is what affinity leaves of them and the quota of its
 * cgroup, or of one above, in whatever version and however much /proc tells. The linker leads the
 * library's open() through here, to a tree of files of the test's. */
#include "executor/base/cpus.h"

#include "tests/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POD "/kubepods/burstable/pod0b1d4fd0-6c3a-4e5e-9c55-0a5d9a1e77f2/" CONTAINER
#define CONTAINER "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f"

typedef struct file {
    const char *path, *text;
} file;

static const file *files; /* what there is; ends with a NULL */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    if (strncmp(path, "/proc/self/cgroup", 17) != 0 && strncmp(path, "/sys/fs/cgroup", 14) != 0)
        return __real_open(path, flags, 0);
    for (const file *f = files; f->path; f++) {
        if (strcmp(f->path, path) != 0)
            continue;
        int fd = memfd_create("file", MFD_CLOEXEC);
        CHECK_FATAL(fd >= 0 && write(fd, f->text, strlen(f->text)) == (ssize_t)strlen(f->text));
        CHECK_FATAL(lseek(fd, 0, SEEK_SET) == 0);
        return fd;
    }
    errno = ENOENT;
    return -1;
}

/* The CPUs of an executor on a machine that has those files, where as many could be had. */
static unsigned usable(const file *has)
{
    files = has;
    return pi_cpus_usable(4);
}

static unsigned all_of_them(void)
{
    static const file none[] = {{NULL, NULL}};
    return usable(none);
}

static void version_2(void)
{
    static const file half[] = {{"/proc/self/cgroup", "0::/a/b\n"},
                                {"/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n"},
                                {NULL, NULL}};
    static const file above[] = {{"/proc/self/cgroup", "0::/a/b\n"},
                                 {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                                 {"/sys/fs/cgroup/a/cpu.max", "100000 100000\n"},
                                 {"/sys/fs/cgroup/cpu.max", "400000 100000\n"},
                                 {NULL, NULL}};
    static const file more[] = {{"/proc/self/cgroup", "0::/\n"},
                                {"/sys/fs/cgroup/cpu.max", "99900000 100000\n"},
                                {NULL, NULL}};
    CHECK_EQ(usable(half), 1);
    CHECK_EQ(usable(above), 1);
    CHECK_EQ(usable(more), all_of_them());
}

static void version_1(void)
{
    static const file last[] = {{"/proc/self/cgroup", "12:blkio:" POD "\n11:memory:" POD "\n"
                                                      "10:pids:" POD "\n9:devices:" POD "\n"
                                                      "8:freezer:" POD "\n7:net_cls:" POD "\n"
                                                      "6:perf_event:" POD "\n5:hugetlb:" POD "\n"
                                                      "4:rdma:" POD "\n3:cpuset:" POD "\n"
                                                      "2:misc:" POD "\n1:name=systemd:" POD "\n"
                                                      "0:cpu,cpuacct:" POD "\n"},
                                {"/sys/fs/cgroup/cpu" POD "/cpu.cfs_quota_us", "25000\n"},
                                {"/sys/fs/cgroup/cpu" POD "/cpu.cfs_period_us", "100000\n"},
                                {NULL, NULL}};
    /* In a container the path is often the host's, and what is mounted is the container's own. */
    static const file root[] = {{"/proc/self/cgroup", "3:cpuset:/c\n2:cpu:" POD "\n"},
                                {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n"},
                                {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                                {NULL, NULL}};
    static const file none[] = {{"/proc/self/cgroup", "2:cpu:/c\nnonsense\n\n"},
                                {"/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n"},
                                {"/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n"},
                                {NULL, NULL}};
    CHECK_EQ(usable(last), 1);
    CHECK_EQ(usable(root), 1);
    CHECK_EQ(usable(none), all_of_them());
}

CHECK_MAIN
{
    check_plain("version 2", version_2);
    check_plain("version 1", version_1);
}
