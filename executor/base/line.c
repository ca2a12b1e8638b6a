/* SPDX-License-Identifier: MIT */
/* line.c: see line.h. */
#include "executor/base/line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void pi_line_vadd(pi_line *line, const char *format, va_list args)
{
    size_t room = sizeof(line->text) - line->length; /* at least 1: for the newline */
    int n = vsnprintf(line->text + line->length, room, format, args);
    if (n > 0)
        line->length += (size_t)n < room ? (size_t)n : room - 1;
}

void pi_line_add(pi_line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pi_line_vadd(line, format, args);
    va_end(args);
}

/* What was added since: it must not end the line, nor tell a terminal to do things. */
static void tame(pi_line *line, size_t since)
{
    for (size_t i = since; i < line->length; i++)
        if ((unsigned char)line->text[i] < ' ' || line->text[i] == 0x7f)
            line->text[i] = '?';
}

void pi_line_add_name(pi_line *line, const char *name)
{
    size_t since = line->length;
    pi_line_add(line, "%.*s", PI_NAME_MAX, name);
    tame(line, since);
}

void pi_line_add_site(pi_line *line, const char *site)
{
    size_t since = line->length, length = strlen(site);
    pi_line_add(line, "%s", site + (length > PI_NAME_MAX ? length - PI_NAME_MAX : 0));
    tame(line, since);
}

void pi_line_add_task(pi_line *line, unsigned long long id, const char *name, const char *site)
{
    pi_line_add(line, "task %llu (", id);
    pi_line_add_name(line, name);
    pi_line_add(line, ", spawned at ");
    pi_line_add_site(line, site);
}

/* errno is read where it was written, in a function of its own. */
__attribute__((noinline)) int pi_line_write(pi_line *line, int fd)
{
    const char *at = line->text;
    size_t left = line->length + 1;
    line->text[line->length] = '\n'; /* over the zero, or where it would stand */
    line->length = 0;
    while (left > 0) {
        ssize_t done = write(fd, at, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        at += done;
        left -= (size_t)done;
    }
    return 0;
}
