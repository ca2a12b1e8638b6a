/* SPDX-License-Identifier: MIT */
/* mutex.c: a pthread mutex in a model: one that spins, so that its orders are the model's, and
 * memory that it guards, so that it is noticed if it doesn't. The linker sends the calls of who
 * asks for it here (WRAP in tests/CMakeLists.txt). Zeroed: free. */
#include "executor/base/lock.h"

#include "model.h"

#include <pthread.h>

typedef struct model_mutex {
    pi_lock lock;
    int guarded; /* plain: stands for all that the mutex guards */
} model_mutex;

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    model_mutex *m = (model_mutex *)(void *)mutex;
    _Static_assert(sizeof(*m) <= sizeof(*mutex), "it lies in the place of a real one");
    pi_lock_acquire(&m->lock);
    model_plain_write(&m->guarded);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    pi_lock_release(&((model_mutex *)(void *)mutex)->lock);
    return 0;
}
