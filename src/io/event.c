/*
 * io/event.c - one thing to wait for (room: I/O).
 *
 *   EMPTY --event_wait, fiber--> FIBER_WAITS --event_signal--> SIGNALLED
 *   EMPTY --event_wait, thread-> THREAD_WAITS --event_signal-> SIGNALLED
 *   EMPTY --event_signal-------> SIGNALLED
 *
 * The step to SIGNALLED is one exchange; what was there before says whom to wake.
 */
#include "io/event.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/fiber.h"
#include "io/reactor_internal.h"

enum { EVENT_EMPTY, EVENT_FIBER_WAITS, EVENT_THREAD_WAITS, EVENT_SIGNALLED };

void event_init(struct event *event)
{
    event->fiber = NULL;
    event->next = NULL;
    atomic_store_explicit(&event->state, EVENT_EMPTY, memory_order_relaxed);
}

static void wait_as_thread(struct event *event)
{
    uint32_t expected = EVENT_EMPTY;
    if (!atomic_compare_exchange_strong(&event->state, &expected, EVENT_THREAD_WAITS))
        return;
    while (atomic_load(&event->state) != EVENT_SIGNALLED)
        (void)syscall(SYS_futex, &event->state, FUTEX_WAIT_PRIVATE, EVENT_THREAD_WAITS, NULL, NULL,
            0); /* woken, interrupted or changed before: the loop looks */
}

void event_wait(struct event *event)
{
    if (atomic_load(&event->state) == EVENT_SIGNALLED)
        return;
    struct fiber *fiber = reactor_running_fiber();
    if (fiber == NULL) {
        wait_as_thread(event);
        return;
    }
    event->fiber = fiber;
    uint32_t expected = EVENT_EMPTY;
    if (!atomic_compare_exchange_strong(&event->state, &expected, EVENT_FIBER_WAITS))
        return;
    if (reactor_suspend(fiber_reactor(fiber)))
        return;
    /* No memory for one more stack: hold the whole reactor until the event comes. */
    expected = EVENT_FIBER_WAITS;
    if (atomic_compare_exchange_strong(&event->state, &expected, EVENT_EMPTY)) {
        wait_as_thread(event);
    } else {
        /* It was signalled in between, and is in the reactor's list as ready: take it from there.
         */
        while (!reactor_suspend(fiber_reactor(fiber)))
            (void)usleep(1000);
    }
}

void event_signal(struct event *event)
{
    switch (atomic_exchange(&event->state, EVENT_SIGNALLED)) {
    case EVENT_FIBER_WAITS:
        reactor_make_ready(fiber_reactor(event->fiber), event);
        break;
    case EVENT_THREAD_WAITS:
        /* The waiter may be gone already; waking an address nobody waits at is harmless. */
        (void)syscall(SYS_futex, &event->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        break;
    default:
        break;
    }
}
