/*
 * io/reactor.c - the epoll loop and its fibers (room: I/O).
 *
 * Invariants:
 *  1. Exactly one fiber of a reactor runs; it is `running`. All others are either in the idle pool,
 * at the top of the loop, or wait for an event inside a callback.
 *  2. A fiber that is made ready is switched to by the loop; the fiber that was the loop goes to
 * the idle pool, and the ready one, when its callback is done, is the loop.
 *  3. Before the thread sleeps it says so in `sleeping` and looks at the lists once more; whoever
 * adds to a list looks at `sleeping` after. So no wake-up is lost.
 */
#include "io/reactor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/fiber.h"
#include "io/reactor_internal.h"

#define EPOLL_EVENTS_MAX 64

struct reactor {
    pthread_t thread;
    int epoll_fd;
    int wake_fd;
    unsigned fiber_max;
    struct fiber *thread_fiber; /* the thread's own stack */
    struct fiber *running;
    struct fiber *idle;
    unsigned fiber_count;
    unsigned waiting_count; /* fibers inside event_wait() */

    struct event *ready; /* signalled, in order; the loop switches to their fibers */
    struct event **ready_tail;
    struct reactor_task *deferred;
    struct reactor_task **deferred_tail;
    struct epoll_event events[EPOLL_EVENTS_MAX];
    int event_count;
    int event_index; /* the next of `events` to be looked at */
    bool stopping;   /* set by a task of reactor_free() */

    _Atomic(struct event *) signalled;     /* by other threads, newest first */
    _Atomic(struct reactor_task *) posted; /* newest first */
    _Atomic bool sleeping;
};

static _Thread_local struct reactor *this_reactor;

struct reactor *reactor_current(void)
{
    return this_reactor;
}

struct fiber *reactor_running_fiber(void)
{
    return this_reactor == NULL ? NULL : this_reactor->running;
}

bool reactor_has_fibers(const struct reactor *reactor)
{
    return reactor->waiting_count + 1 < reactor->fiber_max;
}

/* Switches to `to`; returns when someone switches back. A thread-local read before the switch must
 * not be used after it, but a fiber never changes its thread, so `reactor` stays true. */
static void switch_to(struct reactor *reactor, struct fiber *to)
{
    struct fiber *from = reactor->running;
    reactor->running = to;
    fiber_switch(from, to);
}

static void take_signalled(struct reactor *reactor)
{
    struct event *newest = atomic_exchange(&reactor->signalled, NULL);
    struct event *oldest = NULL;
    while (newest != NULL) {
        struct event *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    *reactor->ready_tail = oldest;
    while (*reactor->ready_tail != NULL)
        reactor->ready_tail = &(*reactor->ready_tail)->next;
}

static void take_posted(struct reactor *reactor)
{
    struct reactor_task *newest = atomic_exchange(&reactor->posted, NULL);
    struct reactor_task *oldest = NULL;
    while (newest != NULL) {
        struct reactor_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    *reactor->deferred_tail = oldest;
    while (*reactor->deferred_tail != NULL)
        reactor->deferred_tail = &(*reactor->deferred_tail)->next;
}

/* Goes on with the fiber whose event came first; this one waits in the pool for its next turn as
 * the loop. */
static void run_ready(struct reactor *reactor)
{
    struct event *event = reactor->ready;
    reactor->ready = event->next;
    if (reactor->ready == NULL)
        reactor->ready_tail = &reactor->ready;
    fiber_set_next(reactor->running, reactor->idle);
    reactor->idle = reactor->running;
    switch_to(reactor, event->fiber);
}

static void run_deferred(struct reactor *reactor)
{
    struct reactor_task *task = reactor->deferred;
    reactor->deferred = task->next;
    if (reactor->deferred == NULL)
        reactor->deferred_tail = &reactor->deferred;
    task->next = NULL;
    task->run(task);
}

static void run_source(struct reactor *reactor)
{
    struct epoll_event *event = &reactor->events[reactor->event_index++];
    struct reactor_source *source = event->data.ptr;
    if (source != NULL)
        source->ready(source, event->events);
}

static void poll_sources(struct reactor *reactor)
{
    int timeout_ms = -1;
    atomic_store(&reactor->sleeping, true);
    if (atomic_load(&reactor->signalled) != NULL || atomic_load(&reactor->posted) != NULL)
        timeout_ms = 0;
    int count = epoll_wait(reactor->epoll_fd, reactor->events, EPOLL_EVENTS_MAX, timeout_ms);
    atomic_store(&reactor->sleeping, false);
    assert(count >= 0 || errno == EINTR);
    reactor->event_index = 0;
    reactor->event_count = count < 0 ? 0 : count;
}

static void loop(void *argument)
{
    struct reactor *reactor = argument;
    for (;;) {
        if (reactor->ready != NULL) {
            run_ready(reactor);
        } else if (reactor->event_index < reactor->event_count) {
            run_source(reactor);
        } else if (reactor->deferred != NULL) {
            run_deferred(reactor);
        } else if (reactor->stopping && reactor->waiting_count == 0) {
            fiber_set_next(reactor->running, reactor->idle);
            reactor->idle = reactor->running;
            switch_to(reactor, reactor->thread_fiber);
        } else {
            if (atomic_load(&reactor->signalled) == NULL && atomic_load(&reactor->posted) == NULL)
                poll_sources(reactor);
            take_signalled(reactor);
            take_posted(reactor);
        }
    }
}

bool reactor_suspend(struct reactor *reactor)
{
    struct fiber *next = reactor->idle;
    if (next != NULL) {
        reactor->idle = fiber_next(next);
    } else {
        if (fiber_new(loop, reactor, reactor, &next) < 0)
            return false;
        reactor->fiber_count++;
    }
    reactor->waiting_count++;
    switch_to(reactor, next);
    reactor->waiting_count--;
    return true;
}

static void wake(struct reactor *reactor)
{
    if (atomic_load(&reactor->sleeping) && atomic_exchange(&reactor->sleeping, false)) {
        uint64_t one = 1;
        ssize_t written = write(reactor->wake_fd, &one, sizeof one);
        (void)written; /* a full counter wakes as well */
    }
}

void reactor_make_ready(struct reactor *reactor, struct event *event)
{
    event->next = NULL;
    if (reactor == this_reactor) {
        *reactor->ready_tail = event;
        reactor->ready_tail = &event->next;
        return;
    }
    struct event *newest = atomic_load(&reactor->signalled);
    do {
        event->next = newest;
    } while (!atomic_compare_exchange_weak(&reactor->signalled, &newest, event));
    wake(reactor);
}

void reactor_defer(struct reactor *reactor, struct reactor_task *task)
{
    assert(reactor == this_reactor);
    task->next = NULL;
    *reactor->deferred_tail = task;
    reactor->deferred_tail = &task->next;
}

void reactor_post(struct reactor *reactor, struct reactor_task *task)
{
    struct reactor_task *newest = atomic_load(&reactor->posted);
    do {
        task->next = newest;
    } while (!atomic_compare_exchange_weak(&reactor->posted, &newest, task));
    wake(reactor);
}

int reactor_add(struct reactor *reactor, struct reactor_source *source, uint32_t events)
{
    source->events = events;
    struct epoll_event event = { .events = events, .data.ptr = source };
    return epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

void reactor_change(struct reactor *reactor, struct reactor_source *source, uint32_t events)
{
    if (source->events == events)
        return;
    source->events = events;
    struct epoll_event event = { .events = events, .data.ptr = source };
    int err = epoll_ctl(reactor->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
    assert(err == 0); /* it was added */
    (void)err;
}

void reactor_remove(struct reactor *reactor, struct reactor_source *source)
{
    (void)epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL); /* may be gone already */
    for (int i = reactor->event_index; i < reactor->event_count; i++) {
        if (reactor->events[i].data.ptr == source)
            reactor->events[i].data.ptr = NULL;
    }
}

static void drain_wake_fd(struct reactor_source *source, uint32_t events)
{
    (void)events;
    uint64_t count;
    ssize_t n = read(source->fd, &count, sizeof count);
    (void)n; /* nothing to read is fine too */
}

static void *run(void *argument)
{
    struct reactor *reactor = argument;
    struct reactor_source wake_source = { .fd = reactor->wake_fd, .ready = drain_wake_fd };
    this_reactor = reactor;
    int err = fiber_new_for_thread(reactor, &reactor->thread_fiber);
    struct fiber *first = NULL;
    if (err == 0)
        err = fiber_new(loop, reactor, reactor, &first);
    if (err == 0)
        err = reactor_add(reactor, &wake_source, EPOLLIN);
    assert(err == 0); /* at start there is memory, and the descriptors are ours */
    reactor->fiber_count = 1;
    reactor->running = reactor->thread_fiber;
    switch_to(reactor, first);
    /* Stopped, and no fiber waits: all are in the idle pool. */
    return NULL;
}

int reactor_new(unsigned fiber_max, struct reactor **out_reactor)
{
    assert(fiber_max >= 2);
    struct reactor *reactor = calloc(1, sizeof *reactor);
    if (reactor == NULL)
        return -ENOMEM;
    reactor->fiber_max = fiber_max;
    reactor->ready_tail = &reactor->ready;
    reactor->deferred_tail = &reactor->deferred;
    reactor->wake_fd = -1;
    reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int err = reactor->epoll_fd < 0 ? -errno : 0;
    if (err == 0) {
        reactor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        err = reactor->wake_fd < 0 ? -errno : 0;
    }
    if (err == 0)
        err = -pthread_create(&reactor->thread, NULL, run, reactor);
    if (err == 0) {
        *out_reactor = reactor;
        return 0;
    }
    if (reactor->wake_fd >= 0)
        (void)close(reactor->wake_fd);
    if (reactor->epoll_fd >= 0)
        (void)close(reactor->epoll_fd);
    free(reactor);
    return err;
}

struct stop_task {
    struct reactor_task task;
    struct reactor *reactor;
};

static void stop(struct reactor_task *task)
{
    CONTAINER_OF(task, struct stop_task, task)->reactor->stopping = true;
}

void reactor_free(struct reactor *reactor)
{
    if (reactor == NULL)
        return;
    assert(this_reactor != reactor);
    struct stop_task stop_task = { .task.run = stop, .reactor = reactor };
    reactor_post(reactor, &stop_task.task);
    (void)pthread_join(reactor->thread, NULL);
    while (reactor->idle != NULL) {
        struct fiber *next = fiber_next(reactor->idle);
        fiber_free(reactor->idle);
        reactor->idle = next;
    }
    fiber_free(reactor->thread_fiber);
    (void)close(reactor->wake_fd);
    (void)close(reactor->epoll_fd);
    free(reactor);
}
