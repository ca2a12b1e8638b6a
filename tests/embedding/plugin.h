/* SPDX-License-Identifier: MIT */
/* plugin.h: what plugin.c shows its host, which knows nothing of pica. */
#ifndef PICA_TESTS_EMBEDDING_PLUGIN_H
#define PICA_TESTS_EMBEDDING_PLUGIN_H

/** Make an executor. @return it, or NULL */
void *plugin_open(void);

/** Let it do some work for any thread. @return n + 1, or negative */
int plugin_ask(void *plugin, int n);

/** Shut down what plugin_open() made, tasks that still sleep included. */
void plugin_close(void *plugin);

/** The malloc that it found. */
const char *plugin_allocator(void);

#endif
