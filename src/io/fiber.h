/*
 * io/fiber.h - a stack of its own that code can be left on and returned to (for io/reactor.c only).
 *
 * A fiber belongs to one thread for ever. Not thread-safe. Built on glibc's ucontext; the
 * sanitizers are told of each switch.
 */
#pragma once

#include "base/base.h"

#define FIBER_STACK_BYTES (256u * 1024) /* reserved; pages are taken as they are touched */

struct reactor;

struct fiber;

/* A fiber that will run `entry(argument)`, which must never return, at its first fiber_switch(). */
MUST_CHECK int fiber_new(void (*entry)(void *argument), void *argument, struct reactor *reactor,
    struct fiber **out_fiber);
/* Stands for the thread's own stack, so that one can switch away from it and back. */
MUST_CHECK int fiber_new_for_thread(struct reactor *reactor, struct fiber **out_fiber);
/* Frees a fiber that is not running; what is on its stack is forgotten. NULL is allowed. */
void fiber_free(struct fiber *fiber);

/* Leaves `from`, the running fiber, and goes on where `to` was left. Returns when someone switches
 * to `from`. */
void fiber_switch(struct fiber *from, struct fiber *to);

struct reactor *fiber_reactor(const struct fiber *fiber);
/* For lists of the reactor. */
struct fiber *fiber_next(const struct fiber *fiber);
void fiber_set_next(struct fiber *fiber, struct fiber *next);
