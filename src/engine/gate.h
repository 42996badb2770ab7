/*
 * engine/gate.h - a turn: who enters has it alone until leaving; the others wait in order, as
 * fibers or threads. Unlike a lock it may be held across waits for storage; never for a client. The
 * holder must not enter another gate, except that of the segments, which is always the inner one; a clone takes
 * those of two files, in the order of their inode numbers.
 */
#pragma once

#include "base/lock.h"
#include "io/event.h"

struct gate_waiter {
    struct event event;
    struct gate_waiter *next;
};

struct gate {
    struct mutex lock;
    bool is_taken;
    struct gate_waiter *first;
    struct gate_waiter **last;
};

static inline void gate_init(struct gate *gate)
{
    (void)pthread_mutex_init(&gate->lock.pthread, NULL);
    gate->is_taken = false;
    gate->first = NULL;
    gate->last = &gate->first;
}

static inline void gate_fini(struct gate *gate)
{
    assert(!gate->is_taken);
    (void)pthread_mutex_destroy(&gate->lock.pthread);
}

static inline void gate_enter(struct gate *gate)
{
    struct gate_waiter waiter;
    mutex_lock(&gate->lock);
    bool is_free = !gate->is_taken;
    gate->is_taken = true;
    if (!is_free) {
        event_init(&waiter.event);
        waiter.next = NULL;
        *gate->last = &waiter;
        gate->last = &waiter.next;
    }
    mutex_unlock(&gate->lock);
    if (!is_free)
        event_wait(&waiter.event); /* whoever leaves hands the turn over */
}

static inline void gate_leave(struct gate *gate)
{
    mutex_lock(&gate->lock);
    struct gate_waiter *next = gate->first;
    if (next == NULL) {
        gate->is_taken = false;
    } else {
        gate->first = next->next;
        if (gate->first == NULL)
            gate->last = &gate->first;
    }
    mutex_unlock(&gate->lock);
    if (next != NULL)
        event_signal(&next->event);
}
