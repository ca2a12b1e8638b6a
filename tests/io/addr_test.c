/* SPDX-License-Identifier: MIT */
/* addr_test.c: addresses as text, both ways. */
#include "tests/check.h"

#include <netinet/in.h>
#include <pica/net.h>

static void reads_to(const char *text, uint16_t port, const char *expected)
{
    pica_addr addr;
    char back[PICA_ADDR_TEXT];
    if (!CHECK_OK(pica_addr_parse(&addr, text, port)))
        return;
    int n = pica_addr_format(&addr, back, sizeof(back));
    CHECK_EQ(n, strlen(expected));
    CHECK_STR(back, expected);
}

static void good_ones(void)
{
    reads_to("1.2.3.4", 7, "1.2.3.4:7");
    reads_to("1.2.3.4:80", 7, "1.2.3.4:80");
    reads_to("255.255.255.255:65535", 0, "255.255.255.255:65535");
    reads_to("0.0.0.0:0", 9, "0.0.0.0:0");
    reads_to("::1", 9, "[::1]:9");
    reads_to("::", 9, "[::]:9");
    reads_to("[::1]", 9, "[::1]:9");
    reads_to("[::1]:80", 9, "[::1]:80");
    reads_to("fe80::1%2", 80, "[fe80::1%2]:80");
    reads_to("[fe80::1%4294967295]:80", 0, "[fe80::1%4294967295]:80");
    reads_to("2001:db8:0:0:0:0:0:1", 1, "[2001:db8::1]:1");
    reads_to("::ffff:1.2.3.4", 5, "[::ffff:1.2.3.4]:5");
    reads_to("*", 80, "[::]:80");
    reads_to("*:81", 80, "[::]:81");
}

static void bad_ones(void)
{
    static const char *const texts[] = {
        "",
        ":",
        ":80",
        "1.2.3",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:100000",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4: 1",
        "1.2.3.4:1 ",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.256",
        "01.2.3.4.5",
        "localhost",
        "localhost:80",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:65536",
        "[]",
        "[]:80",
        "[*]:80",
        "[::1]:80:80",
        "[[::1]]:80",
        ":::",
        "1:2",
        "12345::",
        "1:2:3:4:5:6:7:8:9",
        "fe80::1%",
        "fe80::1%0",
        "fe80::1%eth0",
        "fe80::1%4294967296",
        "fe80::1%-2",
        "fe80::1%2%3",
        "**",
        "*:",
        "*:x",
        "%2",
        "1.2.3.4%2",
        "1.2.3.4:0x50",
        "0x1.2.3.4",
        "1111:2222:3333:4444:5555:6666:7777:8888%11111111111111111111111111111111111111"};
    pica_addr addr;
    memset(&addr, 0x5a, sizeof(addr));
    const pica_addr before = addr;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (pica_addr_parse(&addr, texts[i], 80) != -EINVAL)
            check_fail(__FILE__, __LINE__, "\"%s\" was taken for an address", texts[i]);
    CHECK_MEM(&addr, &before, sizeof(addr));
    CHECK_EQ(pica_addr_parse(NULL, "::1", 0), -EINVAL);
    CHECK_EQ(pica_addr_parse(&addr, NULL, 0), -EINVAL);
}

static void room(void)
{
    pica_addr addr;
    char text[PICA_ADDR_TEXT];
    CHECK_OK(pica_addr_parse(&addr, "1111:2222:3333:4444:5555:6666:7777:8888%4294967295", 65535));
    int n = pica_addr_format(&addr, text, sizeof(text));
    CHECK_OK(n);
    CHECK_EQ(pica_addr_format(&addr, text, (size_t)n + 1), n);
    memset(text, 'x', sizeof(text));
    CHECK_EQ(pica_addr_format(&addr, text, (size_t)n), -ENOSPC);
    CHECK_EQ(text[0], 'x');
    CHECK_EQ(pica_addr_format(&addr, NULL, 0), -ENOSPC);
    CHECK_EQ(pica_addr_format(&addr, NULL, 1), -EINVAL);
    CHECK_EQ(pica_addr_format(NULL, text, sizeof(text)), -EINVAL);
    addr.storage.ss_family = AF_UNIX;
    CHECK_EQ(pica_addr_format(&addr, text, sizeof(text)), -EAFNOSUPPORT);
    CHECK_EQ(pica_addr_port(&addr), 0);
}

static void ports(void)
{
    pica_addr addr;
    CHECK_OK(pica_addr_parse(&addr, "1.2.3.4:258", 0));
    CHECK_EQ(pica_addr_port(&addr), 258);
    CHECK_EQ(addr.length, sizeof(struct sockaddr_in));
    CHECK_OK(pica_addr_parse(&addr, "::1", 513));
    CHECK_EQ(pica_addr_port(&addr), 513);
    CHECK_EQ(addr.length, sizeof(struct sockaddr_in6));
    CHECK_EQ(pica_addr_port(NULL), 0);
}

CHECK_MAIN
{
    check_plain("what reads as an address", good_ones);
    check_plain("what does not", bad_ones);
    check_plain("room for the text", room);
    check_plain("ports", ports);
}
