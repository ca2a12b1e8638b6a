/* SPDX-License-Identifier: MIT */
/* main.c: the smallest program that a stranger builds on pica; also compiled as C++.
 *
 *     main ALLOCATOR    exits with 0 if it works and this is the malloc that pica has found */
#include <pica/pica.h>
#include <stdio.h>
#include <string.h>

/* What each struct of options begins with is a whole initializer, in C and in C++. */
static int begins(void)
{
    pica_options executor = PICA_OPTIONS_INIT;
    pica_attr attr = PICA_ATTR_INIT;
    pica_group_options group = PICA_GROUP_OPTIONS_INIT;
    pica_listen_options listener = PICA_LISTEN_OPTIONS_INIT;
    pica_http_options http = PICA_HTTP_OPTIONS_INIT;
    pica_sem sem = PICA_SEM_INIT(1);
    return executor.size == sizeof executor && attr.size == sizeof attr &&
           group.size == sizeof group && listener.size == sizeof listener &&
           http.size == sizeof http && pica_sem_value(&sem) == 1;
}

static intptr_t twice(void *arg)
{
    return *(int *)arg * 2;
}

static intptr_t main_task(void *arg)
{
    int n = 21;
    intptr_t value = 0;
    pica_task *task;
    if (pica_version() != PICA_VERSION || !begins())
        return 3;
    if (pica_spawn(&task, twice, &n) < 0 || pica_await(task, &value) < 0)
        return 1;
    pica_unref(task);
    return value == 42 && !strcmp((const char *)arg, pica_allocator()) ? 0 : 2;
}

int main(int argc, char **argv)
{
    return argc == 2 ? (int)pica_run(main_task, argv[1], NULL) : 4;
}
