/* SPDX-License-Identifier: MIT */
/** @file
 * The version of the headers. pica_version() tells that of the library. */
#ifndef PICA_VERSION_H
#define PICA_VERSION_H

#define PICA_VERSION_MAJOR 0
#define PICA_VERSION_MINOR 1
#define PICA_VERSION_PATCH 0
#define PICA_VERSION_STRING "0.1.0"

/** One number to compare: 0x00MMmmpp. */
#define PICA_VERSION ((PICA_VERSION_MAJOR << 16) | (PICA_VERSION_MINOR << 8) | PICA_VERSION_PATCH)

#endif
