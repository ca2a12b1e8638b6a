/* SPDX-License-Identifier: MIT */
/* line.h: a line for people, put together piece by piece and written at once.
 *
 * What does not fit is cut; the newline always fits. Takes no lock, allocates nothing and needs
 * about 2 KiB of stack, so that it serves signal handlers, full stacks and processes that are
 * about to die. Callers: anywhere. */
#ifndef PI_LINE_H
#define PI_LINE_H

#include <stdarg.h>
#include <stddef.h>

#define PI_LINE_MAX 400 /* bytes, newline included */
#define PI_NAME_MAX 80  /* of a name or site, so that what follows it still fits */

typedef struct pi_line {
    size_t length;
    char text[PI_LINE_MAX];
} pi_line;

/** Begin an empty line. */
static inline void pi_line_begin(pi_line *line)
{
    line->length = 0;
}

/** Add to it, as printf() would. */
void pi_line_add(pi_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pi_line_vadd(pi_line *line, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/** Add a name, the end of it cut; add a path or spawn site, the beginning of it cut. They may be
 *  anything: what is no text (a newline, an escape) stands there as '?'. */
void pi_line_add_name(pi_line *line, const char *name);
void pi_line_add_site(pi_line *line, const char *site);

/** Add "task 12 (NAME, spawned at SITE"; what else there is to say of it may follow, and ")". */
void pi_line_add_task(pi_line *line, unsigned long long id, const char *name, const char *site);

/** End the line, write all of it and begin a new one. @return 0, or what write(2) says */
int pi_line_write(pi_line *line, int fd);

#endif
