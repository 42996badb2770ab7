/*
 * datastore/postgres/pool.h - connections kept ready: at least so many, at most so many, none given out that is dead.
 *
 * Connections are opened when they are needed, and by a thread of the pool up to the minimum; that thread also tries the
 * idle ones from time to time and closes those beyond the minimum that nobody needs. After a failure the next attempt waits,
 * longer each time and never the same (exponential back-off with jitter). All functions are thread-safe.
 */
#pragma once

#include "datastore/postgres/conn.h"

struct pg_pool;

struct pg_pool_stats {
    unsigned open; /* connections there are, or are being opened */
    unsigned idle;
    uint64_t opened; /* ever */
    uint64_t failed; /* attempts, ever */
};

/* Makes the pool; no connection is opened yet. The caller owns *out_pool. `target` must outlive it. Errors: NO_MEMORY. */
MUST_CHECK int32_t pg_pool_new(const struct pg_target *target,
    const struct shoal_data_options *options, struct pg_pool **out_pool,
    struct shoal_data_error *error);
/* Ends the thread and closes the connections; all must have been given back. NULL is allowed. */
void pg_pool_free(struct pg_pool *pool);
/* Lends a connection, at the latest at `until_ms` of clock_monotonic_ns() / 10^6. Errors: UNAVAILABLE (all are in use,
 * or the database does not answer), PERMISSION and NOT_FOUND at once when the database turns us away for good. */
MUST_CHECK int32_t pg_pool_get(struct pg_pool *pool, uint64_t until_ms, struct pg_conn **out_conn,
    struct shoal_data_error *error);
/* Takes it back; one with an open transaction or a failure is closed. */
void pg_pool_put(struct pg_pool *pool, struct pg_conn *conn);
void pg_pool_stats(struct pg_pool *pool, struct pg_pool_stats *out_stats);
/* How long to wait before attempt number `attempt` (from 1): 50 ms doubled each time up to 2 s, half of it by chance. */
uint64_t pg_back_off_ms(unsigned attempt);
