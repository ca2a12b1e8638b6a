/* SPDX-License-Identifier: MIT */
/* process.h: start the servers and the load generator, each a process of its own.
 *
 * Programs are found beside the one that runs. A child dies with its parent. Descriptors 0
 * to 2 are inherited; beside them a server gets its control line and a generator gets the
 * asking end of the server's, both as number 3.
 */
#ifndef PB_PROCESS_H
#define PB_PROCESS_H

#include <stdio.h>
#include <sys/types.h>

typedef struct pb_process {
    pid_t pid;
    int control; /* asking end of its control line, or -1 */
    FILE *out;   /* its standard output, or NULL */
    int port;    /* where a server listens */
} pb_process;

/** The descriptor at which a child finds its control line. */
#define PB_CONTROL_FD 3

/**
 * Start a server and wait until it listens.
 *
 * @param argv  its program's name, options; `--control 3` is added by the caller
 * @param cpu   the one CPU it may use, or -1
 * @return 0; a negative code, after a line on stderr
 */
int pb_server_start(pb_process *p, char *const argv[], int cpu);

/** Start a program whose standard output is read through p->out.
 *  @param control  a descriptor it inherits as PB_CONTROL_FD, or -1 */
int pb_program_start(pb_process *p, char *const argv[], int cpu, int control);

/** Ask it to end (SIGTERM), and wait for it; after ten seconds kill it.
 *  @return its exit code, 128 + signal where one ended it; 0 if it never ran */
int pb_process_stop(pb_process *p);

/** Wait for its end. @return as pb_process_stop() */
int pb_process_wait(pb_process *p);

/** CPUs that this process may use. */
unsigned pb_cpus(void);

/** The nth of them, or -1 where there are not two: then nothing is worth pinning. */
int pb_cpu_nth(unsigned n);

/** Let the calling thread run on one CPU alone; -1: change nothing. */
void pb_pin(int cpu);

/** Allow as many descriptors as the system lets one have. */
void pb_raise_descriptors(void);

#endif
