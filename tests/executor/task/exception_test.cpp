// SPDX-License-Identifier: MIT
// exception_test.cpp: what C++ may rely on (the head of pica/task.h): an exception is thrown and
// caught within a task wherever the task has come to; one that is kept as an exception_ptr goes
// across suspensions; and one that would leave a task's function ends the program. Plain C++: the
// harness is C.
#include <pica/pica.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

#define CHECK(cond)                                                                                \
    ((cond) ? (void)0                                                                              \
            : (void)(std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond),      \
                     __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED)))

namespace {

constexpr int tasks = 8;
const int rounds = std::getenv("PICA_TEST_EMULATED") ? 100 : 500;

struct counted {
    explicit counted(int &n) : left(n) { left++; }
    ~counted() { left--; }
    counted(const counted &) = delete;
    counted &operator=(const counted &) = delete;
    int &left;
};

[[gnu::noinline]] int throws_from(int depth, int value, int &left)
{
    counted here(left);
    if (depth == 0)
        throw std::runtime_error(std::to_string(value));
    return throws_from(depth - 1, value, left) + 1;
}

// Objects are unwound, the right handler is found, and it moves on after each.
intptr_t throws_and_moves(void *arg)
{
    int number = static_cast<int>(reinterpret_cast<intptr_t>(arg)), left = 0;
    intptr_t caught = 0;
    for (int i = 0; i < rounds; i++) {
        int value = number * rounds + i;
        try {
            counted outer(left);
            if (pica_yield() != 0) // in a try block: no exception is in flight
                return -1;
            throws_from(i % 7, value, left);
        } catch (const std::runtime_error &e) {
            caught += std::stoi(e.what()) == value && left == 0;
        }
        CHECK(std::uncaught_exceptions() == 0);
        CHECK(std::current_exception() == nullptr);
        if (pica_yield() != 0)
            return -1;
    }
    return caught;
}

// Caught here, thrown again after a suspension.
intptr_t keeps_and_rethrows(void *arg)
{
    int number = static_cast<int>(reinterpret_cast<intptr_t>(arg)), left = 0;
    intptr_t caught = 0;
    for (int i = 0; i < rounds; i++) {
        std::exception_ptr kept;
        try {
            throws_from(3, number + i, left);
        } catch (...) {
            kept = std::current_exception();
        }
        if (pica_yield() != 0)
            return -1;
        try {
            std::rethrow_exception(kept);
        } catch (const std::exception &e) {
            caught += std::stoi(e.what()) == number + i;
        }
    }
    return caught;
}

// A child that its waiter runs inline, in a try block of the waiter's: each catches its own.
intptr_t awaits_in_a_try_block(void *)
{
    intptr_t caught = 0;
    for (int i = 0; i < 100; i++) {
        try {
            pica_task *child = nullptr;
            intptr_t result = -1;
            void *number = reinterpret_cast<void *>(intptr_t{i});
            CHECK(pica_spawn(&child, keeps_and_rethrows, number) == 0);
            CHECK(pica_await(child, &result) == 0);
            pica_unref(child);
            CHECK(result == rounds);
            throw 7;
        } catch (int seven) {
            caught += seven == 7;
        }
    }
    return caught == 100 ? 0 : -1;
}

intptr_t many(void *)
{
    pica_task *all[tasks];
    for (int i = 0; i < tasks; i++)
        CHECK(pica_spawn(&all[i], i % 2 ? throws_and_moves : keeps_and_rethrows,
                         reinterpret_cast<void *>(intptr_t{i})) == 0);
    for (pica_task *task : all) {
        intptr_t result = -1;
        CHECK(pica_await(task, &result) == 0);
        CHECK(result == rounds);
        pica_unref(task);
    }
    return awaits_in_a_try_block(nullptr);
}

// --- Exceptions that would leave ----------------------------------------------------------

intptr_t lets_it_out(void *)
{
    throw std::logic_error("out");
}

intptr_t lets_it_out_of_noexcept(void *) noexcept
{
    int left = 0;
    return throws_from(2, 1, left); // terminates, wherever it runs
}

// As the waiter's, on a stack of its own: the way of the exception ends where the stack does.
intptr_t joins(void *fn)
{
    pica_task *task = nullptr;
    intptr_t result = 0;
    try {
        if (pica_spawn(&task, *static_cast<pica_fn *>(fn), nullptr) != 0)
            return -1;
        if (pica_join(task, &result) != 0) // never inline
            return -1;
    } catch (...) {
        return -2;
    }
    return result;
}

intptr_t awaits(void *fn)
{
    pica_task *task = nullptr;
    intptr_t result = 0;
    try {
        if (pica_spawn(&task, *static_cast<pica_fn *>(fn), nullptr) != 0)
            return -1;
        if (pica_await(task, &result) != 0) // inline
            return -1;
    } catch (...) {
        return -2;
    }
    return result;
}

// As its group's or a gather's member, which also run what has not begun on the waiter's stack.
intptr_t ends_its_group(void *fn)
{
    pica_group group;
    try {
        pica_group_begin(&group);
        int rc = pica_group_spawn(&group, *static_cast<pica_fn *>(fn), nullptr);
        return pica_group_end(&group, rc);
    } catch (...) {
        return -2;
    }
}

// When it has returned, in a handler that it has deferred.
intptr_t defers(void *fn)
{
    return pica_defer([](void *which) { (*static_cast<pica_fn *>(which))(nullptr); }, fn);
}

intptr_t awaits_one_that_defers(void *fn)
{
    pica_task *task = nullptr;
    intptr_t result = 0;
    if (pica_spawn(&task, defers, fn) != 0)
        return -1;
    try {
        if (pica_await(task, &result) != 0)
            return -1;
    } catch (...) {
        return -2;
    }
    return result;
}

// What the executor calls outside of all tasks, as one that never starts is dropped.
void drops(void *)
{
    throw std::logic_error("out");
}

intptr_t awaits_one_that_is_dropped(void *fn)
{
    pica_task *task = nullptr;
    pica_attr attr = PICA_ATTR_INIT;
    attr.on_drop = drops;
    if (pica_spawn_with(&task, *static_cast<pica_fn *>(fn), nullptr, &attr) != 0)
        return -1;
    (void)pica_cancel(task);
    return pica_await(task, nullptr);
}

// Nor do its hooks let one out, in the midst of a task, or at the executor's end.
template <class Report> void reports(void *, const Report *)
{
    throw std::logic_error("out");
}

intptr_t fails(void *)
{
    return -EIO;
}

intptr_t loses_an_error(void *)
{
    pica_task *task = nullptr;
    try {
        if (pica_spawn(&task, fails, nullptr) != 0 || pica_yield() != 0)
            return -1;
        pica_unref(task);
    } catch (...) {
        return -2;
    }
    return -1;
}

intptr_t ignores_its_cancel(void *)
{
    try {
        if (pica_cancel(pica_self()) != 0)
            return -1;
        for (int64_t until = pica_after(PICA_SEC(10)); pica_now() < until;)
            (void)!pica_yield();
    } catch (...) {
        return -2;
    }
    return -1;
}

intptr_t leaves_an_error(void *)
{
    pica_task *task = nullptr;
    int rc = pica_spawn(&task, fails, nullptr);
    return rc ? rc : pica_yield();
}

intptr_t leaves_a_handle(void *fn)
{
    pica_task *task = nullptr;
    int rc = pica_spawn(&task, *static_cast<pica_fn *>(fn), nullptr);
    return rc ? rc : pica_join(task, nullptr);
}

constexpr const char *leaves_a_task = "pica: an exception would leave task ";
constexpr const char *leaves_others = "pica: an exception would leave a function that ";

// The program ends as if the function were noexcept: std::terminate() is called before anything has
// been unwound. Which task it was is said, but where noexcept stops the exception first.
void terminates(pica_fn waiter, pica_fn fn, const char *says)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        std::set_terminate([] { _exit(33); });
        pica_options options = PICA_OPTIONS_INIT;
        options.workers = 1;
        options.on_lost_error = reports;
        options.on_ignored_cancel = reports;
        options.on_left = reports;
        try {
            (void)pica_run(waiter, &fn, &options);
        } catch (...) {
            _exit(2);
        }
        _exit(1);
    }
    close(ends[1]);
    std::string said;
    char bytes[500];
    for (ssize_t n; (n = read(ends[0], bytes, sizeof(bytes))) > 0;)
        said.append(bytes, static_cast<size_t>(n));
    close(ends[0]);
    int state = 0;
    CHECK(waitpid(pid, &state, 0) == pid);
    CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 33);
    CHECK(*says ? said.find(says) == 0 : said.empty());
    if (says == leaves_a_task)
        CHECK(said.find("exception_test.cpp:") != std::string::npos);
    if (failures)
        std::fprintf(stderr, "said: %s\n", said.c_str());
}

// pthread_exit() unwinds as well, and has left frames behind when it comes to the executor's.
intptr_t exits(void *)
{
    pthread_exit(nullptr);
}

void does_not_exit()
{
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(std::freopen("/dev/null", "w", stderr) != nullptr);
        pica_options options = PICA_OPTIONS_INIT;
        options.workers = 1;
        (void)pica_run(exits, nullptr, &options);
        _exit(1);
    }
    int state = 0;
    CHECK(waitpid(pid, &state, 0) == pid);
    CHECK(WIFSIGNALED(state) && WTERMSIG(state) == SIGABRT);
}

void runs(unsigned workers, unsigned flags)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = workers;
    options.flags = flags;
    CHECK(pica_run(many, nullptr, &options) == 0);
}

} // namespace

int main()
{
    if (!std::getenv("PICA_TEST_EMULATED")) { // qemu-user: a child process starts no thread
        terminates(joins, lets_it_out, leaves_a_task);
        terminates(awaits, lets_it_out, leaves_a_task);
        terminates(ends_its_group, lets_it_out, leaves_a_task);
        terminates(awaits_one_that_defers, lets_it_out, leaves_a_task);
        terminates(awaits_one_that_is_dropped, lets_it_out, leaves_others);
        terminates(loses_an_error, nullptr, leaves_others);
        terminates(leaves_an_error, nullptr, leaves_others);
        terminates(leaves_a_handle, fails, leaves_others);
        terminates(joins, ignores_its_cancel, leaves_a_task);
        terminates(joins, lets_it_out_of_noexcept, "");
        terminates(awaits, lets_it_out_of_noexcept, "");
        does_not_exit();
    }
    runs(1, 0);
    runs(4, 0);
    runs(2, PICA_NO_INLINE);
    runs(3, PICA_FORCE_MIGRATION);
    std::printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
