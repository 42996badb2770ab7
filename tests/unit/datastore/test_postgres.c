/* The PostgreSQL backend: the contract, and what is true of a database only. */
#include "contract.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "datastore/postgres/pool.h"
#include "datastore/postgres/schema.h"
#include "tests/lib/pg_server.h"

static struct pg_server *server;

static char *make_store(void)
{
    char url[256];
    pg_server_new_database(server, url, sizeof url);
    return strdup(url);
}

static void destroy_store(const char *url)
{
    (void)url; /* goes with the server */
}

static int32_t reopen(const char *url, uint32_t create, struct shoal_data_error *error)
{
    struct shoal_data_options options = {
        .struct_size = sizeof options, .create = create, .pool_min = 1, .timeout_ms = 3000
    };
    struct shoal_data *store = NULL;
    int32_t status = shoal_data_open(url, &options, &store, error);
    shoal_data_close(status == SHOAL_DATA_OK ? store : NULL);
    return status;
}

/* ---- Opening ---- */

static void a_newer_schema_is_refused(void **state)
{
    struct contract *contract = *state;
    free(pg_server_ask(
        contract->url, "INSERT INTO shoal_data.schema_version (version) VALUES (1000)"));
    assert_status(contract, SHOAL_DATA_SCHEMA_MISMATCH, reopen(contract->url, 1, &contract->error));
    assert_non_null(strstr(contract->error.message, "1000"));
}

static void a_database_without_schema_is_made_only_when_asked(void **state)
{
    struct contract *contract = *state;
    char *url = make_store();
    assert_status(contract, SHOAL_DATA_NOT_FOUND, reopen(url, 0, &contract->error));
    assert_status(contract, SHOAL_DATA_OK, reopen(url, 1, &contract->error));
    assert_status(contract, SHOAL_DATA_OK, reopen(url, 0, &contract->error));
    char *version = pg_server_ask(url, "SELECT max(version) FROM shoal_data.schema_version");
    assert_int_equal(strtol(version, NULL, 10), pg_schema_version());
    free(version);
    free(url);
}

static void *open_in_thread(void *url)
{
    struct shoal_data_error error;
    return reopen(url, 1, &error) == SHOAL_DATA_OK ? NULL : strdup(error.message);
}

static void many_may_make_the_schema_at_once(void **state)
{
    (void)state;
    char *url = make_store();
    pthread_t threads[8];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_in_thread, url), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        if (failed != NULL)
            fail_msg("%s", (char *)failed);
    }
    free(url);
}

static void a_password_never_shows(void **state)
{
    struct contract *contract = *state;
    static const char *const urls[] = {
        "postgresql://ada:s3cret-word@127.0.0.1:1/db",
        "postgresql://ada:s3cret-word@127.0.0.1:1/db?sslmode=s3cret-word",
        "postgresql://ada:s3cret-word@host@127.0.0.1/db",
        "postgresql://ada:@s3cret-word@127.0.0.1:1/db",
        "postgresql://ada:s3cret-word%zz@127.0.0.1/db",
        "postgresql://ada:s3cret-word?@127.0.0.1/db",
        "postgresql://ada:s3cret-word/x@127.0.0.1/db",
        "postgresql://ada@127.0.0.1:1/db?password=s3cret-word&port=x",
        "postgresql://ada@127.0.0.1:1/db?s3cret-word",
    };
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct shoal_data_options options = {
            .struct_size = sizeof options, .pool_min = 1, .timeout_ms = 200
        };
        struct shoal_data *store = NULL;
        assert_int_not_equal(
            shoal_data_open(urls[i], &options, &store, &contract->error), SHOAL_DATA_OK);
        if (strstr(contract->error.message, "s3cret") != NULL)
            fail_msg("%s", contract->error.message);
    }
    struct pg_target *target = NULL;
    assert_int_equal(pg_target_parse("postgresql://ada:s3cret-word@h:1/db", &target, NULL), 0);
    assert_string_equal(target->shown, "postgresql://ada@h:1/db");
    char text[64];
    pg_target_scrub(target, text, sizeof text, "no s3cret-word\nhere\n");
    assert_string_equal(text, "no *** here");
    pg_target_free(target);
}

static void who_is_turned_away_hears_it_at_once(void **state)
{
    struct contract *contract = *state;
    char url[512];
    const char *query = strchr(contract->url, '?');
    (void)snprintf(url, sizeof url, "postgresql://shoal@/nowhere%s", query);
    assert_status(contract, SHOAL_DATA_NOT_FOUND, reopen(url, 1, &contract->error));
    assert_non_null(strstr(contract->error.message, "nowhere"));
}

/* ---- The pool ---- */

static void wait_for_idle(struct pg_pool *pool, unsigned wanted)
{
    struct pg_pool_stats stats;
    for (int i = 0; i < 500; i++) {
        pg_pool_stats(pool, &stats);
        if (stats.idle >= wanted)
            return;
        struct timespec wait = { .tv_nsec = 20000000 };
        (void)nanosleep(&wait, NULL);
    }
    fail_msg("%u connections are idle, not %u", stats.idle, wanted);
}

static void the_pool_keeps_its_limits(void **state)
{
    struct contract *contract = *state;
    struct shoal_data_options options = { .pool_min = 2, .pool_max = 3, .timeout_ms = 1000 };
    struct pg_target *target = NULL;
    struct pg_pool *pool = NULL;
    struct pg_conn *conns[3];
    struct pg_conn *none = NULL;
    assert_status(
        contract, SHOAL_DATA_OK, pg_target_parse(contract->url, &target, &contract->error));
    assert_status(contract, SHOAL_DATA_OK, pg_pool_new(target, &options, &pool, &contract->error));
    wait_for_idle(pool, 2);
    uint64_t later = UINT64_MAX / 2;
    for (size_t i = 0; i < ARRAY_SIZE(conns); i++)
        assert_status(
            contract, SHOAL_DATA_OK, pg_pool_get(pool, later, &conns[i], &contract->error));
    assert_status(contract, SHOAL_DATA_UNAVAILABLE, pg_pool_get(pool, 0, &none, &contract->error));
    assert_non_null(strstr(contract->error.message, "All 3 connections"));
    /* One whose server process has gone is not lent again. */
    int pid = PQbackendPID(conns[0]->pg);
    char sql[80];
    (void)snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)", pid);
    pg_pool_put(pool, conns[0]);
    free(pg_server_ask(contract->url, sql));
    assert_status(contract, SHOAL_DATA_OK, pg_pool_get(pool, later, &conns[0], &contract->error));
    assert_int_not_equal(PQbackendPID(conns[0]->pg), pid);
    assert_status(contract, SHOAL_DATA_OK, pg_command(conns[0], "SELECT 1", &contract->error));
    /* One left in a transaction is closed. */
    assert_status(contract, SHOAL_DATA_OK, pg_begin(conns[1], 0, &contract->error));
    for (size_t i = 0; i < ARRAY_SIZE(conns); i++)
        pg_pool_put(pool, conns[i]);
    struct pg_pool_stats stats;
    pg_pool_stats(pool, &stats);
    assert_int_equal(stats.open, 2);
    pg_pool_free(pool);
    pg_target_free(target);
}

static void a_lost_prepared_statement_is_survived(void **state)
{
    struct contract *contract = *state;
    static const struct pg_statement ask = { "ask", "SELECT 7" };
    struct shoal_data_options options = { .pool_min = 1, .pool_max = 1, .timeout_ms = 1000 };
    struct pg_target *target = NULL;
    struct pg_pool *pool = NULL;
    struct pg_conn *conn = NULL;
    assert_status(
        contract, SHOAL_DATA_OK, pg_target_parse(contract->url, &target, &contract->error));
    assert_status(contract, SHOAL_DATA_OK, pg_pool_new(target, &options, &pool, &contract->error));
    assert_status(
        contract, SHOAL_DATA_OK, pg_pool_get(pool, UINT64_MAX / 2, &conn, &contract->error));
    PGresult *result = NULL;
    assert_status(contract, SHOAL_DATA_OK, pg_query(conn, &ask, NULL, &result, &contract->error));
    assert_int_equal(pg_int4(result, 0, 0), 7);
    PQclear(result);
    assert_status(contract, SHOAL_DATA_OK, pg_command(conn, "DEALLOCATE ALL", &contract->error));
    assert_status(
        contract, SHOAL_DATA_UNAVAILABLE, pg_query(conn, &ask, NULL, NULL, &contract->error));
    assert_true(conn->may_retry && !conn->may_prepare);
    assert_status(contract, SHOAL_DATA_OK, pg_query(conn, &ask, NULL, NULL, &contract->error));
    pg_pool_put(pool, conn);
    pg_pool_free(pool);
    pg_target_free(target);
}

static void waiting_longer_each_time_has_an_end(void **state)
{
    (void)state;
    for (unsigned attempt = 1; attempt < 100; attempt++) {
        uint64_t most = attempt > 6 ? 2000 : 50u << (attempt - 1);
        uint64_t wait_ms = pg_back_off_ms(attempt);
        assert_in_range(wait_ms, min_u64(most, 2000) / 2, min_u64(most, 2000));
    }
}

/* ---- Data ---- */

static void damaged_rows_are_named(void **state)
{
    struct contract *contract = *state;
    char data[3000];
    memset(data, 'x', sizeof data);
    uint64_t version = 0;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_save_checkpoint(
            contract->store, "net", data, sizeof data, NULL, &version, &contract->error));
    free(pg_server_ask(contract->url, "UPDATE shoal_data.chunks SET data = set_byte(data, 7, 0)"));
    struct shoal_data_checkpoint *checkpoint = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_checkpoint_open(contract->store, "net", 0, &checkpoint, &contract->error));
    assert_status(contract, SHOAL_DATA_CHECKSUM,
        shoal_data_checkpoint_read(checkpoint, 0, data, sizeof data, &contract->error));
    assert_non_null(strstr(contract->error.message, "net"));
    free(pg_server_ask(contract->url, "DELETE FROM shoal_data.chunks"));
    assert_status(contract, SHOAL_DATA_CHECKSUM,
        shoal_data_checkpoint_read(checkpoint, 0, data, sizeof data, &contract->error));
    shoal_data_checkpoint_close(checkpoint);
}

static int64_t count_of(const struct contract *contract, const char *table)
{
    char sql[80];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM shoal_data.%s", table);
    char *text = pg_server_ask(contract->url, sql);
    int64_t count = strtoll(text, NULL, 10);
    free(text);
    return count;
}

static void removed_checkpoints_leave_no_rows(void **state)
{
    struct contract *contract = *state;
    static char data[(3 << 20) + 5];
    uint64_t version = 0;
    for (int i = 0; i < 3; i++)
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_save_checkpoint(
                contract->store, "net", data, sizeof data, NULL, &version, &contract->error));
    assert_int_equal(version, 3);
    assert_int_equal(count_of(contract, "chunks"), 12);
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_delete_checkpoint(contract->store, "net", 2, &contract->error));
    assert_int_equal(count_of(contract, "chunks"), 8);
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_delete_checkpoint(contract->store, "net", 0, &contract->error));
    assert_int_equal(count_of(contract, "chunks"), 0);
    assert_int_equal(count_of(contract, "shards"), 0);
}

static void clean_up_goes_by_the_time_of_writing(void **state)
{
    struct contract *contract = *state;
    const int64_t at[] = { 1, 2 };
    const double price[] = { 1, 2 };
    struct shoal_data_bars bars = { 2, at, price, price, price, price, price };
    struct shoal_data_document document = { .struct_size = sizeof document,
        .kind = SHOAL_DATA_GENERATION,
        .name = "best",
        .generation = 4,
        .time_s = 1000,
        .json = "[1]",
        .json_size = 3 };
    char id[512];
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_append_bars(contract->store, "A", "1m", &bars, &contract->error));
    for (int i = 0; i < 2; i++)
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_save_document(contract->store, &document, id, sizeof id, &contract->error));
    free(pg_server_ask(contract->url, "UPDATE shoal_data.bars SET written_min = 5 WHERE ts = 1"));
    free(pg_server_ask(contract->url, "UPDATE shoal_data.documents SET saved_s = 5 WHERE id ="
                                      " (SELECT min(id) FROM shoal_data.documents)"));
    struct shoal_data_clean_options options = { .struct_size = sizeof options, .dry_run = 1 };
    struct shoal_data_report *report = NULL;
    struct shoal_data_report_row total;
    static const uint64_t expected[] = { 2, 2, 0 };
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) { /* dry, real, again */
        assert_status(contract, SHOAL_DATA_OK,
            shoal_data_clean(contract->store, &options, &report, &contract->error));
        shoal_data_report_total(report, &total);
        assert_int_equal(total.files, expected[i]);
        shoal_data_report_free(report);
        options.dry_run = 0;
    }
    assert_int_equal(count_of(contract, "bars"), 1);
    assert_int_equal(count_of(contract, "documents"), 1);
}

int main(void)
{
    server = pg_server_start();
    if (server == NULL)
        return 77; /* PostgreSQL is not installed */
    const struct contract_backend backend = { .make = make_store, .destroy = destroy_store };
    int failed = contract_run(&backend);
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(a_newer_schema_is_refused),
        CONTRACT_TEST(a_database_without_schema_is_made_only_when_asked),
        CONTRACT_TEST(many_may_make_the_schema_at_once),
        CONTRACT_TEST(a_password_never_shows),
        CONTRACT_TEST(who_is_turned_away_hears_it_at_once),
        CONTRACT_TEST(the_pool_keeps_its_limits),
        CONTRACT_TEST(a_lost_prepared_statement_is_survived),
        CONTRACT_TEST(waiting_longer_each_time_has_an_end),
        CONTRACT_TEST(damaged_rows_are_named),
        CONTRACT_TEST(removed_checkpoints_leave_no_rows),
        CONTRACT_TEST(clean_up_goes_by_the_time_of_writing),
    };
    failed += cmocka_run_group_tests_name("postgres", tests, NULL, NULL);
    pg_server_free(server);
    return failed;
}
