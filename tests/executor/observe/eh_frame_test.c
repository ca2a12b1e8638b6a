/* SPDX-License-Identifier: MIT */
/* eh_frame_test.c: wherever an instruction lies, its function's entry is found by the module's
 * index, or nothing is; an index that is cut or nonsense is not read beyond its end. */
#include "executor/observe/eh_frame.h"
#include "tests/check.h"
#include "tests/executor/observe/some_code.h"

#include <stdlib.h>

/* --- An index ------------------------------------------------------------------------------- */

#define HEAD 12 /* bytes before the pairs */
#define FUNCTIONS 7

struct index {
    size_t length;
    uint8_t *at; /* as long as that, for AddressSanitizer */
};

static int32_t function_of(int32_t i)
{
    return 1000 + 100 * i;
}

static int32_t entry_of(int32_t i)
{
    return -5000 - 24 * i;
}

static struct index make(int32_t functions, uint32_t claimed)
{
    static const uint8_t head[] = {1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0};
    struct index x = {HEAD + 8 * (size_t)functions, NULL};
    x.at = malloc(x.length);
    CHECK_FATAL(x.at != NULL);
    memcpy(x.at, head, sizeof(head));
    memcpy(x.at + sizeof(head), &claimed, 4);
    for (int32_t i = 0; i < functions; i++) {
        int32_t pair[] = {function_of(i), entry_of(i)};
        memcpy(x.at + HEAD + 8 * i, pair, 8);
    }
    return x;
}

static intptr_t found(const struct index *x, intptr_t pc)
{
    uintptr_t entry = pi_eh_look_up(x->at, x->at + x->length, (uintptr_t)x->at + (uintptr_t)pc);
    return entry ? (intptr_t)(entry - (uintptr_t)x->at) : 0;
}

static void each_function(void)
{
    for (int32_t n = 0; n <= FUNCTIONS; n++) {
        struct index x = make(n, (uint32_t)n);
        CHECK_EQ(found(&x, function_of(0) - 1), 0);
        for (int32_t i = 0; i < n; i++) {
            CHECK_EQ(found(&x, function_of(i)), entry_of(i));
            CHECK_EQ(found(&x, function_of(i) + 99), entry_of(i));
        }
        CHECK_EQ(found(&x, 1 << 20), n ? entry_of(n - 1) : 0);
        free(x.at);
    }
}

static void nonsense(void)
{
    check_rng rng = check_rng_make(5);
    struct index x = make(FUNCTIONS, FUNCTIONS + 1); /* it says that there are more */
    CHECK_EQ(found(&x, 1 << 20), 0);
    free(x.at);
    x = make(FUNCTIONS, UINT32_MAX);
    CHECK_EQ(found(&x, 1 << 20), 0);
    free(x.at);
    for (unsigned i = 0; i < 4; i++) { /* another version, other encodings */
        x = make(FUNCTIONS, FUNCTIONS);
        CHECK_NE(found(&x, 1 << 20), 0);
        x.at[i] ^= 6;
        CHECK_EQ(found(&x, 1 << 20), 0);
        free(x.at);
    }
    for (size_t length = 0; length < HEAD + 8; length++) { /* cut */
        x = make(1, 1);
        x.at = realloc(x.at, length + !length);
        x.length = length;
        CHECK_EQ(found(&x, 1 << 20), 0);
        free(x.at);
    }
    for (uint64_t i = check_rounds(100000); i > 0; i--) {
        x = make(FUNCTIONS, FUNCTIONS);
        for (uint64_t k = check_rng_below(&rng, 6) + 1; k > 0; k--)
            x.at[check_rng_below(&rng, x.length)] = (uint8_t)check_rng_next(&rng);
        (void)found(&x, (intptr_t)check_rng_below(&rng, 4000));
        free(x.at);
    }
}

/* --- This process ----------------------------------------------------------------------------- */

/* Wherever in whatever library: a row or none. */
static void any_address(void)
{
    pi_row row;
    check_rng rng = check_rng_make(1);
    uint64_t rows = 0, n = check_rounds(200000);
    for (uint64_t i = 0; i < n; i++)
        rows += pi_eh_row(some_code(&rng), &row);
    CHECK_LT(n / 2, rows); /* nearly all of it comes from compilers */
    CHECK(!pi_eh_row(0, &row));
    CHECK(!pi_eh_row(UINTPTR_MAX, &row));
    CHECK(!pi_eh_row((uintptr_t)&row, &row));
    CHECK(!pi_eh_row((uintptr_t)&texts, &row));
    CHECK(pi_eh_row((uintptr_t)any_address, &row));
    CHECK_EQ(row.cfa.other, PI_DWARF_SP); /* its first instruction: nothing is saved yet */
}

CHECK_MAIN
{
    check_plain("each function", each_function);
    check_plain("nonsense", nonsense);
    check_plain("any address", any_address);
}
