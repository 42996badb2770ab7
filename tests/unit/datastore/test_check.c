/* Names, timeframes, JSON and rules that both backends refuse or accept, and names as parts of file names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "datastore/files/files.h"

static void names_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = { "AAPL", "BRK.B", "BTC/USD", "ES_F", "^GSPC", "a b", "Ünï",
        "日経225", "EURUSD=X", "100%", "a..b", "-x" };
    static const char *const bad[] = { "", ".", "..", ".hidden", "/etc/passwd", "../../etc/passwd",
        "a/../b", "a/..", "a//b", "a/", "a/./b", "x\n", "x\x7f", "\xc2\x85", "\xff", "\xc0\xaf",
        "\xed\xa0\x80", "a\\b", " a", "a ",
        "12345678901234567890123456789012345678901234567890123456789012345" };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(data_check_name("symbol", good[i], NULL), SHOAL_DATA_OK);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct shoal_data_error error;
        assert_int_equal(data_check_name("symbol", bad[i], &error), SHOAL_DATA_INVALID);
        assert_int_equal(error.status, SHOAL_DATA_INVALID);
        assert_non_null(strstr(error.message, "symbol"));
    }
}

static void escaped_names_come_back(void **state)
{
    (void)state;
    static const char *const names[] = { "AAPL", "BTC/USD", "100%", "%2F", "a_b", "日経225",
        "a:b*?" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        for (int is_part = 0; is_part < 2; is_part++) {
            char escaped[FILES_ESCAPED_SIZE];
            char back[DATA_NAME_SIZE_MAX + 1];
            files_escape(escaped, names[i], is_part);
            assert_null(strchr(escaped, '/'));
            assert_true(!is_part || strchr(escaped, '_') == NULL);
            assert_int_equal(files_unescape(back, escaped, strlen(escaped)), 0);
            assert_string_equal(back, names[i]);
        }
    }
    static const char *const bad[] = { "%", "%2", "a%2", "%2G", "%00", "%2E%2E", "%2Fetc", "a%2F..",
        "" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char back[DATA_NAME_SIZE_MAX + 1];
        assert_int_equal(files_unescape(back, bad[i], strlen(bad[i])), -EINVAL);
    }
}

static void timeframes_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = { "1m", "5m", "1h", "1d", "1Min", "15min", "3M" };
    static const char *const bad[] = { "", "m", "1", "1_m", "1m/", "1 m", "1234567890123m", "1m1" };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(data_check_timeframe(good[i], NULL), SHOAL_DATA_OK);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(data_check_timeframe(bad[i], NULL), SHOAL_DATA_INVALID);
}

static void json_is_checked(void **state)
{
    (void)state;
    struct shoal_data_error error;
    assert_int_equal(data_check_json("{\"a\": [1, null]}", 16, &error), SHOAL_DATA_OK);
    assert_int_equal(data_check_json("1", 1, &error), SHOAL_DATA_OK);
    assert_int_equal(data_check_json("{\"a\": NaN}", 10, &error), SHOAL_DATA_INVALID);
    assert_non_null(strstr(error.message, "line 1"));
    assert_int_equal(data_check_json("{\"a\"", 4, &error), SHOAL_DATA_INVALID);
    assert_int_equal(data_check_json("", 0, &error), SHOAL_DATA_INVALID);
    assert_int_equal(data_check_json("{} {}", 5, &error), SHOAL_DATA_INVALID);
}

static void the_longest_rule_counts(void **state)
{
    (void)state;
    struct shoal_data_clean_rule rules[] = { { "results", 30 }, { "results/backtests", -1 } };
    struct shoal_data_clean_options options = { .days = 7, .rules = rules, .rule_count = 2 };
    assert_int_equal(data_clean_days(&options, "logs"), 7);
    assert_int_equal(data_clean_days(&options, "results"), 30);
    assert_int_equal(data_clean_days(&options, "results/gen_3"), 30);
    assert_int_equal(data_clean_days(&options, "results/backtests"), -1);
    assert_int_equal(data_clean_days(&options, "results_old"), 7);
    assert_true(data_is_clean_directory("logs/app"));
    assert_false(data_is_clean_directory("models"));
    assert_false(data_is_clean_directory("logs/../models"));
    assert_false(data_is_clean_directory("/logs"));
}

static void count_one(void *context, uint64_t index)
{
    unsigned char *seen = context;
    seen[index]++; /* each index is given out once, so nobody else touches this byte */
}

static void parallel_work_runs_each_once(void **state)
{
    (void)state;
    unsigned char seen[1000] = { 0 };
    data_parallel(8, sizeof seen, count_one, seen);
    for (size_t i = 0; i < sizeof seen; i++)
        assert_int_equal(seen[i], 1);
    data_parallel(8, 0, count_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(escaped_names_come_back),
        cmocka_unit_test(timeframes_are_checked),
        cmocka_unit_test(json_is_checked),
        cmocka_unit_test(the_longest_rule_counts),
        cmocka_unit_test(parallel_work_runs_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
