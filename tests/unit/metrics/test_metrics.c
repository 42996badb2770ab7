/* tests/unit/metrics/test_metrics.c - counting over threads, and the text that Prometheus reads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "metrics/metrics.h"

#define ADDITIONS 100000

static char *exposition(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    assert_int_equal(metrics_write(to), 0);
    assert_int_equal(fclose(to), 0);
    return text;
}

static void *count_much(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < ADDITIONS; i++)
        metrics_add(METRIC_NFS_READ_BYTES, 0, 3);
    return NULL;
}

static void what_ended_threads_counted_is_kept(void **state)
{
    (void)state;
    uint64_t before = metrics_read(METRIC_NFS_READ_BYTES, 0);
    for (unsigned round = 0; round < 3; round++) {
        pthread_t threads[4];
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_much, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(
        metrics_read(METRIC_NFS_READ_BYTES, 0) - before, UINT64_C(3) * 3 * 4 * ADDITIONS);
}

static void a_histogram_counts_each_duration_in_one_bucket(void **state)
{
    (void)state;
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, 0);
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, 1000);
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, 1001);
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, 2000);
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, 3000);
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, UINT64_C(16777216) * 1000);
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, UINT64_C(3600) * 1000 * 1000 * 1000);
    assert_int_equal(metrics_read(METRIC_ENGINE_COMMIT_SECONDS, 0), 7);
    char *text = exposition();
    assert_non_null(strstr(text, "shoal_engine_commit_duration_seconds_bucket{le=\"1e-06\"} 2\n"));
    assert_non_null(strstr(text, "shoal_engine_commit_duration_seconds_bucket{le=\"2e-06\"} 4\n"));
    assert_non_null(strstr(text, "shoal_engine_commit_duration_seconds_bucket{le=\"4e-06\"} 5\n"));
    assert_non_null(
        strstr(text, "shoal_engine_commit_duration_seconds_bucket{le=\"16.777216\"} 6\n"));
    assert_non_null(strstr(text, "shoal_engine_commit_duration_seconds_bucket{le=\"+Inf\"} 7\n"));
    assert_non_null(strstr(text, "shoal_engine_commit_duration_seconds_count 7\n"));
    assert_non_null(strstr(text, "shoal_engine_commit_duration_seconds_sum 3616.777223001\n"));
    free(text);
}

static void labels_are_printed_by_name_and_only_when_they_occurred(void **state)
{
    (void)state;
    static const char *const names[] = { NULL, NULL, NULL, "ACCESS", "CLOSE" };
    metrics_name_label(METRIC_LABEL_NFS_OP, names, ARRAY_SIZE(names));
    metrics_add(METRIC_NFS_OP_ERRORS, 3, 2);
    metrics_add(METRIC_NFS_OP_ERRORS, 79, 1);
    metrics_observe(METRIC_NFS_OP_SECONDS, 4, 500);
    char *text = exposition();
    assert_non_null(strstr(text, "shoal_nfs_op_errors_total{op=\"ACCESS\"} 2\n"));
    assert_non_null(strstr(text, "shoal_nfs_op_errors_total{op=\"79\"} 1\n"));
    assert_null(strstr(text, "shoal_nfs_op_errors_total{op=\"CLOSE\"}"));
    assert_non_null(
        strstr(text, "shoal_nfs_op_duration_seconds_bucket{op=\"CLOSE\",le=\"1e-06\"} 1\n"));
    assert_non_null(strstr(text, "shoal_nfs_op_duration_seconds_count{op=\"CLOSE\"} 1\n"));
    free(text);
}

static void gauges_keep_the_last_value(void **state)
{
    (void)state;
    metrics_set(METRIC_RPC_CONNECTIONS, 9);
    metrics_set(METRIC_RPC_CONNECTIONS, 4);
    char *text = exposition();
    assert_non_null(strstr(text, "# TYPE shoal_rpc_open_connections gauge\n"));
    assert_non_null(strstr(text, "\nshoal_rpc_open_connections 4\n"));
    free(text);
}

static void every_row_has_help_and_a_type(void **state)
{
    (void)state;
    char *text = exposition();
    unsigned helps = 0;
    for (const char *at = text; (at = strstr(at, "# HELP ")) != NULL; at++)
        helps++;
    assert_int_equal(helps, METRIC_COUNT + 1); /* and the build's */
    free(text);
}

static void a_stream_that_takes_nothing_is_an_error(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(metrics_write(full), -EIO);
    (void)fclose(full); /* fails as it must */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ended_threads_counted_is_kept),
        cmocka_unit_test(a_histogram_counts_each_duration_in_one_bucket),
        cmocka_unit_test(labels_are_printed_by_name_and_only_when_they_occurred),
        cmocka_unit_test(gauges_keep_the_last_value),
        cmocka_unit_test(every_row_has_help_and_a_type),
        cmocka_unit_test(a_stream_that_takes_nothing_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
