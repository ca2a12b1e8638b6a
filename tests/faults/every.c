/* SPDX-License-Identifier: MIT */
/* every.c: see every.h. */
#include "tests/faults/every.h"

#include "executor/base/atomics.h"
#include "tests/check_private.h"
#include "tests/faults/errnos.h"
#include "tests/faults/sites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAID_MAX 200

static struct {
    unsigned long long k, j, seed;
    unsigned from;
    char call[32];  /* "": any */
    uint32_t begun; /* [atomic] release, acquire: publishes the above */
    uint64_t met;   /* [atomic, relaxed] a counter */
    uint64_t said;  /* [atomic, relaxed] a counter */
} fault;

static bool lies(const char *call, int error)
{
    return strcmp(call, "connect") == 0 && error == EISCONN;
}

static bool means_again(int error)
{
    return error == EINTR || error == EAGAIN || error == EALREADY;
}

/* One of the row's codes. @return 0: there is none */
static int code_of(const errnos *row, const char *call, uint64_t salt)
{
    int codes[sizeof(row->made) / sizeof(row->made[0])];
    unsigned n = 0;
    for (const int *e = row->made; *e; e++)
        if (!lies(call, *e) && !(means_again(*e) && (fault.j == 1 || fault.seed % 2)))
            codes[n++] = *e;
    return n ? codes[salt % n] : 0;
}

/* On whatever stack there is, so with little of it. One write(2): other threads tell as well. */
static void tell(unsigned site, int error)
{
    if (pi_add_relaxed(&fault.said, UINT64_C(1)) >= SAID_MAX)
        return;
    char line[160] = EVERY_LINE;
    const char *parts[] = {site_function(site), " ", site_door(site),    " ",
                           site_call(site),     " ", errnos_name(error), "\n"};
    size_t n = strlen(line);
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        for (const char *p = parts[i]; *p && n < sizeof(line); p++)
            line[n++] = *p;
    (void)!write(STDERR_FILENO, line, n);
}

static int choose(unsigned site)
{
    if (!pi_load_acquire(&fault.begun))
        return 0;
    const char *call = site_call(site);
    const errnos *row = errnos_of(site_function(site), site_door(site), call);
    if (!row || !code_of(row, call, 0) || (fault.call[0] && strcmp(call, fault.call) != 0))
        return 0;
    uint64_t n = pi_add_relaxed(&fault.met, UINT64_C(1)) + 1;
    if (n < fault.k || (n > fault.k && (fault.j == 0 || (n - fault.k) % fault.j != 0)))
        return 0;
    int error = code_of(row, call, (fault.seed + n) * 0x9e3779b97f4a7c15u >> 33);
    tell(site, error);
    return error;
}

void check_begins(void)
{
    if (fault.k && !pi_load_relaxed(&fault.begun))
        pi_store_release(&fault.begun, 1u);
}

__attribute__((constructor)) static void begin(void)
{
    const char *sites = getenv("PICA_TEST_SITES"), *text = getenv("PICA_TEST_FAULT");
    if (!sites || sites_open(sites) == 0) {
        fprintf(stderr, "PICA_TEST_SITES: no calls of the library are there\n");
        _exit(2);
    }
    sites_ask(choose);
    if (text && sscanf(text, "%llu %llu %llu %u %31s", &fault.k, &fault.j, &fault.seed, &fault.from,
                       fault.call) < 4) {
        fprintf(stderr, "PICA_TEST_FAULT: see every.h\n");
        _exit(2);
    }
    if (fault.k && fault.from == 0)
        pi_store_release(&fault.begun, 1u);
}
