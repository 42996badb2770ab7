/* The PostgreSQL backend while its server is killed and comes back: calls resume, nothing twice, nothing lost. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/base.h"
#include "datastore/shoal_data.h"
#include "tests/lib/pg_server.h"

#define WORKERS    4u
#define BARS_A_DAY 200u

static struct pg_server *server;

struct worker {
    struct shoal_data *store;
    unsigned number;
    const _Atomic bool *stop;
    uint64_t rounds; /* in which all calls were acknowledged */
    struct shoal_data_error error;
    int32_t status;
    pthread_t thread;
};

static struct shoal_data *open_store(const char *url, uint32_t timeout_ms)
{
    struct shoal_data_options options = { .struct_size = sizeof options,
        .create = 1,
        .timeout_ms = timeout_ms,
        .pool_min = 2,
        .pool_max = 8 };
    struct shoal_data *store = NULL;
    struct shoal_data_error error;
    if (shoal_data_open(url, &options, &store, &error) != SHOAL_DATA_OK)
        fail_msg("%s", error.message);
    return store;
}

static int32_t save_number(struct worker *worker, uint64_t number)
{
    char name[16];
    char json[32];
    (void)snprintf(name, sizeof name, "worker%u", worker->number);
    int size = snprintf(json, sizeof json, "%llu", (unsigned long long)number);
    struct shoal_data_document document = { .struct_size = sizeof document,
        .kind = SHOAL_DATA_BACKTEST,
        .name = name,
        .time_s = 1700000000,
        .json = json,
        .json_size = (uint64_t)size };
    return shoal_data_save_document(worker->store, &document, NULL, 0, &worker->error);
}

/* Appends a day's bars, the first of which correct the last ones of the day before. */
static int32_t append_day(struct worker *worker, uint64_t day)
{
    int64_t at[BARS_A_DAY];
    double price[BARS_A_DAY];
    char symbol[16];
    (void)snprintf(symbol, sizeof symbol, "S%u", worker->number);
    for (unsigned i = 0; i < BARS_A_DAY; i++) {
        at[i] = (int64_t)(day * BARS_A_DAY / 2 + i);
        price[i] = (double)day;
    }
    struct shoal_data_bars bars = { BARS_A_DAY, at, price, price, price, price, price };
    return shoal_data_append_bars(worker->store, symbol, "1m", &bars, &worker->error);
}

static int32_t save_version(struct worker *worker, uint64_t number)
{
    static const char filler[100000];
    char id[16];
    char metadata[32];
    uint64_t version = 0;
    (void)snprintf(id, sizeof id, "net%u", worker->number);
    (void)snprintf(metadata, sizeof metadata, "{\"n\": %llu}", (unsigned long long)number);
    int32_t status = shoal_data_save_checkpoint(
        worker->store, id, filler, sizeof filler, metadata, &version, &worker->error);
    if (status == SHOAL_DATA_OK && version != number + 1) {
        (void)snprintf(worker->error.message, sizeof worker->error.message,
            "version %llu instead of %llu", (unsigned long long)version,
            (unsigned long long)number + 1);
        return SHOAL_DATA_EXISTS;
    }
    return status;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    while (!atomic_load(worker->stop) && worker->status == SHOAL_DATA_OK) {
        worker->status = save_number(worker, worker->rounds);
        if (worker->status == SHOAL_DATA_OK)
            worker->status = append_day(worker, worker->rounds);
        if (worker->status == SHOAL_DATA_OK && worker->number == 0)
            worker->status = save_version(worker, worker->rounds);
        worker->rounds += worker->status == SHOAL_DATA_OK;
    }
    return NULL;
}

static void nap(unsigned ms)
{
    struct timespec wait = { .tv_nsec = (long)ms * 1000000 };
    (void)nanosleep(&wait, NULL);
}

static void expect(const char *url, const char *sql, uint64_t expected)
{
    char *text = pg_server_ask(url, sql);
    if (strtoull(text, NULL, 10) != expected)
        fail_msg("%s: %s instead of %llu", sql, text, (unsigned long long)expected);
    free(text);
}

static void check_worker(const char *url, const struct worker *worker)
{
    char sql[256];
    unsigned n = worker->number;
    (void)snprintf(
        sql, sizeof sql, "SELECT count(*) FROM shoal_data.documents WHERE name = 'worker%u'", n);
    expect(url, sql, worker->rounds);
    (void)snprintf(sql, sizeof sql,
        "SELECT count(DISTINCT body) FROM shoal_data.documents WHERE name = 'worker%u'", n);
    expect(url, sql, worker->rounds);
    /* Of each day its first half is what corrected the day before. */
    (void)snprintf(sql, sizeof sql,
        "SELECT count(*) FROM shoal_data.bars b JOIN shoal_data.series s ON s.id = b.series_id"
        " WHERE s.symbol = 'S%u' AND b.open = least(b.ts / %u, %llu)",
        n, BARS_A_DAY / 2, (unsigned long long)worker->rounds - 1);
    expect(url, sql, (worker->rounds + 1) * BARS_A_DAY / 2);
}

static void a_killed_server_costs_nothing_but_time(void **state)
{
    (void)state;
    char url[256];
    pg_server_new_database(server, url, sizeof url);
    struct shoal_data *store = open_store(url, 60000);
    _Atomic bool stop = false;
    struct worker workers[WORKERS];
    memset(workers, 0, sizeof workers);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].store = store;
        workers[i].number = i;
        workers[i].stop = &stop;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    static const int signals[] = { SIGKILL, SIGQUIT, SIGKILL, SIGQUIT };
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        nap(300 + 37 * (unsigned)i);
        pg_server_kill(server, signals[i]);
        pg_server_restart(server);
    }
    nap(300);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].status != SHOAL_DATA_OK)
            fail_msg("worker %u after %llu rounds: %s", i, (unsigned long long)workers[i].rounds,
                workers[i].error.message);
        assert_true(workers[i].rounds > 0);
        check_worker(url, &workers[i]);
    }
    expect(url, "SELECT count(*) FROM shoal_data.versions", workers[0].rounds);
    expect(url, "SELECT latest FROM shoal_data.checkpoints", workers[0].rounds);
    shoal_data_close(store);
}

static void sessions_that_are_ended_cost_nothing(void **state)
{
    (void)state;
    char url[256];
    pg_server_new_database(server, url, sizeof url);
    struct shoal_data *store = open_store(url, 60000);
    _Atomic bool stop = false;
    struct worker worker = { .store = store, .stop = &stop };
    assert_int_equal(pthread_create(&worker.thread, NULL, work, &worker), 0);
    for (unsigned i = 0; i < 60; i++) {
        nap(10 + i % 7);
        free(pg_server_ask(url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                " WHERE datname = current_database() AND pid <> pg_backend_pid()"));
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(worker.thread, NULL), 0);
    if (worker.status != SHOAL_DATA_OK)
        fail_msg("after %llu rounds: %s", (unsigned long long)worker.rounds, worker.error.message);
    check_worker(url, &worker);
    shoal_data_close(store);
}

static void a_server_that_is_away_is_a_bounded_wait(void **state)
{
    (void)state;
    char url[256];
    pg_server_new_database(server, url, sizeof url);
    struct shoal_data *store = open_store(url, 300);
    struct worker worker = { .store = store };
    assert_int_equal(save_number(&worker, 1), SHOAL_DATA_OK);
    pg_server_kill(server, SIGQUIT);
    assert_int_equal(save_number(&worker, 2), SHOAL_DATA_UNAVAILABLE);
    assert_int_equal(append_day(&worker, 0), SHOAL_DATA_UNAVAILABLE);
    struct shoal_data_list *list = NULL;
    assert_int_equal(
        shoal_data_list_checkpoints(store, &list, &worker.error), SHOAL_DATA_UNAVAILABLE);
    struct shoal_data_health health;
    assert_int_equal(shoal_data_health(store, &health, &worker.error), SHOAL_DATA_OK);
    assert_int_equal(health.is_ok, 0);
    assert_true(strlen(health.detail) > 0);
    struct shoal_data *other = NULL;
    struct shoal_data_options options = { .struct_size = sizeof options, .timeout_ms = 300 };
    assert_int_equal(shoal_data_open(url, &options, &other, &worker.error), SHOAL_DATA_UNAVAILABLE);
    pg_server_restart(server);
    int32_t status = SHOAL_DATA_UNAVAILABLE;
    for (int i = 0; i < 50 && status == SHOAL_DATA_UNAVAILABLE;
         i++) /* each may wait out its back-off */
        status = save_number(&worker, 3);
    assert_int_equal(status, SHOAL_DATA_OK);
    shoal_data_close(store);
}

int main(void)
{
    server = pg_server_start();
    if (server == NULL)
        return 77; /* PostgreSQL is not installed */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_server_costs_nothing_but_time),
        cmocka_unit_test(sessions_that_are_ended_cost_nothing),
        cmocka_unit_test(a_server_that_is_away_is_a_bounded_wait),
    };
    int failed = cmocka_run_group_tests_name("postgres faults", tests, NULL, NULL);
    pg_server_free(server);
    return failed;
}
