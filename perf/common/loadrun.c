/* SPDX-License-Identifier: MIT */
/* loadrun.c: see loadrun.h. */
#include "perf/common/loadrun.h"

#include "perf/common/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGS 32

/* The command line that is being put together; numbers are kept as text. */
typedef struct command {
    char *argv[MAX_ARGS];
    char text[MAX_ARGS][24];
    int n;
} command;

static void option(command *c, const char *name, const char *value)
{
    c->argv[c->n++] = (char *)(uintptr_t)name;
    c->argv[c->n++] = (char *)(uintptr_t)value;
}

static void number(command *c, const char *name, double value)
{
    char *text = c->text[c->n];
    snprintf(text, sizeof c->text[0], "%.9g", value);
    option(c, name, text);
}

static void put_together(command *c, const pb_load *load, const pb_process *server)
{
    memset(c, 0, sizeof *c);
    c->argv[c->n++] = (char *)(uintptr_t) "pica-load";
    option(c, "--mode", load->echo ? "echo" : "http");
    number(c, "--port", server->port);
    number(c, "--seconds", load->seconds);
    if (load->path != NULL)
        option(c, "--path", load->path);
    if (load->body != NULL)
        option(c, "--body", load->body);
    if (load->connections > 0)
        number(c, "--connections", load->connections);
    if (load->rate > 0)
        number(c, "--rate", load->rate);
    if (load->warmup > 0)
        number(c, "--warmup", load->warmup);
    if (load->tick > 0)
        number(c, "--tick", load->tick);
    if (server->control >= 0)
        number(c, "--control", PB_CONTROL_FD);
}

static void take(pb_loaded *out, const char *line)
{
    const struct {
        const char *name;
        double *to;
    } fields[] = {{"answers", &out->answers},    {"per_second", &out->per_second},
                  {"errors", &out->errors},      {"unanswered", &out->unanswered},
                  {"cpu_us_each", &out->cpu_us}, {"answer_bytes", &out->answer_bytes},
                  {"mean_us", &out->mean_us},    {"p50_us", &out->p50_us},
                  {"p90_us", &out->p90_us},      {"p99_us", &out->p99_us},
                  {"p999_us", &out->p999_us},    {"max_us", &out->max_us}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i].to = pb_json_number(line, fields[i].name, 0);
    const char *curve = pb_json_find(line, "curve");
    const char *end = curve != NULL ? strstr(curve, "]]") : NULL;
    if (end != NULL && (size_t)(end + 2 - curve) < sizeof out->curve)
        memcpy(out->curve, curve, (size_t)(end + 2 - curve));
}

int pb_load_run(const pb_load *load, const pb_process *server, pb_loaded *out,
                void (*tick)(void *arg, const char *line), void *arg)
{
    command c;
    put_together(&c, load, server);
    pb_process generator;
    int rc = pb_program_start(&generator, c.argv, load->cpu, server->control);
    if (rc < 0) {
        fprintf(stderr, "pica-load did not start: %s\n", strerror(-rc));
        return rc;
    }
    char line[4096];
    bool got = false;
    memset(out, 0, sizeof *out);
    while (fgets(line, sizeof line, generator.out) != NULL) {
        char event[16] = "";
        pb_json_string(line, "event", event, sizeof event);
        if (strcmp(event, "tick") == 0 && tick != NULL)
            tick(arg, line);
        if (strcmp(event, "result") == 0) {
            take(out, line);
            got = true;
        }
    }
    int code = pb_process_wait(&generator);
    if (code == 0 && got)
        return 0;
    fprintf(stderr, "pica-load against port %d: exit code %d, %.0f answers, %.0f errors%s\n",
            server->port, code, out->answers, out->errors,
            got && out->errors <= 0 ? "; is the machine busy?" : "");
    return got ? -EBADMSG : -EIO;
}
