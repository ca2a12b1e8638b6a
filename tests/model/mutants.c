/* SPDX-License-Identifier: MIT */
/* mutants.c: the program of a model test. All tests as they are; then each memory order that
 * they met made weaker, one at a time, which has to make some test fail. */
#include "model_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SITES 256
#define MUTANTS 512
#define JUSTIFIED_MOST 20000 /* executions of each test, to see a justified mutant survive */

typedef struct mutant {
    unsigned site; /* 1 + index */
    model_order order;
    char what[64];
} mutant;

static const char *const names[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst", "none"};

static const model_site *sites[SITES];
static unsigned n_sites;
static unsigned mutated_site; /* 1 + index; 0: none */
static model_order mutated_order;

static const model_test *tests;
static unsigned n_tests;
static const char *only_test;
static unsigned deeper;
static bool thorough;                        /* justified mutants, too, go through all executions */
static int preemptions = -1, old_reads = -1; /* given on the command line */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A header's path is written as its includer was compiled; so the same file may have several. */
static bool same_site(const model_site *a, const model_site *b)
{
    return a->line == b->line && a->order == b->order && strcmp(a->op, b->op) == 0 &&
           strcmp(a->object, b->object) == 0 && strcmp(a->function, b->function) == 0 &&
           strcmp(base_name(a->file), base_name(b->file)) == 0;
}

model_order model_site_order(model_site *site)
{
    if (!site->id) {
        for (unsigned i = 0; i < n_sites && !site->id; i++)
            if (same_site(sites[i], site))
                site->id = i + 1;
        if (!site->id) {
            if (n_sites == SITES)
                model_fail("too many sites for the checker");
            sites[n_sites] = site;
            site->id = ++n_sites;
        }
    }
    return site->id == mutated_site ? mutated_order : site->order;
}

const char *model_order_name(model_order order)
{
    return names[order];
}

/* Of the CPU: clock_gettime() may be a model's own. */
static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* @param most  executions; 0: all there are */
static model_result explore(const model_test *test, uint64_t most, bool trace)
{
    unsigned p = test->preemptions ? test->preemptions + deeper : 0;
    return model_explore(test, preemptions >= 0 ? (unsigned)preemptions : p,
                         old_reads >= 0 ? (unsigned)old_reads : test->old_reads, most, trace);
}

static bool chosen(const model_test *test)
{
    return !only_test || strcmp(only_test, test->name) == 0;
}

/* All tests without a mutant. */
static bool run_tests(void)
{
    bool ok = true;
    for (unsigned i = 0; i < n_tests; i++) {
        if (!chosen(&tests[i]))
            continue;
        double start = seconds();
        model_result r = explore(&tests[i], 0, true);
        printf("%-40s %9llu executions (%llu pruned), %.2f s: %s\n", tests[i].name,
               (unsigned long long)r.executions, (unsigned long long)r.pruned, seconds() - start,
               r.failed ? r.what : "ok");
        fflush(stdout);
        ok &= !r.failed;
    }
    return ok;
}

static bool is_fence(const model_site *site)
{
    return strncmp(site->op, "fence", 5) == 0;
}

/* What a site's order can be weakened to; at most two. */
static unsigned weaker(const model_site *site, model_order *out)
{
    bool load = strcmp(site->op, "load") == 0;
    bool store = strcmp(site->op, "store") == 0;
    switch (site->order) {
    case MODEL_ACQUIRE:
    case MODEL_RELEASE:
        out[0] = MODEL_RELAXED;
        return 1;
    case MODEL_ACQ_REL:
        out[0] = MODEL_ACQUIRE;
        out[1] = MODEL_RELEASE;
        return 2;
    case MODEL_SEQ_CST:
        out[0] = is_fence(site) ? MODEL_NONE
                 : load         ? MODEL_ACQUIRE
                 : store        ? MODEL_RELEASE
                                : MODEL_ACQ_REL;
        return 1;
    default:
        return 0;
    }
}

static unsigned list_mutants(mutant *list)
{
    unsigned n = 0;
    for (unsigned i = 0; i < n_sites; i++) {
        model_order orders[2];
        unsigned n_orders = weaker(sites[i], orders);
        for (unsigned k = 0; k < n_orders && n < MUTANTS; k++) {
            mutant *m = &list[n++];
            m->site = i + 1;
            m->order = orders[k];
            if (is_fence(sites[i]))
                snprintf(m->what, sizeof(m->what), "%s -> none", sites[i]->op);
            else
                snprintf(m->what, sizeof(m->what), "%s %s -> %s", names[sites[i]->order],
                         sites[i]->op, names[orders[k]]);
        }
    }
    return n;
}

/* Runs the tests with a mutant. @return the test that failed, NULL: it survived */
static const char *kill(const mutant *m, uint64_t most, char *what, size_t size, bool trace)
{
    mutated_site = m->site;
    mutated_order = m->order;
    const char *killer = NULL;
    for (unsigned i = 0; i < n_tests && !killer; i++) {
        if (!chosen(&tests[i]))
            continue;
        model_result r = explore(&tests[i], most, trace);
        if (r.failed) {
            killer = tests[i].name;
            snprintf(what, size, "%s, after %llu", r.what, (unsigned long long)r.executions);
        }
    }
    mutated_site = 0;
    return killer;
}

/* "&task->word" is about task->word. */
static const char *object_of(const model_site *site)
{
    return site->object + (site->object[0] == '&');
}

static const model_reason *reason_for(const mutant *m, const model_reason *reasons, unsigned n)
{
    const model_site *site = sites[m->site - 1];
    for (unsigned i = 0; i < n; i++)
        if (reasons[i].op ? strcmp(reasons[i].where, site->function) == 0 &&
                                strcmp(reasons[i].op, m->what) == 0 &&
                                strcmp(reasons[i].object, object_of(site)) == 0
                          : strcmp(reasons[i].where, base_name(site->file)) == 0 ||
                                strcmp(reasons[i].where, site->function) == 0)
            return &reasons[i];
    return NULL;
}

/* @return how many reasons do not excuse what they say that they do */
static unsigned check_reasons(const model_reason *reasons, unsigned n, const unsigned *used)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < n; i++) {
        const model_reason *r = &reasons[i];
        if (r->op ? used[i] == r->mutants : used[i] > 0)
            continue;
        printf("a reason for %u mutants that %u need: %s: %s: %s\n", r->mutants, used[i], r->where,
               r->op ? r->op : "all of it", r->object);
        bad++;
    }
    return bad;
}

static bool run_mutants(unsigned only, const model_reason *reasons, unsigned n_reasons)
{
    static mutant list[MUTANTS];
    unsigned *used = calloc(n_reasons + 1, sizeof(*used));
    unsigned n = list_mutants(list), killed = 0, excused = 0, elsewhere = 0, bad = 0;
    if (n == MUTANTS) {
        printf("too many mutants for the checker\n");
        bad++;
    }
    for (unsigned i = 0; i < n; i++) {
        if (only && i + 1 != only)
            continue;
        const model_site *site = sites[list[i].site - 1];
        char what[512];
        const model_reason *reason = reason_for(&list[i], reasons, n_reasons);
        if (reason && !reason->op) {
            used[reason - reasons]++;
            elsewhere++;
            continue;
        }
        uint64_t most = reason && !thorough && !only ? JUSTIFIED_MOST : 0;
        const char *killer = kill(&list[i], most, what, sizeof(what), only != 0);
        printf("mutant %2u: %s:%d %s: %s: %s: ", i + 1, base_name(site->file), site->line,
               site->function, list[i].what, object_of(site));
        if (killer) {
            printf("killed by \"%s\": %s\n", killer, what);
            killed++;
        } else if (reason) {
            printf("survives, because %s\n", reason->reason);
            used[reason - reasons]++;
            excused++;
        } else {
            printf("SURVIVES\n");
            bad++;
        }
        fflush(stdout);
    }
    if (!only)
        bad += check_reasons(reasons, n_reasons, used);
    free(used);
    printf("%u mutants: %u killed, %u justified, %u tried elsewhere, %u bad\n", n, killed, excused,
           elsewhere, bad);
    return bad == 0;
}

/* The orders that this program has tried to weaken, for orders.sh: one to a line. */
static bool write_sites(const char *path, const model_reason *reasons, unsigned n_reasons)
{
    static mutant list[MUTANTS];
    unsigned n = list_mutants(list);
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        const model_site *site = sites[list[i].site - 1];
        const model_reason *reason = reason_for(&list[i], reasons, n_reasons);
        if (!reason || reason->op)
            fprintf(out, "%s\t%d\t%s_%s\t%s\n", site->file, site->line, site->op,
                    names[site->order], object_of(site));
    }
    return fclose(out) == 0;
}

int model_main(int argc, char **argv, const model_test *the_tests, unsigned n_the_tests,
               const model_reason *reasons, unsigned n_reasons)
{
    bool mutants = true;
    unsigned only_mutant = 0;
    const char *sites_path = NULL;
    tests = the_tests;
    n_tests = n_the_tests;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--no-mutants") == 0) {
            mutants = false;
            continue;
        } else if (strcmp(argv[i], "--deeper") == 0) {
            deeper = 1;
            continue;
        } else if (strcmp(argv[i], "--thorough") == 0) {
            thorough = true;
            continue;
        } else if (strcmp(argv[i], "--preemptions") == 0) {
            preemptions = atoi(value);
        } else if (strcmp(argv[i], "--old-reads") == 0) {
            old_reads = atoi(value);
        } else if (strcmp(argv[i], "--test") == 0) {
            only_test = value;
        } else if (strcmp(argv[i], "--sites") == 0) {
            sites_path = value;
        } else if (strcmp(argv[i], "--mutant") == 0) {
            only_mutant = (unsigned)atoi(value);
        } else {
            fprintf(stderr,
                    "usage: %s [--preemptions N] [--old-reads N] [--deeper] [--thorough] "
                    "[--test NAME] [--no-mutants] [--mutant N] [--sites FILE]\n",
                    argv[0]);
            return 2;
        }
        i++;
    }
    bool ok = run_tests();
    if (ok && mutants)
        ok = run_mutants(only_mutant, reasons, n_reasons);
    if (ok && sites_path)
        ok = write_sites(sites_path, reasons, n_reasons);
    return ok ? 0 : 1;
}
