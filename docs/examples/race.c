/* SPDX-License-Identifier: MIT */
/* race.c: ask three mirrors, two at a time, and take the first answer.
 *
 * In a group with PICA_GROUP_FIRST_SUCCESS a failure cancels nobody, and the first success
 * cancels all others. The limit lets two members run; the spawn of the third waits for the
 * first failure.
 */
#include <pica/pica.h>

#include <errno.h>
#include <stdio.h>

struct mirror {
    const char *name;
    int64_t takes_ns;
    int rc;
};

static intptr_t ask(void *arg)
{
    const struct mirror *mirror = arg;
    printf("asking %s\n", mirror->name);
    int rc = pica_sleep(mirror->takes_ns);
    if (rc == -ECANCELED)
        printf("%s was too slow\n", mirror->name);
    if (rc == 0)
        rc = mirror->rc;
    return rc < 0 ? rc : (intptr_t)mirror->name;
}

static intptr_t main_task(void *arg)
{
    struct mirror mirrors[] = {
        {"Oslo", PICA_MS(100), -ECONNREFUSED},
        {"Lima", PICA_SEC(5), 0},
        {"Rome", PICA_MS(100), 0},
    };
    (void)arg;
    pica_group_options options = PICA_GROUP_OPTIONS_INIT;
    options.flags = PICA_GROUP_FIRST_SUCCESS;
    options.limit = 2;

    pica_group group;
    int rc = pica_group_begin_with(&group, &options);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = pica_group_spawn(&group, ask, &mirrors[i]);
    intptr_t answer = pica_group_end(&group, rc);

    const intptr_t *errors;
    for (size_t i = 0, n = pica_group_errors(&group, &errors); i < n; i++)
        printf("one failed: %s\n", pica_strerror(errors[i]));
    pica_group_deinit(&group);
    if (answer < 0)
        return answer;
    printf("the answer comes from %s\n", (const char *)answer);
    return 0;
}

int main(void)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = 1;
    options.flags = PICA_NO_SPARE; /* nor anybody in its place, should it be held up */
    return pica_run(main_task, NULL, &options) < 0;
}
