/* SPDX-License-Identifier: MIT */
/* every.h: lets calls of the library fail throughout a program, as its environment says: for tests
 * that know nothing of it (every_test.c).
 *
 *   PICA_TEST_FAULT="K J SEED FROM [CALL]"
 *
 * The K-th call that may fail does, and each J-th one after it (0: none), with a code of errnos.c
 * that the SEED chooses; FROM says where counting begins, 0: with the program, 1: with the function
 * of its first case, when the executor is there. CALL: calls of that function alone count.
 * The first few hundred failures are told on stderr, by lines that begin with EVERY_LINE.
 *
 * Left out are codes that mean that something is there which is not (a connection that is none):
 * whoever is told so waits for it in vain, and rightly; and, where each call fails or the seed is
 * odd, those that mean "try again": the calls that come most often fail in no other way. */
#ifndef PICA_TESTS_FAULTS_EVERY_H
#define PICA_TESTS_FAULTS_EVERY_H

#define EVERY_LINE "fault: "

#endif
