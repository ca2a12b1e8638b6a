/* SPDX-License-Identifier: MIT */
/* model_atomics.h: executor/base/atomics.h as the model checker sees it. Every operation is
 * a call that names its site; the site's order is what a mutant weakens. Included by
 * atomics.h where PICA_MODEL is defined; tests include model.h. */
#ifndef MODEL_ATOMICS_H
#define MODEL_ATOMICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum model_order {
    MODEL_RELAXED,
    MODEL_ACQUIRE,
    MODEL_RELEASE,
    MODEL_ACQ_REL,
    MODEL_SEQ_CST,
    MODEL_NONE /* of a fence that a mutant has taken away */
} model_order;

/** One place in the sources where an atomic operation stands. */
typedef struct model_site {
    const char *file;
    const char *function;
    int line;
    const char *op;
    const char *object; /* as it is written there; of a fence: "" */
    model_order order;
    unsigned id; /* 0: not met yet; the same for copies of an inline function */
} model_site;

typedef enum model_rmw { MODEL_XCHG, MODEL_ADD, MODEL_SUB, MODEL_OR, MODEL_AND } model_rmw;

uint64_t model_load(model_site *site, const volatile void *p, size_t size);
void model_store(model_site *site, volatile void *p, size_t size, uint64_t value);
uint64_t model_modify(model_site *site, model_rmw how, volatile void *p, size_t size,
                      uint64_t value);
bool model_cas(model_site *site, volatile void *p, size_t size, void *expected, uint64_t value);
void model_fence(model_site *site);
void model_spin(void);

#define MODEL_SITE(op, object, order)                                                              \
    __extension__({                                                                                \
        static model_site model_site_ = {__FILE__, __func__, __LINE__, op, object, order, 0};      \
        &model_site_;                                                                              \
    })
/* The comma makes an rvalue of it, so a const object gives a plain type. */
#define MODEL_TYPE(p) __typeof__((void)0, *(p))
#define MODEL_RAW(p, v) ((uint64_t)(uintptr_t)(MODEL_TYPE(p))(v))

#define MODEL_LOAD(name, object, order, p)                                                         \
    ((MODEL_TYPE(p))(uintptr_t)model_load(MODEL_SITE(name, object, order), (p), sizeof(*(p))))
#define MODEL_STORE(name, object, order, p, v)                                                     \
    model_store(MODEL_SITE(name, object, order), (p), sizeof(*(p)), MODEL_RAW(p, v))
/* A statement, so that a result nobody uses is no warning. */
#define MODEL_MODIFY(name, object, order, how, p, v)                                               \
    __extension__({                                                                                \
        MODEL_TYPE(p)                                                                              \
        model_old_ = (MODEL_TYPE(p))(uintptr_t)model_modify(MODEL_SITE(name, object, order), how,  \
                                                            (p), sizeof(*(p)),                     \
                                                            MODEL_RAW(p, v));                      \
        model_old_;                                                                                \
    })
#define MODEL_CAS(name, object, order, p, expected, v)                                             \
    model_cas(MODEL_SITE(name, object, order), (p), sizeof(*(p)), (expected), MODEL_RAW(p, v))

#define pi_load_relaxed(p) MODEL_LOAD("load", #p, MODEL_RELAXED, p)
#define pi_load_acquire(p) MODEL_LOAD("load", #p, MODEL_ACQUIRE, p)
#define pi_load_seq_cst(p) MODEL_LOAD("load", #p, MODEL_SEQ_CST, p)

#define pi_store_relaxed(p, v) MODEL_STORE("store", #p, MODEL_RELAXED, p, v)
#define pi_store_release(p, v) MODEL_STORE("store", #p, MODEL_RELEASE, p, v)
#define pi_store_seq_cst(p, v) MODEL_STORE("store", #p, MODEL_SEQ_CST, p, v)

#define pi_xchg_relaxed(p, v) MODEL_MODIFY("xchg", #p, MODEL_RELAXED, MODEL_XCHG, p, v)
#define pi_xchg_acquire(p, v) MODEL_MODIFY("xchg", #p, MODEL_ACQUIRE, MODEL_XCHG, p, v)
#define pi_xchg_release(p, v) MODEL_MODIFY("xchg", #p, MODEL_RELEASE, MODEL_XCHG, p, v)
#define pi_xchg_acq_rel(p, v) MODEL_MODIFY("xchg", #p, MODEL_ACQ_REL, MODEL_XCHG, p, v)
#define pi_xchg_seq_cst(p, v) MODEL_MODIFY("xchg", #p, MODEL_SEQ_CST, MODEL_XCHG, p, v)

#define pi_cas_relaxed(p, expected, v) MODEL_CAS("cas", #p, MODEL_RELAXED, p, expected, v)
#define pi_cas_acquire(p, expected, v) MODEL_CAS("cas", #p, MODEL_ACQUIRE, p, expected, v)
#define pi_cas_release(p, expected, v) MODEL_CAS("cas", #p, MODEL_RELEASE, p, expected, v)
#define pi_cas_acq_rel(p, expected, v) MODEL_CAS("cas", #p, MODEL_ACQ_REL, p, expected, v)
#define pi_cas_seq_cst(p, expected, v) MODEL_CAS("cas", #p, MODEL_SEQ_CST, p, expected, v)

#define pi_add_relaxed(p, v) MODEL_MODIFY("add", #p, MODEL_RELAXED, MODEL_ADD, p, v)
#define pi_add_acquire(p, v) MODEL_MODIFY("add", #p, MODEL_ACQUIRE, MODEL_ADD, p, v)
#define pi_add_release(p, v) MODEL_MODIFY("add", #p, MODEL_RELEASE, MODEL_ADD, p, v)
#define pi_add_acq_rel(p, v) MODEL_MODIFY("add", #p, MODEL_ACQ_REL, MODEL_ADD, p, v)
#define pi_add_seq_cst(p, v) MODEL_MODIFY("add", #p, MODEL_SEQ_CST, MODEL_ADD, p, v)
#define pi_sub_relaxed(p, v) MODEL_MODIFY("sub", #p, MODEL_RELAXED, MODEL_SUB, p, v)
#define pi_sub_acquire(p, v) MODEL_MODIFY("sub", #p, MODEL_ACQUIRE, MODEL_SUB, p, v)
#define pi_sub_release(p, v) MODEL_MODIFY("sub", #p, MODEL_RELEASE, MODEL_SUB, p, v)
#define pi_sub_acq_rel(p, v) MODEL_MODIFY("sub", #p, MODEL_ACQ_REL, MODEL_SUB, p, v)
#define pi_sub_seq_cst(p, v) MODEL_MODIFY("sub", #p, MODEL_SEQ_CST, MODEL_SUB, p, v)
#define pi_or_relaxed(p, v) MODEL_MODIFY("or", #p, MODEL_RELAXED, MODEL_OR, p, v)
#define pi_or_release(p, v) MODEL_MODIFY("or", #p, MODEL_RELEASE, MODEL_OR, p, v)
#define pi_or_acq_rel(p, v) MODEL_MODIFY("or", #p, MODEL_ACQ_REL, MODEL_OR, p, v)
#define pi_or_seq_cst(p, v) MODEL_MODIFY("or", #p, MODEL_SEQ_CST, MODEL_OR, p, v)
#define pi_and_relaxed(p, v) MODEL_MODIFY("and", #p, MODEL_RELAXED, MODEL_AND, p, v)
#define pi_and_acquire(p, v) MODEL_MODIFY("and", #p, MODEL_ACQUIRE, MODEL_AND, p, v)
#define pi_and_release(p, v) MODEL_MODIFY("and", #p, MODEL_RELEASE, MODEL_AND, p, v)
#define pi_and_acq_rel(p, v) MODEL_MODIFY("and", #p, MODEL_ACQ_REL, MODEL_AND, p, v)
#define pi_and_seq_cst(p, v) MODEL_MODIFY("and", #p, MODEL_SEQ_CST, MODEL_AND, p, v)

#define pi_fence_seq_cst() model_fence(MODEL_SITE("fence", "", MODEL_SEQ_CST))
#define pi_fence_compiler() ((void)0)
#define pi_fence_after_rmw() model_fence(MODEL_SITE("fence_after_rmw", "", MODEL_SEQ_CST))

static inline void pi_spin_wait(unsigned rounds)
{
    (void)rounds;
    model_spin();
}

#endif
