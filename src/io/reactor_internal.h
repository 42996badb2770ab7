/* io/reactor_internal.h - what io/event.c needs of a reactor. */
#pragma once

#include "io/reactor.h"

/* The running fiber of this thread's reactor; NULL on other threads. */
struct fiber *reactor_running_fiber(void);
/* Leaves the running fiber; another one takes the loop over. Returns after the fiber was made
 * ready. False: no stack could be had for the other one, nothing was left. */
MUST_CHECK bool reactor_suspend(struct reactor *reactor);
/* Lets the fiber that waits for `event` go on. From any thread. */
void reactor_make_ready(struct reactor *reactor, struct event *event);
