/*
 * tests/bench/drive.c - drives one workload on all connections: fills the slots, and for each reply that
 * comes sends the next request of its slot, as many as possible in one system call.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"

#define EVENTS_MAX 64

struct driver {
    pthread_t thread;
    struct bench *bench;
    const struct phase *phase;
    uint32_t index; /* drives connections index, index + threads, ... */
    uint32_t outstanding;
    int epoll_fd;
    int err;
    struct counters counters;
};

static void send_step(struct conn *conn, struct slot *slot)
{
    struct request request;
    request_begin(conn, slot, &request);
    conn->phase->workload->encode(conn, slot, &request);
    request_end(&request);
}

/* Starts the slot's next operation; false when there is none. */
static bool begin_operation(struct driver *driver, struct conn *conn, struct slot *slot)
{
    const struct phase *phase = driver->phase;
    bool is_over = (phase->deadline_ns != 0 && conn->now_ns >= phase->deadline_ns) ||
                   driver->counters.errors >= ERRORS_MAX;
    if (is_over || !phase->workload->begin(conn, slot))
        return false;
    slot->step = 0;
    slot->started_ns = conn->now_ns;
    send_step(conn, slot);
    return true;
}

static void count_error(
    struct driver *driver, struct conn *conn, const struct slot *slot, const struct reply *reply)
{
    if (driver->counters.errors++ == 0)
        (void)fprintf(stderr, "%s: connection %u, item %llu, step %u: %s (status %u)\n",
            driver->phase->workload->name, conn->index, (unsigned long long)slot->number,
            slot->step, reply->status == NFS4_OK ? "not the answer it must be" : "refused",
            reply->status);
}

/* Handles the answer to a slot's step and sends what comes next; false when the slot stops. */
static bool handle_reply(
    struct driver *driver, struct conn *conn, struct slot *slot, struct reply *reply)
{
    if (reply->status == NFS4ERR_DELAY) {
        driver->counters.delays++;
        send_step(conn, slot);
        return true;
    }
    bool is_tolerated = reply->status != NFS4_OK && reply->status == driver->phase->tolerated;
    enum outcome outcome = OUTCOME_WRONG;
    if (is_tolerated)
        outcome = OUTCOME_DONE;
    else if (reply->status == NFS4_OK)
        outcome = driver->phase->workload->answer(conn, slot, reply);
    if (outcome == OUTCOME_NEXT) {
        slot->step++;
        send_step(conn, slot);
        return true;
    }
    if (outcome == OUTCOME_WRONG) {
        count_error(driver, conn, slot, reply);
    } else {
        driver->counters.operations++;
        driver->counters.bytes += driver->phase->io_size;
        histogram_add(&driver->counters.latency, conn->now_ns - slot->started_ns);
    }
    return begin_operation(driver, conn, slot);
}

/* Receives once and handles all records that are there. */
static int handle_some(struct driver *driver, struct conn *conn)
{
    int err = conn_receive(conn);
    if (err < 0)
        return err;
    conn->now_ns = clock_monotonic_ns();
    struct slice record;
    while ((err = conn_next_record(conn, &record)) > 0) {
        uint32_t slot_index;
        struct reply reply;
        if (!reply_begin(conn, record, &slot_index, &reply) ||
            slot_index >= conn->options->in_flight || !reply_sequence(&reply))
            return -EPROTO;
        if (!handle_reply(driver, conn, &conn->slots[slot_index], &reply))
            driver->outstanding--;
    }
    return err < 0 ? err : conn_flush(conn);
}

static int handle_input(struct driver *driver, struct conn *conn)
{
    int err;
    do {
        err = handle_some(driver, conn);
    } while (err == 0 && conn->has_unread);
    return err;
}

static int start_conn(struct driver *driver, struct conn *conn)
{
    conn->phase = driver->phase;
    conn->counters = &driver->counters;
    conn->epoll_fd = driver->epoll_fd;
    conn->waits_to_send = false;
    conn->next_number = 0;
    conn->now_ns = clock_monotonic_ns();
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
    if (epoll_ctl(driver->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        return -errno;
    for (uint32_t i = 0; i < conn->options->in_flight; i++) {
        if (!begin_operation(driver, conn, &conn->slots[i]))
            break;
        driver->outstanding++;
    }
    return conn_flush(conn);
}

static int drive_until_done(struct driver *driver)
{
    const struct options *options = &driver->bench->options;
    for (uint32_t i = driver->index; i < options->connections; i += options->threads) {
        int err = start_conn(driver, &driver->bench->conns[i]);
        if (err < 0)
            return err;
    }
    while (driver->outstanding > 0) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(driver->epoll_fd, events, EVENTS_MAX, SILENCE_MAX_MS);
        if (count == 0)
            return -ETIMEDOUT;
        if (count < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < count; i++) {
            int err = handle_input(driver, events[i].data.ptr);
            if (err < 0)
                return err;
        }
    }
    return 0;
}

static void *driver_main(void *context)
{
    struct driver *driver = context;
    driver->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    driver->err = driver->epoll_fd < 0 ? -errno : drive_until_done(driver);
    const struct options *options = &driver->bench->options;
    for (uint32_t i = driver->index; i < options->connections; i += options->threads)
        driver->bench->conns[i].epoll_fd = -1;
    if (driver->epoll_fd >= 0)
        (void)close(driver->epoll_fd); /* only watched */
    return NULL;
}

int drive(struct bench *bench, const struct phase *phase, struct counters *out_counters)
{
    uint32_t thread_count = bench->options.threads;
    struct driver *drivers = calloc(thread_count, sizeof *drivers);
    if (drivers == NULL)
        return -ENOMEM;
    int err = 0;
    uint32_t started = 0;
    while (started < thread_count && err == 0) {
        struct driver *driver = &drivers[started];
        *driver = (struct driver){ .bench = bench, .phase = phase, .index = started };
        err = -pthread_create(&driver->thread, NULL, driver_main, driver);
        started += err == 0;
    }
    *out_counters = (struct counters){ 0 };
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(drivers[i].thread, NULL); /* ours, joined once */
        if (drivers[i].err < 0)
            err = drivers[i].err;
        out_counters->operations += drivers[i].counters.operations;
        out_counters->bytes += drivers[i].counters.bytes;
        out_counters->errors += drivers[i].counters.errors;
        out_counters->delays += drivers[i].counters.delays;
        histogram_merge(&out_counters->latency, &drivers[i].counters.latency);
    }
    free(drivers);
    return err;
}
