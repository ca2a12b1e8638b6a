/* SPDX-License-Identifier: MIT */
/* members.c: see members.h. */
#include "executor/task/members.h"

#include "executor/base/alloc.h"
#include "executor/sched/scope.h"
#include "executor/sched/starved.h"

_Static_assert(sizeof(((pica_group *)NULL)->noted) == PI_PLACES_HERE * sizeof(void *), "places");

static const struct {
    uint32_t first, count; /* numbers of the members that are noted there */
} rooms[2] = {{PI_PLACES_HERE, PI_PLACES_FIRST - PI_PLACES_HERE},
              {PI_PLACES_FIRST, PI_PLACES - PI_PLACES_FIRST}};

/* A room that several may want at the same time. @return NULL: there is no memory */
static __attribute__((noinline)) pica_task **fetch_room(void **at, uint32_t places)
{
    void *none = NULL, *room = pi_zalloc(places * sizeof(pica_task *));
    if (room && !pi_cas_acq_rel(at, &none, room)) {
        pi_free(room);
        room = none;
    }
    return room;
}

__attribute__((noinline)) pica_task **pi_members_place_slow(pica_group *group, uint64_t number)
{
    if (number < PI_PLACES) {
        unsigned k = number >= PI_PLACES_FIRST;
        pica_task **room = fetch_room(&group->rooms[k], rooms[k].count);
        if (room)
            return room + (number - rooms[k].first);
    }
    pi_store_release(&group->others, 1u); /* partner: pi_members_interrupt() */
    return NULL;
}

/* ---- those that are noted ---- */

/* Look at one. @return whether that was enough */
typedef bool (*look_fn)(pica_task *task, pica_group *group, void *arg);

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Places that are empty have been given to members that are not noted yet. */
static bool look_at(pica_task **places, uint64_t n, look_fn look, pica_group *group, void *arg)
{
    for (uint64_t i = 0; i < n; i++) {
        pica_task *task = pi_load_acquire(&places[i]); /* partner: pi_spawn_fill() */
        if (task && pi_load_acquire(&task->word) && look(task, group, arg))
            return true;
    }
    return false;
}

static void look_at_noted(pica_group *group, look_fn look, void *arg)
{
    uint64_t ever = pi_load_acquire(&group->members) / PI_MEMBER_EVER;
    pica_task **here = (pica_task **)group->noted;
    bool enough = look_at(here, least(ever, PI_PLACES_HERE), look, group, arg);
    for (unsigned k = 0; k < 2 && !enough && ever > rooms[k].first; k++) {
        pica_task **room = pi_load_acquire(&group->rooms[k]);
        if (room)
            enough = look_at(room, least(ever - rooms[k].first, rooms[k].count), look, group, arg);
    }
}

/* ---- what for ---- */

static void interrupt(pica_task *task, void *scope)
{
    if (pi_load_relaxed(&task->group) == scope) /* pi_scope_interrupt() looks again */
        pi_scope_interrupt(task, scope, 0, true);
}

static bool interrupt_it(pica_task *task, pica_group *group, void *unused)
{
    (void)unused;
    interrupt(task, &group->scope);
    return false;
}

void pi_members_interrupt(pica_group *group, pica_executor *ex)
{
    if (pi_load_acquire(&group->others))
        pi_pool_each(&ex->pool, interrupt, &group->scope);
    else
        look_at_noted(group, interrupt_it, NULL);
}

struct claim {
    size_t room;
    pica_task *claimed;
};

static bool claim_starved(pica_task *task, pica_group *group, void *arg)
{
    struct claim *claim = arg;
    if (!pi_is_starved(task) || !pi_starved_claim_member(task, &group->scope, claim->room))
        return false;
    claim->claimed = task;
    return true;
}

__attribute__((noinline, cold)) pica_task *pi_members_claim_starved(pica_group *group, size_t room)
{
    struct claim claim = {room, NULL};
    if (room >= pi_stack_class_size(0))
        look_at_noted(group, claim_starved, &claim);
    return claim.claimed;
}

__attribute__((noinline)) void pi_members_free_slow(pica_group *group)
{
    for (unsigned k = 0; k < 2; k++) {
        pi_free(group->rooms[k]);
        group->rooms[k] = NULL;
    }
}
