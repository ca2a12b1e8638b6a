/* SPDX-License-Identifier: MIT */
/* memory.c: what a load may read, and who has seen what. See model.h for the model.
 *
 * Each atomic object has its stores in the order of modification. What a thread has seen is
 * a view (per object the oldest store that it may still read) and a vector clock (per thread
 * how far it has been followed, for races). A store carries what its readers get to see when
 * they acquire. Between executions objects stay known, at the same numbers, with the threads
 * that access them: a load of what no other thread writes, or an access to what no other
 * thread touches, is no point for a switch. Should a later execution show another accessor,
 * all is explored anew (model_memory_learned).
 */
#include "model_private.h"

#include <stdint.h>
#include <string.h>

#define OBJECTS 160
#define STORES 250 /* per object; a view's entry is one byte */
#define POOL 8192  /* stores of one execution */
#define ARENA (256 * 1024)
#define REGIONS 128
#define HASH 1024

typedef struct seen {
    uint8_t view[OBJECTS];
    uint16_t clock[MODEL_THREADS];
} seen;

typedef struct store {
    uint64_t value;
    unsigned step; /* when */
    seen published;
} store;

typedef struct object {
    uintptr_t address;
    size_t size;
    uint32_t accessors, writers; /* what this exploration assumes, by bits */
    uint32_t accessors_found, writers_found;
    uint64_t execution; /* the rest is of this one */
    int region;         /* -1: not from model_alloc() */
    unsigned n;
    uint16_t stores[STORES]; /* numbers in the pool */
    bool plain_written;
    unsigned plain_writer;
    uint16_t plain_write, plain_reads[MODEL_THREADS]; /* clocks */
} object;

typedef struct region {
    uintptr_t start, end;
    bool by_thread, freed;
    unsigned thread;
    uint16_t clock;
} region;

static object objects[OBJECTS];
static unsigned n_objects;
static uint16_t hash[HASH]; /* 1 + number */
static store pool[POOL];
static unsigned n_pool;
static unsigned spun_at[MODEL_THREADS]; /* n_pool when the thread span last */
static seen seen_by[MODEL_THREADS];     /* the thread's own */
static seen acquired[MODEL_THREADS];    /* read by relaxed loads: seen after a fence */
static seen released[MODEL_THREADS];    /* as of the last fence: published by relaxed stores */
static seen at_rmw[MODEL_THREADS];      /* as of the last read-modify-write */
static uint8_t sc_view[OBJECTS];        /* what seq_cst fences and stores have passed on */
static uint64_t execution;
static bool learned;

static unsigned char arena[ARENA] __attribute__((aligned(4096)));
static size_t arena_used;
static region regions[REGIONS];
static int n_regions;
static bool alloc_fails;

/* --- Views --------------------------------------------------------------------------------- */

static size_t width(void)
{
    return (n_objects + 31u) & ~31u;
}

static void join_view(uint8_t *restrict into, const uint8_t *restrict from)
{
    for (size_t i = 0, n = width(); i < n; i += 32)
        for (size_t k = i; k < i + 32; k++)
            into[k] = into[k] > from[k] ? into[k] : from[k];
}

static void join(seen *into, const seen *from)
{
    join_view(into->view, from->view);
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        if (into->clock[i] < from->clock[i])
            into->clock[i] = from->clock[i];
}

static bool tells_no_more(const seen *a, const seen *than)
{
    for (size_t i = 0, n = width(); i < n; i++)
        if (a->view[i] > than->view[i])
            return false;
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        if (a->clock[i] > than->clock[i])
            return false;
    return true;
}

static void copy(seen *into, const seen *from)
{
    memcpy(into->view, from->view, width());
    memcpy(into->clock, from->clock, sizeof(into->clock));
}

/* --- Objects ------------------------------------------------------------------------------- */

static uint64_t raw_read(const object *o)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)o->address, o->size);
    return value;
}

static uint64_t cut(const object *o, uint64_t value)
{
    return o->size == 8 ? value : value & ((UINT64_C(1) << (o->size * 8)) - 1);
}

static int region_of(uintptr_t address)
{
    for (int i = n_regions - 1; i >= 0; i--)
        if (address >= regions[i].start && address < regions[i].end)
            return i;
    if (address >= (uintptr_t)arena && address < (uintptr_t)arena + ARENA)
        model_fail("memory that nobody has allocated is accessed");
    return -1;
}

static store *store_new(object *o, uint64_t value, unsigned step)
{
    if (o->n == STORES || n_pool == POOL)
        model_fail("too many stores for the checker");
    store *s = &pool[n_pool];
    s->value = value;
    s->step = step;
    o->stores[o->n++] = (uint16_t)n_pool++;
    return s;
}

static object *find(const volatile void *p, size_t size)
{
    uintptr_t address = (uintptr_t)p;
    unsigned h = (unsigned)((address >> 2) * 2654435761u % HASH);
    while (hash[h] && objects[hash[h] - 1].address != address)
        h = (h + 1) % HASH;
    if (!hash[h]) {
        if (n_objects == OBJECTS)
            model_fail("too many objects for the checker");
        objects[n_objects] = (object){.address = address, .size = size};
        hash[h] = (uint16_t)++n_objects;
        learned = true;
    }
    object *o = &objects[hash[h] - 1];
    if (o->execution != execution) {
        o->execution = execution;
        o->region = region_of(address);
        o->size = size;
        o->n = 0;
        o->plain_written = false;
        memset(o->plain_reads, 0, sizeof(o->plain_reads));
        store *s = store_new(o, raw_read(o), 0);
        memset(s->published.view, 0, width());
        memset(s->published.clock, 0, sizeof(s->published.clock));
    }
    return o;
}

static unsigned number(const object *o)
{
    return (unsigned)(o - objects);
}

static void access_note(object *o, bool write)
{
    unsigned t = model_self();
    o->accessors_found |= 1u << t;
    if (write)
        o->writers_found |= 1u << t;
    seen_by[t].clock[t]++;
    if (o->region < 0)
        return;
    const region *r = &regions[o->region];
    if (r->freed)
        model_fail("freed memory is accessed");
    if (r->by_thread && seen_by[t].clock[r->thread] < r->clock)
        model_fail("memory is accessed that has not been published to this thread");
}

/* Begin an access of the calling thread: a switch, unless nobody could tell. */
static object *access_begin(const volatile void *p, size_t size, bool write, bool sc)
{
    object *o = find(p, size);
    uint32_t others = (write ? o->accessors : o->writers) & ~(1u << model_self());
    if (others)
        model_schedule((model_op){MODEL_OP_MEMORY, o, write, sc});
    access_note(o, write);
    if (o->size != size)
        model_fail("an atomic object is accessed in two sizes");
    if (raw_read(o) != pool[o->stores[o->n - 1]].value)
        model_fail("an atomic object was written by a plain store");
    return o;
}

/* --- Operations ---------------------------------------------------------------------------- */

static bool acquires(model_order order)
{
    return order == MODEL_ACQUIRE || order == MODEL_ACQ_REL || order == MODEL_SEQ_CST;
}

static bool releases(model_order order)
{
    return order == MODEL_RELEASE || order == MODEL_ACQ_REL || order == MODEL_SEQ_CST;
}

static uint64_t read_store(const object *o, unsigned index, model_order order)
{
    unsigned t = model_self();
    const store *s = &pool[o->stores[index]];
    seen_by[t].view[number(o)] = (uint8_t)index;
    if (index + 1 < o->n)
        model_note_old_read();
    join(acquires(order) ? &seen_by[t] : &acquired[t], &s->published);
    return s->value;
}

static void write_store(object *o, uint64_t value, model_order order, const store *continued)
{
    unsigned t = model_self();
    store *s = store_new(o, cut(o, value), model_step());
    uint8_t index = (uint8_t)(o->n - 1);
    seen_by[t].view[number(o)] = index;
    copy(&s->published, releases(order) ? &seen_by[t] : &released[t]);
    s->published.view[number(o)] = index;
    if (continued)
        join(&s->published, &continued->published);
    if (order == MODEL_SEQ_CST)
        sc_view[number(o)] = index;
    memcpy((void *)o->address, &s->value, o->size);
    model_unblock_spinners();
}

static void trace(model_site *site, const object *o, const char *what, uint64_t value)
{
    if (model_tracing)
        model_trace("%-14s %-8s object %-3u %s %#llx   %s:%d %s", site->op,
                    model_order_name(model_site_order(site)), number(o), what,
                    (unsigned long long)value, site->file, site->line, site->function);
}

static uint64_t value_of(const object *o, unsigned index)
{
    return pool[o->stores[index]].value;
}

/* Is there an older store to read that gives the same value and tells the reader nothing more?
 * Then all that may follow the younger may follow the older. */
static bool is_dominated(const object *o, unsigned index, unsigned oldest)
{
    const store *s = &pool[o->stores[index]];
    if (!model_reduces())
        return false;
    for (unsigned i = oldest; i < index; i++) {
        const store *older = &pool[o->stores[i]];
        if (older->value == s->value && tells_no_more(&older->published, &s->published))
            return true;
    }
    return false;
}

/* The stores that the caller may read, the newest first; of a compare-and-swap: whose value is
 * not `wanted`, or the newest. Where one that dominates others is left out because the caller
 * could have read it before it was overwritten, nothing may be left; then all that could
 * follow is explored elsewhere. */
static unsigned readable(const object *o, model_order order, const uint64_t *wanted, unsigned *list)
{
    unsigned oldest = seen_by[model_self()].view[number(o)];
    if (order == MODEL_SEQ_CST && sc_view[number(o)] > oldest)
        oldest = sc_view[number(o)];
    unsigned newest = o->n - 1, n = 0;
    for (unsigned i = newest + 1; i-- > oldest;) {
        bool swaps = wanted && value_of(o, i) == *wanted;
        bool redundant = i != newest && !model_may_read_old(pool[o->stores[i + 1]].step);
        if (swaps ? i == newest : !redundant && !is_dominated(o, i, oldest))
            list[n++] = i;
    }
    if (n == 0)
        model_prune();
    return n;
}

static uint64_t direct_read(const volatile void *p, size_t size)
{
    object o = {.address = (uintptr_t)p, .size = size};
    return raw_read(&o);
}

uint64_t model_load(model_site *site, const volatile void *p, size_t size)
{
    if (!model_running)
        return direct_read(p, size);
    model_order order = model_site_order(site);
    object *o = access_begin(p, size, false, order == MODEL_SEQ_CST);
    unsigned list[STORES];
    unsigned index = list[model_choose(readable(o, order, NULL, list))];
    uint64_t value = read_store(o, index, order);
    trace(site, o, index == o->n - 1 ? "gives" : "gives (not the newest)", value);
    return value;
}

void model_store(model_site *site, volatile void *p, size_t size, uint64_t value)
{
    if (!model_running) {
        memcpy((void *)(uintptr_t)p, &value, size);
        return;
    }
    model_order order = model_site_order(site);
    object *o = access_begin(p, size, true, order == MODEL_SEQ_CST);
    write_store(o, value, order, NULL);
    trace(site, o, "=", value);
}

static uint64_t modified(model_rmw how, uint64_t old, uint64_t value)
{
    switch (how) {
    case MODEL_XCHG:
        return value;
    case MODEL_ADD:
        return old + value;
    case MODEL_SUB:
        return old - value;
    case MODEL_OR:
        return old | value;
    case MODEL_AND:
        return old & value;
    }
    return 0;
}

uint64_t model_modify(model_site *site, model_rmw how, volatile void *p, size_t size,
                      uint64_t value)
{
    if (!model_running) {
        uint64_t old = direct_read(p, size);
        value = modified(how, old, value);
        memcpy((void *)(uintptr_t)p, &value, size);
        return old;
    }
    model_order order = model_site_order(site);
    object *o = access_begin(p, size, true, order == MODEL_SEQ_CST);
    const store *last = &pool[o->stores[o->n - 1]];
    uint64_t old = read_store(o, o->n - 1, order);
    write_store(o, modified(how, old, value), order, last);
    copy(&at_rmw[model_self()], &seen_by[model_self()]);
    trace(site, o, "was", old);
    return old;
}

bool model_cas(model_site *site, volatile void *p, size_t size, void *expected, uint64_t value)
{
    uint64_t wanted = 0;
    memcpy(&wanted, expected, size);
    if (!model_running) {
        uint64_t old = direct_read(p, size);
        memcpy(old == wanted ? (void *)(uintptr_t)p : expected, old == wanted ? &value : &old,
               size);
        return old == wanted;
    }
    model_order order = model_site_order(site);
    object *o = access_begin(p, size, true, order == MODEL_SEQ_CST);
    /* It may fail by reading an older store that differs; it succeeds on the newest alone. */
    unsigned list[STORES];
    unsigned index = list[model_choose(readable(o, order, &wanted, list))];
    const store *last = &pool[o->stores[index]];
    bool ok = last->value == wanted;
    model_order failure = order == MODEL_RELEASE ? MODEL_RELAXED : order;
    uint64_t old = read_store(o, index, ok ? order : failure);
    if (ok)
        write_store(o, value, order, last);
    else
        memcpy(expected, &old, size);
    copy(&at_rmw[model_self()], &seen_by[model_self()]);
    trace(site, o, ok ? "changed from" : "fails on", old);
    return ok;
}

/* A fence of thread t. What it passes on is as of `past`; a release fence alike. */
static void fence(unsigned t, const seen *past)
{
    join(&seen_by[t], &acquired[t]);
    join_view(sc_view, past->view);
    join_view(seen_by[t].view, sc_view);
    join(&released[t], past);
    join_view(released[t].view, sc_view);
}

/* pi_fence_after_rmw() is nothing on x86-64 but the read-modify-write before it, and so passes
 * on what was stored before that; what was stored in between it need not. */
void model_fence(model_site *site)
{
    if (!model_running || model_site_order(site) == MODEL_NONE)
        return;
    model_schedule((model_op){MODEL_OP_FENCE, NULL, true, true});
    unsigned t = model_self();
    if (strcmp(site->op, "fence") == 0) {
        join(&seen_by[t], &acquired[t]);
        fence(t, &seen_by[t]);
    } else {
        fence(t, &at_rmw[t]);
    }
    if (model_tracing)
        model_trace("%s   %s:%d %s", site->op, site->file, site->line, site->function);
}

void model_membarrier(void)
{
    if (!model_running)
        return;
    model_schedule((model_op){MODEL_OP_ANY, NULL, true, true});
    for (unsigned round = 0; round < 2; round++) /* each fence before and after all others */
        for (unsigned t = 0; t < MODEL_THREADS; t++) {
            join(&seen_by[t], &acquired[t]);
            fence(t, &seen_by[t]);
        }
    model_trace("membarrier");
}

/* Whoever spins sees everything in the end; once it has, it waits for another store. */
void model_spin(void)
{
    if (!model_running)
        model_fail("spinning alone");
    model_schedule((model_op){MODEL_OP_ANY, NULL, true, true});
    unsigned t = model_self();
    if (spun_at[t] == n_pool)
        model_block(true);
    for (unsigned i = 0; i < n_objects; i++)
        if (objects[i].execution == execution)
            seen_by[t].view[i] = (uint8_t)(objects[i].n - 1);
    spun_at[t] = n_pool;
}

void model_see_newest(const void *p)
{
    for (unsigned i = 0; i < n_objects; i++)
        if (objects[i].address == (uintptr_t)p && objects[i].execution == execution)
            seen_by[model_self()].view[i] = (uint8_t)(objects[i].n - 1);
}

void model_plain_read(const void *p)
{
    if (!model_running)
        return;
    unsigned t = model_self();
    object *o = find(p, 1);
    access_note(o, false);
    if (o->plain_written && seen_by[t].clock[o->plain_writer] < o->plain_write)
        model_fail("data race: thread %u reads what thread %u writes", t, o->plain_writer);
    o->plain_reads[t] = seen_by[t].clock[t];
}

void model_plain_write(const void *p)
{
    if (!model_running)
        return;
    unsigned t = model_self();
    object *o = find(p, 1);
    access_note(o, true);
    if (o->plain_written && seen_by[t].clock[o->plain_writer] < o->plain_write)
        model_fail("data race: threads %u and %u write the same", t, o->plain_writer);
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        if (seen_by[t].clock[i] < o->plain_reads[i])
            model_fail("data race: thread %u writes what thread %u reads", t, i);
    o->plain_written = true;
    o->plain_writer = t;
    o->plain_write = seen_by[t].clock[t];
}

/* --- Allocation ------------------------------------------------------------------------------ */

void *model_alloc(size_t size, size_t align)
{
    if (alloc_fails)
        return NULL;
    if (align < 16)
        align = 16;
    if (align > 4096)
        model_fail("too much alignment for the checker");
    size_t at = (arena_used + 16 + align - 1) / align * align; /* 16: nobody's, to catch overruns */
    if (at + size > ARENA)
        model_fail("too much memory for the checker");
    arena_used = at + size;
    memset(arena + at, 0, size);
    model_own(arena + at, size);
    return arena + at;
}

void model_own(void *p, size_t size)
{
    if (n_regions == REGIONS)
        model_fail("too many allocations for the checker");
    regions[n_regions++] = (region){
        .start = (uintptr_t)p,
        .end = (uintptr_t)p + size,
        .by_thread = model_running,
        .thread = model_running ? model_self() : 0,
        .clock = model_running ? ++seen_by[model_self()].clock[model_self()] : (uint16_t)0,
    };
}

void model_free(void *p)
{
    if (!p)
        return;
    if (model_running)
        model_schedule((model_op){MODEL_OP_ANY, NULL, true, true});
    int i = region_of((uintptr_t)p);
    if (i < 0 || regions[i].start != (uintptr_t)p || regions[i].freed)
        model_fail("freed twice, or never allocated");
    regions[i].freed = true;
    if (!model_running)
        return;
    for (unsigned k = 0; k < n_objects; k++)
        if (objects[k].address >= regions[i].start && objects[k].address < regions[i].end) {
            objects[k].accessors_found |= 1u << model_self();
            objects[k].writers_found |= 1u << model_self();
        }
}

void model_alloc_fails(bool fails)
{
    alloc_fails = fails;
}

/* --- From execution to execution ------------------------------------------------------------- */

void model_memory_reset(void)
{
    execution++;
    n_pool = 0;
    memset(seen_by, 0, sizeof(seen_by));
    memset(acquired, 0, sizeof(acquired));
    memset(released, 0, sizeof(released));
    memset(at_rmw, 0, sizeof(at_rmw));
    memset(spun_at, 0, sizeof(spun_at));
    memset(sc_view, 0, sizeof(sc_view));
    arena_used = 0;
    n_regions = 0;
    alloc_fails = false;
}

void model_memory_forget(void)
{
    memset(objects, 0, sizeof(objects));
    memset(hash, 0, sizeof(hash));
    memset(pool, 0, sizeof(pool));
    n_objects = 0;
    learned = false;
    model_memory_reset();
}

bool model_memory_learned(void)
{
    bool any = learned;
    learned = false;
    for (unsigned i = 0; i < n_objects; i++) {
        object *o = &objects[i];
        any |= (o->accessors_found & ~o->accessors) != 0 || (o->writers_found & ~o->writers) != 0;
        o->accessors |= o->accessors_found;
        o->writers |= o->writers_found;
    }
    return any;
}
