/*
 * datastore/postgres/pool.c - the pool of connections (room: datastore). One mutex; it is held across no wait but those on
 * the condition. Connections are opened and closed outside of it.
 */
#include "datastore/postgres/pool.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/random.h"

#define BACK_OFF_FIRST_MS 50u
#define BACK_OFF_LAST_MS  2000u
#define OPEN_MS_MAX       10000u  /* one attempt */
#define TRY_IDLE_MS       30000u  /* an idle connection is tried after this */
#define KEEP_IDLE_MS      300000u /* one beyond the minimum is closed after this */
#define TICK_MS           1000u

struct pg_pool {
    const struct pg_target *target;
    uint32_t timeout_ms;
    unsigned min;
    unsigned max;
    struct mutex lock;
    pthread_cond_t changed;
    struct pg_conn **idle; /* the last given back is taken first; room for `max` */
    unsigned idle_count;
    unsigned open_count;
    unsigned failures; /* in a row */
    uint64_t next_try_ms;
    uint64_t opened;
    uint64_t failed;
    struct shoal_data_error last_error;
    bool is_stopping;
    bool has_keeper;
    pthread_t keeper;
};

static uint64_t now(void)
{
    return clock_monotonic_ns() / 1000000;
}

uint64_t pg_back_off_ms(unsigned attempt)
{
    uint64_t wait_ms = BACK_OFF_FIRST_MS;
    for (unsigned i = 1; i < attempt && wait_ms < BACK_OFF_LAST_MS; i++)
        wait_ms *= 2;
    wait_ms = min_u64(wait_ms, BACK_OFF_LAST_MS);
    return wait_ms / 2 + random_u64() % (wait_ms / 2 + 1);
}

/* Waits for a change until the moment; may return early. */
static void wait_locked(struct pg_pool *pool, uint64_t until_ms) REQUIRES(pool->lock)
{
    struct timespec until = { .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000 };
    (void)pthread_cond_timedwait(&pool->changed, &pool->lock.pthread, &until); /* late is fine */
}

/* Opens one connection, for which open_count has been counted up already. The lock is let go meanwhile. */
static int32_t open_locked(struct pg_pool *pool, uint64_t wait_ms, struct pg_conn **out_conn,
    bool *out_is_final, struct shoal_data_error *error) REQUIRES(pool->lock)
{
    mutex_unlock(&pool->lock);
    int32_t status = pg_conn_open(pool->target, pool->timeout_ms,
        max_u64(min_u64(wait_ms, OPEN_MS_MAX), 1), out_conn, out_is_final, error);
    mutex_lock(&pool->lock);
    if (status == SHOAL_DATA_OK) {
        pool->failures = 0;
        pool->next_try_ms = 0;
        pool->opened++;
        return SHOAL_DATA_OK;
    }
    pool->open_count--;
    pool->failed++;
    pool->failures++;
    pool->next_try_ms = now() + pg_back_off_ms(pool->failures);
    pool->last_error = *error;
    (void)pthread_cond_broadcast(&pool->changed);
    return status;
}

/* ---- Lending ---- */

/* The idle connection last used that still lives; those that do not are closed. NULL: none. */
static struct pg_conn *take_idle_locked(struct pg_pool *pool) REQUIRES(pool->lock)
{
    while (pool->idle_count > 0) {
        struct pg_conn *conn = pool->idle[--pool->idle_count];
        if (pg_conn_is_sound(conn))
            return conn;
        pool->open_count--;
        pg_conn_close(conn); /* the peer is gone: this does not wait */
    }
    return NULL;
}

static int32_t fail_late_locked(
    struct pg_pool *pool, uint64_t waited_ms, struct shoal_data_error *error) REQUIRES(pool->lock)
{
    if (pool->failures == 0)
        return data_fail(error, SHOAL_DATA_UNAVAILABLE,
            "All %u connections to %s were in use for %llu ms.", pool->max, pool->target->shown,
            (unsigned long long)waited_ms);
    return data_fail(error, SHOAL_DATA_UNAVAILABLE, "No connection within %llu ms: %s",
        (unsigned long long)waited_ms, pool->last_error.message);
}

static int32_t get_locked(struct pg_pool *pool, uint64_t until_ms, struct pg_conn **out_conn,
    struct shoal_data_error *error) REQUIRES(pool->lock)
{
    uint64_t began_ms = now();
    for (;;) {
        *out_conn = take_idle_locked(pool);
        if (*out_conn != NULL)
            return SHOAL_DATA_OK;
        uint64_t now_ms = now();
        if (now_ms >= until_ms)
            return fail_late_locked(pool, now_ms - began_ms, error);
        bool has_room = pool->open_count < pool->max;
        if (has_room && now_ms >= pool->next_try_ms) {
            bool is_final;
            pool->open_count++;
            int32_t status = open_locked(pool, until_ms - now_ms, out_conn, &is_final, error);
            if (status == SHOAL_DATA_OK || is_final || status == SHOAL_DATA_NO_MEMORY)
                return status;
            continue;
        }
        wait_locked(pool, has_room ? min_u64(until_ms, pool->next_try_ms) : until_ms);
    }
}

int32_t pg_pool_get(struct pg_pool *pool, uint64_t until_ms, struct pg_conn **out_conn,
    struct shoal_data_error *error)
{
    mutex_lock(&pool->lock);
    int32_t status = get_locked(pool, until_ms, out_conn, error);
    mutex_unlock(&pool->lock);
    return status;
}

void pg_pool_put(struct pg_pool *pool, struct pg_conn *conn)
{
    bool is_sound = pg_conn_is_sound(conn);
    conn->wait_ms = conn->timeout_ms;
    conn->idle_since_ms = now();
    mutex_lock(&pool->lock);
    if (is_sound) {
        pool->idle[pool->idle_count++] = conn;
        conn = NULL;
    } else {
        pool->open_count--;
    }
    (void)pthread_cond_broadcast(&pool->changed);
    mutex_unlock(&pool->lock);
    pg_conn_close(conn);
}

void pg_pool_stats(struct pg_pool *pool, struct pg_pool_stats *out_stats)
{
    mutex_lock(&pool->lock);
    *out_stats = (struct pg_pool_stats){ .open = pool->open_count,
        .idle = pool->idle_count,
        .opened = pool->opened,
        .failed = pool->failed };
    mutex_unlock(&pool->lock);
}

/* ---- The keeper ---- */

/* Takes out the connection that has been idle longest, if that is longer than `idle_ms`. */
static struct pg_conn *take_oldest_locked(struct pg_pool *pool, uint64_t idle_ms)
    REQUIRES(pool->lock)
{
    if (pool->idle_count == 0 || now() - pool->idle[0]->idle_since_ms < idle_ms)
        return NULL;
    struct pg_conn *conn = pool->idle[0];
    pool->idle_count--;
    memmove(pool->idle, pool->idle + 1, pool->idle_count * sizeof(struct pg_conn *));
    return conn;
}

static void keep_locked(struct pg_pool *pool) REQUIRES(pool->lock)
{
    struct shoal_data_error error;
    struct pg_conn *conn = NULL;
    bool is_final;
    if (pool->open_count < pool->min && now() >= pool->next_try_ms) {
        pool->open_count++;
        if (open_locked(pool, OPEN_MS_MAX, &conn, &is_final, &error) == SHOAL_DATA_OK) {
            conn->idle_since_ms = now();
            pool->idle[pool->idle_count++] = conn;
            (void)pthread_cond_broadcast(&pool->changed);
        }
        return; /* one at a time: a crowd of workers that starts is no reason for a crowd of connections */
    }
    if (pool->open_count > pool->min && (conn = take_oldest_locked(pool, KEEP_IDLE_MS)) != NULL) {
        pool->open_count--;
        mutex_unlock(&pool->lock);
        pg_conn_close(conn);
        mutex_lock(&pool->lock);
        return;
    }
    conn = take_oldest_locked(pool, TRY_IDLE_MS);
    if (conn == NULL)
        return;
    mutex_unlock(&pool->lock);
    int32_t status = pg_command(conn, "SELECT 1", &error);
    (void)status; /* one that failed is not sound, and put() closes it */
    pg_pool_put(pool, conn);
    mutex_lock(&pool->lock);
}

static void *keeper_run(void *argument)
{
    struct pg_pool *pool = argument;
    mutex_lock(&pool->lock);
    while (!pool->is_stopping) {
        keep_locked(pool);
        bool is_short = pool->open_count < pool->min;
        uint64_t until_ms = is_short ? max_u64(pool->next_try_ms, now() + 1) : now() + TICK_MS;
        if (!pool->is_stopping)
            wait_locked(pool, until_ms);
    }
    mutex_unlock(&pool->lock);
    return NULL;
}

int32_t pg_pool_new(const struct pg_target *target, const struct shoal_data_options *options,
    struct pg_pool **out_pool, struct shoal_data_error *error)
{
    struct pg_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    pool->target = target;
    pool->timeout_ms = options->timeout_ms;
    pool->min = options->pool_min;
    pool->max = options->pool_max;
    (void)pthread_mutex_init(&pool->lock.pthread, NULL); /* cannot fail without attributes */
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    pool->idle = calloc(pool->max, sizeof(struct pg_conn *));
    if (pool->idle != NULL)
        pool->has_keeper = pthread_create(&pool->keeper, NULL, keeper_run, pool) == 0;
    if (!pool->has_keeper) {
        pg_pool_free(pool);
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory, or no thread, left.");
    }
    *out_pool = pool;
    return SHOAL_DATA_OK;
}

void pg_pool_free(struct pg_pool *pool)
{
    if (pool == NULL)
        return;
    if (pool->has_keeper) {
        mutex_lock(&pool->lock);
        pool->is_stopping = true;
        (void)pthread_cond_broadcast(&pool->changed);
        mutex_unlock(&pool->lock);
        (void)pthread_join(pool->keeper, NULL);
    }
    for (unsigned i = 0; pool->idle != NULL && i < pool->idle_count; i++)
        pg_conn_close(pool->idle[i]);
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->lock.pthread);
    free(pool->idle);
    free(pool);
}
