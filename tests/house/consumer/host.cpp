// SPDX-License-Identifier: MIT
// host.cpp: a C++ program that owns main() and its threads, and keeps an executor beside.
// Exits with 0 if all went as it should. Argument: the malloc that pica has to find.
#include <pica/pica.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace
{

struct destroy {
    void operator()(pica_executor *ex) const { pica_executor_destroy(ex); }
};
struct unref {
    void operator()(pica_task *task) const { pica_unref(task); }
};
using executor = std::unique_ptr<pica_executor, destroy>;
using handle = std::unique_ptr<pica_task, unref>;

std::atomic<int> failures{0};

void expect(bool ok)
{
    if (!ok)
        failures++;
}

executor make_executor(unsigned workers)
{
    pica_options options = PICA_OPTIONS_INIT;
    options.workers = workers;
    pica_executor *ex = nullptr;
    expect(pica_executor_create(&ex, &options) == 0);
    return executor(ex);
}

template <typename Argument> handle spawn(const executor &ex, pica_fn fn, Argument *arg)
{
    pica_task *task = nullptr;
    expect(pica_executor_spawn(ex.get(), &task, fn, arg) == 0);
    return handle(task);
}

intptr_t sum(void *arg)
{
    const auto &numbers = *static_cast<const std::vector<int> *>(arg);
    intptr_t total = 0;
    for (int n : numbers) {
        if (pica_sleep(PICA_US(1)) < 0)
            return -ECANCELED;
        total += n;
    }
    return total;
}

intptr_t sleeps(void *)
{
    return pica_sleep(PICA_NEVER);
}

void use(const executor &ex)
{
    for (int i = 0; i < 50; i++) {
        std::vector<int> numbers{1, 2, i};
        handle task = spawn(ex, sum, &numbers);
        intptr_t total = 0;
        expect(pica_await(task.get(), &total) == 0 && total == 3 + i);

        handle sleeper = spawn(ex, sleeps, &numbers);
        expect(pica_join_until(sleeper.get(), &total, pica_after(PICA_US(10))) == -ETIMEDOUT);
        expect(pica_cancel(sleeper.get()) == 0);
        expect(pica_join(sleeper.get(), &total) == 0 && total == -ECANCELED);
    }
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2 || std::strcmp(argv[1], pica_allocator()) != 0)
        return 2;
    executor one = make_executor(2), two = make_executor(1);
    if (!one || !two)
        return 3;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++)
        threads.emplace_back([&, i] { use(i % 2 ? one : two); });
    for (std::thread &thread : threads)
        thread.join();

    handle sleeper = spawn(one, sleeps, &threads);
    intptr_t result = 0;
    expect(pica_executor_shutdown(one.get(), pica_after(PICA_MS(1))) == 1);
    expect(pica_task_result(sleeper.get(), &result) == 0 && result == -ECANCELED);
    expect(pica_executor_spawn(one.get(), nullptr, sleeps, nullptr) == -ESHUTDOWN);
    sleeper.reset();
    expect(pica_executor_shutdown(two.get(), PICA_NEVER) == 0);
    return failures ? 1 : 0;
}
