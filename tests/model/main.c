/* SPDX-License-Identifier: MIT */
/* main.c: a program that is made of two lists, of tests and of reasons; see model.h. */
#include "model.h"

int main(int argc, char **argv)
{
    unsigned n_tests = 0, n_reasons = 0;
    while (model_tests[n_tests].name)
        n_tests++;
    while (model_reasons[n_reasons].where)
        n_reasons++;
    return model_main(argc, argv, model_tests, n_tests, model_reasons, n_reasons);
}
