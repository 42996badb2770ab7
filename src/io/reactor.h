/*
 * io/reactor.h - an epoll loop, one per core, and the fibers that serve its requests.
 *
 * The loop itself runs in a fiber. A callback that never waits costs no switch; when one waits for
 * an event (io/event.h), another pooled fiber takes the loop over, and the waiting one goes on, as
 * the loop, once the event is signalled. So callbacks of one reactor never run at the same time,
 * but between a callback's waits other callbacks do run: what it looked at before may have changed.
 */
#pragma once

#include "io/event.h"

struct reactor;

/* A file descriptor's place in a reactor; embedded in its owner. */
struct reactor_source {
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLOUT, ...: what it is registered for; level-triggered */
    /* Called in a fiber, with what is ready. It may remove and free its source. */
    void (*ready)(struct reactor_source *source, uint32_t events);
};

/* Something to do on the reactor's thread; embedded in its owner. */
struct reactor_task {
    struct reactor_task *next;
    void (*run)(struct reactor_task *task);
};

/* Starts the thread. `fiber_max` (2..65536) bounds the requests that wait at one time. */
MUST_CHECK int reactor_new(unsigned fiber_max, struct reactor **out_reactor);
/* Stops the loop once no fiber waits, joins the thread. NULL is allowed. Whoever may still be
 * signalling an event of its fibers (a pool, a committer) must have ended before. */
void reactor_free(struct reactor *reactor);

/* The reactor whose thread this is; NULL on others. */
struct reactor *reactor_current(void);
/* Whether one more callback that may wait can be served now; if not, sources should stop reading.
 */
bool reactor_has_fibers(const struct reactor *reactor);

/* On the reactor's own thread only. */
MUST_CHECK int reactor_add(struct reactor *reactor, struct reactor_source *source, uint32_t events);
void reactor_change(struct reactor *reactor, struct reactor_source *source, uint32_t events);
void reactor_remove(struct reactor *reactor, struct reactor_source *source);
/* Runs `task` before the loop next looks at its descriptors; on the reactor's own thread only. */
void reactor_defer(struct reactor *reactor, struct reactor_task *task);

/* Runs `task` on the reactor's thread, soon. From any thread. */
void reactor_post(struct reactor *reactor, struct reactor_task *task);
