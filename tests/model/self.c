/* SPDX-License-Identifier: MIT */
/* self.c: see model_self.h. */
#include "model_self.h"

__thread pi_worker *pi_worker_current;

#if !defined(__x86_64__)
pi_worker *pi_worker_self(void)
{
    return pi_worker_current;
}
#endif
