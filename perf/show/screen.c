/* SPDX-License-Identifier: MIT */
/* screen.c: see screen.h. */
#include "perf/show/screen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS_MAX 8
#define TEXT 52   /* columns of a line without its bar and remark */
#define REMARK 28 /* and of the remark */
#define BAR_MAX 32

typedef struct row {
    const char *label;
    bool ours, shown, done;
    double value;
    char remark[48];
} row;

static struct {
    const char *unit;
    double least, most;
    row rows[ROWS_MAX];
    int n;
    int drawn; /* lines that stand on the terminal and are drawn over */
    int bar;   /* columns of a full bar */
    bool remarks;
} screen;

static int columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool pb_screen_live(void)
{
    static int live = -1;
    if (live < 0) {
        const char *term = getenv("TERM");
        live = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0 &&
               columns() >= TEXT + 12;
    }
    return live;
}

static bool has_blocks(void)
{
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != 0)
            return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL;
    }
    return false;
}

/* "1234567" with commas; a dot and two digits below a hundred. */
static const char *number(double value, char out[32])
{
    char digits[32];
    if (value < 100) {
        snprintf(out, 32, "%.2f", value);
        return out;
    }
    snprintf(digits, sizeof digits, "%.0f", value);
    size_t n = strlen(digits), used = 0;
    for (size_t i = 0; i < n && used < 30; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
    return out;
}

static double share(double value)
{
    if (screen.least > 0)
        return value <= screen.least ? 0
                                     : log(value / screen.least) / log(screen.most / screen.least);
    return value / screen.most;
}

static void draw_bar(const row *r)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    bool blocks = has_blocks();
    bool colour = getenv("NO_COLOR") == NULL;
    int parts = (int)(share(r->value) * screen.bar * 8 + 0.5);
    if (colour)
        fputs(r->ours ? "\033[38;5;37m" : "\033[38;5;244m", stdout);
    for (int i = 0; i < parts / 8; i++)
        fputs(blocks ? "█" : "#", stdout);
    int used = parts / 8;
    if (blocks && parts % 8 > 0) {
        fputs(eighths[parts % 8], stdout);
        used++;
    }
    if (colour)
        fputs("\033[0m", stdout);
    printf("%*s", screen.bar - used, "");
}

static void draw(void)
{
    char text[32];
    if (screen.drawn > 0)
        printf("\033[%dA", screen.drawn);
    for (int i = 0; i < screen.n; i++) {
        const row *r = &screen.rows[i];
        printf("\033[2K  %-28s", r->label);
        if (r->shown) {
            draw_bar(r);
            printf(" %9s %s", number(r->value, text), screen.unit);
            if (screen.remarks)
                printf("  %s", r->remark);
        }
        putchar('\n');
    }
    screen.drawn = screen.n;
    fflush(stdout);
}

void pb_screen_act(const char *title, const char *unit, double least, double most)
{
    memset(&screen, 0, sizeof screen);
    screen.unit = unit;
    screen.least = least;
    screen.most = most;
    int room = columns() - TEXT;
    screen.remarks = room >= REMARK + 12;
    room -= screen.remarks ? REMARK : 0;
    screen.bar = room < BAR_MAX ? room : BAR_MAX;
    printf("\n%s\n", title);
    fflush(stdout);
}

int pb_screen_row(const char *label, bool ours)
{
    screen.rows[screen.n] = (row){.label = label, .ours = ours};
    return screen.n++;
}

void pb_screen_value(int index, double value, const char *remark, bool done)
{
    row *r = &screen.rows[index];
    r->value = value;
    r->shown = true;
    r->done = done;
    snprintf(r->remark, sizeof r->remark, "%s", remark);
    if (value > screen.most)
        screen.most = value;
    if (pb_screen_live()) {
        draw();
        return;
    }
    char text[32];
    printf("  %-28s %9s %s  %s\n", r->label, number(value, text), screen.unit, remark);
    fflush(stdout);
}

void pb_screen_end(void)
{
    screen.n = 0;
    screen.drawn = 0;
}
