/* SPDX-License-Identifier: MIT */
/* plugin.c: a shared object that keeps an executor, built once with libpica inside of it and once
 * on libpica.so. See plugin.h. */
#include "tests/embedding/plugin.h"

#include <pica/pica.h>

static intptr_t sleeps_for_ever(void *unused)
{
    (void)unused;
    return pica_sleep(PICA_NEVER);
}

static intptr_t adds_one(void *arg)
{
    int rc = pica_sleep(PICA_US(5));
    return rc < 0 ? rc : (intptr_t)arg + 1;
}

static intptr_t delegates(void *arg)
{
    pica_task *task = NULL;
    intptr_t value = 0;
    int rc = pica_spawn(&task, adds_one, arg);
    if (rc == 0)
        rc = pica_await(task, &value);
    pica_unref(task);
    return rc < 0 ? rc : value;
}

void *plugin_open(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    pica_executor *ex = NULL;
    options.workers = 2;
    options.flags = PICA_NAME_OVERFLOWS; /* its signal handler has to go as well */
    if (pica_executor_create(&ex, &options) < 0)
        return NULL;
    if (pica_executor_spawn(ex, NULL, sleeps_for_ever, NULL) < 0)
        return pica_executor_destroy(ex);
    return ex;
}

int plugin_ask(void *plugin, int n)
{
    pica_task *task = NULL;
    intptr_t value = 0;
    int rc = pica_executor_spawn(plugin, &task, delegates, (void *)(intptr_t)n);
    if (rc == 0)
        rc = pica_await(task, &value);
    pica_unref(task);
    return rc < 0 ? rc : (int)value;
}

void plugin_close(void *plugin)
{
    pica_executor_destroy(plugin);
}

const char *plugin_allocator(void)
{
    return pica_allocator();
}
