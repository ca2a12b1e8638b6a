/* SPDX-License-Identifier: MIT */
/* slots.c: see slots.h. */
#include "io/slots.h"

#include "executor/base/alloc.h"
#include "executor/base/assert.h"
#include "executor/sched/driver.h"
#include "io/sys.h"

pi_slots *pi_slots_new(void)
{
    return pi_pages_alloc(sizeof(pi_slots));
}

static const char *kind_name(unsigned kind)
{
    if (kind & PI_KIND_LISTENER)
        return "listener";
    if (kind & PI_KIND_TCP)
        return "TCP connection";
    return kind & PI_KIND_SOCKET ? "socket" : "file";
}

void pi_slots_each_open(pi_slots *slots, void (*visit)(int fd, const char *what, void *arg),
                        void *arg)
{
    for (uint32_t k = 0; k < slots->slabs_made; k++) {
        for (uint32_t i = 0; i < PI_SLAB_SLOTS; i++) {
            const pi_descriptor *d = &slots->slabs[k][i];
            if (pi_load_acquire(&d->life) != PI_LIFE_CLOSED && !(d->kind & PI_KIND_FOREIGN))
                visit(d->fd, kind_name(d->kind), arg);
        }
    }
}

static void close_one(int fd, const char *what, void *unused)
{
    (void)what;
    (void)unused;
    pi_sys_close(fd);
}

/* Each slot is open or free: none was reserved and forgotten. Looked at in debug builds. */
static __attribute__((unused)) bool none_is_lost(pi_slots *slots)
{
    uint32_t found = 0;
    for (uint32_t at = slots->free; at; found++)
        at = pi_slots_at(slots, at - 1)->next_free;
    for (uint32_t k = 0; k < slots->slabs_made; k++)
        for (uint32_t i = 0; i < PI_SLAB_SLOTS; i++)
            found += pi_load_acquire(&slots->slabs[k][i].life) != PI_LIFE_CLOSED;
    return found == slots->slabs_made * PI_SLAB_SLOTS;
}

void pi_slots_free(pi_slots *slots)
{
    pi_assert(none_is_lost(slots));
    pi_slots_each_open(slots, close_one, NULL);
    for (uint32_t k = 0; k < slots->slabs_made; k++)
        pi_free(slots->slabs[k]);
    pi_pages_free(slots, sizeof(*slots));
}

static pi_descriptor *pop(pi_slots *slots)
{
    pi_descriptor *d = NULL;
    pi_lock_acquire(&slots->lock);
    if (slots->free) {
        d = pi_slots_at(slots, slots->free - 1);
        slots->free = d->next_free;
    }
    pi_lock_release(&slots->lock);
    return d;
}

/* Add a slab; another thread may do so at the same time, then there are two more. The
 * caller gets one slot, the others go to the free list, the lowest first. */
static pi_descriptor *grow(pi_slots *slots)
{
    pi_descriptor *slab =
        pi_aligned_zalloc(_Alignof(pi_descriptor), PI_SLAB_SLOTS * sizeof(pi_descriptor));
    if (!slab)
        return NULL;
    for (uint32_t i = 0; i < PI_SLAB_SLOTS; i++) {
        slab[i].slots = slots;
        slab[i].in.word = slab[i].out.word = PI_SHUT;
        slab[i].life = PI_LIFE_CLOSED;
        slab[i].fd = slab[i].epfd = -1;
    }

    pi_lock_acquire(&slots->lock);
    uint32_t k = slots->slabs_made;
    if (k < PI_SLABS) {
        for (uint32_t i = 0; i < PI_SLAB_SLOTS; i++) {
            slab[i].index = k * PI_SLAB_SLOTS + i;
            slab[i].next_free = slab[i].index + 2;
        }
        slab[PI_SLAB_SLOTS - 1].next_free = slots->free;
        slots->free = slab[1].index + 1;
        slots->slabs_made = k + 1;
        pi_store_release(&slots->slabs[k], slab);
    }
    pi_lock_release(&slots->lock);
    if (k < PI_SLABS)
        return &slab[0];
    pi_free(slab);
    return NULL;
}

pi_descriptor *pi_slots_reserve(pi_slots *slots)
{
    pi_descriptor *d = pop(slots);
    return PI_LIKELY(d != NULL) ? d : grow(slots);
}

void pi_slots_give_back(pi_descriptor *d)
{
    if (!d)
        return;
    pi_slots *slots = d->slots;
    pi_assert(pi_load_relaxed(&d->life) == PI_LIFE_CLOSED);
    pi_assert(pi_load_relaxed(&d->in.word) & pi_load_relaxed(&d->out.word) & PI_SHUT);
    pi_lock_acquire(&slots->lock);
    d->next_free = slots->free;
    slots->free = d->index + 1;
    pi_lock_release(&slots->lock);
}

int pi_slots_self(pi_slots **out)
{
    const pi_driver_ops *ops = pi_driver_ops_self();
    if (!ops)
        return -EPERM;
    if (ops != &pi_driver_default)
        return -ENOSYS;
    *out = pi_driver_shared_self();
    return 0;
}
