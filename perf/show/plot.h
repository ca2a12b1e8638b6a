/* SPDX-License-Identifier: MIT */
/* plot.h: two kinds of plots as inline SVG. Colours are CSS classes, `pica`, `raw` and `hog`,
 * which the page defines for light and dark. */
#ifndef PB_PLOT_H
#define PB_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define PB_POINTS_MAX 32

typedef struct pb_bar {
    char label[64];
    const char *css;
    double value;
} pb_bar;

/** Latency by percentile: percent[i] of all answers took at most us[i]. */
typedef struct pb_curve {
    char label[64];
    const char *css;
    size_t n;
    double percent[PB_POINTS_MAX], us[PB_POINTS_MAX];
} pb_curve;

/** Horizontal bars. @param decimals  of the numbers beside them; logarithmic: from the power
 *  of ten below the least */
void pb_plot_bars(FILE *f, const char *title, const char *unit, int decimals, bool logarithmic,
                  const pb_bar *bars, size_t n);

/** Curves over the percentiles, the last ones spread out; latency is logarithmic.
 *  @param wide  it has the whole width of the page */
void pb_plot_curves(FILE *f, const char *title, bool wide, const pb_curve *curves, size_t n);

/** Write text with what HTML reserves escaped. */
void pb_html(FILE *f, const char *text);

/** Write a number with commas between thousands. */
void pb_number(FILE *f, double value, int decimals);

#endif
