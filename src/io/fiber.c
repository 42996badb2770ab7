/*
 * io/fiber.c - stacks to switch between (room: I/O).
 */
#include "io/fiber.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define GUARD_BYTES 4096u

struct fiber {
    ucontext_t context;
    void *mapping; /* guard page and stack; NULL for a thread's own */
    void (*entry)(void *argument);
    void *argument;
    struct reactor *reactor;
    struct fiber *next;
    /* what the sanitizers want to know */
    const void *stack_bottom;
    size_t stack_size;
    void *fake_stack;
    struct fiber *came_from;
    void *tsan;
};

static void asan_leave(struct fiber *from, struct fiber *to)
{
#ifdef FIBER_ASAN
    to->came_from = from;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack_bottom, to->stack_size);
#else
    (void)from;
    (void)to;
#endif
}

static void asan_arrive(struct fiber *fiber)
{
#ifdef FIBER_ASAN
    struct fiber *from = fiber->came_from;
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &from->stack_bottom, &from->stack_size);
#else
    (void)fiber;
#endif
}

static void tsan_switch(struct fiber *to)
{
#ifdef FIBER_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#else
    (void)to;
#endif
}

static void tsan_init(struct fiber *fiber, bool is_thread)
{
#ifdef FIBER_TSAN
    fiber->tsan = is_thread ? __tsan_get_current_fiber() : __tsan_create_fiber(0);
#else
    (void)fiber;
    (void)is_thread;
#endif
}

static void tsan_fini(struct fiber *fiber)
{
#ifdef FIBER_TSAN
    if (fiber->mapping != NULL)
        __tsan_destroy_fiber(fiber->tsan);
#else
    (void)fiber;
#endif
}

/* makecontext() passes ints: the pointer comes in two halves. */
static void start(unsigned high, unsigned low)
{
    struct fiber *fiber = (struct fiber *)(uintptr_t)((uint64_t)high << 32 | low); // NOLINT
    asan_arrive(fiber);
    fiber->entry(fiber->argument);
    abort(); /* entry never returns */
}

/* In a function of its own, as getcontext() may return twice for all that the compiler knows. */
static int prepare_stack(struct fiber *fiber)
{
    if (mprotect(fiber->mapping, GUARD_BYTES, PROT_NONE) < 0)
        return -errno;
    return getcontext(&fiber->context) < 0 ? -errno : 0;
}

int fiber_new(void (*entry)(void *argument), void *argument, struct reactor *reactor,
    struct fiber **out_fiber)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    if (fiber == NULL)
        return -ENOMEM;
    void *mapping = mmap(NULL, GUARD_BYTES + FIBER_STACK_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED) {
        free(fiber);
        return -ENOMEM;
    }
    fiber->mapping = mapping;
    fiber->entry = entry;
    fiber->argument = argument;
    fiber->reactor = reactor;
    fiber->stack_bottom = (uint8_t *)mapping + GUARD_BYTES;
    fiber->stack_size = FIBER_STACK_BYTES;
    int err = prepare_stack(fiber);
    if (err < 0) {
        (void)munmap(mapping, GUARD_BYTES + FIBER_STACK_BYTES);
        free(fiber);
        return err;
    }
    fiber->context.uc_stack.ss_sp = (uint8_t *)mapping + GUARD_BYTES;
    fiber->context.uc_stack.ss_size = FIBER_STACK_BYTES;
    uint64_t pointer = (uintptr_t)fiber;
    makecontext(
        &fiber->context, (void (*)(void))start, 2, (unsigned)(pointer >> 32), (unsigned)pointer);
    tsan_init(fiber, false);
    *out_fiber = fiber;
    return 0;
}

int fiber_new_for_thread(struct reactor *reactor, struct fiber **out_fiber)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    if (fiber == NULL)
        return -ENOMEM;
    fiber->reactor = reactor;
    tsan_init(fiber, true);
    *out_fiber = fiber;
    return 0;
}

void fiber_free(struct fiber *fiber)
{
    if (fiber == NULL)
        return;
    tsan_fini(fiber);
    if (fiber->mapping != NULL)
        (void)munmap(fiber->mapping, GUARD_BYTES + FIBER_STACK_BYTES);
    free(fiber);
}

void fiber_switch(struct fiber *from, struct fiber *to)
{
    asan_leave(from, to);
    tsan_switch(to);
    int err = swapcontext(&from->context, &to->context);
    assert(err == 0);
    (void)err;
    asan_arrive(from);
}

struct reactor *fiber_reactor(const struct fiber *fiber)
{
    return fiber->reactor;
}

struct fiber *fiber_next(const struct fiber *fiber)
{
    return fiber->next;
}

void fiber_set_next(struct fiber *fiber, struct fiber *next)
{
    fiber->next = next;
}
