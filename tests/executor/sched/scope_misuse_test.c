/* SPDX-License-Identifier: MIT */
/* scope_misuse_test.c: a scope that is begun, ended or moved where it may not be is said, and the
 * process ends (pica/scope.h). */
#include "tests/executor/bodies.h"
#include "tests/executor/death.h"

#include <pica/scope.h>

static intptr_t ends_the_outer_first(void *arg)
{
    pica_scope outer, inner;
    (void)arg;
    pica_scope_begin(&outer, PICA_NEVER);
    pica_scope_begin(&inner, PICA_NEVER);
    return pica_scope_end(&outer, 0);
}

static pica_scope left_open;

static intptr_t returns_inside(void *arg)
{
    (void)arg;
    pica_scope_begin(&left_open, PICA_NEVER);
    return 0;
}

static intptr_t begins_without_end(void *arg)
{
    enum { MANY = 70000 };
    static pica_scope scopes[MANY];
    (void)arg;
    for (unsigned i = 0; i < MANY; i++)
        pica_scope_begin(&scopes[i], PICA_NEVER);
    return 0;
}

static void begins_on_a_thread(void *arg)
{
    pica_scope_begin(arg, PICA_NEVER);
}

static intptr_t begins_it_twice(void *arg)
{
    pica_scope scope;
    (void)arg;
    pica_scope_begin(&scope, PICA_NEVER);
    pica_scope_begin(&scope, PICA_NEVER);
    return 0;
}

static intptr_t ends_it_twice(void *arg)
{
    pica_scope scope;
    (void)arg;
    pica_scope_begin(&scope, PICA_NEVER);
    intptr_t rc = pica_scope_end(&scope, 0);
    return rc + pica_scope_end(&scope, 0);
}

static intptr_t reschedules_an_ended_one(void *arg)
{
    pica_scope scope;
    (void)arg;
    pica_scope_begin(&scope, PICA_NEVER);
    CHECK_EQ(pica_scope_end(&scope, 0), 0);
    return pica_scope_reschedule(&scope, pica_after(PICA_SEC(1)));
}

static intptr_t reschedules(void *arg)
{
    return pica_scope_reschedule(arg, pica_after(PICA_SEC(1)));
}

static intptr_t lets_a_child_reschedule(void *arg)
{
    pica_scope scope;
    (void)arg;
    pica_scope_begin(&scope, PICA_NEVER);
    (void)body_end(body_spawn(reschedules, &scope));
    return pica_scope_end(&scope, 0);
}

static intptr_t begins_none(void *arg)
{
    pica_scope_begin(arg, PICA_NEVER);
    return 0;
}

static void misuse(void)
{
    death_says_in_task(ends_the_outer_first, "not the innermost");
    death_says_in_task(begins_it_twice, "begun again");
    death_says_in_task(ends_it_twice, "not the innermost");
    death_says_in_task(reschedules_an_ended_one, "has not open");
    death_says_in_task(lets_a_child_reschedule, "has not open");
    death_says_in_task(begins_none, "is NULL");
    death_says_in_task(returns_inside, "inside a scope");
    death_says_in_task(begins_without_end, "too many scopes");
    death_says(begins_on_a_thread, &left_open, "outside of a task");
}

CHECK_MAIN
{
    check_plain("misuse", misuse);
}
