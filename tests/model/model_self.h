/* SPDX-License-Identifier: MIT */
/* model_self.h: the worker whose thread this is, in a model (self.c): what pi_worker_self() reads.
 * A model sets it on each switch (model_on_switch()), because the checker has one real thread. */
#ifndef PICA_TESTS_MODEL_SELF_H
#define PICA_TESTS_MODEL_SELF_H

#include "executor/sched/worker.h"

extern __thread pi_worker *pi_worker_current
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

#endif
