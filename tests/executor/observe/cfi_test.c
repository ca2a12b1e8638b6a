/* SPDX-License-Identifier: MIT */
/* cfi_test.c: each instruction of call-frame programs does what it is for; and entries that are
 * cut, changed or nonsense give no row or some row, and nothing outside of them is read: they lie
 * in memory that is as long as they are, for AddressSanitizer. */
#include "executor/observe/cfi.h"
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>

/* --- Entries, made by hand ------------------------------------------------------------------ */

#define PC 0x1000u
#define SIZE 0x100u /* of the function at PC */

struct bytes {
    size_t length;
    uint8_t at[300];
};

static void put(struct bytes *b, const void *from, size_t n)
{
    CHECK_FATAL(b->length + n <= sizeof(b->at));
    if (n > 0)
        memcpy(b->at + b->length, from, n);
    b->length += n;
}

static void put_number(struct bytes *b, uint64_t value, size_t n)
{
    put(b, &value, n);
}

/* @return where its length lies */
static size_t begin_entry(struct bytes *b)
{
    put_number(b, 0, 4);
    return b->length - 4;
}

static void end_entry(struct bytes *b, size_t begun)
{
    uint32_t length = (uint32_t)(b->length - begun - 4);
    memcpy(b->at + begun, &length, 4);
}

/* How a CIE may look. */
struct shape {
    unsigned version;
    const char *letters;
    const uint8_t *data; /* of the augmentation, without their length */
    size_t data_length;
    unsigned address_bytes; /* in the FDE; they are absolute */
};

static const uint8_t udata4[] = {0x03};
static const struct shape usual = {1, "zR", udata4, 1, 4};

#define CODE_ALIGN 4
#define DATA_ALIGN -8
#define RETURN_REGISTER 16

/* A CIE that puts the CFA at register 7 + 8 and the return address below it, and an FDE with a
 * program. @return where the FDE begins */
static size_t entries(struct bytes *b, const struct shape *shape, const uint8_t *program, size_t n)
{
    static const uint8_t initial[] = {0x0c, 7, 8, 0x80 | RETURN_REGISTER, 1, 0, 0};
    b->length = 0;
    size_t cie = begin_entry(b);
    put_number(b, 0, 4);
    put_number(b, shape->version, 1);
    put(b, shape->letters, strlen(shape->letters) + 1);
    put_number(b, CODE_ALIGN, 1);
    put_number(b, DATA_ALIGN & 0x7f, 1);
    put_number(b, RETURN_REGISTER, 1);
    if (*shape->letters == 'z') {
        put_number(b, shape->data_length, 1);
        put(b, shape->data, shape->data_length);
    }
    put(b, initial, sizeof(initial));
    end_entry(b, cie);
    size_t fde = begin_entry(b);
    put_number(b, b->length - cie, 4);
    put_number(b, PC, shape->address_bytes);
    put_number(b, SIZE, shape->address_bytes);
    if (*shape->letters == 'z')
        put_number(b, 0x171702, 3); /* two bytes of data, which are no instructions */
    put(b, program, n);
    end_entry(b, fde);
    return fde;
}

/* The row, read from memory that ends where the bytes do. */
static bool row_of(const struct bytes *b, size_t fde, uintptr_t pc, pi_row *row)
{
    uint8_t *exact = malloc(b->length + !b->length);
    CHECK_FATAL(exact != NULL);
    memcpy(exact, b->at, b->length);
    bool found = pi_cfi_row(exact + fde, exact, exact + b->length, pc, row);
    free(exact);
    return found;
}

/* --- Each instruction ------------------------------------------------------------------------- */

#define UNTOUCHED {PI_RULE_SAME, 0, 0}
#define CFA_UNTOUCHED {PI_RULE_MOVED, 7, 8}
#define MAX_PROGRAM 24

static const struct instruction {
    const char *name;
    uint8_t program[MAX_PROGRAM];
    unsigned length;
    unsigned number; /* of the register whose rule is looked at */
    pi_rule rule, cfa;
} instructions[] = {
    {"nop", {0}, 1, 3, UNTOUCHED, CFA_UNTOUCHED},
    {"offset", {0x80 | 3, 2}, 2, 3, {PI_RULE_SAVED, 0, -16}, CFA_UNTOUCHED},
    {"offset, a long number", {0x80 | 3, 0x80, 1}, 3, 3, {PI_RULE_SAVED, 0, -1024}, CFA_UNTOUCHED},
    {"offset_extended", {0x05, 3, 2}, 3, 3, {PI_RULE_SAVED, 0, -16}, CFA_UNTOUCHED},
    {"offset_extended_sf", {0x11, 3, 0x7e}, 3, 3, {PI_RULE_SAVED, 0, 16}, CFA_UNTOUCHED},
    {"restore", {0x80 | 3, 2, 0xc0 | 3}, 3, 3, UNTOUCHED, CFA_UNTOUCHED},
    {"restore, what the CIE says",
     {0x07, RETURN_REGISTER, 0xc0 | RETURN_REGISTER},
     3,
     RETURN_REGISTER,
     {PI_RULE_SAVED, 0, -8},
     CFA_UNTOUCHED},
    {"restore_extended", {0x80 | 3, 2, 0x06, 3}, 4, 3, UNTOUCHED, CFA_UNTOUCHED},
    {"undefined", {0x07, 3}, 2, 3, {PI_RULE_UNDEFINED, 0, 0}, CFA_UNTOUCHED},
    {"same_value", {0x80 | 3, 2, 0x08, 3}, 4, 3, UNTOUCHED, CFA_UNTOUCHED},
    {"register", {0x09, 3, 12}, 3, 3, {PI_RULE_MOVED, 12, 0}, CFA_UNTOUCHED},
    {"register, a vector", {0x09, 3, 40}, 3, 3, {PI_RULE_UNDEFINED, 0, 0}, CFA_UNTOUCHED},
    {"of a vector", {0x80 | 40, 2, 0x07, 40}, 4, 40 - 33, UNTOUCHED, CFA_UNTOUCHED},
    {"remember_state, restore_state",
     {0x80 | 3, 1, 0x0a, 0x80 | 3, 2, 0x0e, 99, 0x0b},
     8,
     3,
     {PI_RULE_SAVED, 0, -8},
     CFA_UNTOUCHED},
    {"two remembered",
     {0x0a, 0x80 | 3, 1, 0x0a, 0x80 | 3, 2, 0x0b, 0x0b},
     8,
     3,
     UNTOUCHED,
     CFA_UNTOUCHED},
    {"def_cfa", {0x0c, 6, 32}, 3, 3, UNTOUCHED, {PI_RULE_MOVED, 6, 32}},
    {"def_cfa_sf", {0x12, 6, 0x7e}, 3, 3, UNTOUCHED, {PI_RULE_MOVED, 6, 16}},
    {"def_cfa_register", {0x0d, 6}, 2, 3, UNTOUCHED, {PI_RULE_MOVED, 6, 8}},
    {"def_cfa_offset", {0x0e, 48}, 2, 3, UNTOUCHED, {PI_RULE_MOVED, 7, 48}},
    {"def_cfa_offset_sf", {0x13, 0x7d}, 2, 3, UNTOUCHED, {PI_RULE_MOVED, 7, 24}},
    {"def_cfa_expression", {0x0f, 2, 0x76, 16, 0}, 5, 3, UNTOUCHED, {PI_RULE_MOVED, 6, 16}},
    {"def_cfa_expression, what lies there",
     {0x0f, 3, 0x76, 0x78, 0x06},
     5,
     3,
     UNTOUCHED,
     {PI_RULE_SAVED_AT, 6, -8}},
    {"expression", {0x10, 3, 2, 0x76, 0x70}, 5, 3, {PI_RULE_SAVED_AT, 6, -16}, CFA_UNTOUCHED},
    {"expression, not understood",
     {0x10, 3, 3, 0x76, 0x70, 0x22, 0x80 | 4, 1},
     8,
     3,
     {PI_RULE_UNDEFINED, 0, 0},
     CFA_UNTOUCHED},
    {"val_offset", {0x14, 3, 2}, 3, 3, {PI_RULE_VALUE, 0, -16}, CFA_UNTOUCHED},
    {"val_offset_sf", {0x15, 3, 0x7e}, 3, 3, {PI_RULE_VALUE, 0, 16}, CFA_UNTOUCHED},
    {"val_expression", {0x16, 3, 2, 0x76, 0}, 5, 3, {PI_RULE_UNDEFINED, 0, 0}, CFA_UNTOUCHED},
    {"negate_ra_state", {0x2d, 0x80 | 3, 2}, 3, 3, {PI_RULE_SAVED, 0, -16}, CFA_UNTOUCHED},
    {"args_size", {0x2e, 0x3f, 0x80 | 3, 2}, 4, 3, {PI_RULE_SAVED, 0, -16}, CFA_UNTOUCHED},
    {"another function's register", {0x80 | 4, 2}, 2, 3, UNTOUCHED, CFA_UNTOUCHED},
};

static bool is(pi_rule a, pi_rule b)
{
    bool has_other = a.kind == PI_RULE_MOVED || a.kind == PI_RULE_SAVED_AT;
    return a.kind == b.kind && a.offset == b.offset && (!has_other || a.other == b.other);
}

static void each_instruction(void)
{
    struct bytes b;
    pi_row row;
    for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
        const struct instruction *in = &instructions[i];
        size_t fde = entries(&b, &usual, in->program, in->length);
        bool ok = CHECK(row_of(&b, fde, PC + SIZE - 1, &row));
        ok = ok && CHECK(is(row.rules[in->number], in->rule)) && CHECK(is(row.cfa, in->cfa));
        ok = ok && CHECK_EQ(row.return_register, RETURN_REGISTER);
        if (!ok)
            fprintf(stderr, "it was %s\n", in->name);
    }
}

/* The last row that begins at or before an instruction is its own. */
static void each_advance(void)
{
    static const struct {
        uint8_t program[12];
        unsigned length, by; /* bytes that it moves on */
    } moves[] = {
        {{0x40 | 3, 0x0e, 99}, 3, 3 * CODE_ALIGN},
        {{0x02, 40, 0x0e, 99}, 4, 40 * CODE_ALIGN},
        {{0x03, 41, 0, 0x0e, 99}, 5, 41 * CODE_ALIGN},
        {{0x04, 42, 0, 0, 0, 0x0e, 99}, 7, 42 * CODE_ALIGN},
        {{0x01, 0x24, 0x10, 0, 0, 0x0e, 99}, 7, 0x24}, /* set_loc, with the FDE's encoding */
    };
    struct bytes b;
    pi_row row;
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        size_t fde = entries(&b, &usual, moves[i].program, moves[i].length);
        CHECK(row_of(&b, fde, PC + moves[i].by - 1, &row));
        CHECK_EQ(row.cfa.offset, 8);
        CHECK(row_of(&b, fde, PC + moves[i].by, &row));
        CHECK_EQ(row.cfa.offset, 99);
    }
}

static void whose_function(void)
{
    struct bytes b;
    pi_row row;
    size_t fde = entries(&b, &usual, NULL, 0);
    CHECK(!row_of(&b, fde, PC - 1, &row));
    CHECK(row_of(&b, fde, PC, &row));
    CHECK(!row_of(&b, fde, PC + SIZE, &row));
    CHECK(!row_of(&b, fde, 0, &row));
    CHECK(!row_of(&b, 0, PC, &row)); /* a CIE is no FDE */
    CHECK(!row_of(&b, b.length, PC, &row));
    CHECK(!pi_cfi_row(b.at + fde, b.at, b.at + fde - 1, PC, &row)); /* beyond what may be read */
}

/* --- Each kind of entry ----------------------------------------------------------------------- */

static void each_shape(void)
{
    static const uint8_t personality[] = {0x03, 1, 2, 3, 4, 0x1b, 0x03};
    static const uint8_t more_data[] = {0x03, 9, 9, 9};
    const struct shape shapes[] = {
        usual,
        {3, "zR", udata4, 1, 4},
        {1, "", NULL, 0, 8},
        {1, "zRS", udata4, 1, 4},
        {1, "zRB", udata4, 1, 4},
        {1, "zR", more_data, 4, 4}, /* the length says where the program begins */
        {1, "zPLR", personality, 7, 4},
    };
    static const uint8_t saves[] = {0x80 | 3, 2};
    struct bytes b;
    pi_row row;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        size_t fde = entries(&b, &shapes[i], saves, sizeof(saves));
        CHECK(row_of(&b, fde, PC, &row));
        CHECK(is(row.rules[3], (pi_rule){PI_RULE_SAVED, 0, -16}));
    }
}

static void not_understood(void)
{
    static const struct {
        uint8_t program[8];
        unsigned length;
    } programs[] = {
        {{0x17}, 1},                  /* no such instruction */
        {{0x3f}, 1},
        {{0x0b}, 1},                  /* nothing is remembered */
        {{0x0a, 0x0a, 0x0a}, 3},      /* more than fits */
        {{0x0c, 60, 8}, 3},           /* a CFA from a vector register */
        {{0x0f, 1, 0x96}, 3},         /* an expression that is not understood */
        {{0x0f, 3, 0x76, 0, 0x22}, 5},
        {{0x0f, 4, 0x76, 0, 0x06, 0x96}, 6},
        {{0x0f, 2, 0x76, 0x80}, 4},
        {{0x0f, 0}, 2},
        {{0x0f, 9, 0x76, 0}, 4},      /* longer than its entry */
        {{0x80 | 3}, 1},              /* no operand */
        {{0x80 | 3, 0x80}, 2},        /* half of one */
        {{0x04, 1, 2}, 3},
    };
    static const uint8_t indirect[] = {0x9b}, unknown[] = {0x01, 0x03};
    const struct shape shapes[] = {
        {2, "zR", udata4, 1, 4},
        {4, "zR", udata4, 1, 4},
        {1, "zQ", udata4, 1, 8},
        {1, "eh", NULL, 0, 8},
        {1, "zR", indirect, 1, 4},
        {1, "zR", unknown, 1, 4},
        {1, "zPR", unknown, 2, 4},
        {1, "zR", NULL, 0, 8}, /* fewer data than letters */
    };
    struct bytes b;
    pi_row row;
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        size_t fde = entries(&b, &usual, programs[i].program, programs[i].length);
        if (!CHECK(!row_of(&b, fde, PC + SIZE - 1, &row)))
            fprintf(stderr, "it was program %zu\n", i);
    }
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        size_t fde = entries(&b, &shapes[i], NULL, 0);
        if (!CHECK(!row_of(&b, fde, PC, &row)))
            fprintf(stderr, "it was shape %zu\n", i);
    }
    size_t fde = entries(&b, &usual, NULL, 0);
    b.at[4] = 4; /* so what the FDE refers to is an FDE as well */
    CHECK(!row_of(&b, fde, PC, &row));
}

/* --- Nonsense --------------------------------------------------------------------------------- */

static bool names_known_registers(const pi_row *row)
{
    bool ok = row->return_register < PI_DWARF_REGISTERS && row->cfa.other < PI_DWARF_REGISTERS &&
              row->cfa.kind != PI_RULE_UNDEFINED;
    for (unsigned i = 0; i < PI_DWARF_REGISTERS; i++)
        ok &= row->rules[i].other < PI_DWARF_REGISTERS && row->rules[i].kind <= PI_RULE_MOVED;
    return ok;
}

/* Whatever is left of it at either end. */
static void cut(void)
{
    static const uint8_t program[] = {0x0e, 16, 0x80 | 6, 2, 0x0d, 6, 0x10, 3, 2, 0x76, 0x70};
    struct bytes whole, b;
    pi_row row;
    size_t fde = entries(&whole, &usual, program, sizeof(program));
    for (b = whole; b.length > 0; b.length--) {
        CHECK_EQ(row_of(&b, fde < b.length ? fde : b.length, PC, &row), b.length == whole.length);
        CHECK(!row_of(&b, b.length - 1, PC, &row));
    }
    for (size_t n = 1; n <= fde; n++) { /* then its CIE lies before what may be read */
        b.length = whole.length - n;
        memcpy(b.at, whole.at + n, b.length);
        CHECK(!row_of(&b, fde - n, PC, &row));
    }
    for (size_t n = 0; n < whole.length - fde; n++) { /* and says that it is so long */
        uint32_t length = (uint32_t)n;
        b = whole;
        memcpy(b.at + fde, &length, 4);
        if (row_of(&b, fde, PC, &row))
            CHECK(names_known_registers(&row));
    }
}

static void changed(void)
{
    check_rng rng = check_rng_make(3);
    struct bytes b;
    pi_row row;
    uint64_t understood = 0, n = check_rounds(300000);
    for (uint64_t i = 0; i < n; i++) {
        const struct instruction *in =
            &instructions[check_rng_below(&rng, sizeof(instructions) / sizeof(instructions[0]))];
        size_t fde = entries(&b, &usual, in->program, in->length);
        for (uint64_t k = check_rng_below(&rng, 4) + 1; k > 0; k--)
            b.at[check_rng_below(&rng, b.length)] = (uint8_t)check_rng_next(&rng);
        if (row_of(&b, fde, PC + check_rng_below(&rng, SIZE), &row)) {
            understood++;
            CHECK(names_known_registers(&row));
        }
    }
    CHECK_LT(0, understood);
    CHECK_LT(understood, n);
}

/* A program of random instructions, in entries that are as they should be. */
static void random_programs(void)
{
    check_rng rng = check_rng_make(4);
    struct bytes b;
    pi_row row;
    uint64_t understood = 0, n = check_rounds(300000);
    for (uint64_t i = 0; i < n; i++) {
        uint8_t program[40];
        for (size_t k = 0; k < sizeof(program); k++) {
            uint64_t kind = check_rng_below(&rng, 4);
            program[k] = (uint8_t)(kind == 0   ? check_rng_below(&rng, 0x17)
                                   : kind == 1 ? check_rng_below(&rng, 33)
                                   : kind == 2 ? 0x70 + check_rng_below(&rng, 32)
                                               : check_rng_next(&rng));
        }
        size_t fde = entries(&b, &usual, program, check_rng_below(&rng, sizeof(program)));
        if (row_of(&b, fde, PC + check_rng_below(&rng, SIZE), &row)) {
            understood++;
            CHECK(names_known_registers(&row));
        }
    }
    CHECK_LT(0, understood);
    CHECK_LT(understood, n);
}

CHECK_MAIN
{
    check_plain("each instruction", each_instruction);
    check_plain("each advance", each_advance);
    check_plain("whose function", whose_function);
    check_plain("each shape", each_shape);
    check_plain("not understood", not_understood);
    check_plain("cut", cut);
    check_plain("changed", changed);
    check_plain("random programs", random_programs);
}
