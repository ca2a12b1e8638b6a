/* SPDX-License-Identifier: MIT */
/* report.c: pica-report RESULT.json > report.html. One page that needs nothing else, made
 * from the JSON alone. */
#include "perf/common/json.h"
#include "perf/show/plot.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 8

static const char style[] =
    ":root{--bg:#fbfaf7;--card:#fff;--fg:#1c2430;--muted:#667080;--grid:#e4e2dc;--pica:#0b7f86;"
    "--raw:#9aa3ad;--hog:#d9653b}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2028;--fg:#e8ebef;"
    "--muted:#98a3b1;--grid:#2b333e;--pica:#35c0bd;--raw:#76818e;--hog:#ff8a5c}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);"
    "font:16px/1.55 system-ui,sans-serif}main{max-width:980px;margin:0 auto;padding:48px 24px}\n"
    "h1{font-size:34px;letter-spacing:-.02em;margin:0}h2{margin:56px 0 4px;font-size:22px}"
    "p{margin:6px 0 0;color:var(--muted);max-width:70ch}\n"
    ".tiles,.two{display:grid;gap:16px;margin-top:24px;"
    "grid-template-columns:repeat(auto-fit,minmax(260px,1fr))}"
    ".two{grid-template-columns:repeat(auto-fit,minmax(380px,1fr))}"
    ".tile,figure{background:var(--card);border:1px solid var(--grid);border-radius:12px;"
    "padding:20px;margin:0}.tile b{display:block;font-size:30px;letter-spacing:-.02em;"
    "color:var(--pica)}.tile span{color:var(--muted);font-size:14px}\n"
    "figcaption{font-weight:600;margin-bottom:14px}svg{width:100%;height:auto;display:block}"
    "svg text{fill:var(--fg);font-family:system-ui,sans-serif}.label{font-size:14px}"
    ".value{font-size:14px;font-weight:600}.tick{font-size:12px;fill:var(--muted)!important}"
    ".middle{text-anchor:middle}.end{text-anchor:end}.grid{stroke:var(--grid)}\n"
    "rect.pica{fill:var(--pica)}rect.raw{fill:var(--raw)}rect.hog{fill:var(--hog)}"
    ".line{fill:none;stroke-width:2.5;stroke-linejoin:round}.line.pica{stroke:var(--pica)}"
    ".line.raw{stroke:var(--raw)}.line.hog{stroke:var(--hog)}\n"
    ".scroll{overflow-x:auto;margin-top:24px}table{border-collapse:collapse;width:100%;"
    "font-size:14px;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:7px 10px;"
    "border-bottom:1px solid var(--grid);white-space:nowrap}th{color:var(--muted);"
    "font-weight:500}th:first-child,td:first-child{text-align:left}\n";

/* A number of a row: "acts.<act>.rows.<row>.<field>". */
static double field(const char *json, int act, size_t row, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "acts.%d.rows.%zu.%s", act, row, name);
    return pb_json_number(json, path, 0);
}

static void word(const char *json, int act, size_t row, const char *name, char out[64])
{
    char path[96];
    snprintf(path, sizeof path, "acts.%d.rows.%zu.%s", act, row, name);
    if (!pb_json_string(json, path, out, 64))
        out[0] = 0;
}

static size_t row_count(const char *json, int act)
{
    char path[32];
    snprintf(path, sizeof path, "acts.%d.rows", act);
    size_t n = pb_json_length(json, path);
    return n < ROWS_MAX ? n : ROWS_MAX;
}

/* The colour of a row: grey by hand, else pica's, or a warning one beside a hog. */
static const char *css(const char *json, int act, size_t row)
{
    char server[64], path[96];
    word(json, act, row, "server", server);
    if (strcmp(server, "pica") != 0)
        return "raw";
    snprintf(path, sizeof path, "acts.%d.rows.%zu.hog", act, row);
    const char *hog = pb_json_find(json, path);
    return hog != NULL && *hog == 't' ? "hog" : "pica";
}

static void bars(FILE *f, const char *json, int act, const char *title, const char *name,
                 const char *unit, double scale, int decimals, bool logarithmic)
{
    pb_bar list[ROWS_MAX];
    size_t n = row_count(json, act);
    for (size_t i = 0; i < n; i++) {
        word(json, act, i, "label", list[i].label);
        list[i].css = css(json, act, i);
        list[i].value = field(json, act, i, name) * scale;
    }
    pb_plot_bars(f, title, unit, decimals, logarithmic, list, n);
}

static void curves(FILE *f, const char *json, int act, const char *title, bool wide)
{
    static pb_curve list[ROWS_MAX];
    size_t n = row_count(json, act);
    for (size_t i = 0; i < n; i++) {
        char path[64];
        word(json, act, i, "label", list[i].label);
        list[i].css = css(json, act, i);
        snprintf(path, sizeof path, "acts.%d.rows.%zu.curve", act, i);
        size_t points = pb_json_length(json, path);
        list[i].n = points < PB_POINTS_MAX ? points : PB_POINTS_MAX;
        for (size_t j = 0; j < list[i].n; j++) {
            snprintf(path, sizeof path, "curve.%zu.0", j);
            list[i].percent[j] = field(json, act, i, path);
            snprintf(path, sizeof path, "curve.%zu.1", j);
            list[i].us[j] = field(json, act, i, path);
        }
    }
    pb_plot_curves(f, title, wide, list, n);
}

static void tile(FILE *f, double value, int decimals, const char *unit, const char *text)
{
    fputs("<div class=\"tile\"><b>", f);
    pb_number(f, value, decimals);
    fprintf(f, "%s</b><span>%s</span></div>\n", unit, text);
}

static void head(FILE *f, const char *json)
{
    char model[128] = "", kernel[128] = "", date[64] = "", version[64] = "";
    pb_json_string(json, "machine.model", model, sizeof model);
    pb_json_string(json, "machine.kernel", kernel, sizeof kernel);
    pb_json_string(json, "date", date, sizeof date);
    pb_json_string(json, "pica", version, sizeof version);
    fprintf(f,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width\">"
            "<meta name=\"color-scheme\" content=\"light dark\"><title>pica under load</title>"
            "<style>\n%s</style></head><body><main>\n<h1>pica under load</h1>\n<p>pica %s on %.0f "
            "CPUs (",
            style, version, pb_json_number(json, "machine.cpus", 0));
    pb_html(f, model);
    fputs("), ", f);
    pb_html(f, kernel);
    fprintf(f,
            ", %.10s. An HTTP/1.1 service, its load generator and a hand-written epoll loop that "
            "sends the same bytes, each a process of its own on this machine.</p>\n",
            date);
}

static void tiles(FILE *f, const char *json)
{
    size_t last = row_count(json, 0) - 1;
    double raw = field(json, 0, 0, "cpu_us"), pica = field(json, 0, 1, "cpu_us");
    fputs("<div class=\"tiles\">\n", f);
    tile(f, field(json, 0, last, "per_second"), 0, "/s", "requests answered, on all workers");
    if (raw > 0)
        tile(f, pica / raw, 2, " x",
             "processor time of a request, against an epoll loop by hand (one worker)");
    tile(f, field(json, 2, 1, "p99_us") / 1000, 2, " ms",
         "p99 of everybody else, while one handler keeps computing for 50 ms");
    fputs("</div>\n", f);
}

static void table(FILE *f, const char *json)
{
    static const char *const acts[] = {"one", "two", "three"};
    fputs("<h2>All numbers</h2>\n<div class=\"scroll\"><table><tr><th>act, server</th>"
          "<th>requests/s</th><th>CPU us each</th><th>p50 us</th><th>p90 us</th><th>p99 us</th>"
          "<th>p99.9 us</th><th>max us</th></tr>\n",
          f);
    for (int act = 0; act < 3; act++) {
        for (size_t i = 0; i < row_count(json, act); i++) {
            static const char *const names[] = {"per_second", "cpu_us",  "p50_us", "p90_us",
                                                "p99_us",     "p999_us", "max_us"};
            char label[64];
            word(json, act, i, "label", label);
            fprintf(f, "<tr><td>%s: ", acts[act]);
            pb_html(f, label);
            fputs("</td>", f);
            for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
                fputs("<td>", f);
                pb_number(f, field(json, act, i, names[j]), j == 1 ? 2 : 0);
                fputs("</td>", f);
            }
            fputs("</tr>\n", f);
        }
    }
    fputs("</table></div>\n", f);
}

static void page(FILE *f, const char *json)
{
    head(f, json);
    tiles(f, json);
    fputs("<h2>Act one: as fast as it goes</h2>\n<p>64 connections, each with its next request as "
          "soon as the answer is complete. The medians of three interleaved rounds. On few CPUs "
          "the generator takes a part of what there is, so the processor time of a request "
          "says more than requests per second.</p>\n<div class=\"two\">\n",
          f);
    bars(f, json, 0, "Requests per second", "per_second", "", 1, 0, false);
    bars(f, json, 0, "Processor time of the server, per request", "cpu_us", "us", 1, 2, false);
    fputs("</div>\n<h2>Act two: at a fixed rate</h2>\n<p>", f);
    pb_number(f, pb_json_number(json, "acts.1.rate", 0), 0);
    fputs(" requests per second, planned in advance and evenly spaced. Latency counts from the "
          "planned time, so a server that stalls is charged for every request that it kept "
          "waiting. Of three interleaved rounds, the one with the median p99.</p>\n"
          "<div class=\"two\" style=\"grid-template-columns:1fr\">\n",
          f);
    curves(f, json, 1, "Latency by percentile", true);
    fputs("</div>\n<h2>Act three: somebody computes</h2>\n<p>64 connections ask 20 times a second "
          "each. Meanwhile one client asks, again and again, for a page whose handler computes "
          "for 50 ms without a break. In pica idle workers serve the tasks, timers and "
          "descriptors of a busy one; a loop per thread holds them back. Rounds as in act "
          "two.</p>\n"
          "<div class=\"two\">\n",
          f);
    bars(f, json, 2, "p99 of everybody else (logarithmic)", "p99_us", "ms", 0.001, 2, true);
    curves(f, json, 2, "Latency by percentile", false);
    fputs("</div>\n", f);
    table(f, json);
    fputs("</main></body></html>\n", f);
}

int main(int argc, char **argv)
{
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (in == NULL) {
        fputs("usage: pica-report RESULT.json > report.html\n", stderr);
        return 2;
    }
    static char json[1 << 16];
    size_t n = fread(json, 1, sizeof json - 1, in);
    fclose(in);
    json[n] = 0;
    for (int act = 0; act < 3; act++) {
        if (row_count(json, act) < 2) {
            fprintf(stderr, "pica-report: %s has no result of act %d\n", argv[1], act + 1);
            return 1;
        }
    }
    page(stdout, json);
    return fflush(stdout) == 0 ? 0 : 1;
}
