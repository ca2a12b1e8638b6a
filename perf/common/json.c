/* SPDX-License-Identifier: MIT */
/* json.c: see json.h. Every function takes and returns a place in the text; NULL means that
 * the text is broken and is passed through. */
#include "perf/common/json.h"

#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static const char *skip_string(const char *s)
{
    for (s++; *s != '"'; s++) {
        if (*s == '\\')
            s++;
        if (*s == 0)
            return NULL;
    }
    return s + 1;
}

/* Past a value: brackets are counted, what stands in strings is not. */
static const char *skip_value(const char *s)
{
    int depth = 0;
    s = skip_space(s);
    do {
        if (*s == 0)
            return NULL;
        if (*s == '"') {
            s = skip_string(s);
            if (s == NULL)
                return NULL;
            continue;
        }
        if (*s == '{' || *s == '[')
            depth++;
        else if (*s == '}' || *s == ']')
            depth--;
        s++;
        if (depth == 0 && s[-1] != '}' && s[-1] != ']')
            s += strcspn(s, ",}] \t\r\n");
    } while (depth > 0);
    return skip_space(s);
}

static const char *member(const char *s, const char *key, size_t n)
{
    if (*s != '{')
        return NULL;
    for (s = skip_space(s + 1); *s == '"'; s = skip_space(s + 1)) {
        const char *name = s + 1;
        s = skip_string(s);
        if (s == NULL)
            return NULL;
        bool same = (size_t)(s - 1 - name) == n && memcmp(name, key, n) == 0;
        s = skip_space(s);
        if (*s != ':')
            return NULL;
        s = skip_space(s + 1);
        if (same)
            return s;
        s = skip_value(s);
        if (s == NULL || *s != ',')
            return NULL;
    }
    return NULL;
}

static const char *element(const char *s, size_t index)
{
    if (*s != '[')
        return NULL;
    s = skip_space(s + 1);
    for (; *s != ']' && index > 0; index--) {
        s = skip_value(s);
        if (s == NULL || *s != ',')
            return NULL;
        s = skip_space(s + 1);
    }
    return *s == ']' ? NULL : s;
}

const char *pb_json_find(const char *text, const char *path)
{
    const char *s = skip_space(text);
    while (s != NULL && *path != 0) {
        size_t n = strcspn(path, ".");
        s = *s == '[' ? element(s, strtoul(path, NULL, 10)) : member(s, path, n);
        path += n;
        if (*path == '.')
            path++;
    }
    return s;
}

double pb_json_number(const char *text, const char *path, double otherwise)
{
    const char *s = pb_json_find(text, path);
    if (s == NULL)
        return otherwise;
    char *end;
    double v = strtod(s, &end);
    return end == s ? otherwise : v;
}

bool pb_json_string(const char *text, const char *path, char *out, size_t size)
{
    const char *s = pb_json_find(text, path);
    if (s == NULL || *s != '"' || size == 0)
        return false;
    size_t used = 0;
    for (s++; *s != '"' && *s != 0 && used + 1 < size; s++) {
        if (*s == '\\' && s[1] != 0)
            s++;
        out[used++] = *s;
    }
    out[used] = 0;
    return true;
}

size_t pb_json_length(const char *text, const char *path)
{
    const char *s = pb_json_find(text, path);
    if (s == NULL || *s != '[')
        return 0;
    size_t n = 0;
    for (s = skip_space(s + 1); *s != ']'; n++) {
        s = skip_value(s);
        if (s == NULL)
            return n;
        if (*s == ',')
            s = skip_space(s + 1);
    }
    return n;
}
