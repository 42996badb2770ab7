/* tests/unit/io/test_reactor.c - fibers that wait, sources, tasks and the pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "io/pool.h"
#include "io/reactor.h"

#define WAITERS 500

struct fixture {
    struct reactor *reactor;
    struct pool *pool;
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(reactor_new(64, &f->reactor), 0);
    assert_int_equal(pool_new(4, &f->pool), 0);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    pool_free(f->pool);
    reactor_free(f->reactor);
    free(f);
    return 0;
}

struct waiter {
    struct reactor_task task;
    struct event go;   /* signalled by the test */
    struct event done; /* signalled by the waiter */
    struct pool *pool;
    pthread_t thread_before;
    bool same_thread;
    int steps;
};

static void count_step(void *argument)
{
    ((struct waiter *)argument)->steps++;
}

static void wait_then_call_pool(struct reactor_task *task)
{
    struct waiter *waiter = CONTAINER_OF(task, struct waiter, task);
    waiter->thread_before = pthread_self();
    event_wait(&waiter->go);
    for (int i = 0; i < 3; i++)
        pool_call(waiter->pool, count_step, waiter);
    waiter->same_thread = pthread_equal(waiter->thread_before, pthread_self()) != 0;
    event_signal(&waiter->done);
}

static void many_fibers_wait_at_once_and_each_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct waiter *waiters = calloc(WAITERS, sizeof *waiters);
    assert_non_null(waiters);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].task.run = wait_then_call_pool;
        waiters[i].pool = f->pool;
        event_init(&waiters[i].go);
        event_init(&waiters[i].done);
        reactor_post(f->reactor, &waiters[i].task);
    }
    for (int i = WAITERS - 1; i >= 0; i--)
        event_signal(&waiters[i].go);
    for (int i = 0; i < WAITERS; i++) {
        event_wait(&waiters[i].done);
        assert_int_equal(waiters[i].steps, 3);
        assert_true(waiters[i].same_thread);
    }
    free(waiters);
}

struct echo {
    struct reactor_source source;
    struct reactor_task add;
    struct reactor *reactor;
    struct event closed;
    int bytes;
};

static void count_bytes(struct reactor_source *source, uint32_t events)
{
    (void)events;
    struct echo *echo = CONTAINER_OF(source, struct echo, source);
    char buffer[16];
    ssize_t n = read(source->fd, buffer, sizeof buffer);
    if (n > 0) {
        echo->bytes += (int)n;
        return;
    }
    reactor_remove(echo->reactor, source);
    event_signal(&echo->closed);
}

static void add_echo(struct reactor_task *task)
{
    struct echo *echo = CONTAINER_OF(task, struct echo, add);
    assert_int_equal(reactor_add(echo->reactor, &echo->source, EPOLLIN), 0);
}

static void sources_are_called_until_they_are_removed(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct echo echo = { .reactor = f->reactor };
    echo.source.fd = fds[0];
    echo.source.ready = count_bytes;
    echo.add.run = add_echo;
    event_init(&echo.closed);
    reactor_post(f->reactor, &echo.add);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fds[1], "0123456789", 10), 10);
    (void)close(fds[1]);
    event_wait(&echo.closed);
    assert_int_equal(echo.bytes, 1000);
    (void)close(fds[0]);
}

static void *signal_later(void *argument)
{
    (void)usleep(20000);
    event_signal(argument);
    return NULL;
}

static void a_thread_may_wait_and_a_signal_may_come_first(void **state)
{
    (void)state;
    struct event event;
    event_init(&event);
    event_signal(&event);
    event_wait(&event);
    pthread_t thread;
    event_init(&event);
    assert_int_equal(pthread_create(&thread, NULL, signal_later, &event), 0);
    event_wait(&event);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void pool_call_on_a_thread_runs_in_place(void **state)
{
    struct fixture *f = *state;
    struct waiter waiter = { 0 };
    pool_call(f->pool, count_step, &waiter);
    assert_int_equal(waiter.steps, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            many_fibers_wait_at_once_and_each_goes_on_where_it_was, start, stop),
        cmocka_unit_test_setup_teardown(sources_are_called_until_they_are_removed, start, stop),
        cmocka_unit_test(a_thread_may_wait_and_a_signal_may_come_first),
        cmocka_unit_test_setup_teardown(pool_call_on_a_thread_runs_in_place, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
