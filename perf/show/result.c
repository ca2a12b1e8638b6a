/* SPDX-License-Identifier: MIT */
/* result.c: see result.h. */
#include "perf/show/result.h"

#include "perf/common/process.h"

#include <errno.h>
#include <pica/version.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

/* The processor's name, without what JSON would have to escape. */
static void cpu_model(char *out, size_t size)
{
    char line[256];
    snprintf(out, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        value[strcspn(value, "\n\"\\")] = 0;
        snprintf(out, size, "%.100s", value + 2);
        break;
    }
    if (f != NULL)
        fclose(f);
}

static void write_row(FILE *f, const pb_row *row)
{
    const pb_loaded *g = &row->got;
    fprintf(f,
            "      {\"server\": \"%s\", \"label\": \"%s\", \"workers\": %u, \"hog\": %s,\n"
            "       \"hog_answers\": %.0f, \"answers\": %.0f, \"unanswered\": %.0f,\n"
            "       \"per_second\": %.1f, \"cpu_us\": %.4f, \"answer_bytes\": %.0f,\n"
            "       \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f,\n"
            "       \"max_us\": %.1f,\n"
            "       \"curve\": %s}",
            row->server, row->label, row->workers, row->hog ? "true" : "false", row->hog_answers,
            g->answers, g->unanswered, g->per_second, g->cpu_us, g->answer_bytes, g->p50_us,
            g->p90_us, g->p99_us, g->p999_us, g->max_us, g->curve[0] != 0 ? g->curve : "[]");
}

static void write_act(FILE *f, const pb_act *act)
{
    fprintf(f,
            "    {\"name\": \"%s\", \"title\": \"%s\", \"connections\": %u, \"rate\": %g,\n"
            "     \"rows\": [\n",
            act->name, act->title, act->connections, act->rate);
    for (unsigned i = 0; i < act->n; i++) {
        write_row(f, &act->rows[i]);
        fputs(i + 1 < act->n ? ",\n" : "\n", f);
    }
    fputs("    ]}", f);
}

int pb_result_write(const char *path, const pb_act acts[PB_ACTS], double seconds)
{
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return -errno;
    struct utsname kernel;
    char model[128], date[40];
    time_t now = time(NULL);
    struct tm parts;
    uname(&kernel);
    cpu_model(model, sizeof model);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    fprintf(f,
            "{\"pica\": \"%s\", \"date\": \"%s\", \"seconds\": %.1f,\n"
            " \"machine\": {\"cpus\": %u, \"model\": \"%s\", \"kernel\": \"%s %s\"},\n"
            " \"acts\": [\n",
            PICA_VERSION_STRING, date, seconds, pb_cpus(), model, kernel.sysname, kernel.release);
    for (int i = 0; i < PB_ACTS; i++) {
        write_act(f, &acts[i]);
        fputs(i + 1 < PB_ACTS ? ",\n" : "\n", f);
    }
    fputs(" ]}\n", f);
    return fclose(f) == 0 ? 0 : -errno;
}
