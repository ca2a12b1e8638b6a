/* SPDX-License-Identifier: MIT */
/* json.h: find a value in a JSON text by its path.
 *
 *     double p99 = pb_json_number(text, "acts.1.p99_ns", -1);
 *
 * A path names keys and, in arrays, positions. Nothing is copied or allocated; texts are
 * those that the programs in perf/ wrote themselves, read again and again from the start.
 */
#ifndef PB_JSON_H
#define PB_JSON_H

#include <stdbool.h>
#include <stddef.h>

/** The value's first character, or NULL if there is no such path or the text is broken. */
const char *pb_json_find(const char *text, const char *path);

/** The number at a path, or `otherwise`. */
double pb_json_number(const char *text, const char *path, double otherwise);

/** Copy the string at a path, shortened to the room there is. @return false: no string */
bool pb_json_string(const char *text, const char *path, char *out, size_t size);

/** How many members the array at a path has; 0 for anything else. */
size_t pb_json_length(const char *text, const char *path);

#endif
