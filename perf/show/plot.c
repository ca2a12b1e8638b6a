/* SPDX-License-Identifier: MIT */
/* plot.c: see plot.h. */
#include "perf/show/plot.h"

#include <math.h>
#include <string.h>

#define WIDTH 440 /* of a figure that shares the page with another */
#define WIDE 900

void pb_html(FILE *f, const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '<')
            fputs("&lt;", f);
        else if (*text == '&')
            fputs("&amp;", f);
        else if (*text == '"')
            fputs("&quot;", f);
        else
            putc(*text, f);
    }
}

void pb_number(FILE *f, double value, int decimals)
{
    char digits[48];
    snprintf(digits, sizeof digits, "%.*f", decimals, value);
    size_t whole = strcspn(digits, ".");
    for (size_t i = 0; i < whole; i++) {
        if (i > 0 && (whole - i) % 3 == 0)
            putc(',', f);
        putc(digits[i], f);
    }
    fputs(digits + whole, f);
}

static void begin(FILE *f, const char *title, int width, int height)
{
    fprintf(f, "<figure><figcaption>%s</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n",
            title, width, height);
}

static void end(FILE *f)
{
    fputs("</svg></figure>\n", f);
}

void pb_plot_bars(FILE *f, const char *title, const char *unit, int decimals, bool logarithmic,
                  const pb_bar *bars, size_t n)
{
    enum { STEP = 46, ROOM = 320 };
    double most = 0, least = INFINITY;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, bars[i].value);
        least = fmin(least, bars[i].value > 0 ? bars[i].value : INFINITY);
    }
    double floor10 = logarithmic ? pow(10, floor(log10(least * 0.9))) : 0;
    begin(f, title, WIDTH, (int)n * STEP + 4);
    for (size_t i = 0; i < n; i++) {
        const pb_bar *b = &bars[i];
        double share = most <= 0 || b->value <= 0 ? 0
                       : logarithmic              ? log(b->value / floor10) / log(most / floor10)
                                                  : b->value / most;
        int y = (int)i * STEP;
        fprintf(f, "<text x=\"0\" y=\"%d\" class=\"label\">", y + 15);
        pb_html(f, b->label);
        fprintf(f,
                "</text>\n<rect x=\"0\" y=\"%d\" width=\"%.1f\" height=\"18\" rx=\"3\" "
                "class=\"%s\"/>\n<text x=\"%.1f\" y=\"%d\" class=\"value\">",
                y + 21, fmax(share * ROOM, 2), b->css, fmax(share * ROOM, 2) + 8, y + 35);
        pb_number(f, b->value, decimals);
        fprintf(f, " %s</text>\n", unit);
    }
    end(f);
}

/* Where a percentile stands: 0, 90, 99, 99.9, ... are equally far apart. */
static double nines(double percent)
{
    return -log10(1 - fmin(percent, 99.999) / 100);
}

typedef struct frame {
    double left, right, top, bottom; /* of the drawing */
    double most_nines, low, high;    /* what it spans; low and high as logarithms */
} frame;

static double x_of(const frame *r, double percent)
{
    return r->left + (r->right - r->left) * nines(percent) / r->most_nines;
}

static double y_of(const frame *r, double us)
{
    return r->bottom - (r->bottom - r->top) * (log10(us) - r->low) / (r->high - r->low);
}

static void duration(char out[32], double us)
{
    if (us < 1000)
        snprintf(out, 32, "%g us", us);
    else
        snprintf(out, 32, us < 1e6 ? "%g ms" : "%g s", us < 1e6 ? us / 1e3 : us / 1e6);
}

static void grid(FILE *f, const frame *r)
{
    static const struct {
        double percent;
        const char *label;
    } marks[] = {{0, "0"},    {50, "p50"},     {90, "p90"},
                 {99, "p99"}, {99.9, "p99.9"}, {99.99, "p99.99"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        double x = x_of(r, marks[i].percent);
        if (x > r->right + 1)
            break;
        fprintf(f,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" class=\"tick middle\">%s</text>\n",
                x, r->top, x, r->bottom, x, r->bottom + 18, marks[i].label);
    }
    for (double decade = r->low; decade <= r->high + 0.01; decade += 1) {
        char text[32];
        double y = y_of(r, pow(10, decade));
        duration(text, pow(10, decade));
        fprintf(f,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" class=\"tick end\">%s</text>\n",
                r->left, y, r->right, y, r->left - 8, y + 4, text);
    }
}

static void draw_curve(FILE *f, const frame *r, const pb_curve *c, size_t index)
{
    fprintf(f, "<polyline class=\"line %s\" points=\"", c->css);
    for (size_t i = 0; i < c->n; i++)
        if (c->us[i] > 0 && nines(c->percent[i]) <= r->most_nines + 0.001)
            fprintf(f, "%.1f,%.1f ", x_of(r, c->percent[i]), y_of(r, c->us[i]));
    fputs("\"/>\n", f);
    double y = (double)index * 20 - 2;
    fprintf(f,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"4\" rx=\"2\" class=\"%s\"/>"
            "<text x=\"%.1f\" y=\"%.1f\" class=\"label\">",
            r->left, y + 8, c->css, r->left + 22, y + 15);
    pb_html(f, c->label);
    fputs("</text>\n", f);
}

void pb_plot_curves(FILE *f, const char *title, bool wide, const pb_curve *curves, size_t n)
{
    double top = 16 + 20 * (double)n; /* above it stands the legend */
    frame r = {.left = 60,
               .right = (wide ? WIDE : WIDTH) - 28,
               .top = top,
               .bottom = top + (wide ? 260 : 200),
               .most_nines = 3};
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < curves[i].n; j++) {
            double us = curves[i].us[j];
            if (us <= 0 || nines(curves[i].percent[j]) > r.most_nines + 0.001)
                continue;
            least = fmin(least, us);
            most = fmax(most, us);
        }
    }
    if (most <= 0)
        return;
    r.low = floor(log10(least));
    r.high = fmax(ceil(log10(most)), r.low + 1);
    begin(f, title, wide ? WIDE : WIDTH, (int)r.bottom + 26);
    grid(f, &r);
    for (size_t i = 0; i < n; i++)
        draw_curve(f, &r, &curves[i], i);
    end(f);
}
