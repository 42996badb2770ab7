/*
 * io/event.h - one thing to wait for: by a fiber of a reactor, which lets others run meanwhile, or
 * by an ordinary thread, which blocks. The same call serves both.
 *
 * An event is used once: initialized, waited for by one waiter, signalled once by anyone. It may
 * live on the waiter's stack: the signaller does not touch it after event_signal() has returned.
 */
#pragma once

#include "base/base.h"

struct fiber;

struct event {
    _Atomic uint32_t state; /* EVENT_ */
    struct fiber *fiber;    /* of the waiter; NULL when it is a thread */
    struct event *next;     /* in its reactor's list of signalled events */
};

void event_init(struct event *event);
/* Returns once the event is signalled. No lock may be held. */
void event_wait(struct event *event);
/* Wakes the waiter, now or when it comes. From any thread. */
void event_signal(struct event *event);
