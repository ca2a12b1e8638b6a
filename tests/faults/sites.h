/* SPDX-License-Identifier: MIT */
/* sites.h: every place where the library calls something that may fail, and what is made to
 * fail there.
 *
 *   site  a call instruction of the library to a function that fails (calls.list). Where it stands
 *         in one of the library's doors (pi_sys_..., pi_malloc and its like, pi_futex_...,
 *         pi_thread_start), each call of the door is a site of its own.
 *
 * The sites are found by a disassembly of this very program (sites.sh), so none can be forgotten;
 * the return addresses on the stack tell them apart. For that the library is compiled once more,
 * without inlining and tail calls and with frame pointers, and its calls are led to the stand-ins
 * of calls.c by renaming them in its objects; the tests' own calls are not touched.
 *
 * What is counted lies in memory that is shared with child processes. */
#ifndef PICA_TESTS_FAULTS_SITES_H
#define PICA_TESTS_FAULTS_SITES_H

#include <stdbool.h>
#include <stdint.h>

#define SITES_MAX 1024
#define SITES_ERRNOS 160
#define SITES_ARMS 2

/** Read what sites.sh wrote. Once, before all else. @return how many sites there are */
unsigned sites_open(const char *path);

/** "pica_read", "pi_sys_recv" or "" without a door, "recv", and which of several such ones */
const char *site_function(unsigned site);
const char *site_door(unsigned site);
const char *site_call(unsigned site);
unsigned site_ordinal(unsigned site);

/** Forget what has been met and arm nothing. */
void sites_reset(void);
/** Let the k-th call at a site fail, and then each j-th one after it; j 0: none. */
void sites_arm(unsigned arm, unsigned site, int error, uint64_t k, uint64_t j);
/** Ask this function at each site, instead of the arms: 0, or the errno to fail with. */
void sites_ask(int (*choose)(unsigned site));
/** How often the site of an arm was reached, how often it failed, since sites_arm(). */
uint64_t sites_met(unsigned arm);
uint64_t sites_failed(unsigned arm);
/** How often a site was reached since sites_reset(). */
uint64_t site_reached(unsigned site);
/** Did a site ever fail so by itself? */
bool site_failed_by_itself(unsigned site, int error);

/** The error that is made to happen came out of the library; how often since sites_reset(). */
void sites_tell(void);
uint64_t sites_told(void);

/** What the library holds in this process: blocks of memory, mappings. */
long sites_blocks(void);
long sites_mappings(void);

/* --- For calls.c ------------------------------------------------------------------------- */

/** The site of a stand-in's caller. @param frame  __builtin_frame_address(0) of the stand-in */
unsigned sites_here(void *frame);
/** @return 0, or the errno to fail with */
int sites_meet(unsigned site);
void sites_note(unsigned site, int error);
void sites_count_block(long n);
void sites_count_mapping(long n);

#endif
