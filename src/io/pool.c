/*
 * io/pool.c - threads for calls that block (room: I/O).
 */
#include "io/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/lock.h"
#include "io/reactor.h"

#define THREADS_MAX 64

struct pool {
    struct mutex lock;
    pthread_cond_t changed;
    struct pool_work *first; /* guarded by lock, as all below */
    struct pool_work **last;
    bool stopping;
    unsigned thread_count;
    pthread_t threads[THREADS_MAX];
};

static void *work_loop(void *argument)
{
    struct pool *pool = argument;
    mutex_lock(&pool->lock);
    for (;;) {
        while (pool->first == NULL && !pool->stopping)
            (void)pthread_cond_wait(&pool->changed, &pool->lock.pthread);
        struct pool_work *work = pool->first;
        if (work == NULL)
            break; /* stopping, and nothing is left */
        pool->first = work->next;
        if (pool->first == NULL)
            pool->last = &pool->first;
        mutex_unlock(&pool->lock);
        work->function(work->argument);
        mutex_lock(&pool->lock);
    }
    mutex_unlock(&pool->lock);
    return NULL;
}

int pool_new(unsigned thread_count, struct pool **out_pool)
{
    assert(thread_count >= 1 && thread_count <= THREADS_MAX);
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&pool->lock.pthread, NULL);
    (void)pthread_cond_init(&pool->changed, NULL);
    pool->last = &pool->first;
    for (unsigned i = 0; i < thread_count; i++) {
        int err = pthread_create(&pool->threads[i], NULL, work_loop, pool);
        if (err != 0) {
            pool_free(pool);
            return -err;
        }
        pool->thread_count++;
    }
    *out_pool = pool;
    return 0;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    mutex_lock(&pool->lock);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->changed);
    mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->lock.pthread);
    free(pool);
}

void pool_submit(struct pool *pool, struct pool_work *work)
{
    work->next = NULL;
    mutex_lock(&pool->lock);
    assert(!pool->stopping);
    *pool->last = work;
    pool->last = &work->next;
    (void)pthread_cond_signal(&pool->changed);
    mutex_unlock(&pool->lock);
}

struct pool_waiter {
    struct pool_work work;
    struct event done;
    void (*function)(void *argument);
    void *argument;
};

static void call_and_signal(void *argument)
{
    struct pool_waiter *waiter = argument;
    waiter->function(waiter->argument);
    event_signal(&waiter->done);
}

void pool_call(struct pool *pool, void (*function)(void *argument), void *argument)
{
    if (reactor_current() == NULL) {
        function(argument);
        return;
    }
    struct pool_waiter waiter = { .function = function, .argument = argument };
    waiter.work.function = call_and_signal;
    waiter.work.argument = &waiter;
    event_init(&waiter.done);
    pool_submit(pool, &waiter.work);
    event_wait(&waiter.done);
}
