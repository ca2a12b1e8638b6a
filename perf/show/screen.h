/* SPDX-License-Identifier: MIT */
/* screen.h: what the demo shows while it runs.
 *
 * On a terminal an act is a block of bars, one per row, redrawn as numbers come in. Elsewhere
 * (a pipe, a log) it is a line for each number. */
#ifndef PB_SCREEN_H
#define PB_SCREEN_H

#include <stdbool.h>

/** Is standard output a terminal that can redraw? Asked once. */
bool pb_screen_live(void);

/** Begin an act. @param unit  what a bar stands for; least, most: the ends of its scale,
 *  which is logarithmic where least > 0 and grows where a number exceeds it */
void pb_screen_act(const char *title, const char *unit, double least, double most);

/** Add a row, empty for now. @return its number. label must stay. */
int pb_screen_row(const char *label, bool ours);

/** A new number for a row. @param done  the row's final one, with a remark */
void pb_screen_value(int row, double value, const char *remark, bool done);

/** The act is over. */
void pb_screen_end(void);

#endif
