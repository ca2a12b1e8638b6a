/* SPDX-License-Identifier: MIT */
/* membarrier.c: see membarrier.h. */
#include "executor/base/membarrier.h"

#include "executor/base/assert.h"
#include "executor/base/atomics.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool pi_membarrier_ready(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* @return 0 or a negated errno */
static __attribute__((noinline)) int try_membarrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0 ? 0 : -errno;
}

/* Who relies on it has left out its own fence. Short of memory for a moment, the kernel may say
 * ENOMEM; all else means that it is refused from now on. */
void pi_membarrier(void)
{
    int rc;
    for (unsigned rounds = 0; (rc = try_membarrier()) == -ENOMEM; rounds++)
        pi_spin_wait(rounds);
    pi_require(rc == 0,
               "membarrier(2) worked when this executor began and is refused now (a seccomp filter "
               "that came later?): its threads would no longer see one another's writes in order");
}
