/* SPDX-License-Identifier: MIT */
/* line_test.c: a line is written whole if it fits and cut if it does not, and always ends. */
#include "executor/base/line.h"
#include "tests/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int new_file(void)
{
    int fd = memfd_create("line", MFD_CLOEXEC);
    CHECK_FATAL(fd >= 0);
    return fd;
}

/* What has been written so far. @return static storage */
static const char *written(int fd)
{
    static char text[4 * PI_LINE_MAX];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    CHECK_FATAL(n >= 0);
    text[n] = 0;
    return text;
}

static void pieces(void)
{
    int fd = new_file();
    pi_line line;
    pi_line_begin(&line);
    CHECK_OK(pi_line_write(&line, fd)); /* an empty one */
    pi_line_add(&line, "%d and ", 1);
    pi_line_add_name(&line, "two");
    pi_line_add_site(&line, " at a/b.c:3");
    CHECK_OK(pi_line_write(&line, fd));
    pi_line_add(&line, "the next");
    CHECK_OK(pi_line_write(&line, fd));
    CHECK_STR(written(fd), "\n1 and two at a/b.c:3\nthe next\n");
    close(fd);
}

/* Names are the user's, who may have them from anywhere. */
static void names_are_text(void)
{
    int fd = new_file();
    pi_line line;
    pi_line_begin(&line);
    pi_line_add_task(&line, 7, "two\nlines \033[2J\x7f\xc3\xa4\t", "a\r/b.c:3");
    CHECK_OK(pi_line_write(&line, fd));
    CHECK_STR(written(fd), "task 7 (two?lines ?[2J?\xc3\xa4?, spawned at a?/b.c:3\n");
    close(fd);
}

/* Around the limit: so many bytes and a newline, whatever is added. */
static void cut(void)
{
    char text[PI_LINE_MAX + 3], expected[PI_LINE_MAX + 1];
    for (size_t length = PI_LINE_MAX - 3; length <= PI_LINE_MAX + 2; length++) {
        int fd = new_file();
        pi_line line;
        memset(text, 'x', length);
        text[length] = 0;
        pi_line_begin(&line);
        pi_line_add(&line, "%s", text);
        for (int i = 0; i < 3; i++)
            pi_line_add(&line, "%s", length < PI_LINE_MAX - 1 ? "" : "more");
        size_t kept = length < PI_LINE_MAX - 1 ? length : PI_LINE_MAX - 1;
        memset(expected, 'x', kept);
        expected[kept] = '\n';
        CHECK_OK(pi_line_write(&line, fd));
        CHECK_EQ(strlen(written(fd)), kept + 1);
        CHECK_MEM(written(fd), expected, kept + 1);
        close(fd);
    }
}

static void long_names(void)
{
    int fd = new_file();
    char name[301];
    pi_line line;
    memset(name, 'a', 150);
    memset(name + 150, 'z', 150);
    name[300] = 0;
    pi_line_begin(&line);
    pi_line_add_name(&line, name);
    pi_line_add(&line, "|");
    pi_line_add_site(&line, name);
    CHECK_OK(pi_line_write(&line, fd));
    const char *text = written(fd);
    CHECK_EQ(strlen(text), 2 * PI_NAME_MAX + 2);
    CHECK_EQ(strspn(text, "a"), PI_NAME_MAX); /* of a name the beginning, of a path the end */
    CHECK_EQ(strspn(text + PI_NAME_MAX + 1, "z"), PI_NAME_MAX);
    close(fd);
}

static void errors(void)
{
    pi_line line;
    pi_line_begin(&line);
    pi_line_add(&line, "lost");
    CHECK_EQ(pi_line_write(&line, -1), -EBADF);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK_FATAL(full >= 0);
    pi_line_add(&line, "lost");
    CHECK_EQ(pi_line_write(&line, full), -ENOSPC);
    close(full);
    int fd = new_file();
    CHECK_OK(pi_line_write(&line, fd)); /* what was lost does not come later */
    CHECK_STR(written(fd), "\n");
    close(fd);
}

CHECK_MAIN
{
    check_plain("pieces", pieces);
    check_plain("names are text", names_are_text);
    check_plain("cut", cut);
    check_plain("long names", long_names);
    check_plain("errors", errors);
}
