/* SPDX-License-Identifier: MIT */
/* main.c: pica-bench, the benchmarks as a program. */
#include "perf/bench/cases.h"
#include "perf/common/process.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *question;
    int (*run)(const pb_settings *s);
} cases[] = {
    {"switch", "the raw context switch, one way", pb_case_switch},
    {"yield", "64 tasks that yield, from one call site and from several", pb_case_yield},
    {"spawn", "spawn + await, one by one; 10^6 spawned, then all awaited", pb_case_spawn},
    {"fib", "fib(32), a task per call; how much faster with two workers", pb_case_fib},
    {"skynet", "a tree of tasks with 10^6 leaves, per leaf", pb_case_skynet},
    {"sem", "semaphore, uncontended; of 1 held over a yield by 64 tasks", pb_case_sem},
    {"timers", "arm + disarm a far timer among 10^5", pb_case_timers},
    {"parked", "memory and mappings of 10^6 sleeping tasks", pb_case_parked},
    {"wake", "round trip between tasks on two workers", pb_case_wake},
    {"echo", "64-byte echo: the server's CPU per message, p99", pb_case_echo},
    {"http", "HTTP plaintext: the server's CPU per request, p99", pb_case_http},
    {"hog", "p99 of 64 slow connections beside a task that never stops", pb_case_hog},
};
#define CASES (sizeof cases / sizeof *cases)

static void usage(FILE *to)
{
    fputs("usage: pica-bench CASE... [options]      (or: all)\n\n", to);
    for (size_t i = 0; i < CASES; i++)
        fprintf(to, "  %-8s %s\n", cases[i].name, cases[i].question);
    fputs("\n"
          "  --workers N   workers of the executor or server (default: the case's own)\n"
          "  --repeat N    rounds that count, after one that warms up (default 5, at most 101)\n"
          "  --seconds S   one measurement of echo, http, hog (default 1; hog 3)\n"
          "  --count N     tasks of parked (default 1000000)\n"
          "  --json        a line of JSON for each result\n"
          "\n"
          "Each result is a median over the rounds. limit is its raw equivalent, measured in the\n"
          "same rounds: a locked add for what happens in memory, an eventfd round trip, a\n"
          "hand-written epoll server, the same without the hog. ratio = median / limit.\n"
          "spread = (greatest - least) / median.\n",
          to);
}

static int run(const char *name, const pb_settings *s)
{
    bool known = false;
    for (size_t i = 0; i < CASES; i++) {
        if (strcmp(name, cases[i].name) != 0 && strcmp(name, "all") != 0)
            continue;
        known = true;
        int rc = cases[i].run(s);
        if (rc < 0) {
            fprintf(stderr, "pica-bench %s: %s\n", cases[i].name, pica_strerror(rc));
            return 1;
        }
    }
    if (!known) {
        fprintf(stderr, "pica-bench: there is no case \"%s\"\n\n", name);
        usage(stderr);
    }
    return known ? 0 : 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"workers", required_argument, NULL, 'w'},
                                            {"repeat", required_argument, NULL, 'r'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    pb_settings s = {.repeat = 5, .count = 1000000};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (letter) {
        case 'w':
            s.workers = (unsigned)atoi(optarg);
            break;
        case 'r':
            s.repeat = (unsigned)atoi(optarg);
            break;
        case 's':
            s.seconds = atof(optarg);
            break;
        case 'n':
            s.count = (size_t)atol(optarg);
            break;
        case 'j':
            s.json = true;
            break;
        default:
            usage(letter == 'h' ? stdout : stderr);
            return letter == 'h' ? 0 : 2;
        }
    }
    if (optind == argc || s.repeat - 1 >= PB_ROUNDS_MAX || s.workers > 256 || s.count < 1) {
        usage(stderr);
        return 2;
    }
    pb_raise_descriptors();
    int code = 0;
    for (int i = optind; i < argc && code != 2; i++) {
        int rc = run(argv[i], &s);
        code = rc > code ? rc : code;
    }
    return code;
}
