/* SPDX-License-Identifier: MIT */
/* load.c: pica-load, the load generator as a program. See load.h for what it does, usage[]
 * for how it is called.
 *
 * The main thread keeps the time: it asks the server for its processor time when counting
 * begins and when it ends, and writes a line a tick. It sleeps otherwise.
 */
#include "perf/load/load.h"
#include "perf/common/clock.h"
#include "perf/common/control.h"
#include "perf/common/process.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 64

static const char usage[] =
    "usage: pica-load --port PORT [options]\n"
    "\n"
    "Loads a server on the loopback, checks every answer, and writes one line of JSON.\n"
    "  --mode http|echo    what to speak (default http)\n"
    "  --path PATH         what to ask for (default /)\n"
    "  --body TEXT         the body that every answer must have (default: any)\n"
    "  --size BYTES        of an echo message, 16 to 16384 (default 64)\n"
    "  --connections N     (default 64)\n"
    "  --threads N         (default 1)\n"
    "  --rate R            requests a second over all connections, planned in advance;\n"
    "                      latency counts from the planned time (default 0: closed loop)\n"
    "  --seconds S         how long to count (default 2)\n"
    "  --warmup S          how long to load before that (default 0.3)\n"
    "  --tick S            a line {\"event\":\"tick\"} every S seconds (default 0: none)\n"
    "  --control FD        the asking end of the server's control line: cpu_ns is then the\n"
    "                      server's processor time while counting\n"
    "Exit code 0; 1: an answer was wrong, a connection broke, nothing was answered; 2: usage.\n";

typedef struct settings {
    pb_plan plan;
    double seconds, warmup, tick;
    int control;
} settings;

enum {
    MODE = 1,
    PATH,
    BODY,
    SIZE,
    PORT,
    CONNECTIONS,
    THREADS,
    RATE,
    SECONDS,
    WARMUP,
    TICK,
    CONTROL,
    HELP
};

static const struct option options[] = {{"mode", required_argument, NULL, MODE},
                                        {"path", required_argument, NULL, PATH},
                                        {"body", required_argument, NULL, BODY},
                                        {"size", required_argument, NULL, SIZE},
                                        {"port", required_argument, NULL, PORT},
                                        {"connections", required_argument, NULL, CONNECTIONS},
                                        {"threads", required_argument, NULL, THREADS},
                                        {"rate", required_argument, NULL, RATE},
                                        {"seconds", required_argument, NULL, SECONDS},
                                        {"warmup", required_argument, NULL, WARMUP},
                                        {"tick", required_argument, NULL, TICK},
                                        {"control", required_argument, NULL, CONTROL},
                                        {"help", no_argument, NULL, HELP},
                                        {NULL, 0, NULL, 0}};

static void set(settings *s, int option, const char *text)
{
    double number = text != NULL ? atof(text) : 0;
    switch (option) {
    case MODE:
        s->plan.http = strcmp(text, "echo") != 0;
        break;
    case PATH:
        s->plan.path = text;
        break;
    case BODY:
        s->plan.body = text;
        break;
    case SIZE:
        s->plan.size = (size_t)number;
        break;
    case PORT:
        s->plan.port = (int)number;
        break;
    case CONNECTIONS:
        s->plan.connections = (unsigned)number;
        break;
    case THREADS:
        s->plan.threads = (unsigned)number;
        break;
    case RATE:
        s->plan.rate = number;
        break;
    case SECONDS:
        s->seconds = number;
        break;
    case WARMUP:
        s->warmup = number;
        break;
    case TICK:
        s->tick = number;
        break;
    case CONTROL:
        s->control = (int)number;
        break;
    default:
        break;
    }
}

static int parse(settings *s, int argc, char **argv)
{
    *s =
        (settings){.plan = {.http = true, .path = "/", .size = 64, .connections = 64, .threads = 1},
                   .seconds = 2,
                   .warmup = 0.3,
                   .control = -1};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?')
            return -EINVAL;
        if (option == HELP) {
            fputs(usage, stdout);
            exit(0);
        }
        set(s, option, optarg);
    }
    const pb_plan *p = &s->plan;
    bool good = optind == argc && p->port > 0 && p->port < 65536 && p->connections > 0 &&
                p->threads > 0 && p->threads <= MAX_THREADS && p->connections >= p->threads &&
                p->size >= 16 && p->size <= PB_LOAD_BUFFER && strlen(p->path) < 1024 &&
                p->rate >= 0 && s->seconds > 0;
    return good ? 0 : -EINVAL;
}

static void *run(void *thread)
{
    pb_thread_run(thread);
    return NULL;
}

static void snapshot(pb_hist *out, const pb_thread *threads, unsigned n)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < n; i++)
        pb_hist_merge(out, &threads[i].hist);
}

static double us(const pb_hist *h, double share)
{
    return (double)pb_hist_quantile(h, share) / 1000;
}

/* Sleep through the counted time, and write what happened in each tick of it. */
static void keep_time(const settings *s, const pb_thread *threads)
{
    static pb_hist before, now, since;
    const pb_plan *p = &s->plan;
    int64_t tick = (int64_t)(s->tick * 1e9);
    for (int64_t at = p->begin + tick; tick > 0 && at < p->end + tick / 2; at += tick) {
        pb_sleep_until(at);
        snapshot(&now, threads, p->threads);
        pb_hist_difference(&since, &now, &before);
        before = now;
        printf("{\"event\":\"tick\",\"at_s\":%.3f,\"per_second\":%.0f,\"p50_us\":%.1f,"
               "\"p99_us\":%.1f,\"max_us\":%.1f}\n",
               (double)(at - p->begin) / 1e9, (double)since.total / s->tick, us(&since, 0.5),
               us(&since, 0.99), us(&since, 1));
        fflush(stdout);
    }
    pb_sleep_until(p->end);
}

static void write_curve(const pb_hist *h)
{
    static const double shares[] = {0.01, 0.1,  0.25,  0.5,   0.75,  0.9,    0.95,   0.97,
                                    0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        printf("%s[%g,%.1f]", i > 0 ? "," : "", shares[i] * 100, us(h, shares[i]));
}

static int write_result(const settings *s, const pb_thread *threads, int64_t server_ns)
{
    static pb_hist h;
    const pb_plan *p = &s->plan;
    snapshot(&h, threads, p->threads);
    uint64_t errors = 0, unanswered = 0, bytes = 0;
    for (unsigned i = 0; i < p->threads; i++) {
        errors += threads[i].errors;
        unanswered += threads[i].unanswered;
        bytes = threads[i].answer_bytes > bytes ? threads[i].answer_bytes : bytes;
    }
    double answers = (double)h.total;
    printf("{\"event\":\"result\",\"mode\":\"%s\",\"connections\":%u,\"threads\":%u,\"rate\":%g,"
           "\"seconds\":%g,\"answers\":%.0f,\"per_second\":%.1f,\"errors\":%llu,"
           "\"unanswered\":%llu,\"answer_bytes\":%llu,",
           p->http ? "http" : "echo", p->connections, p->threads, p->rate, s->seconds, answers,
           answers / s->seconds, (unsigned long long)errors, (unsigned long long)unanswered,
           (unsigned long long)bytes);
    printf("\"mean_us\":%.2f,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"max_us\":%.1f,",
           answers > 0 ? (double)h.sum_ns / answers / 1000 : 0, us(&h, 0.5), us(&h, 0.9),
           us(&h, 0.99), us(&h, 0.999), us(&h, 1));
    printf("\"cpu_ns\":%lld,\"cpu_us_each\":%.4f,\"own_cpu_ns\":%lld,\"curve\":[",
           (long long)server_ns,
           server_ns > 0 && answers > 0 ? (double)server_ns / answers / 1000 : 0,
           (long long)pb_cpu());
    write_curve(&h);
    printf("]}\n");
    return errors > 0 || answers == 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    settings s;
    static pb_thread threads[MAX_THREADS];
    pthread_t ids[MAX_THREADS];
    if (parse(&s, argc, argv) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    pb_raise_descriptors();
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < s.plan.threads; i++)
        rc = pb_thread_open(&threads[i], &s.plan, i);
    if (rc < 0) {
        fprintf(stderr, "pica-load: connecting to port %d: %s\n", s.plan.port, strerror(-rc));
        return 1;
    }
    s.plan.start = pb_now() + 5000000;
    s.plan.begin = s.plan.start + (int64_t)(s.warmup * 1e9);
    s.plan.end = s.plan.begin + (int64_t)(s.seconds * 1e9);
    for (unsigned i = 0; i < s.plan.threads; i++) {
        rc = pthread_create(&ids[i], NULL, run, &threads[i]);
        if (rc != 0) {
            fprintf(stderr, "pica-load: starting a thread: %s\n", strerror(rc));
            return 1;
        }
    }
    pb_sleep_until(s.plan.begin);
    int64_t cpu = s.control >= 0 ? pb_control_cpu(s.control) : 0;
    keep_time(&s, threads);
    int64_t server_ns = s.control >= 0 ? pb_control_cpu(s.control) - cpu : 0;
    for (unsigned i = 0; i < s.plan.threads; i++)
        pthread_join(ids[i], NULL);
    return write_result(&s, threads, server_ns);
}
