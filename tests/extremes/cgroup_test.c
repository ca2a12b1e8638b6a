/* SPDX-License-Identifier: MIT */
/* cgroup_test.c: a process that may have 64 MiB. What the README says a parked task takes is so
 * little that 8,000 of them and a server live in there; and when they have gone, the same
 * again. Skipped where no cgroup may be made. */
#include "tests/extremes/child.h"
#include "tests/extremes/load.h"

#include <errno.h>
#include <fcntl.h>
#include <pica/scope.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARKED 8000

static bool write_to(const char *in, const char *file, const char *text)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", in, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return ok;
}

/* A cgroup of 64 MiB, of version 2 or 1. */
static bool make_cgroup(char *out, size_t room)
{
    static const struct {
        const char *root, *limit;
    } kinds[] = {{"/sys/fs/cgroup", "memory.max"},
                 {"/sys/fs/cgroup/unified", "memory.max"},
                 {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        snprintf(out, room, "%s/pica-test-%d", kinds[i].root, (int)getpid());
        if (mkdir(out, 0755) < 0)
            continue;
        if (write_to(out, kinds[i].limit, "67108864"))
            return true;
        rmdir(out);
    }
    return false;
}

static intptr_t parks(void *latch)
{
    check_hit(latch);
    return pica_sleep(PICA_NEVER);
}

static intptr_t parks_and_serves(void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < 3; round++) {
        check_latch parked = {0};
        pica_group group;
        int rc = 0;
        pica_group_begin(&group);
        for (unsigned i = 0; i < PARKED && rc == 0; i++)
            rc = pica_group_spawn(&group, parks, &parked);
        CHECK_OK(rc);
        CHECK_HITS(&parked, PARKED);
        load_run(20);
        pica_group_cancel(&group);
        CHECK_EQ(pica_group_end(&group, 0), -ECANCELED);
        pica_group_deinit(&group);
    }
    return 0;
}

static char folder[200];

static void child(void)
{
    char pid[20];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (!write_to(folder, "cgroup.procs", pid))
        _exit(77);
    child_runs(parks_and_serves);
}

static void in_64_mib(void)
{
    if (!make_cgroup(folder, sizeof(folder)))
        check_skip("no cgroup with a memory limit can be made here");
    pid_t pid = child_start(child);
    int state = 0;
    CHECK_EQ(waitpid(pid, &state, 0), pid);
    CHECK_SOON(rmdir(folder) == 0 || errno != EBUSY); /* a moment after its last process's end */
    if (WIFEXITED(state) && WEXITSTATUS(state) == 77)
        check_skip("no process may enter the cgroup that was made");
    CHECK_EQ(state, 0); /* 9: the kernel has ended it for want of memory */
}

CHECK_MAIN
{
    check_timeout(60);
    check_plain_in(CHECK_TWO, "64 MiB", in_64_mib);
}
