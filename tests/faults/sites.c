/* SPDX-License-Identifier: MIT */
/* sites.c: see sites.h. */
#include "tests/faults/sites.h"

#include "executor/base/atomics.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CALLS_MAX 4096

/* A call instruction of the library. */
struct call {
    uintptr_t returns_to;
    char function[64];
    char callee[64];
    unsigned first_site; /* of its sites: one, or one for each call in the door */
};

static struct call calls[CALLS_MAX]; /* ascending */
static unsigned calls_count;

static struct {
    const struct call *outer; /* where the library calls the function or the door */
    const struct call *inner; /* where the door calls the function; else as outer */
} sites[SITES_MAX];
static unsigned sites_count;

struct arm {
    uint32_t site;   /* [main, before the child] 1 + it; 0: not armed */
    int32_t error;   /* [main] */
    uint64_t k, j;   /* [main] */
    uint64_t met;    /* [atomic, relaxed] a counter */
    uint64_t failed; /* [atomic, relaxed] a counter */
};

static struct shared {
    struct arm arms[SITES_ARMS];
    uint64_t told;                            /* [atomic, relaxed] a counter */
    uint64_t reached[SITES_MAX];              /* [atomic, relaxed] counters */
    uint8_t natural[SITES_MAX][SITES_ERRNOS]; /* [atomic, relaxed] flags */
} * shared;

static long blocks, mappings; /* [atomic, relaxed] counters */

static int (*asked)(unsigned site); /* [const] before the first call; NULL: the arms */

static bool is_door(const char *function)
{
    static const char *const doors[] = {"pi_malloc",     "pi_zalloc",     "pi_aligned_zalloc",
                                        "pi_futex_wait", "pi_futex_wake", "pi_thread_start"};
    if (strncmp(function, "pi_sys_", 7) == 0)
        return true;
    for (unsigned i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
        if (strcmp(function, doors[i]) == 0)
            return true;
    return false;
}

static bool is_stand_in(const char *callee)
{
    return strncmp(callee, "fault_", 6) == 0;
}

static _Noreturn void die(const char *why, const void *at)
{
    fprintf(stderr, "sites: %s (%p)\n", why, at);
    abort();
}

static int first_object(struct dl_phdr_info *info, size_t size, void *bias)
{
    (void)size;
    *(uintptr_t *)bias = info->dlpi_addr;
    return 1;
}

static void add_site(const struct call *outer, const struct call *inner)
{
    if (sites_count == SITES_MAX)
        die("more than SITES_MAX", outer);
    sites[sites_count].outer = outer;
    sites[sites_count++].inner = inner;
}

static void read_calls(FILE *file)
{
    uintptr_t bias = 0;
    unsigned long long at;
    dl_iterate_phdr(first_object, &bias);
    struct call c;
    while (fscanf(file, "%llx %63s %63s", &at, c.function, c.callee) == 3) {
        if (calls_count == CALLS_MAX)
            die("more than CALLS_MAX", NULL);
        c.returns_to = (uintptr_t)at + bias;
        c.first_site = SITES_MAX;
        if (calls_count && calls[calls_count - 1].returns_to >= c.returns_to)
            die("sites.sh: not in order", (void *)c.returns_to);
        calls[calls_count++] = c;
    }
}

unsigned sites_open(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    read_calls(file);
    fclose(file);
    for (unsigned i = 0; i < calls_count; i++) {
        struct call *c = &calls[i];
        if (is_door(c->function))
            continue;
        c->first_site = sites_count;
        if (is_stand_in(c->callee)) {
            add_site(c, c);
            continue;
        }
        for (unsigned k = 0; k < calls_count; k++)
            if (strcmp(calls[k].function, c->callee) == 0 && is_stand_in(calls[k].callee))
                add_site(c, &calls[k]);
    }
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no memory", NULL);
    return sites_count;
}

const char *site_function(unsigned site)
{
    return sites[site].outer->function;
}

const char *site_door(unsigned site)
{
    return sites[site].outer == sites[site].inner ? "" : sites[site].inner->function;
}

const char *site_call(unsigned site)
{
    return sites[site].inner->callee + strlen("fault_");
}

unsigned site_ordinal(unsigned site)
{
    unsigned n = 1;
    for (unsigned i = 0; i < site; i++)
        n += strcmp(site_function(i), site_function(site)) == 0 &&
             strcmp(site_door(i), site_door(site)) == 0 &&
             strcmp(site_call(i), site_call(site)) == 0;
    return n;
}

void sites_reset(void)
{
    memset(shared->arms, 0, sizeof(shared->arms));
    memset(shared->reached, 0, sizeof(shared->reached));
    shared->told = 0;
}

void sites_arm(unsigned arm, unsigned site, int error, uint64_t k, uint64_t j)
{
    shared->arms[arm] = (struct arm){.site = site + 1, .error = error, .k = k, .j = j};
}

void sites_ask(int (*choose)(unsigned site))
{
    asked = choose;
}

uint64_t sites_met(unsigned arm)
{
    return pi_load_relaxed(&shared->arms[arm].met);
}

uint64_t sites_failed(unsigned arm)
{
    return pi_load_relaxed(&shared->arms[arm].failed);
}

uint64_t site_reached(unsigned site)
{
    return pi_load_relaxed(&shared->reached[site]);
}

bool site_failed_by_itself(unsigned site, int error)
{
    return pi_load_relaxed(&shared->natural[site][error]) != 0;
}

void sites_tell(void)
{
    pi_add_relaxed(&shared->told, UINT64_C(1));
}

uint64_t sites_told(void)
{
    return pi_load_relaxed(&shared->told);
}

long sites_blocks(void)
{
    return pi_load_relaxed(&blocks);
}

long sites_mappings(void)
{
    return pi_load_relaxed(&mappings);
}

/* --- For calls.c ------------------------------------------------------------------------- */

static const struct call *call_before(uintptr_t returns_to)
{
    unsigned low = 0, high = calls_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (calls[middle].returns_to < returns_to)
            low = middle + 1;
        else
            high = middle;
    }
    return low < calls_count && calls[low].returns_to == returns_to ? &calls[low] : NULL;
}

/* A frame begins with the caller's frame and the address to return to: x86-64 and aarch64. */
unsigned sites_here(void *frame)
{
    uintptr_t *f = frame;
    const struct call *inner = call_before(f[1]);
    if (!inner)
        die("a call that sites.sh did not find", (void *)f[1]);
    if (!is_door(inner->function))
        return inner->first_site;
    f = (uintptr_t *)f[0];
    const struct call *outer = call_before(f[1]);
    if (!outer || strcmp(outer->callee, inner->function) != 0)
        die("a call of a door that sites.sh did not find", (void *)f[1]);
    for (unsigned i = outer->first_site; i < sites_count && sites[i].outer == outer; i++)
        if (sites[i].inner == inner)
            return i;
    die("a call in a door that sites.sh did not find", (void *)f[1]);
}

int sites_meet(unsigned site)
{
    pi_add_relaxed(&shared->reached[site], UINT64_C(1));
    if (asked)
        return asked(site);
    for (unsigned i = 0; i < SITES_ARMS; i++) {
        struct arm *arm = &shared->arms[i];
        if (arm->site != site + 1)
            continue;
        uint64_t n = pi_add_relaxed(&arm->met, UINT64_C(1)) + 1;
        if (n < arm->k || (n > arm->k && (arm->j == 0 || (n - arm->k) % arm->j != 0)))
            continue;
        pi_add_relaxed(&arm->failed, UINT64_C(1));
        return arm->error;
    }
    return 0;
}

void sites_note(unsigned site, int error)
{
    if (error > 0 && error < SITES_ERRNOS)
        pi_store_relaxed(&shared->natural[site][error], (uint8_t)1);
}

void sites_count_block(long n)
{
    pi_add_relaxed(&blocks, n);
}

void sites_count_mapping(long n)
{
    pi_add_relaxed(&mappings, n);
}
