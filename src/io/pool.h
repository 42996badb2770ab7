/*
 * io/pool.h - threads for calls that block (files, RocksDB), so that reactors do not.
 */
#pragma once

#include "io/event.h"

struct pool;

/* Starts `thread_count` (1..64) threads. Errors: -EAGAIN, -ENOMEM. */
MUST_CHECK int pool_new(unsigned thread_count, struct pool **out_pool);
/* Finishes what is queued, ends the threads. NULL is allowed. */
void pool_free(struct pool *pool);

/* Runs `function(argument)` on a thread of the pool and waits for it; in a fiber others run
 * meanwhile. Called from an ordinary thread it simply calls the function. */
void pool_call(struct pool *pool, void (*function)(void *argument), void *argument);

/* Runs `function(argument)` on a thread of the pool some time later. `work` belongs to the pool
 * until then. */
struct pool_work {
    struct pool_work *next;
    void (*function)(void *argument);
    void *argument;
};
void pool_submit(struct pool *pool, struct pool_work *work);
