/* SPDX-License-Identifier: MIT */
/* addr.c: numeric socket addresses as text, both ways. No resolver, no locale, nothing
 * guessed: what does not read as one whole address is -EINVAL. */
#include <pica/net.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A decimal number of at most `most`, to the end of the text; no sign, no space, and no
 * more digits than `most` has. */
static bool parse_number(const char *text, uint32_t most, size_t digits, uint32_t *out)
{
    size_t n = strlen(text);
    if (n == 0 || n > digits)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > most)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_port(const char *text, uint16_t *out)
{
    uint32_t value;
    if (!parse_number(text, UINT16_MAX, 5, &value))
        return false;
    *out = (uint16_t)value;
    return true;
}

static void set_v4(pica_addr *out, struct in_addr host, uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host};
    memset(out, 0, sizeof(*out));
    memcpy(&out->storage, &sa, sizeof(sa));
    out->length = sizeof(sa);
}

static void set_v6(pica_addr *out, const struct in6_addr *host, uint32_t zone, uint16_t port)
{
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6,
                              .sin6_port = htons(port),
                              .sin6_addr = *host,
                              .sin6_scope_id = zone};
    memset(out, 0, sizeof(*out));
    memcpy(&out->storage, &sa, sizeof(sa));
    out->length = sizeof(sa);
}

/* "::1" or "fe80::1%2"; `host` is the caller's to cut up. */
static bool parse_v6(char *host, struct in6_addr *out, uint32_t *zone)
{
    *zone = 0;
    char *percent = strchr(host, '%');
    if (percent) {
        *percent = 0;
        if (!parse_number(percent + 1, UINT32_MAX, 10, zone) || *zone == 0)
            return false;
    }
    return inet_pton(AF_INET6, host, out) == 1;
}

int pica_addr_parse(pica_addr *out, const char *text, uint16_t port)
{
    char host[PICA_ADDR_TEXT];
    if (!out || !text)
        return -EINVAL;
    size_t n = strlen(text);
    if (n >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, n + 1);

    /* Cut the port off: after a bracket, or after the only colon. */
    char *name = host;
    char *colon = strrchr(host, ':');
    bool bracketed = host[0] == '[';
    if (bracketed) {
        char *end = strchr(host, ']');
        if (!end || (end[1] != 0 && end[1] != ':'))
            return -EINVAL;
        colon = end[1] ? end + 1 : NULL;
        *end = 0;
        name = host + 1;
    } else if (colon && strchr(host, ':') != colon) {
        colon = NULL; /* an IPv6 address without brackets names no port */
    }
    if (colon) {
        *colon = 0;
        if (!parse_port(colon + 1, &port))
            return -EINVAL;
    }

    struct in_addr v4;
    struct in6_addr v6;
    uint32_t zone;
    if (!bracketed && strcmp(name, "*") == 0)
        set_v6(out, &in6addr_any, 0, port);
    else if (!bracketed && inet_pton(AF_INET, name, &v4) == 1)
        set_v4(out, v4, port);
    else if ((bracketed || !colon) && parse_v6(name, &v6, &zone))
        set_v6(out, &v6, zone, port);
    else
        return -EINVAL;
    return 0;
}

int pica_addr_format(const pica_addr *addr, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    char zone[16] = "";
    char whole[PICA_ADDR_TEXT];
    int n;
    if (!addr || (!text && size))
        return -EINVAL;
    if (addr->storage.ss_family == AF_INET) {
        struct sockaddr_in sa;
        memcpy(&sa, &addr->storage, sizeof(sa));
        if (!inet_ntop(AF_INET, &sa.sin_addr, host, sizeof(host)))
            return -EINVAL;
        n = snprintf(whole, sizeof(whole), "%s:%u", host, (unsigned)ntohs(sa.sin_port));
    } else if (addr->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 sa;
        memcpy(&sa, &addr->storage, sizeof(sa));
        if (!inet_ntop(AF_INET6, &sa.sin6_addr, host, sizeof(host)))
            return -EINVAL;
        if (sa.sin6_scope_id)
            (void)snprintf(zone, sizeof(zone), "%%%u", (unsigned)sa.sin6_scope_id);
        n = snprintf(whole, sizeof(whole), "[%s%s]:%u", host, zone, (unsigned)ntohs(sa.sin6_port));
    } else {
        return -EAFNOSUPPORT;
    }
    if ((size_t)n >= size)
        return -ENOSPC;
    memcpy(text, whole, (size_t)n + 1);
    return n;
}

uint16_t pica_addr_port(const pica_addr *addr)
{
    if (addr && addr->storage.ss_family == AF_INET) {
        struct sockaddr_in sa;
        memcpy(&sa, &addr->storage, sizeof(sa));
        return ntohs(sa.sin_port);
    }
    if (addr && addr->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 sa;
        memcpy(&sa, &addr->storage, sizeof(sa));
        return ntohs(sa.sin6_port);
    }
    return 0;
}
